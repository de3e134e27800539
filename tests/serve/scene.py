"""What most tests begin with: a server whose model says what the test wrote, an agent, a session in it.

The model is provider.py behind the Messages wire. Each agent has a script of its own, found by its system prompt, so
that tests share a server and do not see each other.
"""

import base64
import hashlib
import itertools
import json
import re

from api import Api
from provider import Provider
from server import Server

MODEL = "stand-in"
PROVIDER_KEY = "provider-key-that-nobody-sees"
TOOLS = [{"type": "agent_toolset_20260401"}]
ASK = [{"type": "agent_toolset_20260401",
        "default_config": {"enabled": True, "permission_policy": {"type": "always_ask"}}}]


def says(text, **more):
    """A turn of the model that ends with words."""
    return {"content": [{"text": text}], **more}


def calls(*tools, **more):
    """A turn of the model that calls tools: calls(("bash", {"command": "true"}), …)."""
    return {"content": [{"tool": name, "input": value} for name, value in tools], **more}


def bash(command):
    return calls(("bash", {"command": command}))


def message(text):
    return {"type": "user.message", "content": [{"type": "text", "text": text}]}


def result(call, text, is_error=False):
    return {"type": "user.tool_result", "tool_use_id": call, "content": [{"type": "text", "text": text}],
            "is_error": is_error}


def texts(events, kind="agent.message"):
    """The text of each event of a type."""
    return ["".join(block.get("text", "") for block in event["content"]) for event in events if event["type"] == kind]


def of_type(events, *kinds):
    return [event for event in events if event["type"] in kinds]


def idle(reason=None):
    """A condition for wait: idle, for this reason."""
    return lambda event: event["type"] == "session.status_idle" and (
        reason is None or event["stop_reason"]["type"] == reason)


def token_of(work):
    """The sessions token in the secret of a claimed work item."""
    secret = work["secret"]
    return json.loads(base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4)))["sessions_token"]


class Scripts:
    """The turns of each agent, and what the model was asked for it."""

    NAME = re.compile(r"script-(\d+)\b")

    def __init__(self):
        self.turns, self.asked, self.numbers = {}, {}, itertools.count(1)

    def add(self, turns):
        name = next(self.numbers)
        self.turns[name], self.asked[name] = turns if callable(turns) else iter(turns), []
        return f"script-{name}"

    def __call__(self, request):
        found = self.NAME.search(json.dumps(request.body.get("system", ""))) or \
            self.NAME.search(json.dumps(request.body.get("messages", "")))
        name = int(found.group(1))
        self.asked[name].append(request)
        turns = self.turns[name]
        if callable(turns):
            return turns(request)
        none = {"status": 400, "body": {"type": "error", "error": {"type": "invalid_request_error",
                                                                  "message": "the script has no more turns"}}}
        return next(turns, none)


class Scene:
    def __init__(self, postern, directory, config=None, environment=None, wrapper=(), wire="messages"):
        self.wire = wire
        self.scripts = Scripts()
        self.provider = Provider(self.scripts)
        self.provider.__enter__()
        prefix = {"messages": "ANTHROPIC", "chat": "OPENAI"}[wire]
        base = self.provider.url + ("/v1" if wire == "chat" else "")
        variables = {f"{prefix}_BASE_URL": base, f"{prefix}_API_KEY": PROVIDER_KEY}
        models = {"providers": [{"name": "stand-in", "dialect": wire}],
                  "models": [{"id": MODEL, "provider": "stand-in", "context_window": 200_000}]}
        self.server = Server(postern, directory, {**models, **(config or {})}, {**variables, **(environment or {})}, wrapper)

    def start(self):
        self.server.start()
        return self

    def close(self):
        try:
            self.server.close()
        finally:
            self.provider.__exit__()
        assert PROVIDER_KEY not in self.server.log, "the provider's key stands in the server's log"

    @property
    def api(self):
        return self.server.api

    @property
    def worker_api(self):
        return self.server.worker_api

    def agent(self, turns=(), tools=TOOLS, **more):
        """An agent whose model says these turns; a dict as the server gave it."""
        script = self.scripts.add(turns)
        return self.api.good("POST", "/v1/agents", {"name": script, "model": MODEL, "system": f"You are {script}.",
                                                    "tools": tools, **more})

    def asked(self, agent):
        """The requests that the model got for this agent."""
        return self.scripts.asked[int(agent["name"].removeprefix("script-"))]

    def session(self, agent, text=None, environment=None, **more):
        """A session of this agent, with a first message if one is given; a dict as the server gave it."""
        body = {"agent": agent["id"], "environment_id": environment or self.server.environment_id, **more}
        if text is not None:
            body["initial_events"] = [message(text)]
        return self.api.good("POST", "/v1/sessions", body)

    def send(self, session, *events, api=None):
        return (api or self.api).good("POST", f"/v1/sessions/{session['id']}/events", {"events": list(events)})["data"]

    def events(self, session, **query):
        return self.api.all(f"/v1/sessions/{session['id']}/events", {"limit": 1000, **query})

    def wait(self, session, wanted, after=()):
        """The events of the session up to the first for which wanted(event) holds, those in `after` left out."""
        match = wanted if callable(wanted) else lambda event: event["type"] == wanted
        known, found = {event["id"] for event in after}, []
        with self.api.stream(session["id"]) as stream:
            assert stream.status == 200, stream.answer.read()
            history = [event for event in self.events(session) if event["processed_at"] is not None]
            for event in itertools.chain(history, iter(stream.next, None)):
                if event["id"] not in known:
                    known.add(event["id"])
                    found.append(event)
                    if match(event):
                        return found
        raise AssertionError(f"the stream ended before {wanted}: {[event['type'] for event in found]}")

    def environment(self, **more):
        """A new environment and a key for it: (id, key)."""
        made = self.api.good("POST", "/v1/environments", {"name": "one more", "config": {"type": "self_hosted"}, **more})
        key = self.api.good("POST", f"/v1/environments/{made['id']}/keys", {"name": "a test"})
        return made["id"], key["key"]

    def claim(self, environment, key, ack=True):
        """Takes the next work item as a worker does: (work, calls with its token)."""
        api = Api(self.server.url, key)
        for _ in range(30):  # each waits for up to a second
            work = api.good("GET", f"/v1/environments/{environment}/work/poll", query={"block_ms": 999})
            if work is not None:
                break
        assert work is not None, "no work came"
        if ack:
            api.good("POST", f"/v1/environments/{environment}/work/{work['id']}/ack")
        return work, Api(self.server.url, token_of(work))

    def blocked(self, command="true", tools=TOOLS, turns=(), text="go", **more):
        """A session in an environment of its own that waits for the result of one bash call."""
        agent = self.agent([bash(command), *(turns or [says("done")])], tools)
        environment, key = self.environment(**more)
        session = self.session(agent, text, environment)
        events = self.wait(session, idle("requires_action"))
        call = of_type(events, "agent.tool_use")[-1]["id"]
        return Blocked(self, agent, environment, key, session, call, events)


class Blocked:
    def __init__(self, scene, agent, environment, key, session, call, events):
        self.scene, self.agent, self.environment, self.key = scene, agent, environment, key
        self.session, self.call, self.events = session, call, events

    @property
    def api(self):
        """Calls with the environment's key."""
        return Api(self.scene.server.url, self.key)

    def claim(self, ack=True):
        return self.scene.claim(self.environment, self.key, ack)

    def mark(self):
        """What a worker says before it runs the call; the hash is of the arguments as they stand in the event."""
        (call,) = [event for event in self.events if event["id"] == self.call]
        arguments = json.dumps(call["input"], ensure_ascii=False, separators=(",", ":")).encode()
        return {"id": self.call, "state": "started", "arguments_sha256": hashlib.sha256(arguments).hexdigest(), "attempt": 1}

    def work_path(self, work, *more):
        return "/".join([f"/v1/environments/{self.environment}/work/{work['id']}", *more])

    def beat(self, api, work, expected="NO_HEARTBEAT", headers=None, **query):
        return api.post(self.work_path(work, "heartbeat"), None, {"expected_last_heartbeat": expected, **query}, headers)
