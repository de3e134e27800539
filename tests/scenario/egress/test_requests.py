"""Plain HTTP through the proxy: judged one by one, rebuilt, framed anew (contract 3.3.6)."""

import threading

import pytest

from harness import PATIENCE, Proxy, basic, http, read_request, settings, Server


def test_every_request_of_a_connection_is_judged(proxy, server):
    url = f"http://127.0.0.1:{server.port}/"
    with proxy.connect() as s:
        s.request(url)
        assert s.response().status == 200
        s.request("http://example.com/")
        assert s.response().status == 403
        s.request(url, auth=False)
        assert s.response().status == 407
        s.request(url)
        assert s.response().status == 200
    assert len(server.requests) == 2


def test_pipelined_requests_are_judged_and_answered_in_order(proxy, server):
    url = f"http://127.0.0.1:{server.port}/"
    text = "".join(f"GET {u} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: {basic()}\r\n\r\n"
                   for u in [url + "1", "http://example.com/", url + "2", "http://example.org/"])
    with proxy.connect() as s:
        s.send(text)
        assert [s.response().status for _ in range(4)] == [200, 403, 200, 403]
    assert [r[0].split()[1] for r in server.requests] == ["/1", "/2"]


def test_thousands_of_pipelined_refusals_cost_no_memory(proxy):
    one = f"GET http://e.com/ HTTP/1.1\r\nHost: e\r\nProxy-Authorization: {basic()}\r\n\r\n".encode()
    before = proxy.memory()
    with proxy.connect() as s:
        sender = threading.Thread(target=lambda: s.send(one * 20000), daemon=True)
        sender.start()
        for _ in range(20000):
            assert s.response().status == 403
        sender.join(PATIENCE)
    assert proxy.memory() - before < 8 << 20


def test_the_head_is_rebuilt(proxy, server):
    answer = proxy.get(f"http://127.1:{server.port}?q=1", host="other.example.com", headers=[
        "Proxy-Connection: keep-alive", "Connection: X-Private, keep-alive", "X-Private: 1",
        "Keep-Alive: timeout=5", "TE: trailers", "Upgrade: websocket", "X-Kept: 1"])
    assert answer.status == 200
    head = server.requests[0][0]
    assert head.split("\r\n")[0] == "GET /?q=1 HTTP/1.1"
    assert head.lower().count("host:") == 1 and f"Host: 127.0.0.1:{server.port}" in head
    assert "X-Kept: 1" in head
    for word in ["Proxy-", "X-Private", "Keep-Alive", "TE:", "Upgrade", "other.example.com", "srt"]:
        assert word.lower() not in head.lower(), head


def test_options_for_the_whole_server(proxy, server):
    assert proxy.get(f"http://127.0.0.1:{server.port}", method="OPTIONS").status == 200
    assert server.requests[0][0].startswith("OPTIONS * ")


@pytest.mark.parametrize("body", [b"", b"x", b"y" * 300000], ids=["empty", "short", "long"])
def test_bodies_arrive_whole(proxy, server, body):
    url = f"http://127.0.0.1:{server.port}/"
    assert proxy.get(url, "POST", [f"Content-Length: {len(body)}"], body).status == 200
    chunks = b"".join(b"%x;ignored=1\r\n" % len(p) + p + b"\r\n" for p in [body[:10], body[10:]] if p)
    assert proxy.get(url, "PUT", ["Transfer-Encoding: chunked"],
                     chunks + b"0\r\nTrailer: x\r\n\r\n").status == 200
    assert [b for _, b in server.requests] == [body, body]
    assert "ignored" not in server.requests[1][0]


SMUGGLING = {
    "length and chunks": "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
    "two lengths": "Content-Length: 3\r\nContent-Length: 4\r\n",
    "odd length": "Content-Length: +3\r\n",
    "list length": "Content-Length: 3, 3\r\n",
    "unknown coding": "Transfer-Encoding: xchunked\r\n",
    "coding twice": "Transfer-Encoding: chunked, chunked\r\n",
    "coding not last": "Transfer-Encoding: chunked, gzip\r\n",
    "blank before colon": "X-A : b\r\n",
    "folded line": "X-A: b\r\n c\r\n",
    "bare newline": "X-A: b\nX-B: c\r\n",
    "NUL": "X-A: b\x00\r\n",
    "second Host": "Host: other\r\n",
    "bare CR": "X-A: b\rX-B: c\r\n",
    "empty name": ": b\r\n",
}


@pytest.mark.parametrize("lines", SMUGGLING.values(), ids=SMUGGLING.keys())
def test_heads_that_can_be_read_two_ways_are_refused(proxy, server, lines):
    with proxy.connect() as s:
        s.send(f"POST http://127.0.0.1:{server.port}/ HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
               f"Proxy-Authorization: {basic()}\r\n{lines}\r\nabc")
        assert s.response().status == 400
        assert s.rest() == b""
    assert server.requests == []


def test_a_chunk_extension_of_endless_length_is_refused(proxy, server):
    with proxy.connect() as s:
        s.request(f"http://127.0.0.1:{server.port}/", "POST", ["Transfer-Encoding: chunked"])
        try:
            s.send(b"1;" + b"x" * 100000 + b"\r\na\r\n0\r\n\r\n")
        except OSError:
            pass
        assert s.rest()[:12] in (b"", b"HTTP/1.1 400")
    assert server.requests == []


RESPONSES = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: 1\r\n\r\nhello", b"hello"),
    "chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: 1\r\n\r\n", b"hello"),
    "until close": (b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nhello", b"hello"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "interim first": (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
}


@pytest.mark.parametrize("raw, body", RESPONSES.values(), ids=RESPONSES.keys())
def test_responses_arrive_whole_and_the_connection_goes_on(proxy, raw, body):
    with http(raw) as server, proxy.connect() as s:
        for _ in range(2):
            s.request(f"http://127.0.0.1:{server.port}/")
            answer = s.response()
            while answer.status < 200:
                answer = s.response()
            assert answer.status in (200, 204) and answer.body == body
            assert answer["T"] is None and answer["Connection"] in (None, "keep-alive")


def test_an_http_1_0_client_gets_no_chunks(proxy):
    with http(RESPONSES["chunked"][0]) as server, proxy.connect() as s:
        s.send(f"GET http://127.0.0.1:{server.port}/ HTTP/1.0\r\nProxy-Authorization: {basic()}\r\n\r\n")
        answer = s.response()
        assert answer["Transfer-Encoding"] is None and answer.body == b"hello" and s.rest() == b""


def test_head_has_no_body(proxy):
    with http(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n") as server, proxy.connect() as s:
        for _ in range(2):
            s.request(f"http://127.0.0.1:{server.port}/", "HEAD")
            assert s.response("HEAD")["Content-Length"] == "5"


BAD_RESPONSES = {
    "garbage": b"garbage\r\n\r\n",
    "nothing": None,
    "switching": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "huge head": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000 + b"\r\n\r\n",
    "cut head": b"HTTP/1.1 200 OK\r\nConnection: close\r\nX: 1",
}


@pytest.mark.parametrize("raw", BAD_RESPONSES.values(), ids=BAD_RESPONSES.keys())
def test_a_head_that_cannot_be_relayed_is_502(proxy, raw):
    with http(lambda *request: raw) as server:
        assert proxy.get(f"http://127.0.0.1:{server.port}/").status == 502


def test_a_body_that_is_cut_off_does_not_look_complete(proxy):
    with http(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\nConnection: close\r\n\r\nhello") as server:
        with proxy.connect() as s:
            s.request(f"http://127.0.0.1:{server.port}/")
            with pytest.raises(EOFError):
                s.response()


def test_response_headers_can_be_stripped():
    with http(b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nset-cookie: b\r\nX: 1\r\nContent-Length: 0\r\n\r\n") as server, \
            Proxy(settings(stripResponseHeaders=["Set-Cookie"])) as proxy:
        answer = proxy.get(f"http://127.0.0.1:{server.port}/")
        assert answer["Set-Cookie"] is None and answer["X"] == "1"


def test_the_connection_to_the_server_is_used_again(proxy, server):
    for _ in range(5):
        assert proxy.get(f"http://127.0.0.1:{server.port}/").status == 200
    assert server.connections == 1


def test_a_connection_that_carried_credentials_is_not_shared(proxy, server):
    for _ in range(2):
        with proxy.connect() as s:
            for _ in range(2):
                s.request(f"http://127.0.0.1:{server.port}/", headers=["Authorization: Basic eA=="])
                assert s.response().status == 200
    assert server.connections == 2


def test_a_dead_kept_connection_is_replaced(proxy):
    def serve(stream, server):
        request = read_request(stream)
        if request:
            server.requests.append(request)
            stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")  # and closes, unannounced
    with Server(serve) as server:
        for _ in range(5):
            assert proxy.get(f"http://127.0.0.1:{server.port}/").status == 200
        assert len(server.requests) == 5


def test_bytes_behind_a_response_are_never_given_to_the_next(proxy):
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    with http(raw) as server, proxy.connect() as s:
        for _ in range(3):
            s.request(f"http://127.0.0.1:{server.port}/")
            assert s.response().body == b"ok"
        assert server.connections == 3


def test_100_continue_comes_through(proxy):
    def serve(stream, server):
        stream.until(b"\r\n\r\n")
        stream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert stream.take(4) == b"body"
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    with Server(serve) as server, proxy.connect() as s:
        s.request(f"http://127.0.0.1:{server.port}/", "POST", ["Content-Length: 4", "Expect: 100-continue"])
        assert s.response().status == 100
        s.send(b"body")
        assert s.response().status == 200


def test_an_answer_before_the_body_ends_comes_through(proxy):
    def serve(stream, server):
        stream.until(b"\r\n\r\n")
        stream.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        stream.rest()
    with Server(serve) as server, proxy.connect() as s:
        s.request(f"http://127.0.0.1:{server.port}/", "POST", ["Content-Length: 1000000"], b"x" * 1000)
        answer = s.response()
        assert answer.status == 413 and answer.body == b"no" and answer["Connection"] == "close"


def test_a_client_that_has_finished_sending_gets_its_answer(proxy, server):
    with proxy.connect() as s:
        s.request(f"http://127.0.0.1:{server.port}/")
        s.end()
        assert s.response().body == b"ok"
        assert s.rest() == b""


def test_a_slow_reader_costs_a_bounded_amount(proxy):
    size = 64 << 20
    release = threading.Event()

    def serve(stream, server):
        stream.until(b"\r\n\r\n")
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size >> 20):
            stream.send(bytes(1 << 20))
    before = proxy.memory()
    with Server(serve) as server, proxy.connect() as s:
        s.request(f"http://127.0.0.1:{server.port}/")
        s.until(b"\r\n\r\n")
        got, highest = len(s.data), 0
        s.data = b""
        while got < size:
            data = s.socket.recv(1 << 20)
            assert data
            got += len(data)
            highest = max(highest, proxy.memory())
        assert got == size
    release.set()
    assert highest - before < 4 << 20
