"""Model providers on both wires, well and badly behaved (contract 8, 3.11)."""

import threading

import pytest

from scene import bash, calls, idle, message, of_type, result, says, texts

WIRES = ["messages", "chat"]


@pytest.fixture(scope="module")
def chat(postern, tmp_path_factory):
    """The same scene with its model behind the Chat wire."""
    import scene as scene_module
    made = scene_module.Scene(postern, tmp_path_factory.mktemp("chat"), wire="chat")
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture(params=WIRES)
def on(request):
    return request.getfixturevalue("scene" if request.param == "messages" else "chat")


def answered(scene, turns, reason="end_turn", **more):
    """The events of a session whose model says these turns, up to its idle."""
    agent = scene.agent(turns)
    session = scene.session(agent, "grüße, 世界", **more)
    return agent, session, scene.wait(session, idle(reason))


def test_the_request_is_what_the_provider_expects(on):
    agent, _, _ = answered(on, [says("hello")])
    (asked,) = on.asked(agent)
    assert asked.key == "provider-key-that-nobody-sees" and asked.body["stream"] is True
    assert asked.body["model"] == "stand-in" and "grüße, 世界" in str(asked.body["messages"])
    if asked.path == "/v1/messages":
        assert asked.headers["anthropic-version"] and asked.body["max_tokens"] > 0
        names = [tool["name"] for tool in asked.body["tools"]]
    else:
        assert asked.body["messages"][0]["role"] == "system" and asked.body["stream_options"] == {"include_usage": True}
        names = [tool["function"]["name"] for tool in asked.body["tools"]]
    assert names[:6] == ["bash", "read", "write", "edit", "glob", "grep"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_it_does_not_matter_where_the_stream_is_cut(on, size):
    _, _, events = answered(on, [says("grüße, 世界 🌍, done", bytes=size)])
    assert texts(events) == ["grüße, 世界 🌍, done"]


@pytest.mark.parametrize("chunks", [1, 5, 1000])
def test_a_call_may_come_in_many_parts(on, chunks):
    value = {"command": "printf '%s' \"ä → 🌍\"", "timeout_ms": 1000}
    _, _, events = answered(on, [calls(("bash", value), ("read", {"file_path": "x"}), chunks=chunks)], "requires_action")
    uses = of_type(events, "agent.tool_use")
    assert [(use["name"], use["input"]) for use in uses] == [("bash", value), ("read", {"file_path": "x"})]


def test_the_answer_to_a_call_goes_back_with_the_models_own_id(on):
    agent = on.agent([{"content": [{"text": "let me look"}, {"tool": "bash", "input": {"command": "ls"}, "id": "its-own"}]},
                      says("done")])
    environment, key = on.environment()
    session = on.session(agent, "go", environment)
    first = on.wait(session, idle("requires_action"))
    _, token = on.claim(environment, key)
    on.send(session, result(of_type(first, "agent.tool_use")[0]["id"], "a.txt"), api=token)
    on.wait(session, idle("end_turn"), first)
    messages = on.asked(agent)[1].body["messages"]
    if on.asked(agent)[1].path == "/v1/messages":
        assert messages[-1]["content"][0]["tool_use_id"] == messages[-2]["content"][1]["id"] == "its-own"
    else:
        assert messages[-1]["tool_call_id"] == messages[-2]["tool_calls"][0]["id"] == "its-own"
        assert messages[-1]["role"] == "tool" and "a.txt" in str(messages[-1]["content"])


def test_usage_is_counted(on):
    _, session, events = answered(on, [says("x", usage={"input_tokens": 120, "output_tokens": 7})])
    assert of_type(events, "span.model_request_end")[0]["model_usage"]["output_tokens"] == 7
    usage = on.api.good("GET", f"/v1/sessions/{session['id']}")["usage"]
    assert usage["input_tokens"] == 120 and usage["output_tokens"] == 7


RETRIED = {
    "429": ({"status": 429, "headers": {"retry-after": "1"}}, "model_rate_limited_error"),
    "500": ({"status": 500}, "model_request_failed_error"),
    "503": ({"status": 503}, "model_overloaded_error"),
    "529": ({"status": 529}, "model_overloaded_error"),
    "no JSON with a 500": ({"status": 500, "body": b"<html>bad gateway"}, "model_request_failed_error"),
    "cut in the middle": (says("some words that do not come", cut_at=400), "model_request_failed_error"),
    "cut without chunks": (says("some words", cut_at=400, framing="close"), "model_request_failed_error"),
    "empty stream": ({"raw": b""}, "model_request_failed_error"),
    "garbage": ({"raw": b"\xff\xfe\x00garbage\n\n" * 20}, "model_request_failed_error"),
    "broken JSON": ({"raw": b"event: message_start\ndata: {\"type\"\n\n"}, "model_request_failed_error"),
    "an error event": ({"content": [{"text": "half"}], "error": {"type": "overloaded_error", "message": "m"}},
                       "model_overloaded_error"),
    "arguments cut short": (calls(("bash", {}), ) | {"content": [{"tool": "bash", "arguments": '{"command": "l'}]},
                            "model_request_failed_error"),
}


@pytest.mark.parametrize("name", RETRIED)
def test_a_passing_trouble_is_retried_and_nothing_of_it_stays(on, name):
    turn, error = RETRIED[name]
    agent, session, events = answered(on, [dict(turn), says("well")])
    (told,) = of_type(events, "session.error")
    if not ("chat" in on.wire and name == "an error event"):
        assert told["error"]["type"] == error
    assert told["error"]["retry_status"] == {"type": "retrying"} and told["error"]["message"]
    assert texts(events) == ["well"] and len(on.asked(agent)) == 2
    kinds = [event["type"] for event in events]
    assert kinds.count("span.model_request_start") == kinds.count("span.model_request_end") == 2
    assert kinds.index("session.error") < kinds.index("session.status_rescheduled") < kinds.index("agent.message")
    assert "agent.tool_use" not in kinds


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_lasting_trouble_is_told_and_not_retried(on, status):
    agent = on.agent([{"status": status, "body": {"error": {"type": "x", "message": "the provider says no"}}}])
    session = on.session(agent, "hi")
    events = on.wait(session, idle())
    (told,) = of_type(events, "session.error")
    assert told["error"]["type"] == "model_request_failed_error" and len(on.asked(agent)) == 1
    assert told["error"]["retry_status"]["type"] in ("exhausted", "terminal")
    assert events[-1]["stop_reason"] == {"type": "retries_exhausted"}


def test_a_session_goes_on_after_its_model_failed_for_good(on):
    agent = on.agent([{"status": 400}, says("now")])
    session = on.session(agent, "hi")
    first = on.wait(session, idle("retries_exhausted"))
    on.send(session, message("again"))
    assert texts(on.wait(session, idle("end_turn"), first)) == ["now"]


def test_an_answer_cut_by_its_length_ends_the_turn(on):
    _, _, events = answered(on, [says("cut of", stop="max_tokens")])
    assert texts(events) == ["cut of"]


def test_a_call_cut_by_the_length_never_runs(on):
    turn = {"content": [{"text": "a"}, {"tool": "bash", "arguments": '{"command": "rm -'}], "stop": "max_tokens"}
    agent = on.agent([turn, says("well")])
    events = on.wait(on.session(agent, "hi"), idle())
    assert not of_type(events, "agent.tool_use")


def test_a_refusal_ends_the_turn_as_one(on):
    agent = on.agent([says("no", stop="refusal")])
    last = on.wait(on.session(agent, "hi"), idle())[-1]
    assert last["stop_reason"] == {"type": "refusal"} and last["stop_details"]["type"] == "refusal"


def test_a_hanging_model_hangs_nobody_else_and_can_be_interrupted(on):
    released = threading.Event()
    agent = on.agent([says("late", before=released)])
    session = on.session(agent, "hi")
    first = on.wait(session, "span.model_request_start")
    _, _, events = answered(on, [says("quick")])
    assert texts(events) == ["quick"]
    on.send(session, {"type": "user.interrupt"})
    on.wait(session, idle("end_turn"), first)
    released.set()


def test_deltas_follow_the_provider_step_by_step(on):
    gate = threading.Semaphore(0)
    agent = on.agent([says("abcdef", chunks=3, gate=gate)])
    session = on.session(agent)
    with on.api.stream(session["id"], {"event_deltas[]": "agent.message"}) as stream:
        on.send(session, message("hi"))
        seen = ""
        while seen != "abcdef":
            gate.release()
            if seen == "":
                gate.release(4)
            event = stream.until(lambda event: event["type"] == "event_delta")[-1]
            seen += event["delta"]["content"]["text"]
        gate.release(100)
        assert texts(stream.until(idle("end_turn"))) == ["abcdef"]


def test_a_huge_answer_arrives_whole(on):
    text = "ü" * 500_000
    _, _, events = answered(on, [says(text, chunks=500)])
    assert texts(events) == [text]


def test_an_answer_without_content_ends_the_turn(on):
    _, _, events = answered(on, [{"content": []}])
    assert not of_type(events, "agent.message")


def test_the_history_only_grows_so_that_caches_hold(scene):
    agent = scene.agent([bash("one"), bash("two"), says("done")])
    environment, key = scene.environment()
    session = scene.session(agent, "go", environment)
    seen = scene.wait(session, idle("requires_action"))
    _, token = scene.claim(environment, key)
    for _ in range(2):
        scene.send(session, result(of_type(seen, "agent.tool_use")[-1]["id"], "ok"), api=token)
        seen += scene.wait(session, idle(), seen)
        seen += [] if seen[-1]["stop_reason"]["type"] == "requires_action" or "end_turn" in str(seen[-1]) else []
    first, second, third = (bare(asked.body) for asked in scene.asked(agent))
    assert second["messages"][:len(first["messages"])] == first["messages"]
    assert third["messages"][:len(second["messages"])] == second["messages"]
    assert first["tools"] == second["tools"] == third["tools"] and first["system"] == third["system"]


def bare(value):
    """Without the marks of what to cache, which move on."""
    if isinstance(value, dict):
        return {key: bare(one) for key, one in value.items() if key != "cache_control"}
    return [bare(one) for one in value] if isinstance(value, list) else value
