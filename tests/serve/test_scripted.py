"""A model that is a file (docs/scripted-model.md), on a whole server."""

import json
import subprocess

import pytest

from scene import TOOLS, idle, message, of_type, result, texts
from server import Server

PROGRAM = {"turns": [
    {"when": {"user": "fail"}, "fail": {"kind": "overloaded", "times": 1}, "say": "in the end"},
    {"when": {"result": {"tool": "bash", "is_error": True}}, "say": "That did not work: {{result}}"},
    {"think": "hm", "say": "I look.", "call": {"tool": "bash", "input": {"command": "echo {{user}}"}}},
    {"say": "There is {{result}}.", "usage": {"input_tokens": 1000, "output_tokens": 50}},
    {"when": {"round": 1}, "uses": "always", "say": "you said {{user}}"}]}


@pytest.fixture
def scripted(postern, tmp_path):
    """A server whose model is PROGRAM."""
    (tmp_path / "script.yaml").write_text(json.dumps(PROGRAM))
    server = Server(postern, tmp_path / "server", {
        "providers": [{"name": "file", "dialect": "scripted", "script": str(tmp_path / "script.yaml")}],
        "models": [{"id": "demo", "provider": "file", "context_window": 100_000}]})
    server.start()
    yield Play(server)
    server.close()


class Play:
    """What Scene has, without a provider."""

    def __init__(self, server):
        from scene import Scene
        self.server = server
        for name in ("send", "events", "wait", "claim"):
            setattr(self, name, getattr(Scene, name).__get__(self))

    @property
    def api(self):
        return self.server.api

    def session(self, text):
        agent = self.api.good("POST", "/v1/agents", {"name": "a", "model": "demo", "tools": TOOLS})
        return self.api.good("POST", "/v1/sessions", {"agent": agent["id"], "environment_id": self.server.environment_id,
                                                      "initial_events": [message(text)]})

    def answer(self, session, seen, text, is_error=False):
        _, token = self.claim(self.server.environment_id, self.server.environment_key)
        self.send(session, result(of_type(seen, "agent.tool_use")[-1]["id"], text, is_error), api=token)


def test_turns_come_in_order_with_what_was_said_before_filled_in(scripted):
    session = scripted.session("hello")
    seen = scripted.wait(session, idle("requires_action"))
    assert of_type(seen, "agent.tool_use")[0]["input"] == {"command": "echo hello"} and of_type(seen, "agent.thinking")
    scripted.answer(session, seen, "hello")
    seen += scripted.wait(session, idle("end_turn"), seen)
    assert texts(seen) == ["I look.", "There is hello."]
    usage = scripted.api.good("GET", f"/v1/sessions/{session['id']}")["usage"]
    assert usage["output_tokens"] >= 50


def test_a_result_chooses_the_turn(scripted):
    session = scripted.session("hello")
    seen = scripted.wait(session, idle("requires_action"))
    scripted.answer(session, seen, "no such thing", is_error=True)
    assert texts(scripted.wait(session, idle("end_turn"), seen)) == ["That did not work: no such thing"]


def test_a_restart_in_the_middle_changes_nothing(scripted):
    session = scripted.session("hello")
    seen = scripted.wait(session, idle("requires_action"))
    scripted.server.kill()
    scripted.server.restart()
    scripted.answer(session, seen, "hello")
    assert texts(scripted.wait(session, idle("end_turn"), seen)) == ["There is hello."]


def test_a_scripted_failure_is_retried_like_any(scripted):
    seen = scripted.wait(scripted.session("fail once"), idle("end_turn"))
    assert [event["error"]["type"] for event in of_type(seen, "session.error")] == ["model_overloaded_error"]
    assert texts(seen) == ["in the end"]


def test_every_span_says_that_it_was_a_script(scripted):
    seen = scripted.wait(scripted.session("fail once"), idle("end_turn"))
    spans = of_type(seen, "span.model_request_start", "span.model_request_end")
    assert len(spans) == 4 and all(span["model_dialect"] == "scripted" for span in spans)


def test_a_script_with_a_mistake_is_refused_at_the_start_by_line_and_key(postern, tmp_path):
    (tmp_path / "bad.yaml").write_text("turns:\n- say: x\n  when: {results: y}\n")
    (tmp_path / "postern.yaml").write_text(
        "providers:\n- {name: f, dialect: scripted, script: bad.yaml}\nmodels:\n- {id: d, provider: f, context_window: 100000}\n")
    done = subprocess.run([postern, "serve", "--config", tmp_path / "postern.yaml", "--state", tmp_path / "s", "--listen",
                           "127.0.0.1:0"], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and "bad.yaml" in done.stderr and "line 3" in done.stderr and "results" in done.stderr
