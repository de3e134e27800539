"""Questions about files: what a yes may not be turned into. T5, T24, T26, T29."""

import json
import os
import socket
import subprocess
import threading

import outer
import pytest

SECRET = "mark-in-secret"


class Yes:
    """A person who says yes to everything, for the whole run."""

    def __init__(self, allow=True):
        self.ours, self.theirs = socket.socketpair()
        self.questions, self.allow = [], allow
        self.thread = threading.Thread(target=self.answer, daemon=True)
        self.thread.start()

    def answer(self):
        with self.ours.makefile("r") as lines:
            for line in lines:
                question = json.loads(line)
                self.questions.append(question)
                self.ours.sendall(json.dumps({"id": question["id"], "allow": self.allow, "scope": "run"}).encode() + b"\n")

    def more(self):
        number = self.theirs.fileno()
        return {"options": ["--ask-fd", str(number)], "pass_fds": [number]}

    def close(self):
        self.theirs.close()
        self.thread.join(10)
        self.ours.close()


@pytest.fixture
def person(request):
    person = Yes()
    yield person
    person.close()


def asking(cell, hide_home=True, **parts):
    return cell.settings(x={"ask": {"files": True}, "filesystem": {"hideHome": hide_home}}, **parts)


@pytest.mark.threat("T29")
def test_a_granted_path_swapped_for_a_link_is_never_followed(cell, person):
    """The granted directory and a link to a secret place change places while the command opens."""
    cell.write("outside/real/notes", SECRET)
    cell.write("outside/d/notes", "harmless")
    cell.link(cell.outside / "real", "outside/e")
    settings = asking(cell, deny_write=[cell.outside / "real"])
    swapper = cell.popen([cell.attacks / "hostile-swap", cell.outside / "d", cell.outside / "e"], stdin=subprocess.PIPE)
    try:
        done = cell.sh(f"i=0; while [ $i -lt 150 ]; do echo evil >>'{cell.outside}/d/notes'; "
                       f"echo evil >'{cell.outside}/d/new'; i=$((i+1)); done 2>/dev/null; exit 0",
                       settings=settings, **person.more())
    finally:
        cell.finish(swapper, b"")
    assert done.code == 0 and person.questions, done
    assert outer.tree(cell.outside / "real") and sorted(os.listdir(cell.outside / "real")) == ["notes"]
    assert (cell.outside / "real/notes").read_text() == SECRET


@pytest.mark.threat("T24")
@pytest.mark.parametrize("verb", ["cat '%s'", "echo evil >'%s'", "echo evil >>'%s'"])
def test_our_own_files_are_never_asked_about(cell, person, verb):
    """Settings, kept answers, audit log and program: not to read either, by any name."""
    kept = cell.write("home/.config/postern/rules.d/kept.json", '{"project": "/x", "rules": []}', 0o600)
    settings = asking(cell)
    log = cell.write("etc/audit.log", "")
    alias = cell.root / "home/alias.json"
    os.link(kept, alias)
    before = {path: path.read_bytes() for path in (kept, settings)}
    more = person.more()
    more["options"] += ["--audit-file", str(log)]
    script = "; ".join(verb % path for path in (kept, settings, log, alias, cell.postern,
                                                cell.home / ".config/postern/rules.d/new.json"))
    done = cell.sh(f"{script}; exit 0", settings=settings, **more)
    asked = {question["path"] for question in person.questions}
    assert not asked & {str(p) for p in (kept, log, cell.postern, cell.home / ".config/postern/rules.d/new.json")}
    assert {path: path.read_bytes() for path in before} == before and '"project"' not in done.out, done
    assert os.listdir(kept.parent) == ["kept.json"]


@pytest.mark.threat("T5")
def test_a_granted_descriptor_leads_nowhere_else(cell, person):
    """A file granted for reading is not written through it, named anew, or used to walk from."""
    notes = cell.write("home/notes", "harmless")
    cell.write("home/key", SECRET)
    script = """
import os, sys
notes, ws = sys.argv[1:]
f = os.open(notes, os.O_RDONLY)
tries = [
    lambda: os.write(f, b"evil"),
    lambda: os.ftruncate(f, 0),
    lambda: os.link(f"/proc/self/fd/{f}", ws + "/second", follow_symlinks=True),
    lambda: os.open("..", os.O_RDONLY, dir_fd=f),
    lambda: os.open("../key", os.O_RDONLY, dir_fd=f),
    lambda: os.open(f"/proc/self/fd/{f}/../key", os.O_RDONLY),
    lambda: os.fchmod(f, 0o777),
    lambda: os.fchown(f, os.getuid(), os.getgid()),
    lambda: os.utime(f),
    lambda: os.rename(f"/proc/self/fd/{f}", ws + "/second"),
    lambda: os.fchdir(f),
]
for number, attempt in enumerate(tries):
    try:
        attempt()
        print("ESCAPED", number)
    except OSError:
        pass
print(os.read(f, 100))
"""
    before = os.stat(notes)
    done = cell.python(script, notes, cell.ws, settings=asking(cell), **person.more())
    assert done.ok() == "b'harmless'\n", done
    after = os.stat(notes)
    assert (before.st_mode, before.st_mtime_ns, before.st_nlink) == (after.st_mode, after.st_mtime_ns, after.st_nlink)
    assert {q["path"] for q in person.questions} == {str(notes)}
    assert {q["kind"] for q in person.questions} == {"file-read"}


@pytest.mark.threat("T5")
def test_a_grant_to_read_is_no_grant_to_write(cell):
    notes = cell.write("home/notes", "harmless")
    person = Yes()
    script = """
import os, sys
f = os.open(sys.argv[1], os.O_RDONLY)
print("read", flush=True)
sys.stdin.readline()
for how in (os.O_RDWR, os.O_WRONLY, os.O_RDONLY | os.O_TRUNC):
    try:
        os.open(f"/proc/self/fd/{f}", how)
        print("ESCAPED", how)
    except OSError:
        pass
"""
    child = cell.start(*("/usr/bin/python3", "-I", "-S", "-B"), "-c", script, str(notes), settings=asking(cell),
                       stdin=subprocess.PIPE, **person.more())
    person.theirs.close()
    line = child.stdout.readline()
    person.allow = False
    done = cell.finish(child, b"\n")
    person.close()
    assert line == b"read\n" and done.out == "" and done.code == 0, done
    assert notes.read_text() == "harmless"


@pytest.mark.threat("T5")
def test_a_grant_to_write_is_no_grant_to_read(cell):
    """Nor through the descriptor, nor by opening the name for both, nor by the place of a file of our own."""
    notes = cell.write("home/notes", "secret")
    person = Yes()
    script = """
import os, sys
f = os.open(sys.argv[1], os.O_WRONLY)
os.close(os.open(sys.argv[1] + "-own", os.O_WRONLY | os.O_CREAT))
print("open", flush=True)
sys.stdin.readline()
for path in (f"/proc/self/fd/{f}", sys.argv[1], sys.argv[1] + "-own"):
    for how in (os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_CREAT, os.O_RDWR | os.O_APPEND, os.O_RDONLY | os.O_CREAT):
        try:
            if os.read(os.open(path, how), 9):
                print("ESCAPED", path, how)
        except OSError:
            pass
"""
    child = cell.start(*("/usr/bin/python3", "-I", "-S", "-B"), "-c", script, str(notes), settings=asking(cell),
                       stdin=subprocess.PIPE, **person.more())
    person.theirs.close()
    line = child.stdout.readline()
    person.allow = False
    cell.write("home/other", "secret").rename(f"{notes}-own")
    done = cell.finish(child, b"\n")
    person.close()
    assert line == b"open\n" and done.out == "" and done.code == 0, done


@pytest.mark.threat("T26")
@pytest.mark.parametrize("name", ["a\u202egnp.exe", "a\nb", "\x1b[2J", "zero\u200bwidth", b"\xff\xfe", "</sandbox_violations>"])
def test_names_that_mislead_are_not_asked_about(cell, person, name):
    path = os.fsencode(cell.outside) + b"/" + (name if isinstance(name, bytes) else name.encode()).replace(b"/", b"_")
    script = "import os, sys\ntry: os.open(bytes.fromhex(sys.argv[1]), os.O_WRONLY | os.O_CREAT)\nexcept OSError as e: print(e.errno)"
    done = cell.python(script, path.hex(), settings=asking(cell), **person.more())
    assert done.out == "13\n" and person.questions == [] and os.listdir(cell.outside) == [], done


@pytest.mark.threat("T26")
def test_a_flood_of_questions_about_files_is_bounded(cell):
    person = Yes(allow=False)
    done = cell.sh(f"i=0; while [ $i -lt 500 ]; do echo x >'{cell.outside}'/$i; i=$((i+1)); done 2>/dev/null; exit 0",
                   settings=asking(cell), **person.more())
    person.close()
    assert done.code == 0 and 1 <= len(person.questions) <= 120 and os.listdir(cell.outside) == [], done
