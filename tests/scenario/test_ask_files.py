"""Contract 8: a person is asked about files outside the plan (x.ask.files)."""

import json
import os
import socket
import threading

import pytest

FILES = {"ask": {"files": True}}


class Person:
    """The other end of the prompt channel: collects the requests and answers each as `decide` says; a
    `decide` that gives None answers nothing."""

    def __init__(self, decide):
        self.requests, self.decide = [], decide
        self.here, self.there = socket.socketpair()
        self.came = threading.Condition()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with self.here.makefile("r") as lines:
            for line in lines:
                request = json.loads(line)
                with self.came:
                    self.requests.append(request)
                    self.came.notify_all()
                answer = self.decide(request)
                if answer is not None:
                    self.here.sendall(json.dumps({"id": request["id"], **answer}).encode() + b"\n")

    def wait_for(self, count):
        with self.came:
            assert self.came.wait_for(lambda: len(self.requests) >= count, 30), self.requests


@pytest.fixture
def ask(box):
    """ask(decide, script, **settings) runs the script; gives (result, the requests that came)."""
    people = []

    def start(decide, script, options=(), x=None, env=None, **settings):
        box.settings(x={**FILES, **(x or {})}, **settings)
        person = Person(decide)
        people.append(person)
        number = person.there.fileno()
        child = box.start("sh", "-c", script, options=["--ask-fd", str(number), *options], pass_fds=[number],
                          stdin=-1, env=env)
        person.there.close()
        return child, person

    def run(decide, script, **more):
        child, person = start(decide, script, **more)
        return box.finish(child), person.requests

    run.start = start
    yield run
    for person in people:
        person.here.close()


def yes(scope="once"):
    return lambda request: {"allow": True, "scope": scope}


def no(scope="once", **more):
    return lambda request: {"allow": False, "scope": scope, **more}


def test_a_yes_opens_the_file_for_writing(box, ask):
    victim = box.write("outside/notes", "old\n")
    done, (request,) = ask(yes(), f"echo new >'{victim}'; echo $?")
    assert done.ok() == "0\n" and victim.read_text() == "new\n"
    assert request["kind"] == "file-write" and request["path"] == str(victim) and request["access"] == "write"
    assert request["command"]["pid"] > 1 and "sh" in request["command"]["argv0"], request


def test_a_new_file_is_made_with_the_mode_that_the_command_asks_for(box, ask):
    new = box.outside / "new"
    done, (request,) = ask(yes(), f"umask 027; echo made >'{new}'")
    assert done.code == 0 and new.read_text() == "made\n" and new.stat().st_mode & 0o7777 == 0o640, done
    assert request["kind"] == "file-write" and new.stat().st_uid == box.user.pw_uid


def test_a_no_is_eacces_and_a_violation(box, ask):
    victim = box.write("outside/notes", "old\n")
    done, requests = ask(no(reason="not that one"), f"echo new >'{victim}'; echo new >'{victim}'; exit 0")
    assert victim.read_text() == "old\n" and len(requests) == 1, requests  # a denial is kept 30 s
    assert "Permission denied" in done.err and "permission prompt: not that one" in done.err, done


@pytest.mark.parametrize("flags, access, content", [
    ("os.O_RDWR", "read and write", b"wld"), ("os.O_WRONLY | os.O_APPEND", "write", b"oldw"),
    ("os.O_WRONLY | os.O_CREAT | os.O_TRUNC", "write", b"w"), ("os.O_RDONLY | os.O_TRUNC", "read and write", b""),
])
def test_the_descriptor_is_what_was_asked_for(box, ask, flags, access, content):
    victim = box.write("outside/notes", "old")
    script = ("python3 -c 'import fcntl, os, sys; f = os.open(sys.argv[1], " + flags + " | os.O_CLOEXEC); "
              "print(fcntl.fcntl(f, fcntl.F_GETFD), fcntl.fcntl(f, fcntl.F_GETFL) & os.O_ACCMODE); "
              "fcntl.fcntl(f, fcntl.F_GETFL) & os.O_ACCMODE and os.write(f, b\"w\")' '%s'" % victim)
    done, (request,) = ask(yes(), script)
    assert done.code == 0 and done.out.startswith("1 "), done
    assert victim.read_bytes() == content and request["access"] == access


def test_scopes(box, ask):
    victim = box.write("outside/notes", "")
    twice = f"echo 1 >>'{victim}'; echo 2 >>'{victim}'"
    done, requests = ask(yes("once"), twice)
    assert done.code == 0 and len(requests) == 2
    done, requests = ask(yes("run"), twice)
    assert done.code == 0 and len(requests) == 1
    assert victim.read_text() == "1\n2\n1\n2\n"


def test_an_answer_for_the_project_is_kept(box, ask):
    victim = box.write("outside/notes", "")
    assert ask(yes("project"), f"echo 1 >>'{victim}'")[0].code == 0
    (kept,) = (box.home / ".config/postern/rules.d").iterdir()
    (rule,) = json.loads(kept.read_text())["rules"]
    assert (rule["kind"], rule["path"], rule["allow"]) == ("file-write", str(victim), True)
    done, requests = ask(no(), f"echo 2 >>'{victim}'")
    assert done.code == 0 and requests == [] and victim.read_text() == "1\n2\n"


def test_what_the_preset_hides_can_be_asked_about(box, ask):
    box.write("home/notes/today", "today\n")
    script = (f"cat '{box.home}/notes/today'; cat ~/notes/today; cat ~/nothing; cat ~/notes/nothing; ls ~; "
              "cat ~/../home/notes/today; exit 0")
    done, requests = ask(yes("run"), script, x={"filesystem": {"hideHome": True}})
    assert done.out == "today\ntoday\ntoday\n", done
    (request,) = requests
    assert request["kind"] == "file-read" and request["path"] == f"{box.home}/notes/today"
    assert done.err.count("No such file") >= 2


def test_a_file_in_the_hidden_home_can_be_made_and_written(box, ask):
    box.write("home/notes/today", "today\n")
    done, requests = ask(yes(), "echo new >~/notes/new; echo more >>~/notes/today; echo top >~/top",
                         x={"filesystem": {"hideHome": True}})
    assert done.code == 0, done
    assert (box.home / "notes/new").read_text() == "new\n" and (box.home / "top").read_text() == "top\n"
    assert (box.home / "notes/today").read_text() == "today\nmore\n"
    assert [r["kind"] for r in requests] == ["file-write"] * 3


HIDE = {"filesystem": {"hideHome": True}}


def test_what_the_run_has_made_in_a_hidden_place_can_be_read_without_a_question(box, ask):
    script = ("echo one >~/new; cat ~/new; echo two >>~/new; cat ~/new; "
              "python3 -c 'import os; f = open(os.path.expanduser(\"~/new\"), \"r+\"); print(f.read(), end=\"\")'")
    done, requests = ask(yes(), script, x=HIDE)
    assert done.ok() == "one\none\ntwo\none\ntwo\n"
    assert [r["kind"] for r in requests] == ["file-write"] * 3  # reading is never asked about


def test_a_yes_to_writing_does_not_open_what_is_hidden_for_reading(box, ask):
    """Neither alone nor together with writing, whatever the scope: reading is a question of its own."""
    box.write("home/key", "secret\n")

    def decide(request):
        return {"allow": request["kind"] == "file-write", "scope": "run"}

    script = ("echo more >>~/key; cat ~/key; python3 -c 'import os; "
              "print(os.read(os.open(os.path.expanduser(\"~/key\"), os.O_RDWR), 99))'; exit 0")
    done, requests = ask(decide, script, x=HIDE)
    assert "secret" not in done.out and (box.home / "key").read_text() == "secret\nmore\n", done
    assert {(r["kind"], r["access"]) for r in requests} == {("file-write", "write"), ("file-read", "read")}


def test_reading_and_writing_what_is_hidden_are_two_questions(box, ask):
    box.write("home/notes", "old\n")
    script = ("python3 -c 'import os; f = open(os.path.expanduser(\"~/notes\"), \"r+\"); print(f.read()); "
              "f.write(\"new\\n\")'")
    done, requests = ask(yes(), script, x=HIDE)
    assert "old" in done.ok() and (box.home / "notes").read_text() == "old\nnew\n"
    assert [(r["kind"], r["access"]) for r in requests] == [("file-read", "read"), ("file-write", "write")]


def test_what_the_host_puts_in_the_place_of_a_file_that_the_run_made_is_asked_about(box, ask):
    child, person = ask.start(lambda request: {"allow": request["kind"] == "file-write", "scope": "run"},
                              "echo mine >~/new; cat ~/new; read go; cat ~/new; python3 -c 'import os; "
                              "print(os.read(os.open(os.path.expanduser(\"~/new\"), os.O_RDWR), 99))'; exit 0", x=HIDE)
    assert box.line(child) == "mine"
    box.write("home/other", "secret\n")
    os.rename(box.home / "other", box.home / "new")
    child.stdin.write(b"go\n")
    child.stdin.flush()
    done = box.finish(child)
    assert "secret" not in done.out, done
    assert "file-read" in [r["kind"] for r in person.requests]


def test_what_was_made_in_a_hidden_place_has_no_name_inside(box, ask):
    """As docs/settings.md says: only open finds it."""
    script = ("echo one >~/new; test -e ~/new && echo seen; ls ~; mv ~/new ~/newer 2>/dev/null && echo moved; "
              "rm ~/new 2>/dev/null && echo removed; exit 0")
    done, _ = ask(yes(), script, x=HIDE)
    assert done.ok() == "" and (box.home / "new").read_text() == "one\n"


def test_what_was_made_outside_hidden_places_has_its_name(box, ask):
    new, tmpdir = box.outside / "new", box.write("outside/tmp/none").parent
    done, _ = ask(yes(), f"echo one >'{new}'; test -f '{new}' && cat '{new}'; rm -f '{new}'; exit 0",
                  env={"CLAUDE_TMPDIR": str(tmpdir)})
    assert done.out == "one\n" and new.exists(), done


def test_a_no_to_a_hidden_file(box, ask):
    box.write("home/key", "secret\n")
    done, requests = ask(no(), "cat ~/key", x={"filesystem": {"hideHome": True}})
    assert done.code == 1 and "secret" not in done.out and "Permission denied" in done.err and len(requests) == 1


@pytest.mark.parametrize("script", [
    "echo x >{outside}/.bashrc", "echo x >{outside}/denied", "cat {outside}/hidden", "echo x >{outside}/hidden",
    "echo x >{home}/.config/postern/rules.d/own.json", "echo x >{etc}/settings.json", "echo x >{ws}/.git/config",
    "mkdir -p {outside}/.git/hooks; echo x >{outside}/repo/.git/hooks/pre-commit", "echo x >/proc/sys/kernel/ostype",
    "echo x >/sys/kernel/mm/ksm/run", "echo x >/dev/nothing", "echo x >{outside}", "cat {outside}/fifo", "mkdir {outside}/d",
    "mv {ws}/f {outside}/f", "rm {outside}/readable", "ln {ws}/f {outside}/l", "chmod 777 {outside}/readable",
    "echo x >{outside}/pipe", "echo x >{outside}/alias", "echo x >{home}/.ssh/id", "cat {home}/.ssh/id",
    "echo x >{outside}/link-to-ssh",
], ids=str)
def test_never_asked(box, ask, script):
    for name in ("denied", "hidden", "readable", "repo/.git/hooks/pre-commit"):
        box.write(f"outside/{name}", "as it was\n")
    box.write("ws/f", "")
    box.write("home/.ssh/id", "as it was\n")
    box.write("home/.config/postern/rules.d/own.json", '{"project": "/x", "rules": []}', 0o600)
    os.mkfifo(box.outside / "pipe")
    os.link(box.outside / "denied", box.outside / "alias")
    os.symlink(box.home / ".ssh/id", box.outside / "link-to-ssh")
    box.give(box.outside)
    places = {name: getattr(box, name) for name in ("outside", "home", "etc", "ws")}
    done, requests = ask(yes("run"), f"{script.format(**places)}; exit 0",
                         deny_read=[box.outside / "hidden", box.home / ".ssh"], deny_write=[box.outside / "denied"],
                         x={"filesystem": {"hideHome": True}})
    assert requests == [] and "as it was" not in done.out, (requests, done)
    assert (box.outside / "denied").read_text() == (box.home / ".ssh/id").read_text() == "as it was\n"


def test_nobody_is_asked_without_the_key_without_a_front_or_under_a_strict_allowlist(box, ask):
    victim = box.write("outside/notes", "")
    script = f"echo x >'{victim}'; exit 0"
    assert ask(yes(), script, x={"ask": {"files": False}})[1] == []
    assert ask(yes(), script, network={"strictAllowlist": True})[1] == []
    box.settings(x=FILES)
    assert "Permission denied" in box.sh(script, options=["--ask=none"]).err
    assert victim.read_text() == ""


def test_a_user_who_may_not_is_not_asked_about(box, ask):
    if not box.plain and os.geteuid() == 0:
        pytest.skip("root may")
    done, requests = ask(yes(), "echo x >/etc/passwd; echo x >/etc/new; exit 0")
    assert requests == [] and "Permission denied" in done.err


def test_others_are_served_while_a_question_is_open(box, ask):
    victim = box.write("outside/notes", "")
    child, person = ask.start(lambda request: None, f"(echo asked >'{victim}') & p=$!; read x; echo {{}} >inside; "
                              "mkdir d; mv inside d/moved; cat d/moved; kill -9 $p; wait $p; echo $?")
    person.wait_for(1)
    child.stdin.write(b"go\n")
    child.stdin.flush()
    done = box.finish(child)
    assert done.out == "{}\n137\n" and victim.read_text() == "", done


def test_the_end_of_who_asks_takes_the_question_back(box, ask):
    """The answer that comes too late opens nothing, and the place among the open questions is free again."""
    files = [box.write(f"outside/{i}", "") for i in range(9)]
    answers = threading.Event()
    seen = []

    def decide(request):
        seen.append(request)
        if len(seen) < 9:
            return None
        answers.set()
        return {"allow": True, "scope": "once"}

    script = ("p=; for i in 0 1 2 3 4 5 6 7; do (echo x >'%s'/$i) & p=\"$p $!\"; done; read x; kill -9 $p; wait; "
              "echo x >'%s'/8" % (box.outside, box.outside))
    child, person = ask.start(decide, script)
    person.wait_for(8)
    child.stdin.write(b"go\n")
    child.stdin.flush()
    assert box.finish(child).code == 0 and answers.is_set()
    assert [f.read_text() for f in files] == [""] * 8 + ["x\n"]


def test_equal_questions_share_one_answer_and_open_ones_are_bounded(box, ask):
    victim = box.write("outside/notes", "")
    done, requests = ask(yes(), f"for i in 1 2 3 4 5; do (echo $i >>'{victim}') & done; wait")
    assert len(victim.read_text().split()) == 5 and 1 <= len(requests) <= 5
    for i in range(12):
        box.write(f"outside/{i}", "")
    child, person = ask.start(lambda request: None, "for i in $(seq 0 11); do (echo x >'%s'/$i) & done; wait" % box.outside)
    person.wait_for(8)
    person.here.shutdown(socket.SHUT_RDWR)  # everything open is denied
    box.finish(child)
    assert len(person.requests) == 8


def test_it_is_in_the_audit_log(box, ask):
    victim = box.write("outside/notes", "")
    log = box.etc / "audit"
    ask(yes(), f"echo x >'{victim}'", options=["--audit-file", str(log)])
    records = [json.loads(line) for line in log.read_text().splitlines()]
    (prompt,) = [r for r in records if r["kind"] == "prompt"]
    assert prompt["decision"] == "allow" and prompt["object"] == str(victim) and prompt["layer"] == "seccomp"
    assert any(r["kind"] == "file" and r["object"] == str(victim) and r["decision"] == "allow" for r in records)


def test_it_is_told(box, ask):
    box.settings(x=FILES)
    explained = json.loads(box.run(options=["--ask=none", "--explain=json"]).ok())
    assert explained["askFiles"] is False
