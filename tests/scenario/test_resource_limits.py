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
