"""The leak check sees what is left and says nothing when nothing is."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

LEAKS = pathlib.Path(__file__).with_name("leaks")


def leaks(*arguments):
    return subprocess.run([LEAKS, "--settle", "1", *arguments], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)


def test_nothing_left_is_zero():
    done = leaks("--", "true")
    assert (done.returncode, done.stderr) == (0, "leaks: 0 things left behind\n")


def test_the_status_of_the_command_comes_out():
    assert leaks("--", "sh", "-c", "exit 7").returncode == 7


@pytest.mark.parametrize("how", ["", "env -i ", "setsid ", "env -i setsid --fork "])
def test_a_process_is_seen_however_it_hides(how):
    done = leaks("--", "sh", "-c", f"{how}sleep 61.5 >/dev/null 2>&1 </dev/null &")
    lines = [line for line in done.stderr.splitlines() if "sleep 61.5" in line]
    for line in lines:
        os.kill(int(line.split()[3].partition("/")[0]), signal.SIGKILL)
    assert done.returncode == 1 and len(lines) == 1 and lines[0].startswith("left behind: process ")


def test_a_file_is_seen():
    done = leaks("--", sys.executable, "-c", "import os; open('/tmp/postern-leak-%d-test' % os.getpid(), 'w')")
    found = [line.split()[-1] for line in done.stderr.splitlines() if "/tmp/postern-leak-" in line]
    for path in found:
        os.unlink(path)
    assert done.returncode == 1 and len(found) == 1


def test_what_belongs_to_a_living_process_of_somebody_else_is_theirs():
    name = f"/tmp/postern-leak-{os.getpid()}-test"
    try:
        done = leaks("--", "touch", name)
    finally:
        os.unlink(name)
    assert name not in done.stderr


def test_without_a_command_it_is_a_usage_error():
    assert leaks("--strict").returncode == 2
