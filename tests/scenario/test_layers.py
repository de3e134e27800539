"""Contract 11: nothing weaker without saying so."""

import json

import pytest

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


@pytest.mark.parametrize("option", ["--require", "--allow-degraded"])
def test_an_unknown_layer_is_a_usage_error(box, option):
    done = box.run("echo", "ran", options=[f"{option}=walls"])
    assert done.code == 2 and done.out == "" and "walls" in done.err


@pytest.mark.parametrize("layer", ["cgroup", "landlock", "transparent"])
def test_allow_degraded_changes_nothing_where_the_layer_is_there(box, layer):
    box.settings(allow_write=[], allowed=["localhost"])
    done = box.sh("echo x >file", options=[f"--allow-degraded={layer}"])
    assert done.code != 0 and not (box.ws / "file").exists()


def no_user_namespaces(box, *options):
    """Runs inside a user namespace where no further one may be made."""
    inner = " ".join(map(str, [*box.options(options), "--", "sh", "-c", "'echo x >file; echo ran'"]))
    return box.outer("unshare", "-Ur", "sh", "-c", f"echo 0 >/proc/sys/user/max_user_namespaces && exec {inner}")


def test_without_user_namespaces_nothing_runs(box):
    box.settings(allow_write=[])
    done = no_user_namespaces(box)
    if "max_user_namespaces" in done.err and "cannot create" in done.err:
        pytest.skip("this kernel does not let a namespace owner set max_user_namespaces")
    assert (done.code, done.out) == (125, "") and "max_user_namespaces" in done.err


def test_without_user_namespaces_and_accepted_the_file_rules_hold(box):
    box.settings(allow_write=[])
    done = no_user_namespaces(box, "--allow-degraded=namespaces")
    if "cannot create" in done.err and "max_user_namespaces" in done.err.splitlines()[0]:
        pytest.skip("this kernel does not let a namespace owner set max_user_namespaces")
    assert not (box.ws / "file").exists()
    assert "ran\n" in done.out and "namespaces" in done.err


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
