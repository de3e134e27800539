"""The state directory in trouble: a full disk, a database that is locked, damaged or newer than the program."""

import os
import pathlib
import sqlite3
import subprocess
import sys

import pytest

from scene import idle, message, says, texts
from server import Server, in_session

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")


def small_disk(directory):
    """A wrapper that gives the server's state directory a disk of 24 MiB, seen by it alone."""
    directory.mkdir(parents=True, exist_ok=True)
    return ["unshare", "-m", "sh", "-c", f'mount -t tmpfs -o size=24m,mode=700 small "{directory}" && exec "$@"', "sh"]


def inside(scene, command):
    """Runs a shell command where the server sees its disk."""
    subprocess.run(["nsenter", "-m", "-t", str(scene.server.pid()), "sh", "-c", command], check=True)


@needs_root
def test_a_full_disk_is_a_clear_error_and_its_end_the_end_of_the_trouble(own, tmp_path):
    scene = own(wrapper=small_disk(tmp_path / "server-0" / "state"))
    state = scene.server.state
    agent = scene.agent([says("one"), says("two")])
    session = scene.session(agent, "hi")
    before = scene.wait(session, idle("end_turn"))
    inside(scene, f'cat /dev/zero >"{state}/filler" 2>/dev/null || true')
    answer, tries = None, 0
    while (answer is None or answer.status == 200) and tries < 50:
        tries += 1
        answer = scene.api.post("/v1/agents", {"name": "x", "model": "stand-in", "description": "y" * 2000,
                                               "system": "z" * 90_000})
    assert answer.status in (500, 503, 529) and answer.json["type"] == "error", answer
    assert "No space" not in answer.error[1] or str(state) not in answer.error[1]
    assert scene.events(session) == before, "what is stored can still be read"
    assert scene.api.get("/readyz").status == 503
    inside(scene, f'rm "{state}/filler"')
    scene.send(session, message("again"))
    assert texts(scene.wait(session, idle("end_turn"), before)) == ["two"]
    assert scene.api.get("/readyz").status == 200


def database(server):
    found = [path for path in pathlib.Path(server.state).rglob("*") if path.is_file()
             and path.read_bytes()[:15] == b"SQLite format 3"]
    assert len(found) == 1, found
    return found[0]


def ends(server):
    """Starts a server that must refuse to; gives what it says."""
    with pytest.raises(AssertionError) as caught:
        server.start()
    assert "the server ended with" in str(caught.value) and "ended with 0" not in str(caught.value)
    server.check_nothing_is_left()
    server.process = None
    return str(caught.value)


@pytest.fixture
def stopped(postern, tmp_path):
    """A server that made its state and was stopped."""
    made = Server(postern, tmp_path / "server").start()
    made.stop()
    return made


def test_a_newer_database_is_refused_and_left_alone(stopped):
    with sqlite3.connect(database(stopped)) as connection:
        version = connection.execute("pragma user_version").fetchone()[0]
        connection.execute("pragma user_version = 1000000")
    assert version > 0
    assert "newer" in ends(stopped)
    with sqlite3.connect(database(stopped)) as connection:
        assert connection.execute("pragma user_version").fetchone()[0] == 1_000_000


def test_a_damaged_database_is_refused(stopped):
    path = database(stopped)
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))
    assert "postern" in ends(stopped)


@pytest.mark.parametrize("at", [0, 4096])
def test_the_check_says_that_a_database_is_damaged(stopped, postern, at):
    data = bytearray(database(stopped).read_bytes())
    data[at:at + 2048] = b"\xa5" * 2048
    database(stopped).write_bytes(data)
    done = subprocess.run([postern, "serve", "check", "--state", stopped.state], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 1 and "damaged" in done.stdout, done


def test_a_file_that_is_no_database_is_refused(stopped):
    database(stopped).write_bytes(b"not a database at all\n" * 1000)
    ends(stopped)


def test_a_locked_database_is_waited_for_or_refused_but_nothing_is_lost(own):
    scene = own()
    agent = scene.agent([says("one")])
    # A stranger who holds the write lock for as long as one request takes.
    script = ("import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('begin immediate'); "
              "print('held', flush=True); sys.stdin.read(); c.execute('rollback')")
    with subprocess.Popen([sys.executable, "-c", script, database(scene.server)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as stranger:
        assert stranger.stdout.readline() in ("held\n", "")
        answer = scene.api.post("/v1/agents", {"name": "x", "model": "stand-in"})
        stranger.stdin.close()
    assert answer.status in (200, 500, 503, 529), answer
    session = scene.session(agent, "hi")
    assert texts(scene.wait(session, idle("end_turn"))) == ["one"]


def test_the_state_is_for_its_owner_only(own):
    scene = own()
    for path in [scene.server.state, *scene.server.state.rglob("*"), scene.server.env_file]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_keys_stand_nowhere_in_the_state(own):
    scene = own()
    blocked = scene.blocked()
    work, token = blocked.claim()
    secrets = [scene.server.key, scene.server.environment_key, blocked.key, "provider-key-that-nobody-sees",
               token.credential["authorization"].removeprefix("Bearer ")]
    assert work
    for path in scene.server.state.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        assert not [secret for secret in secrets if secret.encode() in data], path
    assert in_session(scene.server.process.pid)
    for pid, _ in in_session(scene.server.process.pid):
        arguments = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        assert not [secret for secret in secrets if secret.encode() in arguments]
