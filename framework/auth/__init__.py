"""Sign-in by somebody else's word: OpenID Connect and OAuth 2, and their forerunners of 2011.

A mixin stands beside a RequestHandler: `class SignIn(OpenIDConnectMixin, RequestHandler)`. The rooms: `base`; `oauth2`;
`idtoken`, `provider` and `openid_connect`; of 2011 `oauth1` and `openid`.
"""

from framework.auth.base import AuthError, AuthMixin
from framework.auth.oauth1 import FriendFeedMixin, OAuthMixin, TwitterMixin
from framework.auth.oauth2 import FacebookGraphMixin, FacebookMixin, GoogleOAuth2Mixin, OAuth2Mixin
from framework.auth.openid import GoogleMixin, OpenIdMixin, YahooMixin
from framework.auth.openid_connect import OpenIDConnectMixin

__all__ = [
    "AuthError",
    "AuthMixin",
    "FacebookGraphMixin",
    "FacebookMixin",
    "FriendFeedMixin",
    "GoogleMixin",
    "GoogleOAuth2Mixin",
    "OAuth2Mixin",
    "OAuthMixin",
    "OpenIDConnectMixin",
    "OpenIdMixin",
    "TwitterMixin",
    "YahooMixin",
]
