"""Bodies that are buffered: in memory while they are small, then in a file without a name; and the account of them all.

The file lies in Python's directory for temporary files, which TMPDIR names, and takes one descriptor. It is written and
read on the loop, as nginx does by default: the kernel's cache takes a piece in microseconds, less than a thread would
cost. What lost: tempfile.SpooledTemporaryFile, which knows no account, and grows beyond its size before it moves.
"""

import contextlib
import errno
import tempfile
from collections.abc import Callable
from io import FileIO

from framework.errors import ProtocolError
from framework.httpserver.limits import Limits
from framework.log import Repeated, gen_log


class Bodies:
    """What the buffered bodies under way come to on one server, and where it ends.

    A body is under way from its first byte until it is complete, refused, or its connection is gone.
    """

    __slots__ = ("_log_unkept", "_make_room", "_tell_room", "buffered_bytes", "files", "limits")

    def __init__(
        self,
        limits: Limits,
        make_room: Callable[[], bool] = lambda: True,
        tell_room: Callable[[], None] = lambda: None,
    ) -> None:
        """`make_room` says whether there may be a descriptor for one file more; `tell_room` hears of one less."""
        self.limits = limits
        self.buffered_bytes = 0  # in memory and in files
        self.files = 0  # that are open
        self._make_room = make_room
        self._tell_room = tell_room
        self._log_unkept = Repeated(gen_log.error)

    def find_directory(self) -> None:
        """Have Python try where temporary files can be; without a descriptor left it would find out nothing."""
        with contextlib.suppress(OSError):
            tempfile.gettempdir()

    def check(self, body_bytes: int, more_bytes: int) -> None:
        """Return if `more_bytes` can be held of a body of `body_bytes` so far or in all.

        Raises:
            ProtocolError: 503, if all bodies would then come to more than `max_buffered_bytes`, or to more than seven
                eighths of it if the body is no small one: whoever fills the disk keeps no form from being sent. 413,
                if the body alone is more.
        """
        most = self.limits.max_buffered_bytes
        if body_bytes > self.limits.body_memory_bytes:
            most -= most // 8
        if self.buffered_bytes + more_bytes > most:
            status = 413 if body_bytes > most else 503
            raise ProtocolError(f"body: expected at most {most} bytes in all that are under way", status)

    def open_file(self) -> FileIO:
        """A new file without a name; to be closed by `close_file`.

        Raises:
            OSError: there can be none.
            ProtocolError: 503, if all descriptors that connections may have are taken.
        """
        if not self._make_room():
            raise ProtocolError("body: expected fewer connections and bodies in files", 503)
        file = tempfile.TemporaryFile(buffering=0, prefix="squall-body-")  # noqa: SIM115
        self.files += 1
        return file

    def close_file(self, file: FileIO) -> None:
        """Give the disk and the descriptor back."""
        self.files -= 1
        file.close()
        self._tell_room()

    def explain(self, error: OSError) -> ProtocolError:
        """The refusal of a body that cannot be kept, after telling the operator what to do."""
        if error.errno in (errno.EMFILE, errno.ENFILE):
            advice = "raise the limit of open files (ulimit -n)"
        else:
            place = tempfile.tempdir or "the directory for temporary files"
            advice = f"free space in {place}, or name another by TMPDIR"
        self._log_unkept("bodies: expected room in a temporary file, got %s; %s", error, advice)
        return ProtocolError("body: it cannot be kept", 503)


class BufferedBody:
    """One body while it arrives. Whoever has begun one must have it `end`, or take it by `complete`."""

    __slots__ = ("_bodies", "_file", "_pieces", "size")

    def __init__(self, bodies: Bodies) -> None:
        self.size = 0  # bytes so far
        self._bodies = bodies
        self._pieces = bytearray()
        self._file: FileIO | None = None

    def add(self, piece: bytes) -> None:
        """Hold one more piece.

        Raises:
            ProtocolError: 503, if there is no room for it; what is held already remains.
        """
        bodies = self._bodies
        size = self.size + len(piece)
        bodies.check(size, len(piece))
        self.size = size
        bodies.buffered_bytes += len(piece)
        if size <= bodies.limits.body_memory_bytes:
            self._pieces += piece
            return
        try:
            if self._file is None:
                self._file = bodies.open_file()
                _write(self._file, self._pieces)
                self._pieces = bytearray()
            _write(self._file, piece)
        except OSError as error:
            raise self._bodies.explain(error) from error

    def complete(self) -> bytes:
        """The whole body, which is no longer held here.

        Raises:
            ProtocolError: 503, if it cannot be read; it is still held.
        """
        if self._file is None:
            body = bytes(self._pieces)
        else:
            try:
                self._file.seek(0)
                # Made as large as the file is, at once: the body is in memory once.
                body = self._file.readall()
                if len(body) != self.size:
                    raise OSError(errno.EIO, "the file is not what was written")
            except OSError as error:
                raise self._bodies.explain(error) from error
        self.end()
        return body

    def end(self) -> None:
        """Let go of the body and of what it has taken; it may have ended already."""
        self._bodies.buffered_bytes -= self.size
        self.size = 0
        self._pieces = bytearray()
        file, self._file = self._file, None
        if file is not None:
            self._bodies.close_file(file)


def _write(file: FileIO, data: bytes | bytearray) -> None:
    """Write all of it: a disk that fills up takes a part first.

    Raises:
        OSError: it does not fit, or the disk is broken.
    """
    with memoryview(data) as view:
        written = 0
        while written < len(view):
            written += file.write(view[written:])
