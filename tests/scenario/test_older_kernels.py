"""Kernels without mount_setattr (before Linux 5.12): the same sandbox, its mounts changed one by one.

`older` runs the program behind a filter that answers as such a kernel does. "cloexec" is lacking as well before
5.11; Landlock before 5.13.
"""

import json
import os
import subprocess

import pytest

import box as box_module

KERNELS = {"5.11": ["mount_setattr"], "an old container's": ["mount_setattr-refused"], "5.10": ["mount_setattr", "cloexec"],
           "5.10 without Landlock": ["mount_setattr", "cloexec", "landlock_create_ruleset"]}


@pytest.fixture(params=KERNELS)
def older(request, box, clients):
    """older(script) runs a shell script inside, on a kernel of that age."""
    lacks = KERNELS[request.param]
    accepted = ["--allow-degraded=landlock"] if "landlock_create_ruleset" in lacks else []

    def run(script, *options, **more):
        return box.outer(clients("older"), *lacks, "--", *box.options([*accepted, *options]), "--", "sh", "-c",
                         script, **more)

    return run


def test_only_what_is_allowed_can_be_written(box, older):
    done = older(f"echo x >made; echo x >{box.outside}/made; echo x >{box.home}/made; cat {box.outside}/readable")
    assert done.out == "readable\n" and (box.ws / "made").exists()
    assert not (box.outside / "made").exists() and not (box.home / "made").exists()


def test_hidden_read_only_and_reopened_places_hold(box, older):
    for name in ("hidden/key", "hidden/open/page", "ws/kept/file", "ws/secret"):
        box.write(name, f"{name}\n")
    box.settings(deny_read=[box.root / "hidden", box.ws / "secret"], allow_write=[box.ws], deny_write=[box.ws / "kept"],
                 filesystem={"allowRead": [str(box.root / "hidden/open")]})
    done = older(f"ls {box.root}/hidden; cat {box.root}/hidden/key secret; cat {box.root}/hidden/open/page;"
                 f" echo x >kept/file; echo x >kept/more; echo x >{box.root}/hidden/open/page")
    assert done.out == "open\nhidden/open/page\n", done
    assert (box.ws / "kept/file").read_text() == "ws/kept/file\n" and os.listdir(box.ws / "kept") == ["file"]
    assert (box.root / "hidden/open/page").read_text() == "hidden/open/page\n"


def test_names_that_do_not_exist_yet_are_denied(box, older):
    box.settings(deny_write=[box.ws / "later"])
    older("echo x >later; mkdir later; mkdir -p .git/hooks; echo x >.bashrc; echo x >fine")
    assert not (box.ws / "later").exists() and not (box.ws / ".bashrc").exists() and (box.ws / "fine").exists()


def test_tmpdir_devices_and_masks_are_as_always(box, older):
    done = older('echo x >"$TMPDIR/f" && cat "$TMPDIR/f"; ls /dev; echo x >/dev/null && head -c2 /dev/zero | wc -c;'
                 " echo x >/dev/shm/f && cat /dev/shm/f; cat /proc/kallsyms /proc/keys; ls -A /sys/firmware /proc/acpi;"
                 " echo 1 >/proc/sys/vm/overcommit_memory")
    lines = done.out.split()
    assert lines[0] == "x" and {"null", "zero", "shm", "pts", "tty"} <= set(lines) and lines[-2:] != [], done
    assert not {"kmsg", "mem", "sda", "vda"} & set(lines) and "kallsyms: Permission denied" in done.err, done


MOUNTS = "cat /proc/self/mountinfo"


def flags_by_place(text):
    """The flags of the mount on top of each place."""
    return {line.split()[4]: set(line.split()[5].split(",")) for line in text.splitlines()}


def test_every_place_has_the_flags_that_a_new_kernel_gives_it(box, older):
    box.write("ws/kept/file", "")
    box.write("ws/secret", "")
    box.settings(deny_read=[box.ws / "secret"], deny_write=[box.ws / "kept"])
    assert flags_by_place(older(MOUNTS).ok()) == flags_by_place(box.sh(MOUNTS).ok())


def test_the_audit_log_and_require_know_of_it(box, older):
    log = box.etc / "audit.jsonl"
    older("true", "--audit-file", log).ok()
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert "mount" in {r["layer"] for r in records if r["kind"] == "degraded"}
    done = older("echo ran", "--require=mount")
    assert (done.code, done.out) == (125, "") and "mount_setattr" in done.err


def test_doctor_says_classic_calls(box, clients):
    done = box.outer(clients("older"), "mount_setattr", "--", box.program, "doctor", "--json")
    row = json.loads(done.out)["check"]["layers"]["mount"]
    assert row["state"] == "degraded" and "classic calls" in row["why"] and "5.12" in row["cure"]


@pytest.mark.parametrize("call", ["open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "openat2"])
def test_what_every_kernel_with_notifications_has_is_needed(box, clients, call):
    done = box.outer(clients("older"), call, "--", *box.options([]), "--", "echo", "ran")
    assert (done.code, done.out) == (125, ""), done
    assert call == "openat2" or "Linux 5.9" in done.err, done
    row = json.loads(box.outer(clients("older"), call, "--", box.program, "doctor", "--json").out)["check"]
    assert row["layers"]["mount"]["state"] == "off" and row["layers"]["mount"]["cure"] == "Linux 5.9 or newer"


# A host with mounts of its own: with flags that may not be taken off, one over another, one behind a
# directory that a plain user cannot enter, and a writable one in the workspace.
HOST = """set -e
mount --make-rprivate /
mkdir $1/ws/in $1/outside/a $1/outside/b $1/outside/shut $1/outside/shut/in
mount -t tmpfs -o mode=777,noexec,noatime none $1/ws/in
mount -t tmpfs -o mode=777,nosuid,noexec none $1/outside/a
mount -t tmpfs -o mode=777 none $1/outside/b
mkdir "$1/outside/b/with space"
mount -t tmpfs -o mode=777 none "$1/outside/b/with space"
mount -t tmpfs -o mode=777 none $1/outside/shut/in
echo deep >$1/outside/shut/in/file
chmod 700 $1/outside/shut
chown 0:0 $1/outside/shut
shift
exec "$@"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_mounts_of_the_host_are_closed_too(box, clients):
    """Who runs the sandbox enters after the mounts were made: as root, or without any rights."""
    script = (f'for d in {box.outside}/a {box.outside}/b "{box.outside}/b/with space" {box.outside}/shut/in; do'
              ' echo x >"$d/made" && echo "$d"; done; echo x >in/made && echo in; ' + MOUNTS)
    # The kernel overlays no directory with mounts in it, so this host needs one for TMPDIR.
    box.root.joinpath("tmp").mkdir()
    box.give(box.root)
    words = [clients("older"), "mount_setattr", "cloexec", "--", *box.options([]), "--", "sh", "-c", script]
    if box.plain:
        words = ["setpriv", f"--reuid={box.user.pw_uid}", f"--regid={box.user.pw_gid}", "--clear-groups", "--", *words]
    done = subprocess.run(["unshare", "-m", "sh", "-c", HOST, "sh", box.root, *words], capture_output=True, text=True,
                          env=box.environment({"CLAUDE_TMPDIR": str(box.root / "tmp")}), cwd=box.ws, timeout=box_module.TIMEOUT)
    assert done.stdout.startswith("in\n"), done
    flags = flags_by_place(done.stdout.partition("\n")[2])
    for place in ("a", "b", "b/with\\040space"):
        assert {"ro", "nosuid", "nodev"} <= flags[f"{box.outside}/{place}"], (place, flags)
    assert "noexec" in flags[f"{box.outside}/a"] and {"rw", "nosuid", "noexec"} <= flags[f"{box.ws}/in"]
    behind = f"{box.outside}/shut" if box.plain else f"{box.outside}/shut/in"
    assert {"ro", "nosuid", "nodev"} <= flags[behind]
