"""Contract 6: settings that change while the command runs (--control-fd)."""

import json
import os

import pytest

from box import settings_of

# Runs one curl per line of stdin, in one sandbox: prints the status of each.
CURLS = ("echo ready; while read url; do "
         "curl -s -o /dev/null -w '%{http_code}\\n' --noproxy '' --max-time 20 \"$url\"; done")


class Controlled:
    """A sandbox with a control channel that answers one URL at a time."""

    def __init__(self, box, script=CURLS, more_options=(), **more):
        self.box = box
        read_end, self.control = os.pipe()
        if box.plain:
            os.fchown(read_end, box.user.pw_uid, -1)
        self.child = box.start("sh", "-c", script, options=["--control-fd", str(read_end), *more_options],
                               pass_fds=[read_end], stdin=-1, **more)
        os.close(read_end)

    def line(self):
        return self.box.line(self.child)

    def get(self, url):
        self.child.stdin.write(f"{url}\n".encode())
        self.child.stdin.flush()
        return self.line()

    def send(self, value, end="\n"):
        text = value if isinstance(value, str) else json.dumps(value)
        os.write(self.control, (text + end).encode())

    def update_until(self, value, url, status, end="\n"):
        """Sends settings and asks until the status is seen: the channel is read beside the command."""
        self.send(value, end)
        for _ in range(100):
            seen = self.get(url)
            if seen == status:
                return
        raise AssertionError(f"still {seen} after the update, not {status}")

    def finish(self):
        os.close(self.control)
        return self.box.finish(self.child)


@pytest.fixture
def controlled(box, web):
    box.settings(allowed=["localhost"])
    made = Controlled(box)
    assert made.line() == "ready"
    yield made
    if made.child.poll() is None:
        made.child.kill()


def rules(box, **parts):
    return settings_of(allow_write=[box.ws], **parts)


def test_a_line_changes_the_next_connection(box, controlled, web):
    url = f"http://localhost:{web.port}/"
    assert controlled.get(url) == "200"
    controlled.update_until(rules(box, allowed=[]), url, "403")
    controlled.update_until(rules(box, allowed=["localhost"]), url, "200")
    controlled.update_until(rules(box, allowed=["localhost"], denied=["localhost"]), url, "403", end="\r\n")
    controlled.update_until(rules(box, allowed=["localhost"]), url, "200")
    assert controlled.finish().code == 0


@pytest.mark.parametrize("bad", ["not json", "{}", "[]", '{"network": 1}', "{"])
def test_a_bad_line_is_ignored_and_said(box, controlled, web, bad):
    url = f"http://localhost:{web.port}/"
    controlled.send(bad)
    controlled.send("")
    controlled.update_until(rules(box, allowed=[]), url, "403")
    done = controlled.finish()
    assert "Invalid config on control fd" in done.err and "ignored, previous config still in force" in done.err


def test_a_fixed_key_is_warned_about_by_name(box, controlled, web):
    url = f"http://localhost:{web.port}/"
    controlled.update_until(rules(box, allowed=[], deny_read=["/etc/hostname"]), url, "403")
    done = controlled.finish()
    assert "denyRead" in done.err


def test_an_unknown_key_in_a_line_is_warned_about(box, controlled, web):
    url = f"http://localhost:{web.port}/"
    controlled.update_until(rules(box, allowed=[], network={"allowedDomians": []}), url, "403")
    done = controlled.finish()
    assert "network.allowedDomians: unknown key, ignored" in done.err and done.err.count("unknown key") == 1, repr(done)


def test_an_unknown_key_in_a_line_is_refused_when_strict(box, web):
    url = f"http://localhost:{web.port}/"
    box.settings(allowed=["localhost"])
    made = Controlled(box, more_options=["--strict"])
    assert made.line() == "ready"
    made.send(rules(box, allowed=["localhost"], denied=["localhost"], denyRaed=[]))
    made.update_until(rules(box, allowed=[]), url, "403")
    done = made.finish()
    assert "Invalid config on control fd" in done.err and "denyRaed: unknown key" in done.err, repr(done)


def test_after_the_end_of_the_channel_the_command_goes_on(box, controlled, web):
    os.close(controlled.control)
    controlled.control = os.open("/dev/null", os.O_WRONLY)
    assert controlled.get(f"http://localhost:{web.port}/") == "200"
    assert controlled.finish().code == 0


def test_we_end_with_the_command_and_not_with_the_writer(box):
    made = Controlled(box, "exit 4")
    assert box.finish(made.child).code == 4
    os.close(made.control)


def test_the_command_never_has_the_descriptor(box):
    made = Controlled(box, "ls /proc/self/fd")
    done = box.finish(made.child)
    os.close(made.control)
    assert set(done.ok().split()) <= {"0", "1", "2", "3"}


def test_a_write_end_is_refused(box):
    read_end, write_end = os.pipe()
    try:
        done = box.run("echo", "ran", options=["--control-fd", str(write_end)], pass_fds=[write_end])
    finally:
        os.close(read_end)
        os.close(write_end)
    assert (done.code, done.out) == (1, "")


def test_a_tightening_closes_open_tunnels(box, echo):
    script = ("import base64, os, socket, urllib.parse\n"
              "u = urllib.parse.urlsplit(os.environ['HTTP_PROXY'])\n"
              "basic = base64.b64encode(f'{urllib.parse.unquote(u.username)}:{u.password}'.encode()).decode()\n"
              "s = socket.create_connection(('127.0.0.1', 3128)); s.settimeout(30)\n"
              f"s.sendall(f'CONNECT localhost:{echo.port} HTTP/1.1\\r\\nHost: localhost\\r\\n"
              "Proxy-Authorization: Basic {basic}\\r\\n\\r\\n'.encode())\n"
              "assert b' 200 ' in s.recv(1000); s.sendall(b'x'); assert s.recv(1) == b'x'\n"
              "print('open', flush=True)\n"
              "try: print('closed' if s.recv(1) == b'' else 'data')\n"
              "except ConnectionResetError: print('closed')\n"
              "except TimeoutError: print('still open')\n")
    path = box.write("outside/tunnel.py", script)
    box.settings(allowed=["localhost"])
    made = Controlled(box, f"exec python3 {path}")
    assert made.line() == "open"
    made.send(rules(box, allowed=[]))
    assert made.line() == "closed"
    assert made.finish().code == 0
