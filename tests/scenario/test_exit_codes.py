"""Contract 1.2: exit status."""

import os

import pytest


@pytest.mark.parametrize("n", [0, 1, 2, 42, 124, 125, 126, 127, 128, 255])
def test_the_command_s_own_status_comes_out(box, n):
    assert box.sh(f"exit {n}").code == n


@pytest.mark.parametrize("name, number", [("TERM", 15), ("KILL", 9), ("SEGV", 11), ("INT", 2), ("HUP", 1),
                                          ("ABRT", 6), ("PIPE", 13), ("USR1", 10)])
def test_death_by_a_signal_is_128_more(box, name, number):
    assert box.sh(f"kill -{name} $$; sleep 5").code == 128 + number


def test_a_command_that_is_not_there_is_127(box):
    done = box.run("no-such-command-here")
    assert done.code == 127 and "no-such-command-here" in done.err


def test_a_path_that_is_not_there_is_127(box):
    assert box.run("./no-such-file").code == 127


def test_a_file_without_the_right_to_run_is_126(box):
    path = box.write("ws/plain", "#!/bin/sh\n", 0o644)
    done = box.run(path)
    assert done.code == 126 and "plain" in done.err


def test_a_directory_is_126(box):
    assert box.run(box.ws).code == 126


def test_a_script_without_an_interpreter_line_is_126_or_runs(box):
    """execve gives ENOEXEC; a shell would run it. We run no shell nobody asked for."""
    path = box.write("ws/bare", "exit 0\n", 0o755)
    assert box.run(path).code == 126


def test_an_interpreter_that_is_not_there_is_127(box):
    path = box.write("ws/odd", "#!/no/such/interpreter\n", 0o755)
    assert box.run(path).code == 127


def test_a_command_from_path(box):
    path = box.write("ws/bin/tool", "#!/bin/sh\necho tool\n", 0o755)
    assert box.run("tool", env={"PATH": f"/nowhere:{path.parent}:/usr/bin:/bin"}).ok() == "tool\n"


@pytest.mark.parametrize("options", [["--control-fd", "x"], ["--control-fd", "2"], ["--control-fd", "77"],
                                     ["--control-fd", "+3"], ["--control-fd", "0x3"]])
def test_a_bad_control_fd_is_1(box, options):
    done = box.run("sh", "-c", "echo ran", options=options)
    assert (done.code, done.out) == (1, "")
    assert "control" in done.err


@pytest.mark.parametrize("path, flags", [("/", os.O_RDONLY), ("/etc/passwd", os.O_PATH), ("/dev/null", os.O_WRONLY)],
                         ids=["directory", "a mere path", "write-only"])
def test_a_control_fd_that_cannot_be_read_is_1_before_anything_runs(box, path, flags):
    fd = os.open(path, flags)
    try:
        done = box.run("sh", "-c", "echo ran; sleep 5", options=["--control-fd", str(fd)], pass_fds=[fd])
    finally:
        os.close(fd)
    assert (done.code, done.out) == (1, "") and f"--control-fd {fd} cannot be read" in done.err, repr(done)


def test_a_violations_fd_that_is_not_open_is_said_to_be(box):
    done = box.run("echo", "ran", options=["--violations=fd:77"])
    assert (done.code, done.out) == (2, "") and "descriptor 77: Bad file descriptor" in done.err, repr(done)


def test_bad_settings_are_1(box):
    box.settings(text="{")
    assert box.run("true").code == 1


def test_the_output_of_a_missing_command_is_one_line(box):
    done = box.run("no-such-command-here")
    assert len(done.err.strip().splitlines()) == 1
