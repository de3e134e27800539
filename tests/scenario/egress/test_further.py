"""Proxies further out: parentProxy, mitmProxy, external proxies (contract 3.3, 3.3.4)."""

import base64
import os
import pathlib
import socket
import ssl
import subprocess
import tempfile

import pytest

from harness import (Proxy, Response, Server, Stream, basic, closed_port, echo, http, read_request, settings,
                     client_hello)

CREDENTIAL = "Basic " + base64.b64encode(b"user:p w").decode()


def relay(stream, host, port):
    """Both ways until either ends."""
    with socket.create_connection((host, port)) as far:
        stream.send(b"HTTP/1.1 200 Connection established\r\nX-Proxy: 1\r\n\r\n")
        far.sendall(stream.data)
        stream.data = b""
        import threading

        def back():
            while data := far.recv(65536):
                stream.socket.sendall(data)
            stream.end()
        thread = threading.Thread(target=back, daemon=True)
        thread.start()
        while data := stream.socket.recv(65536):
            far.sendall(data)
        far.shutdown(socket.SHUT_WR)
        thread.join()


def serve_parent(stream, server):
    """A proxy that wants CREDENTIAL, or none when server.open."""
    while True:
        request = read_request(stream)
        if request is None:
            return
        server.requests.append(request)
        line = request[0].split("\r\n")[0]
        method, target, _ = line.split(" ")
        if not getattr(server, "open", False) and f"Proxy-Authorization: {CREDENTIAL}" not in request[0]:
            stream.send(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
            return
        if method == "CONNECT":
            host, port = target.rsplit(":", 1)
            if host == "refused.example.com":
                stream.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                return
            relay(stream, "127.0.0.1", int(port))
            return
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nparent")


@pytest.fixture
def parent():
    with Server(serve_parent) as server:
        yield server


def url_of(parent, scheme="http"):
    return f"{scheme}://user:p%20w@127.0.0.1:{parent.port}"


def test_plain_requests_go_to_the_parent_in_absolute_form(parent):
    config = settings(["a.example.com"], parentProxy={"http": url_of(parent), "https": url_of(parent)})
    with Proxy(config) as proxy:
        for _ in range(2):
            assert proxy.get("http://a.example.com:81/x?y").body == b"parent"
        assert proxy.get("http://b.example.com/").status == 403
    head = parent.requests[0][0]
    assert head.startswith("GET http://a.example.com:81/x?y HTTP/1.1\r\n")
    assert f"Proxy-Authorization: {CREDENTIAL}" in head and "c3J0" not in head
    assert len(parent.requests) == 2 and parent.connections == 1


@pytest.mark.parametrize("kind", ["connect", "socks"])
def test_tunnels_go_through_the_parent_by_connect(parent, kind):
    with echo() as far, Proxy(settings(["a.example.com", "refused.example.com"],
                                       parentProxy={"https": url_of(parent)})) as proxy:
        if kind == "connect":
            s = proxy.tunnel("a.example.com", far.port)
        else:
            s, reply = proxy.socks("a.example.com", far.port)
            assert reply == 0
        s.send("hello")
        assert s.take(5) == b"hello"
        s.end()
        assert s.rest() == b""
        s.close()
        assert parent.requests[0][0].startswith(f"CONNECT a.example.com:{far.port} HTTP/1.1\r\n")
        with proxy.connect() as s:
            s.send(f"CONNECT refused.example.com:1 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: {basic()}\r\n\r\n")
            assert s.response().status == 502


def test_the_server_name_is_checked_on_the_way_to_a_parent_too(parent):
    with echo() as far, Proxy(settings(["a.example.com"], parentProxy={"https": url_of(parent)})) as proxy:
        with proxy.tunnel("a.example.com", far.port) as s:
            s.send(client_hello("b.example.com"))
            assert s.rest() == b""


def test_a_parent_that_is_gone_is_502_and_nothing_goes_direct():
    gone = f"http://127.0.0.1:{closed_port()}"
    with http() as web, Proxy(settings(["a.example.com", "10.9.9.9"],
                                       parentProxy={"http": gone, "https": gone})) as proxy:
        assert proxy.get(f"http://a.example.com:{web.port}/").status == 502
        with proxy.connect() as s:
            s.send(f"CONNECT 10.9.9.9:{web.port} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: {basic()}\r\n\r\n")
            assert s.response().status == 502
        assert web.connections == 0


def test_no_proxy_and_loopback_go_direct(parent, names):
    with http() as web:
        config = settings(["direct.example.com", "127.0.0.1", "localhost"],
                          parentProxy={"http": url_of(parent), "noProxy": "example.org,.example.com:1"})
        with Proxy(config, wrap=names({"direct.example.com": "127.0.0.1", "localhost": "127.0.0.1"})) as proxy:
            for host in "direct.example.com", "127.0.0.1", "localhost":
                assert proxy.get(f"http://{host}:{web.port}/").body == b"ok"
        assert parent.connections == 0


# TLS towards the parent

@pytest.fixture(scope="module")
def authority():
    """Files of a throw-away authority and of a certificate for 127.0.0.1."""
    with tempfile.TemporaryDirectory(prefix=f"postern-egress-{os.getpid()}-") as place:
        place = pathlib.Path(place)

        def openssl(*words):
            subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=place)
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
                "-days", "2", "-subj", "/CN=test authority")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "csr.pem", "-subj", "/CN=parent")
        for name, subject in ("good", "IP:127.0.0.1"), ("other", "DNS:other.example.com"):
            (place / "ext").write_text(f"subjectAltName={subject}\n")
            openssl("x509", "-req", "-in", "csr.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                    "-days", "2", "-extfile", "ext", "-out", f"{name}.pem")
        yield place


def tls_parent(authority, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / f"{certificate}.pem", authority / "key.pem")

    def serve(stream, server):
        try:
            wrapped = context.wrap_socket(stream.socket, server_side=True)
        except (ssl.SSLError, OSError):
            return
        with Stream(wrapped) as inner:
            inner.end = lambda: None  # TLS ends when the socket closes
            serve_parent(inner, server)
    return Server(serve)


def test_an_https_parent_is_verified_and_used(authority):
    with tls_parent(authority, "good") as parent, echo() as far:
        url = url_of(parent, "https")
        config = settings(["a.example.com"], parentProxy={"http": url, "https": url})
        with Proxy(config, env={**os.environ, "SSL_CERT_FILE": str(authority / "ca.pem")}) as proxy:
            assert proxy.get("http://a.example.com/").body == b"parent"
            data = os.urandom(1 << 20)
            with proxy.tunnel("a.example.com", far.port) as s:
                import threading
                threading.Thread(target=lambda: s.send(data), daemon=True).start()
                assert s.take(len(data)) == data


@pytest.mark.parametrize("certificate, trusted", [("other", True), ("good", False)])
def test_an_https_parent_that_cannot_be_verified_is_502(authority, certificate, trusted):
    with tls_parent(authority, certificate) as parent:
        url = url_of(parent, "https")
        env = {**os.environ, "SSL_CERT_FILE": str(authority / "ca.pem") if trusted else "/dev/null"}
        with Proxy(settings(["a.example.com"], parentProxy={"http": url, "https": url}), env=env) as proxy:
            assert proxy.get("http://a.example.com/").status == 502
        assert parent.requests == []


# mitmProxy

@pytest.fixture
def socket_path():
    with tempfile.TemporaryDirectory(prefix=f"postern-egress-{os.getpid()}-") as place:
        yield os.path.join(place, "mitm.sock")


def test_matching_hosts_go_to_the_mitm_socket(socket_path):
    with Server(serve_parent, socket.AF_UNIX, socket_path) as mitm, echo() as far, http() as web:
        mitm.open = True
        config = settings(["a.example.com", "127.0.0.1"],
                          mitmProxy={"socketPath": socket_path, "domains": ["a.example.com"]})
        with Proxy(config) as proxy:
            assert proxy.get("http://a.example.com/x").body == b"parent"
            with proxy.tunnel("a.example.com", far.port) as s:
                s.send("hello")
                assert s.take(5) == b"hello"
            assert proxy.get(f"http://127.0.0.1:{web.port}/").body == b"ok"
        assert [r[0].split("\r\n")[0] for r in mitm.requests] == \
            ["GET http://a.example.com/x HTTP/1.1", f"CONNECT a.example.com:{far.port} HTTP/1.1"]
        assert "Proxy-Authorization" not in mitm.requests[0][0]


def test_without_the_mitm_socket_there_is_an_error_and_no_direct_connection(socket_path, names):
    with http() as web:
        config = settings(["a.example.com", "127.0.0.1"],
                          mitmProxy={"socketPath": socket_path, "domains": ["a.example.com"]})
        with Proxy(config, wrap=names({"a.example.com": "127.0.0.1"})) as proxy:
            assert proxy.get(f"http://a.example.com:{web.port}/").status == 502
        assert web.connections == 0


# httpProxyPort, socksProxyPort

def test_an_external_proxy_gets_the_bytes_as_they_are():
    def serve(stream, server):
        server.requests.append(read_request(stream))
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nexternal")
    with Server(serve) as external, http() as web:
        with Proxy(settings([], httpProxyPort=external.port)) as proxy:
            answer = proxy.get("http://unknown.example.com/", auth=False)
            assert answer.body == b"external"
            assert external.requests[0][0] == "GET http://unknown.example.com/ HTTP/1.1\r\nHost: unknown.example.com"
            with proxy.connect("socks") as s:  # the other port is still ours
                s.request(f"http://127.0.0.1:{web.port}/")
                assert s.response().status == 403


def test_without_the_external_proxy_the_connection_ends():
    with Proxy(settings(socksProxyPort=closed_port())) as proxy, proxy.connect("socks") as s:
        assert s.rest() == b""
