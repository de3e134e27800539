"""The official client and its worker, as processes of their own that a test drives.

    sdk.beta.sessions.create({"agent": …})      calls the client's method of that name; raises SdkError
    sdk.pages.beta.sessions.list({"limit": 2})  every item of every page, the client following the cursors
    sdk.stream.beta.sessions.events.stream(id)  an open stream: .next(), .until(type)

The packages come from the npm registry, in the versions of sdk/package-lock.json, into build/sdk
($POSTERN_SDK), once.
"""

import fcntl
import hashlib
import json
import os
import pathlib
import queue
import shutil
import signal
import subprocess
import threading

HERE = pathlib.Path(__file__).resolve().parent / "sdk"
PEERS = pathlib.Path(os.environ.get("POSTERN_SDK") or HERE.parents[2] / "build/sdk")
WAIT = 60  # seconds: a bound for what should come at once, so that a mistake does not hang the suite


def install():
    """Puts the packages where they belong when they are not there in the locked versions."""
    stamp, lock = PEERS / "stamp", HERE / "package-lock.json"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    PEERS.mkdir(parents=True, exist_ok=True)
    with open(PEERS / "lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, PEERS / name)
        done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=PEERS,
                              capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"the official client could not be installed from the npm registry: {done.stderr[-2000:]}")
        stamp.write_text(wanted)


def start(script, *arguments, environment=None, **options):
    """Node of our own version on one of the scripts in sdk/, with none of the caller's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "OPENAI_"))}
    return subprocess.Popen([PEERS / "node_modules/.bin/node", HERE / script, *arguments],
                            env={**kept, "NODE_PATH": str(PEERS / "node_modules"), **(environment or {})}, **options)


class SdkError(Exception):
    """What the client raised: .name is its class, beside status, type, message, details, body, request_id, retry."""

    def __init__(self, described):
        super().__init__(f"{described['class']} {described['status']}: {described['message']}")
        self.name = described["class"]
        self.__dict__.update({key: value for key, value in described.items() if key != "class"})


class Path:
    """sdk.beta.sessions.create: collects the names, and calls."""

    def __init__(self, call, names=()):
        self._call, self._names = call, names

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Path(self._call, (*self._names, name))

    def __call__(self, *arguments):
        return self._call(".".join(self._names), list(arguments))


class Driver:
    """The process that holds clients; one is enough for a whole run of tests."""

    def __init__(self):
        install()
        self.process = start("driver.cjs", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lock, self.number = threading.Lock(), 0
        self.answers, self.streams = {}, {}
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            message = json.loads(line)
            if "stream" in message:
                self.streams[message["stream"]].put(message)
            else:
                self.answers[message["id"]].put(message)
        for waiting in [*self.answers.values(), *self.streams.values()]:
            waiting.put({"error": {"class": "DriverGone", "status": None, "message": "the driver ended"}, "end": True})

    def ask(self, **request):
        """Sends a request; the answer is fetched with answer(number)."""
        with self.lock:
            self.number += 1
            number = self.number
            self.answers[number] = queue.Queue()
            if request["op"] == "stream":
                self.streams[number] = queue.Queue()
            self.process.stdin.write(json.dumps({"id": number, **request}) + "\n")
            self.process.stdin.flush()
        return number

    def answer(self, number):
        try:
            message = self.answers[number].get(timeout=WAIT)
        except queue.Empty:
            raise AssertionError(f"the client did not answer within {WAIT} s") from None
        del self.answers[number]
        if "error" in message:
            raise SdkError(message["error"])
        return message["result"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(WAIT)
        self.thread.join()


class Stream:
    def __init__(self, driver, number):
        self.driver, self.number = driver, number

    def next(self):
        """The next event, or None at the end of the stream; raises what the client raised."""
        try:
            message = self.driver.streams[self.number].get(timeout=WAIT)
        except queue.Empty:
            raise AssertionError(f"no event within {WAIT} s") from None
        if "error" in message:
            raise SdkError(message["error"])
        return message.get("event")

    def until(self, wanted):
        """The events up to the first for which wanted(event) holds, or of that type, including it."""
        match = wanted if callable(wanted) else lambda event: event["type"] == wanted
        events = []
        while (event := self.next()) is not None:
            events.append(event)
            if match(event):
                return events
        raise AssertionError(f"the stream ended before {wanted}: {[event['type'] for event in events]}")

    def close(self):
        self.driver.answer(self.driver.ask(op="abort", stream=self.number))


class Sdk:
    """One client; options are those of the client's constructor."""

    def __init__(self, driver, url, key, **options):
        self.driver = driver
        self.client = driver.answer(driver.ask(op="client", options={"baseURL": url, "apiKey": key, **options}))
        self.pages = Path(lambda path, arguments: self.run("pages", path, arguments))
        self.stream = Path(lambda path, arguments: Stream(driver, self.run("stream", path, arguments)))
        self.later = Path(lambda path, arguments: self.send("call", path, arguments))

    def __getattr__(self, name):
        return Path(lambda path, arguments: self.run("call", path, arguments), (name,))

    def send(self, operation, path, arguments):
        return self.driver.ask(op=operation, client=self.client, path=path, args=arguments)

    def run(self, operation, path, arguments):
        return self.driver.answer(self.send(operation, path, arguments))

    def requests(self):
        """What it put on the wire since the last question: method, path, retry, credential, status."""
        return self.driver.answer(self.driver.ask(op="requests", client=self.client))

    def accumulate(self, events):
        return self.driver.answer(self.driver.ask(op="accumulate", events=events))


class Worker:
    """The client's environment worker on one queue, its tools working in `directory`."""

    def __init__(self, url, environment, key, directory, **options):
        install()
        self.log_path = pathlib.Path(directory).parent / f"{pathlib.Path(directory).name}.{os.urandom(3).hex()}.log"
        self.rows, self.changed = [], threading.Condition()
        with open(self.log_path, "w") as log:
            self.process = start("worker.cjs", json.dumps({"workdir": str(directory), **options}),
                                 environment={"ANTHROPIC_BASE_URL": url, "ANTHROPIC_ENVIRONMENT_ID": environment,
                                              "ANTHROPIC_ENVIRONMENT_KEY": key},
                                 cwd=directory, start_new_session=True, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=log, text=True)
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            with self.changed:
                self.rows.append(json.loads(line))
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def wait_for(self, wanted, what="the request"):
        """Waits until the worker made a request for which wanted(row) holds; gives the first."""
        def found():
            return next((row for row in self.rows if wanted(row)), None)
        with self.changed:
            assert self.changed.wait_for(found, WAIT), f"{what} did not come; the worker made {self.rows}\n{self.log}"
            return found()

    def made(self, method, part):
        """The requests it made so far whose path holds `part`."""
        with self.changed:
            return [row for row in self.rows if row["method"] == method.lower() or row["method"] == method
                    if part in row["path"]]

    @property
    def log(self):
        return self.log_path.read_text()

    def kill(self):
        """Ends it and everything that its tools started at once, as a power cut would."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.finish()

    def stop(self):
        """Asks it to end; gives its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.finish()

    def finish(self):
        status = self.process.wait(WAIT)
        self.thread.join()
        self.process.stdout.close()
        return status

    def close(self):
        if self.process.poll() is None:
            self.kill()
