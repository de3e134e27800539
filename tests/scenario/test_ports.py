"""Contract 4.2: x.network.ports, forwards between the host's loopback and the sandbox's."""

import contextlib
import json
import os
import signal
import socket
import time

import pytest

import servers
from box import TIMEOUT, settings_of

SERVE = """
import socket, sys, threading
def echo(s):
    while data := s.recv(65536): s.sendall(data)
    s.shutdown(socket.SHUT_WR)
    s.close()
def count(s):
    n = 0
    while data := s.recv(65536): n += len(data)
    s.sendall(b"%d\\n" % n)
    s.close()
def serve(family, address, work):
    l = socket.socket(family, socket.SOCK_STREAM)
    l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    l.bind(address)
    l.listen(200)
    print("ready", flush=True)
    while True:
        s, _ = l.accept()
        threading.Thread(target=work, args=(s,), daemon=True).start()
"""
ECHO = SERVE + "serve(socket.AF_INET, ('127.0.0.1', int(sys.argv[1])), echo)\n"
ECHO_V6 = SERVE + "serve(socket.AF_INET6, ('::1', int(sys.argv[1])), echo)\n"
COUNT = SERVE + "serve(socket.AF_INET, ('127.0.0.1', int(sys.argv[1])), count)\n"

# Sends a line to each port that is named and prints what comes back.
ASK = """
import socket, sys
for where in sys.argv[1:]:
    host, port = where.rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), timeout=30) as s:
            s.sendall(b"hello\\n")
            s.shutdown(socket.SHUT_WR)
            text = b""
            while data := s.recv(65536): text += data
        print(text.decode().strip() or "nothing")
    except OSError as e:
        print(type(e).__name__)
"""


def free_port():
    """A port that is free on 127.0.0.1 and ::1. It is asked for again at once, so no range helps."""
    while True:
        with contextlib.ExitStack() as stack:
            v4 = stack.enter_context(socket.socket())
            v4.bind(("127.0.0.1", 0))
            port = v4.getsockname()[1]
            v6 = stack.enter_context(socket.socket(socket.AF_INET6))
            with contextlib.suppress(OSError):
                v6.bind(("::1", port))
                return port


def is_listening(port):
    for family, host in (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"):
        with socket.socket(family) as s:
            if s.connect_ex((host, port)) == 0:
                return True
    return False


def ends_listening(port):
    deadline = time.monotonic() + TIMEOUT
    while is_listening(port):
        assert time.monotonic() < deadline, f"somebody still listens at {port}"
        time.sleep(0.02)


def ask(port, data=b"hello\n", host="127.0.0.1"):
    with socket.create_connection((host, port), timeout=30) as s:
        s.sendall(data)
        try:
            s.shutdown(socket.SHUT_WR)
        except OSError as e:  # what was cut before this moment says ENOTCONN here
            raise ConnectionResetError from e
        text = b""
        while got := s.recv(65536):
            text += got
        return text


def ports(box, denied=(), allowed=(), x=None, **ways):
    box.settings(denied=denied, allowed=allowed, x={"network": {"ports": ways, **(x or {})}})


@contextlib.contextmanager
def serving(box, script, inner, **more):
    """A sandbox with a server at port `inner`."""
    child = box.start("python3", "-c", script, str(inner), **more)
    assert box.line(child) == "ready"
    yield child
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        box.finish(child)


# In


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_server_inside_is_reached_from_the_host(box, host):
    port = free_port()
    ports(box, **{"in": [str(port)]})
    with serving(box, ECHO, port):
        assert ask(port, host=host) == b"hello\n"


@pytest.mark.parametrize("script", [ECHO, ECHO_V6], ids=["v4", "v6"])
def test_another_port_inside_also_a_low_one(box, script):
    """The command has no rights, and can serve port 80 all the same: the port is its own."""
    port = free_port()
    ports(box, **{"in": [f"{port}:80"]})
    with serving(box, script, 80):
        assert ask(port) == b"hello\n"


def test_nobody_serves_inside(box):
    port = free_port()
    ports(box, **{"in": [port]})
    child = box.start("sh", "-c", "echo up; read x; true", stdin=-1)
    assert box.line(child) == "up"
    with pytest.raises(ConnectionResetError):
        ask(port)
    assert box.finish(child).code == 0


def test_what_listens_outside_is_loopback_only(box):
    port = free_port()
    ports(box, **{"in": [port]})
    with serving(box, ECHO, port):
        listed = box.outer("ss", "-Hltn", f"sport = :{port}").ok().split("\n")
        places = {line.split()[3] for line in listed if line}
        assert places and places <= {f"127.0.0.1:{port}", f"[::1]:{port}"}


@pytest.mark.parametrize("family, host", [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "[::1]")],
                         ids=["v4", "v6"])
def test_a_port_that_is_taken(box, family, host):
    with socket.socket(family) as taken:
        taken.bind((host.strip("[]"), 0))
        taken.listen()
        port = taken.getsockname()[1]
        ports(box, **{"in": [f"{port}:80"]})
        done = box.sh("echo ran")
    assert done.code == 125 and done.out == ""
    assert f"{host}:{port}" in done.err and "Address already in use" in done.err


@pytest.mark.identity("plain")
def test_a_low_port_of_the_host_is_not_everybodys(box):
    ports(box, **{"in": ["81:8081"]})
    done = box.sh("echo ran")
    assert done.code == 125 and "127.0.0.1:81" in done.err and "Permission denied" in done.err


# Out


def test_a_server_of_the_host_is_reached_from_inside(box, echo):
    inner = free_port()
    ports(box, out=[str(echo.port), f"{echo.port + 0}:{inner}"])
    done = box.run("python3", "-c", ASK, f"127.0.0.1:{echo.port}", f"::1:{inner}", f"localhost:{inner}")
    assert done.ok().split() == ["hello"] * 3
    assert len(echo.connections) == 3


def test_only_what_is_named_is_reached(box, echo, web):
    ports(box, out=[echo.port])
    done = box.run("python3", "-c", ASK, f"127.0.0.1:{web.port}", f"127.0.0.1:{echo.port}")
    assert done.ok().split() == ["ConnectionRefusedError", "hello"]
    assert not web.seen


def test_a_server_of_the_host_on_v6_only(box):
    with servers.Counter() as v4:
        spare = v4.port
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as listener:
        listener.bind(("::1", spare))
        listener.listen()
        ports(box, out=[spare])
        child = box.start("python3", "-c", ASK, f"127.0.0.1:{spare}")
        accepted, _ = listener.accept()
        accepted.sendall(b"six")
        accepted.close()
        assert box.finish(child).ok().strip() in ("six", "ConnectionResetError")


def test_nobody_serves_outside(box):
    port = free_port()
    ports(box, out=[port])
    assert box.run("python3", "-c", ASK, f"127.0.0.1:{port}").ok().strip() == "ConnectionResetError"


def test_the_command_cannot_take_the_port_over(box, echo):
    ports(box, out=[echo.port])
    script = ("import socket, sys\ns = socket.socket()\ns.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
              "try:\n s.bind(('', int(sys.argv[1])))\n s.listen()\n print('took it')\nexcept OSError: print('taken')")
    assert box.run("python3", "-c", script, str(echo.port)).ok() == "taken\n"


def test_forwards_work_beside_transparent(box, echo, web):
    """The redirect of foreign addresses leaves the sandbox's own loopback alone."""
    port = free_port()
    ports(box, allowed=["localhost"], x={"transparent": True}, out=[echo.port], **{"in": [port]})
    with serving(box, ECHO, port):
        assert ask(port) == b"hello\n"
    script = f"python3 -c '{ASK}' 127.0.0.1:{echo.port}; curl -s --noproxy '' http://localhost:{web.port}/"
    assert box.sh(script).ok() == "hello\nhello from the host\n"


def test_port_53_inside_is_the_resolvers(box, echo):
    for way, port in ("in", "9053:53"), ("out", f"{echo.port}:53"):
        ports(box, allowed=["localhost"], **{way: [port]})
        done = box.sh("echo ran")
        assert done.code == 1 and done.out == "" and "resolver" in done.err
        ports(box, allowed=["localhost"], x={"dns": "none"}, **{way: [port]})
        assert box.sh("echo ran").ok() == "ran\n"


# Both ways


def test_half_close_lives_inward(box):
    """The end of our data is handed on, and the answer comes after it."""
    port = free_port()
    ports(box, **{"in": [port]})
    with serving(box, COUNT, port):
        assert ask(port, b"x" * 3_000_000) == b"3000000\n"


def test_half_close_lives_outward(box):
    with servers.Counter() as counter:
        ports(box, out=[counter.port])
        script = ASK.replace('b"hello\\n"', 'b"x" * 3000000')
        done = box.run("python3", "-c", script, f"127.0.0.1:{counter.port}")
        assert done.ok().split() == ["3000000"]


def test_a_hundred_connections_at_once(box, echo):
    port = free_port()
    ports(box, out=[echo.port], **{"in": [port]})
    script = ("import socket, sys\nall = [socket.create_connection(('127.0.0.1', int(sys.argv[1]))) "
              "for _ in range(100)]\n"
              "for i, s in enumerate(all): s.sendall(b'%03d' % i)\n"
              "print(all and sum(s.recv(3) == b'%03d' % i for i, s in enumerate(all)))")
    with serving(box, ECHO, port):
        with contextlib.ExitStack() as stack:
            many = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
                    for _ in range(100)]
            for i, s in enumerate(many):
                s.sendall(b"%03d" % i)
            assert [s.recv(3) for s in many] == [b"%03d" % i for i in range(100)]
    ports(box, out=[echo.port])
    assert box.run("python3", "-c", script, str(echo.port)).ok() == "100\n"


def test_connections_are_bounded(box):
    """Beyond maxConnections the rest waits its turn in the kernel's queue."""
    port = free_port()
    ports(box, x={"maxConnections": 2}, **{"in": [port]})
    with serving(box, ECHO, port), contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30)) for _ in range(3)]
        for s in held:
            s.sendall(b"x")
        assert [s.recv(1) for s in held[:2]] == [b"x", b"x"]
        held[2].settimeout(0.3)
        with pytest.raises(TimeoutError):
            held[2].recv(1)
        held[0].close()
        held[2].settimeout(30)
        assert held[2].recv(1) == b"x"


# The deny list


@pytest.mark.parametrize("entry", ["*", "*:PORT", "localhost", "localhost:PORT", "127.0.0.1:PORT", "[::1]:PORT",
                                   "localhost:4321"])
@pytest.mark.parametrize("way", ["in", "out"])
def test_a_denied_forward_is_an_error_before_anything_runs(box, way, entry):
    port = free_port()
    ports(box, denied=["other.example", entry.replace("PORT", str(port))], **{way: [f"{port}:4321"]})
    done = box.sh("echo ran >ran")
    assert done.code == 1 and not (box.ws / "ran").exists()
    assert f"x.network.ports.{way}[0]" in done.err and entry.replace("PORT", str(port)) in done.err


def test_other_entries_of_the_deny_list_do_not_matter(box, echo):
    ports(box, denied=["localhost:1", "*:2", "127.0.0.2", "*.example.com"], out=[echo.port])
    assert box.run("python3", "-c", ASK, f"127.0.0.1:{echo.port}").ok() == "hello\n"


class Controlled:
    def __init__(self, box, script, argument):
        self.box = box
        read_end, self.control = os.pipe()
        if box.plain:
            os.fchown(read_end, box.user.pw_uid, -1)
        self.child = box.start("python3", "-c", script, str(argument), pass_fds=[read_end], stdin=-1,
                               options=["--control-fd", str(read_end), "--audit-file", str(box.etc / "audit")])
        os.close(read_end)

    def send(self, value):
        os.write(self.control, (json.dumps(value) + "\n").encode())

    def finish(self):
        os.close(self.control)
        return self.box.finish(self.child)


def records(box):
    return [json.loads(line) for line in (box.etc / "audit").read_text().splitlines()]


# Keeps one connection, and tries a new one for each line of stdin.
KEEP = """
import socket, sys
where = ("127.0.0.1", int(sys.argv[1]))
kept = socket.create_connection(where)
kept.sendall(b"a")
print(kept.recv(1).decode(), flush=True)
for line in sys.stdin:
    if line.strip() == "end": break
    try:
        with socket.create_connection(where) as s:
            s.sendall(b"b")
            print(s.recv(1).decode() or "ended", flush=True)
    except OSError: print("refused", flush=True)
try: print("kept", repr(kept.recv(1)), flush=True)
except OSError: print("kept is reset", flush=True)
"""


def test_an_update_that_denies_holds_for_what_is_open_and_for_what_comes(box, echo):
    x = {"network": {"ports": {"out": [echo.port]}}}
    ports(box, out=[echo.port])
    run = Controlled(box, KEEP, echo.port)
    assert box.line(run.child) == "a"

    def until(*wanted):
        """Connects until that is the outcome: the channel is read beside the command."""
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            run.child.stdin.write(b"\n")
            if (seen := box.line(run.child)) in wanted:
                return
            time.sleep(0.02)
        raise AssertionError(f"still {seen}")

    until("b")
    run.send(settings_of(allow_write=[box.ws], denied=[f"localhost:{echo.port}"], x=x))
    until("refused", "ended")
    run.send(settings_of(allow_write=[box.ws], x=x))
    until("b")
    run.child.stdin.write(b"end\n")
    assert box.line(run.child) in ("kept b''", "kept is reset")
    done = run.finish()
    assert done.code == 0
    assert f"deny network-outbound localhost:{echo.port} (host is on the deny list)" in done.err
    denied = [r for r in records(box) if r["kind"] == "net" and r["decision"] == "deny"]
    assert denied and all(r["object"] == f"localhost:{echo.port}" and
                          r["rule"] == f"network.deniedDomains[0] (localhost:{echo.port})" and
                          r["method"] == "port-out" for r in denied)


def test_an_update_that_denies_a_way_in(box):
    port = free_port()
    x = {"network": {"ports": {"in": [port]}}}
    ports(box, **{"in": [port]})
    run = Controlled(box, ECHO.replace("while True:", "for _ in range(100000):"), port)
    assert box.line(run.child) == "ready"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as kept:
        kept.sendall(b"a")
        assert kept.recv(1) == b"a"
        run.send(settings_of(allow_write=[box.ws], denied=[f"*:{port}"], x=x))
        with contextlib.suppress(ConnectionResetError):
            assert kept.recv(1) == b""
    with pytest.raises(ConnectionResetError):
        ask(port)
    run.child.send_signal(signal.SIGTERM)
    done = run.finish()
    assert f"deny network-inbound localhost:{port} (host is on the deny list)" in done.err


# What is written down


def test_the_audit_log_and_the_totals(box, echo):
    port = free_port()
    ports(box, out=[echo.port], **{"in": [port]})
    log = ["--audit-file", str(box.etc / "audit")]
    with serving(box, ECHO, port, options=log):
        assert ask(port, b"x" * 5000) == b"x" * 5000
    nets = [r for r in records(box) if r["kind"] == "net"]
    assert [(r["object"], r["decision"], r["rule"], r["method"]) for r in nets] == [
        (f"localhost:{port}", "allow", "x.network.ports.in", "port-in")]
    end = records(box)[-1]
    assert end["bytes_in"] == end["bytes_out"] == 5000
    box.run("python3", "-c", ASK, f"127.0.0.1:{echo.port}", options=log).ok()
    assert ("port-out", "x.network.ports.out") in [(r.get("method"), r.get("rule")) for r in records(box)]


def test_explain_shows_them(box):
    ports(box, out=["5432:15432"], **{"in": ["8080:80"]})
    text = box.run(options=["--explain"], dashes=False).ok()
    assert "port 8080 of the host's loopback leads to port 80 inside" in text
    assert "port 15432 inside leads to port 5432 of the host's loopback" in text
    network = json.loads(box.run(options=["--explain=json"], dashes=False).ok())["network"]
    assert network["portsIn"] == [{"host": 8080, "sandbox": 80}]
    assert network["portsOut"] == [{"host": 5432, "sandbox": 15432}]


# Life and death


def test_nothing_listens_after_the_end(box):
    port = free_port()
    ports(box, **{"in": [port]})
    assert box.run("true").code == 0  # nobody ever connected
    assert not is_listening(port)
    with serving(box, ECHO, port) as child:
        assert ask(port) == b"hello\n"
        child.send_signal(signal.SIGTERM)
        box.finish(child)
    assert not is_listening(port)


@pytest.mark.parametrize("connected", [False, True], ids=["before the proxy runs", "while it runs"])
def test_kill_9_leaves_no_listener(box, connected):
    port = free_port()
    ports(box, **{"in": [port]})
    with serving(box, ECHO, port) as child:
        if connected:
            assert ask(port) == b"hello\n"
        child.kill()
        box.finish(child)
        ends_listening(port)


def children_of(pid):
    found = []
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if entry.isdigit():
                with open(f"/proc/{entry}/stat") as file:
                    if int(file.read().rsplit(")", 1)[1].split()[1]) == pid:
                        found.append(int(entry))
    return found


def test_nothing_listens_after_the_death_of_the_proxy(box):
    port = free_port()
    ports(box, **{"in": [port]})
    with serving(box, ECHO, port) as child:
        assert ask(port) == b"hello\n"
        proxies = []
        for pid in children_of(child.pid):
            with open(f"/proc/{pid}/cmdline") as file:
                if "postern-engine" in file.read():
                    proxies.append(pid)
        assert len(proxies) == 1
        os.kill(proxies[0], signal.SIGKILL)
        ends_listening(port)


def test_a_failed_start_leaves_no_listener(box):
    port = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports(box, **{"in": [port, f"{taken.getsockname()[1]}:80"]})
        assert box.run("true").code == 125
    assert not is_listening(port)
