"""A small group's live shared feed: what you write, everyone sees at once. Read __main__.py, then routes.py.

    settings    what the environment says
    feed        entries, comments and likes in the database, each with a sequence number
    updates     what is new, on every open page at once
    pages       what all pages share: the user, the language, errors, security headers
    accounts    signing in and out
    entries     the feed and its forms
    diagnosis   routes for tests of the appliance, off unless TEST_ROUTES says so
    routes      which handler answers what
    application the parts put together
    worker      the work that no visitor waits for

Replace this folder with your own application: whatever `APP` names and the framework can call.
"""

from app.application import make_application

__all__ = ["make_application"]
