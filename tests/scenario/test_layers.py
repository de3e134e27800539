"""Contract 11: nothing weaker without saying so."""

import errno
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

from test_doctor import load_filter

LAYERS = ["namespaces", "net", "mount", "landlock", "seccomp", "capabilities", "cgroup", "rlimit", "proxy",
          "transparent", "keyring"]
# What this machine cannot be expected to give to a user without rights.
MAYBE = {"cgroup", "transparent"}


@pytest.mark.parametrize("layer", [name for name in LAYERS if name not in MAYBE])
def test_a_layer_that_is_there_may_be_required(box, layer):
    box.settings(allowed=["localhost"])
    assert box.run("echo", "ran", options=["--require", layer]).ok() == "ran\n"


def test_many_may_be_required_at_once(box):
    box.settings(allowed=["localhost"])
    box.run("true", options=["--require", "landlock,seccomp,namespaces"]).ok()


@pytest.mark.identity("plain")
def test_a_layer_that_is_missing_refuses_when_required(box):
    """A user without rights and without a delegated group has no control group."""
    done = box.run("echo", "ran", options=["--require", "cgroup"])
    if done.code == 0:
        pytest.skip("this machine delegates a control group to its users")
    assert (done.code, done.out) == (125, "") and "cgroup" in done.err


def test_a_layer_that_the_settings_switch_off_is_not_active(box):
    box.settings(allowed=["localhost"], x={"network": {"transparent": False}})
    done = box.run("echo", "ran", options=["--require", "transparent"])
    assert (done.code, done.out) == (125, "") and "transparent" in done.err


@pytest.mark.parametrize("parts, why, cure", [
    ({}, "nothing is allowed and nobody can be asked", "put a host into network.allowedDomains"),
    ({"allowed": ["localhost"], "x": {"network": {"transparent": False}}}, "x.network.transparent is false", "take that out"),
    ({"allowed": ["localhost"], "network": {"httpProxyPort": 9}}, "network.httpProxyPort", "take that key out"),
], ids=["nothing allowed", "transparent is false", "a proxy of the caller's"])
def test_a_required_layer_that_the_settings_leave_out_says_why_and_what_helps(box, parts, why, cure):
    box.settings(**parts)
    done = box.run("echo", "ran", options=["--require=proxy,transparent"])
    assert (done.code, done.out) == (125, ""), repr(done)
    assert "layer transparent is required and is off: " in done.err and why in done.err and cure in done.err, repr(done)


@pytest.mark.parametrize("option", ["--require", "--allow-degraded"])
def test_an_unknown_layer_is_a_usage_error(box, option):
    done = box.run("echo", "ran", options=[f"{option}=walls"])
    assert done.code == 2 and done.out == "" and "walls" in done.err


@pytest.mark.parametrize("layer", ["cgroup", "landlock", "transparent"])
def test_allow_degraded_changes_nothing_where_the_layer_is_there(box, layer):
    box.settings(allow_write=[], allowed=["localhost"])
    done = box.sh("echo x >file", options=[f"--allow-degraded={layer}"])
    assert done.code != 0 and not (box.ws / "file").exists()


# Runs inside a user namespace where no further one may be made.
REFUSED = "echo 0 >/proc/sys/user/max_user_namespaces && exec \"$@\""


def refusing(words):
    return ["unshare", "-Ur", "sh", "-c", REFUSED, "sh", *words]


def without_namespaces(box, script, options=("--allow-degraded=namespaces",), start=False, **more):
    words = refusing([*box.options(options), "--", "sh", "-c", script])
    if start:
        return box.popen(words, **more)
    done = box.outer(*words, **more)
    skip_unless_refused(done.err)
    return done


def skip_unless_refused(err):
    if "cannot create /proc/sys" in err:
        pytest.skip("this kernel does not let a namespace owner set max_user_namespaces")


def inside_pids(box, mark):
    """Processes outside the sandbox's control that carry our mark in their environment."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and mark in open(f"/proc/{entry}/environ", "rb").read():
                found.append(int(entry))
        except OSError:
            pass
    return found


def nothing_left(box, mark):
    deadline = time.monotonic() + 60  # a bound for a hang, no claim about speed
    while inside_pids(box, mark) and time.monotonic() < deadline:
        time.sleep(0.02)
    return inside_pids(box, mark) == []


STAY = "setsid sleep 60 & (setsid sleep 60 &); (trap '' TERM HUP; setsid sh -c 'sleep 60; :' &); "


def test_without_user_namespaces_nothing_runs(box):
    box.settings(allow_write=[])
    done = without_namespaces(box, "echo x >file; echo ran", options=())
    assert (done.code, done.out) == (125, "") and "max_user_namespaces" in done.err


def test_without_user_namespaces_and_accepted_the_file_rules_hold(box):
    box.settings(allow_write=[])
    done = without_namespaces(box, "echo x >file; echo ran")
    assert not (box.ws / "file").exists()
    assert "ran\n" in done.out and "layer namespaces is degraded" in done.err


def test_below_a_container_filter_that_refuses_namespaces_the_run_without_them_works(box, web):
    """As the usual profiles do it: EPERM for the flag, ENOSYS for a call whose flags cannot be seen."""
    new_user = 0x10000000
    rules = [("unshare", errno.EPERM, []), ("clone", errno.EPERM, [(0, 7, new_user, new_user)]),
             ("clone3", errno.ENOSYS, [])]
    box.settings(allowed=["localhost"])
    script = f"echo one >file && cat file; echo x >{box.outside}/new; curl -sS --noproxy '' http://localhost:{web.port}/"
    done = box.run("sh", "-c", script, options=["--allow-degraded=namespaces"], preexec_fn=lambda: load_filter(rules))
    assert done.ok().startswith("one\n") and "layer namespaces is degraded" in done.err
    assert len(web.seen) == 1 and not (box.outside / "new").exists()


def test_forwards_of_ports_need_a_network_of_their_own(box):
    box.settings(x={"network": {"ports": {"in": ["8080:80"]}}})
    done = without_namespaces(box, "echo ran")
    assert (done.code, done.out) == (125, "") and "x.network.ports" in done.err and "take the key out" in done.err


@pytest.mark.parametrize("layer", ["namespaces", "net", "mount"])
def test_a_required_layer_is_not_replaced_by_the_run_without_namespaces(box, layer):
    done = without_namespaces(box, "echo ran", options=["--allow-degraded=namespaces", f"--require={layer}"])
    assert (done.code, done.out) == (125, "") and layer in done.err


def test_accepting_another_layer_does_not_accept_the_lack_of_namespaces(box):
    done = without_namespaces(box, "echo ran", options=["--allow-degraded=landlock,net,mount"])
    assert (done.code, done.out) == (125, "")


def test_without_namespaces_the_workspace_is_writable(box):
    script = "echo one >a && mkdir d && mv a d/b && chmod 640 d/b && touch -d @86400 d/b && cat d/b && rm -r d"
    assert without_namespaces(box, script).ok() == "one\n"


def test_without_namespaces_hidden_files_cannot_be_read(box):
    secret = box.write("outside/secret", "secret\n")
    box.write("home/.ssh/id_rsa", "secret\n")
    box.settings(deny_read=[secret, box.home / ".ssh"])
    done = without_namespaces(box, f"cat {secret}; cat {box.home}/.ssh/id_rsa; ls {box.home}/.ssh;"
                                   f" cat /proc/self/root{secret}; ln {secret} here; cat here;"
                                   f" cat {box.outside}/readable")
    assert done.out == "readable\n"


def test_without_namespaces_nothing_is_written_outside(box):
    target = box.outside / "readable"
    before = target.stat()
    done = without_namespaces(box, f"echo x >{box.outside}/new; echo x >>{target}; rm {target}; mv {target} here;"
                                   f" chmod 777 {target}; chmod 777 {box.outside}; touch {target};"
                                   f" ln -s {target} link; chmod 777 link; echo x >link;"
                                   f" chgrp 0 {target}; exec 5<{target}; chmod 777 /proc/self/fd/5; echo ran")
    assert "ran\n" in done.out and "link" in "".join(p.name for p in box.ws.iterdir())
    after = target.stat()
    assert target.read_text() == "readable\n" and not (box.outside / "new").exists()
    assert (after.st_mode, after.st_mtime_ns, after.st_ctime_ns) == (before.st_mode, before.st_mtime_ns,
                                                                     before.st_ctime_ns)


MARKS = """
import ctypes, os, sys
path = sys.argv[1]
fd = os.open(path, os.O_RDONLY)
for attempt in (lambda: os.fchmod(fd, 0o777), lambda: os.utime(fd, (1, 1)), lambda: os.utime(path, (1, 1)),
                lambda: os.fchown(fd, os.getuid(), os.getgid()), lambda: os.lchown(path, os.getuid(), os.getgid()),
                lambda: os.setxattr(path, "user.x", b"1"), lambda: os.truncate(path, 0)):
    try:
        attempt()
        print("done")
    except OSError as error:
        pass
"""


def test_without_namespaces_no_call_changes_marks_of_files_outside(box):
    script = box.write("ws/marks.py", MARKS)
    assert without_namespaces(box, f"python3 {script} {box.outside}/readable").ok() == ""


def test_without_namespaces_no_way_through_proc_leads_to_files_outside(box):
    other = box.popen(["sleep", "60"], cwd=box.outside)
    done = without_namespaces(box, f"cat /proc/{other.pid}/cwd/readable; chmod 777 /proc/{other.pid}/cwd/readable;"
                                   f" echo x >/proc/{other.pid}/cwd/new; chmod 777 /proc/$PPID/cwd/../outside/readable;"
                                   " cat /proc/$PPID/environ; echo 1 >/proc/$PPID/oom_score_adj; echo ran")
    assert done.out == "ran\n" and sorted(os.listdir(box.outside)) == ["readable"]
    assert (box.outside / "readable").stat().st_mode & 0o777 != 0o777


def test_without_namespaces_links_lead_the_marks_of_no_other_file_astray(box):
    box.write("ws/own", "own\n")
    done = without_namespaces(box, f"ln -s own good && chmod 604 good && ln -s {box.outside}/readable bad;"
                                   " chmod 604 bad; touch -h -d @1 good; chown -h $(id -u) good; echo ran")
    assert done.out == "ran\n" and (box.ws / "own").stat().st_mode & 0o777 == 0o604
    assert (box.ws / "good").lstat().st_mtime == 1 and (box.ws / "own").stat().st_mtime != 1
    assert (box.outside / "readable").stat().st_mode & 0o777 != 0o604


def test_without_namespaces_set_id_bits_are_refused_when_the_settings_say_so(box):
    box.settings(x={"filesystem": {"noSetid": True}})
    box.write("ws/program", "", mode=0o755)
    done = without_namespaces(box, "chmod u+s program; chmod 2755 program; echo ran")
    assert done.out == "ran\n" and (box.ws / "program").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_without_namespaces_signals_reach_the_command(box, number, status):
    # No shell waits for the signal: one may be about to start its next command, and forget it.
    script = box.write("ws/wait.py", "import signal; signal.signal(2, signal.SIG_DFL); print('up', flush=True);"
                                     " signal.pause()")
    child = without_namespaces(box, STAY + f"exec python3 {script}", start=True)
    if box.line(child) != "up":
        pytest.skip("this kernel does not let a namespace owner set max_user_namespaces")
    os.kill(child.pid, number)
    assert box.finish(child).code == status


def test_without_namespaces_the_time_limit_ends_what_ignores_signals(box):
    mark = b"MARK=" + os.urandom(8).hex().encode()
    box.settings(x={"limits": {"wall": 1}})
    done = without_namespaces(box, "trap '' TERM; " + STAY + "sleep 60; sleep 60", env={"MARK": mark[5:].decode()})
    assert done.code == 124 and inside_pids(box, mark) == []


def test_without_namespaces_dangerous_names_are_refused(box):
    box.write("ws/.git/config", "[core]\n")
    done = without_namespaces(box, "echo x >.git/hooks; mkdir -p .git/hooks; echo x >.git/config; echo x >.bashrc;"
                                   " chmod 777 .git/config; mkdir -p sub/.git/hooks; echo ran")
    assert "ran\n" in done.out
    assert (box.ws / ".git/config").read_text() == "[core]\n" and not (box.ws / ".git/hooks").exists()
    assert not (box.ws / ".bashrc").exists() and (box.ws / ".git/config").stat().st_mode & 0o777 != 0o777


def test_without_namespaces_tmpdir_is_private_and_gone_at_the_end(box):
    done = without_namespaces(box, 'echo "$TMPDIR"; stat -c %a "$TMPDIR"; mkdir "$TMPDIR/d"; echo x >"$TMPDIR/d/f";'
                                   ' cat "$TMPDIR/d/f"; chmod 0 "$TMPDIR/d"')
    place, mode, text = done.ok().splitlines()
    assert (mode, text) == ("700", "x") and not os.path.exists(place)


def test_without_namespaces_devices_and_other_terminals_are_out_of_reach(box):
    done = without_namespaces(box, "for f in /dev/sd? /dev/vd? /dev/kmsg /dev/mem /dev/pts/* /dev/ptmx; do"
                                   " head -c1 $f 2>/dev/null; done; echo x >/dev/shm/$$;"
                                   " echo x >/dev/null && head -c2 /dev/zero | wc -c")
    assert done.ok() == "2\n"


DIRECT = """
import socket, sys
port = int(sys.argv[1])
def tcp(address, family=socket.AF_INET):
    socket.socket(family).connect((address, port))
def fast():
    socket.socket().sendto(b"x", socket.MSG_FASTOPEN, ("127.0.0.1", port))
attempts = {
    "loopback": lambda: tcp("127.0.0.1"), "any": lambda: tcp("0.0.0.0"), "other loopback": lambda: tcp("127.0.0.2"),
    "far": lambda: tcp("198.51.100.1"), "mapped": lambda: tcp("::ffff:127.0.0.1", socket.AF_INET6),
    "ip6": lambda: tcp("::1", socket.AF_INET6), "fast open": fast,
    "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "udp6": lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
    "raw": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1),
    "mptcp": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262),
    "server for all": lambda: socket.socket().bind(("0.0.0.0", 0)),
    "server without a name": lambda: socket.socket().listen(),
    "abstract": lambda: socket.socket(socket.AF_UNIX).connect("\\0postern-scenario"),
}
for name, attempt in attempts.items():
    try:
        attempt()
        print(name)
    except OSError:
        pass
"""


def test_without_namespaces_nothing_gets_round_the_proxy(box, echo):
    script = box.write("ws/direct.py", DIRECT)
    with socket.socket(socket.AF_UNIX) as host:
        host.bind("\0postern-scenario")
        host.listen()
        assert without_namespaces(box, f"python3 {script} {echo.port}").ok() == ""
    assert echo.connections == []


def test_without_namespaces_the_proxy_serves_what_is_allowed_and_nothing_else(box, web):
    box.settings(allowed=["localhost"])
    done = without_namespaces(box, f"curl -sS --noproxy '' http://localhost:{web.port}/;"
                                   " curl -sS --noproxy '' -o /dev/null -w '%{http_code}' http://other.example/")
    assert done.ok().endswith("403") and len(web.seen) == 1


AFTER_THE_PROXY = """
import os, re, socket, sys, urllib.request
ports = [int(re.search(r":(\\d+)/?$", os.environ[name]).group(1)) for name in ("HTTP_PROXY", "FTP_PROXY")]
try:
    urllib.request.urlopen("http://denied.example/")  # starts the proxy
except OSError:
    pass
print(*ports, flush=True)
sys.stdin.readline()
for port in ports:
    peer = socket.create_connection(("127.0.0.1", port), 20)
    try:
        print("ended" if peer.recv(1) == b"" else "data")
    except ConnectionError:
        print("ended")
"""


def test_without_namespaces_the_ports_of_a_proxy_that_died_are_nobody_else_s(box):
    script = box.write("ws/after.py", AFTER_THE_PROXY)
    child = without_namespaces(box, f"python3 {script}", start=True, stdin=subprocess.PIPE)
    ports = [int(word) for word in box.line(child).split()]
    children = open(f"/proc/{child.pid}/task/{child.pid}/children").read().split()
    proxy = [pid for pid in children if b"egress" in open(f"/proc/{pid}/cmdline", "rb").read()]
    os.kill(int(proxy[0]), signal.SIGKILL)
    for port in ports * 20:
        with socket.socket() as thief, pytest.raises(OSError) as failure:
            thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            thief.bind(("127.0.0.1", port))
            thief.listen()
        assert failure.value.errno == errno.EADDRINUSE
    done = box.finish(child, "go on\n")
    assert done.ok().splitlines() == ["ended", "ended"] and "layer proxy is" in done.err, done


def test_without_namespaces_a_server_of_the_command_stays_on_loopback(box):
    script = box.write("ws/server.py", "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen();"
                                       " print('listens')")
    assert without_namespaces(box, f"python3 {script}").ok() == "listens\n"


def test_without_namespaces_other_processes_cannot_be_touched(box):
    victim = box.popen(["sleep", "60"])
    done = without_namespaces(box, f"kill -9 {victim.pid}; cat /proc/{victim.pid}/environ; prlimit --pid {victim.pid}"
                                   " --cpu=1:1; echo ran")
    assert done.out == "ran\n" and victim.poll() is None


def test_without_namespaces_the_exit_status_and_signals_come_through(box):
    assert without_namespaces(box, "exit 7").code == 7
    assert without_namespaces(box, "kill -TERM $$").code == 128 + 15


def test_without_namespaces_nothing_is_left_when_the_command_ends(box):
    mark = b"MARK=" + os.urandom(8).hex().encode()
    assert without_namespaces(box, STAY + "exit 3", env={"MARK": mark[5:].decode()}).code == 3
    assert inside_pids(box, mark) == []


@pytest.mark.parametrize("victim", ["supervisor", "keeper", "warden"])
def test_without_namespaces_nothing_is_left_when_a_process_of_ours_is_killed(box, victim):
    mark = b"MARK=" + os.urandom(8).hex().encode()
    child = without_namespaces(box, STAY + "echo up; sleep 60", start=True, env={"MARK": mark[5:].decode()})
    if box.line(child) != "up":
        pytest.skip("this kernel does not let a namespace owner set max_user_namespaces")
    chain = [child.pid]
    for _ in range(2):
        chain.append(int(open(f"/proc/{chain[-1]}/task/{chain[-1]}/children").read().split()[0]))
    os.kill(chain[["supervisor", "keeper", "warden"].index(victim)], signal.SIGKILL)
    box.finish(child)
    assert nothing_left(box, mark)
    for place in glob.glob(f"/tmp/postern.{child.pid}.??????"):
        assert victim == "supervisor"  # what it leaves behind when it is killed
        shutil.rmtree(place)


@pytest.mark.parametrize("name, parts", [
    ("x.filesystem.noExec", {"x": {"filesystem": {"noExec": ["{ws}"]}}}),
    ("x.filesystem.readOnlyBind", {"x": {"filesystem": {"readOnlyBind": [{"host": "/etc/hostname", "inside": "/etc/hosts"}]}}}),
    ("filesystem.denyRead[0]", {"deny_read": ["{ws}/secret"]}),
    ("allowNestedUserNamespaces", {"allowNestedUserNamespaces": True}),
    ("x.seccomp.allow", {"x": {"seccomp": {"allow": ["socket"]}}}),
])
def test_without_namespaces_what_needs_a_mount_is_refused_by_name(box, name, parts):
    box.write("ws/secret", "secret\n")
    box.settings(**json.loads(json.dumps(parts).replace("{ws}", str(box.ws))))
    done = without_namespaces(box, "echo ran")
    assert (done.code, done.out) == (125, "") and name in done.err


def test_without_namespaces_the_audit_log_names_what_is_missing(box):
    log = box.etc / "audit.jsonl"
    without_namespaces(box, "true", options=["--allow-degraded=namespaces", "--audit-file", log]).ok()
    records = [json.loads(line) for line in log.read_text().splitlines()]
    degraded = {r["layer"] for r in records if r["kind"] == "degraded"}
    assert {"namespaces", "net", "mount"} <= degraded


def test_doctor_says_that_there_is_a_run_without_namespaces(box):
    done = box.outer(*refusing([box.program, "doctor"]))
    skip_unless_refused(done.err)
    assert done.code == 1 and "Grade C" in done.out and "--allow-degraded=namespaces" in done.out


def as_root_without(box, *capabilities, script="id -u; id -g; id -G", options=(), **more):
    """Root in a container that was started without these capabilities."""
    box.root.chmod(0o755)
    box.ws.chmod(0o777)
    lost = ",".join(f"-{name}" for name in capabilities)
    return box.outer("setpriv", f"--bounding-set={lost}", f"--inh-caps={lost}", "--", *box.options(options), "--",
                     "sh", "-c", script, **more)


@pytest.mark.identity("root")
def test_root_that_may_not_map_itself_runs_the_command_as_nobody(box):
    secret = box.write("outside/secret", "secret\n", 0o600)
    of_group = box.write("outside/group", "secret\n", 0o640)
    os.chown(of_group, 0, 4)
    done = as_root_without(box, "setfcap", extra_groups=[4],
                           script=f"id -u; id -g; id -G; echo x >made; cat {secret} {of_group}; echo x >{secret}; true")
    assert done.ok().splitlines() == ["65534"] * 3, done
    said = [line for line in done.err.splitlines() if line.startswith("postern: ")]
    assert len(said) == 1 and "CAP_SETFCAP" in said[0] and "nobody" in said[0], done
    assert os.stat(box.ws / "made").st_uid == 65534 and secret.read_text() == "secret\n"


@pytest.mark.identity("root")
def test_root_as_nobody_has_network_and_limits(box, web):
    box.settings(allowed=["localhost"], x={"limits": {"pids": 20}})
    done = as_root_without(box, "setfcap", "kill", script=f"curl -sS --noproxy '' http://localhost:{web.port}/;"
                           " for i in $(seq 40); do sleep 5 & done 2>/dev/null; echo ran")
    assert len(web.seen) == 1 and done.code != 125, done


@pytest.mark.identity("root")
def test_root_that_cannot_become_nobody_either_runs_nothing(box):
    done = as_root_without(box, "setfcap", "setuid")
    assert (done.code, done.out) == (125, "") and "CAP_SETFCAP" in done.err
    done = as_root_without(box, "setfcap", "setuid", options=["--allow-degraded=namespaces"])
    assert done.ok().splitlines()[0] == "0" and "layer namespaces is degraded" in done.err


@pytest.mark.identity("root")
def test_nobody_in_root_s_place_is_refused_where_namespaces_are_required(box):
    done = as_root_without(box, "setfcap", options=["--require=namespaces"])
    assert (done.code, done.out) == (125, "") and "CAP_SETFCAP" in done.err


@pytest.mark.identity("root")
def test_doctor_says_that_root_may_not_map_itself(box):
    done = box.outer("setpriv", "--bounding-set=-setfcap", "--inh-caps=-setfcap", "--", box.program, "doctor", "--json")
    row = json.loads(done.out)["check"]["layers"]["namespaces"]
    assert row["state"] == "degraded" and "CAP_SETFCAP" in row["why"] and "CAP_SETFCAP" in row["cure"]


def test_doctor_prints_every_layer(box):
    done = box.outer(box.program, "doctor")
    assert done.code in (0, 1)
    for layer in LAYERS:
        assert layer in done.out


def test_doctor_json(box):
    done = box.outer(box.program, "doctor", "--json")
    value = json.loads(done.out)["check"]
    assert value["grade"] in "ABCF" and set(LAYERS) <= {*json.dumps(value).replace('"', " ").split()}


def test_doctor_leaves_nothing(box):
    import os
    before = sorted(os.listdir(box.ws)), open("/proc/self/mountinfo").read()
    box.outer(box.program, "doctor")
    assert (sorted(os.listdir(box.ws)), open("/proc/self/mountinfo").read()) == before


def test_without_namespaces_the_disk_quota_holds(box):
    box.settings(x={"limits": {"diskQuota": "1MiB"}})
    done = without_namespaces(box, "dd if=/dev/zero of=gone bs=64k count=10 2>/dev/null; rm gone; "
                                   "dd if=/dev/zero of=kept bs=64k count=10 2>/dev/null; sleep 0.5; echo within; "
                                   "dd if=/dev/zero of=big bs=64k count=64 2>/dev/null; sleep 60")
    assert done.code == 137 and done.out == "within\n" and "deny limit diskQuota" in done.err, done


# A fresh /proc is refused where something stands on the old one. Some processes first, so that numbers differ.
MASKED = 'mount -t tmpfs none /proc/irq; for i in $(seq 40); do true & done; exec "$@"'

# Waits until a process has the number that the container's /proc shows for our init, and asks for init's files by it.
MISTAKEN = """
import os, threading
def numbers(name):
    try: text = open(f"/proc/{name}/status").read()
    except OSError: return []
    return text.partition("NSpid:")[2].splitlines()[0].split()
inits = [int(p) for p in os.listdir("/proc") if p.isdigit() and len(numbers(p)) == 2 and numbers(p)[1] == "1"]
assert len(inits) == 1 and os.getpid() < inits[0], (inits, os.getpid())
def ask(name):
    try: os.open(f"/proc/{inits[0]}/{name}", os.O_RDONLY | os.O_CREAT)
    except OSError: return
    os.write(1, f"ESCAPED {name}\\n".encode())
while True:
    child = os.fork()
    if child == 0:
        if os.getpid() == inits[0]:
            for name in ("maps", "mem", "environ", "auxv", "cwd/.", "root/.", "fd/0", f"task/{inits[0]}/mem"): ask(name)
            open("asked", "w").close()
        os._exit(0)
    os.waitpid(child, 0)
    if child >= inits[0]: break
def work():
    os.mkdir("made")
    with open("/proc/self/cwd/made/file", "w") as file: file.write("by a thread")
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(sorted(os.listdir(".")), open("made/file").read())
"""


@pytest.mark.identity("root")
def test_in_a_container_that_masks_its_proc_the_command_s_own_process_is_meant(box):
    box.settings(enableWeakerNestedSandbox=True)
    words = [*box.options([]), "--", "python3", "-c", MISTAKEN]
    done = box.finish(box.popen(["unshare", "-m", "-p", "-f", "--mount-proc", "--kill-child", "sh", "-ec", MASKED, "sh", *words]))
    assert done.out == "['asked', 'made'] by a thread\n", done


# As container runtimes do it: the kernel's settings can be read and not written, or are not there at all.
FIXED = {"read-only": "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys",
         "missing": "mount -t tmpfs none /proc/sys"}
IN_CONTAINER = ["unshare", "-m", "-p", "-f", "--mount-proc", "--kill-child", "sh", "-ec"]


def in_fixed_container(box, how, words):
    return box.finish(box.popen([*IN_CONTAINER, FIXED[how] + '; exec "$@"', "sh", *words]))


@pytest.mark.identity("root")
@pytest.mark.parametrize("how", FIXED)
def test_where_the_kernel_s_settings_are_fixed_the_filter_alone_refuses_user_namespaces(box, how):
    box.settings(enableWeakerNestedSandbox=True)
    script = "unshare -U true 2>/dev/null || echo refused; python3 -c 'import os; os.unshare(0x10000000)' 2>&1 | tail -n 1"
    done = in_fixed_container(box, how, box.options([]) + ["--", "sh", "-c", script])
    assert done.code == 0 and done.out.startswith("refused\n"), done
    assert "layer namespaces is degraded: user.max_user_namespaces cannot be set" in done.err, done
    assert "layer mount is degraded: the container's /proc is bound" in done.err, done


@pytest.mark.identity("root")
@pytest.mark.parametrize("parts, options", [
    ({}, ["--require=namespaces"]),
    ({"x": {"seccomp": {"allow": ["unshare"]}}}, []),
], ids=["required", "the filter lets them through"])
def test_where_the_kernel_s_settings_are_fixed_and_nothing_stands_in_nothing_runs(box, parts, options):
    box.settings(enableWeakerNestedSandbox=True, **parts)
    done = in_fixed_container(box, "read-only", box.options(options) + ["--", "echo", "ran"])
    assert (done.code, done.out) == (125, "") and "max_user_namespaces" in done.err, done


@pytest.mark.identity("root")
def test_doctor_says_that_the_kernel_s_settings_are_fixed(box):
    done = in_fixed_container(box, "read-only", [box.program, "doctor", "--json"])
    layer = json.loads(done.out)["check"]["layers"]["namespaces"]
    assert layer["state"] == "degraded" and "max_user_namespaces cannot be set" in layer["why"], layer
    assert "systempaths=unconfined" in layer["cure"]
