"""CONNECT and SOCKS tunnels: bytes, half-close, bounds, and what the client may say first."""

import os
import threading

import pytest

from harness import PATIENCE, Proxy, Server, basic, client_hello, echo, http, settings, socks_request, TOKEN


def test_bytes_sent_with_the_request_belong_to_the_tunnel(proxy):
    with echo() as far, proxy.connect() as s:
        s.send(f"CONNECT 127.0.0.1:{far.port} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: {basic()}\r\n\r\nearly")
        assert s.response(body=False).status == 200
        assert s.take(5) == b"early"


@pytest.mark.parametrize("size", [0, 1, 100000, 3 << 20])
def test_half_close_keeps_the_answer(proxy, size):
    data = os.urandom(size)

    def serve(stream, server):
        got = stream.rest()  # until the client has finished
        for i in range(0, len(got), 65536):
            stream.send(got[i:i + 65536])
        stream.send(b"end")
    with Server(serve) as far, proxy.tunnel("127.0.0.1", far.port) as s:
        s.send(data)
        s.end()
        assert s.rest() == data + b"end"


def test_the_server_may_finish_first(proxy):
    seen = []

    def serve(stream, server):
        stream.send(b"banner")
        stream.end()
        seen.append(stream.rest())
    with Server(serve) as far, proxy.tunnel("127.0.0.1", far.port) as s:
        assert s.rest() == b"banner"
        s.send("late")
        s.end()
        assert s.rest() == b""
    for _ in range(1000):
        if seen:
            break
        threading.Event().wait(0.01)
    assert seen == [b"late"]


def test_a_reset_is_handed_on(proxy):
    import socket
    import struct

    def serve(stream, server):
        stream.take(1)
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with Server(serve) as far, proxy.tunnel("127.0.0.1", far.port) as s:
        s.send("x")
        assert s.rest() == b""


@pytest.mark.parametrize("direction", ["up", "down"])
def test_large_transfers_are_the_same_bytes_in_bounded_memory(proxy, direction):
    block = os.urandom(1 << 20)
    count = 48
    result = []

    def take(stream):
        for _ in range(count):
            if stream.take(len(block)) != block:
                result.append("different")
        result.append("done")

    def give(stream):
        for _ in range(count):
            stream.send(block)

    def serve(stream, server):
        (take if direction == "up" else give)(stream)
    with Server(serve) as far, proxy.tunnel("127.0.0.1", far.port) as s:
        before = proxy.memory()
        (give if direction == "up" else take)(s)
        s.end()
        s.rest()
        assert proxy.memory() - before < 4 << 20
    for _ in range(1000):
        if "done" in result:
            break
        threading.Event().wait(0.01)
    assert result == ["done"]
    totals = proxy.finish()
    assert totals["bytes_out" if direction == "up" else "bytes_in"] == count << 20


def test_many_tunnels_return_their_descriptors(proxy):
    before = proxy.descriptors()
    with echo() as far:
        for _ in range(30):
            with proxy.tunnel("127.0.0.1", far.port) as s:
                s.send("x")
                assert s.take(1) == b"x"
        for _ in range(1000):
            if proxy.descriptors() <= before:
                break
            threading.Event().wait(0.01)
    assert proxy.descriptors() <= before


# Before the decision

def test_nothing_is_dialled_before_the_decision_and_early_bytes_are_kept():
    with echo() as far, Proxy(settings([]), ask=True) as proxy, proxy.connect() as s:
        s.send(f"CONNECT 127.0.0.1:{far.port} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: {basic()}\r\n\r\n")
        s.send(b"e" * 60000)
        question = proxy.asked(port=far.port)
        assert far.connections == 0
        proxy.answer(question, True)
        assert s.response(body=False).status == 200
        assert s.take(60000) == b"e" * 60000


@pytest.mark.parametrize("kind", ["connect", "socks"])
def test_more_than_64_kib_before_the_decision_ends_the_connection(kind):
    with Proxy(settings([]), ask=True) as proxy, proxy.connect() as s:
        if kind == "connect":
            s.send(f"CONNECT 127.0.0.1:9 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: {basic()}\r\n\r\n")
        else:
            s.send(b"\x05\x01\x02\x01\x03srt" + bytes([len(TOKEN)]) + TOKEN.encode())
            s.take(4)
            s.send(socks_request("127.0.0.1", 9))
        question = proxy.asked(port=9)
        try:
            s.send(b"e" * 80000)
        except OSError:
            pass
        proxy.wait(lambda f: f["t"] == "cancel" and f["id"] == question["id"])
        assert s.rest() == b""


# Threat T15: the server name of TLS on opaque tunnels

def greet(proxy, host, port, data, pieces=1):
    """What the far side gets of `data`, sent through a tunnel to host in so many pieces."""
    with proxy.tunnel(host, port) as s:
        step = -(-len(data) // pieces)
        for i in range(0, len(data), step):
            s.send(data[i:i + step])
        try:
            return s.take(len(data))
        except EOFError:
            return None


ALLOWED = client_hello("localhost")
PASS = {
    "the same name": client_hello("localhost"),
    "in other letters": client_hello("LocalHost"),
    "no name": client_hello(None),
    "no TLS": b"SSH-2.0-client\r\n",
    "one byte": b"x",
    "grease": client_hello("localhost", ech=True),
    "outer name that is listed": client_hello("listed.example.com", ech=True),
}
REFUSE = {
    "another name": client_hello("other.example.com"),
    "an allowed other name": client_hello("listed.example.com"),
    "an address": client_hello("127.0.0.1"),
    "outer name that is not listed": client_hello("outer.example.com", ech=True),
    "NUL in the name": client_hello("localhost\x00.example.com"),
    "broken": b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\xff",
}


@pytest.fixture(scope="module")
def sni():
    with Proxy(settings(["localhost", "127.0.0.1", "listed.example.com"])) as proxy, echo() as far:
        yield proxy, far


@pytest.mark.parametrize("pieces", [1, 3, 40])
@pytest.mark.parametrize("data", PASS.values(), ids=PASS.keys())
def test_a_greeting_that_fits_passes(sni, data, pieces):
    proxy, far = sni
    assert greet(proxy, "localhost", far.port, data, pieces) == data


@pytest.mark.parametrize("pieces", [1, 3, 40])
@pytest.mark.parametrize("data", REFUSE.values(), ids=REFUSE.keys())
def test_a_greeting_for_another_host_ends_the_tunnel(sni, data, pieces):
    proxy, far = sni
    before = len(proxy.frames)
    assert greet(proxy, "localhost", far.port, data, pieces) is None
    event = proxy.event(decision="deny", since=before)
    assert event["violation"].startswith(f"deny connect-tunnel localhost:{far.port} (")


def test_not_one_byte_of_a_refused_greeting_goes_out(proxy):
    seen = []

    def serve(stream, server):
        seen.append(stream.rest())
    with Server(serve) as far:
        greet(proxy, "localhost", far.port, client_hello("other.example.com"))
        for _ in range(1000):
            if seen:
                break
            threading.Event().wait(0.01)
    assert seen == [b""]


def test_towards_an_address_an_allowed_name_passes(sni):
    proxy, far = sni
    data = client_hello("listed.example.com")
    assert greet(proxy, "127.0.0.1", far.port, data) == data
    assert greet(proxy, "127.0.0.1", far.port, client_hello("other.example.com")) is None


def test_the_check_can_be_turned_off():
    data = client_hello("other.example.com")
    with Proxy(settings(x={"checkSni": False})) as proxy, echo() as far:
        assert greet(proxy, "localhost", far.port, data) == data


def test_a_name_is_required_when_hosts_have_to_match():
    with Proxy(settings(requireHostMatch=True)) as proxy, echo() as far:
        assert greet(proxy, "localhost", far.port, client_hello(None)) is None


def test_a_server_that_speaks_first_is_heard(proxy):
    def serve(stream, server):
        stream.send(b"220 hello\r\n")
        assert stream.take(4) == b"EHLO"
        stream.send(b"250 ok\r\n")
    with Server(serve) as far:
        with proxy.tunnel("localhost", far.port) as s:
            assert s.until(b"\r\n") == b"220 hello"
            s.send("EHLO")
            assert s.until(b"\r\n") == b"250 ok"
        s, reply = proxy.socks("localhost", far.port)
        assert reply == 0 and s.until(b"\r\n") == b"220 hello"
        s.close()


# Limits of the sandbox

def test_the_bytes_that_leave_can_be_limited():
    with echo() as far, http() as web, Proxy(settings(x={"maxBytesOut": 100000})) as proxy:
        with proxy.tunnel("127.0.0.1", far.port) as s:
            s.send(b"x" * 50000)
            assert len(s.take(50000)) == 50000
            try:
                s.send(b"x" * 100000)
            except OSError:
                pass
            s.rest()
        answer = proxy.get(f"http://127.0.0.1:{web.port}/")
        assert answer.status == 503
        with proxy.connect() as s:
            s.send(f"CONNECT 127.0.0.1:{far.port} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: {basic()}\r\n\r\n")
            assert s.response().status == 503
        assert proxy.finish()["bytes_out"] < 300000


def test_more_connections_than_allowed_wait_for_their_turn():
    with http() as web, Proxy(settings(x={"maxConnections": 4})) as proxy:
        held = [proxy.connect() for _ in range(4)]
        for s in held:
            s.send("G")
        late = proxy.connect()
        late.request(f"http://127.0.0.1:{web.port}/")
        late.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            late.socket.recv(1)
        held.pop().close()
        late.socket.settimeout(PATIENCE)
        assert late.response().status == 200
        for s in [late, *held]:
            s.close()
