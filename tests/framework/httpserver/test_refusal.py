from framework.httpserver.refusal import format_refusal


def test_refusal_is_a_whole_last_response():
    head, _, body = format_refusal(431).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert b"\r\nConnection: close\r\n" in head and b"\r\nContent-Length: %d\r\n" % len(body) in head
    assert b"Retry-After" not in head
    assert body == b"431: Request Header Fields Too Large\n"


def test_who_is_refused_for_want_of_room_learns_when_to_come_again():
    assert b"\r\nRetry-After: 5\r\n" in format_refusal(503)
