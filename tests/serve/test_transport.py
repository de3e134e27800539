"""Requests and answers as such (contract 1): envelope, betas, queries, pages, retries, limits."""

import json
import re

import pytest

from scene import says

AGENT = {"name": "an agent", "model": "stand-in"}


def test_every_answer_has_a_request_id(scene):
    for answer in (scene.api.get("/v1/agents"), scene.api.get("/v1/agents/agent_x"), scene.api.get("/nowhere"),
                   scene.api.post("/v1/agents", b"{")):
        assert re.fullmatch(r"req_[0-9A-Za-z]{20,}", answer.headers["request-id"])


def test_success_is_200_with_json(scene):
    answer = scene.api.post("/v1/agents", AGENT)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")


@pytest.mark.parametrize("method, path", [
    ("GET", "/nowhere"), ("GET", "/v1"), ("GET", "/v1/"), ("GET", "/v1/vaults"), ("POST", "/v1/messages"),
    ("GET", "/v1/files"), ("GET", "/v1/memory_stores"), ("GET", "/v1/skills"), ("GET", "/v1/deployments"),
    ("GET", "/v1/agents/agent_x/nothing"), ("GET", "/v1/agents/../agents"), ("GET", "/v1//agents"),
    ("GET", "/v1/agents/%2e%2e"), ("GET", "/v1/agents/a%00b")])
def test_what_is_not_there_is_404_in_the_envelope(scene, method, path):
    answer = scene.api.call(method, path, {} if method == "POST" else None)
    assert answer.status in (400, 404) and answer.error[0] in ("not_found_error", "invalid_request_error"), answer


def test_a_known_path_with_another_method_is_refused(scene):
    for method, path in (("DELETE", "/v1/agents"), ("PUT", "/v1/agents"), ("PATCH", "/v1/agents/agent_x")):
        answer = scene.api.call(method, path)
        assert answer.status == 405 and answer.json["type"] == "error"
        assert answer.headers["allow"] in ("POST, GET", "GET, POST")


@pytest.mark.parametrize("value", [None, "managed-agents-2026-04-01", "a, managed-agents-2026-04-01", "unknown-2020-01-01"])
def test_beta_headers_are_tolerated(scene, value):
    headers = {} if value is None else {"anthropic-beta": value}
    assert scene.api.get("/v1/agents", headers=headers).status == 200


def test_versions_and_unknown_queries_are_tolerated(scene):
    for version in ("2023-06-01", "2026-10-21", "x"):
        assert scene.api.get("/v1/agents", {"beta": "true", "new": "1"}, {"anthropic-version": version}).status == 200


BODIES = {
    "cut short": b'{"name": "x"', "trailing": b'{"name": "x", "model": "stand-in"} x', "not JSON": b"hello",
    "a list": b"[]", "a text": b'"x"', "null": b"null", "empty": b"", "bad UTF-8": b'{"name": "\xff", "model": "stand-in"}',
    "a lone surrogate": b'{"name": "\\ud800", "model": "stand-in"}',
    "a zero": b'{"name": "a\\u0000b", "model": "stand-in"}',
    "twice the same": b'{"name": "x", "name": "y", "model": "stand-in"}',
    "10,000 deep": b'{"name": "x", "model": "stand-in", "metadata": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "10,000 objects deep": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "NaN": b'{"name": "x", "model": "stand-in", "description": NaN}',
    "a huge number": b'{"name": "x", "model": "stand-in", "n": 1e999999}',
}


@pytest.mark.parametrize("name", BODIES)
def test_what_is_no_good_json_is_refused_and_hurts_nobody(scene, name):
    answer = scene.api.post("/v1/agents", BODIES[name])
    assert answer.status == 400 and answer.error[0] == "invalid_request_error", answer
    assert scene.api.get("/v1/agents").status == 200


def test_another_content_type_is_refused(scene):
    answer = scene.api.post("/v1/agents", json.dumps(AGENT).encode(), headers={"content-type": "text/plain"})
    assert answer.status == 400, answer


def test_what_a_client_sent_comes_back_as_it_was(scene):
    name = 'q"\\/\b\f\n\r\t é 世界 🌍 \u2028'
    assert scene.api.good("POST", "/v1/agents", {**AGENT, "description": name})["description"] == name


# --- pages ---


def agents(scene, count):
    return [scene.api.good("POST", "/v1/agents", {**AGENT, "name": f"page {n}"})["id"] for n in range(count)]


def test_pages_are_of_the_size_asked_for_and_end_with_null(scene):
    made = agents(scene, 5)
    found, page = [], None
    for size in (2, 2, 1):  # the size may change on the way
        answer = scene.api.good("GET", "/v1/agents", query={"limit": size, **({"page": page} if page else {})})
        assert set(answer) == {"data", "next_page"} and len(answer["data"]) == size
        found += [one["id"] for one in answer["data"]]
        page = answer["next_page"]
    assert found == made[::-1]
    everything = scene.api.good("GET", "/v1/agents", query={"limit": 100})
    assert everything["next_page"] is None or len(everything["data"]) == 100


def test_twenty_is_the_usual_page(scene):
    agents(scene, 21)
    assert len(scene.api.good("GET", "/v1/agents")["data"]) == 20


@pytest.mark.parametrize("page", ["garbage", "AAAA", "e30", "x" * 5000, "%00", "../../etc/passwd"])
def test_a_cursor_of_ones_own_making_is_refused(scene, page):
    for path in ("/v1/agents", "/v1/sessions", "/v1/environments"):
        answer = scene.api.get(path, {"page": page})
        assert answer.status == 400 and answer.error[0] == "invalid_request_error", answer


def sessions(scene, count):
    agent = scene.agent()
    return agent, [scene.session(agent)["id"] for _ in range(count)]


def test_a_changed_cursor_is_refused(scene):
    agent, _ = sessions(scene, 3)
    query = {"agent_id": agent["id"], "limit": 1}
    cursor = scene.api.good("GET", "/v1/sessions", query=query)["next_page"]
    middle = len(cursor) // 2
    changed = cursor[:middle] + ("A" if cursor[middle] != "A" else "B") + cursor[middle + 1:]
    assert scene.api.get("/v1/sessions", {**query, "page": changed}).status == 400


def test_a_cursor_of_another_order_or_list_is_refused(scene):
    agent, _ = sessions(scene, 3)
    query = {"agent_id": agent["id"], "limit": 1}
    cursor = scene.api.good("GET", "/v1/sessions", query=query)["next_page"]
    assert scene.api.get("/v1/sessions", {**query, "page": cursor, "order": "asc"}).status == 400
    assert scene.api.get("/v1/agents", {"page": cursor}).status == 400


def test_sessions_can_be_paged_back(scene):
    agent, made = sessions(scene, 4)
    query = {"agent_id": agent["id"], "limit": 2}
    first = scene.api.good("GET", "/v1/sessions", query=query)
    assert first["prev_page"] is None
    second = scene.api.good("GET", "/v1/sessions", query={**query, "page": first["next_page"]})
    assert second["next_page"] is None and [one["id"] for one in second["data"]] == made[1::-1]
    back = scene.api.good("GET", "/v1/sessions", query={**query, "page": second["prev_page"]})
    assert [one["id"] for one in back["data"]] == made[:1:-1]


def test_a_list_of_events_takes_a_limit_of_1000_but_not_more(scene):
    session = scene.session(scene.agent())
    path = f"/v1/sessions/{session['id']}/events"
    assert scene.api.get(path, {"limit": 1000}).status == 200
    for limit in (0, -1, 1001, "x"):
        assert scene.api.get(path, {"limit": limit}).status == 400


# --- retries ---


def test_a_repeated_creation_gives_the_first_answer_again(scene):
    body = json.dumps({**AGENT, "name": "once"}).encode()
    first = scene.api.post("/v1/agents", body)
    again = scene.api.post("/v1/agents", body, headers={"x-stainless-retry-count": "1"})
    other = scene.api.post("/v1/agents", body)
    assert again.json == first.json and other.json["id"] != first.json["id"]


def test_a_repeated_message_is_one_message(scene):
    session = scene.session(scene.agent([says("one"), says("two")]))
    body = json.dumps({"events": [{"type": "user.message", "content": [{"type": "text", "text": "hi"}]}]}).encode()
    path = f"/v1/sessions/{session['id']}/events"
    first = scene.api.post(path, body).json
    again = scene.api.post(path, body, headers={"x-stainless-retry-count": "2"}).json
    assert [one["id"] for one in again["data"]] == [one["id"] for one in first["data"]]


def test_a_retry_with_another_body_or_key_is_no_repetition(scene):
    key = scene.api.good("POST", "/v1/api_keys", {"name": "other", "role": "full"})["key"]
    body = json.dumps({**AGENT, "name": "twice"}).encode()
    first = scene.api.post("/v1/agents", body).json["id"]
    retry = {"x-stainless-retry-count": "1"}
    assert scene.api.post("/v1/agents", body + b" ", headers=retry).json["id"] != first
    assert type(scene.api)(scene.server.url, key).post("/v1/agents", body, headers=retry).json["id"] != first


# --- health ---


def test_health_readiness_and_metrics_need_no_key(scene):
    from api import Api
    bare = Api(scene.server.url)
    assert bare.get("/healthz").status == 200 and bare.get("/readyz").status == 200
    metrics = bare.get("/metrics")
    assert metrics.status == 200 and metrics.headers["content-type"].startswith("text/plain")
    names = {line.split("{")[0].split(" ")[0] for line in metrics.raw.decode().splitlines() if line[:1] not in ("#", "")}
    assert names and all(name.startswith(("postern_", "process_")) for name in names)


def test_models_are_those_configured(scene):
    listed = scene.api.good("GET", "/v1/models")["data"]
    assert "stand-in" in [one["id"] for one in listed]
    assert scene.api.good("GET", "/v1/models/stand-in")["id"] == "stand-in"
    assert scene.api.get("/v1/models/none").status == 404
