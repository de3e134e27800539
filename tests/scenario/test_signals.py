"""Contract 1.3: signals reach the command once, and nothing outlives the run."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time

import pytest

# Says which signals it got, one line each; USR2 (or the third of any) is not needed to end it: end of
# the wait comes with TERM, INT, HUP or QUIT, with a status of its own.
CATCHER = r"""
import os, signal, sys, time
def note(number, frame):
    os.write(1, f"{signal.Signals(number).name}\n".encode())
    if number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        time.sleep(0.3)  # a second delivery of the same signal would show
        os._exit(50 + number)
for number in (1, 2, 3, 10, 12, 15, 28):
    signal.signal(number, note)
os.write(1, b"ready\n")
while True:
    time.sleep(0.05)  # not pause, which a signal just before it would not end
"""


def started(box, *command, **more):
    child = box.start(*command, **more)
    assert box.line(child) == "ready"
    return child


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"])
def test_a_signal_reaches_the_handler_once_and_its_status_comes_out(box, name):
    child = started(box, "python3", "-c", CATCHER)
    child.send_signal(signal.Signals[name])
    done = box.finish(child)
    assert (done.out, done.code) == (f"{name}\n", 50 + signal.Signals[name])


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGUSR2", "SIGWINCH"])
def test_a_signal_that_does_not_end_is_passed_on(box, name):
    child = started(box, "python3", "-c", CATCHER)
    child.send_signal(signal.Signals[name])
    assert box.line(child) == name
    child.send_signal(signal.SIGTERM)
    done = box.finish(child)
    assert (done.out, done.code) == ("SIGTERM\n", 65)


def test_the_whole_process_group_gets_it(box):
    script = ("trap 'echo parent; wait; exit 3' TERM; "
              "sh -c 'trap \"echo child; exit 0\" TERM; echo ready; while :; do sleep 0.05; done' & "
              "wait; exit 9")
    child = started(box, "sh", "-c", script)
    child.send_signal(signal.SIGTERM)
    done = box.finish(child)
    assert sorted(done.out.split()) == ["child", "parent"] and done.code == 3


@pytest.mark.parametrize("name, code", [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_command_without_a_handler_looks_killed(box, name, code):
    child = started(box, "python3", "-c", "import signal, time; signal.signal(2, signal.SIG_DFL); "
                                          "print('ready', flush=True); time.sleep(60)")
    child.send_signal(signal.Signals[name])
    assert box.finish(child).code == code


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_srt_compat_exit_brings_the_zero_back(box, name):
    child = started(box, "python3", "-c", "import signal, time; signal.signal(2, signal.SIG_DFL); "
                                          "print('ready', flush=True); time.sleep(60)",
                    env={"SRT_COMPAT_EXIT": "1"})
    child.send_signal(signal.Signals[name])
    assert box.finish(child).code == 0


def test_srt_compat_exit_is_1_or_nothing(box):
    child = started(box, "python3", "-c", "print('ready', flush=True); import time; time.sleep(60)",
                    env={"SRT_COMPAT_EXIT": "0"})
    child.send_signal(signal.SIGTERM)
    assert box.finish(child).code == 143


def test_a_second_term_ends_what_ignores_the_first(box):
    child = started(box, "python3", "-c", "import signal, time\nfor n in (2, 15): signal.signal(n, signal.SIG_IGN)\n"
                                          "print('ready', flush=True); time.sleep(60)")
    deadline = time.monotonic() + 60
    while child.poll() is None:  # two that arrive as one count as one, so like somebody impatient
        assert time.monotonic() < deadline
        child.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(0.2)
    assert box.finish(child).code in (137, 143)


def test_stop_and_continue_reach_the_handlers(box):
    script = ("import os, signal, time\n"
              "signal.signal(signal.SIGTSTP, lambda *_: os.write(1, b'stop\\n'))\n"
              "signal.signal(signal.SIGCONT, lambda *_: os.write(1, b'continue\\n'))\n"
              "os.write(1, b'ready\\n')\n"
              "while True: time.sleep(0.05)")
    child = started(box, "python3", "-c", script)
    child.send_signal(signal.SIGTSTP)
    assert box.line(child) == "stop"
    child.send_signal(signal.SIGCONT)
    assert box.line(child) == "continue"
    child.send_signal(signal.SIGTERM)
    assert box.finish(child).code == 143


def test_a_command_without_handlers_stops_and_goes_on(box):
    mark = f"mark-{os.getpid()}-{id(box)}"
    child = started(box, "python3", "-c", "import os, time\nos.write(1, b'ready\\n')\n"
                                          "while True: time.sleep(0.05)", mark)
    inner = [pid for pid in marked_processes(mark) if os.path.basename(os.readlink(f"/proc/{pid}/exe"))
             .startswith("python")]
    assert len(inner) == 1
    child.send_signal(signal.SIGTSTP)
    wait_for(lambda: state(inner[0]) == "T", "the command is stopped")
    child.send_signal(signal.SIGCONT)
    wait_for(lambda: state(inner[0]) in "SR", "the command goes on")
    child.send_signal(signal.SIGTERM)
    assert box.finish(child).code == 143


# Answers SIGUSR1, at whatever moment it comes, for as long as nothing of the run is stopped.
ANSWERER = r"""
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
os.write(1, b"ready\n")
while signal.sigwait([signal.SIGUSR1]):
    os.write(1, b"here\n")
"""
# As a shell with job control starts it (a group of its own in our session); and as a daemon does, in an orphaned group.
GROUPS = {"job": {"start_new_session": False, "process_group": 0}, "orphaned": {"start_new_session": True}}


def test_we_stop_like_a_job_of_a_shell_and_go_on(box):
    child = started(box, "python3", "-c", ANSWERER, **GROUPS["job"])
    child.send_signal(signal.SIGTSTP)
    wait_for(lambda: os.WIFSTOPPED(os.waitpid(child.pid, os.WNOHANG | os.WUNTRACED)[1]), "the shell is told of the stop")
    child.send_signal(signal.SIGCONT)
    child.send_signal(signal.SIGUSR1)
    assert box.line(child) == "here"
    child.send_signal(signal.SIGTERM)
    assert box.finish(child).code == 143


@pytest.mark.parametrize("group", GROUPS)
def test_a_stop_that_is_taken_back_at_once_stops_nothing(box, group):
    child = started(box, "python3", "-c", ANSWERER, **GROUPS[group])
    for turn in range(400):
        child.send_signal(signal.SIGTSTP)
        time.sleep(turn % 40 * 5e-6)  # to meet every moment of what the stop sets going
        child.send_signal(signal.SIGCONT)
        child.send_signal(signal.SIGUSR1)
        assert box.line(child) == "here", f"turn {turn}"
    child.send_signal(signal.SIGTERM)
    assert box.finish(child).code == 143


def state(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_for(condition, what, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not seen: {what}"
        time.sleep(0.02)


def marked_processes(mark):
    """Host pids whose argument list holds the mark."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if mark.encode() in line and int(pid) != os.getpid():
            found.append(int(pid))
    return found


def test_everything_dies_when_we_are_killed(box):
    mark = f"mark-{os.getpid()}-{id(box)}"
    script = (f"trap '' TERM HUP INT; (setsid sh -c 'trap \"\" TERM HUP INT; : {mark}; while :; do sleep 0.1; done' "
              f"</dev/null >/dev/null 2>&1 &) ; sleep 0.1; echo ready; : {mark}; while :; do sleep 0.1; done")
    child = started(box, "sh", "-c", script)
    assert len(marked_processes(mark)) >= 2
    child.kill()
    child.wait()
    wait_for(lambda: not marked_processes(mark), "every process of the sandbox is gone")


def test_nothing_listens_and_no_file_stays_when_we_are_killed(box):
    box.settings(allowed=["localhost"])
    before = sorted(os.listdir(box.ws)), sorted(os.listdir(box.home))
    child = started(box, "sh", "-c", "echo ready; sleep 60")
    child.kill()
    child.wait()
    assert (sorted(os.listdir(box.ws)), sorted(os.listdir(box.home))) == before


def test_the_background_ends_with_the_first_process(box):
    mark = f"mark-{os.getpid()}-{id(box)}"
    box.sh(f"(setsid sh -c ': {mark}; while :; do sleep 0.1; done' </dev/null >/dev/null 2>&1 &); exit 0").ok()
    wait_for(lambda: not marked_processes(mark), "the background process is gone")


def test_lifetime_last_process_waits(box):
    box.settings(x={"lifetime": "last-process"})
    box.sh("(sleep 0.5; echo done >late) </dev/null >/dev/null 2>&1 & exit 0").ok()
    assert (box.ws / "late").read_text() == "done\n"


def test_orphans_are_reaped(box):
    """Init reaps what is reparented to it: no zombie stays to be seen from inside."""
    script = ("for i in 1 2 3 4 5; do (true & true & exec true) & done; wait; "
              "for i in $(seq 1000); do cat /proc/[0-9]*/stat | grep -q ') Z' || exit 0; sleep 0.02; done; exit 1")
    box.run("sh", "-c", script).ok()


def test_a_child_cannot_kill_init(box):
    done = box.sh("kill -9 1 2>/dev/null; kill -9 -1 2>/dev/null; echo alive")
    # `kill -1` spares the caller itself; the sandbox must not fall with it.
    assert done.ok() == "alive\n"


def test_ignored_signals_of_the_caller_are_no_trap(box):
    """A caller started under nohup: its ignored SIGHUP is inherited as execve demands, others work."""
    child = started(box, "python3", "-c", "import signal, time; print('ready', flush=True); time.sleep(60)",
                    preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    child.send_signal(signal.SIGTERM)
    assert box.finish(child).code == 143
