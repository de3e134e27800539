"""Contract 3.3: what the command reaches through the proxy, and what it is told when it may not."""

import json
import re

import pytest

import servers


def curl(box, *arguments, **more):
    """curl without its NO_PROXY, which holds loopback. -sS: the body on stdout, a message on stderr."""
    return box.run("curl", "-sS", "--noproxy", "", "--max-time", "30", *arguments, **more)


def proxy_script(lines, port=3128):
    """A raw conversation with the proxy: `lines` is Python code with `s` connected and TOKEN known."""
    return f"""
import base64, os, socket, struct, sys, urllib.parse
url = urllib.parse.urlsplit(os.environ["HTTP_PROXY"])
USER, TOKEN = urllib.parse.unquote(url.username), url.password
BASIC = "Basic " + base64.b64encode(f"{{USER}}:{{TOKEN}}".encode()).decode()
s = socket.create_connection(("127.0.0.1", {port}))
s.settimeout(30)
def send(text): s.sendall(text.encode("latin-1") if isinstance(text, str) else text)
def rest():
    data = b""
    try:
        while more := s.recv(65536): data += more
    except ConnectionResetError: pass
    return data
def exactly(n):
    data = b""
    while len(data) < n:
        more = s.recv(n - len(data))
        if not more: break
        data += more
    return data
def head():
    data = b""
    while not data.endswith(b"\\r\\n\\r\\n"):
        more = s.recv(1)
        if not more: break
        data += more
    return data.decode("latin-1")
def socks(host, port, user=None, token=None):
    send(b"\\x05\\x01\\x02"); assert exactly(2) == b"\\x05\\x02"
    user, token = user or USER, token or TOKEN
    send(bytes([1, len(user)]) + user.encode() + bytes([len(token)]) + token.encode())
    if exactly(2) != b"\\x01\\x00": return "no"
    send(b"\\x05\\x01\\x00\\x03" + bytes([len(host)]) + host + struct.pack(">H", port))
    return exactly(10)[1:2]
{lines}
"""


def talk(box, lines, port=3128, **more):
    return box.run("python3", "-c", proxy_script(lines, port), **more)


@pytest.fixture
def open_box(box):
    """A box that may reach localhost."""
    box.settings(allowed=["localhost"])
    return box


# Programs

def test_curl_over_http(open_box, web):
    assert curl(open_box, f"http://localhost:{web.port}/").ok() == "hello from the host\n"


def test_curl_over_https_in_a_tunnel(open_box, secure_web, certificate):
    done = curl(open_box, "--cacert", certificate[0], f"https://localhost:{secure_web.port}/")
    assert done.ok() == "hello from the host\n"


def test_curl_over_socks(open_box, web):
    done = open_box.sh(f"curl -sS --noproxy '' -x $FTP_PROXY http://localhost:{web.port}/")
    assert done.ok() == "hello from the host\n"


@pytest.mark.parametrize("port", [3128, 1080])
@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_both_ports_speak_both(open_box, web, port, scheme):
    done = open_box.sh('cred=${HTTP_PROXY#http://}; cred=${cred%@*}; '
                       f"curl -sS --noproxy '' -x {scheme}://$cred@localhost:{port} http://localhost:{web.port}/")
    assert done.ok() == "hello from the host\n"


def test_wget(open_box, web):
    done = open_box.run("wget", "-q", "-O", "-", "--no-config", "-e", "no_proxy=", f"http://localhost:{web.port}/",
                        env={})
    assert done.ok() == "hello from the host\n"


def test_python_urllib(open_box, web):
    script = ("import os, urllib.request\nos.environ.pop('no_proxy'); os.environ.pop('NO_PROXY')\n"
              f"print(urllib.request.urlopen('http://localhost:{web.port}/').read().decode(), end='')")
    assert open_box.run("python3", "-c", script).ok() == "hello from the host\n"


def test_a_body_goes_up_and_comes_back(open_box, web):
    data = bytes(range(256)) * 2000
    done = curl(open_box, "--data-binary", "@-", f"http://localhost:{web.port}/echo", input=data)
    assert done.code == 0 and done.raw_out == data


def test_a_chunked_body(open_box, web):
    done = curl(open_box, "-H", "Transfer-Encoding: chunked", "--data-binary", "@-",
                f"http://localhost:{web.port}/echo", input=b"x" * 100_000)
    assert done.code == 0 and done.raw_out == b"x" * 100_000


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE"])
def test_methods_pass(open_box, web, method):
    flags = ["-I"] if method == "HEAD" else ["-X", method]
    curl(open_box, *flags, f"http://localhost:{web.port}/p?q=1").ok()
    assert [(m, p) for m, p, _, _ in web.seen] == [(method, "/p?q=1")]


def test_large_answers_arrive_whole(open_box, web):
    web.bodies["/big"] = b"0123456789abcdef" * (1 << 20)
    done = open_box.sh(f"curl -sS --noproxy '' http://localhost:{web.port}/big | sha256sum")
    import hashlib
    assert done.ok().split()[0] == hashlib.sha256(web.bodies["/big"]).hexdigest()


def test_half_close_is_kept(open_box):
    """The answer comes only after the client's end of data."""
    with servers.Counter() as counter:
        done = talk(open_box, f'''
send(f"CONNECT localhost:{counter.port} HTTP/1.1\\r\\nHost: localhost:{counter.port}\\r\\nProxy-Authorization: {{BASIC}}\\r\\n\\r\\n")
assert " 200 " in head()
for i in range(100): send(b"x" * 10000)
s.shutdown(socket.SHUT_WR)
print(rest().decode(), end="")''')
    assert done.ok() == "1000000\n"


def test_parallel_connections(open_box, web):
    urls = " ".join(f"http://localhost:{web.port}/n{i}" for i in range(40))
    done = open_box.sh(f"curl -sS --noproxy '' --parallel --parallel-max 16 {urls} | wc -l")
    assert done.ok().strip() == "40"


# What reaches the host

def test_hop_by_hop_headers_and_the_credential_stay_behind(open_box, web):
    done = talk(open_box, f'''
send(f"GET http://LOCALHOST.:{web.port}/x HTTP/1.1\\r\\nHost: evil.example\\r\\nProxy-Authorization: {{BASIC}}\\r\\n"
     "Connection: close, X-Hop\\r\\nX-Hop: 1\\r\\nKeep-Alive: 5\\r\\nTE: trailers\\r\\nProxy-Connection: keep-alive\\r\\nX-Keep: 2\\r\\n\\r\\n")
print(rest().decode().split()[1])''')
    assert done.ok() == "200\n"
    _, path, headers, _ = web.seen[0]
    names = {name.lower(): value for name, value in headers}
    assert path == "/x" and names["host"] == f"localhost:{web.port}" and names["x-keep"] == "2"
    assert not {"proxy-authorization", "x-hop", "keep-alive", "te", "proxy-connection"} & set(names)


def test_each_request_of_a_connection_is_judged(open_box, web):
    done = talk(open_box, f'''
auth = f"Proxy-Authorization: {{BASIC}}\\r\\n"
send(f"GET http://localhost:{web.port}/1 HTTP/1.1\\r\\nHost: localhost\\r\\n{{auth}}\\r\\n"
     f"GET http://denied.example/2 HTTP/1.1\\r\\nHost: denied.example\\r\\n{{auth}}Connection: close\\r\\n\\r\\n")
print(rest().decode("latin-1"))''')
    answers = re.findall(r"HTTP/1\.1 (\d+)", done.ok())
    assert answers == ["200", "403"] and len(web.seen) == 1


# Refusals, 3.3.6

def test_a_denied_host_over_http(box, web):
    box.settings(allowed=["other.example"])
    done = curl(box, "-i", f"http://localhost:{web.port}/")
    head, _, body = done.ok().replace("\r\n", "\n").partition("\n\n")
    assert head.split()[1] == "403" and "X-Proxy-Error: blocked-by-allowlist" in head
    assert "Content-Type: text/plain" in head and "Connection blocked by network allowlist" in body
    assert web.seen == []


@pytest.mark.parametrize("settings, phrase", [
    (dict(allowed=[]), "host is not on the allow list"),
    (dict(allowed=["localhost"], denied=["localhost"]), "host is on the deny list"),
    (dict(allowed=["localhost"], denied=["*"]), "host is on the deny list"),
    (dict(allowed=["localhost"], denied=["localhost"],
          network={"deniedDomainReasons": {"localhost": "ask the owner"}}), "ask the owner"),
    (dict(allowed=["localhost"], denied=["localhost"],
          network={"deniedDomainReasons": {"localhost": "n\u00f6\r\nX: y"}}), "n? X: y"),
    (dict(allowed=["localhost:1"]), "host is not on the allow list"),
])
def test_a_denied_tunnel_carries_the_reason(box, secure_web, settings, phrase):
    box.settings(**settings)
    done = talk(box, f'''
send(f"CONNECT localhost:{secure_web.port} HTTP/1.1\\r\\nHost: localhost:{secure_web.port}\\r\\nProxy-Authorization: {{BASIC}}\\r\\n\\r\\n")
print(head())''')
    status, *fields = done.ok().splitlines()
    assert re.sub(r"\s+", " ", status) == f"HTTP/1.1 403 {phrase}", status
    assert "X-Proxy-Error: blocked-by-allowlist" in fields and not any(f.startswith("X: ") for f in fields)


def test_a_denied_host_over_socks_is_reply_2(box, echo):
    box.settings(allowed=[])
    done = talk(box, f'print(socks(b"localhost", {echo.port}))', 1080)
    assert done.ok() == "b'\\x02'\n" and echo.connections == []


def test_socks_works(open_box, echo):
    done = talk(open_box, f'print(socks(b"localhost", {echo.port})); send("ping"); print(exactly(4))', 1080)
    assert done.ok() == "b'\\x00'\nb'ping'\n"


def test_a_name_that_leads_to_loopback_is_refused(box, web):
    """Only localhost and *.localhost may. The name of this machine leads to an address of it."""
    import socket
    name = socket.gethostname()
    try:
        socket.gethostbyname(name)
    except OSError:
        pytest.skip("the name of this machine does not resolve")
    if "." not in name:
        pytest.skip("the name of this machine has no dot and cannot stand in allowedDomains")
    box.settings(allowed=[name])
    done = curl(box, "-i", f"http://{name}:{web.port}/")
    assert done.out.split()[1] == "403" and "blocked-by-sandbox-runtime" in done.out and web.seen == []


def test_a_literal_that_is_allowed_is_not_judged_again(box, web):
    box.settings(allowed=["127.0.0.1"])
    assert curl(box, f"http://127.0.0.1:{web.port}/").ok() == "hello from the host\n"


@pytest.mark.parametrize("spelling", ["127.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.0.0.1."])
def test_spellings_of_a_literal_are_one_host(box, web, spelling):
    box.settings(allowed=["127.0.0.1"])
    done = talk(box, f'''
send(f"GET http://{spelling}:{web.port}/ HTTP/1.1\\r\\nHost: x\\r\\nProxy-Authorization: {{BASIC}}\\r\\nConnection: close\\r\\n\\r\\n")
print(rest().decode().split()[1])''')
    assert done.ok() == "200\n"
    assert dict(web.seen[0][2])["Host"] == f"127.0.0.1:{web.port}"


@pytest.mark.parametrize("host", ["exa%mple.com", "a_b!c.example", "x" * 256, "a b.example", "a\\x00b.example",
                                  "user@localhost"])
def test_a_malformed_host_is_refused(open_box, host):
    done = talk(open_box, f'''
host = "{host}"
send(f"CONNECT {{host}}:443 HTTP/1.1\\r\\nHost: {{host}}\\r\\nProxy-Authorization: {{BASIC}}\\r\\n\\r\\n")
print((head() or "closed").split()[1:2])''')
    want = "['400']" if " " in host or "x00" in host else "['403']"  # a request line that is none
    assert done.code == 0 and done.out.strip() == want, repr(done)


def test_a_malformed_host_is_a_violation_and_a_record_on_every_way(open_box):
    host, log = "exa%mple.com", open_box.etc / "audit.jsonl"
    done = talk(open_box, f'''
for line in ["GET http://{host}/ HTTP/1.1", "CONNECT {host}:443 HTTP/1.1", "CONNECT {host}\\x01:443 HTTP/1.1"]:
    s = socket.create_connection(("127.0.0.1", 3128))
    send(f"{{line}}\\r\\nHost: {host}\\r\\nProxy-Authorization: {{BASIC}}\\r\\nConnection: close\\r\\n\\r\\n")
    print(rest().decode().split()[1])
s = socket.create_connection(("127.0.0.1", 1080))
print(socks(b"{host}", 22))''', options=["--audit-file", str(log), "--violations=stderr"])
    assert done.ok().split() == ["403", "403", "400", r"b'\x02'"]
    for line in [f"{host}:80 (malformed host)", f"{host}:443 (malformed host)", f"{host}:22 (malformed host)",
                 "(malformed request)"]:
        assert f"deny network-outbound {line}\n" in done.err, repr(done)
    seen = [(r.get("object", ""), r["decision"], r["method"], r["reason"])
            for r in map(json.loads, log.read_text().splitlines()) if r["kind"] == "net"]
    assert seen == [(f"{host}:80", "deny", "http", "malformed host"), (f"{host}:443", "deny", "connect", "malformed host"),
                    ("", "deny", "http", "malformed request"), (f"{host}:22", "deny", "socks", "malformed host")]


@pytest.mark.parametrize("auth", ["", "Proxy-Authorization: Basic c3J0Ondyb25n\\r\\n", "Proxy-Authorization: Bearer x\\r\\n"])
@pytest.mark.parametrize("request_line", ["GET http://localhost:1/ HTTP/1.1", "CONNECT localhost:1 HTTP/1.1"])
def test_without_the_token_407(open_box, auth, request_line):
    done = talk(open_box, f'send("{request_line}\\r\\nHost: localhost:1\\r\\n{auth}\\r\\n"); print(head())')
    text = done.ok()
    assert text.split()[1] == "407" and 'Proxy-Authenticate: Basic realm="srt"' in text


def test_socks_with_a_wrong_token_is_refused(open_box, echo):
    done = talk(open_box, f'print(socks(b"localhost", {echo.port}, "srt", "0" * 32))', 1080)
    assert done.ok() == "no\n" and echo.connections == []


def test_socks_without_a_method_for_the_token(open_box, echo):
    done = talk(open_box, f'''
send(b"\\x05\\x01\\x00"); print(exactly(2))
send(b"\\x05\\x01\\x00\\x03\\x09localhost" + struct.pack(">H", {echo.port})); print(exactly(10)[1:2])''', 1080)
    assert done.ok() == "b'\\x05\\x00'\nb'\\x02'\n" and echo.connections == []


def test_socks_to_port_22_without_the_token_says_why_in_ssh(open_box):
    done = talk(open_box, '''
send(b"\\x05\\x01\\x00"); exactly(2)
send(b"\\x05\\x01\\x00\\x03\\x09localhost" + struct.pack(">H", 22)); print(exactly(10)[1:2])
print(rest())''', 1080)
    assert done.ok().startswith("b'\\x00'\n") and len(done.out) > 20


@pytest.mark.parametrize("bad, status", [
    ("GET\\r\\n\\r\\n", "400"), ("GET / HTTP/1.1\\r\\nHost: localhost\\r\\nA: b\\r\\n c\\r\\n\\r\\n", "400"),
    ("GET http://localhost/ HTTP/1.1\\r\\n\\r\\n", "400"),
    ("POST http://localhost/ HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Length: 3\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n", "400"),
    ("GET http://localhost/ HTTP/1.1\\r\\nHost: a\\r\\nHost: b\\r\\n\\r\\n", "400"),
    ("CONNECT localhost HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n", "400"),
    ("GET http://localhost/ HTTP/1.1\\r\\nHost: localhost\\r\\n" + "A: " + "x" * 70000 + "\\r\\n\\r\\n", "431"),
])
def test_bad_heads(open_box, bad, status):
    text = bad.replace("\\r\\nHost:", "\\r\\nProxy-Authorization: {BASIC}\\r\\nHost:", 1)
    done = talk(open_box, f'send(f"{text}"); print((head() or "- closed").split()[1])')
    assert done.code == 0 and done.out.strip() in (status, "400", "407") and \
        (status != "431" or done.out.strip() == "431"), repr(done)


def test_a_dial_that_fails_is_502(open_box):
    done = curl(open_box, "-i", "http://localhost:1/")
    assert done.out.split()[1] == "502"


@pytest.mark.parametrize("first, code", [("GET http://localhost:1/ HTTP/1.1", "502"), ("CONNECT localhost:1 HTTP/1.1", "502")])
def test_a_dial_that_fails_in_both_forms(open_box, first, code):
    done = talk(open_box, f'send(f"{first}\\r\\nHost: localhost:1\\r\\nProxy-Authorization: {{BASIC}}\\r\\n\\r\\n"); print(head().split()[1])')
    assert done.ok() == f"{code}\n"


def test_a_dial_that_fails_over_socks_is_reply_4(open_box):
    assert talk(open_box, 'print(socks(b"localhost", 1))', 1080).ok() == "b'\\x04'\n"


# Other ways out

@pytest.mark.parametrize("transparent", [False, True])
def test_nothing_goes_round_the_proxy(open_box, clients, web, transparent):
    open_box.settings(allowed=["localhost"], x={"network": {"transparent": transparent}})
    done = open_box.run(clients("connect"), "192.0.2.1", "80")
    assert done.code == 1 and done.out.strip() in ("ENETUNREACH", "ECONNREFUSED", "EACCES", "EPERM")
    assert web.seen == []


@pytest.mark.parametrize("family, kind, protocol", [
    ("AF_INET", "SOCK_RAW", 1), ("AF_PACKET", "SOCK_RAW", 0), ("AF_VSOCK", "SOCK_STREAM", 0), ("AF_ALG", "SOCK_SEQPACKET", 0),
    ("AF_BLUETOOTH", "SOCK_RAW", 1), ("AF_INET", "SOCK_STREAM", 262), ("AF_NETLINK", "SOCK_RAW", 12),
])
def test_families_that_are_refused(box, family, kind, protocol):
    script = (f"import socket\ntry: socket.socket(socket.{family}, socket.{kind}, {protocol}); print('made')\n"
              "except OSError as e: print('refused')")
    assert box.run("python3", "-c", script).ok() == "refused\n"


# Parent proxy, 3.3.4

def test_plain_http_goes_to_the_parent_proxy(box, web):
    """The web server plays the parent: it gets the absolute form for a name nobody can resolve."""
    box.settings(allowed=["far.example"], network={"parentProxy": {"http": f"http://me:pw@127.0.0.1:{web.port}"}})
    curl(box, "http://far.example/path").ok()
    method, target, headers, _ = web.seen[0]
    assert (method, target) == ("GET", "http://far.example/path")
    assert dict(headers)["Proxy-Authorization"] == "Basic bWU6cHc="


def test_the_parent_proxy_comes_from_the_caller_s_environment(box, web):
    box.settings(allowed=["far.example"])
    curl(box, "http://far.example/", env={"http_proxy": f"127.0.0.1:{web.port}"}).ok()
    assert web.seen[0][1] == "http://far.example/"


def test_no_proxy_of_the_caller_means_direct(box, web):
    box.settings(allowed=["far.example"])
    done = curl(box, "-i", "http://far.example/",
                env={"http_proxy": f"http://127.0.0.1:{web.port}", "no_proxy": "far.example"})
    assert done.out.split()[1:2] == ["502"] and web.seen == []


def test_loopback_is_always_direct(open_box, web):
    assert curl(open_box, f"http://localhost:{web.port}/", env={"http_proxy": "http://127.0.0.1:1"}).ok()


def test_a_bad_parent_proxy_url_refuses_to_start(open_box):
    done = open_box.run("echo", "ran", env={"http_proxy": "ftp://nonsense"})
    assert done.code == 1 and done.out == ""
