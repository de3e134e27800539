"""Contract 4.2: programs that know nothing of proxies work, and obey."""

import errno
import os
import re
import shutil
import socket

import pytest

import servers
from test_doctor import load_filter

ON = {"network": {"transparent": True}}


def fetch(box, clients, *arguments, **settings):
    box.settings(x=settings.pop("x", ON), **settings)
    return box.run(clients("fetch"), *map(str, arguments))


def test_an_allowed_name_is_reached(box, clients, web):
    done = fetch(box, clients, "localhost", web.port, allowed=["localhost"])
    first, rest = done.ok().split("\n", 1)
    assert re.fullmatch(r"198\.1[89]\.\d+\.\d+", first)
    assert "hello from the host" in rest and len(web.seen) == 1


def test_it_is_on_by_default(box, clients, web):
    done = fetch(box, clients, "localhost", web.port, allowed=["localhost"], x={})
    assert "hello from the host" in done.ok()


@pytest.mark.parametrize("first", ["socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
                                   "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
                                   "socket.socket().connect_ex(('198.18.77.77', 80))"])
def test_the_redirect_is_made_for_the_first_socket_that_could_need_it(box, first):
    box.settings(allowed=["localhost"], x=ON)
    script = f"""
import socket
def routes(): return "/0 host LOCAL" in open("/proc/net/fib_trie").read()
local = socket.socket(); local.bind(("127.0.0.1", 0)); local.listen(); socket.create_connection(local.getsockname())
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
before = routes(); first = {first}
print(before, routes())
"""
    assert box.run("python3", "-c", script).ok() == "False True\n"


def test_who_requires_it_has_it_from_the_start(box):
    box.settings(allowed=["localhost"], x=ON)
    done = box.run("cat", "/proc/net/fib_trie", options=["--require=transparent"])
    assert "/0 host LOCAL" in done.ok()


def test_two_processes_may_need_it_at_once(box, clients, web):
    box.settings(allowed=["localhost"], x=ON)
    done = box.sh(f"for i in 1 2 3 4 5 6; do {clients('fetch')} localhost {web.port} & done; wait")
    assert done.ok().count("hello from the host") == 6


def test_any_server_address_leads_to_the_private_resolver(box, clients, web):
    for server in ("8.8.8.8", "127.0.0.53", "203.0.113.9"):
        assert "hello" in fetch(box, clients, "localhost", web.port, server, allowed=["localhost"]).ok()


def test_a_name_that_is_not_allowed_does_not_exist(box, clients):
    done = fetch(box, clients, "denied.example", 80, allowed=["localhost"])
    assert (done.code, done.out) == (3, "no such name\n")


def test_a_denied_name_does_not_exist(box, clients):
    done = fetch(box, clients, "bad.example", 80, allowed=["*.ok.example", "bad.example"], denied=["bad.example"])
    assert (done.code, done.out) == (3, "no such name\n")


def test_a_name_has_one_address_and_two_names_have_two(box, clients, web):
    box.settings(allowed=["localhost", "a.example", "b.example"], x=ON)
    client = clients("fetch")
    done = box.sh(f"for n in a.example a.example b.example; do {client} $n 1 | head -n1; done")
    one, two, three = done.ok().split()
    assert one == two != three


def test_the_port_is_judged_with_the_name(box, clients, web):
    done = fetch(box, clients, "localhost", web.port, allowed=["localhost:1"])
    assert done.code in (3, 4, 5) and "hello" not in done.out and web.seen == []


def test_an_address_of_the_range_that_stands_for_no_name_leads_nowhere(box, clients, web):
    done = fetch(box, clients, "198.18.77.77", web.port, allowed=["localhost"])
    assert done.code in (4, 5) and web.seen == []


def test_an_allowed_literal_is_reached(box, clients, own_address):
    with servers.Web(address=own_address) as server:
        done = fetch(box, clients, own_address, server.port, allowed=[own_address])
        assert "hello from the host" in done.ok()


def test_a_literal_that_is_not_allowed_is_refused_at_once(box, clients, own_address):
    with servers.Web(address=own_address) as server:
        done = fetch(box, clients, own_address, server.port, allowed=["localhost"])
        assert done.code == 4 and done.out.split()[-1] in ("ENETUNREACH", "ECONNREFUSED") and server.seen == []


@pytest.fixture
def own_address():
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address beside loopback")
        return probe.getsockname()[0]


@pytest.mark.parametrize("code, what", [
    ("s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('8.8.8.8', 123)); s.send(b'x'); s.send(b'x')", "other UDP"),
    ("s = socket.socket(socket.AF_INET6); s.settimeout(5); s.connect(('2001:db8::1', 80))", "IPv6 TCP"),
    ("s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.connect(('2001:db8::1', 123)); s.send(b'x'); s.send(b'x')", "IPv6 UDP"),
    ("s = socket.socket(); s.settimeout(5); s.connect(('8.8.8.8', 443))", "a literal nobody allowed"),
])
def test_everything_else_is_refused_at_once(box, code, what):
    box.settings(allowed=["localhost"], x=ON)
    script = f"import socket\ntry:\n {code}\n print('passed')\nexcept socket.timeout: print('dropped')\n" \
             "except OSError as e: print('refused')"
    assert box.run("python3", "-c", script).ok() == "refused\n", what


@pytest.mark.parametrize("settings", [dict(allowed=[]), dict(allowed=["localhost"], x={"network": {"transparent": False}})],
                         ids=["nothing allowed", "switched off"])
def test_without_it_there_is_no_route_and_no_resolver(box, clients, settings):
    done = fetch(box, clients, "localhost", 80, **settings)
    assert (done.code, done.out) == (4, "dns ENETUNREACH\nno resolver\n")


def test_dns_none_gives_no_resolver(box, clients):
    done = fetch(box, clients, "localhost", 80, allowed=["localhost"], x={"network": {"transparent": True, "dns": "none"}})
    assert done.code in (3, 4)


@pytest.mark.parametrize("server", ["9.9.9.9", "127.0.0.1", "127.0.0.53"])
def test_dns_over_tcp_and_aaaa(box, server):
    """A question for AAAA gets an empty answer, over TCP as over UDP; and it comes from who was asked."""
    box.settings(allowed=["localhost"], x=ON)
    script = r'''
import socket, struct
def ask(kind, tcp):
    q = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"\x09localhost\0" + struct.pack(">HH", kind, 1)
    if tcp:
        s = socket.create_connection((SERVER, 53), 10); s.sendall(struct.pack(">H", len(q)) + q)
        n = struct.unpack(">H", s.recv(2, socket.MSG_WAITALL))[0]; a = s.recv(n, socket.MSG_WAITALL)
    else:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10); s.connect((SERVER, 53)); s.send(q); a = s.recv(1500)
    _, flags, _, answers, _, _ = struct.unpack(">HHHHHH", a[:12])
    return flags & 15, answers
print([ask(kind, tcp) for kind in (1, 28) for tcp in (False, True)])
'''
    assert box.run("python3", "-c", f"SERVER = {server!r}" + script).ok() == "[(0, 1), (0, 1), (0, 0), (0, 0)]\n"


def test_a_server_of_the_commands_own_on_the_same_port_gets_nothing(box, clients, web):
    """What is meant for another address goes to the proxy, who listens inside does not matter."""
    box.settings(allowed=["localhost"], x=ON)
    script = f"""
import socket, subprocess
own = socket.socket(); own.bind(("0.0.0.0", {web.port})); own.listen(); own.settimeout(0)
print(subprocess.run([{str(clients("fetch"))!r}, "localhost", "{web.port}"], capture_output=True, text=True).stdout)
try: own.accept(); print("mine")
except OSError: pass
"""
    out = box.run("python3", "-c", script).ok()
    assert "hello from the host" in out and "mine" not in out


def test_no_connection_is_tracked(box):
    """Tracking is the host's memory, and its hooks are the dearest part of a redirect."""
    count = "/proc/sys/net/netfilter/nf_conntrack_count"
    if not os.path.exists(count):
        pytest.skip("this kernel tracks nothing")
    box.settings(allowed=["localhost"], x=ON)
    script = ("import socket\ntcp = socket.create_connection(('198.18.77.77', 80), 10)\n"
              "udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nudp.sendto(b'x', ('9.9.9.9', 53))\n"
              f"print(open('{count}').read())")
    assert box.run("python3", "-c", script).ok().strip() == "0"


def test_an_opaque_tunnel_with_another_server_name_is_refused(box, secure_web, certificate):
    """checkSni: the name of the handshake must be the name that was judged (T15)."""
    box.settings(allowed=["localhost"], x=ON)
    script = f"""
import socket, ssl, struct
def resolve(name):
    q = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"\\x09localhost\\0" + struct.pack(">HH", 1, 1)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10); s.sendto(q, ("9.9.9.9", 53))
    return socket.inet_ntoa(s.recv(1500)[-4:])
context = ssl.create_default_context(cafile="{certificate[0]}")
for name in ("localhost", "other.example"):
    try:
        with socket.create_connection((resolve("localhost"), {secure_web.port}), 20) as s, \\
             context.wrap_socket(s, server_hostname=name) as t:
            print(name, "passed")
    except OSError:
        print(name, "refused")
"""
    assert box.run("python3", "-c", script).ok() == "localhost passed\nother.example refused\n"


def test_node_with_its_own_resolver(box, web):
    if not shutil.which("node"):
        pytest.skip("the Debian package nodejs is not installed")
    box.settings(allowed=["localhost"], x=ON)
    script = f"""
const dns = require('dns'), http = require('http');
const lookup = (name, options, done) => dns.resolve4(name, (error, found) =>
    options.all ? done(error, found && found.map((address) => ({{address, family: 4}}))) : done(error, found && found[0], 4));
http.get({{host: 'localhost', port: {web.port}, lookup}}, (answer) => {{
    console.log(answer.statusCode); answer.resume();
}}).on('error', (error) => console.log('error', error.code));
"""
    assert box.run("node", "-e", script).ok() == "200\n"


# The batch of nftables is the one long send of a start; the kernel answers ENOENT where tproxy is missing.
NO_TPROXY = [("sendto", errno.ENOENT, [(2, 5, 1000, 0)])]
NO_NFTABLES = [("socket", errno.EPROTONOSUPPORT, [(0, 4, socket.AF_NETLINK, 0), (2, 4, 12, 0)])]


@pytest.mark.parametrize("rules", [NO_TPROXY, NO_NFTABLES], ids=["no tproxy", "no nftables"])
def test_a_kernel_without_the_redirect_leaves_the_proxy_variables_and_nothing_else(box, clients, web, rules):
    box.settings(allowed=["localhost"], x=ON)
    script = f"{clients('fetch')} localhost {web.port}; curl -sS --noproxy '' http://localhost:{web.port}/"
    done = box.run("sh", "-c", script, options=["-d"], preexec_fn=lambda: load_filter(rules))
    first, _, rest = done.ok().partition("no resolver\n")
    assert first == "dns ENETUNREACH\n" and "hello from the host" in rest and len(web.seen) == 1
    assert "layer transparent is degraded" in done.err


@pytest.mark.parametrize("rules", [NO_TPROXY, NO_NFTABLES], ids=["no tproxy", "no nftables"])
def test_a_kernel_without_the_redirect_is_no_kernel_for_who_requires_it(box, rules):
    box.settings(allowed=["localhost"], x=ON)
    done = box.run("echo", "ran", options=["--require=transparent"], preexec_fn=lambda: load_filter(rules))
    assert (done.code, done.out) == (125, "") and "layer transparent is required and degraded: " in done.err
    doctor = box.outer(box.program, "doctor", preexec_fn=lambda: load_filter(rules))
    assert "modprobe -a nf_tables nft_tproxy" in doctor.out
