"""Streams byte by byte (contract 1.8, 3.12), and the lists beside them."""

import re
import threading

import pytest

from scene import idle, message, of_type, says


def test_head_and_first_bytes_come_before_any_event(scene):
    session = scene.session(scene.agent())
    with scene.api.stream(session["id"]) as stream:
        assert stream.status == 200 and stream.headers["content-type"].partition(";")[0] == "text/event-stream"
        assert stream.headers["cache-control"] == "no-cache" and stream.headers["x-accel-buffering"] == "no"
        assert "content-encoding" not in stream.headers and stream.headers["request-id"].startswith("req_")


def test_no_compression_even_when_asked_for(scene):
    session = scene.session(scene.agent())
    with scene.api.stream(session["id"], headers={"accept-encoding": "gzip, deflate"}) as stream:
        assert "content-encoding" not in stream.headers


def test_accept_is_not_negotiated(scene):
    session = scene.session(scene.agent())
    with scene.api.stream(session["id"], headers={"accept": "application/json"}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")


def test_each_message_names_its_type_and_id_and_ends_with_a_blank_line(scene):
    session = scene.session(scene.agent([says("héllo\nworld")]))
    with scene.api.stream(session["id"]) as stream:
        scene.send(session, message("hi"))
        while True:
            one = stream.next_message()
            assert len([line for line in one.lines if line.startswith("data:")]) == 1
            if one.event != "ping":
                assert one.event == one.data["type"] and one.id == one.data["id"]
            if one.event == "session.status_idle":
                break
    raw = stream.raw.decode()
    assert re.fullmatch(r"(?:(?::[^\n]*|event: [^\n]+|data: [^\n]+|id: [^\n]+|)\n)*", raw), raw


def test_a_stream_has_what_comes_and_nothing_of_before(scene):
    session = scene.session(scene.agent([says("one"), says("two")]), "first")
    before = scene.wait(session, idle("end_turn"))
    with scene.api.stream(session["id"]) as stream:
        scene.send(session, message("second"))
        events = stream.until(idle("end_turn"))
    assert before + events == scene.events(session)


def test_a_stream_can_be_taken_up_behind_an_event(scene):
    session = scene.session(scene.agent([says("one")]), "hi")
    everything = scene.wait(session, idle("end_turn"))
    with scene.api.stream(session["id"], headers={"last-event-id": everything[2]["id"]}) as stream:
        assert stream.until(idle("end_turn")) == everything[3:]


def test_every_reader_gets_the_same(scene):
    session = scene.session(scene.agent([says("hello")]))
    streams = [scene.api.stream(session["id"]) for _ in range(5)]
    scene.send(session, message("hi"))
    got = [stream.until(idle("end_turn")) for stream in streams]
    for stream in streams:
        stream.close()
    assert all(one == got[0] for one in got)


def test_the_list_while_the_stream_is_open_leaves_no_gap(scene):
    gate = threading.Semaphore(0)
    session = scene.session(scene.agent([says("hello", gate=gate)]), "hi")
    with scene.api.stream(session["id"]) as stream:
        listed = scene.events(session)
        gate.release(1000)
        streamed = stream.until(idle("end_turn"))
    known = {event["id"] for event in listed}
    assert listed + [event for event in streamed if event["id"] not in known] == scene.events(session)


def test_extensions_are_for_those_who_ask(scene):
    blocked = scene.blocked()
    work, token = blocked.claim()
    blocked.beat(token, work)
    path = f"/v1/sessions/{blocked.session['id']}/events"
    with scene.api.stream(blocked.session["id"], {"extensions": "true"}) as stream:
        token.good("POST", blocked.work_path(work, "calls"), {"calls": [blocked.mark()]})
        assert stream.next()["type"] == "postern.call_started"
    assert not of_type(scene.events(blocked.session), "postern.call_started")
    assert of_type(scene.api.all(path, {"extensions": "true"}), "postern.call_started")


def test_the_thread_has_a_stream_too(scene):
    session = scene.session(scene.agent([says("hello")]))
    (thread,) = scene.api.all(f"/v1/sessions/{session['id']}/threads")
    with scene.api.stream(None, path=f"/v1/sessions/{session['id']}/threads/{thread['id']}/stream") as stream:
        scene.send(session, message("hi"))
        assert stream.until(lambda event: event["type"].endswith("status_idle"))


@pytest.mark.parametrize("path", ["/v1/sessions/sesn_" + "0" * 24 + "/events/stream", "/v1/sessions/x/events/stream"])
def test_a_stream_of_nothing_is_an_error_and_no_stream(scene, path):
    answer = scene.api.get(path)
    assert answer.status == 404 and answer.headers["content-type"] == "application/json"


def test_an_archived_session_ends_its_streams(scene):
    session = scene.session(scene.agent())
    with scene.api.stream(session["id"]) as stream:
        scene.api.good("POST", f"/v1/sessions/{session['id']}/archive")
        assert stream.rest()[-1]["type"] == "session.status_terminated"
