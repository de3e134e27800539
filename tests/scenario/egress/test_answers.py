"""Table 3.3.6 of the contract, row by row: what the proxy itself says."""

import struct

import pytest

from harness import (TOKEN, Proxy, basic, closed_port, echo, http, settings, socks_request)


def ask_connect(proxy, target, credential=basic(), extra=""):
    with proxy.connect() as s:
        line = f"Proxy-Authorization: {credential}\r\n" if credential else ""
        s.send(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{line}{extra}\r\n")
        return s.response()


WRONG = {
    "none": None,
    "wrong token": basic(token="f" * 32),
    "shorter token": basic(token=TOKEN[:-1]),
    "longer token": basic(token=TOKEN + "0"),
    "empty token": basic(token=""),
    "another user": basic(user="root"),
    "key that is no base64": basic(user="srt.!!"),
    "no colon": "Basic c3J0",
    "no base64": "Basic ????",
    "another scheme": "Bearer " + TOKEN,
    "empty": "",
}


@pytest.mark.parametrize("credential", WRONG.values(), ids=WRONG.keys())
def test_without_the_token_everybody_gets_407(proxy, server, credential):
    headers = [f"Proxy-Authorization: {credential}"] if credential is not None else []
    answer = proxy.get(f"http://127.0.0.1:{server.port}/", headers=headers, auth=False)
    assert answer.status == 407 and answer["Proxy-Authenticate"] == 'Basic realm="srt"'
    answer = ask_connect(proxy, f"127.0.0.1:{server.port}", credential)
    assert answer.status == 407 and answer["Proxy-Authenticate"] == 'Basic realm="srt"'
    assert server.connections == 0


def test_the_user_name_carries_the_attribution_key(proxy, server):
    user = "srt.bnBtIHJ1biA8YnVpbGQ+"  # npm run <build>
    with proxy.connect() as s:
        s.request(f"http://127.0.0.1:{server.port}/", auth=False,
                  headers=[f"Proxy-Authorization: {basic(user=user)}"])
        assert s.response().status == 200
    assert proxy.event(decision="allow")["user"] == "npm run build"


def test_a_host_that_is_not_allowed_is_403(proxy):
    answer = proxy.get("http://example.com/")
    assert answer.status == 403 and answer["X-Proxy-Error"] == "blocked-by-allowlist"
    assert answer["Content-Type"] == "text/plain"
    assert answer.body == b"Connection blocked by network allowlist"
    answer = ask_connect(proxy, "example.com:443")
    assert (answer.status, answer.phrase) == (403, "host is not on the allow list")
    assert answer["X-Proxy-Error"] == "blocked-by-allowlist"
    assert answer.body == b"Connection blocked by network allowlist"
    s, reply = proxy.socks("example.com", 443)
    s.close()
    assert reply == 2
    event = proxy.event(method="connect")
    assert event["decision"] == "deny"
    assert event["violation"] == "deny network-outbound example.com:443 (host is not on the allow list)"


def test_the_reason_of_the_deny_list_is_the_phrase_and_has_no_odd_bytes():
    config = settings(["*.example.com"], ["bad.example.com"],
                      deniedDomainReasons={"bad.example.com": "nicht\u00fc <b>\u202e\nnow"})
    with Proxy(config) as proxy:
        answer = ask_connect(proxy, "bad.example.com:443")
        assert (answer.status, answer.phrase) == (403, "nicht? b now")
        assert proxy.event(method="connect")["rule"] == "network.deniedDomains[0] (bad.example.com)"


def test_a_bad_request_is_400_and_closes(proxy):
    for text in ["GARBAGE\r\n\r\n", "GET\r\n\r\n", "GET /origin HTTP/1.1\r\nHost: a\r\n\r\n",
                 "GET http://a/ HTTP/2.0\r\nHost: a\r\n\r\n", "GET  http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"]:
        with proxy.connect() as s:
            s.send(text.replace("Host", f"Proxy-Authorization: {basic()}\r\nHost"))
            assert s.response().status == 400, text
    answer = ask_connect(proxy, "no-port")
    assert answer.status == 400


def test_an_https_url_in_a_plain_request_is_400(proxy, server):
    assert proxy.get(f"https://127.0.0.1:{server.port}/").status == 400
    assert server.connections == 0


def test_a_head_that_is_too_large_is_431(proxy):
    with proxy.connect() as s:
        s.send("GET http://127.0.0.1/ HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + "x" * 70000)
        assert s.response().status == 431


def test_a_dial_that_fails_is_502(proxy):
    port = closed_port()
    answer = proxy.get(f"http://127.0.0.1:{port}/")
    assert (answer.status, answer.phrase) == (502, "Bad Gateway")
    answer = ask_connect(proxy, f"127.0.0.1:{port}")
    assert (answer.status, answer.phrase) == (502, "Bad Gateway")
    s, reply = proxy.socks("127.0.0.1", port)
    s.close()
    assert reply == 4


def test_another_host_field_is_421_when_it_has_to_match(server):
    with Proxy(settings(requireHostMatch=True)) as proxy:
        url = f"http://127.0.0.1:{server.port}/"
        assert proxy.get(url, host="example.com").status == 421
        assert proxy.get(url, host="127.0.0.1").status == 421  # another port
        assert proxy.get(url, host=f"127.1:{server.port}").status == 200  # the same host, spelled oddly
        assert len(server.requests) == 1
        event = proxy.event(decision="deny")
        assert event["violation"].startswith("deny http-request 127.0.0.1")


def test_opaque_tunnels_can_be_refused():
    with echo() as far, Proxy(settings(refuseOpaqueTunnels=True)) as proxy:
        answer = ask_connect(proxy, f"127.0.0.1:{far.port}")
        assert answer.status == 403
        s, reply = proxy.socks("127.0.0.1", far.port)
        s.close()
        assert reply == 1 and far.connections == 0
        assert proxy.event(method="socks", decision="deny")["violation"] == \
            f"deny socks-tunnel 127.0.0.1:{far.port} (refuseOpaqueTunnels)"


# SOCKS

def greet_without_password(proxy, host, port):
    s = proxy.connect("socks")
    s.send(b"\x05\x01\x00")
    assert s.take(2) == b"\x05\x00"
    s.send(socks_request(host, port))
    return s


def test_socks_without_a_password_reads_the_destination_and_refuses(proxy, server):
    with greet_without_password(proxy, "127.0.0.1", server.port) as s:
        assert s.take(10)[1] == 2
        assert s.rest() == b""
    assert server.connections == 0


def test_ssh_without_a_password_hears_why(proxy):
    with greet_without_password(proxy, "127.0.0.1", 22) as s:
        assert s.take(10)[1] == 0
        assert s.until(b"\r\n") == b"SSH-2.0-postern"
        packet = s.rest()
    length, padding, kind, code, size = struct.unpack(">IBBII", packet[:14])
    assert length == len(packet) - 4 and len(packet) % 8 == 0 and padding >= 4 and kind == 1
    assert b"token" in packet[14:14 + size]


def test_socks_with_a_wrong_password_ends(proxy):
    with proxy.connect("socks") as s:
        s.send(b"\x05\x01\x02")
        assert s.take(2) == b"\x05\x02"
        s.send(b"\x01\x03srt\x05wrong")
        assert s.take(2)[1] != 0
        assert s.rest() == b""


BAD_NAMES = [b"a\x00b.example.com", b"fe80::1%eth0", b"a b", b"a%2e", b"\x01", b"", b"a\r\nb"]


@pytest.mark.parametrize("name", BAD_NAMES, ids=[repr(n) for n in BAD_NAMES])
def test_odd_socks_names_are_refused(proxy, name):
    with proxy.connect("socks") as s:
        s.send(b"\x05\x01\x02")
        s.take(2)
        s.send(b"\x01\x03srt" + bytes([len(TOKEN)]) + TOKEN.encode())
        s.take(2)
        s.send(socks_request(name, 80))
        reply = s.rest()
        assert reply == b"" or reply[1] != 0


def test_only_connect_is_served_to_socks(proxy):
    for command in (2, 3):
        with proxy.connect("socks") as s:
            s.send(b"\x05\x01\x02")
            s.take(2)
            s.send(b"\x01\x03srt" + bytes([len(TOKEN)]) + TOKEN.encode())
            s.take(2)
            s.send(socks_request("127.0.0.1", 80, command))
            assert s.take(10)[1] == 7


def test_socks4_is_closed(proxy):
    with proxy.connect("socks") as s:
        s.send(b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00")
        s.rest()


@pytest.mark.parametrize("kind", ["http", "socks"])
def test_both_ports_speak_both_protocols(proxy, kind):
    with echo() as far:
        s, reply = proxy.socks("127.0.0.1", far.port, kind=kind)
        assert reply == 0
        s.send("x")
        assert s.take(1) == b"x"
        s.close()
        with proxy.tunnel("127.0.0.1", far.port, kind=kind) as s:
            s.send("y")
            assert s.take(1) == b"y"
    with http() as web, proxy.connect(kind) as s:
        s.request(f"http://127.0.0.1:{web.port}/")
        assert s.response().status == 200


# Hosts

SPELLINGS = ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.0.0.1."]


@pytest.mark.parametrize("host", SPELLINGS)
def test_every_spelling_of_an_address_is_one_host(proxy, server, host):
    assert proxy.get(f"http://{host}:{server.port}/").status == 200
    assert server.requests[0][0].split("\r\n")[1] == f"Host: 127.0.0.1:{server.port}"


# What stands in the place of a host, and how it is shown (3.3.2 step 1).
MALFORMED = {
    "a%00.example.com": "a%00.example.com", "a_b%2e": "a_b%2e", "exa%mple.com": "exa%mple.com",
    "[fe80::1%25eth0]": "[fe80::1%25eth0]", "[::1": "[::1", "a..example": "a..example", ".example": ".example",
    "a.example..": "a.example..", "x" * 64 + ".example": "x" * 64 + ".example", "1.2.3.4.5": "1.2.3.4.5",
    "256.1.1.1": "256.1.1.1", "x." * 128 + "example": ("x." * 128)[:255],
}


@pytest.mark.parametrize("host, shown", MALFORMED.items())
def test_a_malformed_host_is_denied_on_every_way(proxy, host, shown):
    port = ":81" if host != "[::1" else ""
    for method, answer in [("http", lambda: proxy.get(f"http://{host}{port}/")),
                           ("connect", lambda: ask_connect(proxy, f"{host}{port}"))]:
        answer = answer()
        assert (answer.status, answer["X-Proxy-Error"]) == (403, "blocked-by-allowlist"), answer
        assert answer.phrase == ("malformed host" if method == "connect" else "Forbidden")
        assert answer.body == b"Connection blocked by network allowlist"
        event = proxy.event(method=method, decision="deny", reason="malformed host")
        assert event["host"] == shown and event["violation"].startswith("deny network-outbound ")
        assert event["violation"].endswith(" (malformed host)")
    if len(host) < 256:
        s, reply = proxy.socks(host, 81)
        s.close()
        assert reply == 2
        event = proxy.event(method="socks", decision="deny", reason="malformed host")
        assert (event["host"], event["port"]) == (shown, 81)


def test_user_information_is_denied_and_never_shown(proxy):
    for target in ["srt:secret@127.0.0.1", "srt:secret@a.example:80"]:
        assert proxy.get(f"http://{target}/", host="x").status == 403
        assert ask_connect(proxy, target).status == 403
    for method in ["http", "connect"]:
        assert "a.example" in proxy.event(method=method, host="a.example", reason="malformed host")["violation"]
    assert "secret" not in str(proxy.frames)


@pytest.mark.parametrize("name", [b"a\x00b.example", b"a\x01b.example", b"a b.example", b"a%b.example",
                                  b"fe80::1%eth0", b"\xff.example", "b\u00fccher.example".encode(), b""])
def test_a_socks_name_that_is_none_is_denied_and_told(proxy, name):
    s, reply = proxy.socks(name, 81)
    s.close()
    assert reply == 2
    event = proxy.event(method="socks", decision="deny", reason="malformed host")
    assert event["port"] == 81 and "\x01" not in event["host"] and "\x00" not in event["host"]


@pytest.mark.parametrize("port", ["0", "080", "65536", "8o", ""])
def test_a_port_that_is_none_is_a_bad_request_and_told(proxy, port):
    assert proxy.get(f"http://127.0.0.1:{port}/", host="x").status == 400
    assert ask_connect(proxy, f"127.0.0.1:{port}").status == 400
    for method in ["http", "connect"]:
        event = proxy.event(method=method, decision="deny", reason="malformed port")
        assert event["violation"] == "deny network-outbound 127.0.0.1 (malformed port)"


def test_port_0_by_socks_is_denied_and_told(proxy):
    s, reply = proxy.socks("127.0.0.1", 0)
    s.close()
    assert reply == 2 and proxy.event(method="socks", decision="deny", reason="malformed port")


@pytest.mark.parametrize("line", ["GET http://exa mple.com/ HTTP/1.1", "CONNECT a\x01b.example:443 HTTP/1.1",
                                  "CONNECT a\xffb.example:443 HTTP/1.1", "GET http://a.example/ HTTP/3.0"])
def test_what_is_no_request_line_is_a_bad_request_and_told(proxy, line):
    with proxy.connect() as s:
        s.send(f"{line}\r\nHost: x\r\nProxy-Authorization: {basic()}\r\n\r\n")
        assert s.response().status == 400 and s.rest() == b""
    event = proxy.event(method="http", decision="deny")
    assert (event["host"], event["port"]) == ("", 0)
    assert event["violation"] == "deny network-outbound (malformed request)"


def test_a_host_field_that_cannot_be_read_is_a_bad_request(proxy, server):
    for host in ["a.example, b.example", "a@b.example", "a%b.example", "a.example:x", ""]:
        assert proxy.get(f"http://127.0.0.1:{server.port}/", host=host or " ").status == 400
    assert server.requests == []


# Addresses (3.3.3)

def test_a_name_may_not_lead_to_loopback(names, server):
    hosts = names({"rebind.example.com": ["127.0.0.1", "::1"]})
    with Proxy(settings(["rebind.example.com"]), wrap=hosts) as proxy:
        answer = proxy.get(f"http://rebind.example.com:{server.port}/")
        assert answer.status == 403 and answer["X-Proxy-Error"] == "blocked-by-sandbox-runtime"
        assert b"loopback" in answer.body and b"127" not in answer.body
        answer = ask_connect(proxy, f"rebind.example.com:{server.port}")
        assert answer.status == 403 and "loopback" in answer.phrase
        assert answer["X-Proxy-Error"] == "blocked-by-sandbox-runtime"
        s, reply = proxy.socks("rebind.example.com", server.port)
        s.close()
        assert reply == 2 and server.connections == 0
        assert "loopback" in proxy.event(method="socks", decision="deny")["violation"]


@pytest.mark.parametrize("address, word", [("169.254.169.254", "link-local"), ("0.0.0.0", "unspecified"),
                                           ("224.0.0.1", "multicast"), ("100.100.100.200", "metadata"),
                                           ("::ffff:127.0.0.1", "loopback")])
def test_the_client_learns_the_class(names, address, word):
    with Proxy(settings(["x.example.com"]), wrap=names({"x.example.com": address})) as proxy:
        answer = ask_connect(proxy, "x.example.com:443")
        assert answer.status == 403 and word in answer.phrase


def test_an_address_allowed_by_itself_may_be_led_to(names, server):
    hosts = names({"x.example.com": "127.0.0.1"})
    with Proxy(settings(["x.example.com", f"127.0.0.1:{server.port}"]), wrap=hosts) as proxy:
        assert proxy.get(f"http://x.example.com:{server.port}/").status == 200
        assert ask_connect(proxy, f"x.example.com:{closed_port()}").status == 403


def test_a_host_that_is_not_canonical_has_its_denial_on_record(proxy):
    assert ask_connect(proxy, "a..b:1").status == 403
    event = proxy.event(method="connect", decision="deny", reason="malformed host")
    assert event["violation"] == "deny network-outbound a..b:1 (malformed host)"


def test_localhost_leads_to_loopback(proxy, server):
    assert proxy.get(f"http://localhost:{server.port}/").status == 200


def test_private_addresses_can_be_refused(names):
    hosts = names({"x.example.com": "10.255.255.254"})
    with Proxy(settings(["x.example.com"], x={"refusePrivate": True}), wrap=hosts) as proxy:
        assert ask_connect(proxy, "x.example.com:443").status == 403


def test_refused_addresses_are_dropped_and_another_is_dialled(names, server):
    hosts = names({"x.example.com": ["169.254.1.1", "127.0.0.1"]})
    with Proxy(settings(["x.example.com", "127.0.0.1"]), wrap=hosts) as proxy:
        assert proxy.get(f"http://x.example.com:{server.port}/").status == 200
