"""Sessions as objects (contract 2.4, 3.8): creation, lists, changes, the end."""

import threading

import pytest

from scene import TOOLS, bash, idle, message, of_type, says

FILE = {"type": "file", "file_id": "file_x"}


def test_a_new_session_is_idle_and_has_every_member(scene):
    agent = scene.agent()
    session = scene.session(agent, title="t", metadata={"a": "b"})
    assert session["id"].startswith("sesn_") and session["type"] == "session" and session["status"] == "idle"
    assert session["environment_id"] == scene.server.environment_id and session["title"] == "t"
    assert session["resources"] == session["vault_ids"] == session["outcome_evaluations"] == []
    assert session["budget"] is session["deployment_id"] is session["archived_at"] is None
    assert set(session["stats"]) == {"active_seconds", "duration_seconds"}
    assert session["usage"]["input_tokens"] == session["usage"]["output_tokens"] == 0
    assert set(session["usage"]["cache_creation"]) == {"ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"}
    snapshot = session["agent"]
    assert (snapshot["id"], snapshot["version"], snapshot["system"]) == (agent["id"], 1, agent["system"])
    assert not {"created_at", "updated_at", "archived_at", "metadata"} & set(snapshot)
    assert scene.api.good("GET", f"/v1/sessions/{session['id']}")["agent"] == snapshot


def test_initial_events_make_it_run_at_once(scene):
    session = scene.session(scene.agent([says("hello")]), "hi")
    assert session["status"] == "running"
    scene.wait(session, idle("end_turn"))


def test_the_agent_is_a_snapshot(scene):
    agent = scene.agent()
    session = scene.session(agent)
    scene.api.good("POST", f"/v1/agents/{agent['id']}", {"description": "changed"})
    assert scene.api.good("GET", f"/v1/sessions/{session['id']}")["agent"]["description"] is None
    old = scene.api.good("POST", "/v1/sessions", {"agent": {"type": "agent", "id": agent["id"], "version": 1},
                                                  "environment_id": scene.server.environment_id})
    new = scene.session(agent)
    assert (old["agent"]["version"], new["agent"]["version"]) == (1, 2)


def test_overrides_replace_in_full_and_name_the_base(scene):
    agent = scene.agent(description="d")
    body = {"agent": {"type": "agent_with_overrides", "id": agent["id"], "system": None, "tools": []},
            "environment_id": scene.server.environment_id}
    snapshot = scene.api.good("POST", "/v1/sessions", body)["agent"]
    assert (snapshot["system"], snapshot["tools"], snapshot["description"]) == (None, [], "d")
    assert (snapshot["id"], snapshot["version"]) == (agent["id"], 1)


REFUSED = {
    "no agent": {"agent": None}, "no environment": {"environment_id": None},
    "model null": {"agent": {"type": "agent_with_overrides", "model": None}},
    "file resource": {"resources": [FILE]},
    "repository": {"resources": [{"type": "github_repository", "url": "https://git.example/a", "authorization_token": "t"}]},
    "bad event": {"initial_events": [{"type": "user.interrupt"}]},
    "unknown event": {"initial_events": [{"type": "user.wish"}]},
    "51 events": {"initial_events": [message("x")] * 51},
    "empty content": {"initial_events": [{"type": "user.message", "content": []}]},
    "outcome": {"initial_events": [{"type": "user.define_outcome", "description": "d",
                                    "rubric": {"type": "text", "content": "r"}}]},
    "long title": {"title": "x" * 257}, "budget without price": {
        "budget": {"type": "limit", "max_list_cost": {"amount": "100", "currency": "USD"}}},
    "metadata": {"metadata": {"k": "v" * 513}},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_breaks_a_rule_is_refused_and_leaves_nothing(scene, name):
    agent = scene.agent()
    body = {"agent": agent["id"], "environment_id": scene.server.environment_id, **REFUSED[name]}
    if isinstance(body["agent"], dict):
        body["agent"] = {**body["agent"], "id": agent["id"]}
    answer = scene.api.post("/v1/sessions", {key: value for key, value in body.items() if value is not None})
    assert answer.status == 400 and answer.error[0] == "invalid_request_error", answer
    assert scene.api.all("/v1/sessions", {"agent_id": agent["id"]}) == []


def test_an_unknown_or_archived_agent_is_refused(scene):
    environment = scene.server.environment_id
    assert scene.api.post("/v1/sessions", {"agent": "agent_" + "0" * 24, "environment_id": environment}).status == 404
    agent = scene.agent()
    scene.api.good("POST", f"/v1/agents/{agent['id']}/archive")
    assert scene.api.post("/v1/sessions", {"agent": agent["id"], "environment_id": environment}).status == 400


def test_the_list_filters_by_agent_version_status_and_time(scene):
    agent = scene.agent([says("done")])
    first, second = scene.session(agent), scene.session(agent)
    path = "/v1/sessions"

    def listed(**query):
        return [one["id"] for one in scene.api.all(path, {"agent_id": agent["id"], **query})]

    assert listed() == [second["id"], first["id"]] and listed(order="asc") == [first["id"], second["id"]]
    assert listed(agent_version=1) == listed() and listed(agent_version=7) == []
    assert listed(**{"statuses[]": ["idle", "running"]}) == listed() and listed(**{"statuses[]": "running"}) == []
    assert listed(statuses="idle") == listed()
    assert listed(**{"created_at[gt]": first["created_at"]}) == [second["id"]]
    assert listed(**{"created_at[gte]": first["created_at"]}) == [second["id"], first["id"]]
    assert listed(**{"created_at[lt]": second["created_at"]}) == [first["id"]]
    scene.api.good("POST", f"{path}/{first['id']}/archive")
    assert listed() == [second["id"]] and listed(include_archived="true") == [second["id"], first["id"]]


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 101}, {"limit": "many"}, {"order": "sideways"},
                                   {"statuses[]": "sleepy"}, {"created_at[gt]": "yesterday"},
                                   {"include_archived": "perhaps"}, {"page": "garbage"}])
def test_a_malformed_query_is_refused_and_named(scene, query):
    answer = scene.api.get("/v1/sessions", query)
    assert answer.status == 400, answer
    assert next(iter(query)).partition("[")[0] in answer.error[1]


def test_title_and_metadata_can_change_and_say_so_once(scene):
    session = scene.session(scene.agent(), title="a", metadata={"a": "1", "b": "2"})
    path = f"/v1/sessions/{session['id']}"
    after = scene.api.good("POST", path, {"title": None, "metadata": {"a": None, "c": "3"}})
    assert after["title"] is None and after["metadata"] == {"b": "2", "c": "3"}
    scene.api.good("POST", path, {"title": None})
    updates = of_type(scene.events(session), "session.updated")
    assert len(updates) == 1 and updates[0]["metadata"] == {"b": "2", "c": "3"} and updates[0]["title"] is None
    assert "agent" not in updates[0]


def test_tools_can_change_between_turns_and_count_from_the_next_request(scene):
    agent = scene.agent([says("one"), says("two")])
    session = scene.session(agent, "hi")
    first = scene.wait(session, idle("end_turn"))
    after = scene.api.good("POST", f"/v1/sessions/{session['id']}", {"agent": {"tools": []}})
    assert after["agent"]["tools"] == []
    scene.send(session, message("again"))
    events = scene.wait(session, idle("end_turn"), first)
    assert of_type(events, "session.updated")[0]["agent"]["tools"] == []
    asked = scene.asked(agent)
    assert asked[0].body["tools"] and not asked[1].body.get("tools")


def test_vaults_and_a_late_budget_are_refused(scene):
    session = scene.session(scene.agent())
    budget = {"type": "limit", "max_list_cost": {"amount": "100", "currency": "USD"}}
    for body in ({"vault_ids": []}, {"vault_ids": ["vlt_x"]}, {"budget": budget}):
        assert scene.api.post(f"/v1/sessions/{session['id']}", body).status == 400, body


def running(scene):
    """A session whose model hangs, and what lets it go."""
    agent = scene.agent([says("late", gate=threading.Semaphore(0))])
    session = scene.session(agent, "hi")
    scene.wait(session, "span.model_request_start")
    return session


def test_a_running_session_is_not_archived_deleted_or_given_other_tools(scene):
    session = running(scene)
    path = f"/v1/sessions/{session['id']}"
    assert scene.api.post(f"{path}/archive").status == 400
    assert scene.api.delete(path).status == 400
    assert scene.api.post(path, {"agent": {"tools": TOOLS}}).status == 400
    assert scene.api.good("POST", path, {"title": "still"})["title"] == "still"
    scene.send(session, {"type": "user.interrupt"})
    scene.wait(session, idle("end_turn"))
    scene.api.good("DELETE", path)


def test_an_archived_session_is_terminated_and_takes_nothing(scene):
    session = scene.session(scene.agent())
    path = f"/v1/sessions/{session['id']}"
    archived = scene.api.good("POST", f"{path}/archive")
    assert archived["status"] == "terminated" and archived["archived_at"]
    assert scene.api.good("POST", f"{path}/archive")["archived_at"] == archived["archived_at"]
    assert scene.api.post(f"{path}/events", {"events": [message("x")]}).status == 400
    assert scene.events(session)[-1]["type"] == "session.status_terminated"


def test_a_blocked_session_can_be_archived_or_deleted(scene):
    for end in ("archive", "delete"):
        agent = scene.agent([bash("true")])
        session = scene.session(agent, "go")
        scene.wait(session, idle("requires_action"))
        path = f"/v1/sessions/{session['id']}"
        answer = scene.api.post(f"{path}/archive") if end == "archive" else scene.api.delete(path)
        assert answer.status == 200, answer


def test_a_deleted_session_is_gone_and_its_streams_end_with_the_word(scene):
    session = scene.session(scene.agent())
    path = f"/v1/sessions/{session['id']}"
    with scene.api.stream(session["id"]) as stream:
        assert scene.api.good("DELETE", path) == {"id": session["id"], "type": "session_deleted"}
        assert stream.rest()[-1]["type"] == "session.deleted"
    for answer in (scene.api.get(path), scene.api.delete(path), scene.api.get(f"{path}/events"),
                   scene.api.get(f"{path}/events/stream"), scene.api.post(f"{path}/archive")):
        assert answer.status == 404, answer


def test_the_primary_thread_can_be_seen(scene):
    session = scene.session(scene.agent([says("hello")]), "hi")
    scene.wait(session, idle("end_turn"))
    path = f"/v1/sessions/{session['id']}/threads"
    (thread,) = scene.api.all(path)
    assert thread["id"].startswith("sthr_") and thread["type"] == "session_thread" and thread["status"] == "idle"
    assert thread["session_id"] == session["id"] and thread["parent_thread_id"] is None
    assert "multiagent" not in thread["agent"] or thread["agent"]["multiagent"] is None
    assert scene.api.good("GET", f"{path}/{thread['id']}")["id"] == thread["id"]
    events = scene.api.all(f"{path}/{thread['id']}/events", {"limit": 1000})
    assert [event["id"] for event in of_type(events, "agent.message")] == \
        [event["id"] for event in of_type(scene.events(session), "agent.message")]
    assert scene.api.post(f"{path}/{thread['id']}/archive").status == 400
    assert scene.api.get(f"{path}/sthr_{'0' * 24}").status == 404


def test_resources_are_an_empty_list_and_refuse_files(scene):
    session = scene.session(scene.agent())
    path = f"/v1/sessions/{session['id']}/resources"
    assert scene.api.all(path) == []
    assert scene.api.post(path, FILE).status in (400, 404)
