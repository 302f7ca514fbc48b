"""Sign-in by somebody else's word: OpenID Connect and OAuth 2, and their forerunners of 2011.

A mixin stands beside a RequestHandler: `class SignIn(OpenIDConnectMixin, RequestHandler)`. The rooms: `base`; `oauth2`;
`idtoken`, `provider` and `openid_connect`.
"""

from framework.auth.base import AuthError, AuthMixin
from framework.auth.oauth2 import FacebookGraphMixin, FacebookMixin, GoogleOAuth2Mixin, OAuth2Mixin
from framework.auth.openid_connect import OpenIDConnectMixin

__all__ = [
    "AuthError",
    "AuthMixin",
    "FacebookGraphMixin",
    "FacebookMixin",
    "GoogleOAuth2Mixin",
    "OAuth2Mixin",
    "OpenIDConnectMixin",
]
