"""Contract 10.2: what Landlock refuses stands in the audit log, where the kernel's own log may be read."""

import contextlib
import json
import os
import socket
import struct
import subprocess
import time

import pytest

from box import PATH, TIMEOUT

GET, SET, ADD_RULE, DELETE_RULE = 1000, 1001, 1011, 1012
# flags: at the birth of a task; action: never; no field; every call; no values; no strings
NEVER_TASK = struct.pack("=3I", 1, 0, 0) + b"\xff" * 256 + b"\0" * 772


def ask_kernel(kind, body=b"", answer=2):
    """One request about auditing; gives the body of the answer of this type, or raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9) as s:
        s.settimeout(10)  # a bound for a hang
        s.bind((0, 0))
        s.send(struct.pack("=IHHII", 16 + len(body), kind, 5, 1, 0) + body)
        while True:
            message = s.recv(9000)
            kind = struct.unpack_from("=H", message, 4)[0]
            number = struct.unpack_from("=i", message, 16)[0]
            if kind == 2 and number:
                raise OSError(-number, "the kernel refuses")
            if kind == answer:
                return message[16:]


def is_enabled():
    return struct.unpack_from("=2I", ask_kernel(GET, answer=GET))[1] != 0


def enable(on):
    ask_kernel(SET, struct.pack("=10I", 1, int(on), *[0] * 8))


@contextlib.contextmanager
def without_rule():
    """Processes that are born meanwhile are audited, so that their calls stand in the log."""
    ask_kernel(DELETE_RULE, NEVER_TASK)
    try:
        yield
    finally:
        ask_kernel(ADD_RULE, NEVER_TASK)


@pytest.fixture(scope="module")
def auditing():
    """Auditing is on. Says whether it was on before.

    It is the whole machine's, so the test switches it on only where it is told that it may: once it has been on,
    every call of every new process takes longer until the next boot, unless the rule is there that no process is
    audited from its birth on. So the rule is made first, and stays."""
    try:
        was_on = is_enabled()
        if not was_on and os.environ.get("POSTERN_TEST_AUDITING") != "1":
            pytest.skip("auditing is off; POSTERN_TEST_AUDITING=1 lets the test switch it on")
        if not was_on:
            with contextlib.suppress(FileExistsError):
                ask_kernel(ADD_RULE, NEVER_TASK)
            enable(True)
    except OSError as error:
        pytest.skip(f"auditing cannot be switched on here: {error}")
    yield was_on
    if not was_on:
        enable(False)


def run(box, script, options=()):
    """The audit log of a run: its start, and what Landlock refused."""
    path = box.etc / f"audit-{time.monotonic_ns()}.jsonl"
    done = box.sh(script, options=["--audit-file", str(path), *options])
    records = [json.loads(line) for line in path.read_text().splitlines()]
    if records[0]["landlock_audit"].startswith("off: Linux"):
        pytest.skip(records[0]["landlock_audit"])
    assert done.code == 0, repr(done)
    verdict = subprocess.run([box.program, "audit", "verify", path], capture_output=True, timeout=TIMEOUT)
    assert verdict.returncode == 0
    return records[0], [r for r in records if r.get("layer") == "landlock"]


def run_without_warden(box, script):
    """Calls that the warden would judge come to Landlock."""
    shown = box.run("true", options=["--disable-layer=seccomp"])
    if shown.code == 2:
        pytest.skip("this build has no --disable-layer (meson -Ddebug_layers=true)")
    return run(box, script, ["--disable-layer=seccomp"])


def make_later_file(box, command):
    """A file that comes beside a hidden one after the start has no rule: the outer domain refuses it."""
    hidden = box.write("outside/hidden", "hidden\n")
    later = box.outside / "later"
    box.settings(deny_read=[hidden])
    (box.ws / "there").unlink(missing_ok=True)
    log = box.etc / f"audit-{time.monotonic_ns()}.jsonl"
    script = f"touch started; while ! [ -e there ]; do sleep 0.02; done; {command} {later}; true"
    child = box.start("sh", "-c", script, options=["--audit-file", str(log)])
    deadline = time.monotonic() + TIMEOUT
    while not (box.ws / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    later.write_text("later\n")
    box.write("ws/there")
    _, err = child.communicate(timeout=TIMEOUT)
    assert child.returncode == 0 and b"Permission denied" in err
    return later, [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.identity("root")
def test_a_denial_of_the_outer_domain_is_recorded(box, auditing):
    later, records = make_later_file(box, "cat")
    start = records[0]
    if start["landlock_audit"] != "on":
        pytest.skip(start["landlock_audit"])
    denied = [r for r in records if r.get("layer") == "landlock"]
    assert [(r["kind"], r["decision"], r["object"], r["errno"], r["blockers"]) for r in denied] == [
        ("file", "deny", str(later), 13, "fs.read_file")]


@pytest.mark.identity("root")
def test_denials_of_the_inner_domain_are_recorded_and_equal_ones_folded(box, auditing):
    start, denied = run_without_warden(box, "mkdir d; for i in 1 2 3 4 5; do echo x >f; done; true")
    assert start["landlock_audit"] == "on" and start["layers"]["landlock"] == "on"
    assert {r["object"] for r in denied if r["blockers"] == "fs.make_dir"} == {str(box.ws)}
    assert sum(r["count"] for r in denied if r["blockers"] == "fs.make_reg") == 5


@pytest.mark.identity("root")
def test_a_denial_just_before_the_end_is_recorded(box, auditing):
    for _ in range(10):
        _, denied = run_without_warden(box, "mkdir d; true")
        assert denied


@pytest.mark.identity("root")
def test_a_name_stands_in_the_log_as_its_bytes(box, auditing):
    strange = box.write('ws/a b"\n\u202e domain=1 path="x"', "text")
    _, denied = run_without_warden(box, 'for name in a*; do echo x >"$name"; done; true')
    assert str(strange) in {r["object"] for r in denied}


@pytest.mark.identity("root")
def test_the_call_says_who_and_what(box, auditing):
    with contextlib.nullcontext() if auditing else without_rule():
        _, denied = run_without_warden(box, "mkdir d; true")
    made = [r for r in denied if r["blockers"] == "fs.make_dir"]
    assert len(made) == 1 and made[0]["errno"] == 13
    who = made[0]["subject"]
    assert who["argv0"] == "mkdir" and who["exe"].endswith("/mkdir") and who["pid_outside"] > who["pid"] > 1


@pytest.mark.identity("root")
def test_each_of_several_runs_has_its_own_denials_only(box, auditing):
    run_without_warden(box, "true")
    places = [box.write(f"ws/{n}/file").parent for n in range(3)]
    logs = [box.etc / f"run-{n}.jsonl" for n in range(3)]
    children = [box.start("sh", "-c", "for i in 1 2 3; do mkdir d$i; sleep 0.1; done; true", cwd=place,
                          options=["--audit-file", str(log), "--disable-layer=seccomp"])
                for place, log in zip(places, logs)]
    for child in children:
        child.communicate(timeout=TIMEOUT)
    for place, log in zip(places, logs):
        denied = [r for r in map(json.loads, log.read_text().splitlines()) if r.get("layer") == "landlock"]
        made = [r for r in denied if r["blockers"] == "fs.make_dir"]
        assert {r["object"] for r in made} == {str(place)} and sum(r["count"] for r in made) == 3


@pytest.mark.identity("root")
def test_a_flood_ends_and_leaves_few_records(box, auditing):
    script = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo x >n$i; done 2>&-; true"
    _, denied = run_without_warden(box, script)
    assert 0 < len(denied) < 300


@pytest.mark.identity("plain")
def test_without_the_right_to_read_the_kernels_log_the_start_says_so(box):
    start, denied = run(box, "true")
    assert start["landlock_audit"] == "off: CAP_AUDIT_READ is needed" and not denied
    assert start["layers"]["landlock"] == "on"


def doctor(box, *words):
    done = subprocess.run([*words, box.program, "doctor", "--json"], capture_output=True, timeout=TIMEOUT, cwd="/",
                          env={"PATH": PATH, "HOME": "/"})
    state = json.loads(done.stdout)["landlockAudit"]
    if state.startswith("off: Linux"):
        pytest.skip(state)
    return state


@pytest.mark.identity("root")
def test_the_doctor_says_whether_the_source_is_there(box, auditing):
    assert doctor(box) == "on"
    assert doctor(box, "unshare", "-n") == "off: not in the initial network namespace"
    assert doctor(box, "unshare", "-pf", "--mount-proc") == "off: not in the initial pid namespace"
    less = "-audit_control"
    assert doctor(box, "setpriv", f"--bounding-set={less}", f"--inh-caps={less}").startswith("on, if auditing is")
    if not auditing:
        enable(False)
        try:
            assert doctor(box).startswith("off: auditing is switched off")
        finally:
            enable(True)
