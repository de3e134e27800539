"""Fixtures of the egress tests. The proxy runs alone; nothing here needs rights or namespaces except
where a test says so."""

import pathlib
import shutil
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import harness  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def engine():
    if not harness.ENGINE.exists():
        pytest.fail(f"{harness.ENGINE} is not built (or set POSTERN_ENGINE)")


@pytest.fixture(scope="session", autouse=True)
def slow_peers(engine):
    """Clients that never finish, begun with the first test so that nobody has to wait for their
    deadlines: {name: (seconds until the proxy ended it, what it said)}, filled as they end."""
    begins = {
        "silent": (b"", b""),                      # not one byte
        "slow head": (b"GET http://a/ HTTP/1.1\r\n", b"X: 1\r\n"),  # one line a second
        "slow socks": (b"\x05", b""),
    }
    ends = {}
    with harness.Proxy() as proxy:
        threads = []
        for name, (first, again) in begins.items():
            thread = threading.Thread(target=drip, args=(proxy, name, first, again, ends), daemon=True)
            thread.start()
            threads.append(thread)
        yield ends, threads


def drip(proxy, name, first, again, ends):
    start = time.monotonic()
    with proxy.connect() as s:
        s.send(first)
        s.socket.settimeout(1)
        while True:
            try:
                if not s.socket.recv(1000):
                    break
            except TimeoutError:
                try:
                    s.send(again)
                except OSError:
                    break
            except OSError:
                break
    ends[name] = time.monotonic() - start


@pytest.fixture
def proxy():
    with harness.Proxy() as p:
        yield p


@pytest.fixture
def server():
    with harness.http() as s:
        yield s


@pytest.fixture
def names(tmp_path):
    """A command prefix that makes these names resolve, by another /etc/hosts in a namespace of its
    own: names({"a.example": "127.0.0.1"})."""
    if not shutil.which("unshare") or subprocess.run(["unshare", "-rm", "true"]).returncode:
        pytest.skip("no user namespaces here")

    def prefix(table):
        file = tmp_path / "hosts"
        lines = []
        for name, addresses in table.items():
            for address in [addresses] if isinstance(addresses, str) else addresses:
                lines.append(f"{address} {name}\n")
        file.write_text("".join(lines))
        script = f'mount --bind {file} /etc/hosts && exec "$@"'
        return ["unshare", "-rm", "sh", "-c", script, "sh"]
    return prefix
