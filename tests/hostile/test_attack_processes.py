"""Kernel, processes, terminal, limits: T6, T7, T8, T10, T18, T19, T20, T21, T22, T23, T31, T33."""

import contextlib
import ctypes
import os
import pty
import select
import signal
import subprocess
import termios
import time

import cells
import outer
import pytest

LIBC = ctypes.CDLL(None, use_errno=True)


# T6

@pytest.mark.threat("T6")
@pytest.mark.guards("seccomp", "landlock", "capabilities")
def test_no_new_namespace_and_no_mount(cell):
    secret = cell.write("outside/secret", "mark-in-secret")
    cell.mkdir("ws/scratch")
    cell.attack("namespace", cell.ws / "scratch", secret, "mark-in-secret", settings=cell.settings(deny_read=[secret]))


@pytest.mark.threat("T6")
@pytest.mark.guards("seccomp", "mount", "landlock")
def test_user_namespaces_when_allowed_undo_no_deny(cell):
    """allowNestedUserNamespaces lets them be made; hidden and read-only files stay so."""
    secret = cell.write("outside/secret", "mark-in-secret")
    victim = cell.write("ws/.bashrc", "mine\n")
    settings = cell.settings(deny_read=[secret], allowNestedUserNamespaces=True)
    script = (f"unshare -Urm sh -c 'for i in 1 2 3; do umount -l {secret}; umount -l {victim}; done; "
              f"mount -o remount,rw,bind /; cat {secret}; echo evil > {victim}; echo evil > {cell.ws}/.zshrc; "
              f"mkdir -p n && mount --bind {cell.ws} n && echo evil > n/.profile; echo evil > {cell.outside}/made'")
    done = cell.sh(script, settings=settings)
    assert "mark-in-secret" not in done.out, done
    assert victim.read_text() == "mine\n" and os.listdir(cell.outside) == ["secret"]


# T7, T8, and the rest of the filter

@pytest.mark.threat("T7")
@pytest.mark.guards("seccomp")
def test_other_system_call_tables(cell):
    """The filter looks at the architecture before all else. Without it, a kernel that has these tables
    lets the calls through, and then what they name is judged by Landlock and the namespaces like any
    other (test_attack_files, test_attack_network); a kernel that lacks them refuses by itself."""
    cell.attack("foreign")


@pytest.mark.threat("T7")
def test_x32_calls_kill(cell):
    if os.uname().machine != "x86_64":
        pytest.skip("x32 exists on x86-64 only")
    done = cell.python("import ctypes, os\npid = os.fork()\n"
                       "if pid == 0:\n    ctypes.CDLL(None).syscall(0x40000000 + 39)\n    os._exit(0)\n"
                       "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))")
    assert done.out == f"{-signal.SIGSYS}\n", done


@pytest.mark.threat("T8")
def test_io_uring_is_refused(cell):
    """One layer: only a filter can refuse io_uring; what it would reach (files, sockets) stands under
    Landlock and the network namespace, which test_attack_files and test_attack_network try alone."""
    cell.attack("calls", "kernel")


@pytest.mark.threat("T8")
@pytest.mark.guards("seccomp")
def test_what_io_uring_would_open_is_denied_without_the_filter(cell):
    victim = cell.write("outside/victim", "mine\n")
    scratch = cell.mkdir("ws/scratch")
    cell.attack("write", victim, scratch, "contents")
    cell.attack("make", cell.ws / ".bashrc", scratch)
    assert victim.read_text() == "mine\n"


@pytest.mark.parametrize("group", ["mount", "namespace", "trace", "kernel", "key", "module", "handle", "time",
                                   "machine", "personality"])
def test_calls_that_the_filter_refuses(cell, group):
    """Contract 4.5, call by call: nothing of the kernel behind them is reached."""
    cell.attack("calls", group)


# T10

@pytest.mark.threat("T10")
@pytest.mark.guards("seccomp", "landlock", "mount")
def test_descriptors_of_the_caller_are_closed(cell):
    secret = cell.write("outside/secret", "mark-in-secret")
    settings = cell.settings(deny_read=[secret])
    opening = 'exec 7<"$0" 40<"$0" 63<"$0" 200<"$0" 900<"$0"; exec "$@"'  # a shell opens them, as a caller would
    for command in ([cell.attacks / "hostile-descriptors"],
                    ["/bin/bash", "-c", "for n in 7 40 63 200 900; do cat <&$n; cat /proc/self/fd/$n; done; echo blocked:"]):
        words = [str(word) for word in cell.words(command, settings)]
        done = cell.finish(cell.popen(["/bin/bash", "-c", opening, secret, *words]))
        assert done.code == 0 and "blocked:" in done.out and "mark-in-secret" not in done.out, done


@pytest.mark.threat("T10")
def test_control_and_audit_descriptors_are_closed_too(cell):
    read, write = os.pipe()
    import socket
    ours, theirs = socket.socketpair()
    cell.attack("descriptors", options=["--control-fd", str(read), "--audit-fd", str(write), "--ask-fd",
                                        str(theirs.fileno())], pass_fds=[read, write, theirs.fileno()])
    for fd in (read, write):
        os.close(fd)
    ours.close()
    theirs.close()


@pytest.mark.threat("T10")
@pytest.mark.guards("net", "landlock")
def test_a_socket_passed_between_processes_inside_leads_nowhere_new(cell):
    """SCM_RIGHTS works inside; there is just nobody outside to receive a descriptor from."""
    import hosts
    with hosts.UnixServer(str(cell.outside / "socket"), uid=cell.uid) as server, \
            hosts.UnixServer(f"@postern-hostile-{os.getpid()}-{cell.root.name}") as abstract:
        script = """
import array, socket
a, b = socket.socketpair()
inner = socket.socketpair()
a.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [inner[0].fileno()]))])
data, anc, flags, addr = b.recvmsg(10, 100)
print(len(anc))
for name in sys.argv[1:]:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        try:
            s = socket.socket(socket.AF_UNIX, kind)
            s.connect('\\0' + name[1:] if name[0] == '@' else name)
            print('REACHED', name)
        except OSError: pass
"""
        done = cell.python(script, server.name, abstract.name)
        assert done.out == "1\n", done
        assert not server.touched() and not abstract.touched()


# T18

def with_terminal(cell, *command, options=(), **more):
    """Runs inside with all three standard descriptors on a terminal of the host. Gives what the
    terminal showed and what was typed into it, as if by the caller's own keyboard."""
    master, slave = pty.openpty()
    attributes = termios.tcgetattr(slave)
    attributes[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(slave, termios.TCSANOW, attributes)

    def own_terminal():
        import fcntl
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    child = cell.popen(cell.words(command, options=options), stdin=slave, stdout=slave, stderr=slave,
                       preexec_fn=own_terminal, **more)
    shown = b""
    deadline = time.monotonic() + cells.TIMEOUT
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.02)[0]:
            shown += os.read(master, 65536)
        elif child.poll() is not None:
            break
    typed = b""
    while select.select([slave], [], [], 0)[0] and (data := os.read(slave, 1000)):
        typed += data
    os.close(master)
    os.close(slave)
    assert child.poll() is not None, shown
    return shown, typed


@pytest.mark.threat("T18")
@pytest.mark.guards("seccomp")
@pytest.mark.parametrize("mode", ["--tty=no", "--tty=yes"])
def test_nothing_is_typed_into_the_caller_s_terminal(cell, mode):
    shown, typed = with_terminal(cell, cell.attacks / "hostile-terminal", options=[mode])
    assert typed == b"", (shown, typed)
    if not (cell.without == "seccomp" and mode == "--tty=yes"):  # a terminal of its own is its own affair
        assert b"blocked: " in shown, shown


@pytest.mark.threat("T18")
def test_the_command_has_no_controlling_terminal_of_the_caller(cell):
    shown, _ = with_terminal(cell, "/bin/sh", "-c", "(echo hi > /dev/tty) 2>/dev/null && echo HAS; echo end",
                             options=["--tty=no"])
    assert b"HAS" not in shown and b"end" in shown, shown


# T19

@pytest.mark.threat("T19")
@pytest.mark.guards("seccomp", "landlock")
def test_no_process_of_the_host_or_of_ours_is_reached(cell):
    """Read, traced, written or copied from; and the guard still guards after `kill -1`."""
    sentinel = cell.popen(["/bin/sleep", "60"])
    cell.attack("process", "reach", sentinel.pid, cell.ws / ".bashrc")
    assert sentinel.poll() is None
    sentinel.kill()
    sentinel.wait()


@pytest.mark.threat("T19")
def test_no_process_of_the_host_or_of_ours_is_disturbed(cell):
    """Signals and limits. To our own processes inside this has one layer each: the run would end or hang,
    and allow nothing (test_signals_to_everybody_do_not_open_a_deny)."""
    sentinel = cell.popen(["/bin/sleep", "60"])
    cell.attack("process", "disturb", sentinel.pid)
    assert sentinel.poll() is None
    sentinel.kill()
    sentinel.wait()


@pytest.mark.threat("T19")
@pytest.mark.parametrize("number", ["KILL", "TERM", "SEGV"])
def test_signals_to_everybody_do_not_open_a_deny(cell, number):
    """`kill -9 -1`: whatever dies, nothing is allowed afterwards and the run ends."""
    script = ("import os, signal, time\nif os.fork() == 0:\n    os.setsid()\n    for s in (1, 2, 3, 15):\n"
              f"        signal.signal(s, signal.SIG_IGN)\n    try: os.kill(-1, signal.SIG{number})\n"
              "    except OSError: pass\n    for n in ('.bashrc', '.vscode'):\n"
              "        try: os.mkdir(n)\n        except OSError: pass\n    os._exit(0)\ntime.sleep(0.5)\n")
    done = cell.python(script)
    assert not list(cell.ws.glob(".*")), done


@pytest.mark.threat("T19")
def test_only_processes_of_the_sandbox_are_seen(cell):
    sentinel = cell.popen(["/bin/sleep", "60"])
    done = cell.sh("for d in /proc/[0-9]*; do tr '\\0' ' ' < $d/cmdline; echo; done; ls /proc | grep -c '^[0-9]'")
    assert "sleep 60" not in done.out and "pytest" not in done.out and int(done.out.split()[-1]) < 8, done
    sentinel.kill()
    sentinel.wait()


# T20

@contextlib.contextmanager
def shared_objects(cell):
    """System V objects, a POSIX queue and a file of /dev/shm, open to all; a key of the session keyring."""
    ids, key = {}, 0x70737400 + os.getpid() % 100000
    ids["shm"] = LIBC.shmget(key, 4096, 0o1666)
    ids["sem"] = LIBC.semget(key, 1, 0o1666)
    ids["msg"] = LIBC.msgget(key, 0o1666)
    queue = f"/postern-hostile-{os.getpid()}".encode()
    rt = ctypes.CDLL("librt.so.1")
    rt.mq_open.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p]
    mq = rt.mq_open(queue, os.O_RDWR | os.O_CREAT, 0o666, None)
    shared = f"/dev/shm/postern-hostile-{os.getpid()}"
    with open(shared, "w") as file:
        file.write("shared")
    os.chmod(shared, 0o666)
    name = f"postern-hostile-{os.getpid()}".encode()
    keyring = LIBC.syscall(248, b"user", name, b"secret", ctypes.c_size_t(6), ctypes.c_int(-5))  # session keyring
    try:
        assert min(ids.values()) >= 0 and mq >= 0 and keyring > 0, (ids, mq, keyring)
        yield [ids["shm"], ids["sem"], ids["msg"], queue.decode(), shared, name.decode(), keyring]
    finally:
        LIBC.shmctl(ids["shm"], 0, None)
        LIBC.semctl(ids["sem"], 0, 0)
        LIBC.msgctl(ids["msg"], 0, None)
        os.close(mq)
        rt.mq_unlink(queue)
        os.unlink(shared)
        LIBC.syscall(250, 21, keyring)  # KEYCTL_INVALIDATE


@pytest.mark.threat("T20")
@pytest.mark.guards("seccomp", "landlock", "keyring")
def test_shared_objects_of_the_host_are_out_of_reach(cell):
    with shared_objects(cell) as arguments:
        outside = cell.host(cell.attacks / "hostile-ipc", *map(str, arguments))
        assert outside.code == 1 and "shared memory" in outside.out and "/dev/shm" in outside.out, outside
        cell.attack("ipc", *arguments)


# T21

BOMBS = [("processes", 64, {"pids": 64}), ("threads", 64, {"pids": 64})]
ALONE = [("descriptors", 128, {"openFiles": 128}), ("file", 4, {"fileSize": 4 << 20})]


@pytest.mark.threat("T21")
@pytest.mark.guards("cgroup", "rlimit")
@pytest.mark.parametrize("kind, limit, limits", BOMBS, ids=[b[0] for b in BOMBS])
def test_a_bomb_stops_at_its_limit(cell, kind, limit, limits):
    if cell.without == "cgroup" and cell.uid == 0:
        pytest.skip("the kernel exempts uid 0 from RLIMIT_NPROC")
    if cell.without == "rlimit" and cell.uid != 0:
        pytest.skip("no control group here that this user may divide; test_two_layers.py gives it one")
    cell.attack("bomb", kind, limit, settings=cell.settings(x={"limits": limits}))


@pytest.mark.threat("T21")
@pytest.mark.guards("cgroup")
@pytest.mark.parametrize("kind, limit, limits", ALONE, ids=[b[0] for b in ALONE])
def test_what_counts_per_process_stops_at_its_limit(cell, kind, limit, limits):
    cell.attack("bomb", kind, limit, settings=cell.settings(x={"limits": limits}))
    assert not (cell.ws / "bomb").exists()


@pytest.mark.threat("T21")
def test_memory_stops_at_its_limit(cell):
    """As root the group holds for all together; a plain user without delegation has a bound per process."""
    settings = cell.settings(x={"limits": {"memory": 96 << 20}})
    if cell.uid == 0:
        done = cell.run(cell.attacks / "hostile-bomb", "memory", "96", settings=settings)
        assert done.code in (0, 137) and "ESCAPED" not in done.out, done
    done = cell.python("b = bytearray(200 << 20); print('ESCAPED')", settings=settings)
    assert done.code != 0 and "ESCAPED" not in done.out, done


@pytest.mark.threat("T21")
@pytest.mark.parametrize("place", ["$TMPDIR", "/dev/shm"])
def test_the_private_file_systems_have_a_size(cell, place):
    settings = cell.settings(x={"limits": {"tmpSize": 8 << 20}})
    done = cell.sh(f'exec "{cell.attacks}/hostile-bomb" file 8 {place}', settings=settings)
    assert done.code == 0 and done.out.startswith("blocked"), done


@pytest.mark.threat("T21")
@pytest.mark.parametrize("kind", ["pipes", "watches", "terminals", "locked", "threads", "processes"])
def test_a_bomb_at_the_defaults_leaves_the_host_working(cell, kind):
    """Bounded: a few thousand at most. Meanwhile the host makes processes, pipes and terminals."""
    limit = {"pipes": 64, "locked": 64}.get(kind, 1500)
    bomb = cell.start(cell.attacks / "hostile-bomb", kind, str(limit))
    for _ in range(3):
        assert subprocess.run(["/bin/true"], timeout=20).returncode == 0
        master, slave = pty.openpty()
        os.close(master)
        os.close(slave)
    done = cell.finish(bomb)
    assert done.code in (0, 1, 137), done
    if kind in ("threads", "processes"):
        assert done.code != 1, done
    if kind == "locked":
        assert done.out.startswith("blocked: 0 ") or done.code == 0, done


FILLS = ["plain", "sparse", "reserved", "mapped", "removed-written", "removed-read", "removed-pointed-at", "linked",
         "named-late", "replaced", "in-flight", "names", "directories", "links", "crumbs", "orphans"]


@pytest.mark.threat("T21")
@pytest.mark.users("root", "user")
@pytest.mark.parametrize("kind", FILLS)
def test_the_disk_is_not_filled_beyond_the_quota(cell, kind):
    """Twice the quota, in ways that a look at the tree would not see."""
    settings = cell.settings(x={"limits": {"diskQuota": 8 << 20}})
    done = cell.run(cell.attacks / "hostile-fill", kind, "16", cell.ws, settings=settings)
    assert done.code == 137 and "ESCAPED" not in done.out, done
    assert "deny limit diskQuota" in done.err, done


@pytest.mark.threat("T21")
@pytest.mark.users("user")
def test_more_files_than_can_be_watched_are_not_opened(cell):
    """As many open for writing as one process may: the quota would lose sight of them."""
    settings = cell.settings(x={"limits": {"diskQuota": 64 << 20, "openFiles": 200}})
    script = ("import os\nhad = []\ntry:\n for i in range(190): had.append(open(f'f{i}', 'w'))\n"
              "except OSError as e: print(len(had), e.errno)\n"
              "for f in had: f.close()\n"
              "for i in range(1000): open(f'g{i}', 'w').close()\nprint('goes on')")
    done = cell.python(script, settings=settings)
    had, errno = map(int, done.ok().split()[:2])
    assert had <= 100 and errno == 23 and "goes on" in done.out, done


@pytest.mark.threat("T21")
@pytest.mark.users("user")
def test_a_wall_limit_ends_what_ignores_signals(cell):
    settings = cell.settings(x={"limits": {"wall": 1}})
    done = cell.sh("trap '' TERM INT HUP; while :; do sleep 0.1; done", settings=settings)
    assert done.code == 124, done


# T22

def beats(path):
    return path.stat().st_size if path.exists() else 0


def assert_silent(path):
    """The heartbeat has stopped: each daemon would add a byte every 10 ms."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        before = beats(path)
        time.sleep(0.15)
        if beats(path) == before:
            return
    raise AssertionError("something beats on")


@pytest.mark.threat("T22")
@pytest.mark.guards("cgroup", "landlock", "namespaces")
def test_daemons_end_with_the_command(cell):
    heart = cell.write("ws/heart")
    cell.attack("outlive", heart)
    assert_silent(heart)


@pytest.mark.threat("T22")
@pytest.mark.guards("cgroup", "landlock", "namespaces")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_everything_ends_with_the_front(cell, number):
    """kill -9 of what the caller started; SIGTERM twice, because the command ignores it."""
    heart = cell.write("ws/heart")
    child = cell.start(cell.attacks / "hostile-outlive", heart, "stay")
    assert child.stdout.readline() == b"blocked: ready\n"
    cells.insist(child, number)
    assert_silent(heart)
    cell.leftovers.check()


@pytest.mark.threat("T22")
def test_killing_any_process_of_ours_ends_all(cell):
    """Whichever of our own processes dies, nothing goes on without its guard."""
    for victim in range(6):
        heart = cell.write(f"ws/heart-{victim}")
        child = cell.start(cell.attacks / "hostile-outlive", heart, "stay")
        assert child.stdout.readline() == b"blocked: ready\n"
        ours = sorted(pid for pid, text in outer.descendants(child.pid).items() if "hostile" not in text)
        if victim >= len(ours):
            child.kill()
            child.wait()
            break
        os.kill(ours[victim], signal.SIGKILL)
        time.sleep(0.1)
        if child.poll() is None:
            # The death of this one may leave the command running, but never less guarded.
            assert not list(cell.ws.glob(".*"))
            cells.insist(child, signal.SIGTERM)
        assert_silent(heart)


# T23

@pytest.mark.threat("T23")
@pytest.mark.guards("seccomp", "mount", "capabilities")
def test_nothing_with_rights_is_left_behind(cell):
    """The part before `apply`: what stands on the host afterwards carries no bit and no attribute."""
    place = cell.mkdir("ws/place")
    done = cell.run(cell.attacks / "hostile-setid", place)
    left = [name for name, (kind, mode, _) in outer.tree(place).items() if mode & 0o6000]
    assert not left, (left, done)
    cell.check_verdict("setid", [place], done)


@pytest.mark.threat("T23")
def test_common_tools_leave_no_set_id_bit(cell):
    cell.sh("cp /bin/true t; chmod u+s t; chmod 4755 t; install -m 6755 /bin/true i; mkdir -m 2755 d; tar cf - t | tar xpf -; "
            "mknod n c 1 3; mknod b b 254 0; mkfifo p; setcap cap_net_raw+ep t; setfattr -n user.x -v y t; cp -p /bin/su s; "
            "python3 -c 'import os; os.chmod(\"t\", 0o4755)'")
    kinds = {name: (kind, mode) for name, (kind, mode, _) in outer.tree(cell.ws).items()}
    assert not [n for n, (kind, mode) in kinds.items() if mode & 0o6000 or kind in (0o020000, 0o060000)], kinds
    assert not [n for n in kinds if os.listxattr(os.path.join(os.fsencode(cell.ws), n), follow_symlinks=False)]


@pytest.mark.threat("T23")
@pytest.mark.users("root")
def test_set_id_programs_of_the_host_give_nothing(cell):
    """no_new_privs and nosuid: a set-id program runs as who started it. Root prepares one for a plain user."""
    import shutil
    program = cell.ws / "id"
    shutil.copy("/usr/bin/id", program)
    os.chown(program, 5, 5)
    program.chmod(0o6755)
    done = cell.run(program, "-u")
    assert done.out.strip() in ("0", ""), done


# T31

LOADED = """
#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void loaded(void)
{
    int fd = open("%s", O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (fd >= 0) { if (write(fd, "loaded\\n", 7) != 7) return; close(fd); }
}
"""


@pytest.mark.threat("T31")
def test_the_caller_s_loader_variables_run_nothing_of_ours(cell, server):
    """The marker stands where nothing inside may write: only code before the filter could make it.
    A connection is made too, so that the proxy has been started."""
    marker = cell.outside / "marker"
    source = cell.write("outside/evil.c", LOADED % marker)
    library = cell.outside / "evil.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    startup = cell.write("outside/startup", f"echo ran >> '{marker}'\n")
    env = {"LD_PRELOAD": str(library), "LD_AUDIT": str(library), "LD_LIBRARY_PATH": str(cell.outside),
           "BASH_ENV": str(startup), "ENV": str(startup), "SHELLOPTS": "braceexpand:hashall:interactive-comments:xtrace",
           "PS4": f"$(echo ran >> {marker})", "PROMPT_COMMAND": f"echo ran >> {marker}",
           "PYTHONSTARTUP": str(startup), "PERL5OPT": "-M-strict", "GCONV_PATH": str(cell.outside),
           "NODE_OPTIONS": f"--require {startup}", "LD_DEBUG_OUTPUT": str(cell.outside / "debug"), "LD_DEBUG": "all",
           "LD_PROFILE": "libc.so.6", "LD_PROFILE_OUTPUT": str(cell.outside), "MALLOC_TRACE": str(cell.outside / "trace"),
           "GETCONF_DIR": str(cell.outside), "LOCPATH": str(cell.outside), "NLSPATH": str(cell.outside),
           "RES_OPTIONS": "debug", "LOCALDOMAIN": "evil.example", "HOSTALIASES": str(startup), "TMPDIR": str(cell.outside)}
    before = sorted(os.listdir(cell.outside))
    settings = cell.settings(allowed=[f"localhost:{server.port}"])
    cell.run("/bin/bash", "-c", "exit 0", settings=settings, env=env)
    script = f"import inside; print(inside.status(inside.exchange(b'GET http://localhost:{server.port}/ HTTP/1.1\\r\\n" \
             f"Host: localhost:{server.port}\\r\\n@AUTH@Connection: close\\r\\n\\r\\n', finish=False)))"
    quiet = {name: value for name, value in env.items() if not name.startswith(("LD_DEBUG", "LD_PROFILE"))}
    done = cell.python(script, settings=settings, env=quiet)
    assert "200" in done.out, done
    shown = cell.popen([cell.postern, "run", "--settings", settings, "-c", "exit 0"], env=quiet)
    assert cell.finish(shown).code == 0
    assert not marker.exists() and sorted(os.listdir(cell.outside)) == before


@pytest.mark.threat("T31")
def test_the_variables_reach_the_command(cell):
    """They are the command's own business (contract 2.1)."""
    done = cell.sh("echo $BASH_ENV $LD_LIBRARY_PATH", env={"BASH_ENV": "/nowhere", "LD_LIBRARY_PATH": "/nowhere"})
    assert done.out == "/nowhere /nowhere\n", done


# T33

@pytest.mark.threat("T33")
@pytest.mark.guards("seccomp", "mount", "capabilities", "landlock")
def test_the_kernel_of_the_host_is_not_reconfigured(cell):
    kept = {path: outer.read(path) for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/vm/overcommit_memory",
                                                "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hostname")}
    cell.attack("kernel", *(["change"] if cell.without else []))
    assert kept == {path: outer.read(path) for path in kept}


@pytest.mark.threat("T33")
@pytest.mark.guards("mount", "capabilities", "landlock", "seccomp")
def test_core_pattern_written_by_a_shell(cell):
    """As the threat is tested: the value on the host afterwards."""
    kept = outer.read("/proc/sys/kernel/core_pattern")
    try:
        done = cell.sh("echo '|/tmp/evil' > /proc/sys/kernel/core_pattern; echo evil > /proc/sys/kernel/hostname; "
                       "echo 1 > /proc/sys/vm/drop_caches; echo h > /proc/sysrq-trigger; hostname evil; "
                       "sysctl -w kernel.core_pattern=evil; mount -o remount,rw /proc/sys; echo x > /sys/power/state")
        assert outer.read("/proc/sys/kernel/core_pattern") == kept, done
    finally:
        if outer.read("/proc/sys/kernel/core_pattern") != kept:
            with open("/proc/sys/kernel/core_pattern", "wb") as file:
                file.write(kept)
    assert os.uname().nodename != "evil"
