"""kill -9 at any moment, restarts, a full disk, a lost model: nothing acknowledged is lost, nothing runs twice."""

import random
import threading

import pytest

from scene import bash, idle, message, of_type, result, says, texts


def test_what_was_acknowledged_is_there_after_a_kill(own):
    scene = own()
    agent = scene.agent()
    sessions = [scene.session(agent, title=f"t{n}") for n in range(5)]
    scene.server.kill()
    scene.server.restart()
    assert [one["id"] for one in scene.api.all("/v1/sessions")] == [one["id"] for one in sessions[::-1]]
    assert scene.api.good("GET", f"/v1/agents/{agent['id']}") == agent


def test_cursors_and_keys_outlive_a_restart(own):
    scene = own()
    agent = scene.agent()
    made = [scene.session(agent)["id"] for _ in range(4)]
    first = scene.api.good("GET", "/v1/sessions", query={"limit": 2})
    scene.server.stop()
    scene.server.restart()
    second = scene.api.good("GET", "/v1/sessions", query={"limit": 2, "page": first["next_page"]})
    assert [one["id"] for one in first["data"] + second["data"]] == made[::-1]
    assert scene.worker_api.get(f"/v1/environments/{scene.server.environment_id}/work/poll").status == 200


def test_a_turn_that_was_cut_off_goes_on_after_a_kill(own):
    scene = own()
    gate = threading.Semaphore(0)
    agent = scene.agent([says("never", gate=gate), says("after the crash")])
    session = scene.session(agent, "hi")
    scene.wait(session, "span.model_request_start")
    scene.server.kill()
    scene.server.restart()
    events = scene.wait(session, idle("end_turn"))
    assert texts(events) == ["after the crash"] and texts(events, "user.message") == ["hi"]
    kinds = [event["type"] for event in events]
    assert kinds.count("span.model_request_start") == kinds.count("span.model_request_end") == 2


def test_a_graceful_stop_parks_a_turn_and_the_next_start_goes_on(own):
    scene = own()
    agent = scene.agent([says("never", gate=threading.Semaphore(0)), says("after the stop")])
    session = scene.session(agent, "hi")
    with scene.api.stream(session["id"]) as stream:
        scene.wait(session, "span.model_request_start")
        scene.server.stop()
        stream.rest()
    scene.server.restart()
    assert texts(scene.wait(session, idle("end_turn"))) == ["after the stop"]


def test_a_blocked_session_and_its_item_outlive_a_kill(own):
    scene = own()
    blocked = scene.blocked()
    work, token = blocked.claim()
    last = blocked.beat(token, work).json["last_heartbeat"]
    scene.server.kill()
    scene.server.restart()
    assert blocked.beat(token, work, last).status == 200
    scene.send(blocked.session, result(blocked.call, "ok"), api=token)
    events = scene.wait(blocked.session, idle("end_turn"))
    assert len(of_type(events, "agent.tool_use")) == 1 and len(scene.asked(blocked.agent)) == 2


def test_queued_messages_outlive_a_kill(own):
    scene = own()
    blocked = scene.blocked(turns=[says("one"), says("two")])
    (queued,) = scene.send(blocked.session, message("later"))
    scene.server.kill()
    scene.server.restart()
    assert scene.events(blocked.session)[-1] == queued
    _, token = blocked.claim()
    scene.send(blocked.session, result(blocked.call, "ok"), api=token)
    events = scene.wait(blocked.session, lambda event: texts([event]) == ["two"])
    assert texts(events, "user.message") == ["go", "later"]


def test_a_log_never_changes_over_kills_at_random_moments(own):
    """One client goes on sending while the server is killed again and again; what it was told stays true."""
    scene = own()
    chance = random.Random(20261125)
    agent = scene.agent(lambda request: says(f"answer {len(request.body['messages'])}"))
    session = scene.session(agent)
    acknowledged, known = [], []
    for round_ in range(12):
        killer = threading.Timer(chance.uniform(0.01, 0.3), scene.server.kill)
        killer.start()
        for n in range(200):
            text = f"round {round_} message {n}"
            try:
                scene.send(session, message(text))
                acknowledged.append(text)
            except (OSError, AssertionError, ValueError):
                break
            except Exception as error:  # http.client has many names for a connection that broke
                assert type(error).__module__ == "http.client", error
                break
        killer.join()
        scene.server.restart()
        history = scene.events(session)
        settled = [event for event in history if event["processed_at"] is not None]
        assert settled[:len(known)] == known, "what was in the log stays as it was"
        known = settled
        told = texts(history, "user.message")
        missing = [text for text in acknowledged if text not in told]
        assert not missing, missing
        assert len(told) == len(set(told)), "no message twice"
    scene.wait(session, lambda event: texts([event], "user.message") == acknowledged[-1:])


def test_a_message_is_in_every_list_from_its_answer_on(own):
    """Also while it goes from those that wait into the log."""
    scene = own()
    agent = scene.agent(lambda request: says(f"answer {len(request.body['messages'])}"))
    session = scene.session(agent)
    for n in range(60):
        scene.send(session, message(f"message {n}"))
        for _ in range(3):
            told = texts(scene.events(session), "user.message")
            assert told == [f"message {i}" for i in range(n + 1)]


def test_a_model_service_that_is_down_is_waited_for(own):
    scene = own()
    agent = scene.agent([says("back again")])
    port = scene.provider.port
    scene.provider.__exit__()
    session = scene.session(agent, "hi")
    events = scene.wait(session, "session.status_rescheduled")
    assert of_type(events, "session.error")[0]["error"]["type"] == "model_request_failed_error"
    scene.provider.start_again(port)
    assert texts(scene.wait(session, idle("end_turn"), events)) == ["back again"]


def test_a_second_server_on_the_same_state_is_refused(own, postern, tmp_path):
    import server
    scene = own()
    other = server.Server(postern, tmp_path / "other")
    other.state = scene.server.state
    with pytest.raises(AssertionError) as caught:
        other.start()
    assert "ended with" in str(caught.value)
    other.process = None
    assert scene.api.get("/v1/agents").status == 200


def test_calls_of_a_killed_server_are_not_run_twice_by_our_rule(own):
    """A call that its worker marked as started is closed as unknown when the lease runs out, and not handed out again."""
    scene = own(config={"work": {"lease_seconds": 10}})
    blocked = scene.blocked("make-payment", turns=[says("I will ask")])
    work, token = blocked.claim()
    blocked.beat(token, work)
    token.good("POST", blocked.work_path(work, "calls"), {"calls": [
        blocked.mark()]})
    scene.server.kill()
    scene.server.restart()
    events = scene.wait(blocked.session, idle("end_turn"), blocked.events)
    closing = of_type(events, "user.tool_result")[0]
    assert closing["is_error"] and "unknown" in closing["content"][0]["text"]


def test_many_sessions_go_on_after_a_kill(own):
    scene = own()
    agent = scene.agent(lambda request: says("yes"))
    waiting = [scene.session(scene.agent([bash("x"), says("done")]), "go") for _ in range(10)]
    for one in waiting:
        scene.wait(one, idle("requires_action"))
    running = [scene.session(agent, "hi") for _ in range(20)]
    scene.server.kill()
    scene.server.restart()
    for one in running:
        assert texts(scene.wait(one, idle("end_turn"))) == ["yes"]
    for one in waiting:
        assert scene.api.good("GET", f"/v1/sessions/{one['id']}")["status"] == "idle"
