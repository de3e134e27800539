"""Peers on the host: a web server and a name server that note everything they are asked."""

import os
import random
import socket
import struct
import threading
import time


def host_address():
    """An address of this machine that is not loopback, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("203.0.113.1", 9))
        except OSError:
            return None
        return probe.getsockname()[0]


class Server:
    """Answers every connection with a fixed text after the end of a request head, or what else `after` says.

    `seen` holds the bytes of each connection, `connections` counts them. By default on every IPv4
    address of the machine; `port` is one for all.
    """

    ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nserved"

    def __init__(self, address="0.0.0.0", answer=None, speak_first=b"", after=b"\r\n\r\n"):
        self.answer, self.speak_first, self.after = answer or self.ANSWER, speak_first, after
        self.listener = socket.create_server((address, 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.seen, self.open, self.threads = [], [], []
        self.ending = False

    @property
    def connections(self):
        return len(self.seen)

    @property
    def text(self):
        return b"".join(bytes(part) for part in self.seen)

    def __enter__(self):
        self.accepter = threading.Thread(target=self.accept, daemon=True)
        self.accepter.start()
        return self

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            if self.ending:
                peer.close()
                return
            got = bytearray()
            self.seen.append(got)
            self.open.append(peer)
            thread = threading.Thread(target=self.serve, args=(peer, got), daemon=True)
            self.threads.append(thread)
            thread.start()

    def serve(self, peer, got):
        answered = 0
        try:
            if self.speak_first:
                peer.sendall(self.speak_first)
            while data := peer.recv(65536):
                got += data
                while got.count(self.after) > answered:
                    answered += 1
                    peer.sendall(self.answer)
        except OSError:
            pass
        finally:
            peer.close()

    def __exit__(self, *_):
        self.ending = True
        try:  # accept() does not notice that its socket was closed
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            pass
        self.accepter.join(5)
        self.listener.close()
        for peer in self.open:
            try:
                peer.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self.threads:
            thread.join(5)

    def wait_for(self, wanted, seconds=30):
        """Waits until these bytes have come; gives all that has."""
        deadline = time.monotonic() + seconds
        while wanted not in self.text and time.monotonic() < deadline:
            time.sleep(0.01)
        assert wanted in self.text, (wanted, self.text)
        return self.text

    def settle(self, wait=0.1):
        """Gives bytes on their way the time to arrive; only for claims that nothing came."""
        time.sleep(wait)
        return self


class Resolver:
    """A name server on an address of 127/8 of its own. `answers` = {name: IPv4 address}."""

    def __init__(self):
        self.answers, self.questions = {}, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        while True:
            self.address = f"127.{random.randint(10, 250)}.{random.randint(1, 250)}.{random.randint(1, 250)}"
            try:
                self.socket.bind((self.address, 53))
                break
            except PermissionError:
                raise
            except OSError:
                continue

    def __enter__(self):
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        return self

    def serve(self):
        while True:
            try:
                question, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            if question == b"end":
                return
            name, at = [], 12
            while question[at]:
                name.append(question[at + 1:at + 1 + question[at]].decode(errors="replace"))
                at += 1 + question[at]
            asked = question[12:at + 5]
            kind = struct.unpack(">H", question[at + 1:at + 3])[0]
            self.questions.append(".".join(name).lower())
            address = self.answers.get(".".join(name).lower())
            if address is None:
                head = question[:2] + b"\x81\x83\0\1\0\0\0\0\0\0"
                answer = b""
            else:
                body = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(address) if kind == 1 else b""
                head = question[:2] + b"\x81\x80\0\1" + (b"\0\1" if body else b"\0\0") + b"\0\0\0\0"
                answer = body
            self.socket.sendto(head + asked + answer, peer)

    def __exit__(self, *_):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"end", (self.address, 53))
        self.thread.join(5)
        self.socket.close()


class Names:
    """A hosts file and a resolv.conf for one run: Cell.run(names=Names(...).files)."""

    def __init__(self, cell, hosts=None, resolver=None):
        lines = "".join(f"{address} {name}\n" for name, address in (hosts or {}).items())
        self.files = (cell.write("etc/hosts", f"127.0.0.1 localhost\n{lines}"),
                      cell.write("etc/resolv.conf", f"nameserver {resolver.address if resolver else '127.0.0.1'}\n"
                                 "options timeout:1 attempts:1\n"))


class UnixServer:
    """A listener on a path or, with a leading @, in the abstract space of the host."""

    def __init__(self, name, kind=socket.SOCK_STREAM, uid=None):
        self.reached = []
        self.socket = socket.socket(socket.AF_UNIX, kind)
        self.name = name
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)
        if not name.startswith("@"):
            os.chmod(name, 0o777)
            if uid is not None:
                os.chown(name, uid, uid)
        self.kind = kind
        self.socket.setblocking(False)
        if kind != socket.SOCK_DGRAM:
            self.socket.listen(64)

    def __enter__(self):
        return self

    def touched(self):
        """Has anybody connected or sent?"""
        try:
            if self.kind == socket.SOCK_DGRAM:
                self.socket.recv(100)
            else:
                self.socket.accept()[0].close()
            return True
        except BlockingIOError:
            return False

    def __exit__(self, *_):
        self.socket.close()
        if not self.name.startswith("@"):
            os.unlink(self.name)
