"""Contract 11, last row: a file system that never answers neither stops the start nor loses a deny."""

import os
import pathlib
import sys

import pytest

SILENT = pathlib.Path(__file__).parent / "clients" / "silent_mount.py"


@pytest.fixture
def silent(box):
    """silent(*command, **settings) runs a command while box.outside/dead is silent."""
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        pytest.skip("needs root and /dev/fuse to mount a file system that is silent")
    dead, tmp = box.outside / "dead", box.root / "tmp"
    for directory in (dead, tmp):
        directory.mkdir()
        box.give(directory)

    def run(script, **settings):
        box.settings(**settings)
        uid = box.user.pw_uid if box.plain else 0
        words = ["unshare", "-m", "--propagation", "private", sys.executable, SILENT, dead, str(uid),
                 *box.options(()), "--", "sh", "-c", script]
        was, box.plain = box.plain, False
        try:
            return box.finish(box.popen(words, env={"CLAUDE_CODE_TMPDIR": str(tmp)}))
        finally:
            box.plain = was
    run.dead = dead
    return run


def test_a_silent_file_system_that_nobody_names_costs_nothing(box, silent):
    done = silent("echo started; cat '%s'" % (box.outside / "readable"))
    assert done.ok() == "started\nreadable\n" and "500 ms" not in done.err


@pytest.mark.parametrize("entry", ["dead", "dead/secret", "dead/a/b/secret", "dead/**/*.pem", "**/*.pem", "link/secret"])
def test_a_deny_on_it_hides_the_nearest_directory_that_answers(box, silent, entry):
    (box.outside / "link").symlink_to("dead")
    done = silent("cat '%s' && echo read; echo started" % (box.outside / "readable"),
                  deny_read=[f"{box.outside}/{entry}"])
    assert done.code == 0 and "started" in done.out and "500 ms" in done.err, done
    if not entry.startswith("**") and "*" not in entry:
        assert "read\n" not in done.out.replace("started", ""), done


@pytest.mark.parametrize("entry", ["dead", "dead/ws"])
def test_an_allow_on_it_is_skipped_and_said(box, silent, entry):
    done = silent("echo started", allow_write=[box.ws, box.outside / entry])
    assert done.ok() == "started\n" and "500 ms" in done.err and "skipped" in done.err, done


def test_a_write_deny_on_it_holds_for_the_directory_above(box, silent):
    done = silent("echo x >'%s'; echo started" % (box.outside / "new"), allow_write=[box.ws, box.outside],
                  deny_write=[box.outside / "dead/file"])
    assert done.out == "started\n" and not (box.outside / "new").exists() and "500 ms" in done.err, done


def test_beside_a_hidden_path_it_cannot_be_read_and_holds_up_nothing(box, silent):
    secret = box.write("outside/secret", "secret\n")
    done = silent("cat '%s'; cat '%s'; ls '%s' >/dev/null; echo started" % (secret, box.outside / "readable", box.outside),
                  deny_read=[secret])
    assert done.code == 0 and done.out == "readable\nstarted\n", done
    assert "dead" in done.err and "500 ms" in done.err


def test_a_home_directory_on_it_is_an_error(box, silent):
    box.settings()
    box.plain = False  # only root may mount; who is inside does not matter here
    done = box.finish(box.popen(["unshare", "-m", "--propagation", "private", sys.executable, SILENT, silent.dead, "0", "env",
                                 f"HOME={silent.dead}", *box.options(()), "--", "true"]))
    assert done.code == 125 and "home directory" in done.err, done
