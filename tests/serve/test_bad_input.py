"""Peers that misbehave below the level of calls: heads, bodies, connections, readers that stall."""

import socket
import threading

import pytest

from scene import idle, message, says

MEGABYTE = 1 << 20


def answer_of(connection):
    """What comes until the other side closes."""
    got = b""
    while part := connection.recv(65536):
        got += part
    return got


def closing(scene, data):
    """The answer to these bytes on a connection of their own, whose sending side is then closed."""
    with scene.api.raw(data) as connection:
        connection.shutdown(socket.SHUT_WR)
        return answer_of(connection)


HEADS = {
    "no request": b"\r\n\r\n", "garbage": b"\x16\x03\x01\x02\x00\x01\x00" + b"\0" * 50,
    "old HTTP": b"GET /v1/agents HTTP/0.9\r\n\r\n", "no host": b"GET /v1/agents HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
    "folded": b"GET / HTTP/1.1\r\nhost: a\r\nx: a\r\n b\r\n\r\n",
    "space before the colon": b"GET / HTTP/1.1\r\nhost : a\r\n\r\n",
    "length and chunks": b"POST /v1/agents HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST /v1/agents HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
    "negative length": b"POST /v1/agents HTTP/1.1\r\nhost: a\r\ncontent-length: -5\r\n\r\n",
    "bad chunk": b"POST /v1/agents HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n",
    "unknown coding": b"POST /v1/agents HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n",
    "a head without end": b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x-filler: " + b"y" * MEGABYTE,
    "a target without end": b"GET /" + b"a" * MEGABYTE,
    "many headers": b"GET / HTTP/1.1\r\nhost: a\r\n" + b"a: b\r\n" * 100_000 + b"\r\n",
}


@pytest.mark.parametrize("name", HEADS)
def test_a_bad_head_is_refused_and_the_connection_closed(scene, name):
    try:
        got = closing(scene, HEADS[name])
    except (ConnectionResetError, BrokenPipeError):
        got = b""  # closed before we had sent it all: refused as well
    assert got == b"" or got.split(b" ")[1][:1] in (b"4", b"5"), got[:200]
    assert b" 200 " not in got
    assert scene.api.get("/v1/agents").status == 200


def test_a_body_of_100_megabytes_is_refused_before_it_is_read(scene):
    before = scene.server.resident()
    head = scene.api.head("POST", "/v1/agents", "content-type: application/json", f"content-length: {100 * MEGABYTE}")
    with scene.api.raw(head + b"\r\n") as connection:
        try:
            for _ in range(100):
                connection.sendall(b" " * MEGABYTE)
        except (ConnectionResetError, BrokenPipeError):
            pass
        try:
            got = answer_of(connection)
        except ConnectionResetError:
            got = b""
    assert got == b"" or got.startswith(b"HTTP/1.1 413 ")
    assert scene.server.resident() - before < 40 * MEGABYTE


def test_a_chunked_body_has_the_same_limit(scene):
    head = scene.api.head("POST", "/v1/agents", "content-type: application/json", "transfer-encoding: chunked")
    with scene.api.raw(head + b"\r\n") as connection:
        try:
            for _ in range(100):
                connection.sendall(b"%x\r\n%s\r\n" % (MEGABYTE, b" " * MEGABYTE))
        except (ConnectionResetError, BrokenPipeError):
            pass
        try:
            got = answer_of(connection)
        except ConnectionResetError:
            got = b""
    assert got == b"" or got.startswith(b"HTTP/1.1 413 ")


def test_the_answer_to_a_body_too_long_comes_to_one_who_waits_for_it(scene):
    head = scene.api.head("POST", "/v1/agents", "content-type: application/json", f"content-length: {100 * MEGABYTE}")
    with scene.api.raw(head + b"\r\n") as connection:
        first = connection.recv(65536)
    assert first.startswith(b"HTTP/1.1 413 ") and b"request_too_large" in first


def test_pipelined_requests_are_answered_in_order(scene):
    head = scene.api.head("GET", "/v1/agents/none")
    last = scene.api.head("GET", "/healthz", "connection: close")
    got = closing(scene, (head + b"\r\n") * 3 + last + b"\r\n")
    assert got.count(b"HTTP/1.1 404 ") == 3 and got.rindex(b"HTTP/1.1 404 ") < got.index(b"HTTP/1.1 200 ")


def test_a_client_that_half_closes_still_gets_its_answer(scene):
    got = closing(scene, scene.api.head("GET", "/v1/agents", "connection: close") + b"\r\n")
    assert got.startswith(b"HTTP/1.1 200 ")


def test_a_reader_that_half_closes_or_vanishes_leaves_nothing_behind(scene):
    session = scene.session(scene.agent([says("hello")]))
    head = scene.api.head("GET", f"/v1/sessions/{session['id']}/events/stream") + b"\r\n"
    for _ in range(20):
        connection = scene.api.raw(head)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()  # a reset
    half = scene.api.raw(head)
    half.recv(1000)
    half.shutdown(socket.SHUT_WR)
    scene.send(session, message("hi"))
    scene.wait(session, idle("end_turn"))
    half.close()
    scene.api.good("DELETE", f"/v1/sessions/{session['id']}")


def test_slow_heads_hold_up_nobody(scene):
    slow = [scene.api.raw(b"GET /v1/agents HTTP/1.1\r\nhost") for _ in range(200)]
    try:
        assert scene.api.get("/v1/agents").status == 200
        for connection in slow:
            connection.sendall(b": a\r\nx-more: y\r\n")
        assert scene.api.get("/v1/agents").status == 200
    finally:
        for connection in slow:
            connection.close()


def test_a_thousand_stalled_readers_cost_bounded_memory_and_hold_up_nobody(own):
    scene = own()
    # About 4 MB of events: more than the sockets of a reader take.
    turns = [says("x" * 200_000) for _ in range(20)]
    session = scene.session(scene.agent(turns))
    head = scene.api.head("GET", f"/v1/sessions/{session['id']}/events/stream") + b"\r\n"
    readers = []
    try:
        for _ in range(1000):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect((scene.api.host, scene.api.port))
            connection.sendall(head)
            readers.append(connection)
        for connection in readers:
            assert connection.recv(12).startswith(b"HTTP/1.1 200")
        before = scene.server.resident()
        seen = []
        for n in range(20):
            scene.send(session, message(f"message {n}"))
            seen += scene.wait(session, idle("end_turn"), seen)
        assert scene.server.resident() - before < 1000 * 100 * 1024, "at most about 100 KiB a reader"
    finally:
        for connection in readers:
            connection.close()


def test_many_at_once_are_all_answered(scene):
    failed = []

    def work():
        for _ in range(50):
            if scene.api.get("/v1/agents", {"limit": 1}).status != 200:
                failed.append(1)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
