"""Questions of a sandbox to a person, over the API (contract 13)."""

import concurrent.futures

import pytest

QUESTION = {"v": 1, "id": "q1", "kind": "network", "host": "pypi.example", "port": 443, "reason": "not on the list",
            "command": {"argv0": "pip", "pid": 7, "text": "pip install x"}, "suggest": []}


@pytest.fixture
def asked(scene):
    """A blocked session, its worker's token, and an open question."""
    blocked = scene.blocked()
    _, token = blocked.claim()
    path = f"/v1/sessions/{blocked.session['id']}/approvals"
    return scene, token, path, token.good("POST", path, QUESTION)


def test_a_question_is_pending_until_somebody_answers(asked):
    scene, token, path, approval = asked
    assert approval["id"].startswith("appr_") and approval["type"] == "approval" and approval["status"] == "pending"
    assert approval["request"] == QUESTION and approval["answer"] is None and approval["expires_at"]
    assert token.good("GET", f"{path}/{approval['id']}") == approval
    assert [one["id"] for one in scene.api.good("GET", path)["data"]] == [approval["id"]]


def test_the_first_answer_wins(asked):
    scene, token, path, approval = asked
    answer = {"allow": True, "scope": "run"}
    done = scene.api.good("POST", f"{path}/{approval['id']}", answer)
    assert done["status"] == "allowed" and done["answer"]["allow"] is True and done["answer"]["scope"] == "run"
    assert scene.api.post(f"{path}/{approval['id']}", answer).status == 200
    assert scene.api.post(f"{path}/{approval['id']}", {"allow": False, "scope": "once"}).status == 409
    assert token.good("GET", f"{path}/{approval['id']}")["status"] == "allowed"


def test_a_worker_waits_for_the_answer(asked):
    scene, token, path, approval = asked
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(token.good, "GET", f"{path}/{approval['id']}", None, {"wait_ms": 30_000})
        scene.api.good("POST", f"{path}/{approval['id']}", {"allow": False, "scope": "once", "reason": "no"})
        assert waiting.result()["status"] == "denied"


def test_question_and_answer_are_events_for_those_who_ask_for_extensions(asked):
    scene, _, path, approval = asked
    scene.api.good("POST", f"{path}/{approval['id']}", {"allow": True, "scope": "once"})
    events = path.replace("approvals", "events")
    kinds = [event["type"] for event in scene.api.all(events, {"extensions": "true"}) if event["type"].startswith("postern.")]
    assert kinds == ["postern.approval_requested", "postern.approval_resolved"]
    assert not [event for event in scene.api.all(events) if event["type"].startswith("postern.")]


def test_a_worker_may_not_answer_itself(asked):
    _, token, path, approval = asked
    assert token.post(f"{path}/{approval['id']}", {"allow": True, "scope": "once"}).status == 403


@pytest.mark.parametrize("body", [{}, {"allow": "true", "scope": "once"}, {"allow": 1, "scope": "once"},
                                  {"allow": True, "scope": "world"}])
def test_only_a_plain_true_allows(asked, body):
    scene, token, path, approval = asked
    assert scene.api.post(f"{path}/{approval['id']}", body).status == 400
    assert token.good("GET", f"{path}/{approval['id']}")["status"] == "pending"


def test_what_is_no_question_is_refused(asked):
    scene, token, path, _ = asked
    for body in ([], {"kind": 5}, {"kind": "wish"}):
        assert token.post(path, body).status == 400, body
    assert scene.api.get(f"{path}/appr_{'0' * 24}").status == 404


def test_what_crossed_the_wall_is_summed(scene):
    blocked = scene.blocked()
    _, token = blocked.claim()
    path = f"/v1/sessions/{blocked.session['id']}/wall"
    row = {"direction": "out", "host": "a.example", "rule": "a.example", "allowed_by": "settings", "bytes": 100, "count": 2}
    for _ in range(2):
        assert token.post(path, [row]).status == 200
    found = scene.api.good("GET", path)
    assert "200" in str(found) and "4" in str(found) and "a.example" in str(found)
