"""What the scripts of the escape suite share inside the sandbox. Imported by the Python that runs there.

Only the standard library without `site`; nothing here may need a file that a deny could hide.
"""

import base64
import os
import re
import socket
import struct

HTTP_PORT, SOCKS_PORT = 3128, 1080
PATIENCE = 30  # seconds for what must come; what must not come is waited for shorter


def credential():
    """(user, token) from the proxy variables."""
    found = re.match(r"http://([^:]*):([^@]*)@", os.environ["HTTP_PROXY"])
    return found.group(1).replace("%3D", "="), found.group(2)


def authorization(user=None, token=None):
    real = credential()
    pair = f"{user or real[0]}:{token or real[1]}"
    return b"Proxy-Authorization: Basic " + base64.b64encode(pair.encode()) + b"\r\n"


def dial(port=HTTP_PORT, timeout=PATIENCE):
    return socket.create_connection(("127.0.0.1", port), timeout)


def answer(peer, limit=1 << 20):
    """Everything until the peer's end, or what came before it fell silent."""
    got = b""
    try:
        while len(got) < limit and (data := peer.recv(65536)):
            got += data
    except (TimeoutError, ConnectionError):
        pass
    return got


def exchange(request, port=HTTP_PORT, timeout=PATIENCE, finish=True):
    """Sends raw bytes to the proxy (@AUTH@ becomes the credential line) and gives all that comes back."""
    with dial(port, timeout) as peer:
        try:
            peer.sendall(request.replace(b"@AUTH@", authorization()))
            if finish:
                peer.shutdown(socket.SHUT_WR)
        except ConnectionError:
            pass
        return answer(peer)


def status(reply):
    """The status code of an HTTP answer, 0 when there is none."""
    found = re.match(rb"HTTP/1\.[01] (\d{3})", reply)
    return int(found.group(1)) if found else 0


def connect(target, port=HTTP_PORT, extra=b"", timeout=PATIENCE):
    """CONNECT; gives (status, socket, head)."""
    peer = dial(port, timeout)
    name = target if isinstance(target, bytes) else target.encode()
    peer.sendall(b"CONNECT " + name + b" HTTP/1.1\r\nHost: " + name + b"\r\n" + authorization() + extra + b"\r\n")
    head = b""
    try:
        while b"\r\n\r\n" not in head and (data := peer.recv(1)):
            head += data
    except (TimeoutError, ConnectionError):
        pass
    return status(head), peer, head


def socks(host, port, proxy_port=SOCKS_PORT, user=None, token=None, timeout=PATIENCE):
    """SOCKS5 with user and password; gives (reply code, socket); 255 when refused before a reply."""
    real = credential()
    peer = dial(proxy_port, timeout)
    name = host if isinstance(host, bytes) else host.encode()
    user, token = (user or real[0]).encode(), (token or real[1]).encode()
    try:
        peer.sendall(b"\5\1\2")
        if peer.recv(2) != b"\5\2":
            return 255, peer
        peer.sendall(b"\1" + bytes([len(user)]) + user + bytes([len(token)]) + token)
        if peer.recv(2) != b"\1\0":
            return 255, peer
        peer.sendall(b"\5\1\0\3" + bytes([len(name)]) + name + struct.pack(">H", port))
        reply = peer.recv(10)
    except (TimeoutError, ConnectionError):
        return 255, peer
    return (reply[1] if len(reply) > 1 else 255), peer


def client_hello(name):
    """The first bytes of a TLS client that wants `name` (None: says none)."""
    import ssl
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sent = ssl.MemoryBIO()
    shaking = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name)
    try:
        shaking.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return sent.read()
