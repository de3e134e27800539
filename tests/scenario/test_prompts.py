"""Contract 8: permission prompts on a descriptor, a socket and the terminal."""

import json
import os
import socket
import threading

import pytest

from terminal import Terminal

STATUS = "curl -s -o /dev/null -w '%{{http_code}}\\n' --noproxy '' --max-time 40 http://localhost:{port}/"


class Asker:
    """The other end of the prompt channel: answers each request with what `decide` gives."""

    def __init__(self, connection, decide):
        self.connection, self.decide, self.requests = connection, decide, []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        with self.connection, self.connection.makefile("r") as lines:
            for line in lines:
                request = json.loads(line)
                self.requests.append(request)
                answer = self.decide(request)
                if answer is None:
                    return
                if isinstance(answer, dict):
                    answer = json.dumps(answer)
                try:
                    self.connection.sendall(answer.encode() + b"\n")
                except OSError:
                    return


@pytest.fixture
def ask(box, web):
    """ask(decide, script) runs a script with --ask-fd; gives (result, the requests that came)."""
    def run(decide, script=None, options=(), **settings):
        box.settings(**{"allowed": [], **settings})
        ours, theirs = socket.socketpair()
        asker = Asker(ours, decide)
        done = box.sh(script or STATUS.format(port=web.port),
                      options=["--ask-fd", str(theirs.fileno()), *options], pass_fds=[theirs.fileno()])
        theirs.close()
        asker.thread.join(20)
        return done, asker.requests
    return run


def yes(scope="run"):
    return lambda request: {"id": request["id"], "allow": True, "scope": scope}


def no(reason=None):
    return lambda request: {"id": request["id"], "allow": False, "scope": "run", **({"reason": reason} if reason else {})}


def test_a_yes_lets_the_connection_through(ask):
    done, requests = ask(yes())
    assert done.ok() == "200\n" and len(requests) == 1


def test_the_question_has_its_fields(ask, web):
    _, (request, *_) = ask(no())
    assert request["v"] == 1 and request["kind"] == "network"
    assert request["host"] == "localhost" and request["port"] == web.port
    assert isinstance(request["id"], str) and request["deadline_ms"] == 120000
    assert {"argv0", "pid", "text"} <= set(request["command"])
    assert all({"label", "rule", "scope"} <= set(s) and s["scope"] in ("once", "run", "project")
               for s in request["suggest"])


def test_a_no_refuses_it(ask, web):
    done, requests = ask(no())
    assert done.ok() == "403\n" and len(requests) == 1 and web.seen == []


def test_the_reason_of_a_no_reaches_the_command(ask):
    script = ("curl -s -v --noproxy '' -o /dev/null --proxytunnel http://localhost:1/ 2>&1 | grep '^< HTTP'")
    done, _ = ask(no("not on a Friday"), script)
    assert "403 not on a Friday" in done.out


@pytest.mark.parametrize("answer", [
    "not json", "{}", "[]", "null", "",
    lambda r: {"id": r["id"], "allow": "true", "scope": "run"},
    lambda r: {"id": r["id"], "allow": 1, "scope": "run"},
    lambda r: {"id": r["id"], "scope": "run"},
    lambda r: {"id": r["id"], "allow": True, "scope": "for ever"},
    lambda r: f'{{"id": "{r["id"]}", "allow": false, "allow": true, "scope": "run"}}',
], ids=["no JSON", "empty object", "list", "null", "empty line", "true as text", "one", "no verdict",
        "unknown scope", "two verdicts"])
def test_only_a_clear_yes_allows(ask, web, answer):
    """A malformed answer is a no; an answer that names no question leaves it open: end the channel then."""
    asked = []

    def decide(request):
        asked.append(request)
        return answer(request) if callable(answer) else answer

    done, _ = ask(lambda r: decide(r) if not asked else None)
    assert done.ok() == "403\n" and web.seen == []


def test_a_closed_channel_is_a_no(ask, web):
    done, _ = ask(lambda request: None)
    assert done.ok() == "403\n" and web.seen == []


def test_an_unknown_id_is_no_answer(ask, web):
    sent = []

    def decide(request):
        if sent:
            return None
        sent.append(1)
        return json.dumps({"id": "other", "allow": True, "scope": "run"}) + "\n" + \
            json.dumps({"id": request["id"], "allow": False, "scope": "run"})

    done, _ = ask(decide)
    assert done.ok() == "403\n" and web.seen == []


def test_run_is_remembered(ask, web):
    script = "; ".join([STATUS.format(port=web.port)] * 3)
    done, requests = ask(yes("run"), script)
    assert done.ok().split() == ["200"] * 3 and len(requests) == 1


def test_once_is_asked_again(ask, web):
    script = "; ".join([STATUS.format(port=web.port)] * 2)
    done, requests = ask(yes("once"), script)
    assert done.ok().split() == ["200"] * 2 and len(requests) == 2


def test_a_denial_is_kept_for_a_while(ask, web):
    script = "; ".join([STATUS.format(port=web.port)] * 5)
    done, requests = ask(no(), script)
    assert done.ok().split() == ["403"] * 5 and len(requests) == 1


def test_equal_open_questions_share_one_answer(ask, web):
    release = threading.Event()

    def decide(request):
        release.wait(1)
        return {"id": request["id"], "allow": True, "scope": "run"}

    one = STATUS.format(port=web.port)
    done, requests = ask(decide, f"for i in 1 2 3 4 5; do {one} & done; wait")
    assert done.ok().split() == ["200"] * 5 and len(requests) == 1


def test_a_flood_is_bounded(ask):
    """At most 60 questions a minute; the rest is denied without a question."""
    script = "for i in $(seq 1 100); do curl -s -o /dev/null --noproxy '' http://h$i.example/ & done; wait"
    _, requests = ask(no(), script)
    assert 1 <= len(requests) <= 60


@pytest.mark.parametrize("settings", [dict(denied=["localhost"]), dict(network={"strictAllowlist": True})],
                         ids=["denied", "strict"])
def test_never_asked(ask, web, settings):
    done, requests = ask(yes(), **settings)
    assert done.ok() == "403\n" and requests == [] and web.seen == []


def test_the_text_of_the_command_is_clean(ask):
    script = "curl -s -o /dev/null --noproxy '' http://localhost:1/ --cacert \"$(printf 'a\\033[31m\\342\\200\\256b\\nc')\""
    _, (request, *_) = ask(no(), script)
    text = request["command"]["text"]
    assert not [c for c in text if ord(c) < 32 or c in "\u202e\u200b\u2066"]


def test_the_command_does_not_hold_the_channel(ask):
    done, _ = ask(no(), "ls /proc/self/fd")
    assert set(done.ok().split()) <= {"0", "1", "2", "3"}


def test_a_socket_may_ask(box, web):
    path = str(box.etc / "ask.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o777)
    listener.listen(1)
    listener.settimeout(30)
    askers = []
    thread = threading.Thread(target=lambda: askers.append(Asker(listener.accept()[0], yes())), daemon=True)
    thread.start()
    box.settings(allowed=[])
    done = box.sh(STATUS.format(port=web.port), options=[f"--ask={path}"])
    listener.close()
    assert done.ok() == "200\n" and askers[0].requests[0]["host"] == "localhost"


def test_a_socket_that_is_not_there_is_said(box):
    box.settings(allowed=[])
    done = box.run("echo", "ran", options=[f"--ask={box.etc}/absent.sock"])
    assert done.code in (1, 2, 125) and done.out == "" and "absent.sock" in done.err


@pytest.mark.parametrize("options", [["--ask=none"], []])
def test_with_nobody_to_ask_it_is_a_no(box, web, options):
    box.settings(allowed=[])
    assert box.sh(STATUS.format(port=web.port), options=options).ok() == "403\n"


@pytest.fixture
def terminal(box):
    opened = []

    def start(script, options=()):
        made = Terminal(box, [*box.options(options), "--", "sh", "-c", script])
        opened.append(made)
        return made

    yield start
    for made in opened:
        made.close()


@pytest.mark.parametrize("answer, status", [("y\n", "200"), ("n\n", "403"), ("\n", "403")])
def test_the_caller_s_terminal_may_be_asked(box, web, terminal, answer, status):
    box.settings(allowed=[])
    shown = terminal(STATUS.format(port=web.port), options=["--ask=tty"])
    shown.expect("localhost")
    shown.expect("[n] no")  # keys typed before they are offered are no answer
    shown.type(answer)
    shown.expect(status)
    assert shown.wait() == 0


def test_what_the_command_prints_cannot_answer(box, web, terminal):
    """The command writes "y" to its own terminal's output and input queue; the question stays open."""
    box.settings(allowed=[])
    shown = terminal(f"(sleep 0.3; echo y; echo y >/dev/tty) & {STATUS.format(port=web.port)}", options=["--ask=tty"])
    shown.expect("[n] no")
    shown.type("n\n")
    shown.expect("403")
    assert shown.wait() == 0 and web.seen == []
