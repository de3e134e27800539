"""One place to run `postern run` in: a workspace, a home, a settings file, and who runs it.

Everything stands in one directory below /tmp that the test's user owns and that is removed after the
test. The outside of the workspace (`box.outside`) is readable inside and not writable.
"""

import json
import os
import pathlib
import pwd
import select
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
POSTERN = pathlib.Path(os.environ.get("POSTERN") or ROOT / "build" / "postern")
PATH = "/usr/local/bin:/usr/bin:/bin"
TIMEOUT = float(os.environ.get("POSTERN_TEST_TIMEOUT", 60))  # a bound for a hang, no claim about speed

# A user with a passwd entry on every Debian system and no rights anywhere.
PLAIN_USER = "games"


class Result:
    """What came out of one run."""

    def __init__(self, code, out, err):
        self.code, self.raw_out, self.raw_err = code, out, err
        self.out, self.err = out.decode(errors="replace"), err.decode(errors="replace")

    def __repr__(self):
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"

    def ok(self):
        """Asserts success and gives the output, so that a failure shows all of it."""
        assert self.code == 0, repr(self)
        return self.out


def settings_of(allowed=(), denied=(), deny_read=(), allow_write=(), deny_write=(), network=None,
                filesystem=None, **top):
    """A settings object; keyword arguments beyond the five lists are merged in."""
    return {
        "network": {"allowedDomains": list(allowed), "deniedDomains": list(denied), **(network or {})},
        "filesystem": {"denyRead": [os.fspath(p) for p in deny_read],
                       "allowWrite": [p if isinstance(p, dict) else os.fspath(p) for p in allow_write],
                       "denyWrite": [os.fspath(p) for p in deny_write], **(filesystem or {})},
        **top,
    }


class Box:
    def __init__(self, identity):
        self.plain = identity == "plain" and os.geteuid() == 0
        self.root = pathlib.Path(tempfile.mkdtemp(prefix=f"postern-scenario-{os.getpid()}-"))
        self.ws, self.home, self.outside, self.etc = (self.root / n for n in ("ws", "home", "outside", "etc"))
        for directory in (self.ws, self.home, self.outside, self.etc):
            directory.mkdir()
        self.outside.joinpath("readable").write_text("readable\n")
        self.user = pwd.getpwnam(PLAIN_USER) if self.plain else pwd.getpwuid(os.geteuid())
        self.give(self.root)
        self.settings_file = self.etc / "settings.json"
        self.settings()
        self.program = POSTERN
        self.children = []

    # Files and settings

    def give(self, path):
        """Hands `path` and all beneath it to the user who runs the sandbox."""
        if not self.plain:
            return
        os.chown(path, self.user.pw_uid, self.user.pw_gid, follow_symlinks=False)
        if path.is_dir() and not path.is_symlink():
            for entry in path.iterdir():
                self.give(entry)

    def write(self, path, text="", mode=None):
        """Makes a file (and its parents) below the box, owned by its user."""
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        if mode is not None:
            path.chmod(mode)
        top = self.root / path.relative_to(self.root).parts[0]
        self.give(top)
        return path

    def settings(self, *, text=None, allow_write=None, **parts):
        """Writes the settings file: the workspace is writable unless said otherwise."""
        if text is None:
            allow_write = [self.ws] if allow_write is None else allow_write
            text = json.dumps(settings_of(allow_write=allow_write, **parts))
        self.settings_file.write_bytes(text if isinstance(text, bytes) else text.encode())
        self.give(self.settings_file)
        return self.settings_file

    # Runs

    def environment(self, changes=None):
        env = {"HOME": str(self.home), "PATH": PATH, "USER": self.user.pw_name, "LANG": "C.UTF-8",
               "LOGNAME": self.user.pw_name, "TERM": "xterm", "SHELL": "/bin/sh"}
        for mark in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            if mark in os.environ:
                env[mark] = os.environ[mark]
        for name, value in (changes or {}).items():
            env.pop(name, None)
            if value is not None:
                env[name] = value
        return env

    def as_user(self):
        """Keyword arguments for subprocess that take on the box's user."""
        if not self.plain:
            return {}
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}

    def popen(self, arguments, env=None, cwd=None, **more):
        more.setdefault("stdin", subprocess.DEVNULL)
        more.setdefault("stdout", subprocess.PIPE)
        more.setdefault("stderr", subprocess.PIPE)
        more.setdefault("start_new_session", True)
        child = subprocess.Popen([os.fspath(a) for a in arguments], cwd=cwd or self.ws, bufsize=0,
                                 env=self.environment(env), **self.as_user(), **more)
        self.children.append(child)
        return child

    def options(self, options, settings=True):
        named = ["--settings", self.settings_file] if settings else []
        return [self.program, "run", *named, *options]

    def start(self, *command, options=(), settings=True, dashes=True, **more):
        """Starts `postern run [options] -- command` and gives the Popen."""
        return self.popen([*self.options(options, settings), *(["--"] if dashes else []), *command], **more)

    def run(self, *command, input=None, timeout=TIMEOUT, **more):
        """Runs it to its end."""
        if input is not None:
            more["stdin"] = subprocess.PIPE
        return self.finish(self.start(*command, **more), input, timeout)

    def sh(self, script, **more):
        """Runs a shell script inside."""
        return self.run("sh", "-c", script, **more)

    def outer(self, *command, input=None, timeout=TIMEOUT, **more):
        """Runs a command outside any sandbox, as the box's user."""
        if input is not None:
            more["stdin"] = subprocess.PIPE
        return self.finish(self.popen(command, **more), input, timeout)

    def line(self, child, timeout=TIMEOUT):
        """The next line of the child's output, as text; a child that says nothing fails the test."""
        line = b""
        deadline = time.monotonic() + timeout
        while not line.endswith(b"\n"):
            ready = select.select([child.stdout], [], [], max(0, deadline - time.monotonic()))[0]
            byte = child.stdout.read(1) if ready else b""
            if not byte:
                child.kill()
                raise AssertionError(f"no line, only {line!r}\n{self.finish(child)!r}")
            line += byte
        return line.decode(errors="replace").rstrip("\n")

    def finish(self, child, input=None, timeout=TIMEOUT):
        if isinstance(input, str):
            input = input.encode()
        try:
            out, err = child.communicate(input, timeout=timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            out, err = child.communicate()
            raise AssertionError(f"no end after {timeout} s\n{Result(None, out or b'', err or b'')!r}") from None
        code = child.returncode if child.returncode >= 0 else f"killed by {signal.Signals(-child.returncode).name}"
        return Result(code, out or b"", err or b"")

    def close(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
            for pipe in (child.stdin, child.stdout, child.stderr):
                if pipe:
                    pipe.close()
        shutil.rmtree(self.root, onerror=make_removable)


def make_removable(function, path, error):
    """A directory without rights is no reason to leave it behind."""
    os.chmod(os.path.dirname(path), 0o700)
    os.chmod(path, 0o700)
    function(path)
