"""Listening sockets, TLS contexts, addresses.

Everything here is set up once, before the first request. Sockets come back non-blocking and listening.

Why a unix socket is bound under a private name and renamed: `bind()` refuses a name that exists, so the usual way is to
unlink first, and between the two every `connect()` fails. A rename has no such instant, and never takes a live
listener's name away before its successor listens.
"""

import asyncio
import errno
import ipaddress
import os
import socket
import ssl
import stat
import sys
from collections.abc import Callable, Mapping
from typing import Any

from framework.errors import FrameworkError

# The kernel caps this by net.core.somaxconn (4096 by default since Linux 5.4). A full unix queue is EAGAIN at once,
# not a retried SYN (puma #1449), so it must hold a burst.
BACKLOG = 4096

_SYSTEMD_FIRST_FD = 3


class BindError(FrameworkError):
    """An address cannot be listened on; the sentence says which and why."""


def bind_sockets(
    port: int,
    address: str | None = None,
    family: socket.AddressFamily = socket.AF_UNSPEC,
    backlog: int = BACKLOG,
    flags: int | None = None,
    reuse_port: bool = False,
    defer_accept_s: int = 0,
) -> list[socket.socket]:
    """Listening sockets, one per address that the name stands for; port 0 takes one free port for all of them.

    An empty address means every interface, IPv4 and IPv6. `defer_accept_s` makes the kernel hold a connection back
    until its first bytes are there (`TCP_DEFER_ACCEPT`): a third less work per request where connections are short,
    but a client that waits for the server to speak first is kept waiting that long.

    Raises:
        BindError: the address is unknown, taken or forbidden.
    """
    if reuse_port and not hasattr(socket, "SO_REUSEPORT"):
        raise BindError("reuse_port: the platform has no SO_REUSEPORT")
    flags = socket.AI_PASSIVE if flags is None else flags
    found: list[socket.socket] = []
    try:
        for af, kind, proto, target in _addresses(port, address or None, family, flags):
            # The first socket's free port serves the others too, so that "localhost" is one port and not two.
            if port == 0 and found:
                target = (target[0], found[0].getsockname()[1], *target[2:])
            listener = _bind_tcp(af, kind, proto, target, reuse_port)
            if listener is None:
                continue
            found.append(listener)
            if defer_accept_s and hasattr(socket, "TCP_DEFER_ACCEPT"):
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, defer_accept_s)
            listener.listen(backlog)
    except OSError as error:
        for listener in found:
            listener.close()
        raise BindError(f"{address or '*'}:{port}: cannot listen: {error.strerror or error}") from error
    if not found:
        raise BindError(f"{address or '*'}:{port}: no address to listen on")
    return found


def _addresses(
    port: int, address: str | None, family: socket.AddressFamily, flags: int
) -> list[tuple[socket.AddressFamily, socket.SocketKind, int, tuple[Any, ...]]]:
    """(family, type, protocol, address) of all that a name stands for, without repeats, IPv4 first.

    Raises:
        OSError: the name does not resolve.
    """
    if family == socket.AF_UNSPEC and not socket.has_ipv6:
        family = socket.AF_INET
    infos = socket.getaddrinfo(address, port, family, socket.SOCK_STREAM, 0, flags)
    unique = dict.fromkeys((info[0], info[1], info[2], info[4]) for info in infos)
    return sorted(unique, key=lambda info: info[0] != socket.AF_INET)


def _bind_tcp(
    af: socket.AddressFamily, kind: socket.SocketKind, proto: int, target: tuple[Any, ...], reuse_port: bool
) -> socket.socket | None:
    """A bound socket; None for an IPv6 address on a kernel without IPv6.

    Raises:
        OSError: the address is taken or forbidden.
    """
    try:
        listener = socket.socket(af, kind, proto)
    except OSError as error:
        if error.errno == errno.EAFNOSUPPORT:
            return None
        raise
    try:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted connections inherit it: one system call less per connection.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if reuse_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if af == socket.AF_INET6:
            # Else "::" would take IPv4's port as well, and the IPv4 socket beside it could not bind.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(target)
    except OSError as error:
        listener.close()
        # Containers often resolve "localhost" to ::1 too while the kernel has IPv6 switched off.
        if af == socket.AF_INET6 and error.errno == errno.EADDRNOTAVAIL:
            return None
        raise
    return listener


def bind_private_socket(path: str, mode: int = 0o660, backlog: int = BACKLOG) -> socket.socket:
    """A listening unix socket at a name that nobody else uses; a leftover file of that name is removed.

    Raises:
        BindError: the name is too long, or the directory is missing or not writable.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        _remove_socket(path)
        listener.bind(path)
        # Before listen(): nobody may connect under a wider or narrower mode than the one asked for.
        os.chmod(path, mode)
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise BindError(f"{path}: cannot listen: {error.strerror or error}") from error
    return listener


def bind_unix_socket(file: str | os.PathLike[str], mode: int = 0o600, backlog: int = BACKLOG) -> socket.socket:
    """A listening unix socket at `file`; a name that starts with a NUL byte is abstract (no file).

    A dead socket at that name is replaced by rename.

    Raises:
        BindError: somebody listens there, the name is another kind of file, or the directory is not writable.
    """
    path = os.fspath(file)
    if path.startswith("\0"):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.setblocking(False)
            listener.bind(path)
            listener.listen(backlog)
        except OSError as error:
            listener.close()
            raise BindError(f"@{path[1:]}: cannot listen: {error.strerror or error}") from error
        return listener
    if os.path.lexists(path):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise BindError(f"{path}: exists and is not a socket")
        if is_listening(path):
            raise BindError(f"{path}: another process listens there")
    private = f"{path}.{os.getpid()}"
    listener = bind_private_socket(private, mode, backlog)
    os.rename(private, path)
    return listener


def is_listening(path: str) -> bool:
    """True if a process accepts (or queues) connections at a unix socket's path."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except BlockingIOError:
            return True  # the queue is full: somebody lives there, and is busy
        except OSError:
            return False
    return True


def _remove_socket(path: str) -> None:
    """Removes a socket file; anything else of that name stays and makes bind() fail.

    Raises:
        OSError: the directory is not writable.
    """
    try:
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)
    except FileNotFoundError:
        pass


def inherited_sockets(environ: Mapping[str, str] | None = None) -> list[socket.socket]:
    """Listening sockets handed over by a service manager (`LISTEN_FDS`, `LISTEN_PID`); empty if there are none.

    Raises:
        BindError: LISTEN_FDS is not a number, or a descriptor is not a socket.
    """
    environ = os.environ if environ is None else environ
    if environ.get("LISTEN_PID", str(os.getpid())) != str(os.getpid()):
        return []
    count = environ.get("LISTEN_FDS", "0")
    if not (count.isascii() and count.isdigit()):
        raise BindError(f"LISTEN_FDS: expected a number, got {count!r}")
    found = []
    for fd in range(_SYSTEMD_FIRST_FD, _SYSTEMD_FIRST_FD + int(count)):
        try:
            listener = socket.socket(fileno=fd)
        except OSError as error:
            raise BindError(f"LISTEN_FDS: descriptor {fd} is not a socket: {error.strerror}") from error
        os.set_inheritable(fd, False)
        listener.setblocking(False)
        found.append(listener)
    return found


def add_accept_handler(listener: socket.socket, callback: Callable[[socket.socket, Any], object]) -> Callable[[], None]:
    """A function that stops accepting. `callback(connection, address)` is called for each accepted connection.

    Up to 64 connections are taken in one go: without a bound a flood of connections would starve the established ones.
    """
    loop = asyncio.get_running_loop()
    paused: list[asyncio.TimerHandle] = []

    def accept() -> None:
        for _ in range(64):
            try:
                connection, address = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    # The listener stays readable, so accepting on would spin: rest until descriptors came back.
                    loop.remove_reader(listener)
                    paused[:] = [loop.call_later(0.1, resume)]
                    return
                raise
            connection.setblocking(False)
            callback(connection, address)

    def resume() -> None:
        loop.add_reader(listener, accept)

    def remove() -> None:
        for timer in paused:
            timer.cancel()
        loop.remove_reader(listener)

    resume()
    return remove


def is_valid_ip(text: str) -> bool:
    """True if `text` is an IPv4 or IPv6 address, not a name. Control characters and scopes of other hosts are not."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


_SSL_OPTIONS = frozenset({"ssl_version", "certfile", "keyfile", "cert_reqs", "ca_certs", "ciphers"})


def ssl_options_to_context(
    ssl_options: Mapping[str, Any] | ssl.SSLContext, server_side: bool = False
) -> ssl.SSLContext:
    """A TLS context from the seed's dict of options; a context is itself.

    The options: `certfile keyfile cert_reqs ca_certs ciphers` (`ssl_version` is read over: the versions are ours).
    TLS 1.2 is the least. A client context verifies certificate and name unless `cert_reqs` is `ssl.CERT_NONE`.
    To renew a certificate call `load_cert_chain` on the context in use: new handshakes take the new one.

    Raises:
        ValueError: an option is unknown.
        OSError: a file cannot be read (ssl.SSLError: it holds no certificate or key).
    """
    if isinstance(ssl_options, ssl.SSLContext):
        return ssl_options
    unknown = set(ssl_options) - _SSL_OPTIONS
    if unknown:
        raise ValueError(f"ssl_options: unknown {sorted(unknown)}; known are {sorted(_SSL_OPTIONS)}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # OpenSSL answers a peer that leaves without close_notify with an error; HTTP frames its messages itself.
    context.options |= getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    if server_side:
        # The client's order would let an old client choose the weakest cipher of both.
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    if "certfile" in ssl_options:
        context.load_cert_chain(ssl_options["certfile"], ssl_options.get("keyfile"))
    if "ca_certs" in ssl_options and ssl_options["ca_certs"] is not None:
        context.load_verify_locations(ssl_options["ca_certs"])
    elif not server_side:
        context.load_default_certs()
    if "ciphers" in ssl_options:
        context.set_ciphers(ssl_options["ciphers"])
    if "cert_reqs" in ssl_options:
        if ssl_options["cert_reqs"] == ssl.CERT_NONE:
            context.check_hostname = False
        context.verify_mode = ssl_options["cert_reqs"]
    return context


def ssl_wrap_socket(
    connection: socket.socket,
    ssl_options: Mapping[str, Any] | ssl.SSLContext,
    server_hostname: str | None = None,
    server_side: bool = False,
) -> ssl.SSLSocket:
    """The socket under TLS; the handshake is still to be done (the socket is non-blocking).

    Raises:
        ValueError, OSError: as ssl_options_to_context.
    """
    context = ssl_options_to_context(ssl_options, server_side)
    return context.wrap_socket(
        connection, server_side=server_side, server_hostname=server_hostname, do_handshake_on_connect=False
    )


def peer_credentials(connection: socket.socket) -> tuple[int, int, int] | None:
    """(pid, uid, gid) of the process at the other end of a unix socket; None for other sockets."""
    if connection.family != socket.AF_UNIX or sys.platform != "linux":
        return None
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    order = sys.byteorder
    pid, uid, gid = (int.from_bytes(packed[at : at + 4], order, signed=True) for at in (0, 4, 8))
    return pid, uid, gid
