"""Fixtures of the black-box tests of `postern run`.

`box` runs every test twice when the suite runs as root: once as root and once as a user without
rights. A test that makes sense for one of them only is marked: @pytest.mark.identity("plain").
"""

import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import box as box_module  # noqa: E402
import servers  # noqa: E402


def pytest_configure(config):
    # A runner started in the background may have these ignored; the programs under test must not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    config.addinivalue_line("markers", "identity(name): run as this identity only (root or plain)")


def pytest_generate_tests(metafunc):
    if "box" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("identity")
        names = ["root", "plain"] if os.geteuid() == 0 else ["plain"]
        if mark:
            names = [name for name in names if name in mark.args]
        metafunc.parametrize("box", names, indirect=True)


@pytest.fixture(scope="session")
def program():
    """The program under test, at a place that every user may execute."""
    if not box_module.POSTERN.exists():
        pytest.fail(f"{box_module.POSTERN} is not built (or set POSTERN)")
    if os.geteuid() != 0 or executable_by_all(box_module.POSTERN):
        yield box_module.POSTERN
        return
    place = pathlib.Path(tempfile.mkdtemp(prefix=f"postern-program-{os.getpid()}-"))
    place.chmod(0o755)
    for path in box_module.POSTERN.parent.glob("postern*"):
        if path.is_file():
            shutil.copy2(path, place / path.name)
    yield place / box_module.POSTERN.name
    shutil.rmtree(place)


def executable_by_all(path):
    user = pwd.getpwnam(box_module.PLAIN_USER)
    return subprocess.run(["test", "-x", path], user=user.pw_uid, group=user.pw_gid,
                          extra_groups=[]).returncode == 0


@pytest.fixture
def box(request, program):
    made = box_module.Box(request.param)
    made.program = program
    yield made
    made.close()


@pytest.fixture(scope="session")
def clients(tmp_path_factory):
    """clients(NAME) gives the path of the static program built from clients/NAME.c."""
    place = pathlib.Path(tempfile.mkdtemp(prefix=f"postern-clients-{os.getpid()}-"))
    place.chmod(0o755)
    sources = pathlib.Path(__file__).parent / "clients"

    def client(name):
        built = place / name
        if not built.exists():
            done = subprocess.run(["gcc", "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-std=gnu17", "-o",
                                   built, sources / f"{name}.c"], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        return built

    yield client
    shutil.rmtree(place)


@pytest.fixture(scope="session")
def certificate():
    """(certificate, key) of localhost, signed by itself."""
    place = pathlib.Path(tempfile.mkdtemp(prefix=f"postern-certificate-{os.getpid()}-"))
    place.chmod(0o755)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,DNS:other.example,IP:127.0.0.1",
                    "-keyout", place / "key.pem", "-out", place / "cert.pem"],
                   check=True, capture_output=True)
    yield place / "cert.pem", place / "key.pem"
    shutil.rmtree(place)


@pytest.fixture
def web():
    """An HTTP server on the host's loopback."""
    with servers.Web() as server:
        yield server


@pytest.fixture
def secure_web(certificate):
    """The same with TLS."""
    with servers.Web(certificate=certificate) as server:
        yield server


@pytest.fixture
def echo():
    """A TCP server on the host's loopback that sends back what it gets."""
    with servers.Echo() as server:
        yield server
