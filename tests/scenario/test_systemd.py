"""Contract 4.1, placement 4: a scope of the user's own systemd (x.limits.useSystemd)."""

import contextlib
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile
import threading

import pytest

from box import PLAIN_USER, TIMEOUT

LIMITS = {"useSystemd": True, "memory": "256MiB", "pids": 100, "cpu": "50%"}
DEGRADED = "layer cgroup is degraded"
ANSWERS = "x.limits.useSystemd: "


def skip_where_groups_can_be_made(done):
    if DEGRADED not in done.err:
        pytest.skip("control groups can be made here without systemd")


def run(box, runtime, **more):
    """A run that the bus below `runtime` is to help; it must come to its end whatever that bus does."""
    box.settings(x={"limits": LIMITS})
    done = box.sh("echo ran", env={"XDG_RUNTIME_DIR": str(runtime)}, **more)
    assert done.ok() == "ran\n"
    return done


# A bus that is not there, or behaves badly


@pytest.mark.identity("plain")
def test_without_a_bus_the_run_goes_on_and_says_why(box):
    done = run(box, box.outside / "nowhere")
    skip_where_groups_can_be_made(done)
    assert ANSWERS in done.err and f"{box.outside}/nowhere/bus" in done.err


@pytest.mark.identity("plain")
@pytest.mark.parametrize("runtime", ["", "relative", "/" + "x" * 200])
def test_an_odd_runtime_directory(box, runtime):
    done = run(box, runtime)
    skip_where_groups_can_be_made(done)
    assert ANSWERS in done.err


@pytest.mark.identity("plain")
def test_systemd_is_not_asked_unless_the_settings_say_so(box):
    with FakeBus(box) as bus:
        box.settings(x={"limits": {"memory": "256MiB"}})
        assert box.sh("echo ran", env={"XDG_RUNTIME_DIR": str(bus.runtime)}).ok() == "ran\n"
        assert bus.connections == 0


@pytest.mark.identity("root")
def test_systemd_is_not_asked_where_groups_can_be_made(box):
    with FakeBus(box) as bus:
        done = run(box, bus.runtime)
        if DEGRADED in done.err:
            pytest.skip("no control groups here")
        assert bus.connections == 0


class FakeBus:
    """Says whatever it was given: the answer to the greeting, then one answer for each call."""

    def __init__(self, box, greeting=b"OK 0123\r\n", answers=(), owner=None):
        self.runtime = box.root / "runtime"
        self.runtime.mkdir()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.runtime / "bus"))
        box.give(self.runtime)
        if os.geteuid() == 0:  # the listening socket carries the credentials of who calls listen
            os.setresuid(-1, box.user.pw_uid if owner is None else owner, -1)
        self.listener.listen()
        if os.getuid() == 0:
            os.setresuid(-1, 0, -1)
        self.greeting, self.answers = greeting, answers
        self.connections, self.said = 0, []

    def __enter__(self):
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            with client, contextlib.suppress(OSError):
                self.talk(client)

    def talk(self, client):
        client.settimeout(20)
        self.said.append(client.recv(4096))
        client.sendall(self.greeting)
        for answer in self.answers:
            self.said.append(client.recv(65536))
            client.sendall(answer)
        while client.recv(4096):
            pass


def message(kind, reply_to, signature="", body=b"", error=None):
    """A little-endian message of D-Bus."""
    fields = b"\5\1u\0" + struct.pack("<I", reply_to)
    if error is not None:
        fields += b"\4\1s\0" + struct.pack("<I", len(error)) + error + b"\0"
        fields += b"\0" * (-len(fields) % 8)
    if signature:
        fields += b"\10\1g\0" + bytes([len(signature)]) + signature.encode() + b"\0"
    head = b"l" + bytes([kind]) + b"\0\1" + struct.pack("<III", len(body), 1, len(fields)) + fields
    return head + b"\0" * (-len(head) % 8) + body


def text(value):
    return struct.pack("<I", len(value)) + value + b"\0"


HELLO = message(2, 1, "s", text(b":1.1"))


@pytest.mark.identity("plain")
@pytest.mark.parametrize("greeting, answers, says", [
    (b"REJECTED EXTERNAL\r\n", [], "does not let us in"),
    (b"\0" * 700, [], "great length"),
    (b"", [], ""),
    (b"OK 1\r\n", [b"\xff" * 64], "no message"),
    (b"OK 1\r\n", [b"l\2\0\1" + b"\xff" * 12], "too large"),
    (b"OK 1\r\n", [HELLO[:-3] + b"\xff\xff\0"], "cannot be read"),
    (b"OK 1\r\n", [HELLO, message(3, 2, "s", text(b"no\x1b[31m <b>"), b"org.example.No")], "org.example.No: no"),
    (b"OK 1\r\n", [HELLO, message(3, 2, "s", text(b"gone"), b"org.freedesktop.DBus.Error.NameHasNoOwner")], ""),
], ids=["rejected", "long greeting", "silent", "garbage", "huge", "broken text", "refused", "no systemd"])
def test_a_bus_that_refuses_or_misbehaves_costs_a_bounded_time(box, greeting, answers, says):
    with FakeBus(box, greeting, answers) as bus:
        done = run(box, bus.runtime)
        skip_where_groups_can_be_made(done)
        assert ANSWERS in done.err and says in done.err and DEGRADED in done.err
        assert "\x1b" not in done.err and "<b>" not in done.err


@pytest.mark.identity("plain")
def test_an_answer_is_not_believed(box):
    """The bus says yes and nothing happens: the process is looked for where it should be."""
    with FakeBus(box, answers=[HELLO, message(2, 2, "o", text(b"/job"))]) as bus:
        done = run(box, bus.runtime)
        skip_where_groups_can_be_made(done)
        assert "did not move the sandbox" in done.err and DEGRADED in done.err
        assert b"StartTransientUnit" in bus.said[2]


@pytest.mark.identity("plain")
def test_a_bus_of_somebody_else_is_not_asked(box):
    if os.geteuid() != 0:
        pytest.skip("another user's bus needs root to make")
    with FakeBus(box, owner=65534) as bus:
        done = run(box, bus.runtime)
        skip_where_groups_can_be_made(done)
        assert "somebody else's" in done.err


@pytest.mark.identity("plain")
def test_a_real_bus_without_systemd(box):
    if not shutil.which("dbus-daemon"):
        pytest.skip("no dbus-daemon here")
    runtime = box.root / "runtime"
    runtime.mkdir()
    config = box.write("bus.conf", "<busconfig><type>session</type>"
                       f"<listen>unix:path={runtime}/bus</listen><auth>EXTERNAL</auth>"
                       "<policy context='default'><allow user='*'/><allow send_destination='*'/>"
                       "<allow receive_sender='*'/></policy></busconfig>")
    box.give(runtime)
    daemon = box.popen(["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address"])
    assert box.line(daemon).startswith("unix:")
    done = run(box, runtime)
    daemon.terminate()
    box.finish(daemon)
    skip_where_groups_can_be_made(done)
    assert "NameHasNoOwner" in done.err


# The real one, as an ordinary user's, in namespaces that are thrown away

SYSTEMD = pathlib.Path("/lib/systemd/systemd")
AS_ROOT = r"""
set -e
for tree in $TREES; do echo $$ >$tree/cgroup.procs; done
exec unshare -mC --propagation private sh -e "$ETC/inside"
"""
INSIDE = r"""
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system $XDG_RUNTIME_DIR
chown $PLAIN_USER $XDG_RUNTIME_DIR
chmod 700 $XDG_RUNTIME_DIR
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec setpriv --reuid $PLAIN_USER --regid $PLAIN_GROUP --clear-groups sh -e "$ETC/as-user"
"""
AS_USER = r"""
$SYSTEMD --user --log-target=null &
manager=$!
trap "kill $manager; wait $manager || true" EXIT
until systemctl --user is-system-running 2>/dev/null | grep -q running; do sleep 0.05; done
units() { systemctl --user list-units --all --plain --no-legend "postern*"; }
properties() { systemctl --user show "postern*" -p MemoryMax -p MemorySwapMax -p TasksMax -p CPUQuotaPerSecUSec; }
until_gone() { while [ "$(units)" ]; do sleep 0.05; done; find /sys/fs/cgroup -name "postern*"; echo gone; }
$POSTERN run -s $SETTINGS -- sh -c "echo up; read line" <$FIFO &
run=$!
exec 5>$FIFO
until [ "$(units)" ]; do sleep 0.05; done
"""


@pytest.fixture
def alone(box):
    """Runs a shell script beside a systemd of the plain user's own."""
    trees = [pathlib.Path(p) for p in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup")
             if pathlib.Path(p, "cgroup.procs").exists()]
    needs = ["unshare", "setpriv", "systemctl", "dbus-daemon"]
    if os.geteuid() != 0 or not SYSTEMD.exists() or not trees or not all(map(shutil.which, needs)):
        pytest.skip("needs root, systemd and a bus")
    if not pathlib.Path("/usr/lib/systemd/user/dbus.socket").exists():
        pytest.skip("no bus of the user's own (dbus-user-session)")
    places = [pathlib.Path(tempfile.mkdtemp(prefix="scenario-systemd-", dir=tree)) for tree in trees]
    for place in places:
        place.chmod(0o755)
        for name in (".", "cgroup.procs"):
            os.chown(place / name, box.user.pw_uid, box.user.pw_gid)
    fifo = box.root / "fifo"
    os.mkfifo(fifo)
    box.give(fifo)

    def script(lines):
        env = {"PATH": os.environ["PATH"], "TREES": " ".join(map(str, places)), "PLAIN_USER": PLAIN_USER,
               "PLAIN_GROUP": str(box.user.pw_gid), "XDG_RUNTIME_DIR": "/run/user/scenario", "HOME": str(box.home),
               "SYSTEMD": str(SYSTEMD), "ETC": str(box.etc), "POSTERN": str(box.program),
               "SETTINGS": str(box.settings_file), "FIFO": str(fifo)}
        box.write("etc/inside", INSIDE)
        box.write("etc/as-user", AS_USER + lines)
        return subprocess.run(["sh", "-c", AS_ROOT], env=env, cwd=box.ws, capture_output=True, text=True,
                              timeout=TIMEOUT, check=False)

    yield script
    for place in places:
        for directory in sorted((d for d, _, _ in os.walk(place)), reverse=True):
            os.rmdir(directory)


@pytest.mark.identity("plain")
def test_a_scope_of_the_real_systemd_holds_the_sandbox(box, alone):
    box.settings(x={"limits": LIMITS})
    done = alone('properties; cd "$(find /sys/fs/cgroup -name "postern*")"; pwd\n'
                 'for pid in $(cat cgroup.procs); do echo "in it: $(cat /proc/$pid/comm)"; done; cd /\n'
                 'echo end >&5; wait $run; echo status $?; until_gone\n')
    for text in ("up\n", "MemoryMax=268435456\n", "MemorySwapMax=0\n", "TasksMax=100\n", "CPUQuotaPerSecUSec=500ms\n"):
        assert text in done.stdout, done
    assert "/sys/fs/cgroup/app.slice/postern." in done.stdout and "in it: sh\n" in done.stdout, done
    assert done.stdout.endswith("status 0\ngone\n") and ANSWERS not in done.stderr, done


@pytest.mark.identity("plain")
def test_a_scope_ends_with_the_supervisor(box, alone):
    box.settings(x={"limits": LIMITS})
    done = alone("kill -9 $run; until_gone\n")
    assert done.stdout.endswith("gone\n") and "postern" not in done.stdout, done
