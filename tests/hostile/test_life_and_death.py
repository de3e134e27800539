"""Contract 1.3 as an attacker or an impatient person sees it; 1.2 where a wrong status would hide a failure."""

import os
import signal
import time

import cells
import outer
import pytest

COUNTER = r"""
import os, signal, time
def note(number, frame): os.write(1, b'%d\n' % number)
for number in (1, 2, 3, 10, 12, 15): signal.signal(number, note)
os.write(1, b'ready\n')
while True: time.sleep(0.05)
"""


def started(cell, **more):
    child = cell.start("/usr/bin/python3", "-I", "-S", "-c", COUNTER, **more)
    assert child.stdout.readline() == b"ready\n", child.stderr.read()
    return child


def test_kill_9_of_the_front_kills_all(cell):
    child = cell.start("/bin/sh", "-c", "sleep 100 & (setsid sleep 100 &) ; echo ready; sleep 100")
    assert child.stdout.readline() == b"ready\n"
    child.kill()
    child.wait()
    cell.leftovers.check()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT])
def test_a_signal_is_delivered_once(cell, number):
    child = started(cell)
    child.send_signal(number)
    assert child.stdout.readline() == b"%d\n" % number
    time.sleep(0.1)
    child.kill()
    assert child.stdout.read() == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_one_kills(cell, number):
    child = started(cell)
    child.send_signal(number)
    assert child.stdout.readline() == b"%d\n" % number
    assert cells.insist(child, number) in (128 + number, 137, -signal.SIGKILL)
    cell.leftovers.check()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_killed_run_never_looks_like_success(cell, number):
    child = cell.start("/bin/sh", "-c", "echo ready; exec sleep 100")
    assert child.stdout.readline() == b"ready\n"
    child.send_signal(number)
    assert child.wait(cells.TIMEOUT) == 128 + number


def test_what_was_left_in_the_background_ends_with_the_command(cell):
    done = cell.sh("(setsid sh -c 'trap \"\" TERM HUP; sleep 100' >/dev/null 2>&1 &) ; exit 4")
    assert done.code == 4
    cell.leftovers.check()


def test_a_front_that_is_stopped_and_killed_leaves_nothing(cell):
    child = cell.start("/bin/sh", "-c", "echo ready; sleep 100")
    assert child.stdout.readline() == b"ready\n"
    child.send_signal(signal.SIGSTOP)
    child.kill()
    child.wait()
    cell.leftovers.check()


def kill_starts(cell):
    """kill -9 of the front at many moments of the start: no process, mount, group or file stays."""
    before = outer.tree(cell.ws)
    settings = cell.settings(allowed=["localhost"], deny_read=[cell.outside / "x"])
    for moment in range(40):
        child = cell.start("/bin/sleep", "100", settings=settings)
        time.sleep(moment * 0.0006)
        child.kill()
        child.wait()
    cell.leftovers.check()
    assert outer.tree(cell.ws) == before


def test_a_start_that_is_killed_at_any_moment_leaves_nothing(cell):
    kill_starts(cell)


@pytest.mark.parametrize("command, code", [
    (["/bin/sh", "-c", "exit 125"], 125), (["/bin/sh", "-c", "kill -KILL $$"], 137), (["/nonexistent"], 127), (["/etc"], 126),
    (["no-such-command"], 127), (["/bin/sh", "-c", "kill -TERM $$"], 143)])
def test_the_status_comes_out(cell, command, code):
    assert cell.run(*command).code == code


@pytest.mark.parametrize("options, code", [(["--no-such"], 2), (["--control-fd", "99"], 1), (["--control-fd", "x"], 1),
                                           (["--settings", "/nonexistent"], 1), (["--require", "nonsense"], None)])
def test_what_cannot_be_meant_runs_nothing(cell, options, code):
    done = cell.finish(cell.popen([cell.postern, "run", *options, "--", "/bin/echo", "ran"]))
    assert done.out == "" and done.err and (done.code == code if code is not None else done.code in (1, 2, 125)), done


def test_a_control_channel_that_dies_ends_nothing_later(cell):
    """EOF: the command goes on with the last settings (contract 6)."""
    read, write = os.pipe()
    os.close(write)
    done = cell.sh("sleep 0.1; exit 6", options=["--control-fd", str(read)], pass_fds=[read])
    os.close(read)
    assert done.code == 6, done
