"""Who may call what (contract 1.2): each call with each kind of credential, and what each may send."""

import pytest

from api import Api
from scene import message, result

API, ENV, TOKEN = "api", "env", "token"
MISSING = "0" * 24

# name: (method, path, body, who may). In paths and bodies {env}, {work}, {session}, {agent}, {thread}, {call} are filled in.
CALLS = {
    "work poll": ("GET", "/v1/environments/{env}/work/poll", None, {ENV}),
    "work ack": ("POST", "/v1/environments/{env}/work/{work}/ack", None, {ENV, TOKEN}),
    "work heartbeat": ("POST", "/v1/environments/{env}/work/{work}/heartbeat", None, {ENV, TOKEN}),
    "work stop": ("POST", "/v1/environments/{env}/work/{work}/stop", {}, {API, ENV, TOKEN}),
    "work nack": ("POST", "/v1/environments/{env}/work/{work}/nack", {"reason": "r"}, {ENV, TOKEN}),
    "work calls": ("POST", "/v1/environments/{env}/work/{work}/calls", {"calls": [
        {"id": "{call}", "state": "started", "arguments_sha256": "0" * 64, "attempt": 1}]}, {ENV, TOKEN}),
    "work requeue": ("POST", "/v1/environments/{env}/work/{work}/requeue", None, {API}),
    "work stats": ("GET", "/v1/environments/{env}/work/stats", None, {API, ENV}),
    "work list": ("GET", "/v1/environments/{env}/work", None, {API, ENV}),
    "work retrieve": ("GET", "/v1/environments/{env}/work/{work}", None, {API}),
    "work update": ("POST", "/v1/environments/{env}/work/{work}", {"metadata": {}}, {API}),
    "session retrieve": ("GET", "/v1/sessions/{session}", None, {API, ENV, TOKEN}),
    "session list": ("GET", "/v1/sessions", None, {API}),
    "session create": ("POST", "/v1/sessions", {"agent": "{agent}", "environment_id": "{env}"}, {API}),
    "session update": ("POST", "/v1/sessions/{session}", {"title": "t"}, {API}),
    "session archive": ("POST", "/v1/sessions/{session}/archive", None, {API}),
    "session delete": ("DELETE", "/v1/sessions/{session}", None, {API}),
    "events list": ("GET", "/v1/sessions/{session}/events", None, {API, ENV, TOKEN}),
    "events stream": ("STREAM", "/v1/sessions/{session}/events/stream", None, {API, ENV, TOKEN}),
    "send message": ("POST", "/v1/sessions/{session}/events", {"events": [message("x")]}, {API}),
    "send interrupt": ("POST", "/v1/sessions/{session}/events", {"events": [{"type": "user.interrupt"}]}, {API}),
    "send confirmation": ("POST", "/v1/sessions/{session}/events", {"events": [
        {"type": "user.tool_confirmation", "tool_use_id": "{call}", "result": "allow"}]}, {API}),
    "send result": ("POST", "/v1/sessions/{session}/events", {"events": [result("{call}", "x")]}, {ENV, TOKEN}),
    "threads list": ("GET", "/v1/sessions/{session}/threads", None, {API, ENV, TOKEN}),
    "thread retrieve": ("GET", "/v1/sessions/{session}/threads/{thread}", None, {API, ENV, TOKEN}),
    "thread events": ("GET", "/v1/sessions/{session}/threads/{thread}/events", None, {API, ENV, TOKEN}),
    "thread stream": ("STREAM", "/v1/sessions/{session}/threads/{thread}/stream", None, {API, ENV, TOKEN}),
    "thread archive": ("POST", "/v1/sessions/{session}/threads/{thread}/archive", None, {API}),
    "agent create": ("POST", "/v1/agents", {"name": "n", "model": "stand-in"}, {API}),
    "agent list": ("GET", "/v1/agents", None, {API}),
    "agent retrieve": ("GET", "/v1/agents/{agent}", None, {API}),
    "agent update": ("POST", "/v1/agents/{agent}", {"name": "m"}, {API}),
    "agent versions": ("GET", "/v1/agents/{agent}/versions", None, {API}),
    "agent archive": ("POST", "/v1/agents/{agent}/archive", None, {API}),
    "environment create": ("POST", "/v1/environments", {"name": "e", "config": {"type": "self_hosted"}}, {API}),
    "environment list": ("GET", "/v1/environments", None, {API}),
    "environment retrieve": ("GET", "/v1/environments/{env}", None, {API, ENV, TOKEN}),
    "environment update": ("POST", "/v1/environments/{env}", {"name": "f"}, {API}),
    "environment archive": ("POST", "/v1/environments/{env}/archive", None, {API}),
    "environment delete": ("DELETE", "/v1/environments/{env}", None, {API}),
    "environment key create": ("POST", "/v1/environments/{env}/keys", {}, {API}),
    "environment key list": ("GET", "/v1/environments/{env}/keys", None, {API}),
    "approval request": ("POST", "/v1/sessions/{session}/approvals", {"v": 1, "id": "q1", "kind": "network", "host": "a.example",
                                                                           "port": 443}, {ENV, TOKEN}),
    "approval list": ("GET", "/v1/sessions/{session}/approvals", None, {API, ENV, TOKEN}),
    "wall report": ("POST", "/v1/sessions/{session}/wall", {"counters": []}, {ENV, TOKEN}),
    "wall": ("GET", "/v1/sessions/{session}/wall", None, {API, ENV, TOKEN}),
    "api key create": ("POST", "/v1/api_keys", {"name": "k", "role": "full"}, {API}),
    "api key list": ("GET", "/v1/api_keys", None, {API}),
    "models": ("GET", "/v1/models", None, {API}),
}


def filled(value, names):
    if isinstance(value, str):
        return value.format(**names) if "{" in value else value
    if isinstance(value, dict):
        return {key: filled(one, names) for key, one in value.items()}
    return [filled(one, names) for one in value] if isinstance(value, list) else value


class Target:
    """One of everything, and a credential of each kind that belongs to it."""

    def __init__(self, scene):
        self.blocked = scene.blocked()
        self.work, token = self.blocked.claim(ack=False)
        (thread,) = scene.api.all(f"/v1/sessions/{self.blocked.session['id']}/threads")
        self.names = {"env": self.blocked.environment, "work": self.work["id"], "session": self.blocked.session["id"],
                      "agent": self.blocked.agent["id"], "call": self.blocked.call, "thread": thread["id"]}
        self.apis = {API: scene.api, ENV: self.blocked.api, TOKEN: token}


def made(api, call, names):
    method, path, body, _ = CALLS[call]
    path, body = filled(path, names), filled(body, names)
    if method == "STREAM":
        with api.stream(None, path=path) as stream:
            return stream.status
    return api.call(method, path, body).status


@pytest.fixture(scope="module")
def target(scene):
    """For calls that must be refused: they change nothing."""
    return Target(scene)


@pytest.fixture(scope="module")
def stranger(scene):
    """The same in another environment."""
    return Target(scene)


@pytest.mark.parametrize("kind", [API, ENV, TOKEN])
@pytest.mark.parametrize("call", CALLS)
def test_a_call_is_for_whom_it_is(scene, target, call, kind):
    if kind in CALLS[call][3]:
        own = Target(scene)
        assert made(own.apis[kind], call, own.names) not in (401, 403, 404, 500)
    else:
        assert made(target.apis[kind], call, target.names) == 403


@pytest.mark.parametrize("call", [name for name, row in CALLS.items() if {ENV, TOKEN} & row[3]])
@pytest.mark.parametrize("kind", [ENV, TOKEN])
def test_a_workers_credential_ends_at_its_environment(target, stranger, call, kind):
    assert made(stranger.apis[kind], call, target.names) == 403


@pytest.mark.parametrize("call", CALLS)
def test_without_a_credential_nothing_is_told(scene, target, call):
    for key in (None, "", "sk-pst-api-" + "0" * 32, "sk-pst-env-" + "x" * 32, "nonsense", "a" * 1000):
        assert made(Api(scene.server.url, key), call, target.names) == 401


def test_both_headers_are_read_and_the_kind_follows_from_the_value(scene, target):
    for header in ("authorization", "x-api-key"):
        assert Api(scene.server.url, scene.server.key, header).get("/v1/agents").status == 200
        api = Api(scene.server.url, target.blocked.key, header)
        assert api.get(f"/v1/environments/{target.names['env']}/work/poll").status == 200


def test_of_two_headers_that_differ_authorization_counts(scene):
    good, bad = {"x-api-key": scene.server.key}, {"x-api-key": "nonsense"}
    assert Api(scene.server.url, scene.server.key).get("/v1/agents", headers=bad).status == 200
    assert Api(scene.server.url, "nonsense").get("/v1/agents", headers=good).status == 401


def test_another_workspace_in_the_header_is_refused(scene):
    answer = scene.api.get("/v1/agents", headers={"anthropic-workspace-id": "wrkspc_" + MISSING})
    assert answer.status == 403 and answer.error[0] == "permission_error"


def test_errors_of_credentials_are_in_the_envelope(scene, target):
    assert Api(scene.server.url).get("/v1/agents").error[0] == "authentication_error"
    assert target.blocked.api.get("/v1/agents").error[0] == "permission_error"


def test_api_keys_are_made_listed_and_revoked(scene):
    made_key = scene.api.good("POST", "/v1/api_keys", {"name": "second", "role": "full"})
    assert made_key["id"].startswith("apikey_") and made_key["key"].startswith("sk-pst-api-")
    api = Api(scene.server.url, made_key["key"])
    assert api.get("/v1/agents").status == 200
    listed = {one["id"]: one for one in scene.api.all("/v1/api_keys", {"limit": 100})}
    assert "key" not in listed[made_key["id"]] and listed[made_key["id"]]["name"] == "second"
    scene.api.good("DELETE", f"/v1/api_keys/{made_key['id']}")
    assert api.get("/v1/agents").status == 401


def test_a_read_only_key_only_reads(scene, target):
    key = scene.api.good("POST", "/v1/api_keys", {"name": "looks", "role": "read_only"})["key"]
    api = Api(scene.server.url, key)
    for name, (method, _, _, who) in CALLS.items():
        if API in who:
            status = made(api, name, target.names)
            assert (status not in (401, 403)) if method in ("GET", "STREAM") else status == 403, name


def test_a_token_is_for_its_own_session_and_item_only(scene):
    first = scene.blocked()
    agent = first.agent
    other = scene.session(agent, environment=first.environment)
    _, token = first.claim()
    assert token.get(f"/v1/sessions/{first.session['id']}").status == 200
    assert token.get(f"/v1/sessions/{other['id']}").status == 403
    assert first.api.get(f"/v1/sessions/{other['id']}").status == 200


def test_a_token_ends_with_its_session(scene):
    blocked = scene.blocked()
    _, token = blocked.claim()
    scene.api.good("DELETE", f"/v1/sessions/{blocked.session['id']}")
    assert token.get(f"/v1/sessions/{blocked.session['id']}").status in (401, 404)
