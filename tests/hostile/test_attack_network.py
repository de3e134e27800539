"""T9 and T11: sockets of the host, and ways out that do not lead through the proxy."""

import os
import socket

import hosts
import pytest

TRANSPARENT = pytest.mark.parametrize("transparent", [True, False], ids=["transparent", "variables-only"])


def place(cell, where):
    return f"@{cell.root.name}" if where == "abstract" else str(cell.mkdir(os.path.dirname(where)) / os.path.basename(where))


# T9

@pytest.mark.threat("T9")
@pytest.mark.guards("net", "mount", "landlock", "seccomp")
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET],
                         ids=["stream", "datagram", "seqpacket"])
@pytest.mark.parametrize("where", ["outside/run/docker.sock", "abstract"])
def test_a_socket_of_the_host_is_not_reached(cell, where, kind):
    cell.mkdir("ws/scratch")
    with hosts.UnixServer(place(cell, where), kind, cell.uid) as server:
        cell.attack("unix", server.name, cell.ws / "scratch", "datagram" if kind == socket.SOCK_DGRAM else "stream")
        assert not server.touched()


@pytest.mark.threat("T9")
@pytest.mark.guards("landlock")
def test_a_socket_of_the_host_inside_a_write_root_is_not_more_than_it_says(cell):
    """3.7 masks sockets outside allowed write paths; one inside is the owner's own doing, and reachable
    or not it must not open any other."""
    cell.mkdir("ws/scratch")
    with hosts.UnixServer(str(cell.ws / "own.sock"), uid=cell.uid), \
            hosts.UnixServer(str(cell.outside / "other.sock"), uid=cell.uid) as other:
        cell.attack("unix", other.name, cell.ws / "scratch")
        assert not other.touched()


@pytest.mark.threat("T9")
@pytest.mark.parametrize("where", ["outside/run/docker.sock", "outside/ssh-agent/agent.1", "outside/.X11-unix/X0"])
def test_a_listed_socket_is_reached_and_no_other(cell, where):
    other = place(cell, "outside/run/other.sock")
    with hosts.UnixServer(place(cell, where), uid=cell.uid) as server, hosts.UnixServer(other, uid=cell.uid) as denied:
        settings = cell.settings(network={"allowUnixSockets": [server.name]})
        script = ("import socket\nfor name in sys.argv[1:]:\n    s = socket.socket(socket.AF_UNIX)\n"
                  "    try: s.connect(name); print('reached')\n    except OSError as e: print(e.errno)")
        done = cell.python(script, server.name, denied.name, settings=settings)
        lines = done.ok().split()
        assert lines[0] == "reached" and lines[1] in ("1", "13"), done
        assert server.touched() and not denied.touched()
        cell.mkdir("ws/scratch")
        cell.attack("unix", denied.name, cell.ws / "scratch", settings=settings)


@pytest.mark.threat("T9")
def test_a_listed_link_leads_to_what_it_names_at_start_only(cell):
    """After symlink resolution, once: turning the link later opens nothing."""
    with hosts.UnixServer(place(cell, "outside/a.sock"), uid=cell.uid) as first, \
            hosts.UnixServer(place(cell, "outside/b.sock"), uid=cell.uid) as second:
        link = cell.link(first.name, "ws/link")
        shell = cell.shell(settings=cell.settings(network={"allowUnixSockets": [str(link)]}))
        link.unlink()
        cell.link(second.name, "ws/link")
        shell(f"exec 3>&-; /usr/bin/python3 -I -S -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"{link}\")'")
        shell.close()
        assert not second.touched()


@pytest.mark.threat("T9")
@pytest.mark.parametrize("name", ["docker.sock", "containerd.sock", "podman.sock", "system_bus_socket"])
def test_a_socket_that_gives_the_host_away_is_said(cell, name):
    path = place(cell, f"outside/{name}")
    with hosts.UnixServer(path, uid=cell.uid):
        done = cell.run("/bin/true", settings=cell.settings(network={"allowUnixSockets": [path]}))
        assert done.code == 0 and name in done.err, done


@pytest.mark.threat("T9")
def test_all_unix_sockets_never_lifts_vsock(cell):
    cell.attack("socket", settings=cell.settings(network={"allowAllUnixSockets": True}))


PRIVATE = """
import os, socket
for name in ('own.sock', '\\0inside', os.environ['TMPDIR'] + '/t.sock'):
    if sys.argv[1] == 'datagram':
        server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); server.bind(name)
        client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); client.sendto(b'x', name); print(server.recv(1))
        continue
    kind = socket.SOCK_SEQPACKET if sys.argv[1] == 'seqpacket' else socket.SOCK_STREAM
    server = socket.socket(socket.AF_UNIX, kind); server.bind(name); server.listen()
    client = socket.socket(socket.AF_UNIX, kind); client.connect(name); client.sendall(b'x')
    print(server.accept()[0].recv(1))
"""


@pytest.mark.threat("T9")
@pytest.mark.parametrize("kind", ["stream", "seqpacket", "datagram"])
def test_private_sockets_work(cell, kind):
    """Making sockets and reaching the sandbox's own ones is allowed (contract 3.7); only the host's are not."""
    assert cell.python(PRIVATE, kind).ok() == "b'x'\n" * 3


DATAGRAMS = """
import array, os, signal, socket, threading
U, D, R = socket.AF_UNIX, socket.SOCK_DGRAM, (socket.SOL_SOCKET, socket.SCM_RIGHTS)
def bound(name):
    s = socket.socket(U, D); s.bind(name); return s
server, client = bound('server'), bound('client')
client.sendto(b'ask', 'server'); word, sender = server.recvfrom(9); server.sendto(b'reply', sender)
print(word, sender, client.recv(9))
r, w = os.pipe()
client.sendmsg([b'a', b'b'], [(*R, array.array('i', [w]))], 0, 'server')
word, fds, *_ = socket.recv_fds(server, 9, 1); os.write(fds[0], b'passed'); print(word, os.read(r, 9))
client.sendmsg([], [], 0, 'server'); print(server.recv(9))
a, b = socket.socketpair(U, D); a.send(b'1'); a.sendmsg([b'2', b'3']); print(b.recv(9), b.recv(9))
creds = (socket.SOL_SOCKET, socket.SCM_CREDENTIALS, array.array('i', [os.getpid(), os.getuid(), os.getgid()]))
b.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1); a.sendmsg([b'who'], [creds])
word, ancillary, *_ = b.recvmsg(9, 99); print(word, array.array('i', ancillary[0][2])[1:].tolist() == [os.getuid(), os.getgid()])
sent = 0
client.setblocking(False)
try:
    while True: client.sendto(b'x', 'server'); sent += 1
except BlockingIOError: pass
client.setblocking(True)
threading.Timer(0.2, lambda: [server.recv(9) for i in range(sent + 1)]).start()
print(client.sendto(b'waits', 'server'))
for name in ('nobody', 'x' * 107):
    try: client.sendto(b'x', name)
    except OSError as e: print(e.errno)
stream = socket.socketpair()
got = []
reader = threading.Thread(target=lambda: [got.append(len(part)) for part in iter(lambda: stream[1].recv(65536), b'')])
reader.start(); stream[0].sendmsg([b'z' * 600000, b'z' * 100000]); stream[0].close(); reader.join(); print(sum(got))
signal.signal(signal.SIGPIPE, lambda *a: print('SIGPIPE'))
c, d = socket.socketpair(); d.close()
try: c.sendmsg([b'x'], [], 0)
except BrokenPipeError: print('EPIPE')
"""


@pytest.mark.threat("T9")
def test_private_datagram_sockets_do_what_they_do_outside(cell):
    inside = cell.python(DATAGRAMS).ok()
    for name in ("server", "client"):
        (cell.ws / name).unlink()
    outside = cell.finish(cell.popen(["/usr/bin/python3", "-I", "-S", "-c", DATAGRAMS])).ok()
    assert inside == outside and "700000" in inside


@pytest.mark.threat("T10")
def test_a_datagram_socket_that_the_caller_hands_on_reaches_nothing(cell):
    """It is there before the warden could see it come."""
    with hosts.UnixServer(place(cell, "outside/run/log.sock"), socket.SOCK_DGRAM, cell.uid) as server:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        script = ("import socket\ns = socket.socket(fileno=0)\n"
                  f"for send in (lambda: s.sendto(b'x', {server.name!r}), lambda: s.sendmsg([b'x'], [], 0, {server.name!r})):\n"
                  "    try: send(); print('sent')\n    except OSError as e: print(e.errno)\n"
                  "s.send(b'back')")
        done = cell.python(script, stdin=theirs)
        assert "sent" not in done.ok() and ours.recv(9) == b"back" and not server.touched()


# T11

@pytest.mark.threat("T11")
def test_families_and_protocols(cell):
    """Which families exist is the filter's alone; where they could lead is the namespace's, below."""
    cell.attack("socket")


@pytest.mark.threat("T11")
@pytest.mark.guards("net")
def test_vsock_does_not_reach_the_host_without_a_namespace(cell):
    """AF_VSOCK knows no namespaces: here the filter must hold alone and does."""
    done = cell.python("import socket\ntry:\n    s = socket.socket(40, socket.SOCK_STREAM); s.settimeout(1)\n"
                       "    s.connect((2, 22)); print('ESCAPED')\nexcept OSError as e: print('blocked', e.errno)")
    assert "ESCAPED" not in done.out, done


def addresses():
    found = ["127.0.0.1", "::1"]
    if own := hosts.host_address():
        found.append(own)
    return found


@pytest.mark.threat("T11")
@pytest.mark.guards("net", "landlock", "seccomp")
@pytest.mark.parametrize("address", addresses())
def test_tcp_to_the_host_goes_nowhere_with_transparent_off(cell, address):
    """The empty namespace holds alone, and so does the warden, which knows the ports of those inside."""
    listener = hosts.Server("::" if ":" in address else "0.0.0.0") if ":" not in address else None
    if listener is None:
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
            server.setblocking(False)
            cell.attack("connect", "tcp", address, server.getsockname()[1],
                        settings=cell.settings(x={"network": {"transparent": False}}))
            with pytest.raises(BlockingIOError):
                server.accept()
        return
    with listener:
        cell.attack("connect", "tcp", address, listener.port,
                    settings=cell.settings(x={"network": {"transparent": False}}))
        assert listener.settle().connections == 0


@pytest.mark.threat("T11")
@pytest.mark.guards("net", "landlock", "seccomp", "transparent")
@pytest.mark.parametrize("address", addresses())
@TRANSPARENT
def test_tcp_to_the_host_goes_nowhere(cell, server, address, transparent):
    """Also with a name allowed, so that the redirect stands: a literal that nobody named stays out."""
    settings = cell.settings(allowed=["allowed.example"], x={"network": {"transparent": transparent}})
    cell.attack("connect", "tcp", address, server.port, settings=settings)
    assert server.settle().connections == 0


FOREIGN = ["8.8.8.8", "192.0.2.1", "169.254.169.254", "100.100.100.200", "224.0.0.1", "255.255.255.255", "fe80::1",
           "2001:4860:4860::8888", "0.0.0.0", "::"]


@pytest.mark.threat("T11")
@pytest.mark.guards("transparent")
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_foreign_addresses_are_refused_at_once(cell, protocol):
    """Also those of routers, metadata services, groups and other families; never accepted and then dropped."""
    shell = cell.shell(settings=cell.settings(allowed=["allowed.example"]))
    for address in FOREIGN:
        shell.attack("connect", protocol, address, 443 if protocol == "tcp" else 123)
    shell.close()


@pytest.mark.threat("T11")
@pytest.mark.guards("transparent")
def test_udp_to_the_host_goes_nowhere(cell):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("0.0.0.0", 0))
        server.setblocking(False)
        for address in ("127.0.0.1", hosts.host_address() or "127.0.0.2"):
            cell.attack("connect", "udp", address, server.getsockname()[1], "hello",
                        settings=cell.settings(allowed=["allowed.example"]))
        with pytest.raises(BlockingIOError):
            server.recv(10)


@pytest.mark.threat("T11")
@TRANSPARENT
def test_nothing_can_be_reconfigured_inside(cell, transparent):
    """Addresses, routes and rules are made before rights are dropped; afterwards nobody may."""
    settings = cell.settings(allowed=["allowed.example"], x={"network": {"transparent": transparent}})
    script = ("ip addr add 10.0.0.1/8 dev lo && echo DONE; ip link add d type dummy && echo DONE; "
              "ip route del default && echo DONE; ip route add 10.0.0.0/8 dev lo && echo DONE; ip link set lo down && echo DONE; "
              "nft flush ruleset && echo DONE; iptables -F && echo DONE; echo 1 > /proc/sys/net/ipv4/ip_forward && echo DONE")
    assert "DONE" not in cell.sh(script, settings=settings).out


@pytest.mark.threat("T11")
def test_with_nothing_allowed_there_is_no_route_no_rule_no_resolver(cell):
    """4.2: an empty allow list and nobody to ask."""
    done = cell.sh("cat /proc/net/route | wc -l; cat /proc/net/udp | wc -l", settings=cell.settings())
    assert done.out.split() == ["1", "1"], done
    for port in (53, 80):
        cell.attack("connect", "udp", "127.0.0.1", port)
        cell.attack("connect", "tcp", "198.18.0.1", port)


@pytest.mark.threat("T11")
def test_transparent_clients_obey(cell, server):
    """A program that knows no proxy reaches what is allowed and nothing else; the denied get no byte."""
    settings = cell.settings(allowed=[f"127.0.0.1:{server.port}"], x={"network": {"transparent": True}})
    done = cell.run(cell.attacks / "hostile-connect", "tcp", "127.0.0.1", str(server.port), settings=settings)
    assert server.connections == 0 or b"GET /" in server.text, done
    with hosts.Server() as other:
        cell.run(cell.attacks / "hostile-connect", "tcp", "127.0.0.1", str(other.port), settings=settings)
        assert other.settle().connections == 0
