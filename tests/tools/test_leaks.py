"""The leak check sees what is left and says nothing when nothing is."""

import os
import pathlib
import signal
import subprocess

LEAKS = pathlib.Path(__file__).with_name("leaks")


def leaks(*arguments):
    return subprocess.run([LEAKS, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_nothing_left_is_zero():
    done = leaks("--", "true")
    assert (done.returncode, done.stderr) == (0, "leaks: 0 things left behind\n")


def test_the_status_of_the_command_comes_out():
    assert leaks("--", "sh", "-c", "exit 7").returncode == 7


def test_a_process_and_a_file_are_seen(tmp_path):
    name = f"/tmp/postern-leak-{os.getpid()}"
    done = leaks("--", "sh", "-c", f"sleep 60 >/dev/null 2>&1 & echo $! >{tmp_path}/pid; : >{name}")
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    os.unlink(name)
    assert done.returncode == 1
    assert f"left behind: file {name}" in done.stderr
    assert "sleep 60" in done.stderr


def test_without_a_command_it_is_a_usage_error():
    assert leaks("--strict").returncode == 2
