"""The official client, unmodified, through the whole life of a session and through all that can go wrong."""

import pytest

from scene import TOOLS, bash, idle, message, of_type, result, says, texts
from sdk import Sdk, SdkError


def test_a_whole_life(scene, sdk):
    beta = sdk.beta
    script = scene.scripts.add([says("hello"), bash("ls"), says("bye")])
    agent = beta.agents.create({"name": script, "model": "stand-in", "system": script, "tools": TOOLS})
    agent = beta.agents.update(agent["id"], {"version": agent["version"], "description": "second"})
    assert [one["version"] for one in sdk.pages.beta.agents.versions.list(agent["id"])] == [2, 1]
    assert beta.agents.retrieve(agent["id"], {"version": 1})["description"] is None

    environment = beta.environments.create({"name": "walls", "config": {"type": "self_hosted"}})
    environment = beta.environments.update(environment["id"], {"description": "mine"})
    assert beta.environments.retrieve(environment["id"])["description"] == "mine"
    key = scene.api.good("POST", f"/v1/environments/{environment['id']}/keys", {})["key"]

    session = beta.sessions.create({
        "agent": agent["id"], "environment_id": environment["id"], "title": "life", "metadata": {"a": "b"},
        "initial_events": [message("hi")]})
    assert session["status"] == "running" and session["agent"]["version"] == 2
    events = scene.wait(session, idle("end_turn"))
    assert texts(events) == ["hello"]

    stream = sdk.stream.beta.sessions.events.stream(session["id"])
    sent = beta.sessions.events.send(session["id"], {"events": [message("look around")]})
    assert sent["data"][0]["type"] == "user.message"
    blocked = stream.until(idle("requires_action"))
    (call,) = of_type(blocked, "agent.tool_use")

    worker = Sdk(sdk.driver, scene.server.url, key)
    work = worker.beta.environments.work.poll(environment["id"], {"block_ms": 500})
    worker.beta.environments.work.ack(work["id"], {"environment_id": environment["id"]})
    beat = worker.beta.environments.work.heartbeat(
        work["id"], {"environment_id": environment["id"], "expected_last_heartbeat": "NO_HEARTBEAT"})
    assert beat["state"] == "active"
    worker.beta.sessions.events.send(session["id"], {"events": [result(call["id"], "a.txt")]})
    assert texts(stream.until(idle("end_turn"))) == ["bye"]
    stream.close()
    worker.beta.environments.work.stop(work["id"], {"environment_id": environment["id"], "force": True})

    work_in = {"environment_id": environment["id"]}
    assert beta.environments.work.retrieve(work["id"], work_in)["state"] == "stopped"
    assert beta.environments.work.update(work["id"], {**work_in, "metadata": {"x": "y"}})["metadata"] == {"x": "y"}
    assert [one["id"] for one in sdk.pages.beta.environments.work.list(environment["id"])] == [work["id"]]
    assert beta.environments.work.stats(environment["id"])["depth"] == 0

    listed = sdk.pages.beta.sessions.events.list(session["id"], {"limit": 3})
    assert [event["type"] for event in listed].count("session.status_idle") == 3
    assert sdk.pages.beta.sessions.events.list(session["id"], {"order": "desc", "limit": 1000}) == listed[::-1]
    only = sdk.pages.beta.sessions.events.list(session["id"], {"types": ["agent.message"]})
    assert texts(only) == ["hello", "bye"]

    (thread,) = sdk.pages.beta.sessions.threads.list(session["id"])
    assert beta.sessions.threads.retrieve(thread["id"], {"session_id": session["id"]})["status"] == "idle"
    assert sdk.pages.beta.sessions.threads.events.list(thread["id"], {"session_id": session["id"]})

    assert beta.sessions.update(session["id"], {"title": None})["title"] is None
    assert beta.sessions.retrieve(session["id"])["title"] is None
    assert [one["id"] for one in sdk.pages.beta.sessions.list({"agent_id": agent["id"], "statuses": ["idle"]})] == \
        [session["id"]]
    assert beta.sessions.archive(session["id"])["status"] == "terminated"
    assert beta.sessions.delete(session["id"]) == {"id": session["id"], "type": "session_deleted"}
    assert beta.environments.archive(environment["id"])["archived_at"]
    assert beta.environments.delete(environment["id"])["type"] == "environment_deleted"
    assert beta.agents.archive(agent["id"])["archived_at"]
    assert all(row["retry"] == 0 and row["status"] == 200 for row in sdk.requests())


def test_the_client_follows_pages(scene, sdk):
    agent = scene.agent()
    made = [scene.session(agent)["id"] for _ in range(5)]
    sdk.requests()
    assert [one["id"] for one in sdk.pages.beta.sessions.list({"agent_id": agent["id"], "limit": 2})] == made[::-1]
    assert len(sdk.requests()) == 3


def test_the_models_are_listed(sdk):
    assert "stand-in" in [one["id"] for one in sdk.pages.models.list()]
    assert sdk.models.retrieve("stand-in")["type"] == "model"


def refused(call, *arguments):
    with pytest.raises(SdkError) as caught:
        call(*arguments)
    return caught.value


def test_errors_come_as_the_classes_of_the_client(scene, sdk):
    sessions = sdk.beta.sessions
    agent = scene.agent()
    error = refused(sdk.beta.agents.create, {"name": "x"})
    assert (error.name, error.status, error.type) == ("BadRequestError", 400, "invalid_request_error")
    assert error.request_id.startswith("req_") and error.body["request_id"] == error.request_id
    assert refused(sessions.retrieve, "sesn_" + "0" * 24).name == "NotFoundError"
    stranger = Sdk(sdk.driver, scene.server.url, "sk-pst-api-" + "0" * 32)
    assert refused(stranger.beta.agents.list).name == "AuthenticationError"
    worker = Sdk(sdk.driver, scene.server.url, scene.server.environment_key)
    assert refused(worker.beta.agents.list).name == "PermissionDeniedError"
    error = refused(sdk.beta.agents.update, agent["id"], {"version": 7, "name": "y"})
    assert (error.name, error.type, error.retry) == ("ConflictError", "conflict_error", "false")


def test_a_conflict_is_not_retried_by_the_client(scene, sdk):
    agent = scene.agent()
    sdk.requests()
    refused(sdk.beta.agents.update, agent["id"], {"version": 7, "name": "y"})
    assert len(sdk.requests()) == 1


def test_a_failed_precondition_has_its_details(scene, sdk):
    blocked = scene.blocked()
    work, token = blocked.claim()
    blocked.beat(token, work)
    worker = Sdk(sdk.driver, scene.server.url, blocked.key)
    error = refused(worker.beta.environments.work.heartbeat, work["id"],
                    {"environment_id": blocked.environment, "expected_last_heartbeat": "NO_HEARTBEAT"})
    assert (error.name, error.details["error_code"]) == ("BetaHeartbeatPreconditionFailedError", "heartbeat_precondition_failed")
    assert error.details["current_state"]["state"] == "active"


def test_a_body_beyond_32_megabytes_is_refused_by_name(sdk):
    error = refused(sdk.beta.agents.create, {"name": "x", "model": "stand-in", "system": "x" * (33 << 20)})
    assert (error.name, error.type) == ("ContentTooLargeError", "request_too_large")


def test_an_archived_environment_has_its_code(scene, sdk):
    environment, _ = scene.environment()
    sdk.beta.environments.archive(environment)
    error = refused(sdk.beta.sessions.create, {"agent": scene.agent()["id"], "environment_id": environment})
    assert error.details["error_code"] == "environment_archived"


def test_the_clients_own_tool_runner_serves_a_session(scene, sdk):
    """What an application does by hand: read the stream, answer each call, go on."""
    blocked = scene.blocked(turns=[bash("two"), says("done")])
    work, _ = blocked.claim()
    worker = Sdk(sdk.driver, scene.server.url, blocked.key)
    stream = worker.stream.beta.sessions.events.stream(blocked.session["id"])
    history = worker.pages.beta.sessions.events.list(blocked.session["id"], {"limit": 1000})
    (call,) = of_type(history, "agent.tool_use")
    worker.beta.sessions.events.send(blocked.session["id"], {"events": [result(call["id"], "one")]})
    (second,) = of_type(stream.until(idle("requires_action")), "agent.tool_use")
    worker.beta.sessions.events.send(blocked.session["id"], {"events": [result(second["id"], "two")]})
    assert texts(stream.until(idle("end_turn"))) == ["done"]
    stream.close()
