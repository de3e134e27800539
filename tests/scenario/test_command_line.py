"""Contract 1 and 1.1: options, and how the command reaches the kernel."""

import os
import re

import pytest

# A program that prints its argument vector, one argument a line, as bytes.
SHOW = ["python3", "-c", "import os, sys\nfor a in sys.argv[1:]: os.write(1, repr(os.fsencode(a)).encode() + b'\\n')"]

DASHES = pytest.mark.parametrize("dashes", [False, True], ids=["plain", "after--"])


@DASHES
def test_options_of_the_command_are_its_own(box, web, dashes):
    """srt takes `-s URL` for itself here."""
    box.settings(allowed=["localhost"])
    done = box.run("curl", "-s", "--noproxy", "", f"http://localhost:{web.port}/", dashes=dashes)
    assert done.ok() == "hello from the host\n"


@DASHES
def test_python_c_runs_python(box, dashes):
    assert box.run("python3", "-c", "print(1)", dashes=dashes).ok() == "1\n"


@DASHES
def test_ls_d_lists(box, dashes):
    done = box.run("ls", "-d", "/", dashes=dashes)
    assert done.ok() == "/\n"
    assert "[SandboxDebug]" not in done.err


@DASHES
def test_bash_c_runs_under_bash(box, dashes):
    done = box.run("bash", "-c", 'echo "${BASH_VERSION:+bash}"', dashes=dashes)
    assert done.ok() == "bash\n"


@pytest.mark.parametrize("word", ["proxy", "diff", "doctor", "windows-install"])
def test_a_word_after_the_options_is_the_command(box, word):
    path = box.write(f"ws/bin/{word}", "#!/bin/sh\necho mine\n", 0o755)
    assert box.run(word, env={"PATH": f"{path.parent}:/usr/bin:/bin"}).ok() == "mine\n"


@pytest.mark.parametrize("option", ["--no-such-option", "-Z", "--settingz=x", "--ask-fdd"])
def test_an_unknown_option_is_refused_by_name(box, option):
    done = box.run("true", options=[option], dashes=False)
    assert done.code == 2
    assert option.split("=")[0] in done.err


def test_an_unknown_option_after_the_dashes_is_the_command(box):
    done = box.run("--no-such-option")
    assert done.code == 127


ARGUMENTS = {
    "blanks": ["a b", " ", "\t"],
    "quotes": ['"', "'", "it's", '"x" \'y\'', "\\", "`id`"],
    "shell": ["$HOME", "$(id)", "!", "!!", "*", "~", "a;b", "a&b", "|", ">x", "#", "{a,b}"],
    "newlines": ["a\nb", "\n", "\r\n"],
    "empty": ["", "", "x", ""],
    "equals": ["=x", "A=b", "="],
    "dashes": ["--", "-s", "-c", "--settings", "-", "-d", "--help"],
    "bytes": [b"\xff\xfe".decode("utf-8", "surrogateescape"), "ä", "\x01\x7f"],
}


@pytest.mark.parametrize("name", ARGUMENTS)
@DASHES
def test_arguments_arrive_byte_for_byte(box, name, dashes):
    import os
    words = ARGUMENTS[name]
    done = box.run(*SHOW, *words, dashes=dashes)
    assert done.ok().splitlines() == [repr(os.fsencode(w)) for w in words]


def test_three_thousand_arguments_of_a_hundred_bytes(box):
    done = box.run("python3", "-c", "import sys; print(len(sys.argv) - 1, sum(map(len, sys.argv[1:])))",
                   *["x" * 100] * 3000)
    assert done.ok() == "3000 300000\n"


def test_an_argument_as_long_as_the_kernel_takes(box):
    """MAX_ARG_STRLEN is 128 KiB with the NUL."""
    done = box.run("python3", "-c", "import sys; print(len(sys.argv[1]))", "x" * (128 * 1024 - 1))
    assert done.ok() == f"{128 * 1024 - 1}\n"


def test_a_megabyte_of_arguments(box):
    done = box.run("python3", "-c", "import sys; print(sum(map(len, sys.argv[1:])))", *["x" * 100_000] * 10)
    assert done.ok() == "1000000\n"


def test_one_operand_with_a_blank_is_one_word_and_hints_at_c(box):
    done = box.run("echo hi", dashes=False)
    assert done.code == 127
    assert "-c" in done.err
    assert "hi" not in done.out


def test_c_runs_a_shell_line(box):
    done = box.run(options=["-c", "echo \"$0\" | wc -l; exit 3"], dashes=False)
    assert (done.code, done.out.strip()) == (3, "1")


def test_c_applies_no_quoting(box):
    done = box.run(options=["-c", "for i in 'a b' c; do echo \"<$i>\"; done"], dashes=False)
    assert done.ok() == "<a b>\n<c>\n"


@DASHES
def test_what_stands_behind_c_are_the_words_of_the_shell_line(box, dashes):
    done = box.run("zero", "a b", "", "*", options=["-c", "printf '<%s>' \"$0\" \"$@\""], dashes=dashes)
    assert done.ok() == "<zero><a b><><*>"


def test_c_takes_bash_from_the_fixed_path(box):
    """A `bash` in a directory of the caller's PATH is not asked (threat T1)."""
    path = box.write("ws/bin/bash", f"#!/bin/sh\necho planted >{box.ws}/marker\n", 0o755)
    done = box.run(options=["-c", "echo ${BASH_VERSION:+bash}"], dashes=False,
                   env={"PATH": f"{path.parent}:/usr/bin:/bin"})
    assert done.ok() == "bash\n"
    assert not (box.ws / "marker").exists()


def test_no_command_is_said(box):
    done = box.run(dashes=False)
    assert done.code == 1
    assert "Error: No command specified." in done.err


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version(box, option):
    done = box.run(options=[option], dashes=False, settings=False)
    assert re.search(r"\d+\.\d+", done.ok())


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_every_option(box, option):
    text = box.run(options=[option], dashes=False, settings=False).ok()
    for name in ("--settings", "-c", "--debug", "--control-fd", "--version", "--help", "--explain", "--ask",
                 "--strict", "--violations", "--allow-degraded", "--tty", "--audit-fd", "--audit-file",
                 "--ask-fd", "--profile", "--require"):
        assert name in text, name


@pytest.mark.parametrize("option", [["-d"], ["--debug"]])
def test_debug_lines_are_marked(box, option):
    done = box.run("sh", "-c", "echo $SRT_DEBUG", options=option)
    assert done.ok() == "true\n"
    assert "[SandboxDebug] " in done.err


def test_srt_debug_in_the_environment_does_the_same(box):
    assert "[SandboxDebug] " in box.run("true", env={"SRT_DEBUG": "1"}).err


def test_without_debug_nothing_is_said(box):
    done = box.run("true")
    assert (done.code, done.out, done.err) == (0, "", "")


@pytest.mark.parametrize("form", [["--settings", None], ["-s", None], "--settings="])
def test_the_settings_option_in_its_forms(box, form):
    box.settings(allow_write=[])
    named = [form + str(box.settings_file)] if isinstance(form, str) else [form[0], str(box.settings_file)]
    done = box.run("sh", "-c", "echo x >file", options=named, settings=False)
    assert done.code != 0 and not (box.ws / "file").exists()


@pytest.mark.parametrize("options", [["--settings"], ["-c"], ["--control-fd"], ["--require"], ["--profile"]])
def test_an_option_without_its_value_is_a_usage_error(box, options):
    assert box.run(options=options, dashes=False, settings=False).code == 2


@pytest.mark.parametrize("options", [["--tty=maybe"], ["--violations=loud"], ["--explain=xml"], ["--ask="],
                                     ["--require=walls"], ["--allow-degraded=walls"], ["--profile=none-such"],
                                     ["--ask-fd=x"], ["--audit-fd=-1"]])
def test_a_value_that_means_nothing_is_refused(box, options):
    done = box.run("sh", "-c", "echo ran", options=options)
    assert done.code in (1, 2) and done.out == ""
    assert options[0].split("=")[0].lstrip("-") in done.err


def test_the_default_settings_file_is_read_from_home(box):
    box.write("home/.srt-settings.json", box.settings(allow_write=[box.ws]).read_text())
    box.run("sh", "-c", "echo x >file", settings=False).ok()
    assert (box.ws / "file").read_text() == "x\n"


def test_without_a_default_file_nothing_may_be_written(box):
    done = box.run("sh", "-c", f"cat {box.outside}/readable; echo x >file", settings=False)
    assert done.code != 0 and done.out == "readable\n" and not (box.ws / "file").exists()


@pytest.mark.identity("plain")
def test_what_cannot_be_looked_at_on_the_path_is_no_news_outside_the_write_paths(box):
    closed = box.outside / "closed"
    (closed / "bin").mkdir(parents=True)
    closed.chmod(0o700)
    if os.geteuid() == 0:
        os.chown(closed, 0, 0)
    path = f"{closed}/bin:/usr/local/bin:/usr/bin:/bin"
    done = box.sh("echo ran", env={"PATH": path})
    assert (done.ok(), done.err) == ("ran\n", "")
    explained = box.run(options=["--explain"], dashes=False, env={"PATH": path})
    assert "mandatory PATH" not in explained.ok()


@pytest.mark.identity("plain")
def test_what_cannot_be_looked_at_on_the_path_is_said_inside_a_write_path(box):
    closed = box.ws / "closed"
    closed.mkdir()
    if os.geteuid() == 0:
        box.give(closed)
    closed.chmod(0)
    done = box.sh("mkdir closed/bin; chmod 700 closed; echo x >closed/file", env={"PATH": f"{closed}/bin:/usr/bin:/bin"})
    closed.chmod(0o700)
    assert "closed/bin' cannot be looked at" in done.err and os.listdir(closed) == [], done
