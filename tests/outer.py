"""The machine as seen from outside the sandbox: processes, mounts, groups, sockets and files.

Used by the fixtures of conftest.py and by tests that compare before and after.
"""

import os
import re
import stat
import time

# The suites' own directories and mounts: of this process, and of others that run beside it.
SUITES = re.compile(r"postern-(hostile|scenario|clients|program|certificate|egress|tests|leak)")
SETTLE_SECONDS = 20  # a bound, not a claim: teardown of namespaces goes on after the last exit


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def processes():
    """{pid: (parent, state, command)} of the whole machine."""
    table = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        line = read(f"/proc/{name}/stat").decode(errors="replace")
        if line:
            state, parent = line.rpartition(")")[2].split()[:2]
            table[int(name)] = (int(parent), state, line[line.index("(") + 1:line.rindex(")")])
    return table


def descendants(of=None):
    """{pid: text} of all processes that come from us, zombies that we could reap left out."""
    of = of or os.getpid()
    table = processes()
    found, stack = {}, [of]
    while stack:
        parent = stack.pop()
        for pid, (its_parent, state, command) in table.items():
            if its_parent == parent and pid not in found:
                found[pid] = f"{command} ({state})"
                stack.append(pid)
    return found


def reap(known):
    """Takes the zombies that became our children when their parent died."""
    for pid, text in descendants().items():
        if pid not in known and text.endswith("(Z)"):
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass


def mounts():
    """Mount lines without their numbers, which change."""
    return {line.split(maxsplit=2)[2] for line in read("/proc/self/mountinfo").decode(errors="replace").splitlines()}


def groups():
    return {where for where, _, _ in os.walk("/sys/fs/cgroup")}


def unix_sockets():
    lines = read("/proc/net/unix").decode(errors="replace").splitlines()[1:]
    return {words[7] for words in (line.split(maxsplit=7) for line in lines) if len(words) == 8}


def files():
    found = {}
    for place in ("/tmp", "/var/tmp", "/dev/shm", "/run", "/"):
        try:
            entries = list(os.scandir(place))
        except OSError:
            continue
        for entry in entries:
            try:
                found[entry.path] = entry.stat(follow_symlinks=False).st_uid
            except OSError:
                pass
    return found


def listeners(pids):
    """The listening TCP and UDP sockets of the host that one of `pids` holds: what `ss -ltunp` shows."""
    held = set()
    for pid in pids:
        try:
            held.update(os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            pass
    found = []
    for table, states in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
        for line in read(f"/proc/net/{table}").decode().splitlines()[1:]:
            words = line.split()
            if words[3] in states and f"socket:[{words[9]}]" in held:
                found.append(f"{table} {words[1]}")
    return found


class Leftovers:
    """The state before a test, and what has been added since.

    On a machine that others use at the same time only what is certainly ours counts: descendants of
    this process, names that hold one of our process numbers, and what belongs to `users`.
    """

    OURS = re.compile(r"postern|claude|srt[-.]", re.I)
    OWNER = re.compile(r"postern\.(\d+)\.")  # the program's own names tell whose they are

    def __init__(self):
        self.pids, self.users, self.allowed = set(), set(), set()
        self.known = set(descendants())
        self.mounts, self.groups, self.sockets, self.files = mounts(), groups(), unix_sockets(), files()

    def started(self, pid):
        """A process of ours, by whose number a leftover may be named."""
        self.pids.add(str(pid))

    def ours(self, name):
        numbers = set(re.findall(r"\d+", name))
        return bool(numbers & self.pids)

    def is_of_others(self, pid):
        return os.path.exists(f"/proc/{pid}") and pid not in descendants()

    def now(self):
        reap(self.known)
        left = [f"process {pid} {text}" for pid, text in descendants().items() if pid not in self.known]
        left += [f"mount {line}" for line in mounts() - self.mounts if not SUITES.search(line)]
        left += [f"cgroup {name}" for name in groups() - self.groups if self.ours(name)]
        left += [f"socket {name}" for name in unix_sockets() - self.sockets
                 if self.ours(name) or any(place in name for place in self.allowed)]
        for path, uid in files().items():
            name = os.path.basename(path)
            owner = self.OWNER.search(name)
            if path in self.files or SUITES.search(name) or (owner and self.is_of_others(int(owner[1]))):
                continue
            if uid in self.users or self.ours(name) or self.OURS.search(name):
                left.append(f"file {path}")
        return left

    def check(self):
        deadline = time.monotonic() + SETTLE_SECONDS
        left = self.now()
        while left and time.monotonic() < deadline:
            time.sleep(0.02)
            left = self.now()
        assert not left, "left behind: " + "; ".join(left)


def tree(path):
    """{relative name: (kind, mode, size or link, content)} of everything beneath `path`."""
    found = {}
    path = os.fsencode(path)
    for where, directories, names in os.walk(path):
        for name in directories + names:
            full = os.path.join(where, name)
            st = os.lstat(full)
            what = os.readlink(full) if stat.S_ISLNK(st.st_mode) else read(full) if stat.S_ISREG(st.st_mode) else b""
            found[os.path.relpath(full, path)] = (stat.S_IFMT(st.st_mode), stat.S_IMODE(st.st_mode), what)
    return found
