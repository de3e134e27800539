"""Contract 10.2: the audit log and its chain."""

import hashlib
import json
import os
import re
import stat
import time

import pytest

from box import settings_of

KINDS = {"start", "net", "request", "file", "unix", "syscall", "limit", "prompt", "config", "degraded", "end"}


def audited(box, script, name="audit.jsonl", **settings):
    """Runs a script with an audit file; gives (result, records)."""
    box.settings(**settings)
    path = box.etc / name
    done = box.sh(script, options=["--audit-file", str(path)])
    return done, [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_has_a_start_and_an_end(box):
    done, records = audited(box, "exit 7")
    assert done.code == 7
    assert records[0]["kind"] == "start" and records[-1]["kind"] == "end"
    assert {r["kind"] for r in records} <= KINDS


def test_every_record_has_its_fields(box):
    _, records = audited(box, f"curl -s --noproxy '' http://denied.example/ >/dev/null; echo x >{box.outside}/f")
    assert [r["seq"] for r in records] == list(range(records[0]["seq"], records[0]["seq"] + len(records)))
    assert len({r["run"] for r in records}) == 1
    for record in records:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(Z|[+-]\d\d:\d\d)", record["ts"])


def test_the_start_names_settings_layers_and_versions(box):
    _, records = audited(box, "true")
    text = json.dumps(records[0])
    assert hashlib.sha256(box.settings_file.read_bytes()).hexdigest() in text
    for layer in ("landlock", "seccomp", "namespaces"):
        assert layer in text


def test_the_start_has_the_hash_of_the_plan_that_explain_prints(box):
    """The plan names the host's unix sockets, and other tests make some: it must stand still meanwhile."""
    log = ["--audit-file", str(box.etc / "audit.jsonl")]
    audited(box, "true", deny_read=[box.outside])
    for _ in range(100):
        before = box.run(options=["--explain=json", *log]).raw_out
        _, records = audited(box, "true", deny_read=[box.outside])
        if box.run(options=["--explain=json", *log]).raw_out == before:
            break
    started = [r for r in records if r["kind"] == "start"]
    assert started[-1]["plan_sha256"] == hashlib.sha256(before.rstrip(b"\n")).hexdigest()


def test_the_end_has_the_status(box):
    _, records = audited(box, "exit 7")
    assert records[-1]["status"] == 7


def test_a_refused_connection(box):
    _, records = audited(box, "curl -s --noproxy '' 'http://denied.example/path?token=hush#frag' >/dev/null")
    nets = [r for r in records if r["kind"] in ("net", "request") and r["decision"] == "deny"]
    assert nets and nets[0]["layer"] == "proxy" and "denied.example:80" in nets[0]["object"]
    assert "hush" not in json.dumps(records)


def test_the_entry_that_decided_is_named_with_its_place(box, web):
    script = f"curl -s --noproxy '' http://localhost:{web.port}/ http://b.example/ >/dev/null"
    _, records = audited(box, script, allowed=["a.example", "localhost"], denied=["a.example", "x.example", "*.c.example:80", "b.example"])
    rules = [(r["decision"], r["rule"]) for r in records if r["kind"] == "net"]
    assert rules == [("allow", "network.allowedDomains[1] (localhost)"), ("deny", "network.deniedDomains[3] (b.example)")]


def test_an_allowed_connection(box, web):
    _, records = audited(box, f"curl -s --noproxy '' http://localhost:{web.port}/", allowed=["localhost"])
    assert [r["object"] for r in records if r["kind"] in ("net", "request") and r["decision"] == "allow"][:1] == \
        [f"localhost:{web.port}"]


def test_a_refused_file(box):
    _, records = audited(box, "echo x >.bashrc")
    files = [r for r in records if r["kind"] == "file" and r["decision"] == "deny"]
    assert files and files[0]["object"].endswith("/.bashrc") and files[0]["errno"] in (1, 13, 30, "EPERM", "EACCES", "EROFS")


def test_no_secret_is_in_it(box, web):
    done, records = audited(box, f"echo $HTTP_PROXY; curl -s --noproxy '' -H 'Authorization: Bearer hush-hush' "
                                 f"-d body-hush http://localhost:{web.port}/", allowed=["localhost"])
    token = re.search(r":([0-9a-f]{32})@", done.out).group(1)
    # The text of the command itself is the caller's, and stands in the start record and the subject.
    for record in records:
        assert token not in json.dumps(record)
        record.pop("subject", None)
        assert "hush" not in json.dumps(record) or record["kind"] == "start"


def test_the_mode_of_the_file(box):
    audited(box, "true")
    assert stat.S_IMODE(os.stat(box.etc / "audit.jsonl").st_mode) == 0o600


def test_the_chain(box):
    """Each record carries the SHA-256 of the line before it."""
    audited(box, f"for i in 1 2 3 4 5; do echo x >{box.outside}/n$i; done")
    lines = (box.etc / "audit.jsonl").read_bytes().splitlines()
    for before, line in zip(lines, lines[1:]):
        assert hashlib.sha256(before).hexdigest() in line.decode() or \
            hashlib.sha256(before + b"\n").hexdigest() in line.decode()


def verify(box, path=None, input=None):
    arguments = [str(path)] if path else []
    return box.outer(box.program, "audit", "verify", *arguments, input=input)


def test_verify_takes_a_whole_log(box):
    audited(box, "true")
    assert verify(box, box.etc / "audit.jsonl").code == 0


def test_two_runs_in_one_file_are_one_chain(box):
    audited(box, "true")
    audited(box, "true")
    path = box.etc / "audit.jsonl"
    assert verify(box, path).code == 0
    assert [json.loads(line)["kind"] for line in path.read_text().splitlines()].count("start") == 2


@pytest.mark.parametrize("break_it", ["remove", "change", "swap", "first"])
def test_verify_sees_what_was_done_to_it(box, break_it):
    audited(box, f"for i in 1 2 3; do echo x >{box.outside}/n$i; sleep 0; done; curl -s --noproxy '' http://a.example/")
    path = box.etc / "audit.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    assert len(lines) >= 4
    if break_it == "remove":
        del lines[2]
    elif break_it == "change":
        lines[1] = lines[1].replace("deny", "okay", 1) if "deny" in lines[1] else lines[1].replace('"seq"', '"seq "', 1)
    elif break_it == "swap":
        lines[1], lines[2] = lines[2], lines[1]
    else:
        lines[0] = lines[0].replace("start", "begin", 1)
    path.write_text("".join(lines))
    done = verify(box, path)
    assert done.code != 0 and re.search(r"\d", done.out + done.err)


def test_verify_of_nonsense_and_of_nothing(box):
    assert verify(box, box.write("etc/nonsense", "hello\n")).code != 0
    assert verify(box, box.etc / "absent").code != 0


def test_a_descriptor_gets_the_lines(box):
    box.settings()
    read_end, write_end = os.pipe()
    box.run("true", options=["--audit-fd", str(write_end)], pass_fds=[write_end])
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        kinds = [json.loads(line)["kind"] for line in pipe]
    assert kinds[0] == "start" and kinds[-1] == "end"


def test_the_command_does_not_hold_the_descriptor(box):
    box.settings()
    read_end, write_end = os.pipe()
    done = box.sh("ls /proc/self/fd", options=["--audit-fd", str(write_end)], pass_fds=[write_end])
    os.close(write_end)
    os.close(read_end)
    assert set(done.ok().split()) <= {"0", "1", "2", "3"}


def test_a_log_inside_an_allowed_write_path_is_refused(box):
    done = box.run("echo", "ran", options=["--audit-file", str(box.ws / "audit.jsonl")])
    assert done.code != 0 and done.out == "" and not (box.ws / "audit.jsonl").exists()


def test_a_log_that_cannot_be_written_is_refused(box):
    done = box.run("echo", "ran", options=["--audit-file", "/no/such/directory/audit.jsonl"])
    assert done.code != 0 and done.out == "" and "audit" in done.err


def test_equal_events_are_folded(box):
    _, records = audited(box, f"for i in $(seq 1 300); do echo x >{box.outside}/same; done 2>/dev/null")
    files = [r for r in records if r["kind"] == "file" and r["decision"] == "deny"]
    assert sum(r.get("count", 1) for r in files) == 300 and len(files) < 100


def test_names_with_newlines_stay_one_record(box):
    _, records = audited(box, f"echo x >\"{box.outside}/$(printf 'a\\n{{\"kind\":\"end\"}}')\"; true")
    assert [r["kind"] for r in records].count("end") == 1


def test_ignored_violations_are_marked(box):
    _, records = audited(box, "curl -s --noproxy '' http://denied.example/ >/dev/null",
                         ignoreViolations={"*": ["denied.example"]})
    assert [r.get("ignored") for r in records if r.get("decision") == "deny"] == [True]


def test_a_live_update_is_recorded(box, web):
    box.settings(allowed=["localhost"])
    path = box.etc / "audit.jsonl"
    read_end, write_end = os.pipe()
    child = box.start("sh", "-c", "echo ready; read x", options=["--audit-file", str(path), "--control-fd", str(read_end)],
                      pass_fds=[read_end], stdin=-1)
    assert box.line(child) == "ready"
    os.write(write_end, json.dumps(settings_of(allow_write=[box.ws])).encode() + b"\n")
    deadline = time.monotonic() + 60
    while '"config"' not in path.read_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    box.finish(child, "go\n")
    os.close(read_end)
    os.close(write_end)
    assert "config" in [json.loads(line)["kind"] for line in path.read_text().splitlines()]
