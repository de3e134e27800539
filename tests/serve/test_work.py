"""The work queue as a worker sees it (contract 4): poll, ack, heartbeat, stop, nack, stats."""

import concurrent.futures

import pytest

from api import Api
from scene import idle, message, result, says, token_of

REPLAY = {"x-stainless-retry-count": "1"}


def work_of(scene, blocked, work):
    return scene.api.good("GET", blocked.work_path(work))


def poll(blocked, **query):
    return blocked.api.get(f"/v1/environments/{blocked.environment}/work/poll", query)


def test_an_empty_poll_is_the_json_null(scene):
    environment, key = scene.environment()
    for query in (None, {"block_ms": 1}):
        answer = Api(scene.server.url, key).get(f"/v1/environments/{environment}/work/poll", query)
        assert (answer.status, answer.raw) == (200, b"null") and answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("value", ["0", "1000", "-1", "x", ""])
def test_a_wait_outside_its_range_is_refused(scene, value):
    environment, key = scene.environment()
    answer = Api(scene.server.url, key).get(f"/v1/environments/{environment}/work/poll", {"block_ms": value})
    assert answer.status == 400 and "block_ms" in answer.error[1]


def test_the_life_of_an_item(scene):
    blocked = scene.blocked(turns=[says("done")])
    work, token = blocked.claim(ack=False)
    assert work["type"] == "work" and work["id"].startswith("work_") and work["state"] == "queued" and work["secret"]
    assert work["data"] == {"type": "session", "id": blocked.session["id"]}
    assert work["acknowledged_at"] is work["started_at"] is work["latest_heartbeat_at"] is None
    assert token_of(work).startswith("sk-pst-req-")

    acked = blocked.api.good("POST", blocked.work_path(work, "ack"))
    assert acked["state"] == "starting" and acked["acknowledged_at"] and acked["secret"] is None
    beat = blocked.beat(token, work).json
    assert beat["type"] == "work_heartbeat" and beat["state"] == "active" and beat["lease_extended"] is True
    active = work_of(scene, blocked, work)
    assert active["state"] == "active" and active["started_at"]
    assert active["latest_heartbeat_at"] == beat["last_heartbeat"] and active["secret"] is None
    second = blocked.beat(token, work, beat["last_heartbeat"]).json
    assert second["last_heartbeat"] > beat["last_heartbeat"] and second["ttl_seconds"] == beat["ttl_seconds"] == 90

    scene.send(blocked.session, result(blocked.call, "ok"), api=token)
    scene.wait(blocked.session, idle("end_turn"))
    stopped = token.good("POST", blocked.work_path(work, "stop"), {"force": True})
    assert stopped["state"] == "stopped" and stopped["stopped_at"] and stopped["stop_requested_at"]
    again = blocked.api.post(blocked.work_path(work, "stop"), {"force": True})
    assert again.status == 409 and again.error[0] == "conflict_error" and again.headers["x-should-retry"] == "false"


def test_an_item_exists_from_the_first_running_on_and_never_twice(scene):
    blocked = scene.blocked()
    path = f"/v1/environments/{blocked.environment}/work"
    (item,) = scene.api.all(path)
    assert item["state"] == "queued" and item["data"]["id"] == blocked.session["id"]
    scene.send(blocked.session, message("more"))
    assert [one["id"] for one in scene.api.all(path)] == [item["id"]]


def test_two_polls_at_once_get_the_item_once(scene):
    blocked = scene.blocked()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: poll(blocked, block_ms=200).json, range(8)))
    assert len([answer for answer in answers if answer]) == 1


def test_a_waiting_poll_gets_what_comes(scene):
    environment, key = scene.environment()
    session = scene.session(scene.agent([says("done")]), environment=environment)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(scene.claim, environment, key)
        scene.send(session, message("hi"))
        work, _ = waiting.result()
    assert work["data"]["id"] == session["id"]


def test_an_item_that_nobody_acknowledged_is_handed_out_again_with_a_new_secret(scene):
    blocked = scene.blocked()
    first, old = blocked.claim(ack=False)
    assert poll(blocked).json is None
    second = poll(blocked, reclaim_older_than_ms=1, block_ms=999).json
    assert second["id"] == first["id"] and second["secret"] != first["secret"]
    assert old.get(f"/v1/sessions/{blocked.session['id']}").status == 401
    assert blocked.beat(old, first).status == 412


def test_an_ack_is_repeated_only_as_a_retry(scene):
    blocked = scene.blocked()
    work, _ = blocked.claim()
    path = blocked.work_path(work, "ack")
    assert blocked.api.post(path, headers=REPLAY).json["state"] == "starting"
    answer = blocked.api.post(path)
    assert answer.status == 409 and answer.headers["x-should-retry"] == "false"
    assert blocked.api.post(path.replace(work["id"], "work_" + "0" * 24)).status == 404


def test_a_heartbeat_must_know_the_last_one(scene):
    blocked = scene.blocked()
    work, token = blocked.claim()
    first = blocked.beat(token, work).json["last_heartbeat"]
    answer = blocked.beat(token, work)
    assert answer.status == 412 and answer.error[0] == "invalid_request_error"
    details = answer.json["error"]["details"]
    assert details["error_code"] == "heartbeat_precondition_failed"
    assert details["current_state"]["last_heartbeat"] == first and details["current_state"]["state"] == "active"
    assert details["current_state"]["lease_extended"] is False and details["current_state"]["ttl_seconds"] == 90
    assert blocked.beat(token, work, "2026-01-01T00:00:00.000000Z").status == 412
    assert token.post(blocked.work_path(work, "heartbeat")).status == 200  # without: unconditional


def test_a_heartbeat_that_is_repeated_as_a_retry_keeps_the_lease(scene):
    blocked = scene.blocked()
    work, token = blocked.claim()
    first = blocked.beat(token, work).json
    assert blocked.beat(token, work, headers=REPLAY).json == first
    second = blocked.beat(token, work, first["last_heartbeat"]).json
    assert blocked.beat(token, work, first["last_heartbeat"], REPLAY).json == second
    assert blocked.beat(token, work, "NO_HEARTBEAT", REPLAY).status == 412


def test_the_lease_is_clamped(scene):
    blocked = scene.blocked()
    work, token = blocked.claim()
    last, ttls = "NO_HEARTBEAT", []
    for wish in (1, 100, 10_000):
        beat = blocked.beat(token, work, last, desired_ttl_seconds=wish).json
        last = beat["last_heartbeat"]
        ttls.append(beat["ttl_seconds"])
    assert ttls == [10, 100, 600]


def test_a_heartbeat_before_the_ack_is_refused_and_of_an_unknown_item_not_found(scene):
    blocked = scene.blocked()
    work, token = blocked.claim(ack=False)
    assert blocked.beat(token, work).status == 412
    assert blocked.beat(blocked.api, {"id": "work_" + "0" * 24}).status == 404


def test_a_graceful_stop_is_seen_by_the_next_heartbeat(scene):
    blocked = scene.blocked()
    work, token = blocked.claim()
    blocked.beat(token, work)
    stopping = scene.api.good("POST", blocked.work_path(work, "stop"), {})
    assert stopping["state"] == "stopping" and stopping["stop_requested_at"] and stopping["stopped_at"] is None
    for _ in range(2):  # the precondition is not looked at
        beat = blocked.beat(token, work, "whatever").json
        assert beat["state"] == "stopping" and beat["lease_extended"] is True
    assert scene.api.good("POST", blocked.work_path(work, "stop"), {})["state"] == "stopping"
    assert token.good("POST", blocked.work_path(work, "stop"), {"force": True})["state"] == "stopped"
    beat = blocked.beat(token, work, "whatever").json
    assert beat["state"] == "stopped" and beat["lease_extended"] is False


def test_an_item_that_an_operator_stopped_stays_down_until_the_client_speaks(scene):
    blocked = scene.blocked()
    work, _ = blocked.claim()
    scene.api.good("POST", blocked.work_path(work, "stop"), {"force": True})
    assert poll(blocked, block_ms=300).json is None
    scene.send(blocked.session, {"type": "user.interrupt"})
    scene.send(blocked.session, message("go on"))
    again, _ = blocked.claim()
    assert again["id"] != work["id"] and again["data"] == work["data"]


def test_an_item_that_its_worker_stopped_with_calls_open_comes_again(scene):
    blocked = scene.blocked()
    work, token = blocked.claim()
    blocked.beat(token, work)
    token.good("POST", blocked.work_path(work, "stop"), {"force": True})
    again, fresh = blocked.claim()
    assert again["id"] != work["id"]
    scene.send(blocked.session, result(blocked.call, "ok"), api=fresh)
    scene.wait(blocked.session, idle("end_turn"))


def test_a_result_just_after_the_stop_is_still_taken(scene):
    blocked = scene.blocked()
    work, token = blocked.claim()
    blocked.beat(token, work)
    token.good("POST", blocked.work_path(work, "stop"), {"force": True})
    scene.send(blocked.session, result(blocked.call, "ok"), api=token)
    scene.wait(blocked.session, idle("end_turn"))


def test_a_worker_may_give_an_item_back(scene):
    blocked = scene.blocked()
    work, token = blocked.claim()
    blocked.beat(token, work)
    given = token.good("POST", blocked.work_path(work, "nack"), {"reason": "disk full"})
    assert given["state"] == "queued" and given["acknowledged_at"] is given["started_at"] is None
    assert given["latest_heartbeat_at"] is None
    again, _ = blocked.claim()
    assert again["id"] == work["id"]
    assert token.get(f"/v1/sessions/{blocked.session['id']}").status == 401


def test_an_item_given_back_too_often_is_a_dead_letter_until_requeued(scene):
    blocked = scene.blocked()
    for _ in range(8):
        work, token = blocked.claim()
        last = token.good("POST", blocked.work_path(work, "nack"), {"reason": "cannot"})
    assert last["state"] == "stopped" and last["dead_letter"] is True
    path = f"/v1/environments/{blocked.environment}/work"
    assert [one["id"] for one in scene.api.all(path, {"dead_letter": "true"})] == [work["id"]]
    # Among others, also page by page.
    others = [scene.api.good("POST", f"{path}/healthcheck")["id"] for _ in range(3)]
    first = scene.api.good("GET", f"{path}?dead_letter=true&limit=1")
    assert [one["id"] for one in first["data"]] == [work["id"]] and first["next_page"] is None
    assert {one["id"] for one in scene.api.all(path, {"dead_letter": "false", "limit": 2})} >= set(others)
    assert scene.api.get(f"{path}?state=nope").status == 400
    for one in others:
        scene.api.good("POST", f"{path}/{one}/stop", {"force": True})
    events = scene.wait(blocked.session, "session.error")
    assert events[-1]["error"]["type"] == "unknown_error" and events[-1]["error"]["retry_status"] == {"type": "exhausted"}
    fresh = scene.api.good("POST", blocked.work_path(work, "requeue"))
    assert fresh["state"] == "queued" and fresh["id"] != work["id"]
    again, token = blocked.claim()
    assert again["id"] == fresh["id"]
    scene.send(blocked.session, result(blocked.call, "ok"), api=token)
    scene.wait(blocked.session, idle("end_turn"))


def test_a_call_marked_as_started_is_marked_once(scene):
    blocked = scene.blocked()
    work, token = blocked.claim()
    blocked.beat(token, work)
    mark = {"calls": [blocked.mark()]}
    path = blocked.work_path(work, "calls")
    assert token.post(path, mark).status == 200
    scene.send(blocked.session, result(blocked.call, "ok"), api=token)
    assert token.post(path, mark).status == 409


def test_a_marked_call_of_a_lost_worker_is_never_run_again(scene):
    blocked = scene.blocked(turns=[says("I do not know")])
    work, token = blocked.claim()
    blocked.beat(token, work)
    token.good("POST", blocked.work_path(work, "calls"), {"calls": [
        blocked.mark()]})
    token.good("POST", blocked.work_path(work, "nack"), {"reason": "going down"})
    events = scene.wait(blocked.session, idle("end_turn"), blocked.events)
    closing = next(event for event in events if event["type"] == "user.tool_result")
    assert closing["tool_use_id"] == blocked.call and closing["is_error"]
    assert "unknown" in closing["content"][0]["text"]


def test_stats_count_what_waits(scene):
    blocked = scene.blocked()
    path = f"/v1/environments/{blocked.environment}/work/stats"
    (item,) = scene.api.all(f"/v1/environments/{blocked.environment}/work")
    assert scene.api.good("GET", path) == {"type": "work_queue_stats", "depth": 1, "pending": 0,
                                           "oldest_queued_at": item["created_at"], "workers_polling": None}
    blocked.api.get(f"/v1/environments/{blocked.environment}/work/poll", headers={"anthropic-worker-id": "w1"})
    stats = scene.api.good("GET", path)
    assert (stats["depth"], stats["pending"], stats["workers_polling"]) == (0, 1, 1)
    blocked.api.good("POST", blocked.work_path(item, "ack"))
    stats = blocked.api.good("GET", path)
    assert (stats["depth"], stats["pending"], stats["oldest_queued_at"]) == (0, 0, None)


def test_an_operator_can_note_things_on_an_item(scene):
    blocked = scene.blocked()
    (item,) = scene.api.all(f"/v1/environments/{blocked.environment}/work")
    path = blocked.work_path(item)
    assert scene.api.good("POST", path, {"metadata": {"a": "1", "b": "2"}})["metadata"] == {"a": "1", "b": "2"}
    assert scene.api.good("POST", path, {"metadata": {"a": None}})["metadata"] == {"b": "2"}
    answer = scene.api.post(path, {"metadata": {"k": "v" * 513}})
    assert (answer.status, answer.code) == (400, "invalid_metadata")


def test_a_deleted_session_takes_its_item_along(scene):
    blocked = scene.blocked()
    (item,) = scene.api.all(f"/v1/environments/{blocked.environment}/work")
    scene.api.good("DELETE", f"/v1/sessions/{blocked.session['id']}")
    assert poll(blocked, block_ms=200).json is None
    assert work_of(scene, blocked, item)["state"] == "stopped"


def test_items_of_one_environment_do_not_exist_in_another(scene):
    blocked, other = scene.blocked(), scene.blocked()
    (item,) = scene.api.all(f"/v1/environments/{blocked.environment}/work")
    path = other.work_path(item)
    assert scene.api.get(path).status == 404
    assert other.api.post(f"{path}/ack").status == 404
    assert blocked.api.get(f"/v1/environments/{other.environment}/work/poll").status == 403
