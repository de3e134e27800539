"""Runs in a network namespace of its own: makes the listeners and the redirect, hands the listeners
out over the socket whose number is argv[1], then does as it is told, one JSON line at a time."""

import json
import socket
import subprocess
import sys

RULES = """
table ip egress {{
  chain out {{
    type nat hook output priority -100;
    ip daddr 127.0.0.0/8 return
    udp dport 53 redirect to :{dns_udp}
    tcp dport 53 redirect to :{dns_tcp}
    meta l4proto tcp redirect to :{transparent}
  }}
}}
"""


def listener(kind):
    s = socket.socket(socket.AF_INET, kind)
    s.bind(("0.0.0.0", 0))
    if kind == socket.SOCK_STREAM:
        s.listen(64)
    return s


def do_connect(address, port, send, size, end=True):
    with socket.create_connection((address, port), timeout=20) as s:
        s.sendall(send.encode("latin-1"))
        if end:
            s.shutdown(socket.SHUT_WR)
        data = b""
        while len(data) < size:
            more = s.recv(65536)
            if not more:
                break
            data += more
        return data.decode("latin-1")


def do_query(message):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(20)
        s.sendto(bytes.fromhex(message), ("9.9.9.9", 53))
        return s.recv(4096).hex()


def main():
    control = socket.socket(fileno=int(sys.argv[1]))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "route", "add", "local", "default", "dev", "lo"], check=True)
    sockets = {"transparent": listener(socket.SOCK_STREAM), "dns_udp": listener(socket.SOCK_DGRAM),
               "dns_tcp": listener(socket.SOCK_STREAM)}
    ports = {name: s.getsockname()[1] for name, s in sockets.items()}
    subprocess.run(["nft", "-f", "-"], input=RULES.format(**ports).encode(), check=True)
    socket.send_fds(control, [b"x"], [s.fileno() for s in sockets.values()])
    for s in sockets.values():
        s.close()
    lines = control.makefile("rw")
    for line in lines:
        order = json.loads(line)
        try:
            said = {"connect": do_connect, "query": do_query}[order.pop("do")](**order)
            answer = {"said": said}
        except OSError as failure:
            answer = {"failed": type(failure).__name__}
        lines.write(json.dumps(answer) + "\n")
        lines.flush()


main()
