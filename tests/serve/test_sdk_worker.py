"""The official environment worker, unmodified, serving sessions of this server; its tools do real work."""

import concurrent.futures
import subprocess

import pytest

from scene import ASK, bash, calls, idle, message, of_type, says, texts

SHORT = {"maxIdleMs": 300}


def confirm(call, verdict="allow", **more):
    return {"type": "user.tool_confirmation", "tool_use_id": call, "result": verdict, **more}


def results(events):
    """{id of the call: (text, is_error)} of what workers answered."""
    return {event["tool_use_id"]: (event["content"][0]["text"], bool(event.get("is_error")))
            for event in of_type(events, "user.tool_result")}


def answers(events):
    """The texts of the results in the order of their calls."""
    found = results(events)
    return [found[call["id"]][0] for call in of_type(events, "agent.tool_use") if call["id"] in found]


@pytest.fixture
def place(tmp_path):
    made = tmp_path / "scratch"
    made.mkdir()
    return made


class Queue:
    """An environment of its own for one test, with sessions and workers in it."""

    def __init__(self, scene, worker):
        self.scene, self.worker_of = scene, worker
        self.environment, self.key = scene.environment()

    def session(self, turns, tools=None, text="go"):
        agent = self.scene.agent(turns, tools or [{"type": "agent_toolset_20260401"}])
        return self.scene.session(agent, text, self.environment)

    def worker(self, place, **options):
        return self.worker_of(self.scene, place, self.environment, self.key, **{**SHORT, **options})


@pytest.fixture
def line(scene, worker):
    return Queue(scene, worker)


def test_all_its_file_tools_work_on_real_files(scene, line, place):
    session = line.session([
        calls(("write", {"file_path": "notes/a.txt", "content": "eins\nzwei\n"})),
        calls(("read", {"file_path": "notes/a.txt"}), ("bash", {"command": "wc -l < notes/a.txt"})),
        calls(("edit", {"file_path": "notes/a.txt", "old_string": "zwei", "new_string": "zwölf"})),
        calls(("grep", {"pattern": "zw"}), ("glob", {"pattern": "**/*.txt"})),
        says("all done")])
    line.worker(place)
    events = scene.wait(session, idle("end_turn"))
    texts_in_order = answers(events)
    assert texts_in_order[0].startswith("wrote 10 bytes") and texts_in_order[1] == "eins\nzwei\n"
    assert texts_in_order[2] == "2" and "1 replacement" in texts_in_order[3]
    assert "zwölf" in texts_in_order[4] and texts_in_order[5].endswith("notes/a.txt")
    assert (place / "notes/a.txt").read_text() == "eins\nzwölf\n" and texts(events)[-1] == "all done"
    assert not any(is_error for _, is_error in results(events).values())


def test_the_shell_keeps_its_state_between_calls(scene, line, place):
    session = line.session([bash("cd /tmp; word=hello"), bash("echo $word in $PWD"), says("done")])
    line.worker(place)
    assert answers(scene.wait(session, idle("end_turn")))[1] == "hello in /tmp"


def test_a_repository_is_worked_on(scene, line, place):
    subprocess.run(["git", "init", "-q", place], check=True)
    session = line.session([
        bash("git config user.email a@b.example && git config user.name A && echo x >f && git add f && git commit -qm one"),
        bash("git log --oneline | wc -l"), says("done")])
    line.worker(place)
    assert answers(scene.wait(session, idle("end_turn")))[1] == "1"
    log = subprocess.run(["git", "-C", place, "log", "--format=%s"], capture_output=True, text=True)
    assert log.stdout == "one\n"


def test_a_failing_command_is_an_error_that_the_model_sees(scene, line, place):
    session = line.session([bash("echo no; exit 3"), bash("echo still here"), says("done")])
    line.worker(place)
    events = scene.wait(session, idle("end_turn"))
    assert [is_error for _, is_error in results(events).values()] == [True, False]


def test_its_requests_come_in_the_order_of_the_contract(scene, line, place):
    session = line.session([bash("true"), says("done")])
    scene.wait(session, idle("requires_action"))
    worker = line.worker(place)
    worker.wait_for(lambda row: row["path"].endswith("/stop"), "the stop of the item")
    rows = [(row["method"].upper(), row["path"].split("?")[0].rsplit("/", 1)[-1], row["credential"], row["status"])
            for row in worker.rows]
    assert rows[0][:3] == ("GET", "poll", "env") and rows[1][:3] == ("POST", "ack", "env")
    assert {row[2] for row in rows[2:] if row[1] != "poll"} == {"req"}, "the token of the item is used for all of it"
    order = [name for _, name, _, _ in rows]
    assert order.index("heartbeat") < order.index("stream") < order.index("events")
    assert order[-1] == "stop" and all(status == 200 for *_, status in rows)


def test_an_asked_call_runs_only_after_the_yes(scene, line, place):
    session = line.session([bash("touch ran"), says("done")], ASK)
    worker = line.worker(place)
    events = scene.wait(session, idle("requires_action"))
    (call,) = of_type(events, "agent.tool_use")
    worker.wait_for(lambda row: "events?limit=1000" in row["path"])
    assert not (place / "ran").exists()
    scene.send(session, confirm(call["id"]))
    scene.wait(session, idle("end_turn"))
    assert (place / "ran").exists()


def test_a_denied_call_never_runs_and_its_worker_says_nothing(scene, line, place):
    session = line.session([bash("touch ran"), says("I see")], ASK)
    worker = line.worker(place)
    (call,) = of_type(scene.wait(session, idle("requires_action")), "agent.tool_use")
    worker.wait_for(lambda row: "events?limit=1000" in row["path"])
    scene.send(session, confirm(call["id"], "deny", deny_message="no"))
    events = scene.wait(session, idle("end_turn"))
    worker.wait_for(lambda row: row["path"].endswith("/stop"))
    assert not (place / "ran").exists() and not worker.made("POST", f"/v1/sessions/{session['id']}/events")
    assert texts(events) == ["I see"]


def test_an_interrupt_while_a_tool_runs_ends_the_turn_and_the_late_result_changes_nothing(scene, line, place):
    session = line.session([bash("touch started; while ! test -e go; do read -t 0.05 x </dev/zero || true; done; echo late"),
                            says("again")])
    worker = line.worker(place)
    first = scene.wait(session, idle("requires_action"))
    wait_for_file(place / "started", worker)
    scene.send(session, {"type": "user.interrupt"})
    second = scene.wait(session, idle("end_turn"), first)
    (place / "go").touch()
    scene.send(session, message("go on"))
    third = scene.wait(session, idle("end_turn"), first + second)
    assert texts(third) == ["again"]
    assert len(of_type(scene.events(session), "user.tool_result")) == 1


def wait_for_file(path, worker):
    """Waits for a file that a tool makes: the tool's own sign of life, seen by looking."""
    subprocess.run(["sh", "-c", 'n=0; while ! test -e "$1" && [ $n -lt 600 ]; do sleep 0.05; n=$((n+1)); done; test -e "$1"',
                    "sh", path], check=True)
    assert worker.process.poll() is None, worker.log


def test_two_workers_at_one_queue_share_it(scene, line, tmp_path):
    places = [tmp_path / "one", tmp_path / "two"]
    for one in places:
        one.mkdir()
    # Each call waits until the other session's call runs too, so that one worker alone could never do it.
    wait = "touch ../mark-{0}; n=0; while ! test -e ../mark-{1} && [ $n -lt 600 ]; do sleep 0.05; n=$((n+1)); done; ls .."
    sessions = [line.session([bash(wait.format(mine, other)), says("done")]) for mine, other in ((1, 2), (2, 1))]
    workers = [line.worker(one) for one in places]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for events in pool.map(lambda one: scene.wait(one, idle("end_turn")), sessions):
            assert "mark-1" in answers(events)[0] and "mark-2" in answers(events)[0]
    assert all(worker.made("POST", "/ack") for worker in workers)


def test_one_worker_serves_session_after_session(scene, line, place):
    worker = line.worker(place)
    for word in ("one", "two", "three"):
        session = line.session([bash(f"echo {word}"), says("done")])
        assert answers(scene.wait(session, idle("end_turn"))) == [word]
    assert len(worker.made("POST", "/ack")) >= 2


def test_a_message_after_the_worker_left_brings_it_back(scene, line, place):
    session = line.session([bash("echo one"), says("one"), bash("echo two"), says("two")])
    worker = line.worker(place)
    first = scene.wait(session, idle("end_turn"))
    worker.wait_for(lambda row: row["path"].endswith("/stop"))
    scene.send(session, message("more"))
    assert answers(scene.wait(session, idle("end_turn"), first)) == ["two"]
    assert len(worker.made("POST", "/ack")) == 2


def test_a_worker_that_is_asked_to_end_gives_its_item_up_and_another_goes_on(scene, line, tmp_path):
    places = [tmp_path / "one", tmp_path / "two"]
    for one in places:
        one.mkdir()
    session = line.session([bash("touch started; until test -e go; do sleep 0.05; done"), says("done")])
    first = line.worker(places[0])
    scene.wait(session, idle("requires_action"))
    wait_for_file(places[0] / "started", first)
    assert first.stop() == 0 and first.made("POST", "/stop")
    (places[1] / "go").touch()
    line.worker(places[1])
    scene.wait(session, idle("end_turn"))
    assert (places[1] / "started").exists()


def test_a_killed_workers_session_goes_on_with_another_after_its_lease(own, worker, tmp_path):
    scene = own(config={"work": {"lease_seconds": 10}})
    line = Queue(scene, worker)
    places = [tmp_path / "one", tmp_path / "two"]
    for one in places:
        one.mkdir()
    session = line.session([bash("touch started; until test -e go; do sleep 0.05; done; echo ran"), says("done")])
    first = line.worker(places[0])
    scene.wait(session, idle("requires_action"))
    wait_for_file(places[0] / "started", first)
    first.kill()
    for one in places:
        (one / "go").touch()  # in the first place for the shell, which has a process group of its own and lives on
    line.worker(places[1])
    events = scene.wait(session, idle("end_turn"))
    assert answers(events) == ["ran"] and (places[1] / "started").exists()


def test_a_worker_outlives_a_restart_of_the_server(own, worker, place):
    scene = own()
    line = Queue(scene, worker)
    session = line.session([bash("touch started; until test -e go; do sleep 0.05; done; echo done >>count"), says("done")])
    one = line.worker(place)
    scene.wait(session, idle("requires_action"))
    wait_for_file(place / "started", one)
    scene.server.kill()
    scene.server.restart()
    (place / "go").touch()
    scene.wait(session, idle("end_turn"))
    assert (place / "count").read_text() == "done\n", "the call ran once"


def test_a_worker_with_a_revoked_key_ends_by_itself(scene, line, place):
    keys = scene.api.all(f"/v1/environments/{line.environment}/keys")
    worker = line.worker(place)
    worker.wait_for(lambda row: "/poll" in row["path"])
    for key in keys:
        scene.api.good("DELETE", f"/v1/environments/{line.environment}/keys/{key['id']}")
    assert worker.finish() == 1 and "401" in worker.log


def test_the_parents_key_never_goes_over_the_wire(scene, line, place):
    session = line.session([bash("env | grep -c ANTHROPIC_ENVIRONMENT_KEY"), says("done")])
    worker = line.worker(place)
    events = scene.wait(session, idle("end_turn"))
    assert "other" not in {row["credential"] for row in worker.rows}
    assert answers(events)[0].startswith("0")
