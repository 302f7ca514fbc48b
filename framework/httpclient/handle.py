"""What a request says to its curl handle, option by option. Knows no loop, and nothing of what comes back."""

import os
import ssl
from functools import lru_cache
from typing import Any

import pycurl

from framework import version
from framework.httpclient.request import HTTPRequest
from framework.httputil import HTTPHeaders

USER_AGENT = f"Squall/{version.rpartition('.')[0]}"
DNS_CACHE_S = 60
# Numbers of libcurl's ABI that pycurl has no names for.
_SUPPRESS_CONNECT_HEADERS = 265
_QUICK_EXIT = 322
_AUTH_MODES = {"basic": pycurl.HTTPAUTH_BASIC, "digest": pycurl.HTTPAUTH_DIGEST}


def configure(curl: Any, request: HTTPRequest, url: str, deadline_s: float) -> None:
    """Say everything about the request; `deadline_s` is what is left of its time, or 0.

    Raises:
        ValueError: a value that libcurl does not take.
    """
    curl.setopt(pycurl.URL, url)
    curl.setopt(pycurl.NOSIGNAL, 1)
    curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
    curl.setopt(pycurl.CONNECTTIMEOUT_MS, _milliseconds(request.connect_timeout))
    curl.setopt(pycurl.TIMEOUT_MS, _milliseconds(deadline_s))
    curl.setopt(pycurl.DNS_CACHE_TIMEOUT, DNS_CACHE_S)
    # Who gives up while a name is looked up must not wait for the resolver's thread: the loop would stand still.
    curl.setopt(_QUICK_EXIT, 1)
    if request.decompress_response:
        curl.setopt(pycurl.ACCEPT_ENCODING, "")  # whatever this libcurl can decode: gzip, brotli, zstd
    if request.network_interface:
        curl.setopt(pycurl.INTERFACE, request.network_interface)
        # libcurl would lend the connection, and with it the address, to a request that did not ask for it.
        curl.setopt(pycurl.FORBID_REUSE, 1)
    if request.allow_ipv6 is False:
        curl.setopt(pycurl.IPRESOLVE, pycurl.IPRESOLVE_V4)
    _set_method(curl, request)
    _set_headers(curl, request)
    _set_credentials(curl, request)
    _set_proxy(curl, request)
    if url.startswith("https:"):
        _set_tls(curl, request)


def _set_method(curl: Any, request: HTTPRequest) -> None:
    if request.body_producer is not None:
        curl.setopt(pycurl.UPLOAD, 1)
        length = (request.headers or {}).get("Content-Length")
        if length is not None:
            curl.setopt(pycurl.INFILESIZE_LARGE, int(length))
    elif request.body is not None:
        curl.setopt(pycurl.POST, 1)
        curl.setopt(pycurl.POSTFIELDS, request.body)
    elif request.method == "HEAD":
        curl.setopt(pycurl.NOBODY, 1)
    if request.method not in ("GET", "HEAD") or request.body is not None or request.body_producer is not None:
        curl.setopt(pycurl.CUSTOMREQUEST, request.method)


def _set_headers(curl: Any, request: HTTPRequest) -> None:
    has_body = request.body is not None or request.body_producer is not None
    if not (request.headers or has_body or request.user_agent or request.expect_100_continue):
        curl.setopt(pycurl.USERAGENT, USER_AGENT)
        return
    headers = HTTPHeaders(request.headers or {})
    if request.user_agent or "User-Agent" not in headers:
        headers["User-Agent"] = request.user_agent or USER_AGENT
    # Its own Content-Length, or none: what a header says beside that would end the message elsewhere (smuggling).
    headers.pop("Content-Length", None)
    # libcurl takes "Name;" for an empty value; "Name:" alone takes one of its own headers away.
    lines = [f"{name}: {value}" if value.strip() else f"{name};" for name, value in headers.get_all()]
    if request.body is not None and "Content-Type" not in headers and request.method != "POST":
        lines.append("Content-Type:")
    if request.expect_100_continue:
        lines.append("Expect: 100-continue")
    elif has_body:
        lines.append("Expect:")
    curl.setopt(pycurl.HTTPHEADER, [line.encode("utf-8", "surrogateescape") for line in lines])


def _set_credentials(curl: Any, request: HTTPRequest) -> None:
    if request.auth_username is None:
        return
    mode = request.auth_mode or "basic"
    if mode not in _AUTH_MODES:
        raise ValueError(f"auth_mode: expected basic or digest, got {mode!r}")
    curl.setopt(pycurl.HTTPAUTH, _AUTH_MODES[mode])
    curl.setopt(pycurl.USERNAME, request.auth_username.encode())
    curl.setopt(pycurl.PASSWORD, (request.auth_password or "").encode())


def _set_proxy(curl: Any, request: HTTPRequest) -> None:
    if not request.proxy_host:
        curl.setopt(pycurl.PROXY, "")  # what the environment says of proxies is not for servers
        return
    if not request.proxy_port:
        raise ValueError("proxy_port: expected the number of the proxy's port, got none")
    curl.setopt(pycurl.PROXY, request.proxy_host)
    curl.setopt(pycurl.PROXYPORT, request.proxy_port)
    curl.setopt(pycurl.NOPROXY, "")
    curl.setopt(_SUPPRESS_CONNECT_HEADERS, 1)  # the proxy's head is not the answer's
    if request.proxy_username is not None:
        mode = request.proxy_auth_mode or "basic"
        if mode not in _AUTH_MODES:
            raise ValueError(f"proxy_auth_mode: expected basic or digest, got {mode!r}")
        curl.setopt(pycurl.PROXYAUTH, _AUTH_MODES[mode])
        curl.setopt(pycurl.PROXYUSERNAME, request.proxy_username.encode())
        curl.setopt(pycurl.PROXYPASSWORD, (request.proxy_password or "").encode())


def _set_tls(curl: Any, request: HTTPRequest) -> None:
    given = request.ssl_options or {}
    is_checked = request.validate_cert and given.get("validate_cert", True)
    curl.setopt(pycurl.SSL_VERIFYPEER, 1 if is_checked else 0)
    curl.setopt(pycurl.SSL_VERIFYHOST, 2 if is_checked else 0)
    curl.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
    authorities = request.ca_certs or given.get("ca_certs") or _system_authorities()
    if authorities:
        curl.setopt(pycurl.CAINFO, authorities)
    certificate = request.client_cert or given.get("certfile")
    key = request.client_key or given.get("keyfile")
    if certificate:
        curl.setopt(pycurl.SSLCERT, certificate)
    if key:
        curl.setopt(pycurl.SSLKEY, key)
    if _has_http2():
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)


def _milliseconds(seconds: float | None) -> int:
    return max(1, round(seconds * 1000)) if seconds else 0


@lru_cache(maxsize=1)
def _has_http2() -> bool:
    return bool(pycurl.version_info()[4] & pycurl.VERSION_HTTP2)


@lru_cache(maxsize=1)
def _system_authorities() -> str | None:
    """The file of certificate authorities that this system trusts; None leaves it to libcurl."""
    paths = ssl.get_default_verify_paths()
    found = (os.environ.get("SSL_CERT_FILE"), paths.cafile, "/etc/ssl/certs/ca-certificates.crt")
    return next((path for path in found if path and os.path.exists(path)), None)
