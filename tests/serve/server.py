"""`postern serve` as a process, and what a test says to it and takes from it."""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import time

from api import Api

WAIT = 60  # seconds: a bound for what should come at once, so that a mistake does not hang the suite
KEY = re.compile(rb"sk-pst-(?:api|env|req)-[0-9A-Za-z]{32,}")


def in_session(leader):
    """The processes of the session that this process led, with their names."""
    found = []
    for place in pathlib.Path("/proc").iterdir():
        if place.name.isdigit():
            with contextlib.suppress(OSError):
                name, _, rest = (place / "stat").read_text().partition("(")[2].rpartition(")")
                words = rest.split()
                if int(words[3]) == leader and words[0] != "Z":
                    found.append((int(place.name), name))
    return found


class Server:
    """A server on a state directory of its own. `config` becomes postern.yaml; `environment` adds to its variables."""

    def __init__(self, postern, directory, config=None, environment=None, wrapper=()):
        self.postern, self.directory, self.config = postern, pathlib.Path(directory), config
        self.environment, self.wrapper = environment or {}, list(wrapper)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.state, self.env_file = self.directory / "state", self.directory / "server.env"
        self.log_path = self.directory / "serve.log"
        self.listen, self.process, self.values = "127.0.0.1:0", None, {}

    def command(self):
        words = [*self.wrapper, self.postern, "serve", "--bootstrap", "--env-file", self.env_file, "--state", self.state,
                 "--listen", self.listen]
        if self.config is not None:
            path = self.directory / "postern.yaml"
            path.write_text(json.dumps(self.config))  # every JSON text is YAML
            words += ["--config", path]
        return words

    def start(self):
        """Starts it and waits until it is ready; a second start takes the same address and keys again."""
        before = self.written()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "OPENAI_"))}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), env={**kept, **self.environment}, cwd=self.directory,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.wait_for(lambda: self.written() != before, "the file with the keys")
        found = dict(line.split("=", 1) for line in self.env_file.read_text().splitlines() if "=" in line)
        self.values = {**self.values, **{name: value for name, value in found.items() if value}}
        self.listen = self.url.removeprefix("http://")
        return self

    def written(self):
        """Changes each time that the file with the keys is written."""
        try:
            found = self.env_file.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns

    def wait_for(self, condition, what):
        end = time.monotonic() + WAIT
        while not condition():
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode} before {what}:\n{self.log}")
            if time.monotonic() > end:
                raise AssertionError(f"{what} did not come within {WAIT} s:\n{self.log}")
            time.sleep(0.01)

    @property
    def url(self):
        return self.values["POSTERN_URL"]

    @property
    def key(self):
        return self.values["POSTERN_API_KEY"]

    @property
    def environment_id(self):
        return self.values["POSTERN_ENVIRONMENT_ID"]

    @property
    def environment_key(self):
        return self.values["POSTERN_ENVIRONMENT_KEY"]

    @property
    def api(self):
        return Api(self.url, self.key)

    @property
    def worker_api(self):
        return Api(self.url, self.environment_key)

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def pid(self):
        """The process that serves: the program itself, or what a wrapper or the front started."""
        return max(in_session(self.process.pid))[0]

    def resident(self):
        """Resident memory of the server in bytes; not of a build with sanitizers, where it says nothing."""
        status = pathlib.Path(f"/proc/{self.pid()}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024

    def run(self, *words):
        """Another command of the program on this state directory."""
        return subprocess.run([self.postern, *words, "--state", self.state], capture_output=True, text=True,
                              timeout=WAIT, stdin=subprocess.DEVNULL)

    def kill(self):
        """As a power cut would end it."""
        for pid, _ in in_session(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(WAIT)

    def restart(self):
        return self.start()

    def stop(self):
        """Asks it to end; checks how it ended and what it left."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(WAIT)
        assert status == 0, f"the server ended with {status}:\n{self.log}"
        self.check_nothing_is_left()

    def check_nothing_is_left(self):
        left = in_session(self.process.pid)
        assert not left, f"the server left processes: {left}"
        assert not KEY.search(self.log_path.read_bytes()), "a key stands in the server's log"

    def close(self):
        """The end of a test: stops it when it runs, and checks it in any case."""
        if self.process is None:
            return
        if self.process.poll() is None:
            try:
                self.stop()
            finally:
                self.kill()
        self.check_nothing_is_left()
