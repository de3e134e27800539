"""Contract 2.2 and 2.4: who the command is, and what it stands in."""

import os
import re

import pytest


def test_the_caller_s_own_uid_gid_and_name(box):
    done = box.sh("id -u; id -g; id -un; echo $HOME")
    assert done.ok().split() == [str(box.user.pw_uid), str(box.user.pw_gid), box.user.pw_name, str(box.home)]


def test_files_of_the_caller_stay_the_caller_s(box):
    box.sh("echo x >made; test -O made").ok()
    assert os.stat(box.ws / "made").st_uid == box.user.pw_uid


@pytest.mark.parametrize("which", ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"])
def test_no_capability_in_any_set(box, which):
    status = box.run("cat", "/proc/self/status").ok()
    assert re.search(rf"^{which}:\s*0+$", status, re.M), status


def test_no_new_privs_and_a_filter(box):
    status = box.run("cat", "/proc/self/status").ok()
    assert re.search(r"^NoNewPrivs:\s*1$", status, re.M) and re.search(r"^Seccomp:\s*2$", status, re.M)


def test_setgroups_is_denied(box):
    done = box.run("python3", "-c", "import os\ntry: os.setgroups([0]); print('set')\nexcept PermissionError: print('no')")
    assert done.ok() == "no\n"


def test_core_dumps_are_off(box):
    assert box.sh("ulimit -c; ulimit -Hc").ok().split() == ["0", "0"]


@pytest.mark.parametrize("kind", ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"])
def test_a_namespace_of_its_own(box, kind):
    assert box.run("readlink", f"/proc/self/ns/{kind}").ok().strip() != os.readlink(f"/proc/self/ns/{kind}")


def test_time_is_the_host_s(box):
    assert box.run("readlink", "/proc/self/ns/time").ok().strip() == os.readlink("/proc/self/ns/time")


def test_only_its_own_processes_are_seen(box):
    pids = [int(p) for p in box.sh("ls /proc").ok().split() if p.isdigit()]
    assert max(pids) < 1000 and len(pids) < 12


DEVICES = ["null", "zero", "full", "random", "urandom", "tty", "pts", "shm", "fd", "stdin", "stdout", "stderr", "ptmx"]


def test_dev_is_minimal(box):
    names = box.sh("ls /dev").ok().split()
    assert sorted(names) == sorted(DEVICES)


@pytest.mark.parametrize("script, want", [
    ("echo x >/dev/null && echo ok", "ok"), ("head -c 3 /dev/zero | od -An -tx1", "00 00 00"),
    ("echo x >/dev/full || echo full", "full"), ("head -c 4 /dev/urandom | wc -c", "4"),
    ("echo x >/dev/shm/file && cat /dev/shm/file", "x"), ("echo x >/dev/stdout", "x"),
    ("echo y | cat /dev/stdin", "y"), ("echo z | cat /dev/fd/0", "z"),
])
def test_devices_work(box, script, want):
    assert box.sh(script).ok().strip() == want


@pytest.mark.parametrize("path", ["/proc/kcore", "/proc/keys", "/proc/sysrq-trigger", "/proc/timer_list",
                                  "/proc/kallsyms"])
def test_masked_proc_files_hold_nothing(box, path):
    assert box.sh(f"cat {path} 2>/dev/null | wc -c").ok().strip() == "0"


@pytest.mark.parametrize("path", ["/proc/sys/kernel/core_pattern", "/proc/sys/vm/swappiness",
                                  "/proc/sysrq-trigger", "/proc/sys/kernel/hostname"])
def test_proc_sys_cannot_be_written(box, path):
    done = box.sh(f"echo 1 >{path}")
    assert done.code != 0


@pytest.mark.parametrize("path", ["/sys/kernel/debug", "/sys/kernel/tracing", "/sys/kernel/security",
                                  "/sys/fs/bpf", "/sys/fs/cgroup", "/sys/firmware"])
def test_masked_parts_of_sys_are_empty(box, path):
    assert box.sh(f"ls -A {path} 2>/dev/null").out == ""


def test_loopback_is_up_and_private(box, web):
    script = ("import socket\ns = socket.create_server(('127.0.0.1', 0))\n"
              "c = socket.create_connection(s.getsockname())\nprint('up')\n"
              f"try: socket.create_connection(('127.0.0.1', {web.port}), 5); print('host')\n"
              "except OSError: print('private')")
    assert box.run("python3", "-c", script).ok() == "up\nprivate\n"


def test_ipv6_loopback_is_up(box):
    script = "import socket\ns = socket.create_server(('::1', 0), family=socket.AF_INET6)\n" \
             "socket.create_connection(s.getsockname()[:2]); print('up')"
    assert box.run("python3", "-c", script).ok() == "up\n"


def test_the_root_is_read_only(box):
    done = box.sh("echo x >/postern-test 2>/dev/null || echo no; echo x >/etc/postern-test 2>/dev/null || echo no; "
                  f"echo x >{box.outside}/new 2>/dev/null || echo no")
    assert done.out.split() == ["no"] * 3
    assert not os.path.exists("/postern-test") and not (box.outside / "new").exists()


def test_the_working_directory_is_kept(box):
    (box.ws / "deep/er").mkdir(parents=True)
    box.give(box.ws)
    assert box.run("pwd", cwd=box.ws / "deep/er").ok() == f"{box.ws}/deep/er\n"


def test_the_umask_is_the_caller_s(box):
    box.sh("touch made", umask=0o027).ok()
    assert oct(os.stat(box.ws / "made").st_mode & 0o777) == "0o640"
