"""Flask under gunicorn: Jinja2, its own signed session cookie, PyMySQL with a connection for each thread."""

import threading
from typing import Any

import flask

from tests.benchmarks.peers import content
from tests.benchmarks.peers.applications.jinja import make_translate

application = flask.Flask(__name__, template_folder=str(content.TEMPLATES / "jinja"), static_folder=None)
application.secret_key = content.SECRET
application.jinja_env.keep_trailing_newline = True
_local = threading.local()


def query(statement: str, *parameters: Any) -> Any:
    import pymysql
    from pymysql.cursors import DictCursor

    if not hasattr(_local, "connection"):
        _local.connection = pymysql.connect(
            unix_socket=content.DATABASE_SOCKET,
            user=content.DATABASE_USER,
            password=content.DATABASE_PASSWORD,
            database=content.DATABASE_NAME,
            autocommit=True,
            cursorclass=DictCursor,
            ssl_disabled=True,  # by itself PyMySQL takes the TLS that MariaDB offers, on a unix socket too
        )
    with _local.connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()


@application.get("/")
def hello() -> str:
    return content.HELLO


@application.get("/login")
def login() -> str:
    flask.session["user"] = content.USER
    return "in"


@application.get("/page")
def page() -> str:
    names = {
        "_": make_translate(flask.request.headers.get("Accept-Language", "")),
        "user": flask.session["user"],
        "entries": content.ENTRIES,
    }
    return flask.render_template("page.html", **names)


@application.get("/row")
def row() -> Any:
    return flask.jsonify(query(content.ROW_QUERY, content.ROW_ID)[0])


@application.get("/rows")
def rows() -> str:
    return flask.render_template("rows.html", rows=query(content.ROWS_QUERY))


@application.post("/post")
def post() -> str:
    return str(len(flask.request.get_data()))


@application.get("/static/<path:path>")
def static_file(path: str) -> Any:
    return flask.send_from_directory(content.STATIC_FOLDER, path)
