"""Runs the egress proxy alone: a channel as descriptor 3, listeners on loopback, no namespaces.

`Proxy` is the supervisor's side. `Server` is something to be reached. Both are ordinary threads and
sockets; every wait has a deadline and no test waits for time to pass.
"""

import array
import base64
import json
import os
import pathlib
import socket
import struct
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
ENGINE = pathlib.Path(os.environ.get("POSTERN_ENGINE") or ROOT / "build" / "postern-engine")
TOKEN = "0123456789abcdef0123456789abcdef"
PATIENCE = 20  # seconds before something counts as not coming


def settings(allowed=("127.0.0.1", "localhost"), denied=(), x=None, **network):
    """A settings object; `network` merges into that section, `x` is x.network."""
    whole = {
        "network": {"allowedDomains": list(allowed), "deniedDomains": list(denied), **network},
        "filesystem": {"denyRead": [], "allowWrite": [], "denyWrite": []},
    }
    if x is not None:
        whole["x"] = {"network": x}
    return whole


def basic(user="srt", token=TOKEN):
    return "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()


def socks_request(host, port, command=1):
    """The request message for a name or an IPv4 literal given as a tuple of four."""
    if isinstance(host, tuple):
        where = b"\x01" + bytes(host)
    else:
        name = host if isinstance(host, bytes) else host.encode()
        where = b"\x03" + bytes([len(name)]) + name
    return b"\x05" + bytes([command]) + b"\x00" + where + struct.pack(">H", port)


def client_hello(name=None, ech=False):
    """A TLS 1.3 ClientHello record."""
    extensions = b""
    if name is not None:
        host = name.encode()
        entry = b"\x00" + struct.pack(">H", len(host)) + host
        names = struct.pack(">H", len(entry)) + entry
        extensions += struct.pack(">HH", 0, len(names)) + names
    extensions += struct.pack(">HH", 43, 3) + b"\x02\x03\x04"
    if ech:
        extensions += struct.pack(">HH", 0xfe0d, 4) + b"\x00\x00\x01\x00"
    body = b"\x03\x03" + bytes(32) + b"\x00" + struct.pack(">H", 2) + b"\x13\x01" + b"\x01\x00"
    body += struct.pack(">H", len(extensions)) + extensions
    handshake = b"\x01" + struct.pack(">I", len(body))[1:] + body
    return b"\x16\x03\x01" + struct.pack(">H", len(handshake)) + handshake


def closed_port():
    """A port of loopback where nobody listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Proxy:
    def __init__(self, config=None, ask=False, listeners=("http", "socks"), wrap=(), env=None,
                 sockets=None):
        ours, theirs = socket.socketpair()
        self.sockets, self.addresses = [], {}
        for kind in listeners:
            self.sockets.append(sockets[kind] if sockets else self.listen(kind))
        self.frames, self.news = [], threading.Condition()
        self.closed = self.ended = False

        # For a build with sanitizers: the leak check needs ptrace, which the proxy has given up.
        env = {"ASAN_OPTIONS": "detect_leaks=0:quarantine_size_mb=1", **(env or os.environ)}

        def give_channel():
            os.dup2(theirs.fileno(), 3)

        self.process = subprocess.Popen(
            [*wrap, ENGINE, "egress"], pass_fds=[3], preexec_fn=give_channel,
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env)
        theirs.close()
        self.channel = ours
        self.send({"t": "config", "settings": json.dumps(config or settings()), "strict": False,
                   "token": TOKEN, "ask": ask, "transparent": "transparent" in listeners,
                   "listeners": list(listeners)}, self.sockets)
        for s in self.sockets:
            s.close()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        self.wait(lambda f: f["t"] == "ready")

    def listen(self, kind):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "dns-udp" else socket.SOCK_STREAM)
        s.bind(("127.0.0.1", 0))
        if kind != "dns-udp":
            s.listen(2048)
        self.addresses[kind] = s.getsockname()
        return s

    def send(self, frame, sockets=()):
        text = json.dumps(frame).encode()
        data = struct.pack(">I", len(text)) + text
        rights = []
        if sockets:
            fds = array.array("i", [s.fileno() for s in sockets])
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)]
        sent = self.channel.sendmsg([data], rights)
        if sent < len(data):
            self.channel.sendall(data[sent:])

    def read(self):
        data = b""
        while True:
            try:
                more = self.channel.recv(65536)
            except OSError:
                more = b""
            if not more:
                break
            data += more
            while len(data) >= 4 and len(data) - 4 >= struct.unpack(">I", data[:4])[0]:
                size = struct.unpack(">I", data[:4])[0]
                with self.news:
                    self.frames.append(json.loads(data[4:4 + size]))
                    self.news.notify_all()
                data = data[4 + size:]
        with self.news:
            self.closed = True
            self.news.notify_all()

    def wait(self, fits, since=0):
        """The first frame from number `since` on that fits."""
        deadline = time.monotonic() + PATIENCE
        with self.news:
            while True:
                for frame in self.frames[since:]:
                    if fits(frame):
                        return frame
                left = deadline - time.monotonic()
                assert not self.closed and left > 0, f"no such frame; there were {self.frames[-20:]}"
                self.news.wait(left)

    def event(self, since=0, **fields):
        return self.wait(lambda f: f["t"] == "net" and all(f.get(k) == v for k, v in fields.items()), since)

    def asked(self, since=0, **fields):
        return self.wait(lambda f: f["t"] == "ask" and all(f.get(k) == v for k, v in fields.items()), since)

    def update(self, config):
        self.send({"t": "update", "settings": json.dumps(config)})

    def answer(self, question, allow, reason=None):
        frame = {"t": "answer", "id": question["id"], "allow": allow}
        if reason is not None:
            frame["reason"] = reason
        self.send(frame)

    def connect(self, kind="http"):
        s = socket.create_connection(self.addresses[kind], timeout=PATIENCE)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Stream(s)

    def tunnel(self, host, port, kind="http", extra=""):
        """A CONNECT that must be answered 200."""
        s = self.connect(kind)
        s.send(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n"
               f"Proxy-Authorization: {basic()}\r\n{extra}\r\n")
        answer = s.response(body=False)
        assert answer.status == 200, answer
        return s

    def get(self, url, method="GET", headers=(), body=b"", host=None, auth=True):
        """One request on a connection of its own."""
        with self.connect() as s:
            s.request(url, method, headers, body, host, auth)
            return s.response(method=method)

    def socks(self, host, port, user="srt", token=TOKEN, kind="socks"):
        """SOCKS5 with user and password. (stream, reply code of the request)"""
        s = self.connect(kind)
        s.send(b"\x05\x01\x02")
        assert s.take(2) == b"\x05\x02"
        s.send(bytes([1, len(user)]) + user.encode() + bytes([len(token)]) + token.encode())
        assert s.take(2) == b"\x01\x00"
        s.send(socks_request(host, port))
        return s, s.take(10)[1]

    def memory(self):
        """Resident memory of the proxy in bytes."""
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def finish(self):
        self.send({"t": "finish"})
        totals = self.wait(lambda f: f["t"] == "totals")
        assert self.process.wait(PATIENCE) == 0
        return totals

    def close(self):
        if self.ended:
            return ""
        self.ended = True
        if not self.closed:
            try:
                self.channel.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the proxy was faster
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.reader.join()
        self.channel.close()
        errors = self.process.stderr.read().decode(errors="replace")
        self.process.stderr.close()
        assert code == 0, f"the proxy ended with {code}: {errors}"
        assert "ERROR" not in errors and "runtime error" not in errors, errors
        return errors

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.close()


class Response:
    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        version, status, *phrase = lines[0].split(" ", 2)
        self.version, self.status, self.phrase = version, int(status), phrase[0] if phrase else ""
        self.fields = [tuple(line.split(": ", 1)) if ": " in line else (line.rstrip(":"), "") for line in lines[1:]]
        self.body = body

    def __getitem__(self, name):
        for key, value in self.fields:
            if key.lower() == name.lower():
                return value
        return None

    def __repr__(self):
        return f"{self.status} {self.phrase} {self.fields} {self.body[:200]!r}"


class Stream:
    """A socket with what has been read and not been used."""

    def __init__(self, s):
        self.socket, self.data = s, b""
        s.settimeout(PATIENCE)

    def send(self, data):
        self.socket.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def end(self):
        self.socket.shutdown(socket.SHUT_WR)

    def more(self):
        """Reads once; False at the end or after a reset."""
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        self.data += data
        return bool(data)

    def take(self, n):
        while len(self.data) < n:
            if not self.more():
                raise EOFError(self.data)
        part, self.data = self.data[:n], self.data[n:]
        return part

    def until(self, mark):
        while mark not in self.data:
            if not self.more():
                raise EOFError(self.data)
        part, self.data = self.data.split(mark, 1)
        return part

    def rest(self):
        while self.more():
            pass
        part, self.data = self.data, b""
        return part

    def request(self, url, method="GET", headers=(), body=b"", host=None, auth=True):
        text = f"{method} {url} HTTP/1.1\r\n"
        text += f"Host: {host or url.split('/')[2]}\r\n"
        if auth:
            text += f"Proxy-Authorization: {basic()}\r\n"
        for line in headers:
            text += line + "\r\n"
        self.send(text.encode("latin-1") + b"\r\n" + body)

    def response(self, method="GET", body=True):
        head = self.until(b"\r\n\r\n")
        answer = Response(head, b"")
        if not body or method == "HEAD" or answer.status in (204, 304) or answer.status < 200:
            return answer
        if answer["Transfer-Encoding"]:
            while True:
                size = int(self.until(b"\r\n"), 16)
                answer.body += self.take(size)
                assert self.take(2) == b"\r\n"
                if size == 0:
                    return answer
        if answer["Content-Length"] is not None:
            answer.body = self.take(int(answer["Content-Length"]))
        else:
            answer.body = self.rest()
        return answer

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.close()


class Server:
    """Accepts on loopback and serves each connection with `serve(stream, server)` in a thread."""

    def __init__(self, serve, family=socket.AF_INET, address=("127.0.0.1", 0)):
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        if family != socket.AF_UNIX:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(address)
        self.listener.listen(1024)
        self.port = self.listener.getsockname()[1] if family != socket.AF_UNIX else None
        self.serve, self.connections, self.requests = serve, 0, []
        self.failures = []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.one, args=(s,), daemon=True).start()

    def one(self, s):
        with Stream(s) as stream:
            try:
                self.serve(stream, self)
            except (EOFError, OSError, AssertionError, ValueError) as failure:
                self.failures.append(failure)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.close()


def read_request(stream):
    """(head text, body) as they came over the wire, chunks put together; None at the end."""
    try:
        head = stream.until(b"\r\n\r\n").decode("latin-1")
    except EOFError:
        return None
    fields = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in head.split("\r\n")[1:]}
    body = b""
    if fields.get("transfer-encoding") == "chunked":
        while True:
            size = int(stream.until(b"\r\n"), 16)
            body += stream.take(size)
            assert stream.take(2) == b"\r\n"
            if size == 0:
                break
    elif "content-length" in fields:
        body = stream.take(int(fields["content-length"]))
    return head, body


def http(answer=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"):
    """A server that keeps the requests and gives each the same bytes, or what `answer(head, body)`
    returns; None ends the connection."""
    def serve(stream, server):
        while True:
            request = read_request(stream)
            if request is None:
                return
            server.requests.append(request)
            said = answer(*request) if callable(answer) else answer
            if said is None:
                return
            stream.send(said)
            if b"Connection: close" in said:
                return
    return Server(serve)


def echo():
    """Gives back what it gets, and ends when the other side has."""
    def serve(stream, server):
        while True:
            data = stream.socket.recv(65536)
            if not data:
                stream.end()
                return
            stream.send(data)
    return Server(serve)
