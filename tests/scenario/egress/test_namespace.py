"""Listeners that were opened in another network namespace, and the redirect that fills them: the
transparent mode as it really is (contract 4.2). Needs user namespaces, ip and nft."""

import json
import pathlib
import shutil
import socket
import subprocess
import sys

import pytest

from harness import Proxy, Server, client_hello, echo, http, settings
from test_resolver import query, read

INSIDE = pathlib.Path(__file__).with_name("inside.py")


class Namespace:
    def __init__(self):
        ours, theirs = socket.socketpair()
        self.control = ours
        self.process = subprocess.Popen(["unshare", "-rn", sys.executable, INSIDE, str(theirs.fileno())],
                                        pass_fds=[theirs.fileno()], stderr=subprocess.PIPE)
        theirs.close()
        self.control.settimeout(20)
        _, fds, _, _ = socket.recv_fds(self.control, 1, 3)
        if len(fds) != 3:
            pytest.skip(f"no redirect here: {self.process.communicate()[1].decode()[-300:]}")
        self.sockets = dict(zip(("transparent", "dns-udp", "dns-tcp"), (socket.socket(fileno=fd) for fd in fds)))
        self.lines = self.control.makefile("rw")

    def do(self, what, **order):
        self.lines.write(json.dumps({"do": what, **order}) + "\n")
        self.lines.flush()
        return json.loads(self.lines.readline())

    def look_up(self, name):
        _, code, addresses = read(bytes.fromhex(self.do("query", message=query(name).hex())["said"]))
        return code, [str(a) for a in addresses]

    def close(self):
        self.lines.close()
        self.control.close()
        self.process.wait(20)
        self.process.stderr.close()


@pytest.fixture
def namespace():
    if not all(shutil.which(program) for program in ("unshare", "ip", "nft")):
        pytest.skip("needs unshare, ip and nft")
    n = Namespace()
    yield n
    n.close()


def running(namespace, config, wrap=(), ask=False):
    return Proxy(config, ask=ask, listeners=tuple(namespace.sockets), sockets=namespace.sockets, wrap=wrap)


def test_a_program_that_ignores_the_proxy_works_and_obeys(namespace, names):
    hosts = names({"a.example.com": "127.0.0.1"})
    with http() as web, running(namespace, settings(["a.example.com", f"127.0.0.1:{web.port}"]), hosts) as proxy:
        code, addresses = namespace.look_up("a.example.com")
        assert code == 0 and addresses[0].startswith("198.18.")
        answer = namespace.do("connect", address=addresses[0], port=web.port, size=1,
                              send="GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n")
        assert answer["said"].startswith("HTTP/1.1 200")
        event = proxy.event(method="transparent")
        assert (event["host"], event["port"], event["decision"]) == ("a.example.com", web.port, "allow")
        assert namespace.look_up("b.example.com") == (3, [])


def test_other_literals_are_judged_as_they_are(namespace):
    with running(namespace, settings(["192.0.2.1:7"])) as proxy:
        for address, port in ("192.0.2.1", 8), ("192.0.2.2", 7), ("198.18.77.7", 7):
            answer = namespace.do("connect", address=address, port=port, send="x", size=1)
            assert answer == {"failed": "ConnectionResetError"} or answer == {"said": ""}
        assert proxy.event(host="192.0.2.1", port=8)["decision"] == "deny"
        assert proxy.event(host="192.0.2.2", port=7)["decision"] == "deny"
        assert not [f for f in proxy.frames if f.get("host") == "198.18.77.7"]


def test_the_server_name_must_be_the_name_that_was_looked_up(namespace, names):
    with echo() as far:
        hosts = names({"a.example.com": "127.0.0.1"})
        with running(namespace, settings(["a.example.com", "*.wild.example.com", "127.0.0.1"]), hosts) as proxy:
            address = namespace.look_up("a.example.com")[1][0]
            good, bad = client_hello("a.example.com"), client_hello("x.wild.example.com")
            said = namespace.do("connect", address=address, port=far.port, send=good.decode("latin-1"), size=len(good))
            assert said == {"said": good.decode("latin-1")}
            said = namespace.do("connect", address=address, port=far.port, send=bad.decode("latin-1"), size=len(bad))
            assert said in ({"said": ""}, {"failed": "ConnectionResetError"})
            assert proxy.event(decision="deny", method="transparent")["host"] == "a.example.com"


def test_a_server_that_speaks_first_is_heard(namespace, names):
    with Server(lambda stream, server: stream.send(b"hello")) as far:
        hosts = names({"a.example.com": "127.0.0.1"})
        with running(namespace, settings(["a.example.com", "127.0.0.1"]), hosts):
            address = namespace.look_up("a.example.com")[1][0]
            assert namespace.do("connect", address=address, port=far.port, send="", size=5) == {"said": "hello"}


def test_a_person_can_be_asked_about_a_name(namespace, names):
    with Server(lambda stream, server: stream.send(b"hello")) as far:
        hosts = names({"new.example.com": "10.255.255.1"})
        with running(namespace, settings([]), hosts, ask=True) as proxy:
            address = namespace.look_up("new.example.com")[1][0]
            import threading
            thread = threading.Thread(target=lambda: proxy.answer(proxy.asked(host="new.example.com"), False))
            thread.start()
            answer = namespace.do("connect", address=address, port=far.port, send="x", size=1, end=False)
            thread.join()
            assert answer in ({"failed": "ConnectionResetError"}, {"said": ""})
            assert proxy.event(decision="deny", method="transparent")["reason"] == "user denied"
