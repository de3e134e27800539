"""Agents (contract 2.1): shape, versions, update rules, what is refused."""

import pytest

TOOLSET = {"type": "agent_toolset_20260401"}
CUSTOM = {"type": "custom", "name": "lookup", "description": "Looks up.", "input_schema": {"type": "object"}}
MCP_SERVER = {"type": "url", "name": "notes", "url": "https://mcp.example/mcp"}
BASE = {"name": "an agent", "model": "stand-in"}


def make(scene, **more):
    return scene.api.good("POST", "/v1/agents", {**BASE, **more})


def change(scene, agent, **more):
    return scene.api.good("POST", f"/v1/agents/{agent['id']}", more)


def test_a_new_agent_has_every_member(scene):
    agent = make(scene)
    assert agent["id"].startswith("agent_") and agent["type"] == "agent" and agent["version"] == 1
    assert agent["model"]["id"] == "stand-in"
    assert {key: agent[key] for key in ("description", "system", "multiagent", "archived_at")} == \
        {"description": None, "system": None, "multiagent": None, "archived_at": None}
    assert agent["tools"] == agent["mcp_servers"] == agent["skills"] == [] and agent["metadata"] == {}
    assert agent["execution_identity"] == {"type": "service_account"}
    assert agent["created_at"] == agent["updated_at"] and agent["created_at"].endswith("Z")


def test_tools_come_back_resolved(scene):
    agent = make(scene, tools=[{**TOOLSET, "configs": [{"name": "bash", "permission_policy": {"type": "always_ask"}},
                                                       {"name": "grep", "enabled": False}]}, CUSTOM])
    toolset, custom = agent["tools"]
    assert toolset["default_config"] == {"enabled": True, "permission_policy": {"type": "always_allow"}}
    configs = {config["name"]: config for config in toolset["configs"]}
    assert configs["bash"]["type"] == "bash" and configs["bash"]["enabled"] is True
    assert configs["bash"]["permission_policy"] == {"type": "always_ask"}
    assert configs["grep"]["enabled"] is False and configs["grep"]["permission_policy"] == {"type": "always_allow"}
    assert custom == CUSTOM


def test_an_mcp_toolset_asks_unless_told_otherwise(scene):
    agent = make(scene, mcp_servers=[MCP_SERVER], tools=[{"type": "mcp_toolset", "mcp_server_name": "notes"}])
    assert agent["mcp_servers"][0]["name"] == "notes"
    assert agent["tools"][0]["default_config"] == {"enabled": True, "permission_policy": {"type": "always_ask"}}


def test_the_model_may_be_an_object_and_effort_a_word(scene):
    agent = make(scene, model={"id": "stand-in", "effort": "high", "speed": "standard"})
    assert agent["model"]["effort"] == {"type": "high"} and agent["model"]["speed"] == "standard"


def test_unknown_members_are_ignored(scene):
    assert make(scene, something={"new": 1})["version"] == 1


def test_each_change_makes_a_version_and_old_ones_stay(scene):
    agent = make(scene, system="one")
    second = change(scene, agent, system="two")
    assert second["version"] == 2 and second["system"] == "two" and second["updated_at"] >= agent["updated_at"]
    path = f"/v1/agents/{agent['id']}"
    assert scene.api.good("GET", path)["version"] == 2
    assert scene.api.good("GET", path, query={"version": 1})["system"] == "one"
    assert scene.api.get(path, {"version": 9}).status == 404
    assert [one["version"] for one in scene.api.all(f"{path}/versions")] == [2, 1]


def test_a_change_that_changes_nothing_makes_no_version(scene):
    agent = make(scene, system="one", metadata={"a": "b"})
    assert change(scene, agent, system="one", metadata={"a": "b"})["version"] == 1
    assert change(scene, agent)["version"] == 1


def test_absent_keeps_null_clears_and_arrays_are_replaced(scene):
    agent = make(scene, system="one", description="d", tools=[TOOLSET, CUSTOM], metadata={"a": "1", "b": "2"})
    after = change(scene, agent, description=None, tools=[CUSTOM], metadata={"b": None, "c": "3"})
    assert (after["system"], after["description"], after["tools"]) == ("one", None, [CUSTOM])
    assert after["metadata"] == {"a": "1", "c": "3"}
    after = change(scene, agent, system="", tools=None, metadata=None)
    assert after["system"] is None and after["tools"] == [] and after["metadata"] == {"a": "1", "c": "3"}


def test_an_older_version_conflicts_and_is_not_to_be_retried(scene):
    agent = make(scene)
    change(scene, agent, system="two")
    answer = scene.api.post(f"/v1/agents/{agent['id']}", {"version": 1, "system": "three"})
    assert answer.status == 409 and answer.error[0] == "conflict_error"
    assert answer.headers["x-should-retry"] == "false"
    assert change(scene, agent, version=2, system="three")["version"] == 3


def test_effort_stays_with_its_model(scene):
    agent = make(scene, model={"id": "stand-in", "effort": {"type": "low"}})
    assert change(scene, agent, model="stand-in", system="x")["model"]["effort"] == {"type": "low"}


def test_an_archived_agent_stays_readable_and_takes_no_change(scene):
    agent = make(scene)
    path = f"/v1/agents/{agent['id']}"
    archived = scene.api.good("POST", f"{path}/archive")
    assert archived["archived_at"]
    assert scene.api.good("POST", f"{path}/archive")["archived_at"] == archived["archived_at"]
    assert scene.api.post(path, {"system": "x"}).status == 400
    assert agent["id"] not in [one["id"] for one in scene.api.all("/v1/agents", {"limit": 100})]
    assert agent["id"] in [one["id"] for one in scene.api.all("/v1/agents", {"limit": 100, "include_archived": "true"})]


def test_the_list_is_newest_first(scene):
    made = [make(scene, name=f"agent {n}")["id"] for n in range(3)]
    assert [one["id"] for one in scene.api.good("GET", "/v1/agents", query={"limit": 3})["data"]] == made[::-1]


REFUSED = {
    "no name": {"name": None}, "empty name": {"name": ""}, "long name": {"name": "x" * 257},
    "name no text": {"name": 5}, "no model": {"model": None}, "unknown model": {"model": "no-such-model"},
    "model a number": {"model": 5}, "effort": {"model": {"id": "stand-in", "effort": "enormous"}},
    "long system": {"system": "x" * 100_001}, "long description": {"description": "x" * 2049},
    "tools no list": {"tools": {}}, "unknown tool type": {"tools": [{"type": "magic"}]},
    "browser": {"tools": [{"type": "browser_toolset_20260801"}]},
    "two toolsets": {"tools": [TOOLSET, TOOLSET]},
    "unknown built-in": {"tools": [{**TOOLSET, "configs": [{"name": "fly"}]}]},
    "config twice": {"tools": [{**TOOLSET, "configs": [{"name": "bash"}, {"name": "bash"}]}]},
    "unknown policy": {"tools": [{**TOOLSET, "default_config": {"permission_policy": {"type": "perhaps"}}}]},
    "custom without description": {"tools": [{**CUSTOM, "description": ""}]},
    "custom named as built-in": {"tools": [{**CUSTOM, "name": "bash"}]},
    "custom named mcp__": {"tools": [{**CUSTOM, "name": "mcp__a__b"}]},
    "custom with a bad name": {"tools": [{**CUSTOM, "name": "no spaces"}]},
    "custom twice": {"tools": [CUSTOM, CUSTOM]},
    "schema no object": {"tools": [{**CUSTOM, "input_schema": {"type": "array"}}]},
    "schema with $ref": {"tools": [{**CUSTOM, "input_schema": {"type": "object", "properties": {"a": {"$ref": "#"}}}}]},
    "schema with anyOf": {"tools": [{**CUSTOM, "input_schema": {"type": "object", "anyOf": []}}]},
    "schema with a bad name": {"tools": [{**CUSTOM, "input_schema": {"type": "object", "properties": {"a b": {}}}}]},
    "mcp server unused": {"mcp_servers": [MCP_SERVER]},
    "mcp toolset without server": {"tools": [{"type": "mcp_toolset", "mcp_server_name": "none"}]},
    "mcp server twice": {"mcp_servers": [MCP_SERVER, MCP_SERVER],
                         "tools": [{"type": "mcp_toolset", "mcp_server_name": "notes"}]},
    "skills without read": {"skills": [{"type": "custom", "skill_id": "skill_x"}]},
    "multiagent": {"multiagent": {"type": "coordinator", "agents": []}},
    "aws role": {"execution_identity": {"type": "aws_role", "role_arn": "arn"}},
    "metadata pairs": {"metadata": {f"k{n}": "v" for n in range(17)}},
    "metadata key": {"metadata": {"k" * 65: "v"}}, "metadata value": {"metadata": {"k": "v" * 513}},
    "metadata number": {"metadata": {"k": 1}},
    "both domain lists": {"tools": [{**TOOLSET, "configs": [
        {"name": "web_fetch", "allowed_domains": ["a.example"], "blocked_domains": ["b.example"]}]}]},
    "domain with scheme": {"tools": [{**TOOLSET, "configs": [
        {"name": "web_fetch", "allowed_domains": ["https://a.example"]}]}]},
    "domain of one label": {"tools": [{**TOOLSET, "configs": [{"name": "web_fetch", "allowed_domains": ["localhost"]}]}]},
    "no domains": {"tools": [{**TOOLSET, "configs": [{"name": "web_fetch", "allowed_domains": []}]}]},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_breaks_a_rule_is_refused_with_a_reason(scene, name):
    body = {key: value for key, value in {**BASE, **REFUSED[name]}.items() if value is not None}
    answer = scene.api.post("/v1/agents", body)
    assert answer.status == 400, answer
    kind, text = answer.error
    assert kind == "invalid_request_error" and text


def test_the_same_rules_hold_for_a_change(scene):
    agent = make(scene)
    for body in ({"tools": [{"type": "magic"}]}, {"name": None}, {"model": None}, {"model": "no-such-model"}):
        assert scene.api.post(f"/v1/agents/{agent['id']}", body).status == 400, body
    assert scene.api.good("GET", f"/v1/agents/{agent['id']}")["version"] == 1
