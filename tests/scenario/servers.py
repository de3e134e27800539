"""Servers on the host's loopback that the sandboxed clients try to reach."""

import http.server
import socket
import socketserver
import ssl
import threading


class Threaded:
    """Runs a socketserver in a thread for the length of a `with`."""

    server = None

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()
        self.port = self.server.server_address[1]
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = self.read_chunks()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.command, self.path, list(self.headers.items()), body))
        text = self.server.bodies.get(self.path, b"hello from the host\n")
        if self.path == "/echo":
            text = body
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def read_chunks(self):
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = answer

    def log_message(self, *_):
        pass


class WebServer(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A client that goes away, or that refuses our certificate, is part of the tests."""


class Web(Threaded):
    """`seen` holds (method, path, headers, body) of each request that reached the host."""

    def __init__(self, certificate=None, address="127.0.0.1"):
        self.server = WebServer((address, 0), Handler)
        self.server.seen = self.seen = []
        self.server.bodies = self.bodies = {}
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)


class EchoHandler(socketserver.BaseRequestHandler):
    def handle(self):
        self.server.connections.append(self.client_address)
        self.request.settimeout(30)
        try:
            while data := self.request.recv(65536):
                self.request.sendall(data)
            self.request.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class EchoServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256


class Echo(Threaded):
    """`connections` holds the peers that reached the host."""

    def __init__(self, address="127.0.0.1"):
        self.server = EchoServer((address, 0), EchoHandler)
        self.server.connections = self.connections = []


class ByteCounter(socketserver.BaseRequestHandler):
    """Reads until the client's end of data, then answers with the count: half-close must live."""

    def handle(self):
        count = 0
        while data := self.request.recv(65536):
            count += len(data)
        self.request.sendall(f"{count}\n".encode())


class Counter(Threaded):
    def __init__(self, address="127.0.0.1"):
        self.server = EchoServer((address, 0), ByteCounter)
