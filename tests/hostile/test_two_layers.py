"""At least two layers each stop an attack alone: T1 to T11, T17 to T24, T33.

Each proof is one attack, seen by what it leaves on the host or what it shows, and the layers that stop
it. For each layer the attack runs with all the others switched off: that one layer holds alone. Then it
runs with all of them off: it must succeed, or the proof would say nothing. These runs change nothing
but files of the test, a process of the test, and namespaces that end with the run.

The names are those of --disable-layer (builds with -Ddebug_layers=true). Where a threat has room for one
layer only, docs/threat-model.md says why.
"""

import contextlib
import ctypes
import os
import pathlib
import signal
import subprocess
import time

import hosts
import outer
import pytest
from test_attack_processes import shared_objects, with_terminal

SECRET = "mark-in-secret"
PROOFS = []


class Proof:
    def __init__(self, row, name, layers, attack, always_off, who, needs, works):
        self.row, self.name, self.layers, self.attack = row, name, layers, attack
        self.always_off, self.who, self.needs, self.works = always_off, who, needs, works


def proof(row, name, layers, *, always_off=(), who=("root", "user"), needs=None, works=True):
    """Registers an attack: a function that gives True when it succeeded. `needs` gives the feature of the
    kernel or of the machine that is missing for it, or None; `works` says why it cannot succeed even
    without the layers, where that is so."""
    def take(attack):
        PROOFS.append(Proof(row, name, layers, attack, always_off, who, needs, works))
        return attack
    return take


def cases(alone):
    for one in PROOFS:
        held = one.layers if alone else [None]
        if not alone and one.works is not True:
            continue
        for holds in held:
            off = [layer for layer in (*one.always_off, *one.layers) if layer != holds]
            name = f"{one.row}-{one.name.replace(' ', '_')}-{holds or 'nothing'}-without-{'+'.join(off)}"
            for who in one.who:
                yield pytest.param(one, holds, off, who, id=f"{name}-{who}")


@pytest.fixture
def without():
    return None


@pytest.fixture
def attacked(cell, switch_off, one, off):
    if why := one.needs and one.needs(cell):
        pytest.skip(why)
    for layer in off:
        if why := switch_off(layer):
            pytest.skip(why)
    cell.without, cell.watched = ",".join(off), False
    return cell


@pytest.mark.parametrize("one, holds, off, who", cases(alone=True))
def test_one_layer_stops_it_alone(attacked, one, holds, off):
    assert not one.attack(attacked), f"{holds} alone does not stop it"


@pytest.mark.parametrize("one, holds, off, who", cases(alone=False))
def test_without_all_of_them_it_works(attacked, one, holds, off):
    assert one.attack(attacked), "the attack does not work at all: it proves nothing"


# What the attacks share

CALLS = """import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def done(worked): print('REACHED' if worked else 'errno %d' % ctypes.get_errno())
print('tried')
"""


def reached(cell, script, *arguments, **more):
    """Runs a script of Python inside that calls done(worked); True when it worked."""
    shown = cell.python(CALLS + script, *arguments, **more)
    assert "tried" in shown.out, shown
    return "REACHED" in shown.out


def group_missing(cell):
    """Control groups for this user: root has them, others need a part of the tree to be theirs."""
    return cell.take_groups() if cell.uid else None


def landlock_abi():
    return ctypes.CDLL(None).syscall(444, None, 0, 1)  # landlock_create_ruleset, asked for its version


def abi_below(number):
    return lambda cell: f"this kernel has no Landlock ABI {number}" if landlock_abi() < number else None


# T1 to T5: files

@proof("T1", "a program on the path", ["seccomp", "landlock", "mount"])
def plant_on_the_path(cell):
    directory = cell.mkdir("ws/bin")
    cell.sh("echo evil > bin/bash", env={"PATH": f"{directory}:/usr/bin:/bin"})
    return (directory / "bash").exists()


@proof("T2", "after the end of another sandbox", ["seccomp", "landlock"])
def write_after_the_end_of_another(cell):
    shell = cell.shell()
    assert cell.run("/bin/true").code == 0
    shell("echo evil > .bashrc; mkdir .vscode && echo evil > .vscode/tasks.json")
    shell.close()
    return (cell.ws / ".bashrc").exists() or (cell.ws / ".vscode").exists()


@proof("T3", "the repository is moved away", ["seccomp", "landlock"])
def move_the_repository(cell):
    cell.mkdir("ws/.git/hooks")
    cell.sh("mv .git g; mkdir -p .git/hooks; echo evil > .git/hooks/pre-commit")
    return (cell.ws / ".git/hooks/pre-commit").exists()


@proof("T4", "a deep name made later", ["seccomp", "landlock"])
def make_a_deep_name(cell):
    cell.mkdir("ws/a/b/c/d/e/f")
    cell.sh("mkdir a/b/c/d/e/f/.vscode; echo evil > a/b/c/d/e/f/.bashrc")
    return bool(os.listdir(cell.ws / "a/b/c/d/e/f"))


READ = "cat '{0}'; cat /proc/self/root'{0}'; cat < '{0}'; ln -s '{0}' l; cat l; cd '{1}' && cat ./*"


@proof("T5", "a hidden file outside write paths", ["mount", "landlock"])
def read_a_hidden_file(cell):
    secret = cell.write("outside/secret", SECRET)
    return SECRET in cell.sh(READ.format(secret, secret.parent), settings=cell.settings(deny_read=[secret])).out


@proof("T5", "a hidden directory outside write paths", ["mount", "landlock"])
def read_a_hidden_directory(cell):
    secret = cell.write("outside/hidden/deep/secret", SECRET)
    settings = cell.settings(deny_read=[cell.outside / "hidden"])
    return SECRET in cell.sh(READ.format(secret, secret.parent), settings=settings).out


@proof("T5", "a hidden file in a write path with strictHide", ["mount", "seccomp"])
def read_a_hidden_file_in_a_write_path(cell):
    secret = cell.write("ws/secret", SECRET)
    return SECRET in cell.sh(READ.format(secret, secret.parent), settings=cell.strict_hide(deny_read=[secret])).out


@proof("T5", "contents of a read-only file", ["seccomp", "landlock", "mount"])
def write_a_read_only_file(cell):
    victim = cell.write("outside/victim", "mine\n")
    cell.sh(f"echo evil > '{victim}'; echo evil > /proc/self/root'{victim}'; ln -s '{victim}' l; echo evil > l")
    return victim.read_text() != "mine\n"


@proof("T5", "mode and times of a read-only file", ["seccomp", "mount"], always_off=["landlock"])
def mark_a_read_only_file(cell):
    victim = cell.write("ws/victim", "mine\n")
    before = victim.stat()
    cell.sh("chmod 777 victim; touch -d 2001-01-01 victim", settings=cell.settings(deny_write=[victim]))
    return (victim.stat().st_mode, victim.stat().st_mtime_ns) != (before.st_mode, before.st_mtime_ns)


# T6 to T8: the kernel's doors

@proof("T6", "a cover is unmounted", ["seccomp", "landlock", "capabilities"])
def unmount_a_cover(cell):
    """In a write path, where the mount alone hides, so that reading shows whether it is gone."""
    secret = cell.write("ws/secret", SECRET)
    shown = cell.python(CALLS + "libc.umount2(sys.argv[1].encode(), 2)\nprint(open(sys.argv[1]).read())", secret,
                        settings=cell.settings(deny_read=[secret]))
    return SECRET in shown.out


@proof("T6", "a user namespace is made", ["seccomp", "namespaces"])
def make_a_user_namespace(cell):
    return reached(cell, "done(libc.unshare(0x10000000) == 0)")


@proof("T7", "what another call table would reach", ["landlock", "mount"], always_off=["seccomp"])
def write_past_the_filter(cell):
    """The filter kills such calls (test_attack_processes); behind it stand layers that know no call
    numbers. A native call without the filter is judged by them like a foreign one with it."""
    return write_a_read_only_file(cell)


def no_io_uring(cell):
    value = pathlib.Path("/proc/sys/kernel/io_uring_disabled")
    return "kernel.io_uring_disabled is set" if value.exists() and value.read_text().strip() == "2" else None


@proof("T8", "a file made by io_uring", ["seccomp", "landlock"], needs=no_io_uring)
def make_a_file_by_io_uring(cell):
    cell.run(cell.attacks / "hostile-ring", cell.ws / "made")
    return (cell.ws / "made").exists()


# T9 to T11: sockets

def unix_is_landlocked(cell):
    return "Landlock ABI 9 holds here, mounts are not needed" if landlock_abi() >= 9 else None


@proof("T9", "a socket of the host by path", ["seccomp", "mount"], needs=unix_is_landlocked)
def connect_by_path(cell):
    cell.mkdir("outside/run")
    with hosts.UnixServer(str(cell.outside / "run/docker.sock"), uid=cell.uid) as server:
        reached(cell, "import socket\nlibc.chdir(os.path.dirname(sys.argv[1]).encode())\n"
                "for name in (sys.argv[1], '/proc/self/root' + sys.argv[1], 'docker.sock'):\n"
                "    try: socket.socket(socket.AF_UNIX).connect(name)\n    except OSError as e: print(e)\n", server.name)
        return server.touched()


@proof("T9", "a socket of the host by path under ABI 9", ["seccomp", "landlock"], needs=abi_below(9))
def connect_by_path_under_landlock(cell):
    return connect_by_path(cell)


@proof("T9", "an abstract socket of the host", ["net", "landlock"], needs=abi_below(6))
def connect_by_abstract_name(cell):
    with hosts.UnixServer(f"@{cell.root.name}", uid=cell.uid) as server:
        reached(cell, "import socket\ntry: socket.socket(socket.AF_UNIX).connect('\\0' + sys.argv[1][1:])\n"
                "except OSError as e: print(e)\n", server.name)
        return server.touched()


@proof("T10", "a descriptor of the caller", ["close-in-init", "close-at-exec"])
def use_an_inherited_descriptor(cell):
    secret = cell.write("outside/secret", SECRET)
    words = [str(word) for word in cell.words(["/bin/cat", "/proc/self/fd/40", "/dev/fd/200"])]
    done = cell.finish(cell.popen(["/bin/bash", "-c", 'exec 40<"$0" 200<"$0"; exec "$@"', secret, *words]))
    return SECRET in done.out


def tcp(cell, **settings):
    with hosts.Server() as server:
        reached(cell, "import socket\ntry: socket.create_connection(('127.0.0.1', int(sys.argv[1])), 2)\n"
                "except OSError as e: print(e)\n", server.port, settings=cell.settings(**settings))
        return server.settle().connections > 0


@proof("T11", "TCP with transparent off", ["net", "seccomp", "landlock"], needs=abi_below(4))
def connect_with_transparent_off(cell):
    return tcp(cell, x={"network": {"transparent": False}})


@proof("T11", "TCP with transparent on", ["net", "seccomp", "landlock"], needs=abi_below(4))
def connect_with_transparent_on(cell):
    return tcp(cell, allowed=["allowed.example"], x={"network": {"transparent": True}})


@proof("T11", "every way of TCP", ["net", "seccomp"], always_off=["landlock"])
def connect_in_every_way(cell):
    address = hosts.host_address() or "127.0.0.1"
    with hosts.Server() as server:
        for allowed in ([], ["allowed.example"]):
            cell.run(cell.attacks / "hostile-connect", "tcp", address, str(server.port), settings=cell.settings(allowed=allowed))
        return server.settle().connections > 0


@proof("T11", "a raw socket", ["seccomp", "capabilities"])
def open_a_raw_socket(cell):
    return reached(cell, "done(libc.socket(2, 3, 1) >= 0 or libc.socket(17, 3, 0) >= 0)")


# T17 to T20: other processes and their objects

@proof("T17", "the memory of init, which knew the token", ["dumpable", "landlock"])
def read_init(cell):
    return reached(cell, "def shown(name):\n    try: return len(open('/proc/1/' + name, 'rb').read(9)) > 0\n"
                   "    except OSError: return False\ndone(shown('environ') or shown('maps'))")


@proof("T18", "typing into the caller's terminal", ["seccomp", "session"])
def type_into_the_terminal(cell):
    return with_terminal(cell, cell.attacks / "hostile-terminal", options=["--tty=no"])[1] != b""


@proof("T19", "a signal to a process of the host", ["namespaces", "landlock"], needs=abi_below(6))
def signal_a_host_process(cell):
    sentinel = cell.popen(["/bin/sleep", "60"])
    reached(cell, "done(libc.kill(int(sys.argv[1]), 9) == 0)", sentinel.pid)
    try:
        return sentinel.wait(0.5) == -signal.SIGKILL
    except subprocess.TimeoutExpired:
        return False
    finally:
        sentinel.kill()
        sentinel.wait()


@proof("T19", "a signal to the warden", ["seccomp", "landlock"], needs=abi_below(6))
def signal_the_warden(cell):
    return reached(cell, "done(libc.kill(2, 18) == 0 or libc.syscall(434, 2, 0) >= 0 and\n"
                   "     libc.syscall(424, libc.syscall(434, 2, 0), 18, None, 0) == 0)")


@proof("T19", "tracing init", ["seccomp", "dumpable", "landlock"])
def trace_init(cell):
    return reached(cell, "done(libc.ptrace(0x4206, 1, None, None) == 0)")


@proof("T20", "System V objects", ["namespaces", "seccomp"])
def use_system_v_objects(cell):
    with shared_objects(cell) as (shm, sem, msg, *_):
        return reached(cell, "libc.shmat.restype = ctypes.c_void_p\nshm, sem, msg = map(int, sys.argv[1:])\n"
                       "done(libc.shmat(shm, None, 0o10000) not in (None, 2 ** 64 - 1) or libc.semctl(sem, 0, 12) >= 0 or\n"
                       "     libc.msgctl(msg, 2, ctypes.create_string_buffer(256)) == 0)", shm, sem, msg)


@proof("T20", "a POSIX queue", ["namespaces", "landlock"], always_off=["seccomp"])
def open_a_queue(cell):
    with shared_objects(cell) as (_, _, _, queue, *_):
        return reached(cell, "done(libc.mq_open(sys.argv[1].encode(), 0) >= 0)", queue)


@proof("T20", "a POSIX queue is taken away", ["namespaces", "seccomp"], who=["root"])  # who has made it
def unlink_a_queue(cell):
    with shared_objects(cell) as (_, _, _, queue, *_):
        return reached(cell, "done(libc.mq_unlink(sys.argv[1].encode()) == 0)", queue)


@proof("T20", "a file of /dev/shm", ["mount", "landlock"])
def read_shared_memory_by_name(cell):
    with shared_objects(cell) as (_, _, _, _, path, *_):
        return reached(cell, "try: done(open(sys.argv[1]).read() == 'shared')\nexcept OSError as e: print(e)", path)


KEYS = {"x86_64": (248, 250), "aarch64": (217, 219)}
ADD_KEY, KEYCTL = KEYS[os.uname().machine]


@proof("T20", "a key of the caller's session", ["seccomp", "keyring"])
def read_a_key(cell):
    libc = ctypes.CDLL(None, use_errno=True)

    def own_keyring():
        libc.syscall(KEYCTL, 1, b"postern-hostile")  # KEYCTL_JOIN_SESSION_KEYRING
        libc.syscall(ADD_KEY, b"user", b"postern-hostile", SECRET.encode(), ctypes.c_size_t(len(SECRET)), -3)

    script = (f"key = libc.syscall({KEYCTL}, 10, -3, b'user', b'postern-hostile', 0)\nroom = ctypes.create_string_buffer(99)\n"
              f"done(libc.syscall({KEYCTL}, 11, key, room, 99) > 0 and room.value.startswith(b'mark'))")
    return reached(cell, script, preexec_fn=own_keyring)


# T21, T22: limits and the end

@proof("T21", "processes", ["cgroup", "rlimit"], who=["user"], needs=group_missing)  # RLIMIT_NPROC exempts uid 0
def use_up_processes(cell):
    done = cell.run(cell.attacks / "hostile-bomb", "processes", "64", settings=cell.settings(x={"limits": {"pids": 64}}))
    return done.out.startswith("ESCAPED")


@proof("T21", "memory", ["cgroup", "rlimit"], needs=group_missing)
def use_up_memory(cell):
    done = cell.python("b = bytearray(200 << 20); print('ESCAPED')",
                       settings=cell.settings(x={"limits": {"memory": 96 << 20}}))
    return "ESCAPED" in done.out


@proof("T21", "descriptors", ["cgroup", "rlimit"], needs=group_missing)
def use_up_descriptors(cell):
    """A group has no count of descriptors, but their memory is the group's."""
    settings = cell.settings(x={"limits": {"memory": 24 << 20, "openFiles": 512}})
    done = cell.python("import socket\nkept = []\ntry:\n    while len(kept) < 9000: kept.append(socket.socketpair())\n"
                       "except OSError: pass\nprint('ESCAPED' if len(kept) == 9000 else len(kept))", settings=settings)
    return "ESCAPED" in done.out


@proof("T22", "a daemon outlives the command", ["namespaces", "cgroup"], needs=group_missing)
def outlive_the_command(cell):
    heart = cell.write("ws/heart")
    before = set(outer.processes())
    child = cell.start(cell.attacks / "hostile-outlive", heart)
    assert child.stdout.readline() == b"blocked: ready\n"
    child.wait(20)
    try:
        for _ in range(3):  # s; by themselves they would beat on for 20
            size = heart.stat().st_size
            time.sleep(1)
            if heart.stat().st_size == size:
                return False
        return True
    finally:
        for pid in outer.processes():
            if os.fsencode(heart) in outer.read(f"/proc/{pid}/cmdline"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        outer.reap(before)


# T23, T24, T33: marks, our own files, the kernel's settings

@proof("T23", "a set-id bit", ["warden", "mode-rules"], always_off=["landlock"])
def set_an_id_bit(cell):
    victim = cell.write("ws/program", "x", 0o755)
    cell.sh("chmod u+s program; chmod g+s program")
    return bool(victim.stat().st_mode & 0o6000)


@proof("T23", "a device", ["seccomp", "landlock"], works="the kernel makes no device for a user namespace")
def make_a_device(cell):
    cell.sh("mknod device c 1 3")
    return (cell.ws / "device").exists()


@proof("T23", "capabilities of a file", ["seccomp", "capabilities"])
def give_a_file_capabilities(cell):
    victim = cell.write("ws/program", "x", 0o755)
    words = (0x03000001, 1 << 12, 0, 0, 0, cell.uid)  # revision 3: for the namespace whose root is this user
    value = b"".join(word.to_bytes(4, "little") for word in words)
    reached(cell, f"v = {value!r}\ndone(libc.setxattr(sys.argv[1].encode(), b'security.capability', v, 24, 0) == 0)", victim)
    return "security.capability" in os.listxattr(victim)


@proof("T24", "our settings file", ["seccomp", "landlock", "mount"])
def write_our_settings(cell):
    text = '{"network":{"allowedDomains":[],"deniedDomains":[]},"filesystem":{"denyRead":[],"allowWrite":["~"],"denyWrite":[]}}'
    path = cell.write("home/mine.json", text)
    cell.sh("echo '{}' > ~/mine.json", settings=path)
    return path.read_text() != text


@proof("T33", "a sysctl", ["seccomp", "landlock", "mount"], who=["root"])
def write_a_sysctl(cell):
    """One of the sandbox's own uts namespace: the machine's are reached by the same path."""
    name = "/proc/sys/kernel/domainname"
    return "evil" in cell.sh(f"echo evil > {name}; cat {name}").out


@proof("T33", "another root directory", ["seccomp", "capabilities"])
def change_the_root(cell):
    return reached(cell, "done(libc.chroot(b'/') == 0)")
