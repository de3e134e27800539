"""Raw calls to the server: HTTP as it is on the wire, answers as they came, streams byte by byte."""

import http.client
import json
import queue
import socket
import threading
import urllib.parse

WAIT = 60  # seconds: a bound for what should come at once, so that a mistake does not hang the suite


class Answer:
    def __init__(self, status, headers, raw):
        self.status, self.raw = status, raw
        self.headers = {name.lower(): value for name, value in headers}

    @property
    def json(self):
        return json.loads(self.raw)

    @property
    def error(self):
        """(type, message) of the error envelope; fails when it is none."""
        body = self.json
        assert body["type"] == "error" and body["request_id"] == self.headers["request-id"], body
        return body["error"]["type"], body["error"]["message"]

    @property
    def code(self):
        """details.error_code of the envelope, or None."""
        return (self.json["error"].get("details") or {}).get("error_code")

    def __repr__(self):
        return f"<{self.status} {self.raw[:2000]!r}>"


def encoded(path, query):
    if not query:
        return path
    pairs = [(name, one) for name, value in query.items() for one in (value if isinstance(value, list) else [value])]
    return f"{path}?{urllib.parse.urlencode(pairs)}"


class Api:
    """Calls with one credential. `header` is "authorization" (Bearer) or "x-api-key"."""

    def __init__(self, url, key=None, header="authorization"):
        at = urllib.parse.urlsplit(url)
        self.url, self.host, self.port = url, at.hostname, at.port
        self.credential = {} if key is None else {header: f"Bearer {key}" if header == "authorization" else key}

    def call(self, method, path, body=None, query=None, headers=None):
        """`body` is sent as JSON; bytes are sent as they are, with the type of JSON."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=WAIT)
        sent = dict(self.credential)
        if body is not None:
            sent["content-type"] = "application/json"
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection.request(method, encoded(path, query), body, {**sent, **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()

    def get(self, path, query=None, headers=None):
        return self.call("GET", path, None, query, headers)

    def post(self, path, body=None, query=None, headers=None):
        return self.call("POST", path, body, query, headers)

    def delete(self, path, query=None):
        return self.call("DELETE", path, None, query)

    def good(self, method, path, body=None, query=None):
        """The JSON of an answer that must be 200."""
        answer = self.call(method, path, body, query)
        assert answer.status == 200, f"{method} {path}: {answer}"
        return answer.json

    def all(self, path, query=None):
        """Every item of a list, page by page."""
        items, page = [], None
        while True:
            answer = self.good("GET", path, query={**(query or {}), **({"page": page} if page else {})})
            items += answer["data"]
            page = answer["next_page"]
            if not page:
                return items

    def stream(self, session, query=None, headers=None, path=None):
        return EventStream(self, path or f"/v1/sessions/{session}/events/stream", query, headers)

    def raw(self, data):
        """A bare connection on which these bytes were sent."""
        connection = socket.create_connection((self.host, self.port), WAIT)
        connection.sendall(data)
        return connection

    def head(self, method, path, *lines):
        """The head of a request as bytes, credential and host in it, without the blank line."""
        own = [f"{method} {path} HTTP/1.1", f"host: {self.host}:{self.port}",
               *(f"{name}: {value}" for name, value in self.credential.items()), *lines]
        return "".join(f"{line}\r\n" for line in own).encode()


class Message:
    """One message of a stream of server-sent events: its lines, and what they say."""

    def __init__(self, lines):
        self.lines = lines
        fields = {}
        for line in lines:
            name, _, value = line.partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))
        self.event = fields.get("event", [None])[-1]
        self.id = fields.get("id", [None])[-1]
        self.data = json.loads("\n".join(fields["data"])) if "data" in fields else None

    def __repr__(self):
        return f"<{self.lines}>"


class EventStream:
    """An open stream. The constructor comes back once the head of the answer is there."""

    def __init__(self, api, path, query, headers):
        self.connection = http.client.HTTPConnection(api.host, api.port, timeout=WAIT)
        self.connection.request("GET", encoded(path, query), headers={**api.credential, **(headers or {})})
        self.answer = self.connection.getresponse()
        self.status = self.answer.status
        self.headers = {name.lower(): value for name, value in self.answer.getheaders()}
        self.raw, self.messages = b"", queue.Queue()
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        lines = []
        try:
            while line := self.answer.readline():
                self.raw += line
                text = line.decode().rstrip("\n")
                if text:
                    lines.append(text)
                elif lines:
                    self.messages.put(Message(lines))
                    lines = []
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass  # closed by us, or cut off: both are the end
        self.messages.put(None)

    def next_message(self):
        """The next message, comments and pings too; None at the end."""
        try:
            return self.messages.get(timeout=WAIT)
        except queue.Empty:
            raise AssertionError(f"no message within {WAIT} s after {self.raw[-500:]!r}") from None

    def next(self):
        """The data of the next event; None at the end."""
        while (message := self.next_message()) is not None:
            if message.data is not None and message.event != "ping":
                return message.data
        return None

    def until(self, wanted):
        """The events up to the first for which wanted(event) holds, or of that type, including it."""
        match = wanted if callable(wanted) else lambda event: event["type"] == wanted
        events = []
        while (event := self.next()) is not None:
            events.append(event)
            if match(event):
                return events
        raise AssertionError(f"the stream ended before {wanted}: {[event['type'] for event in events]}")

    def rest(self):
        """All events until the server ends the stream."""
        events = []
        while (event := self.next()) is not None:
            events.append(event)
        return events

    def close(self):
        if self.connection.sock:
            self.connection.sock.shutdown(socket.SHUT_RDWR)
        elif self.answer.fp:
            socket.socket.shutdown(self.answer.fp.raw._sock, socket.SHUT_RDWR)
        self.thread.join()
        self.connection.close()
        self.answer.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
