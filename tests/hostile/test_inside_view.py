"""What the command sees of the machine (contract 2.2 to 2.4): each line is a layer that must be there."""

import os
import resource
import socket

import pytest

NAMESPACES = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"]


def status_of(cell, **more):
    lines = cell.run("/bin/cat", "/proc/self/status", **more).ok().splitlines()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}


@pytest.mark.parametrize("kind", ["Inh", "Prm", "Eff", "Bnd", "Amb"])
def test_no_capability_in_any_set(cell, kind):
    assert int(status_of(cell)[f"Cap{kind}"], 16) == 0


def test_no_new_privileges_and_a_filter(cell):
    status = status_of(cell)
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"


def test_uid_and_gid_are_the_caller_s(cell):
    status = status_of(cell)
    assert status["Uid"].split() == [str(cell.uid)] * 4 and status["Gid"].split() == [str(cell.uid)] * 4


@pytest.mark.parametrize("name", NAMESPACES)
def test_the_namespace_is_new(cell, name):
    done = cell.run("/bin/readlink", f"/proc/self/ns/{name}")
    assert done.out.startswith(f"{name}:[") and done.out.strip() != os.readlink(f"/proc/self/ns/{name}")


def test_init_catches_no_signal(cell):
    """One that it catches would interrupt a call that the warden does for somebody."""
    done = cell.sh("grep SigCgt: /proc/[12]/status")
    if cell.uid != 0:
        assert done.out == "", done  # nobody else sees init at all
        return
    assert {int(line.split()[-1], 16) for line in done.ok().splitlines()} == {0}, done


def test_two_runs_share_no_namespace(cell):
    shells = [cell.shell(), cell.shell()]
    seen = [set(shell("readlink /proc/self/ns/*").out.split()) for shell in shells]
    assert not [name for name in seen[0] & seen[1] if not name.startswith("time")], seen
    for shell in shells:
        shell.close()


def test_the_session_is_new(cell):
    done = cell.python("import os\nprint(os.getsid(0) == 0 or os.getsid(0) != int(sys.argv[1]))\n"
                       "try: os.open('/dev/tty', os.O_RDWR); print('TTY')\nexcept OSError as e: print('none')",
                       os.getsid(0))
    assert done.out == "True\nnone\n", done


@pytest.mark.parametrize("path", ["kcore", "keys", "key-users", "sysrq-trigger", "timer_list", "latency_stats",
                                  "kallsyms"])
def test_masked_files_of_proc_show_nothing(cell, path):
    done = cell.sh(f"head -c 64 /proc/{path} | wc -c")
    assert done.out.strip() == "0", done


@pytest.mark.parametrize("path", ["acpi", "scsi"])
def test_masked_directories_of_proc_show_nothing(cell, path):
    assert cell.sh(f"ls -A /proc/{path} 2>/dev/null | wc -l").out.strip() == "0"


@pytest.mark.parametrize("path", ["/sys/firmware", "/sys/kernel/debug", "/sys/kernel/tracing", "/sys/kernel/security",
                                  "/sys/fs/bpf", "/sys/fs/cgroup"])
def test_masked_directories_of_sys_show_nothing(cell, path):
    assert cell.sh(f"ls -A {path} 2>/dev/null | wc -l").out.strip() == "0"


@pytest.mark.parametrize("path", ["/proc/sys/kernel/ns_last_pid", "/proc/sys/net/ipv4/ip_forward",
                                  "/proc/sys/kernel/domainname", "/proc/sys/user/max_user_namespaces",
                                  "/proc/irq/default_smp_affinity", "/sys/kernel/profiling"])
def test_proc_sys_and_sys_are_read_only(cell, path):
    assert cell.sh(f"echo 1 > {path}").code != 0


def test_dev_holds_what_the_contract_lists(cell):
    names = set(cell.sh("ls -A /dev").ok().split())
    assert {"null", "zero", "full", "random", "urandom", "tty", "pts", "shm", "fd", "stdin", "stdout", "stderr",
            "ptmx"} <= names
    # "postern" is our own program, for the connect helper of GIT_SSH_COMMAND.
    assert not names - {"null", "zero", "full", "random", "urandom", "tty", "pts", "shm", "fd", "stdin", "stdout",
                        "stderr", "ptmx", "mqueue", "console", "postern"}, names


def test_our_program_as_shown_inside_cannot_be_changed(cell):
    before = cell.postern.read_bytes()
    done = cell.sh("echo x >> /dev/postern; mv /dev/postern /dev/shm/p; rm -f /dev/postern; chmod 777 /dev/postern; exit 0")
    assert cell.postern.read_bytes() == before and done.code == 0


def test_dev_shm_and_pts_are_private(cell):
    path = f"/dev/shm/postern-hostile-{os.getpid()}"
    with open(path, "w") as file:
        file.write("host")
    try:
        done = cell.sh(f"cat {path}; ls /dev/shm /dev/pts; echo x > /dev/shm/inside")
        assert "host" not in done.out and os.path.basename(path) not in done.out, done
        assert not os.path.exists("/dev/shm/inside")
    finally:
        os.unlink(path)


def test_core_dumps_are_off_and_limits_stand(cell):
    done = cell.python("import resource\nfor n in ('CORE', 'NOFILE', 'MEMLOCK', 'MSGQUEUE'):\n"
                       "    print(*resource.getrlimit(getattr(resource, 'RLIMIT_' + n, 12)))")
    core, files, locked, queue = (tuple(map(int, line.split())) for line in done.ok().splitlines())
    assert core == (0, 0) and files[1] <= 4096 and locked[1] <= 64 << 10 and queue[1] == 0


def test_a_crash_leaves_no_core(cell):
    done = cell.sh("ulimit -c unlimited; kill -SEGV $$")
    assert done.code == 139 and not list(cell.ws.iterdir()), done


def test_the_processes_of_a_run_cannot_be_read_by_other_users(cell):
    if os.geteuid() != 0:
        pytest.skip("needs a second user")
    shell = cell.shell(env={"SECRET_OF_CALLER": "mark-in-environment"})
    import outer
    import subprocess
    pids = [shell.child.pid, *outer.descendants(shell.child.pid)]
    script = "for p in \"$@\"; do cat /proc/$p/environ /proc/$p/mem /proc/$p/maps; ls -l /proc/$p/fd /proc/$p/cwd; done"
    done = subprocess.run(["sh", "-c", script, "sh", *map(str, pids)], user=47111, group=47111, extra_groups=[],
                          capture_output=True, cwd="/")
    assert b"mark-in-environment" not in done.stdout and b"-> " not in done.stdout, done.stdout
    shell.close()


def test_the_host_s_hostname_cannot_be_changed_and_is_private(cell):
    name = socket.gethostname()
    cell.sh("hostname evil; echo evil > /proc/sys/kernel/hostname")
    assert socket.gethostname() == name


def test_tmpdir_is_writable_private_and_gone(cell):
    done = cell.sh('echo "$TMPDIR"; f=$(mktemp) && echo made > "$f" && cat "$f"; stat -f -c %T "$TMPDIR"')
    lines = done.ok().split()
    assert lines[1] == "made", done
    again = cell.sh('ls -A "$TMPDIR"')
    assert again.out == "", again
    assert not os.path.exists(os.path.join(lines[0], "made"))


def test_two_runs_do_not_share_tmpdir(cell):
    first, second = cell.shell(), cell.shell()
    first("echo secret > \"$TMPDIR/x\"")
    assert "secret" not in second("cat \"$TMPDIR/x\"; ls -A \"$TMPDIR\"").out
    first.close()
    second.close()


def test_dangerous_names_are_no_danger_in_tmpdir(cell):
    """What is gone at exit is nobody's next start: tools may unpack there (contract 3.5, private roots)."""
    done = cell.sh('cd "$TMPDIR" && mkdir -p .git/hooks .vscode && echo x > .bashrc && cat .bashrc')
    assert done.out == "x\n", done


def test_a_network_of_its_own(cell):
    done = cell.sh("cat /proc/net/dev; cat /proc/net/unix | wc -l")
    devices = {line.split(":")[0].strip() for line in done.ok().splitlines() if ":" in line}
    assert devices <= {"lo", "sit0", "tunl0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0"}, done


def test_limits_of_the_caller_are_not_raised(cell):
    soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    done = cell.python("import resource; print(*resource.getrlimit(resource.RLIMIT_NPROC))")
    inside = tuple(map(int, done.ok().split()))
    assert hard == -1 or inside[1] != -1 and inside[1] <= hard
