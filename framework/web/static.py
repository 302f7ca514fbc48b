"""Static files: addressed by their content, conditional, in ranges, precompressed, and never outside their folder.

What lost: an ETag from the content (a file of a gigabyte would be read before its first byte is sent, tornado #1046).
It is made of size and time of change, as nginx does. The version in `?v=` is the content's: addresses outlive a deploy.
"""

import asyncio
import hashlib
import mimetypes
import os
import re
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar

from framework.httputil import parse_timestamp
from framework.log import gen_log
from framework.web.authentication import local_path
from framework.web.conditional import Range, RangeNotSatisfiable, etag_matches, parse_range
from framework.web.errors import HTTPError
from framework.web.handler import RequestHandler
from framework.web.transforms import accepted_codings, add_vary

# One system call reads it; above, the kernel copies file to socket by itself.
_SMALL_FILE_BYTES = 64 * 1024
# Hashing this much takes the loop a few milliseconds; above, a thread does it.
_QUICK_HASH_BYTES = 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_SUFFIXES = (("br", ".br"), ("gzip", ".gz"))

# Not all systems' tables know these, and browsers refuse scripts of a wrong type.
_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".map": "application/json",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}


class StaticFileHandler(RequestHandler):
    """Answers GET and HEAD with the files of a folder: `(r"/files/(.*)", StaticFileHandler, {"path": folder})`."""

    CACHE_MAX_AGE: ClassVar[int] = 86400 * 365 * 10
    # sha256, so that `sha256sum` tells an operator which file an address means.
    VERSION_LENGTH: ClassVar[int] = 10

    _versions: ClassVar[dict[str, tuple[int, int, str]]] = {}

    def initialize(self, path: str, default_filename: str | None = None) -> None:
        self.root = path
        self.default_filename = default_filename
        self.modified: datetime | None = None
        self.absolute_path = ""
        self._status: os.stat_result | None = None

    def give_xsrf_cookie(self) -> None:
        # What caches keep must not carry one visitor's token to the next.
        pass

    def head(self, path: str) -> Any:
        """The head of what GET would send."""
        return self.get(path, include_body=False)

    async def get(self, path: str, include_body: bool = True) -> None:
        """The file of this path below the root."""
        self.path = self.parse_url_path(path)
        absolute_path = self.get_absolute_path(self.root, self.path)
        validated = self.validate_absolute_path(self.root, absolute_path)
        if validated is None:
            return
        self.absolute_path = validated
        self.modified = self.get_modified_time()
        await self._set_caching()
        source = self._choose_encoding() if not self.request.find_header(b"range") else self.absolute_path
        size = self.get_content_size() if source == self.absolute_path else os.stat(source).st_size
        self.set_etag_header()
        if not self._is_as_wanted():
            raise HTTPError(412)
        if self.should_return_304():
            self.set_status(304)
            return
        chosen = self._choose_range(size)
        if chosen is None:
            return
        self.set_header("Content-Length", chosen.end - chosen.start)
        if include_body and self.request.method != "HEAD":
            await self._send_content(source, chosen, size)

    # ---- which file

    def parse_url_path(self, url_path: str) -> str:
        """Hook: the path of the file below the root for a path in the address."""
        return url_path.replace("/", os.path.sep)

    @classmethod
    def get_absolute_path(cls, root: str, path: str) -> str:
        """Hook: the absolute path of a file; it need not be below the root, validate_absolute_path sees to that."""
        return os.path.abspath(os.path.join(root, path))

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        """Hook: the file to send, None if the answer is finished (a redirect to the folder with its slash).

        Raises:
            HTTPError: 403 outside the root or for what is no file, 404 if there is nothing.
        """
        root = os.path.abspath(root)
        # With the separator: /var/static-private is not below /var/static.
        if not (absolute_path + os.path.sep).startswith(os.path.join(root, "")):
            raise HTTPError(403, "%s is not in root static directory", self.path)
        status = _stat(absolute_path)
        if status is not None and stat.S_ISDIR(status.st_mode) and self.default_filename is not None:
            if not self.request.path.endswith("/"):
                # `//evil` in front would name another host (CVE-2023-28370).
                self.redirect(local_path(self.request.path) + "/", permanent=True)
                return None
            absolute_path = os.path.join(absolute_path, self.default_filename)
            status = _stat(absolute_path)
        if status is None:
            raise HTTPError(404)
        if not stat.S_ISREG(status.st_mode):
            raise HTTPError(403, "%s is not a file", self.path)
        self._status = status
        return absolute_path

    def get_content_size(self) -> int:
        """Hook: bytes of the file."""
        return (self._status or os.stat(self.absolute_path)).st_size

    def get_modified_time(self) -> datetime | None:
        """Hook: when the file was changed, to the second."""
        return datetime.fromtimestamp(int((self._status or os.stat(self.absolute_path)).st_mtime), UTC)

    def get_content_type(self) -> str:
        """Hook: the media type, by the file's name."""
        return content_type_of(self.absolute_path)

    # ---- caching

    async def _set_caching(self) -> None:
        if self.modified is not None:
            self.set_header("Last-Modified", self.modified)
        self.set_header("Content-Type", self.get_content_type())
        self.set_header("Accept-Ranges", "bytes")
        # A file is what its name says, not what a browser guesses from its bytes.
        self.set_header("X-Content-Type-Options", "nosniff")
        version = self.get_argument("v", "")
        is_current = bool(version) and version == await self._current_version()
        cache_s = self.get_cache_time(self.path, self.modified, self.get_content_type())
        if is_current or (cache_s > 0 and not version):
            if cache_s > 0:
                self.set_header("Expires", datetime.fromtimestamp(datetime.now(UTC).timestamp() + cache_s, UTC))
            self.set_header("Cache-Control", f"public, max-age={cache_s}" + (", immutable" if is_current else ""))
        else:
            # Also for a version of another release: today's file, but not for ever under that name.
            self.set_header("Cache-Control", "no-cache" if version else "public")
        self.set_extra_headers(self.path)

    async def _current_version(self) -> str:
        # As the file is now, not as it was when a page first named it.
        settings = {**self.settings, "static_path": self.root, "static_hash_cache": False}
        if self.get_content_size() <= _QUICK_HASH_BYTES:
            return self.get_version(settings, self.path) or ""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, self.get_version, settings, self.path) or ""

    def set_extra_headers(self, path: str) -> None:
        """Hook: set headers of your own."""

    def get_cache_time(self, path: str, modified: datetime | None, mime_type: str) -> int:
        """Hook: seconds that the answer may be kept; 0 for not at all."""
        return self.CACHE_MAX_AGE if "v" in self.request.query_arguments else 0

    def compute_etag(self) -> str | None:
        """The tag of the file: size and time of change."""
        if self._status is None:
            return None
        coding = self._headers.get("Content-Encoding", "") if self._headers is not None else ""
        return f'"{self._status.st_mtime_ns:x}-{self._status.st_size:x}{"-" + coding if coding else ""}"'

    def _is_as_wanted(self) -> bool:
        """Whether If-Match or, without it, If-Unmodified-Since lets the file be sent (RFC 9110 §13.2.2)."""
        wanted = self.request.find_header(b"if-match")
        if wanted is not None:
            return etag_matches(wanted, self._header_map().get("ETag", "").encode(), is_weak=False)
        since = self.request.find_header(b"if-unmodified-since")
        moment = parse_timestamp(since.decode("latin-1")) if since else None
        return moment is None or self.modified is None or self.modified <= moment

    def should_return_304(self) -> bool:
        """Whether the client has the file already (RFC 9110 §13.2.2: tags before dates)."""
        if self.request.find_header(b"if-none-match") is not None:
            return self.check_etag_header()
        since = self.request.find_header(b"if-modified-since")
        moment = parse_timestamp(since.decode("latin-1")) if since else None
        return moment is not None and self.modified is not None and self.modified <= moment

    # ---- which bytes

    def _choose_encoding(self) -> str:
        """The file itself, or a compressed one beside it that the client accepts and that is not older."""
        if self._status is None:
            return self.absolute_path
        found = [(coding, status) for coding, end in _SUFFIXES if (status := _stat(self.absolute_path + end))]
        fresh = [coding for coding, status in found if status.st_mtime >= self._status.st_mtime]
        if not fresh:
            return self.absolute_path
        add_vary(self._header_map(), "Accept-Encoding")
        accepted = accepted_codings(self.request.find_header(b"accept-encoding") or b"")
        for coding, end in _SUFFIXES:
            if coding in fresh and coding in accepted:
                self.set_header("Content-Encoding", coding)
                return self.absolute_path + end
        return self.absolute_path

    def _choose_range(self, size: int) -> Range | None:
        """The bytes to send; None if the answer is 416."""
        header = self.request.find_header(b"range")
        if header is None or not self._is_range_current():
            return Range(0, size)
        try:
            chosen = parse_range(header.decode("latin-1"), size)
        except RangeNotSatisfiable:
            self.set_status(416)
            self.set_header("Content-Type", "text/plain")
            self.set_header("Content-Range", f"bytes */{size}")
            return None
        if chosen is None:
            return Range(0, size)
        if chosen != (0, size):
            # All of it is a 200: some clients take a 206 for a part whatever it says (tornado does so for them too).
            self.set_status(206)
            self.set_header("Content-Range", f"bytes {chosen.start}-{chosen.end - 1}/{size}")
        return chosen

    def _is_range_current(self) -> bool:
        """Whether If-Range, if there is one, names the file as it is (RFC 9110 §13.1.5: strong comparison)."""
        value = self.request.find_header(b"if-range")
        if value is None:
            return True
        if value.startswith((b'"', b"W/")):
            return etag_matches(value, (self.compute_etag() or "").encode(), is_weak=False)
        return self.modified is not None and parse_timestamp(value.decode("latin-1")) == self.modified

    async def _send_content(self, source: str, chosen: Range, size: int) -> None:
        if type(self).get_content.__func__ is not StaticFileHandler.get_content.__func__:  # type: ignore[attr-defined]
            content = self.get_content(source, chosen.start, chosen.end)
            for chunk in [content] if isinstance(content, bytes) else content:
                await self._send_piece(chunk)
            return
        with open(source, "rb", buffering=0) as file:
            if chosen.end - chosen.start <= _SMALL_FILE_BYTES or self._transforms or self.application.is_wsgi:
                file.seek(chosen.start)
                left = chosen.end - chosen.start
                while left > 0 and (chunk := file.read(min(left, _CHUNK_BYTES))):
                    left -= len(chunk)
                    await self._send_piece(chunk, is_last=not left)
            else:
                await self.send_file(file, chosen.start, chosen.end - chosen.start)

    async def _send_piece(self, chunk: bytes, is_last: bool = False) -> None:
        self.write(chunk)
        # A WSGI answer leaves in one piece, and a small one may.
        if not is_last and not self.application.is_wsgi:
            await self.flush()

    @classmethod
    def get_content(cls, abspath: str, start: int | None = None, end: int | None = None) -> Iterator[bytes]:
        """Hook: the bytes of a file, or pieces of them. Only called where it is overridden, or for versions."""
        with open(abspath, "rb") as file:
            file.seek(start or 0)
            left = None if end is None else end - (start or 0)
            while left is None or left > 0:
                chunk = file.read(_CHUNK_BYTES if left is None else min(left, _CHUNK_BYTES))
                if not chunk:
                    return
                left = None if left is None else left - len(chunk)
                yield chunk

    # ---- versions

    @classmethod
    def make_static_url(cls, settings: dict[str, Any], path: str, include_version: bool = True) -> str:
        """Hook: the address of a static file, `/static/logo.png?v=<version>`."""
        address: str = settings.get("static_url_prefix", "/static/") + path
        version = cls.get_version(settings, path) if include_version else None
        return f"{address}?v={version}" if version else address

    @classmethod
    def get_version(cls, settings: dict[str, Any], path: str) -> str | None:
        """Hook: the version of a file below `static_path`; None if it can't be read."""
        absolute_path = cls.get_absolute_path(settings["static_path"], path)
        is_trusted = settings.get("static_hash_cache", True)
        kept = cls._versions.get(absolute_path) if is_trusted else None
        found = kept[2] if kept else cls.cached_version(absolute_path)
        length = settings.get("static_version_length", cls.VERSION_LENGTH)
        return found[:length] if found else None

    @classmethod
    def reset(cls) -> None:
        """Forget the versions of all files."""
        StaticFileHandler._versions.clear()

    @classmethod
    def cached_version(cls, absolute_path: str) -> str | None:
        """The version of a file as it is now, hashed only if its size or time changed; None if it can't be read."""
        try:
            status = os.stat(absolute_path)
            known = cls._versions.get(absolute_path)
            if known is None or known[:2] != (status.st_mtime_ns, status.st_size):
                version = cls.get_content_version(absolute_path)
                known = cls._versions[absolute_path] = (status.st_mtime_ns, status.st_size, version)
        except (OSError, ValueError):
            gen_log.error("Could not open static file %r", absolute_path)
            return None
        return known[2]

    @classmethod
    def get_content_version(cls, abspath: str) -> str:
        """Hook: the version of a file's content, in characters that an address may hold."""
        digest = hashlib.sha256()
        content = cls.get_content(abspath)
        for chunk in [content] if isinstance(content, bytes) else content:
            digest.update(chunk)
        return digest.hexdigest()


def content_type_of(path: str) -> str:
    """The media type of a file of this name; of text with its charset."""
    _, extension = os.path.splitext(path.lower())
    kind, encoding = _TYPES.get(extension), None
    if kind is None:
        kind, encoding = mimetypes.guess_type(path)
    if encoding == "gzip":
        return "application/gzip"
    if encoding is not None or kind is None:
        return "application/octet-stream"
    is_text = kind.startswith("text/") or re.search(r"[/+](json|xml)$|javascript", kind)
    return f"{kind}; charset=UTF-8" if is_text and "json" not in kind else kind


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (OSError, ValueError):
        # ValueError: a NUL in the name.
        return None
