"""`postern doctor`: what it says on this machine, and on machines that refuse something."""

import ctypes
import errno
import json
import os
import pathlib
import pty
import pwd
import re
import subprocess

import pytest

from box import PATH, PLAIN_USER, ROOT, TIMEOUT

PROFILE = ROOT / "deploy" / "seccomp-postern.json"
LAYERS = {"namespaces", "net", "mount", "landlock", "seccomp", "capabilities", "cgroup", "rlimit", "proxy",
          "transparent", "keyring"}


def doctor(program, *arguments, before=None, environment=None, **how):
    done = subprocess.run([program, "doctor", *arguments], capture_output=True, text=True, timeout=TIMEOUT,
                          cwd="/", env={"PATH": PATH, "HOME": "/", **(environment or {})},
                          preexec_fn=before, **how)
    return done


def report(program, *arguments, **how):
    done = doctor(program, "--json", *arguments, **how)
    assert done.stderr == "", done.stderr
    return done.returncode, json.loads(done.stdout)


def become_plain():
    user = pwd.getpwnam(PLAIN_USER)
    os.setgroups([])
    os.setresgid(*[user.pw_gid] * 3)
    os.setresuid(*[user.pw_uid] * 3)


class Argument(ctypes.Structure):
    _fields_ = [("index", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def load_filter(rules):
    """Loads [(name, errno, [(index, op, a, b)])] into this process, as a container's runtime would."""
    lib = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    lib.seccomp_init.restype = ctypes.c_void_p
    lib.seccomp_init.argtypes = [ctypes.c_uint32]
    lib.seccomp_load.argtypes = [ctypes.c_void_p]
    lib.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint,
                                           ctypes.POINTER(Argument)]
    context = lib.seccomp_init(0x7FFF0000)  # allow
    for name, number, arguments in rules:
        call = lib.seccomp_syscall_resolve_name(name.encode())
        if call == -1:
            continue  # other architectures know it
        array = (Argument * max(1, len(arguments)))(*[Argument(*a) for a in arguments])
        if lib.seccomp_rule_add_array(context, 0x00050000 | number, call, len(arguments), array) < 0:
            os._exit(99)
    if lib.seccomp_load(context) < 0:
        os._exit(98)


def shipped_rules():
    operators = {"SCMP_CMP_NE": 1, "SCMP_CMP_EQ": 4}
    profile = json.loads(PROFILE.read_text())
    assert profile["defaultAction"] == "SCMP_ACT_ALLOW"
    for rule in profile["syscalls"]:
        assert rule["action"] == "SCMP_ACT_ERRNO"
        for name in rule["names"]:
            yield name, rule["errnoRet"], [(a["index"], operators[a["op"]], a["value"], 0)
                                           for a in rule.get("args", [])]


def test_the_table_names_every_layer_and_a_grade(program):
    done = doctor(program)
    words = {line.split()[0] for line in done.stdout.splitlines() if line.strip()}
    assert LAYERS <= words
    assert re.search(r"^Grade [ABC]: ", done.stdout, re.M), done.stdout
    assert "\033" not in done.stdout


def test_the_status_follows_the_grade(program):
    code, out = report(program)
    assert code == {"A": 0, "B": 0, "C": 1, "F": 125}[out["check"]["grade"]]


def test_json_has_every_layer_with_state_why_and_cure(program):
    _, out = report(program)
    layers = out["check"]["layers"]
    assert set(layers) == LAYERS
    for name, layer in layers.items():
        assert layer["state"] in ("on", "degraded", "off"), name
        assert bool(layer["why"]) == (layer["state"] != "on"), name
    assert out["host"]["kernel"] == os.uname().release
    abi = out["check"]["landlockAbi"]
    assert [row["abi"] for row in out["landlockLacks"]] == [n for n in range(2, 10) if n > abi]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_without_rights_only_limits_are_weaker(program):
    code, out = report(program, before=become_plain)
    weaker = {name for name, layer in out["check"]["layers"].items() if layer["state"] != "on"}
    assert code == 0 and weaker <= {"cgroup", "transparent"}


def test_a_machine_without_user_namespaces_is_weaker_and_told_the_sysctl(program):
    brake = "echo 0 >/proc/sys/user/max_user_namespaces && exec " + f"'{program}' doctor --json"
    done = subprocess.run(["unshare", "-Ur", "sh", "-c", brake], capture_output=True, text=True, timeout=TIMEOUT)
    if not done.stdout:
        pytest.skip("no user namespace to try it in")
    layer = json.loads(done.stdout)["check"]["layers"]["namespaces"]
    assert done.returncode == 1 and json.loads(done.stdout)["check"]["grade"] == "C"
    assert layer["state"] == "off" and "user.max_user_namespaces is 0" in layer["why"]
    assert "sysctl -w user.max_user_namespaces=" in layer["cure"]


def test_a_container_filter_that_refuses_namespaces_is_named_with_our_profile(program):
    new_user = 0x10000000
    rules = [("unshare", errno.EPERM, []),
             ("clone", errno.EPERM, [(0, 7, new_user, new_user)]),  # masked equal
             ("clone3", errno.ENOSYS, [])]
    code, out = report(program, before=lambda: load_filter(rules))
    layer = out["check"]["layers"]["namespaces"]
    assert code == 1 and layer["state"] == "off"
    assert "seccomp filter" in layer["why"] and "seccomp-postern.json" in layer["cure"]


def test_below_the_profile_for_containers_every_layer_works(program):
    _, bare = report(program)
    _, filtered = report(program, before=lambda: load_filter(list(shipped_rules())))
    assert filtered["host"]["filtered"]
    assert filtered["check"]["layers"] == bare["check"]["layers"]


def test_every_name_of_the_profile_is_a_system_call():
    lib = ctypes.CDLL("libseccomp.so.2")
    unknown = [name for name, *_ in shipped_rules() if lib.seccomp_syscall_resolve_name(name.encode()) == -1]
    assert not unknown


def test_the_apparmor_profile_is_for_this_program_alone(program):
    done = doctor(program, "--apparmor")
    assert done.returncode == 0
    assert f'profile postern "{pathlib.Path(program).resolve()}" flags=(unconfined)' in done.stdout
    assert "userns," in done.stdout


def test_colours_are_for_terminals_only(program):
    def of(term):
        master, slave = pty.openpty()
        child = subprocess.Popen([program, "doctor"], stdout=slave, stdin=subprocess.DEVNULL, cwd="/",
                                 env={"PATH": PATH, "HOME": "/", "TERM": term})
        os.close(slave)
        text = b""
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:
                break
            if not piece:
                break
            text += piece
        os.close(master)
        child.wait(TIMEOUT)
        return text
    assert b"\033[3" in of("xterm")
    assert b"\033[3" not in of("dumb")


def test_an_unknown_argument_is_a_usage_error(program):
    done = doctor(program, "--fix")
    assert done.returncode == 2 and "--fix" in done.stderr and done.stdout == ""


def test_a_report_that_cannot_be_written_is_an_error(program):
    with open("/dev/full", "w") as full:
        done = subprocess.run([program, "doctor"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT)
    assert done.returncode == 125 and "could not be written" in done.stderr


def test_doctor_leaves_nothing_behind(program):
    doctor(program)
    assert not list(pathlib.Path("/sys/fs/cgroup").rglob("postern.*.doctor"))
