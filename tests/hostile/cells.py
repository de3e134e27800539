"""One place to attack from: who runs `postern run`, where, with which settings.

A cell is a directory below /var/tmp with
    ws/       the working directory, writable inside
    home/     $HOME
    outside/  readable inside, not writable
    etc/      settings files and logs
all owned by the user who starts the sandbox, so that nothing but the sandbox protects them.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time

import pytest

import outer

PATH = "/usr/local/bin:/usr/bin:/bin"
TIMEOUT = 90  # a bound for a hang, no claim about speed
HERE = pathlib.Path(__file__).resolve().parent
PYTHON = ("/usr/bin/python3", "-I", "-S", "-B")

# root; somebody without a passwd entry; somebody with one. All but root have no rights at all.
USERS = {"root": 0, "user": 47110, "named": 5}
NAMED_HOME = "/usr/games"  # the passwd entry of uid 5 on every Debian system

# Names that nothing inside a sandbox may make (contract 3.5), the ones with a fixed name.
DANGEROUS = {b".gitconfig", b".gitmodules", b".bashrc", b".bash_profile", b".zshrc", b".zprofile", b".profile",
             b".ripgreprc", b".mcp.json", b".vscode", b".idea", b".envrc", b".husky", b".npmrc", b".netrc", b".codex",
             b".gemini", b".cursor", b".devcontainer"}
DANGEROUS_IN = {b".git": {b"config", b"hooks", b"commondir", b"config.worktree"},
                b".claude": {b"commands", b"agents", b"settings.json", b"hooks"}}


class Result:
    """What came out of one run."""

    def __init__(self, code, out, err):
        self.code, self.raw_out, self.raw_err = code, out, err
        self.out, self.err = out.decode(errors="replace"), err.decode(errors="replace")

    def __repr__(self):
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"

    def ok(self):
        assert self.code == 0, repr(self)
        return self.out


def dangerous_names(*roots):
    found = set()
    for root in roots:
        for where, directories, names in os.walk(os.fsencode(root)):
            inside = DANGEROUS_IN.get(os.path.basename(where), set())
            found.update(os.path.join(where, n) for n in directories + names if n in DANGEROUS or n in inside)
            if os.path.basename(where) == b"hooks" and b".git" in where:
                found.update(os.path.join(where, n) for n in directories + names)
    return found


class Cell:
    def __init__(self, postern, attacks, who, leftovers, without=None):
        self.postern, self.attacks, self.who, self.without, self.leftovers = postern, attacks, who, without, leftovers
        self.uid = USERS[who] if os.geteuid() == 0 else os.geteuid()
        self.root = pathlib.Path(tempfile.mkdtemp(prefix=f"postern-hostile-{os.getpid()}-", dir="/var/tmp"))
        self.root.chmod(0o755)
        self.ws, self.home, self.outside, self.etc = (self.root / n for n in ("ws", "home", "outside", "etc"))
        for directory in (self.ws, self.home, self.outside, self.etc):
            directory.mkdir()
        self.give(self.root)
        self.children, self.shells, self.surprises, self.groups = [], [], set(), []
        self.watched = True  # look for dangerous names after every run
        self.settings_count = 0
        leftovers.allowed.add(str(self.root))
        if self.uid >= 1000 and os.geteuid() == 0:
            leftovers.users.add(self.uid)

    # Files, made on the host and owned by the cell's user

    def give(self, path):
        if os.geteuid() == 0:
            for where, directories, names in os.walk(os.fsencode(path)):
                for name in directories + names:
                    os.chown(os.path.join(where, name), self.uid, self.uid, follow_symlinks=False)
            os.chown(path, self.uid, self.uid, follow_symlinks=False)
        return path

    def at(self, path):
        """A path of the cell by its name in it ("ws/x"); bytes stay bytes."""
        return os.path.join(os.fsencode(self.root), path) if isinstance(path, bytes) else self.root / path

    def mkdir(self, path):
        """Makes a directory and its parents; gives its path."""
        path, made = self.at(path), []
        at = path
        while not os.path.lexists(at):
            made.append(at)
            at = os.path.dirname(at)
        for at in reversed(made):
            os.mkdir(at)
            os.chown(at, self.uid, self.uid)
        return path if isinstance(path, bytes) else pathlib.Path(path)

    def write(self, path, text="", mode=0o644):
        """Makes a file and its parents; gives its path."""
        path = self.at(path)
        self.mkdir(os.path.dirname(path))
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        os.chmod(path, mode)
        os.chown(path, self.uid, self.uid)
        return path if isinstance(path, bytes) else pathlib.Path(path)

    def link(self, target, path):
        """Makes a symlink at `path`."""
        path = self.at(path)
        self.mkdir(os.path.dirname(path))
        os.symlink(target, path)
        os.chown(path, self.uid, self.uid, follow_symlinks=False)
        return pathlib.Path(path)

    # Settings

    def settings(self, *, allowed=(), denied=(), deny_read=(), allow_read=None, allow_write=None, deny_write=(),
                 network=None, filesystem=None, x=None, text=None, **top):
        """Writes a settings file and gives its path. The workspace is writable unless said otherwise."""
        value = {
            "network": {"allowedDomains": list(allowed), "deniedDomains": list(denied), **(network or {})},
            "filesystem": {"denyRead": paths(deny_read),
                           "allowWrite": paths([self.ws] if allow_write is None else allow_write),
                           "denyWrite": paths(deny_write), **(filesystem or {})},
            **top,
        }
        if allow_read is not None:
            value["filesystem"]["allowRead"] = paths(allow_read)
        if x is not None:
            value["x"] = x
        self.settings_count += 1
        if text is None:
            text = json.dumps(value)
        return self.write(f"etc/settings-{self.settings_count}.json", text)

    def strict_hide(self, **parts):
        """Settings with x.filesystem.strictHide."""
        return self.settings(x={"filesystem": {"strictHide": True}}, **parts)

    # Runs

    def environment(self, changes=None):
        env = {"HOME": str(self.home), "PATH": PATH, "LANG": "C.UTF-8", "TERM": "xterm", "SHELL": "/bin/sh",
               "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_COMMITTER_NAME": "a",
               "GIT_COMMITTER_EMAIL": "a@example.com", "GIT_CONFIG_NOSYSTEM": "1"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            if name in os.environ:
                env[name] = os.environ[name]
        for name, value in (changes or {}).items():
            env.pop(name, None)
            if value is not None:
                env[name] = value
        return env

    def as_user(self):
        return {"user": self.uid, "group": self.uid, "extra_groups": []} if os.geteuid() == 0 and self.uid else {}

    def popen(self, arguments, *, env=None, cwd=None, names=None, clean_env=None, **more):
        """Starts a program as the cell's user. `names` = (hosts file, resolv.conf) that it sees."""
        for stream in ("stdin", "stdout", "stderr"):
            more.setdefault(stream, subprocess.DEVNULL if stream == "stdin" else subprocess.PIPE)
        more.setdefault("start_new_session", True)
        identity = self.as_user()
        if names:
            arguments, identity = [*self.with_names(names), *arguments], {}
        if self.groups:
            arguments, identity = [*self.in_groups(), *arguments], {}
        child = subprocess.Popen([a if isinstance(a, bytes) else os.fspath(a) for a in arguments], cwd=cwd or self.ws,
                                 env=self.environment(env) if clean_env is None else clean_env, **identity, **more)
        self.children.append(child)
        self.leftovers.started(child.pid)
        return child

    def take_groups(self):
        """Gives the cell's user control groups to divide, as a service manager does; all later runs start in
        them. None, or why it cannot be done."""
        if os.geteuid() != 0:
            return "only root can give control groups away"
        for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            base = pathlib.Path("/sys/fs/cgroup") / (controllers or "unified")
            if controllers not in ("", "memory", "pids", "cpu") or not (base / "cgroup.procs").exists():
                continue
            group = base / path.lstrip("/") / f"postern-hostile-groups-{os.getpid()}"
            group.mkdir()
            self.groups.append(group)
            for name in (".", "cgroup.procs", "tasks", "cgroup.threads"):
                if (group / name).exists():
                    os.chown(group / name, self.uid, self.uid)
        return None if len(self.groups) > 3 else "no control groups (version 1) with all of memory, pids and cpu here"

    def in_groups(self):
        """The words in front of a command that make it begin in those groups."""
        return ["sh", "-c", 'while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs"; shift; done; shift; '
                f'exec setpriv --reuid {self.uid} --regid {self.uid} --clear-groups -- "$@"', "sh", *self.groups, "--"]

    def with_names(self, names):
        """The words in front of a command that make it see other names than the machine's."""
        if os.geteuid() != 0:
            pytest.skip("only root can put a hosts file in place for one process")
        return ["unshare", "-m", "--propagation", "private", "sh", "-c",
                'mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/resolv.conf && shift 2 && '
                f'exec setpriv --reuid {self.uid} --regid {self.uid} --clear-groups -- "$@"', "sh", *names]

    def words(self, command, settings=None, options=()):
        """The argument vector of `postern run`."""
        disabled = [f"--disable-layer={self.without}"] if self.without else []
        if settings is None:
            settings = self.settings()
        chosen = [] if settings is False else ["--settings", settings]
        return [self.postern, "run", *disabled, *chosen, *options, "--", *command]

    def start(self, *command, settings=None, options=(), **more):
        """Starts `postern run ... -- command` and gives the Popen."""
        return self.popen(self.words(command, settings, options), **more)

    def finish(self, child, input=None, timeout=TIMEOUT):
        try:
            out, err = child.communicate(input.encode() if isinstance(input, str) else input, timeout=timeout)
        except subprocess.TimeoutExpired as late:
            shown = Result(None, late.stdout or b"", late.stderr or b"")
            kill_tree(child)
            raise AssertionError(f"no end after {timeout} s\n{shown!r}") from None
        return Result(child.returncode, out or b"", err or b"")

    def run(self, *command, input=None, timeout=TIMEOUT, **more):
        """Runs a command inside, to its end."""
        before = self.names_now()
        if input is not None:
            more["stdin"] = subprocess.PIPE
        done = self.finish(self.start(*command, **more), input, timeout)
        self.surprises |= self.names_now() - before
        return done

    def sh(self, script, *arguments, **more):
        """Runs a shell script inside."""
        return self.run("/bin/sh", "-c", script, "sh", *arguments, **more)

    def python(self, script, *arguments, **more):
        """Runs a Python script inside; `import inside` has what the scripts share."""
        script = f"import sys; sys.path.insert(0, {str(HERE)!r})\n{script}"
        return self.run(*PYTHON, "-c", script, *map(str, arguments), **more)

    def attack(self, name, *arguments, **more):
        """Runs an attack program inside and asserts that it was blocked; gives its line."""
        done = self.run(self.attacks / f"hostile-{name}", *map(str, arguments), **more)
        self.check_verdict(name, arguments, done)
        return done.out

    def check_verdict(self, name, arguments, done):
        shown = f"{name} {' '.join(map(str, arguments))}"
        assert done.code == 0 and done.out.startswith("blocked: "), f"hostile-{shown}: {done!r}"

    def bare(self, name, *arguments, **more):
        """Runs an attack program without a sandbox, in namespaces that are thrown away with it."""
        if os.geteuid() != 0:
            pytest.skip("only root can make the throw-away namespaces")
        away = ["unshare", "-m", "-p", "-f", "-i", "-u", "-n", "--kill-child", "--mount-proc", "--propagation",
                "private", "setpriv", "--reuid", str(self.uid), "--regid", str(self.uid), "--clear-groups", "--"]
        child = subprocess.Popen([*away, *([self.attacks / f"hostile-{name}"] if isinstance(name, str) else name),
                                  *map(str, arguments)], cwd=self.ws, env=self.environment(), stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
        self.children.append(child)
        return self.finish(child)

    def host(self, *command, input=None, **more):
        """Runs a command on the host as the cell's user: what people and their tools do there."""
        if input is not None:
            more["stdin"] = subprocess.PIPE
        return self.finish(self.popen(command, **more), input)

    def git(self, *arguments, cwd=None):
        done = self.host("git", *arguments, cwd=cwd)
        assert done.code == 0, f"git {arguments}: {done!r}"
        return done.out

    def repository(self, path="ws"):
        """A repository with one commit, made on the host."""
        path = self.mkdir(path)
        self.git("init", "-q", "-b", "main", cwd=path)
        self.write(f"{path}/tracked", "one\n")
        self.git("add", "tracked", cwd=path)
        self.git("commit", "-q", "-m", "one", cwd=path)
        return path

    def shell(self, **more):
        """A shell inside that stays; see Shell."""
        shell = Shell(self, **more)
        self.shells.append(shell)
        return shell

    def names_now(self):
        return dangerous_names(self.ws, self.home, self.outside) if self.watched else set()

    def close(self):
        for shell in self.shells:
            shell.close()
        for child in self.children:
            if child.poll() is None:
                kill_tree(child)
            for pipe in (child.stdin, child.stdout, child.stderr):
                if pipe:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
        for group in self.groups:
            with contextlib.suppress(OSError):  # the check of what is left says it
                group.rmdir()
        shutil.rmtree(os.fsencode(self.root), onerror=make_removable)
        assert not self.surprises, f"dangerous names came into being: {sorted(self.surprises)}"


class Shell:
    """A shell inside one sandbox, for steps that the host's steps come between."""

    END = "=end="

    def __init__(self, cell, settings=None, options=(), **more):
        self.cell = cell
        self.child = cell.start("/bin/sh", settings=settings, options=options, stdin=subprocess.PIPE,
                                stderr=subprocess.PIPE, **more)
        self.errors = b""
        self.reader = threading.Thread(target=self.drain, daemon=True)
        self.reader.start()
        done = self("echo up")
        assert done.out == "up\n", f"the shell did not start: {done!r} {self.errors!r}"

    def drain(self):
        self.errors = self.child.stderr.read()

    def __call__(self, command, *, input_file="/dev/null"):
        """Runs one command line; gives (code, output with errors)."""
        line = f"{{ {command}\n}} 2>&1 <{input_file}; s=$?; echo; echo {self.END} $s\n"
        timer = threading.Timer(TIMEOUT, self.child.kill)
        timer.start()
        try:
            out = []
            try:
                self.child.stdin.write(line.encode(errors="surrogateescape"))
                self.child.stdin.flush()
            except BrokenPipeError:
                self.reader.join(TIMEOUT)
                raise AssertionError(f"the shell is gone: {self.errors.decode(errors='replace')}") from None
            while True:
                line = self.child.stdout.readline()
                if not line or line.startswith(f"{self.END} ".encode()):
                    break
                out.append(line)
        finally:
            timer.cancel()
        if not line:
            self.reader.join(TIMEOUT)
            raise AssertionError(f"the shell is gone: {b''.join(out)!r}, code {self.child.wait()}, {self.errors!r}")
        text = b"".join(out)
        return Result(int(line.split()[1]), text[:-1] if text.endswith(b"\n") else text, b"")

    def attack(self, name, *arguments):
        words = " ".join(f"'{a}'" for a in (self.cell.attacks / f"hostile-{name}", *arguments))
        done = self(words)
        self.cell.check_verdict(name, arguments, done)
        return done.out

    def close(self):
        """Ends the shell; gives its result, with what stood on stderr."""
        if self.child.poll() is None:
            with contextlib.suppress(BrokenPipeError):
                self.child.stdin.close()
            try:
                self.child.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self.reader.join(TIMEOUT)
        return Result(self.child.returncode, b"", self.errors)


def insist(child, number):
    """Sends a signal again and again, like somebody impatient, until the child has ended; gives its status."""
    deadline = time.monotonic() + TIMEOUT
    while child.poll() is None:
        assert time.monotonic() < deadline, f"{signal.Signals(number).name} does not end it"
        child.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(0.2)
    return child.returncode


def kill_tree(child):
    """Ends a child that we started, then what is left of all that came from it."""
    family = outer.descendants(child.pid)
    child.kill()
    time.sleep(0.3)  # its own helpers put things away now
    for pid in family:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    child.wait()


def paths(entries):
    return [e if isinstance(e, dict) else os.fspath(e) for e in entries]


def make_removable(function, path, error):
    """A directory without rights is no reason to leave it behind."""
    parent = os.path.dirname(path)
    os.chmod(parent, stat.S_IMODE(os.stat(parent).st_mode) | 0o700)
    if os.path.isdir(path) and not os.path.islink(path):
        os.chmod(path, 0o700)
        shutil.rmtree(path)
    else:
        function(path)
