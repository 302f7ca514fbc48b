import ssl

from framework.testing.certificate import write_certificate


def test_certificate_is_trusted_by_who_has_it(tmp_path):
    certfile, keyfile = write_certificate(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certfile, keyfile)
    for name in ("localhost", "127.0.0.1"):
        assert handshake(server, ssl.create_default_context(cafile=certfile), name) is None
    assert isinstance(handshake(server, ssl.create_default_context(), "localhost"), ssl.SSLCertVerificationError)
    assert isinstance(
        handshake(server, ssl.create_default_context(cafile=certfile), "example.com"), ssl.SSLCertVerificationError
    )


def handshake(server, client, name):
    """The client's error, None if there is none."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    done = set()
    while len(done) < 2:
        for side in sides:
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLCertVerificationError as error:
                return error
    return None
