"""Turns and their events (contract 3): order, permissions, confirmations, interrupts, queued inputs, deltas."""

import threading

import pytest

from scene import ASK, bash, calls, idle, message, of_type, result, says, texts

TURN = ["session.status_running", "session.thread_status_running", "user.message", "span.model_request_start",
        "agent.message", "span.model_request_end", "session.thread_status_idle", "session.usage", "session.status_idle"]


def kinds(events):
    return [event["type"] for event in events]


def confirm(call, verdict="allow", **more):
    return {"type": "user.tool_confirmation", "tool_use_id": call, "result": verdict, **more}


def allowed(events):
    return [event["id"] for event in of_type(events, "agent.tool_use")]


def test_a_turn_of_words_has_its_events_in_order(scene):
    agent = scene.agent([says("hello", usage={"input_tokens": 11, "output_tokens": 3})])
    session = scene.session(agent, "hi")
    events = scene.wait(session, idle("end_turn"))
    assert kinds(events) == TURN
    assert texts(events) == ["hello"] and texts(events, "user.message") == ["hi"]
    start, end = events[3], events[5]
    assert end["model_request_start_id"] == start["id"] and not end["is_error"]
    assert end["model_usage"]["input_tokens"] == 11 and end["model_usage"]["output_tokens"] == 3
    assert events[-1]["stop_details"] is None and events[-3]["stop_details"] is None
    assert events[-2]["usage"]["input_tokens"] == 11 and events[-2]["budget"] is None
    assert scene.api.good("GET", f"/v1/sessions/{session['id']}")["usage"]["output_tokens"] == 3


def test_times_ascend_and_ids_differ(scene):
    session = scene.session(scene.agent([says("hello")]), "hi")
    events = scene.wait(session, idle("end_turn"))
    times = [event["processed_at"] for event in events]
    assert times == sorted(times) and len({event["id"] for event in events}) == len(events)
    assert all(event["id"].startswith("sevt_") for event in events)


def test_thinking_is_said_but_not_shown_and_is_replayed_to_the_model(scene):
    turns = [{"content": [{"thinking": "hm", "signature": "c2ln"}, {"tool": "bash", "input": {"command": "true"}}]},
             says("done")]
    agent = scene.agent(turns)
    environment, key = scene.environment()
    session = scene.session(agent, "hi", environment)
    events = scene.wait(session, idle("requires_action"))
    assert set(of_type(events, "agent.thinking")[0]) == {"id", "type", "processed_at"}
    _, token = scene.claim(environment, key)
    scene.send(session, result(allowed(events)[0], "ok"), api=token)
    scene.wait(session, idle("end_turn"))
    assistant = next(one for one in scene.asked(agent)[1].body["messages"] if one["role"] == "assistant")
    assert assistant["content"][0] == {"type": "thinking", "thinking": "hm", "signature": "c2ln"}


def test_a_call_blocks_the_turn_and_its_result_goes_on(scene):
    blocked = scene.blocked("ls", turns=[says("I see")])
    tail = blocked.events[kinds(blocked.events).index("agent.tool_use"):]
    assert kinds(tail) == ["agent.tool_use", "span.model_request_end", "session.thread_status_idle", "session.usage",
                           "session.status_idle"]
    call = tail[0]
    assert (call["name"], call["input"]) == ("bash", {"command": "ls"})
    assert call["evaluated_permission"] == "allow" and call["evaluation"] == {"type": "always_allow"}
    assert tail[-1]["stop_reason"] == {"type": "requires_action", "event_ids": [call["id"]]}
    _, token = blocked.claim()
    (stored,) = scene.send(blocked.session, result(call["id"], "a.txt"), api=token)
    assert stored["id"].startswith("sevt_") and stored["processed_at"] and stored["tool_use_id"] == call["id"]
    events = scene.wait(blocked.session, idle("end_turn"), blocked.events)
    assert kinds(events) == ["user.tool_result", "session.status_running", "session.thread_status_running",
                             *TURN[3:]]
    answer = scene.asked(blocked.agent)[1].body["messages"][-1]["content"][-1]
    assert answer["type"] == "tool_result" and "a.txt" in str(answer["content"])
    assert answer["tool_use_id"].startswith("toolu_")


def test_several_calls_block_until_the_last_is_resolved(scene):
    agent = scene.agent([calls(("bash", {"command": "a"}), ("read", {"file_path": "b"})), says("done")])
    environment, key = scene.environment()
    session = scene.session(agent, "go", environment)
    first = scene.wait(session, idle("requires_action"))
    ids = allowed(first)
    assert first[-1]["stop_reason"]["event_ids"] == ids
    _, token = scene.claim(environment, key)
    scene.send(session, result(ids[1], "two"), api=token)
    second = scene.wait(session, idle("requires_action"), first)
    assert second[-1]["stop_reason"]["event_ids"] == ids[:1] and "session.status_running" not in kinds(second)
    scene.send(session, result(ids[0], "one"), api=token)
    scene.wait(session, idle("end_turn"), first + second)
    answers = [block["tool_use_id"] for block in scene.asked(agent)[1].body["messages"][-1]["content"]]
    made = [block["id"] for block in scene.asked(agent)[1].body["messages"][-2]["content"] if block["type"] == "tool_use"]
    assert answers == made and len(scene.asked(agent)) == 2


def test_a_result_posted_twice_counts_once(scene):
    blocked = scene.blocked()
    _, token = blocked.claim()
    (first,) = scene.send(blocked.session, result(blocked.call, "one"), api=token)
    (second,) = scene.send(blocked.session, result(blocked.call, "two"), api=token)
    assert second == first
    events = scene.wait(blocked.session, idle("end_turn"))
    assert len(of_type(events, "user.tool_result")) == 1 and len(scene.asked(blocked.agent)) == 2


@pytest.mark.parametrize("event", [
    result("sevt_" + "0" * 24, "x"),
    {"type": "user.custom_tool_result", "custom_tool_use_id": "sevt_" + "0" * 24, "content": []}])
def test_a_result_for_nothing_is_refused(scene, event):
    blocked = scene.blocked()
    _, token = blocked.claim()
    answer = token.post(f"/v1/sessions/{blocked.session['id']}/events", {"events": [event]})
    assert answer.status == 400, answer


def test_an_asked_call_waits_for_a_person_and_then_for_the_worker(scene):
    blocked = scene.blocked(tools=ASK)
    call = of_type(blocked.events, "agent.tool_use")[0]
    assert call["evaluated_permission"] == "ask" and call["evaluation"] == {"type": "always_ask"}
    scene.send(blocked.session, confirm(call["id"]))
    events = scene.wait(blocked.session, idle("requires_action"), blocked.events)
    assert events[0]["type"] == "user.tool_confirmation" and "session.status_running" in kinds(events)
    assert events[-1]["stop_reason"]["event_ids"] == [call["id"]]
    _, token = blocked.claim()
    scene.send(blocked.session, result(call["id"], "ran"), api=token)
    scene.wait(blocked.session, idle("end_turn"), blocked.events + events)


def test_a_denied_call_is_answered_by_the_server_with_the_reason(scene):
    blocked = scene.blocked(tools=ASK)
    scene.send(blocked.session, confirm(blocked.call, "deny", deny_message="not on a Friday"))
    events = scene.wait(blocked.session, idle("end_turn"), blocked.events)
    (refusal,) = of_type(events, "agent.tool_result")
    assert refusal["is_error"] and refusal["tool_use_id"] == blocked.call
    assert "not on a Friday" in refusal["content"][0]["text"]
    assert "not on a Friday" in str(scene.asked(blocked.agent)[1].body["messages"][-1])


def test_a_verdict_is_final(scene):
    blocked = scene.blocked(tools=ASK)
    (first,) = scene.send(blocked.session, confirm(blocked.call))
    (second,) = scene.send(blocked.session, confirm(blocked.call))
    assert second["id"] == first["id"]
    path = f"/v1/sessions/{blocked.session['id']}/events"
    assert scene.api.post(path, {"events": [confirm(blocked.call, "deny")]}).status == 400


def test_confirming_what_needs_no_person_is_harmless_but_denying_it_is_refused(scene):
    blocked = scene.blocked()
    path = f"/v1/sessions/{blocked.session['id']}/events"
    assert scene.api.post(path, {"events": [confirm(blocked.call)]}).status == 200
    assert scene.api.post(path, {"events": [confirm(blocked.call, "deny")]}).status == 400


def test_a_deny_message_without_a_denial_is_refused(scene):
    blocked = scene.blocked(tools=ASK)
    path = f"/v1/sessions/{blocked.session['id']}/events"
    assert scene.api.post(path, {"events": [confirm(blocked.call, "allow", deny_message="x")]}).status == 400


@pytest.mark.parametrize("name", ["bash", "no_such_tool"])
def test_a_disabled_or_unknown_tool_is_refused_and_the_model_goes_on(scene, name):
    tools = [{"type": "agent_toolset_20260401", "configs": [{"name": "bash", "enabled": False}]}]
    agent = scene.agent([calls((name, {"command": "true"})), says("sorry")], tools)
    session = scene.session(agent, "go")
    events = scene.wait(session, idle("end_turn"))
    (call,) = of_type(events, "agent.tool_use")
    assert call["evaluated_permission"] == "deny" and "evaluation" not in call
    (refusal,) = of_type(events, "agent.tool_result")
    assert refusal["is_error"] and refusal["tool_use_id"] == call["id"]
    offered = [tool["name"] for tool in scene.asked(agent)[0].body["tools"]]
    assert "bash" not in offered and "read" in offered


def test_a_custom_tool_is_answered_by_the_application(scene):
    custom = {"type": "custom", "name": "lookup", "description": "Looks up.",
              "input_schema": {"type": "object", "properties": {"q": {"type": "string"}}}}
    agent = scene.agent([calls(("lookup", {"q": "x"})), says("found")], [custom])
    session = scene.session(agent, "go")
    events = scene.wait(session, idle("requires_action"))
    (call,) = of_type(events, "agent.custom_tool_use")
    assert call["name"] == "lookup" and call["input"] == {"q": "x"} and "evaluated_permission" not in call
    scene.send(session, {"type": "user.custom_tool_result", "custom_tool_use_id": call["id"],
                         "content": [{"type": "text", "text": "42"}]})
    scene.wait(session, idle("end_turn"), events)
    assert "42" in str(scene.asked(agent)[1].body["messages"][-1])


def test_a_message_while_blocked_waits_for_the_end_of_the_turn(scene):
    blocked = scene.blocked(turns=[says("one"), says("two")])
    (queued,) = scene.send(blocked.session, message("later"))
    assert queued["processed_at"] is None and queued["id"].startswith("sevt_")
    assert scene.events(blocked.session)[-1] == queued
    _, token = blocked.claim()
    scene.send(blocked.session, result(blocked.call, "ok"), api=token)
    events = scene.wait(blocked.session, lambda event: texts([event]) == ["two"], blocked.events)
    stored = next(event for event in events if event["id"] == queued["id"])
    assert stored["processed_at"] and kinds(events).index("agent.message") < events.index(stored)


def test_a_message_while_running_waits_too(scene):
    gate = threading.Semaphore(0)
    agent = scene.agent([says("one", gate=gate), says("two")])
    session = scene.session(agent, "hi")
    scene.wait(session, "span.model_request_start")
    (queued,) = scene.send(session, message("more"))
    assert queued["processed_at"] is None
    gate.release(1000)
    events = scene.wait(session, lambda event: texts([event]) == ["two"])
    assert texts(events, "user.message") == ["hi", "more"] and texts(events) == ["one", "two"]


def test_an_interrupt_stops_a_model_request(scene):
    agent = scene.agent([says("never", gate=threading.Semaphore(0)), says("again")])
    session = scene.session(agent, "hi")
    first = scene.wait(session, "span.model_request_start")
    scene.send(session, {"type": "user.interrupt"})
    events = scene.wait(session, idle("end_turn"), first)
    assert "user.interrupt" in kinds(events) and "span.model_request_end" in kinds(events)
    assert "agent.message" not in kinds(events) and kinds(events)[-3:] == TURN[-3:]
    scene.send(session, message("go on"))
    assert texts(scene.wait(session, idle("end_turn"), first + events)) == ["again"]


def test_an_interrupt_closes_a_workers_call_with_a_result_of_its_kind(scene):
    blocked = scene.blocked(turns=[says("after")])
    _, token = blocked.claim()
    scene.send(blocked.session, {"type": "user.interrupt"})
    events = scene.wait(blocked.session, idle("end_turn"), blocked.events)
    (closing,) = of_type(events, "user.tool_result")
    assert closing["tool_use_id"] == blocked.call and closing["is_error"]
    (late,) = scene.send(blocked.session, result(blocked.call, "too late"), api=token)
    assert late["id"] == closing["id"] and len(scene.asked(blocked.agent)) == 1
    scene.send(blocked.session, message("go on"))
    scene.wait(blocked.session, idle("end_turn"), blocked.events + events)
    assert "too late" not in str(scene.asked(blocked.agent)[1].body)


def test_an_interrupt_of_an_idle_session_does_nothing(scene):
    session = scene.session(scene.agent([says("hello")]), "hi")
    first = scene.wait(session, idle("end_turn"))
    scene.send(session, {"type": "user.interrupt"})
    assert [kind for kind in kinds(scene.events(session))[len(first):] if kind != "user.interrupt"] == []


def test_a_refusal_of_the_model_says_so(scene):
    agent = scene.agent([says("I will not", stop="refusal")])
    session = scene.session(agent, "hi")
    last = scene.wait(session, idle())[-1]
    assert last["stop_reason"] == {"type": "refusal"} and last["stop_details"]["type"] == "refusal"
    assert {"category", "explanation"} <= set(last["stop_details"])


INVALID = {
    "no events": {"events": []}, "events no list": {"events": {}}, "no member": {},
    "101 events": {"events": [message("x")] * 101},
    "unknown type": {"events": [{"type": "user.wish"}]},
    "redacted": {"events": [{"type": "user.message", "content": [{"type": "redacted"}]}]},
    "empty content": {"events": [{"type": "user.message", "content": []}]},
    "blank text": {"events": [{"type": "user.message", "content": [{"type": "text", "text": " \n"}]}]},
    "text no string": {"events": [{"type": "user.message", "content": [{"type": "text", "text": 5}]}]},
    "unknown block": {"events": [{"type": "user.message", "content": [{"type": "video"}]}]},
    "image type": {"events": [{"type": "user.message", "content": [
        {"type": "image", "source": {"type": "base64", "media_type": "image/tiff", "data": "AA=="}}]}]},
    "confirmation of nothing": {"events": [confirm("sevt_" + "0" * 24)]},
    "verdict": {"events": [{"type": "user.tool_confirmation", "tool_use_id": "sevt_x", "result": "maybe"}]},
    "two system messages": {"events": [message("x"), *[
        {"type": "system.message", "content": [{"type": "text", "text": "s"}]}] * 2]},
}


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_request_is_refused_whole(scene, name):
    session = scene.session(scene.agent())
    body = INVALID[name]
    if isinstance(body.get("events"), list) and len(body["events"]) == 1:
        body = {"events": [message("fine"), *body["events"]]}
    answer = scene.api.post(f"/v1/sessions/{session['id']}/events", body)
    assert answer.status == 400 and answer.error[0] == "invalid_request_error", answer
    if body.get("events") and len(body["events"]) == 2:
        assert "1" in answer.error[1]
    assert scene.events(session) == []


def test_events_can_be_listed_by_type_time_order_and_page(scene):
    session = scene.session(scene.agent([says("hello")]), "hi")
    everything = scene.wait(session, idle("end_turn"))
    assert scene.events(session, order="desc") == everything[::-1]
    assert scene.events(session, **{"types[]": ["agent.message", "user.message"]}) == \
        of_type(everything, "agent.message", "user.message")
    middle = everything[4]["processed_at"]
    assert scene.events(session, **{"created_at[gt]": middle}) == \
        [event for event in everything if event["processed_at"] > middle]
    assert scene.events(session, **{"created_at[lte]": middle}) == \
        [event for event in everything if event["processed_at"] <= middle]
    assert scene.api.all(f"/v1/sessions/{session['id']}/events", {"limit": 2}) == everything


def test_a_provider_that_fails_for_a_while_is_asked_again(scene):
    agent = scene.agent([{"status": 529}, says("at last")])
    session = scene.session(agent, "hi")
    events = scene.wait(session, idle("end_turn"))
    (error,) = of_type(events, "session.error")
    assert error["error"]["type"] == "model_overloaded_error"
    assert error["error"]["retry_status"] == {"type": "retrying"}
    assert "session.status_rescheduled" in kinds(events) and texts(events) == ["at last"]
    ends = of_type(events, "span.model_request_end")
    assert [bool(end["is_error"]) for end in ends] == [True, False]


def test_deltas_add_up_to_the_message_in_the_clients_own_accumulator(scene, sdk):
    gate = threading.Semaphore(0)
    agent = scene.agent([{"content": [{"thinking": "hm"}, {"text": "one, two, three"}], "chunks": 5, "gate": gate}])
    session = scene.session(agent)
    stream = sdk.stream.beta.sessions.events.stream(
        session["id"], {"event_deltas": ["agent.message", "agent.thinking"]})
    scene.send(session, message("hi"))
    gate.release(1000)
    events = stream.until("session.status_idle")
    starts = of_type(events, "event_start")
    assert sorted(start["event"]["type"] for start in starts) == ["agent.message", "agent.thinking"]
    final = of_type(events, "agent.message")[0]
    deltas = [event for event in of_type(events, "event_delta") if event["event_id"] == final["id"]]
    assert len(deltas) > 1
    start = next(start for start in starts if start["event"]["id"] == final["id"])
    assert sdk.accumulate([start, *deltas])["content"] == final["content"]
    order = [event.get("event_id") or event.get("event", {}).get("id") or event.get("id") for event in events]
    mine = [n for n, event in enumerate(order) if event == final["id"]]
    assert events[mine[0]] == start and events[mine[-1]] == final
    assert not of_type(scene.events(session), "event_start", "event_delta")
    stream.close()


def test_deltas_come_only_to_those_who_ask(scene):
    session = scene.session(scene.agent([says("hello")]))
    with scene.api.stream(session["id"]) as stream:
        scene.send(session, message("hi"))
        assert kinds(stream.until(idle())) == TURN


@pytest.mark.parametrize("query", [{"event_deltas[]": "user.message"}, {"event_deltas[]": ["agent.message"] * 101}])
def test_other_deltas_are_refused(scene, query):
    session = scene.session(scene.agent())
    assert scene.api.get(f"/v1/sessions/{session['id']}/events/stream", query).status == 400
