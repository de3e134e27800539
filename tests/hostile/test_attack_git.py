"""T37: git made to run something of the attacker's, at the next ordinary command of the host."""

import os

import outer
import pytest

MARKER = "#!/bin/sh\ntouch '{marker}'\n"


class Trap:
    """A program that leaves a marker when the host runs it, and a repository to plant it in."""

    def __init__(self, cell):
        self.cell, self.marker = cell, cell.outside / "marker"
        self.program = cell.write("outside/program", MARKER.format(marker=self.marker), 0o755)
        self.config = f"[core]\n\tfsmonitor = {self.program}\n\thooksPath = {cell.outside}\n"
        cell.repository()

    def host_works(self, where=None):
        """Ordinary work of the host: none of it may run the attacker's program."""
        where = where or self.cell.ws
        for words in (["status"], ["diff"], ["checkout", "-q", "-b", "branch-of-host"], ["log", "-1"],
                      ["commit", "-q", "--allow-empty", "-m", "x"], ["checkout", "-q", "-"]):
            self.cell.host("git", *words, cwd=where)

    def sprung(self):
        return self.marker.exists()


@pytest.fixture
def trap(cell):
    return Trap(cell)


def plant(trap, relative, text, mode=0o644):
    """Tries to put a file there, by many ways, then by the plain one. Returns whether it stands there."""
    cell = trap.cell
    cell.mkdir("ws/scratch")
    cell.attack("make", cell.ws / relative, cell.ws / "scratch")
    script = ('mkdir -p "$(dirname "$1")"; printf "%s" "$2" > "$1"; printf "%s" "$2" > t && chmod "$3" t && mv -f t "$1"; '
              'chmod "$3" "$1"; exit 0')
    cell.sh(script, cell.ws / relative, text, oct(mode)[2:])


PLANTS = {
    "hook": [(".git/hooks/post-checkout", "hook", 0o755), (".git/hooks/pre-commit", "hook", 0o755)],
    "commondir": [(".git/commondir", "evil-common\n", 0o644)],
    "config.worktree": [(".git/config.worktree", "config", 0o644)],
    "modules config": [(".git/modules/m/config", "config", 0o644)],
    "modules hooks": [(".git/modules/m/hooks/post-checkout", "hook", 0o755)],
    "modules commondir": [(".git/modules/m/commondir", "../../evil\n", 0o644)],
    "deep modules": [(".git/modules/a/modules/b/config", "config", 0o644),
                     (".git/modules/a/b/c/hooks/pre-commit", "hook", 0o755)],
    "worktree config": [(".git/worktrees/w/config.worktree", "config", 0o644)],
    "gitmodules": [(".gitmodules", "[submodule \"x\"]\n\tpath = x\n\turl = ext::sh\n\tupdate = !touch x\n", 0o644)],
    "attributes": [(".git/info/attributes", "* filter=evil\n", 0o644)],
}


@pytest.mark.threat("T37")
@pytest.mark.parametrize("case", PLANTS)
def test_a_redirection_cannot_be_planted(trap, case):
    plant_all(trap, case)


@pytest.mark.threat("T37")
@pytest.mark.guards("mount", "landlock", "seccomp")
@pytest.mark.parametrize("case", ["commondir", "modules hooks"])
def test_a_redirection_is_stopped_by_more_than_one_layer(trap, case):
    plant_all(trap, case)


def plant_all(trap, case):
    cell = trap.cell
    for relative, text, mode in PLANTS[case]:
        text = {"hook": MARKER.format(marker=trap.marker), "config": trap.config}.get(text, text)
        plant(trap, relative, text, mode)
        assert not os.path.lexists(cell.ws / relative)
    trap.host_works()
    assert not trap.sprung()


@pytest.mark.threat("T37")
@pytest.mark.parametrize("name", ["config", "hooks/pre-commit", "commondir"])
def test_the_same_planted_by_the_host_would_work(trap, name):
    """So the marker proves something: what the sandbox refuses is what git would run."""
    cell = trap.cell
    if name == "config":
        with open(cell.ws / ".git/config", "a") as file:
            file.write(trap.config)
    elif name == "commondir":
        for part in ("objects", "refs"):
            cell.mkdir(f"ws/evil-common/{part}")
        cell.write("ws/evil-common/config", "[core]\n\trepositoryformatversion = 0\n" + trap.config)
        cell.write("ws/.git/commondir", f"{cell.ws}/evil-common\n")
    else:
        cell.write(f"ws/.git/{name}", MARKER.format(marker=trap.marker), 0o755)
    trap.host_works()
    assert trap.sprung()


@pytest.mark.threat("T37")
@pytest.mark.guards("landlock")
@pytest.mark.parametrize("name, wrong", [
    ("commondir", "{ws}/evil-common\n"), ("commondir", "../../../evil-common\n"), ("commondir", "../..\n\n../evil\n"),
    ("gitdir", "{ws}/evil\n"), ("gitdir", "relative/.git\n"),
])
def test_the_files_of_a_new_worktree_take_one_content_only(trap, name, wrong):
    """`git worktree add` inside must work, so the names can be made: with what git writes, and nothing else."""
    cell = trap.cell
    for part in ("objects", "refs"):
        cell.mkdir(f"ws/evil-common/{part}")
    cell.write("ws/evil-common/config", trap.config)
    wrong = wrong.format(ws=cell.ws)
    script = """
import os, mmap
at, wrong = sys.argv[1], os.fsencode(sys.argv[2])
right = {'commondir': b'../..\\n', 'gitdir': os.fsencode(os.getcwd()) + b'/tree/.git\\n'}[os.path.basename(at)]
os.makedirs(os.path.dirname(at), exist_ok=True)
def attempt(deed):
    try: os.unlink(at)
    except OSError: pass
    try: deed()
    except (OSError, ValueError): pass
def plain():
    with open(at, 'wb') as f: f.write(wrong)
def in_parts():
    fd = os.open(at, os.O_RDWR | os.O_CREAT, 0o644)
    for b in wrong: os.write(fd, bytes([b]))
def right_then_wrong():
    fd = os.open(at, os.O_RDWR | os.O_CREAT, 0o644)
    os.write(fd, right); os.pwrite(fd, wrong, 0); os.ftruncate(fd, len(wrong))
def kept_open():
    global kept
    kept = os.open(at, os.O_RDWR | os.O_CREAT, 0o644)
    os.write(kept, right)
def mapped():
    fd = os.open(at, os.O_RDWR | os.O_CREAT, 0o644)
    os.ftruncate(fd, len(wrong))
    with mmap.mmap(fd, len(wrong)) as m: m[:] = wrong
def appended():
    with open(at, 'wb') as f: f.write(right)
    with open(at, 'ab') as f: f.write(wrong)
def renamed():
    with open('t', 'wb') as f: f.write(wrong)
    os.rename('t', at)
def linked():
    with open('t', 'wb') as f: f.write(wrong)
    os.link('t', at)
def pointed():
    with open('t', 'wb') as f: f.write(wrong)
    os.symlink(os.path.abspath('t'), at)
def moved_in():
    w = os.path.dirname(at)
    os.rename(w, 'w'); plain_at('w/' + os.path.basename(at)); os.rename('w', w)
def plain_at(path):
    with open(path, 'wb') as f: f.write(wrong)
for deed in (plain, in_parts, right_then_wrong, mapped, appended, renamed, linked, pointed, moved_in, kept_open):
    attempt(deed)
    try:
        if open(at, 'rb').read() not in (right, b''): print('ESCAPED', deed.__name__, open(at, 'rb').read())
    except OSError: pass
"""
    path = cell.ws / ".git/worktrees/w" / name
    done = cell.python(script, path, wrong)
    assert done.code == 0 and "ESCAPED" not in done.out, done
    right = ("../..\n", f"{cell.ws}/tree/.git\n", "")
    assert not path.is_symlink() and (not path.exists() or path.read_text() in right)


@pytest.mark.threat("T37")
@pytest.mark.guards("mount", "landlock", "seccomp")
def test_a_dot_git_file_does_not_lead_elsewhere(trap):
    """`.git` as a file names the repository: `gitdir: evil`."""
    cell = trap.cell
    for part in ("objects", "refs"):
        cell.mkdir(f"ws/evil/{part}")
    cell.write("ws/evil/HEAD", "ref: refs/heads/main\n")
    cell.mkdir("ws/sub")
    cell.sh(f"cp '{cell.outside}/program' x; printf 'gitdir: {cell.ws}/evil\\n' > sub/.git; printf '%s' '{trap.config}' "
            "> evil/config; mkdir -p evil/hooks; echo x > evil/hooks/post-checkout")
    assert not (cell.ws / "evil/config").exists() and not (cell.ws / "evil/hooks/post-checkout").exists()
    trap.host_works(cell.ws / "sub")
    assert not trap.sprung()


@pytest.mark.threat("T37")
@pytest.mark.parametrize("order", ["config first", "config last", "moved in", "copied"])
def test_a_bare_repository_cannot_be_planted(trap, order):
    """HEAD, objects, refs and config in a directory make git believe in it, in whatever order they come."""
    cell = trap.cell
    parts = ["mkdir -p bare/objects", "mkdir -p bare/refs", "echo 'ref: refs/heads/main' > bare/HEAD"]
    config = f"mkdir -p bare; printf '%s' '[core]\n\trepositoryformatversion = 0\n{trap.config}' > bare/config"
    if order == "moved in":
        script = "; ".join(p.replace("bare/", "part/") for p in parts) + f"; {config}; mv part/* bare/; mv bare/config part/"
    elif order == "copied":
        script = "; ".join(parts) + f"; {config.replace('bare', 'part')}; cp -r part/config bare/; mv part/config bare/"
    else:
        script = "; ".join([config, *parts] if order == "config first" else [*parts, config])
    cell.sh(f"{script}; mkdir -p bare/hooks; cp '{trap.program}' bare/hooks/post-checkout; exit 0")
    for where in (cell.ws / "bare", cell.ws / "part"):
        if where.is_dir():
            trap.host_works(where)
            names = set(os.listdir(where))
            assert not {"HEAD", "objects", "refs", "config"} <= names, names
    assert not trap.sprung()


@pytest.mark.threat("T37")
def test_an_existing_bare_repository_keeps_its_config_and_hooks(trap):
    cell = trap.cell
    cell.git("init", "-q", "--bare", "bare.git")
    cell.mkdir("ws/scratch")
    for change in ("contents", "inode"):  # the whole repository may move, with its denies
        cell.attack("write", cell.ws / "bare.git/config", cell.ws / "scratch", change)
    cell.attack("make", cell.ws / "bare.git/hooks/post-update", cell.ws / "scratch")
    cell.attack("make", cell.ws / "bare.git/commondir", cell.ws / "scratch")


@pytest.mark.threat("T37")
def test_an_existing_submodule_keeps_its_config_and_hooks(trap):
    cell = trap.cell
    cell.git("init", "-q", "-b", "main", "../outside/module")
    cell.git("-C", "../outside/module", "commit", "-q", "--allow-empty", "-m", "x")
    cell.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", f"{cell.outside}/module", "sub")
    cell.mkdir("ws/scratch")
    before = outer.tree(cell.ws / ".git/modules/sub")[b"config"]
    for change in ("contents", "name"):
        cell.attack("write", cell.ws / ".git/modules/sub/config", cell.ws / "scratch", change)
    cell.attack("make", cell.ws / ".git/modules/sub/hooks/post-checkout", cell.ws / "scratch")
    cell.attack("make", cell.ws / ".git/modules/sub/commondir", cell.ws / "scratch")
    for change in ("contents", "name"):
        cell.attack("write", cell.ws / "sub/.git", cell.ws / "scratch", change)
    assert outer.tree(cell.ws / ".git/modules/sub")[b"config"] == before


@pytest.mark.threat("T37")
@pytest.mark.parametrize("hook", [".git/hooks/pre-commit", "sub/.git/hooks/pre-commit", ".git/modules/m/hooks/pre-commit",
                                  "a/b/c/d/.git/hooks/pre-commit"])
def test_a_hook_that_is_switched_off_cannot_be_switched_on(trap, hook):
    """A hook without the right to run is a hook with one chmod missing."""
    cell = trap.cell
    victim = cell.write(f"ws/{hook}", MARKER.format(marker=trap.marker), 0o644)
    cell.mkdir("ws/scratch")
    cell.sh('chmod +x "$1"; chmod 755 "$1"; install -m 755 "$1" "$1"; exit 0', victim)
    cell.attack("write", victim, cell.ws / "scratch", "inode")
    assert victim.stat().st_mode & 0o777 == 0o644


@pytest.mark.threat("T37")
def test_git_still_works_inside_and_leaves_no_lock(trap):
    """The denies must not stop ordinary work (contract 3.5), worktrees included."""
    cell = trap.cell
    script = """set -e
        git status --short; echo two > new; git add new; git commit -q -m two; git checkout -q -b topic
        echo three >> new; git stash -q; git stash pop -q; git checkout -q -- new
        git worktree add -q ../ws/tree -b tree; cd tree; git status --short; echo x > y; git add y
        git commit -q -m y; cd ..; git worktree list; git log --oneline"""
    done = cell.sh(script)
    assert done.code == 0, done
    assert not list(cell.ws.rglob("config.lock"))
    assert cell.git("status", "--short").strip() in ("", "?? tree/") and not trap.sprung()
    assert "tree" in cell.git("worktree", "list")
