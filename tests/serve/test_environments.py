"""Environments and their keys (contract 2.2)."""

import pytest

from api import Api
from scene import idle


def make(scene, **more):
    return scene.api.good("POST", "/v1/environments", {"name": "walls", "config": {"type": "self_hosted"}, **more})


def test_a_new_environment_has_every_member(scene):
    made = make(scene, metadata={"a": "b"})
    assert made["id"].startswith("env_") and made["type"] == "environment" and made["config"]["type"] == "self_hosted"
    assert made["description"] is None and made["archived_at"] is None and made["metadata"] == {"a": "b"}
    assert scene.api.good("GET", f"/v1/environments/{made['id']}") == made


@pytest.mark.parametrize("config", [None, {"type": "cloud"}, "absent"])
def test_a_cloud_environment_is_refused_with_the_word_for_ours(scene, config):
    body = {"name": "cloud", **({} if config == "absent" else {"config": config})}
    answer = scene.api.post("/v1/environments", body)
    assert answer.status == 400 and "self_hosted" in answer.error[1]


def test_it_can_be_renamed_but_not_turned_into_another_kind(scene):
    made = make(scene, metadata={"a": "1", "b": "2"})
    path = f"/v1/environments/{made['id']}"
    after = scene.api.good("POST", path, {"name": "new", "description": "d", "metadata": {"a": None, "c": "3"}})
    assert (after["name"], after["description"], after["metadata"]) == ("new", "d", {"b": "2", "c": "3"})
    answer = scene.api.post(path, {"config": {"type": "cloud"}})
    assert answer.status == 400 and answer.code == "invalid_config_type_change"


def test_metadata_beyond_the_limits_has_a_code(scene):
    answer = scene.api.post("/v1/environments", {"name": "x", "config": {"type": "self_hosted"},
                                                 "metadata": {"k": "v" * 513}})
    assert answer.status == 400 and answer.code == "invalid_metadata"


def test_an_archived_environment_takes_no_session_and_no_change(scene):
    made = make(scene)
    path = f"/v1/environments/{made['id']}"
    archived = scene.api.good("POST", f"{path}/archive")
    assert archived["archived_at"] and scene.api.good("POST", f"{path}/archive") == archived
    assert scene.api.post(path, {"name": "y"}).code == "environment_archived"
    agent = scene.agent()
    answer = scene.api.post("/v1/sessions", {"agent": agent["id"], "environment_id": made["id"]})
    assert (answer.status, answer.code) == (400, "environment_archived")
    listed = [one["id"] for one in scene.api.all("/v1/environments", {"limit": 100})]
    everything = [one["id"] for one in scene.api.all("/v1/environments", {"limit": 100, "include_archived": "true"})]
    assert made["id"] not in listed and made["id"] in everything


def test_an_unknown_environment_has_a_code(scene):
    answer = scene.api.post("/v1/sessions", {"agent": scene.agent()["id"], "environment_id": "env_" + "0" * 24})
    assert (answer.status, answer.code) == (404, "environment_not_found")


def test_deleting_waits_for_its_sessions_and_revokes_its_keys(scene):
    environment, key = scene.environment()
    session = scene.session(scene.agent(), environment=environment)
    path = f"/v1/environments/{environment}"
    answer = scene.api.delete(path)
    assert answer.status == 409 and answer.headers["x-should-retry"] == "false"
    scene.api.good("DELETE", f"/v1/sessions/{session['id']}")
    assert scene.api.good("DELETE", path) == {"id": environment, "type": "environment_deleted"}
    assert scene.api.get(path).status == 404 and scene.api.delete(path).status == 404
    assert Api(scene.server.url, key).get(f"{path}/work/poll").status == 401


def test_a_key_is_shown_once_and_several_are_valid_at_once(scene):
    environment, first = scene.environment()
    path = f"/v1/environments/{environment}/keys"
    second = scene.api.good("POST", path, {"name": "second"})
    assert second["id"].startswith("envkey_") and second["type"] == "environment_key"
    assert second["key"].startswith("sk-pst-env-") and second["expires_at"] is None and second["name"] == "second"
    listed = scene.api.all(path)
    assert len(listed) == 2 and not any("key" in one for one in listed)
    for key in (first, second["key"]):
        assert Api(scene.server.url, key).get(f"/v1/environments/{environment}/work/poll").status == 200


def test_a_revoked_key_stops_working_at_once(scene):
    environment, first = scene.environment()
    path = f"/v1/environments/{environment}/keys"
    second = scene.api.good("POST", path, {})
    api = Api(scene.server.url, second["key"])
    assert api.get(f"/v1/environments/{environment}/work/poll").status == 200
    scene.api.good("DELETE", f"{path}/{second['id']}")
    assert api.get(f"/v1/environments/{environment}/work/poll").status == 401
    assert Api(scene.server.url, first).get(f"/v1/environments/{environment}/work/poll").status == 200


def test_a_key_expires_by_itself(scene):
    environment, _ = scene.environment()
    made = scene.api.good("POST", f"/v1/environments/{environment}/keys", {"expires_in_seconds": 1})
    assert made["expires_at"]
    api = Api(scene.server.url, made["key"])
    polled = [api.get(f"/v1/environments/{environment}/work/poll", {"block_ms": 400}).status for _ in range(6)]
    assert polled[-1] == 401


def test_sandbox_settings_are_kept_with_the_environment(scene):
    sandbox = {"network": {"allowedDomains": ["a.example"], "deniedDomains": []},
               "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []}}
    made = make(scene, config={"type": "self_hosted", "sandbox": sandbox})
    assert scene.api.good("GET", f"/v1/environments/{made['id']}")["config"]["sandbox"] == sandbox


def test_sessions_of_an_archived_environment_go_on(scene):
    blocked = scene.blocked()
    scene.api.good("POST", f"/v1/environments/{blocked.environment}/archive")
    work, token = blocked.claim()
    assert blocked.beat(token, work).status == 200
    token.good("POST", f"/v1/sessions/{blocked.session['id']}/events", {"events": [
        {"type": "user.tool_result", "tool_use_id": blocked.call, "content": [{"type": "text", "text": "ok"}]}]})
    scene.wait(blocked.session, idle("end_turn"))
