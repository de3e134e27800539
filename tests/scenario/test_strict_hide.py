"""x.filesystem.strictHide: every open is judged, and nothing else changes (contract 3.4.1, 3.4.4)."""

import os
import threading

import pytest

STRICT = {"filesystem": {"strictHide": True}}


@pytest.fixture
def strict(box):
    box.write("ws/.env", "secret\n")
    box.write("ws/hidden/inner", "secret\n")
    box.write("ws/hidden/open/inner", "open\n")
    box.write("ws/plain", "plain\n")
    box.settings(deny_read=[box.ws / ".env", box.ws / "hidden"], x=STRICT,
                 filesystem={"allowRead": [os.fspath(box.ws / "hidden/open")]})
    return box


def test_hidden_is_hidden_and_the_rest_is_read(strict):
    done = strict.sh("cat .env; cat hidden/inner; cat plain hidden/open/inner; ls hidden; wc -c </etc/passwd")
    assert "secret" not in done.out and done.out.startswith("plain\nopen\nopen\n"), done
    assert ".env: Permission denied" in done.err, done


def test_a_second_name_of_a_hidden_file_is_hidden(strict):
    os.link(strict.ws / ".env", strict.ws / "second")
    done = strict.sh("cat second; cat plain")
    assert done.out == "plain\n" and "deny openat" in done.err and "every name of it is hidden" in done.err, done


def test_hide_empty_stays_empty(box):
    secret = box.write("ws/.env", "secret\n")
    box.settings(deny_read=[secret], x={"filesystem": {"strictHide": True, "hide": "empty"}})
    assert box.sh("cat .env && echo read").ok() == "read\n"


def test_the_host_replaces_a_hidden_file_again_and_again(strict):
    """The name is judged at each open, so there is no moment in which the new file can be read."""
    ending = threading.Event()

    def replace():
        while not ending.is_set():
            new = strict.ws / ".new"
            new.write_text("secret\n")
            os.rename(new, strict.ws / ".env")

    saver = threading.Thread(target=replace)
    saver.start()
    try:
        done = strict.sh("i=0; while [ $i -lt 300 ]; do read x <.env && echo $x; i=$((i+1)); done 2>/dev/null; exit 0")
    finally:
        ending.set()
        saver.join()
    assert done.code == 0 and done.out == "", done


def test_what_the_host_puts_in_place_of_a_hidden_directory_is_hidden(strict):
    child = strict.start("sh", "-c", "echo ready; read x; ls hidden; cat hidden/inner; exit 0", stdin=-1)
    assert child.stdout.readline() == b"ready\n"
    os.rename(strict.ws / "hidden", strict.ws / "away")
    (strict.ws / "hidden").mkdir()
    (strict.ws / "hidden/inner").write_text("secret\n")
    (strict.ws / "hidden").chmod(0o755)
    done = strict.finish(child, b"go\n")
    assert "secret" not in done.out and "inner" not in done.out, done


def test_a_pattern_hides_what_the_host_makes_later(box):
    box.write("ws/d/x", "plain\n")
    box.settings(deny_read=[f"{box.ws}/**/*.pem"], x=STRICT)
    child = box.start("sh", "-c", "echo ready; read x; cat d/new.pem; cat d/x; exit 0", stdin=-1)
    assert child.stdout.readline() == b"ready\n"
    box.write("ws/d/new.pem", "secret\n")
    done = box.finish(child, b"go\n")
    assert done.out == "plain\n", done


@pytest.mark.parametrize("script, out", [
    ("python3 -c 'import json, ssl, ctypes, sqlite3; print(json.dumps(len(ssl.__name__)))'", "3\n"),
    ("perl -e 'use POSIX; print floor(3.5), \"\\n\"'", "3\n"),
    ("echo 'int main(void){return 0;}' >a.c && gcc -o a a.c && ./a && echo built", "built\n"),
    ("ps -e >list && grep -c . list >/dev/null && tail -n +1 /proc/self/status | grep -c ^Pid:", "1\n"),
    ("echo in | cat /dev/stdin && cat </dev/null && cat /dev/fd/3 3<plain", "in\nplain\n"),
    ("mkfifo f; (cat f >got) & echo through >f; wait; cat got", "through\n"),
    ("mkfifo g; (exec 3<g; echo come >ready; read x <&3; echo $x >got) & exec 4>g; "
     "while ! [ -s ready ]; do :; done; echo late >&4; wait; cat got", "late\n"),
    ("i=0; mkdir many; cd many; touch $(seq 3000); ls | wc -l", "3000\n"),
    ("bash -c 'cat <(echo one) <(echo two)'", "one\ntwo\n"),
    ("tar cf - plain | tar tf -", "plain\n"),
    ("exec 3<plain; rm plain; cat /proc/self/fd/3", "plain\n"),
    ("test -r plain && test -x /bin/sh && ! cat nothing 2>/dev/null && echo yes", "yes\n"),
    ("sleep 100 & p=$!; until read x </proc/$p/comm && [ $x = sleep ]; do :; done; "  # its memory before is gone with its exec
     "read x </proc/$p/stat; read y </proc/$p/maps && kill $p && echo ${x#$p } | cut -c1-2",
     "(s\n"),
])
def test_programs_work_as_they_do_without(strict, script, out):
    assert strict.sh(script).ok() == out


def test_git_works(strict):
    strict.outer("git", "init", "-q", "repository").ok()
    done = strict.sh("cd repository && echo x >f && git add f && git -c user.name=a -c user.email=a@b commit -qm 1 && "
                     "git status --short && git stash list && git log --oneline | wc -l")
    assert done.ok() == "1\n"


def test_a_terminal_can_be_opened(strict):
    done = strict.sh("script -qec 'cat plain >/dev/tty' /dev/null </dev/null")
    assert done.ok().strip() == "plain"


def test_it_is_told(strict):
    assert '"strictHide":true' in strict.run(options=["--explain=json"]).ok().replace(" ", "")
    assert "every open is judged" in strict.run(options=["--explain"]).ok()
