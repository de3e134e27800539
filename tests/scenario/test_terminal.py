"""Contract 2.3: descriptors, and the terminal."""

import os
import signal
import termios

import pytest

from terminal import Terminal


@pytest.fixture
def terminal(box):
    """terminal(*command, options=...) starts `postern run` on a terminal of the caller."""
    opened = []

    def start(*command, options=(), **more):
        made = Terminal(box, [*box.options(options), "--", *command], **more)
        opened.append(made)
        return made

    yield start
    for made in opened:
        made.close()


# Descriptors

def test_stdin_passes_through_to_its_end(box):
    data = os.urandom(300_000)
    assert box.run("sha256sum", input=data).ok() == box.outer("sha256sum", input=data).ok()


def test_stdout_and_stderr_stay_apart(box):
    done = box.sh("echo out; echo err >&2")
    assert (done.out, done.err) == ("out\n", "err\n")


def test_a_pipe_stays_the_caller_s_pipe(box):
    import stat
    done = box.run("python3", "-c", "import os, stat; print([stat.S_ISFIFO(os.fstat(n).st_mode) for n in (0, 1, 2)], "
                                    "os.fstat(1).st_ino)", input="")
    child_pipe = done.ok().split("]")[1]
    assert "[True, True, True" in done.out and child_pipe.strip().isdigit() and stat


def test_a_file_stays_the_caller_s_file(box):
    path = box.write("etc/out")
    with open(path, "ab") as out:
        box.run("sh", "-c", "echo to the file", stdout=out)
    assert path.read_text() == "to the file\n"


def test_nothing_is_buffered(box):
    child = box.start("sh", "-c", "printf now; read answer; echo $answer", stdin=-1)
    assert child.stdout.read(3) == b"now"
    assert box.finish(child, "then\n").out == "then\n"


def test_epipe_reaches_the_command(box):
    done = box.outer("bash", "-c", f"{box.program} run -s {box.settings_file} -- yes | head -n1; "
                                   "echo ${PIPESTATUS[0]}")
    assert done.ok() == "y\n141\n"


@pytest.mark.parametrize("numbers", [[3], [7, 40, 63], [20, 255, 900]])
def test_every_other_descriptor_is_closed(box, numbers):
    """Opened by the caller on a file the command may not read."""
    secret = box.write("outside/secret", "secret")
    box.settings(deny_read=[secret])
    inside = "ls /proc/self/fd; for n in " + " ".join(map(str, numbers)) + "; do cat <&$n; done 2>/dev/null"
    opened = " ".join(f"{number}<{secret}" for number in numbers)  # by the caller's shell, not by ours
    done = box.outer("bash", "-c", f"exec {box.program} run -s {box.settings_file} -- sh -c '{inside}' {opened}")
    assert "secret" not in done.out
    assert set(done.out.split()) <= {"0", "1", "2", "3"}  # 3 is ls's own, on the directory


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_standard_descriptor_is_no_trap(box, closed):
    """A file of ours must not take its number: the command would read or write it."""
    script = f"{box.program} run -s {box.settings_file} -- sh -c 'ls -l /proc/self/fd >listing 2>&1; exit 4' {closed}"
    done = box.outer("bash", "-c", script)
    assert done.code == 4
    for line in (box.ws / "listing").read_text().splitlines():
        assert "socket:" not in line and "anon_inode" not in line and "settings.json" not in line


# No terminal of the command's own

def test_without_a_terminal_there_is_no_dev_tty(box):
    assert box.sh("exec </dev/tty").code != 0


def test_the_caller_s_terminal_is_not_the_command_s(terminal):
    shown = terminal("sh", "-c", "(exec </dev/tty) 2>/dev/null && echo has || echo none", options=["--tty=no"])
    assert "none" in shown.expect("none") and shown.wait() == 0


@pytest.mark.parametrize("request_name", ["TIOCSTI"])
@pytest.mark.parametrize("option", ["--tty=no", "--tty=yes"])
def test_input_cannot_be_put_into_a_terminal(terminal, request_name, option):
    script = ("import fcntl, termios\n"
              "try: fcntl.ioctl(0, termios.TIOCSTI, b'x'); print('put')\n"
              "except OSError as e: print('refused', e.errno)")
    shown = terminal("python3", "-c", script, options=[option])
    shown.expect("refused")
    assert shown.wait() == 0


# A terminal of the command's own

@pytest.mark.parametrize("option", [[], ["--tty=auto"], ["--tty=yes"]])
def test_on_a_terminal_the_command_gets_one(terminal, option):
    shown = terminal("sh", "-c", "test -t 0 && test -t 1 && test -t 2 && tty; echo here >/dev/tty; exit 6", options=option)
    seen = shown.expect("here")
    assert "/dev/pts/" in seen and shown.wait() == 6


def test_it_is_another_terminal_than_the_caller_s(terminal):
    shown = terminal("sh", "-c", "ls /dev/pts; echo .")
    assert shown.expect(".").split()[:2] == ["0", "ptmx"]


def test_the_window_size_is_there_at_the_start_and_follows(terminal):
    script = "stty size; trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.05; done"
    shown = terminal("sh", "-c", script, rows=33, columns=77)
    assert "33 77" in shown.expect("ready")
    shown.resize(11, 22)
    shown.child.send_signal(signal.SIGWINCH)
    shown.expect("11 22")
    assert shown.wait() == 0


def test_input_is_relayed(terminal):
    shown = terminal("sh", "-c", "echo ready; read line; echo \"<$line>\"")
    shown.expect("ready")
    shown.type("typed text\n")
    shown.expect("<typed text>")
    assert shown.wait() == 0


def test_control_c_interrupts_the_command_and_not_us(terminal):
    shown = terminal("sh", "-c", "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.05; done")
    shown.expect("ready")
    shown.type("\x03")
    shown.expect("caught")
    assert shown.wait() == 5


STUBBORN = ("import os, signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
            "print('ready', flush=True)\ntime.sleep(60)")


def test_a_second_control_c_ends_what_ignores_the_first(terminal):
    shown = terminal("python3", "-c", STUBBORN)
    shown.expect("ready")
    shown.type("\x03")
    shown.expect("^C")
    shown.type("\x03")
    assert shown.wait() == 130
    assert shown.modes() == shown.before


def test_control_c_and_a_signal_are_two(terminal):
    shown = terminal("python3", "-c", "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + STUBBORN)
    shown.expect("ready")
    shown.type("\x03")
    shown.expect("^C")
    shown.child.send_signal(signal.SIGTERM)
    assert shown.wait() == 143


def test_control_c_in_a_program_that_reads_keys_ends_nothing(terminal):
    script = ("import os, tty\ntty.setraw(0)\nos.write(1, b'ready')\nseen = b''\n"
              "while len(seen) < 4: seen += os.read(0, 10)\nos.write(1, repr(seen).encode())")
    shown = terminal("python3", "-c", script)
    shown.expect("ready")
    shown.type("\x03\x03\x03\x03")
    shown.expect(r"b'\x03\x03\x03\x03'")
    assert shown.wait() == 0


def test_control_c_at_a_prompt_or_to_a_job_leaves_the_shell(terminal):
    """The shell reads keys at its prompt, and its job is a group of its own."""
    shown = terminal("bash", "--norc", "--noprofile", "-i", env={"PS1": "ready> "})
    shown.expect("ready> ")
    shown.type("\x03\x03\x03")
    # Whether it shows a prompt for each is its own affair; it reads on.
    shown.type("\necho still $((40 + 2))\n")
    shown.expect("still 42")
    shown.type("sh -c 'trap \"echo caught\" INT; echo under way; while :; do sleep 0.05; done'\n")
    shown.expect("under way\n")
    for _ in range(3):
        shown.type("\x03")
        shown.expect("caught")
    shown.type("\x1c")
    shown.expect("Quit")
    shown.type("exit 9\n")
    assert shown.wait() == 9


@pytest.mark.parametrize("compat", [{}, {"SRT_COMPAT_EXIT": "1"}])
def test_interrupts_that_the_terminal_answers_end_the_sandbox_alone(terminal, compat):
    """A hostile command makes the terminal "type" for it: that is a way to end itself, and no other."""
    script = ("import signal, sys, termios, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
              "modes = termios.tcgetattr(0)\nmodes[6][termios.VINTR] = b'R'\n"
              "termios.tcsetattr(0, termios.TCSANOW, modes)\nsys.stdout.write('\\033[6n\\033[6n')\n"
              "sys.stdout.flush()\ntime.sleep(60)")
    shown = terminal("python3", "-c", script, env=compat)
    shown.expect("\033[6n\033[6n")
    shown.type("\033[1;1R\033[1;1R")
    assert shown.wait() == (0 if compat else 130)
    assert shown.modes() == shown.before


def test_control_backslash_quits(terminal):
    shown = terminal("sh", "-c", "trap 'echo quit; exit 8' QUIT; echo ready; while :; do sleep 0.05; done")
    shown.expect("ready")
    shown.type("\x1c")
    shown.expect("quit")
    assert shown.wait() == 8


def test_control_d_is_the_end_of_input(terminal):
    shown = terminal("sh", "-c", "echo ready; cat; echo end")
    shown.expect("ready")
    shown.type("\x04")
    shown.expect("end")
    assert shown.wait() == 0


# No shell: between vfork and exec of a child a shell cannot stop, in a sandbox or outside. And "again" is said
# for a SIGCONT that comes at any moment.
JOB = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCONT])
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.write(1, b"under way\\n")
while signal.sigwait([signal.SIGCONT]):
    os.write(1, b"again\\n")
"""


def test_job_control_works_in_an_interactive_shell(box, terminal):
    box.write("ws/job", JOB)
    shown = terminal("bash", "--norc", "--noprofile", "-i", env={"PS1": "ready> "})
    shown.expect("ready> ")
    # The job says "under way" and "again" itself, so each key meets the process that it is meant for.
    shown.type("python3 job\n")
    shown.expect("under way\n")
    shown.type("\x1a")
    shown.expect("Stopped")
    shown.expect("ready> ")
    shown.type("fg\n")
    shown.expect("again\n")
    shown.type("\x03")
    shown.expect("ready> ")
    shown.type("echo status $?\n")
    shown.expect("status 130")
    shown.type("exit 9\n")
    assert shown.wait() == 9
    assert "no job control" not in shown.text


def test_raw_mode_passes_every_byte(terminal):
    script = ("import os, sys, tty\ntty.setraw(0)\nos.write(1, b'ready')\nseen = b''\n"
              "while len(seen) < 4: seen += os.read(0, 10)\nos.write(1, repr(seen).encode())")
    shown = terminal("python3", "-c", script)
    shown.expect("ready")
    shown.type("\x03\x1a\x04\r")
    shown.expect(r"b'\x03\x1a\x04\r'")
    assert shown.wait() == 0


def test_the_caller_s_terminal_is_as_before(terminal):
    shown = terminal("stty", "raw", "-echo")
    assert shown.wait() == 0
    assert shown.modes() == shown.before


def test_the_caller_s_terminal_is_raw_meanwhile_and_put_back_on_a_signal(terminal):
    shown = terminal("sh", "-c", "echo ready; sleep 60")
    shown.expect("ready")
    assert not shown.modes()[3] & termios.ICANON
    shown.child.send_signal(signal.SIGTERM)
    assert shown.wait() in (143, -15)
    assert shown.modes() == shown.before


def test_much_output_arrives_whole(terminal):
    shown = terminal("sh", "-c", "seq 1 20000; echo the-end")
    seen = shown.expect("the-end")
    assert seen.split()[:20000] == [str(n) for n in range(1, 20001)]
    assert shown.wait() == 0


def test_hang_up_of_the_caller_s_terminal_ends_the_command(box, terminal):
    shown = terminal("sh", "-c", f"trap 'echo hup >{box.ws}/hup; exit 1' HUP; echo ready; while :; do sleep 0.05; done")
    shown.expect("ready")
    os.close(shown.slave)
    os.close(shown.master)
    shown.slave = shown.master = None
    shown.child.wait(timeout=60)
    assert (box.ws / "hup").read_text() == "hup\n"


def test_tty_no_keeps_the_caller_s_descriptors(terminal):
    shown = terminal("sh", "-c", "tty; exit 3", options=["--tty=no"])
    assert shown.wait() == 3


def test_allow_pty_false_is_tty_no(box, terminal):
    box.settings(allowPty=False)
    shown = terminal("sh", "-c", "(exec </dev/tty) 2>/dev/null && echo has || echo none")
    shown.expect("none")
    assert shown.wait() == 0


def test_stdout_to_a_pipe_means_no_terminal_with_auto(box, terminal):
    import subprocess
    shown = terminal("sh", "-c", "test -t 1 && echo yes || echo no", stdout=subprocess.PIPE)
    assert shown.wait() == 0
    assert shown.child.stdout.read() == b"no\n"
