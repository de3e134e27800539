"""Contract 4.1: limits. Each bound is small and each bomb bounded."""

import os
import time

import pytest


def test_the_wall_clock_ends_the_run_with_124(box):
    box.settings(x={"limits": {"wall": 1}})
    assert box.run("sleep", "60").code == 124


def test_the_wall_clock_gives_time_to_clean_up(box):
    box.settings(x={"limits": {"wall": 1}})
    done = box.sh("trap 'echo cleaned >state; exit 0' TERM; while :; do sleep 0.05; done")
    assert done.code == 124 and (box.ws / "state").read_text() == "cleaned\n"


def test_a_run_within_its_time_is_left_alone(box):
    box.settings(x={"limits": {"wall": 30}})
    assert box.sh("exit 3").code == 3


def test_file_size(box):
    box.settings(x={"limits": {"fileSize": 100_000}})
    done = box.sh("dd if=/dev/zero of=big bs=1000 count=1000 2>/dev/null; true")
    assert done.code in (0, 153) and os.stat(box.ws / "big").st_size <= 100_000


@pytest.mark.parametrize("settings, want", [({}, 4096), ({"limits": {"openFiles": 77}}, 77)])
def test_open_files(box, settings, want):
    box.settings(x=settings)
    assert int(box.sh("ulimit -n").ok()) <= want


def test_processes(box):
    """A bounded bomb: 60 asked, at most 40 may live."""
    box.settings(x={"limits": {"pids": 40}})
    script = ("import os, time\nmade = 0\n"
              "for i in range(60):\n try:\n  if os.fork() == 0: time.sleep(60); os._exit(0)\n  made += 1\n"
              " except OSError: break\nprint(made)")
    done = box.run("python3", "-c", script)
    assert done.code in (0, 137) and (done.code == 137 or int(done.out) <= 40), repr(done)


def test_memory(box):
    box.settings(x={"limits": {"memory": 100 << 20}})
    done = box.run("python3", "-c", "b = []\nfor i in range(60): b.append(b'x' * (10 << 20))\nprint('had it')")
    assert done.code != 0 and "had it" not in done.out


def test_tmp_size(box):
    box.settings(x={"limits": {"tmpSize": 1 << 20}})
    done = box.sh("dd if=/dev/zero of=$TMPDIR/big bs=64k count=64")
    assert done.code != 0 and "No space left" in done.err


def violations(done):
    return [line for line in done.err.splitlines() if line.startswith("deny limit ")]


def limits_of(box):
    import json
    records = map(json.loads, (box.etc / "audit").read_text().splitlines())
    return {record["object"]: record["layer"] for record in records if record["kind"] == "limit"}


AUDITED = ("--audit-file", "{etc}/audit", "--violations=stderr")


def audited(box):
    return [word.format(etc=box.etc) for word in AUDITED]


def test_what_adds_more_than_the_disk_quota_is_killed(box):
    box.settings(x={"limits": {"diskQuota": "1MiB"}})
    done = box.sh("dd if=/dev/zero of=big bs=64k count=64 2>/dev/null; sleep 60", options=audited(box))
    assert done.code == 137 and limits_of(box) == {"diskQuota": "seccomp"}, done
    assert len(violations(done)) == 1 and "deny limit diskQuota (" in done.err
    assert "x.limits.diskQuota" in done.err.splitlines()[0]  # polling is said aloud


def test_what_is_within_the_disk_quota_goes_on(box):
    box.write("ws/old", "x" * 3_000_000)
    box.settings(x={"limits": {"diskQuota": "2MiB"}})
    script = ("for i in $(seq 30); do dd if=/dev/zero of=new bs=64k count=8 2>/dev/null; mv new kept; "
              "dd if=/dev/zero of=gone bs=64k count=8 2>/dev/null; rm gone; mkdir d; rmdir d; done; "
              "cat old >/dev/null; dd if=/dev/zero of=$TMPDIR/private bs=64k count=64 2>/dev/null; sleep 0.5; exit 3")
    done = box.sh(script, options=audited(box))
    assert done.code == 3 and not violations(done) and not limits_of(box), done


def test_the_disk_quota_counts_what_was_opened_by_the_caller(box):
    box.settings(x={"limits": {"diskQuota": "1MiB"}})
    with open(box.write("ws/out"), "wb") as out:
        assert box.sh("dd if=/dev/zero bs=64k count=64 2>/dev/null; sleep 60", stdout=out).code == 137


@pytest.mark.parametrize("command", [
    ["dd", "if=/dev/zero", "of=big", "bs=1000", "count=1000"],
    ["sh", "-c", "dd if=/dev/zero of=big bs=1000 count=1000; exit $?"],
])
def test_a_file_that_grows_too_large_is_written_down(box, command):
    box.settings(x={"limits": {"fileSize": 100_000}})
    done = box.run(*command, options=audited(box))
    assert done.code == 153 and limits_of(box) == {"fileSize": "rlimit"}, done
    assert violations(done) == ["deny limit fileSize (ended by SIGXFSZ)"]


def test_too_many_open_files_are_written_down_once_among_the_violations(box):
    box.settings(x={"limits": {"openFiles": 50}})
    script = ("had = []\ntry:\n while True: had.append(open('f', 'w'))\nexcept OSError as e: n = e.errno\n"
              "for i in range(20):\n try: open('f', 'w')\n except OSError: pass\nprint(n)")
    done = box.run("python3", "-c", script, options=audited(box))
    assert done.ok() == "24\n" and limits_of(box) == {"openFiles": "rlimit"}
    assert violations(done) == ["deny limit openFiles (a process has as many files open as it may)"]


@pytest.mark.identity("plain")
def test_processor_time_without_a_control_group_is_written_down(box):
    """cpu and wall make RLIMIT_CPU: 1 % of a minute is one second."""
    box.settings(x={"limits": {"cpu": "1%", "wall": 60}})
    done = box.run("python3", "-c", "while True: pass", options=audited(box))
    if "cpu" in box.run("cat", "/proc/self/cgroup").out and not limits_of(box):
        pytest.skip("this user has a control group here")
    assert done.code == 137 and limits_of(box) == {"cpu": "rlimit"}, done
    assert violations(done) == ["deny limit cpu (ended by SIGKILL)"]


def test_a_signal_that_no_limit_sent_is_no_limit(box):
    box.settings(x={"limits": {"fileSize": 100_000, "cpu": "100%", "wall": 60}})
    for name in ("KILL", "XCPU", "TERM"):
        done = box.sh(f"kill -{name} $$", options=audited(box))
        assert done.code > 128 and not violations(done) and not limits_of(box), done


def test_git_and_a_build_work_with_a_disk_quota(box):
    box.settings(x={"limits": {"diskQuota": "16MiB"}})
    box.outer("git", "init", "-q").ok()
    script = ("set -e; export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b\n"
              "printf 'int main(void){return 0;}' >a.c; gcc -o a a.c; ./a; git add a.c; git commit -qm one\n"
              "git checkout -qb other; git worktree add -q tree; git status --porcelain; rm -rf tree; git gc -q")
    assert box.sh(script).code == 0


def test_the_disk_quota_needs_file_rules(box):
    box.settings(x={"limits": {"diskQuota": "1MiB"}}, filesystem={"disabled": True})
    done = box.sh("true")
    assert done.code == 1 and "x.limits.diskQuota: " in done.err


def test_a_limit_that_was_hit_is_in_the_audit_log(box):
    box.settings(x={"limits": {"wall": 1}})
    box.run("sleep", "60", options=["--audit-file", str(box.etc / "audit")])
    assert '"limit"' in (box.etc / "audit").read_text()


@pytest.mark.identity("root")
def test_no_control_group_stays(box):
    box.settings(x={"limits": {"pids": 50, "memory": 200 << 20}})
    child = box.start("true")
    box.finish(child).ok()

    def groups():
        return [where for where, _, _ in os.walk("/sys/fs/cgroup") if f"postern.{child.pid}." in where]

    deadline = time.monotonic() + 30
    while groups() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not groups()
