"""The private resolver (contract 4.2, threat T12)."""

import ipaddress
import socket
import struct

import pytest

from harness import PATIENCE, Proxy, settings

BLOCK = ipaddress.ip_network("198.18.0.0/15")
NOERROR, FORMERR, NXDOMAIN, NOTIMP, REFUSED = 0, 1, 3, 4, 5
A, AAAA, TXT, HTTPS = 1, 28, 16, 65


def query(name, kind=A, number=7, flags=0x0100):
    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.split(".") if p) + b"\x00"
    return struct.pack(">HHHHHH", number, flags, 1, 0, 0, 0) + labels + struct.pack(">HH", kind, 1)


def read(answer):
    """(id, code, addresses)"""
    number, flags, questions, answers, _, _ = struct.unpack(">HHHHHH", answer[:12])
    assert flags & 0x8000
    addresses = []
    if answers:
        assert answers == 1
        size, address = struct.unpack(">H4s", answer[-6:])
        assert size == 4
        addresses.append(ipaddress.ip_address(address))
    return number, flags & 15, addresses


class Resolver:
    def __init__(self, proxy):
        self.proxy = proxy
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.settimeout(PATIENCE)
        self.udp.connect(proxy.addresses["dns-udp"])

    def ask(self, name, kind=A):
        self.udp.send(query(name, kind))
        number, code, addresses = read(self.udp.recv(4096))
        assert number == 7
        return code, addresses


def running(config, ask=False):
    return Proxy(config, ask=ask, listeners=("http", "transparent", "dns-udp", "dns-tcp"))


@pytest.fixture(scope="module")
def resolver():
    config = settings(["a.example.com", "*.wild.example.com", "ported.example.com:443"],
                      ["bad.wild.example.com", "shut.example.com", "half.example.com:80"])
    with running(config) as proxy:
        yield Resolver(proxy)


@pytest.mark.parametrize("name", ["a.example.com", "A.Example.COM", "x.wild.example.com",
                                  "x.y.wild.example.com", "ported.example.com"])
def test_a_name_that_some_rule_allows_gets_an_address(resolver, name):
    code, addresses = resolver.ask(name)
    assert code == NOERROR and len(addresses) == 1 and addresses[0] in BLOCK


@pytest.mark.parametrize("name", ["other.example.com", "wild.example.com", "bad.wild.example.com", "com", "",
                                  "half.example.com", "127.0.0.1", "1.0.0.127.in-addr.arpa",
                                  ".".join("x" * 20) + ".wild.example.com", "x" * 63 + ".example.com"])
def test_every_other_name_does_not_exist(resolver, name):
    assert resolver.ask(name) == (NXDOMAIN, [])


def test_a_name_keeps_its_address_and_no_two_share_one(resolver):
    first = {n: resolver.ask(f"n{n}.wild.example.com")[1][0] for n in range(50)}
    assert len(set(first.values())) == 50
    for n in range(50):
        assert resolver.ask(f"N{n}.wild.example.com")[1][0] == first[n]


@pytest.mark.parametrize("kind", [AAAA, TXT, HTTPS])
def test_other_records_are_empty(resolver, kind):
    assert resolver.ask("a.example.com", kind) == (NOERROR, [])
    assert resolver.ask("other.example.com", kind) == (NXDOMAIN, [])


def test_look_ups_are_reported(resolver):
    before = len(resolver.proxy.frames)
    resolver.ask("leak.denied.example.com")
    event = resolver.proxy.event(since=before, method="dns", decision="deny")
    assert event["host"] == "leak.denied.example.com"
    assert event["violation"].startswith("deny network-outbound leak.denied.example.com")


@pytest.mark.parametrize("message, code", [
    (query("a.example.com")[:-1], FORMERR),
    (query("a.example.com")[:4] + b"\x00\x02" + query("a.example.com")[6:], FORMERR),
    (query("a.example.com", flags=0x2100), NOTIMP),
])
def test_odd_messages_are_answered_or_dropped(resolver, message, code):
    resolver.udp.send(message)
    assert read(resolver.udp.recv(4096))[1] == code
    for silent in (b"", b"\x00", query("a.example.com", flags=0x8100), b"x" * 2000):
        resolver.udp.send(silent)
    assert resolver.ask("a.example.com")[0] == NOERROR


def test_tcp_gives_the_same(resolver):
    with socket.create_connection(resolver.proxy.addresses["dns-tcp"], timeout=PATIENCE) as s:
        def ask(data):
            for i in range(len(data)):  # one byte at a time
                s.send(data[i:i + 1])
        for name, code in [("a.example.com", NOERROR), ("other.example.com", NXDOMAIN)]:
            message = query(name)
            ask(struct.pack(">H", len(message)) + message)
            size = struct.unpack(">H", s.recv(2, socket.MSG_WAITALL))[0]
            assert read(s.recv(size, socket.MSG_WAITALL))[1] == code


def test_tcp_connections_are_bounded(resolver):
    held = [socket.create_connection(resolver.proxy.addresses["dns-tcp"], timeout=PATIENCE) for _ in range(80)]
    assert resolver.ask("a.example.com")[0] == NOERROR
    for s in held:
        s.send(struct.pack(">H", 65535))  # a message that is never accepted ends the connection
        s.close()


def test_when_somebody_can_be_asked_unknown_names_exist():
    with running(settings([], ["bad.example.com"]), ask=True) as proxy:
        resolver = Resolver(proxy)
        assert resolver.ask("new.example.com")[0] == NOERROR
        assert resolver.ask("bad.example.com")[0] == NXDOMAIN
        assert not [f for f in proxy.frames if f["t"] == "ask"]  # the question comes with the connection


def test_a_strict_list_is_strict_for_names_too():
    with running(settings([], strictAllowlist=True), ask=True) as proxy:
        assert Resolver(proxy).ask("new.example.com")[0] == NXDOMAIN


def test_a_flood_of_queries_is_refused():
    with running(settings(["*.wild.example.com"])) as proxy:
        resolver = Resolver(proxy)
        codes = [resolver.ask(f"n{n}.wild.example.com")[0] for n in range(3000)]
        assert codes[0] == NOERROR and REFUSED in codes


def test_who_dials_the_transparent_listener_itself_is_refused():
    with running(settings(["*.wild.example.com"])) as proxy:
        try:
            with proxy.connect("transparent") as s:
                assert s.rest() == b""
        except ConnectionResetError:
            pass  # the reset was faster than the connection
