"""Two workspaces on one server: neither sees that anything of the other exists (contract 1.2)."""

import json

import pytest

from api import Api
from scene import message


@pytest.fixture(scope="module")
def stranger(scene):
    """Calls with the API key of another workspace."""
    done = scene.server.run("workspace", "create", "another", "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    return Api(scene.server.url, made["key"])


@pytest.fixture(scope="module")
def things(scene):
    blocked = scene.blocked()
    work, token = blocked.claim()
    (thread,) = scene.api.all(f"/v1/sessions/{blocked.session['id']}/threads")
    return {"env": blocked.environment, "session": blocked.session["id"], "agent": blocked.agent["id"],
            "work": work["id"], "thread": thread["id"], "call": blocked.call, "token": token}


CALLS = [
    ("GET", "/v1/agents/{agent}", None), ("POST", "/v1/agents/{agent}", {"name": "x"}),
    ("POST", "/v1/agents/{agent}/archive", None), ("GET", "/v1/agents/{agent}/versions", None),
    ("GET", "/v1/environments/{env}", None), ("POST", "/v1/environments/{env}", {"name": "x"}),
    ("POST", "/v1/environments/{env}/archive", None), ("DELETE", "/v1/environments/{env}", None),
    ("GET", "/v1/environments/{env}/keys", None), ("POST", "/v1/environments/{env}/keys", {}),
    ("GET", "/v1/environments/{env}/work", None), ("GET", "/v1/environments/{env}/work/stats", None),
    ("GET", "/v1/environments/{env}/work/{work}", None), ("POST", "/v1/environments/{env}/work/{work}", {"metadata": {}}),
    ("POST", "/v1/environments/{env}/work/{work}/stop", {}), ("POST", "/v1/environments/{env}/work/{work}/requeue", None),
    ("GET", "/v1/sessions/{session}", None), ("POST", "/v1/sessions/{session}", {"title": "x"}),
    ("POST", "/v1/sessions/{session}/archive", None), ("DELETE", "/v1/sessions/{session}", None),
    ("GET", "/v1/sessions/{session}/events", None), ("GET", "/v1/sessions/{session}/events/stream", None),
    ("POST", "/v1/sessions/{session}/events", {"events": [message("x")]}),
    ("GET", "/v1/sessions/{session}/threads", None), ("GET", "/v1/sessions/{session}/threads/{thread}", None),
    ("GET", "/v1/sessions/{session}/threads/{thread}/events", None),
    ("GET", "/v1/sessions/{session}/threads/{thread}/stream", None),
    ("GET", "/v1/sessions/{session}/resources", None), ("GET", "/v1/sessions/{session}/approvals", None),
    ("GET", "/v1/sessions/{session}/wall", None),
]


@pytest.mark.parametrize("method, path, body", CALLS)
def test_anothers_object_is_not_there(stranger, things, method, path, body):
    answer = stranger.call(method, path.format(**things), body)
    assert answer.status == 404 and answer.error[0] == "not_found_error", answer
    for name in ("env", "session", "agent", "work"):
        assert f"{{{name}}}" in path or things[name] not in answer.raw.decode()


@pytest.mark.parametrize("path", ["/v1/agents", "/v1/environments", "/v1/sessions", "/v1/api_keys"])
def test_lists_hold_ones_own_only(scene, stranger, things, path):
    mine = {one["id"] for one in scene.api.all(path, {"limit": 100})}
    assert mine and not mine & {one["id"] for one in stranger.all(path, {"limit": 100})}


def test_anothers_agent_and_environment_cannot_be_used(scene, stranger, things):
    own = stranger.good("POST", "/v1/environments", {"name": "own", "config": {"type": "self_hosted"}})
    agent = stranger.good("POST", "/v1/agents", {"name": "own", "model": "stand-in"})
    for body in ({"agent": things["agent"], "environment_id": own["id"]},
                 {"agent": agent["id"], "environment_id": things["env"]}):
        assert stranger.post("/v1/sessions", body).status == 404, body


def test_a_workers_key_of_one_does_nothing_in_the_other(scene, stranger, things):
    own = stranger.good("POST", "/v1/environments", {"name": "own", "config": {"type": "self_hosted"}})
    key = stranger.good("POST", f"/v1/environments/{own['id']}/keys", {})["key"]
    worker = Api(scene.server.url, key)
    assert worker.get(f"/v1/environments/{things['env']}/work/poll").status in (403, 404)
    assert worker.get(f"/v1/sessions/{things['session']}").status in (403, 404)
    path = f"/v1/environments/{own['id']}/work/{things['work']}"
    assert worker.post(f"{path}/ack").status == 404 and worker.post(f"{path}/heartbeat").status == 404


def test_a_cursor_of_one_is_nothing_in_the_other(scene, stranger):
    agent = scene.agent()
    for _ in range(2):
        scene.session(agent)
    page = scene.api.good("GET", "/v1/sessions", query={"limit": 1})["next_page"]
    answer = stranger.get("/v1/sessions", {"limit": 1, "page": page})
    assert answer.status == 400 or not answer.json["data"]


def test_retries_are_not_shared(scene, stranger):
    body = json.dumps({"name": "the same", "model": "stand-in"}).encode()
    first = scene.api.post("/v1/agents", body).json["id"]
    assert stranger.post("/v1/agents", body, headers={"x-stainless-retry-count": "1"}).json["id"] != first
