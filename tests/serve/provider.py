"""A model provider on the host's loopback that says what the test wrote down beforehand.

    with Provider([{"content": [{"text": "hello"}]}, …]) as provider:
        … provider.url, provider.requests, provider.wait_for(2) …

It speaks the streaming wires of POST /v1/messages and POST /v1/chat/completions (wires.py says what a
turn holds). The turns are a list, taken one a request, or a function of the request; a turn may be
a function of the request too. What else a turn may hold:

    status, headers, body   an answer without a stream, such as 429 with {"retry-after": "1"}
    cut_at                  closes the connection after this many bytes of the stream
    bytes                   sends the stream in pieces of this many bytes, one write each
    raw                     these bytes in place of the stream
    gate                    a threading.Semaphore: each piece takes one from it first
    before, after           a threading.Event: the answer waits for it, at all or after its head
    framing                 "chunked" (default) or "close"

Keys that it was sent are kept, but never shown: `request.key` compares, and prints as <hidden>.
"""

import http.server
import json
import sys
import threading

import wires
from threaded import Threaded

WAIT = 60  # seconds: a bound for what should come at once, so that a mistake does not hang the suite
SECRET_HEADERS = ("x-api-key", "authorization", "proxy-authorization")


class Hidden(str):
    def __repr__(self):
        return "<hidden>"


class Request:
    def __init__(self, path, headers, body):
        self.path = path
        names = {name.lower(): value for name, value in headers}
        secret = names.get("x-api-key") or names.get("authorization", "").removeprefix("Bearer ")
        self.key = Hidden(secret)
        self.headers = {name: Hidden(value) if name in SECRET_HEADERS else value for name, value in names.items()}
        self.body = json.loads(body) if body else None
        self.gone = threading.Event()  # set when the client left before the answer had ended

    def __repr__(self):
        return f"<{self.path} {json.dumps(self.body)[:2000]}>"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = self.read_chunks()
        request = Request(self.path, self.headers.items(), body)
        turn = self.server.owner.take(request)
        try:
            self.answer(turn, request)
        except (BrokenPipeError, ConnectionResetError):
            request.gone.set()
            self.close_connection = True

    def read_chunks(self):
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self, turn, request):
        if "before" in turn:
            turn["before"].wait(WAIT)
        if "status" in turn:
            return self.plain(turn)
        chunked = turn.get("framing", "chunked") == "chunked"
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("request-id", f"req_provider_{turn['number']}")
        for name, value in turn.get("headers", {}).items():
            self.send_header(name, value)
        if chunked:
            self.send_header("transfer-encoding", "chunked")
        else:
            self.send_header("connection", "close")
        self.end_headers()
        if "after" in turn:
            turn["after"].wait(WAIT)
        for piece in self.pieces(turn, request):
            if "gate" in turn and not turn["gate"].acquire(timeout=WAIT):
                break
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        if "cut_at" in turn:
            self.close_connection = True
        elif chunked:
            self.wfile.write(b"0\r\n\r\n")

    def plain(self, turn):
        default = {"type": "error", "error": {"type": "api_error", "message": f"status {turn['status']}"}}
        body = turn.get("body", default)
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(turn["status"])
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        for name, value in turn.get("headers", {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    @staticmethod
    def pieces(turn, request):
        stream = wires.messages_stream if request.path.split("?")[0].endswith("/messages") else wires.chat_stream
        events = [turn["raw"]] if "raw" in turn else stream(turn, request.body)
        if "cut_at" in turn:
            events = [b"".join(events)[:turn["cut_at"]]]
        if "bytes" in turn:
            whole = b"".join(events)
            events = [whole[at:at + turn["bytes"]] for at in range(0, len(whole), turn["bytes"])]
        return [piece for piece in events if piece]

    def log_message(self, *_):
        pass


class Listener(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A client that left between two requests is no trouble of the test's."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Provider(Threaded):
    def __init__(self, turns):
        self.turns = turns
        self.requests = []
        self.changed = threading.Condition()
        self.listen(0)

    def listen(self, port):
        self.server = Listener(("127.0.0.1", port), Handler)
        self.server.owner = self

    def start_again(self, port):
        """Back on its old port, after a time away."""
        self.listen(port)
        self.__enter__()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def take(self, request):
        with self.changed:
            number = len(self.requests)
            self.requests.append(request)
            self.changed.notify_all()
            if callable(self.turns):
                turn = self.turns(request)
            elif number < len(self.turns):
                turn = self.turns[number]
            else:
                turn = {"status": 400, "body": {"type": "error", "error": {
                    "type": "invalid_request_error", "message": f"the test has no turn {number + 1}"}}}
        turn = turn(request) if callable(turn) else turn
        return {"number": number, **turn}

    def wait_for(self, count):
        """Waits until this many requests have come, and gives the last of them."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.requests) >= count, WAIT), \
                f"{len(self.requests)} of {count} requests came: {self.requests}"
            return self.requests[count - 1]
