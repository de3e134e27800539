"""Fixtures of the escape suite: every test that uses `cell` runs as each of its users.

Marks
    threat("T6")            the row of the threat model that the test tries
    guards("seccomp", ...)  layers that stop it; the test runs once with all layers and once without each
                            (builds with -Ddebug_layers=true only)
    users("root", ...)      run as these only; without it as root and as a user without rights
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import cells  # noqa: E402
import hosts  # noqa: E402


def pytest_configure(config):
    for line in ("threat(*rows): rows of the threat model that the test tries",
                 "guards(*layers): each of these layers is switched off in turn",
                 "users(*names): who runs the test: root, user, named"):
        config.addinivalue_line("markers", line)


def pytest_generate_tests(metafunc):
    if "cell" not in metafunc.fixturenames or "off" in metafunc.fixturenames:
        return  # no sandbox, or test_two_layers.py, which says itself who runs and what is off
    mark = metafunc.definition.get_closest_marker("users")
    metafunc.parametrize("who", mark.args if mark else ("root", "user"), scope="function")
    guards = metafunc.definition.get_closest_marker("guards")
    metafunc.parametrize("without", (None, *guards.args) if guards else (None,),
                         ids=lambda layer: f"without-{layer}" if layer else "all-layers")


@pytest.fixture(scope="session")
def program(postern):
    """The program at a place where every user may execute it."""
    if os.geteuid() != 0 or subprocess.run(["test", "-x", postern], user=cells.USERS["user"],
                                           group=cells.USERS["user"], extra_groups=[]).returncode == 0:
        yield postern
        return
    place = pathlib.Path(tempfile.mkdtemp(prefix=f"postern-hostile-program-{os.getpid()}-", dir="/var/tmp"))
    place.chmod(0o755)
    for path in postern.parent.glob("postern*"):
        if path.is_file():
            shutil.copy2(path, place / path.name)
    yield place / postern.name
    shutil.rmtree(place)


@pytest.fixture(scope="session")
def attacks(tmp_path_factory):
    """Directory of the attack programs: the build's, or compiled here when the build has none."""
    sources = [path for path in HERE.glob("*.c") if path.name != "attack.c"]
    build = os.environ.get("POSTERN_HOSTILE") or pathlib.Path(
        os.environ.get("POSTERN") or HERE.parents[1] / "build" / "postern").resolve().parent / "tests" / "hostile"
    built = pathlib.Path(build)

    def is_new(source):
        program = built / f"hostile-{source.stem}"
        return program.exists() and all(program.stat().st_mtime >= part.stat().st_mtime
                                        for part in (source, HERE / "attack.c", HERE / "attack.h"))

    if all(is_new(source) for source in sources) and built.stat().st_mode & 0o5:
        yield built
        return
    place = pathlib.Path(tempfile.mkdtemp(prefix=f"postern-hostile-programs-{os.getpid()}-", dir="/var/tmp"))
    place.chmod(0o755)
    jobs = [subprocess.Popen(["cc", "-std=gnu17", "-D_GNU_SOURCE", "-O1", "-static", "-pthread", "-o",
                              place / f"hostile-{s.stem}", s, HERE / "attack.c"]) for s in sources]
    assert all(job.wait() == 0 for job in jobs), "an attack program does not compile"
    yield place
    shutil.rmtree(place)


# How it shows inside that a layer is off: a shell test, with the host's own values as arguments.
SIGNS_OF_OFF = {
    "seccomp": "grep -q '^Seccomp:.0' /proc/self/status",
    "landlock": "kill -0 2",  # the warden; the filter would refuse it as well
    "mount": "awk '$5 == \"/\" && $6 ~ /^rw/ { found = 1 } END { exit !found }' /proc/self/mountinfo",
    "net": '[ "$(readlink /proc/self/ns/net)" = "$1" ]',
    "namespaces": '[ "$(readlink /proc/self/ns/pid)" = "$2" ]',
    "capabilities": "! grep -q '^CapBnd:.0*$' /proc/self/status",
    "rlimit": '[ "$(ulimit -n)" != 4096 ]',
}


@pytest.fixture(scope="session")
def switch_off(program):
    """switch_off(LAYER) is None when this build really switches it off, else why not."""
    known = {}

    def look(layer):
        host = [os.readlink("/proc/self/ns/net"), os.readlink("/proc/self/ns/pid")]
        off = "landlock,seccomp" if layer == "landlock" else layer
        shown = subprocess.run([program, "run", f"--disable-layer={off}", "--", "/bin/sh", "-c",
                                SIGNS_OF_OFF.get(layer, "true"), "sh", *host], capture_output=True, text=True,
                               stdin=subprocess.DEVNULL, cwd="/", env={"PATH": cells.PATH, "HOME": "/"})
        if shown.returncode == 2 and "disable-layer" in shown.stderr:
            return "this build has no --disable-layer (meson -Ddebug_layers=true)"
        return f"--disable-layer={layer} does not switch it off" if shown.returncode else None

    def why_not(layer):
        if layer not in known:
            known[layer] = look(layer)
        return known[layer]

    return why_not


@pytest.fixture
def cell(request, program, attacks, who, without, leftovers):
    if os.geteuid() != 0 and who != "user":
        pytest.skip("the suite does not run as root")
    if without and (why := request.getfixturevalue("switch_off")(without)):
        pytest.skip(why)
    made = cells.Cell(program, attacks, who, leftovers, without)
    yield made
    made.close()


@pytest.fixture
def server():
    """An HTTP server on the host's loopback that notes every byte it gets."""
    with hosts.Server() as made:
        yield made


@pytest.fixture
def resolver():
    """A name server of the host that notes every question and knows no answer but its own table."""
    if os.geteuid() != 0:
        pytest.skip("only root can serve port 53")
    with hosts.Resolver() as made:
        yield made
