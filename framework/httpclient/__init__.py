"""The blocking and the non-blocking client, on libcurl: it knows proxies, HTTP/2 and TLS better than we ever shall.

    response = await AsyncHTTPClient().fetch("https://example.com/")       raises HTTPError
    AsyncHTTPClient().fetch("https://example.com/", self.on_response)      the way of 2011: response.error
    HTTPClient().fetch("https://example.com/")                             waits

A client for addresses that strangers type: `AsyncHTTPClient(addresses=AddressPolicy())` connects to nothing that only
this machine or this network can reach. `AsyncHTTPClient.configure(addresses=AddressPolicy())` makes all clients so.

The rooms: `errors`, `request` (values), `addresses` and `redirects` (decisions), `multi` (libcurl on the loop),
`transfer` (one exchange), `client`.
"""

from framework.httpclient.addresses import AddressPolicy
from framework.httpclient.client import AsyncHTTPClient, AsyncHTTPClient2, CurlAsyncHTTPClient, HTTPClient
from framework.httpclient.errors import (
    AddressRefusedError,
    BodyTooLargeError,
    CurlError,
    HTTPClientError,
    HTTPError,
    HTTPTimeoutError,
    RedirectError,
)
from framework.httpclient.request import HTTPRequest, HTTPResponse

__all__ = [
    "AddressPolicy",
    "AddressRefusedError",
    "AsyncHTTPClient",
    "AsyncHTTPClient2",
    "BodyTooLargeError",
    "CurlAsyncHTTPClient",
    "CurlError",
    "HTTPClient",
    "HTTPClientError",
    "HTTPError",
    "HTTPRequest",
    "HTTPResponse",
    "HTTPTimeoutError",
    "RedirectError",
]
