import asyncio
import os
import socket
import ssl
import stat

import pytest

from framework import netutil


@pytest.fixture
def closing():
    """Collects sockets and closes them after the test."""
    kept = []
    yield kept.extend
    for one in kept:
        one.close()


def test_port_zero_takes_one_port_for_all_addresses(closing):
    listeners = netutil.bind_sockets(0, "localhost")
    closing(listeners)
    assert len({one.getsockname()[1] for one in listeners}) == 1


def test_listener_listens_with_nodelay_and_without_blocking(closing):
    (listener,) = netutil.bind_sockets(0, "127.0.0.1", defer_accept_s=1)
    closing([listener])
    assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT)
    assert not listener.getblocking()
    client = socket.create_connection(listener.getsockname())
    closing([client])


def test_reuse_port_lets_two_processes_share(closing):
    (first,) = netutil.bind_sockets(0, "127.0.0.1", reuse_port=True)
    closing([first])
    closing(netutil.bind_sockets(first.getsockname()[1], "127.0.0.1", reuse_port=True))


def test_taken_port_says_which(closing):
    (first,) = netutil.bind_sockets(0, "127.0.0.1")
    closing([first])
    port = first.getsockname()[1]
    with pytest.raises(netutil.BindError, match=rf"127\.0\.0\.1:{port}: cannot listen: Address already in use"):
        netutil.bind_sockets(port, "127.0.0.1")


def test_unix_socket_has_its_mode_and_takes_connections(tmp_path, closing):
    listener = netutil.bind_unix_socket(tmp_path / "s.sock", mode=0o660)
    closing([listener])
    assert stat.S_IMODE(os.stat(tmp_path / "s.sock").st_mode) == 0o660
    assert os.listdir(tmp_path) == ["s.sock"]
    assert netutil.is_listening(str(tmp_path / "s.sock"))


def test_unix_socket_replaces_a_dead_one(tmp_path, closing):
    netutil.bind_unix_socket(tmp_path / "s.sock").close()
    assert not netutil.is_listening(str(tmp_path / "s.sock"))
    closing([netutil.bind_unix_socket(tmp_path / "s.sock")])
    assert netutil.is_listening(str(tmp_path / "s.sock"))


def test_unix_socket_spares_a_live_one(tmp_path, closing):
    closing([netutil.bind_unix_socket(tmp_path / "s.sock")])
    with pytest.raises(netutil.BindError, match="another process listens there"):
        netutil.bind_unix_socket(tmp_path / "s.sock")


def test_unix_socket_spares_other_files(tmp_path):
    (tmp_path / "s.sock").write_text("precious")
    with pytest.raises(netutil.BindError, match="is not a socket"):
        netutil.bind_unix_socket(tmp_path / "s.sock")
    assert (tmp_path / "s.sock").read_text() == "precious"


def test_unix_socket_in_a_missing_directory_says_so(tmp_path):
    with pytest.raises(netutil.BindError, match="No such file or directory"):
        netutil.bind_unix_socket(tmp_path / "absent" / "s.sock")


def test_abstract_socket_has_no_file(closing):
    name = f"\0squall-test-{os.getpid()}"
    closing([netutil.bind_unix_socket(name)])
    client = socket.socket(socket.AF_UNIX)
    closing([client])
    client.connect(name)


def test_inherited_sockets_are_none_without_a_manager():
    assert netutil.inherited_sockets({}) == []
    assert netutil.inherited_sockets({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == []


def test_inherited_sockets_wants_a_number():
    with pytest.raises(netutil.BindError, match="LISTEN_FDS: expected a number"):
        netutil.inherited_sockets({"LISTEN_FDS": "many"})


def test_accept_handler_gets_each_connection(tmp_path, closing):
    path = str(tmp_path / "s.sock")

    async def main():
        listener = netutil.bind_unix_socket(path)
        closing([listener])
        accepted = []
        both = asyncio.Event()

        def accept(connection, address):
            accepted.append(connection)
            if len(accepted) == 2:
                both.set()

        stop = netutil.add_accept_handler(listener, accept)
        for _ in range(2):
            client = socket.socket(socket.AF_UNIX)
            client.connect(path)
            closing([client])
        await asyncio.wait_for(both.wait(), 5)
        stop()
        closing(accepted)
        return accepted

    accepted = asyncio.run(main())
    assert all(not one.getblocking() for one in accepted)


@pytest.mark.parametrize("text", ["127.0.0.1", "::1", "4.4.4.4", "2620:0:1cfe:face:b00c::3"])
def test_addresses_are_valid_ips(text):
    assert netutil.is_valid_ip(text)


@pytest.mark.parametrize("text", ["localhost", "", " ", "1.2.3.4\n", "1.2.3", "\x00", "http://1.2.3.4"])
def test_other_text_is_no_valid_ip(text):
    assert not netutil.is_valid_ip(text)


def test_ssl_context_is_itself():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    assert netutil.ssl_options_to_context(context) is context


def test_ssl_client_verifies_unless_told_otherwise():
    assert netutil.ssl_options_to_context({}).verify_mode == ssl.CERT_REQUIRED
    assert netutil.ssl_options_to_context({}).check_hostname
    assert netutil.ssl_options_to_context({"cert_reqs": ssl.CERT_NONE}).verify_mode == ssl.CERT_NONE
    assert netutil.ssl_options_to_context({}).minimum_version == ssl.TLSVersion.TLSv1_2


def test_ssl_unknown_option_is_refused():
    with pytest.raises(ValueError, match=r"unknown .'cert'.;"):
        netutil.ssl_options_to_context({"cert": "x"})


def test_peer_credentials_name_the_process():
    left, right = socket.socketpair()
    with left, right:
        assert netutil.peer_credentials(left) == (os.getpid(), os.getuid(), os.getgid())
