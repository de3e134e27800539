"""What a hostile command may cost the proxy: connections, memory, time (contract 3.3.6, threat T28)."""

import os
import resource
import socket

import pytest

from harness import PATIENCE, Proxy, basic, echo, http, settings

MIB = 1 << 20


@pytest.fixture(scope="module", autouse=True)
def descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_many(proxy, count, data):
    streams = []
    for _ in range(count):
        s = proxy.connect()
        s.socket.setblocking(False)
        try:
            s.socket.send(data)
        except OSError:
            pass
        streams.append(s)
    return streams


def test_1024_connections_are_held_and_more_wait(server):
    with Proxy() as proxy:
        held = open_many(proxy, 1024, b"G")
        late = proxy.connect()
        late.request(f"http://127.0.0.1:{server.port}/")
        late.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            late.socket.recv(1)
        for s in held[:1]:
            s.close()
        late.socket.settimeout(PATIENCE)
        assert late.response().status == 200
        late.close()
        for s in held[1:]:
            s.close()
        assert proxy.get(f"http://127.0.0.1:{server.port}/").status == 200


def test_heads_that_never_end_cost_a_bounded_amount(server):
    with Proxy() as proxy:
        before = proxy.memory()
        head = b"GET http://127.0.0.1/ HTTP/1.1\r\nX: " + b"x" * 60000
        held = open_many(proxy, 1000, head)
        assert proxy.get(f"http://127.0.0.1:{server.port}/").status == 200
        assert proxy.memory() - before < 256 * MIB
        for s in held:
            s.close()


def test_bytes_that_nobody_takes_cost_a_bounded_amount():
    """Tunnels to a server that never reads, filled until nothing more is taken."""
    with socket.socket() as deaf, Proxy() as proxy:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(400)
        port = deaf.getsockname()[1]
        before = proxy.memory()
        head = (f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: {basic()}\r\n\r\n").encode()
        held = open_many(proxy, 100, head)
        block = bytes(MIB)
        for _ in range(8):
            for s in held:
                try:
                    s.socket.send(block)
                except OSError:
                    pass
        assert proxy.memory() - before < 100 * 2 * 128 * 1024
        for s in held:
            s.close()


def test_memory_and_descriptors_return(server):
    with Proxy() as proxy, echo() as far:
        def rush():
            for _ in range(200):
                assert proxy.get(f"http://127.0.0.1:{server.port}/").status == 200
                with proxy.tunnel("127.0.0.1", far.port) as s:
                    s.send(b"x" * 1000)
                    assert len(s.take(1000)) == 1000
        rush()
        memory, descriptors = proxy.memory(), proxy.descriptors()
        rush()
        assert proxy.memory() - memory < 2 * MIB
        assert proxy.descriptors() - descriptors < 20


def test_ten_thousand_connections_do_not_stop_the_others():
    with http() as web, Proxy() as proxy:
        for _ in range(10000):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(proxy.addresses["http"])
            s.close()
        assert proxy.get(f"http://127.0.0.1:{web.port}/").status == 200


def test_the_process_has_given_up_its_rights():
    with Proxy(settings()) as proxy:
        with open(f"/proc/{proxy.process.pid}/status") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
        for kind in "CapInh", "CapPrm", "CapEff", "CapAmb":
            assert int(status[kind], 16) == 0, kind
        if os.geteuid() == 0:
            assert int(status["CapBnd"], 16) == 0
        with open(f"/proc/{proxy.process.pid}/limits") as file:
            core = next(line for line in file if line.startswith("Max core file size"))
        assert core.split()[4] == "0"
