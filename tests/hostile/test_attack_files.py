"""Hidden and read-only files: T3, T4, T5, T32, T35, T38, T39, races against the judge, precedence."""

import os

import outer
import pytest

SECRET = "mark-in-secret"


@pytest.fixture
def hidden(cell):
    """A hidden file and a hidden directory, each inside and outside the workspace."""
    for path in ("ws/file", "outside/file", "ws/directory/deep/file", "outside/directory/deep/file"):
        cell.write(path, f"{SECRET} {path}")
    cell.mkdir("ws/scratch")
    places = [cell.ws / "file", cell.ws / "directory", cell.outside / "file", cell.outside / "directory"]
    cell.chosen = cell.settings(deny_read=places)
    cell.strict = cell.settings(deny_read=places, x={"filesystem": {"strictHide": True}})
    return cell


HIDDEN = pytest.mark.parametrize("path", ["ws/file", "outside/file", "ws/directory/deep/file",
                                          "outside/directory/deep/file"])


@pytest.mark.threat("T5")
@pytest.mark.guards("mount", "landlock", "seccomp")
@HIDDEN
def test_no_alias_reads_a_hidden_file(hidden, path):
    # Where the command may write, the mount alone hides unless every open is judged.
    settings = hidden.strict if hidden.without == "mount" and path.startswith("ws/") else hidden.chosen
    hidden.attack("read", hidden.at(path), f"{SECRET} {path}", hidden.ws / "scratch", settings=settings)
    assert hidden.at(path).read_text() == f"{SECRET} {path}"


@pytest.mark.threat("T5")
@pytest.mark.parametrize("alias", [
    "cat '{path}'", "cat < '{path}'", "cat /proc/self/root'{path}'", "cat /proc/$$/root'{path}'",
    "cat /proc/1/root'{path}'", "cd '{parent}' && cat /proc/self/cwd/'{name}'", "cd '{parent}' && cat '{name}'",
    "exec 9<'{path}'; cat /proc/self/fd/9", "ln -s '{path}' l; cat l", "ln '{path}' h; cat h", "cp '{path}' c; cat c",
    "cp -r '{parent}' c; cat c/'{name}'", "mv '{path}' m; cat m", "tar cf - '{path}'", "dd if='{path}'",
    "cat '{parent}/../{parent_name}/{name}'", "sh '{path}'", ". '{path}'", "grep -r mark '{parent}'",
    "head -c 99 '{path}'", "cat '{parent}'/*", "find '{parent}' -type f -exec cat {{}} +",
])
def test_no_shell_line_reads_a_hidden_file(hidden, alias):
    """The `how to test` of T5: one shell line per alias; the file hidden outside the workspace."""
    found = [hidden.outside / "file", hidden.ws / "directory/deep/file"]
    lines = [alias.format(path=path, parent=path.parent, name=path.name, parent_name=path.parent.name) for path in found]
    done = hidden.sh("".join(f"({line})\n" for line in lines), settings=hidden.chosen)
    assert SECRET not in done.out + done.err, done
    assert all(SECRET in path.read_text() for path in found)


@pytest.mark.threat("T5")
@pytest.mark.guards("mount", "landlock", "seccomp")
@pytest.mark.parametrize("path", ["outside/victim", "ws/denied/victim", "ws/victim"])
def test_no_alias_writes_a_read_only_file(cell, path):
    """Outside every allowed path; below a denied directory; a denied file beside writable ones."""
    victim = cell.write(path, "unchanged\n")
    cell.mkdir("ws/scratch")
    before, status = outer.tree(victim.parent), victim.stat()
    denies = [] if path.startswith("outside") else [victim if path == "ws/victim" else victim.parent]
    cell.attack("write", victim, cell.ws / "scratch", settings=cell.settings(deny_write=denies))
    cell.leftovers.allowed.add(str(cell.root))
    assert outer.tree(victim.parent)["victim".encode()] == before["victim".encode()]
    assert (victim.stat().st_ino, victim.stat().st_mtime_ns) == (status.st_ino, status.st_mtime_ns)


@pytest.mark.threat("T5")
@pytest.mark.guards("mount", "landlock", "seccomp")
def test_nothing_is_made_outside_an_allowed_path(cell):
    cell.mkdir("ws/scratch")
    before = outer.tree(cell.outside)
    cell.attack("make", cell.outside / "new", cell.ws / "scratch")
    assert outer.tree(cell.outside) == before


# T3: the directories that hold a deny in place

PINNED = {
    ".git": ("ws/.git/hooks/sample", "ws/.git", "ws/.git/hooks/pre-commit"),
    "sub/.git": ("ws/sub/.git/hooks/sample", "ws/sub/.git", "ws/sub/.git/hooks/pre-commit"),
    "sub": ("ws/sub/.git/hooks/sample", "ws/sub", None),
    ".claude": ("ws/.claude/commands/x", "ws/.claude", "ws/.claude/commands/y"),
    ".vscode": ("ws/.vscode/tasks.json", "ws/.vscode", "ws/.vscode/launch.json"),
}


@pytest.mark.threat("T3")
@pytest.mark.guards("mount", "landlock", "seccomp")
@pytest.mark.parametrize("case", [case for case in PINNED if case != "sub"])
def test_a_directory_that_holds_a_deny_cannot_be_moved(cell, case):
    inner, holder, new = PINNED[case]
    cell.write(inner, "mine\n")
    cell.mkdir("ws/scratch")
    cell.attack("move", cell.at(holder), cell.ws / "scratch")
    assert cell.at(inner).read_text() == "mine\n"
    cell.attack("make", cell.at(new), cell.ws / "scratch")


@pytest.mark.threat("T3")
@pytest.mark.guards("mount", "landlock", "seccomp")
@pytest.mark.parametrize("kind", ["deny_read", "deny_write"])
def test_the_parents_of_a_listed_deny_cannot_be_moved(cell, kind):
    kept = cell.write("ws/a/b/c/kept", SECRET)
    cell.mkdir("ws/scratch")
    settings = cell.settings(**{kind: [kept.parent]})
    for holder in ("ws/a/b/c", "ws/a/b", "ws/a"):
        cell.attack("move", cell.at(holder), cell.ws / "scratch", settings=settings)
    assert kept.read_text() == SECRET


@pytest.mark.threat("T3")
def test_moving_the_repository_away_does_not_help(cell):
    """As the threat is written: `mv .git g; mkdir -p .git/hooks; echo > .git/hooks/pre-commit`."""
    cell.repository()
    cell.sh("mv .git g; mkdir -p .git/hooks; echo '#!/bin/sh' > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit")
    assert (cell.ws / ".git/HEAD").exists() and not (cell.ws / "g").exists()
    assert not (cell.ws / ".git/hooks/pre-commit").exists()


@pytest.mark.threat("T3")
def test_a_parent_above_a_nested_repository_moves_with_its_denies_or_not_at_all(cell):
    """`mv sub elsewhere` is ordinary work; what must not work is to write its hooks afterwards."""
    cell.write("ws/sub/.git/hooks/sample", "mine\n")
    cell.sh("mv sub other; mkdir -p sub/.git/hooks; for d in sub other; do echo x > $d/.git/hooks/pre-commit; "
            "echo x > $d/.git/config; done")
    assert not list(cell.ws.glob("*/.git/hooks/pre-commit")) and not list(cell.ws.glob("*/.git/config"))


# T4: judged when the name is made, however deep, however ignored

DEEP = ["a/b/c/d/e/f/{}", "node_modules/pkg/{}", "ignored/{}", ".hidden/x/{}", "{}"]
NAMES = [".gitconfig", ".gitmodules", ".bashrc", ".bash_profile", ".zshrc", ".zprofile", ".profile", ".ripgreprc",
         ".mcp.json", ".vscode", ".idea", ".claude/commands", ".claude/agents", ".git/hooks", ".git/config",
         ".git/config.worktree", ".git/commondir", ".git/modules/m/config", ".git/modules/m/hooks",
         ".git/worktrees/w/config.worktree", ".git/info/attributes", ".husky", ".envrc", ".bash_login", ".bash_logout",
         ".zshenv", ".zlogin", ".zlogout", ".kshrc", ".inputrc", ".vimrc", ".exrc", ".lldbinit", ".gdbinit", ".npmrc",
         ".yarnrc", ".yarnrc.yml", ".pnpmfile.cjs", ".pypirc", ".netrc", ".curlrc", ".wgetrc", ".claude/settings.json",
         ".claude/settings.local.json", ".claude/hooks", ".claude/skills", ".codex", ".gemini", ".cursor",
         ".devcontainer"]


@pytest.mark.threat("T4")
@pytest.mark.guards("landlock", "seccomp", "mount")
@pytest.mark.parametrize("name", [".bashrc", ".vscode", ".git/hooks", ".claude/agents"])
def test_dangerous_names_cannot_be_made_at_any_depth(cell, name):
    cell.mkdir("ws/scratch")
    cell.attack("make", cell.ws / "a/b/c/d/e/f" / name, cell.ws / "scratch")


@pytest.mark.threat("T4")
@pytest.mark.parametrize("place", DEEP)
def test_each_dangerous_name_is_refused_in_a_directory_made_inside(cell, place):
    """Every name, in a directory that is made in the same run; the common ways, in one program."""
    cell.write("ws/.gitignore", "ignored\nnode_modules\n")
    script = """
import os
for name in sys.argv[1:]:
    os.makedirs(os.path.dirname(os.path.dirname(name)) or '.', exist_ok=True)
    for deed in (lambda: os.mkdir(os.path.dirname(name)), lambda: os.close(os.open(name, os.O_CREAT | os.O_WRONLY)),
                 lambda: os.mkdir(name), lambda: os.symlink('x', name), lambda: os.link('plain', name),
                 lambda: os.rename('plain', name), lambda: os.rename('directory', name), lambda: os.mkfifo(name)):
        for path in ('plain', 'directory'):
            if not os.path.exists(path): os.mkdir(path) if path == 'directory' else open(path, 'w').close()
        try:
            deed()
            if os.path.lexists(name): print('MADE', name)
        except OSError: pass
"""
    done = cell.python(script, *[place.format(name) for name in NAMES])
    assert done.code == 0 and done.out == "", done


@pytest.mark.threat("T4")
def test_dangerous_names_do_not_come_in_a_directory_that_is_moved(cell):
    """Built under harmless names, moved into place whole."""
    script = """
        mkdir -p t/hooks t/info x/commands y/tasks && echo a > t/hooks/pre-commit && echo a > t/config
        echo a > x/commands/c; echo a > y/tasks/t
        mkdir -p p q; mv t p/.git; mv x q/.claude; mv y .vscode; mv t .git
        mkdir -p r/u/hooks && mv r/u r/.git; mv r s
        mkdir -p bare && cp -r t/. bare/ && mkdir -p bare/objects bare/refs && echo 'ref: refs/heads/main' > bare/HEAD
        exit 0
    """
    cell.sh(script)
    left = [p for p in cell.ws.rglob("*") if p.name in ("pre-commit", "config", "commands", "tasks.json")
            and (".git" in p.parts or ".claude" in p.parts or ".vscode" in p.parts)]
    assert not left and not (cell.ws / ".vscode").exists()


# T32: a deny that was made impossible to look at

@pytest.mark.threat("T32")
@pytest.mark.guards("landlock", "seccomp")
def test_a_deny_below_a_directory_without_rights_still_hides(cell):
    secret = cell.write("ws/a/b/secret", SECRET)
    settings = cell.settings(deny_read=[secret])
    cell.sh("chmod 000 a/b", settings=settings)
    cell.sh("chmod 000 a", settings=settings)
    done = cell.sh("chmod 755 a a/b; chmod 755 a/b; cat a/b/secret; mv a z; cat z/b/secret; cat a/b/secret",
                   settings=settings)
    assert SECRET not in done.out, done
    for directory in ("ws/a", "ws/a/b", "ws/z", "ws/z/b"):
        if cell.at(directory).exists():
            cell.at(directory).chmod(0o755)
    done = cell.sh("cat a/b/secret z/b/secret", settings=settings)
    assert SECRET not in done.out, done


@pytest.mark.threat("T32")
def test_a_deny_below_a_closed_directory_outside_still_hides(cell):
    """As the threat is tested: `chmod 000` of the parent, run again."""
    secret = cell.write("outside/a/secret", SECRET)
    (cell.outside / "a").chmod(0)
    done = cell.sh(f"chmod 755 '{secret.parent}'; cat '{secret}'", settings=cell.settings(deny_read=[secret]))
    assert SECRET not in done.out, done
    (cell.outside / "a").chmod(0o755)


@pytest.mark.threat("T32")
def test_a_descriptor_from_before_does_not_undo_a_deny(cell):
    secret = cell.write("outside/secret", SECRET)
    with open(secret.parent / "secret") as file, open("/dev/null") as null:
        at = os.open(secret.parent, os.O_RDONLY | os.O_DIRECTORY)
        os.set_inheritable(at, True)
        done = cell.sh(f"cat /proc/self/fd/{file.fileno()} <&{file.fileno()}; cat /proc/self/fd/{at}/secret",
                       settings=cell.settings(deny_read=[secret]), pass_fds=[file.fileno(), at, null.fileno()])
        os.close(at)
    assert SECRET not in done.out, done


# T35: names that are bytes

ODD = [b"a\nb", b"a\tb", b"\xff\xfe", b"-rf", b" ", b"x" * 255, "ünï".encode(), b"$(touch x)", b"a'b\"c", b"\x01\x1b[31m",
       b"*", b"..."]


@pytest.mark.threat("T35")
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd[:12]))
def test_odd_directories_hide_no_dangerous_name(cell, odd):
    at = cell.mkdir(os.path.join(os.fsencode(cell.ws), odd))
    cell.mkdir(os.path.join(at, b".git"))
    cell.mkdir("ws/scratch")
    script = ("import os\nat = os.fsencode(sys.argv[1])\nos.chdir(at)\n"
              "for name in ('.mcp.json', '.bashrc', '.git/config', '.git/hooks/pre-commit', '.vscode/tasks.json'):\n"
              "    for deed in (lambda: os.makedirs(os.path.dirname(name) or '.', exist_ok=True),\n"
              "                 lambda: open(name, 'w').close(), lambda: os.symlink('x', name), lambda: os.mkdir(name)):\n"
              "        try: deed()\n        except OSError: pass\n")
    before = outer.tree(at)
    assert cell.run("/usr/bin/python3", "-I", "-S", "-c", f"import sys\n{script}", at).code == 0
    assert outer.tree(at) == before


@pytest.mark.threat("T35")
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd[:12]))
def test_odd_names_in_existing_trees_are_denied_too(cell, odd):
    """What the host already has there must be read-only from the first moment."""
    at = os.path.join(os.fsencode(cell.ws), odd)
    for name in (b".mcp.json", b".git/config", b".git/hooks/post-merge", b".vscode/tasks.json"):
        cell.write(os.path.join(at, name), "mine\n")
    before = outer.tree(at)
    cell.run("/usr/bin/python3", "-I", "-S", "-c",
             "import os, sys\nos.chdir(os.fsencode(sys.argv[1]))\n"
             "for n in ('.mcp.json', '.git/config', '.git/hooks/post-merge', '.vscode/tasks.json'):\n"
             "    for deed in (lambda: open(n, 'w').close(), lambda: os.unlink(n), lambda: os.rename(n, 'away'),\n"
             "                 lambda: os.rename(os.path.dirname(n) or n, 'gone'), lambda: os.truncate(n, 0)):\n"
             "        try: deed()\n        except OSError: pass\n", at)
    assert outer.tree(at) == before


@pytest.mark.threat("T35")
@pytest.mark.parametrize("name", [".BASHRC", ".Git/hooks/pre-commit", ".GIT/CONFIG", ".VSCode", ".Mcp.Json",
                                  ".git/HOOKS/pre-commit"])
def test_case_look_alikes_never_reach_a_folded_name(cell, name):
    """On a file system that does not fold they are other names; what counts is that the real ones stay absent."""
    cell.sh(f"mkdir -p \"$(dirname '{name}')\"; echo x > '{name}'; mkdir -p '{name}'")
    assert not [n for n in outer.tree(cell.ws) if n in (b".bashrc", b".git/config", b".vscode", b".mcp.json")]


@pytest.mark.threat("T35")
def test_odd_names_can_be_listed_as_denies(cell):
    for odd in ("a\nb", "tab\there", "*star", "ünï", "[x", "-dash"):
        secret = cell.write(f"ws/{odd}/secret", SECRET)
        settings = cell.settings(deny_read=[{"path": str(cell.ws / odd), "literal": True}])
        done = cell.run("/bin/cat", secret, settings=settings)
        assert done.code != 0 and SECRET not in done.out, done


# T38: a link in place of a dangerous name

LINKS = pytest.mark.parametrize("name", [".bashrc", ".vscode", ".git/hooks"])
LINK_TARGETS = pytest.mark.parametrize("target", ["ws/real", "outside/real"])


def linked(cell, name, target):
    """A link of that name to a file or a directory with a file; gives (link, the file that it leads to)."""
    is_directory = name in (".vscode", ".git/hooks")
    inner = cell.write(f"{target}/inner" if is_directory else target, "mine\n")
    link = cell.link(cell.at(target), f"ws/{name}")
    cell.mkdir("ws/scratch")
    return link, link / "inner" if is_directory else link, inner


@pytest.mark.threat("T38")
@pytest.mark.guards("seccomp", "landlock", "mount")
@LINKS
@LINK_TARGETS
def test_a_link_in_place_of_a_dangerous_name_stays(cell, name, target):
    link, _, inner = linked(cell, name, target)
    cell.attack("write", link, cell.ws / "scratch", "name")
    assert link.is_symlink() and inner.read_text() == "mine\n"


@pytest.mark.threat("T38")
@pytest.mark.guards("seccomp", "landlock")
@LINKS
@LINK_TARGETS
def test_nothing_is_written_through_a_link_of_a_dangerous_name(cell, name, target):
    """The place it leads to is denied by the link's name, also where it lies in a write root."""
    link, through, inner = linked(cell, name, target)
    cell.attack("write", through, cell.ws / "scratch", "contents")
    if through != link:
        cell.attack("make", link / "new", cell.ws / "scratch")
    assert inner.read_text() == "mine\n"


@pytest.mark.threat("T38")
@pytest.mark.guards("seccomp", "landlock")
@LINKS
def test_what_a_link_of_a_dangerous_name_leads_to_is_denied_by_its_own_name(cell, name):
    """Contract 3.4.5: both the link and the target, for links that are there at the start."""
    _, _, inner = linked(cell, name, "ws/real")
    cell.attack("write", inner, cell.ws / "scratch", "contents")
    assert inner.read_text() == "mine\n"


@pytest.mark.threat("T38")
def test_removing_the_link_and_making_a_file(cell):
    link = cell.link(cell.write("outside/real", "mine\n"), "ws/.bashrc")
    cell.sh("rm -f .bashrc; echo evil > .bashrc; mv .bashrc x; ln -sf /dev/null .bashrc")
    assert os.readlink(link) == str(cell.outside / "real") and link.read_text() == "mine\n"


@pytest.mark.threat("T38")
@pytest.mark.guards("landlock", "seccomp")
def test_a_listed_deny_that_is_a_link_holds_at_both_ends(cell):
    secret = cell.write("ws/real/secret", SECRET)
    link = cell.link("real/secret", "ws/link")
    cell.mkdir("ws/scratch")
    settings = cell.settings(deny_read=[link])
    cell.attack("read", secret, SECRET, cell.ws / "scratch", settings=settings)
    cell.sh("rm -f link; echo x > link", settings=cell.settings(deny_write=[link]))
    assert link.is_symlink() and secret.read_text() == SECRET


# T39: hard links

@pytest.mark.threat("T39")
@pytest.mark.guards("landlock")
@pytest.mark.parametrize("change", ["contents", "inode"])
def test_a_second_link_of_a_write_denied_file_is_denied(cell, change):
    """Judged by inode. The second name itself may go; what it leads to may not change."""
    victim = cell.write("ws/victim", "mine\n")
    os.link(victim, cell.ws / "second")
    cell.mkdir("ws/scratch")
    mode = victim.stat().st_mode
    cell.attack("write", cell.ws / "second", cell.ws / "scratch", change, settings=cell.settings(deny_write=[victim]))
    assert victim.read_text() == "mine\n" and victim.stat().st_mode == mode


@pytest.mark.threat("T39")
def test_a_second_link_of_a_write_denied_file_is_said(cell):
    victim = cell.write("ws/victim", "mine\n")
    os.link(victim, cell.ws / "second")
    done = cell.run("/bin/true", settings=cell.settings(deny_write=[victim]))
    assert done.code == 0 and "victim" in done.err and "link" in done.err, done


@pytest.mark.threat("T39")
def test_a_second_link_of_a_hidden_file_is_said_and_hidden_with_strict_hide(cell):
    secret = cell.write("ws/.env", SECRET)
    os.link(secret, cell.ws / "second")
    done = cell.run("/bin/true", settings=cell.settings(deny_read=[secret]))
    assert done.code == 0 and ".env" in done.err and "link" in done.err, done
    cell.mkdir("ws/scratch")
    cell.attack("read", cell.ws / "second", SECRET, cell.ws / "scratch", settings=cell.strict_hide(deny_read=[secret]))


@pytest.mark.threat("T39")
def test_no_new_link_of_a_denied_file_can_be_made(cell):
    """As the threat says it, from inside: `ln .env a`, then read `a` in this run and in the next."""
    secret = cell.write("ws/.env", SECRET)
    victim = cell.write("ws/.bashrc", "mine\n")
    settings = cell.settings(deny_read=[secret])
    for _ in range(2):
        done = cell.sh("ln .env a; cat a; ln .bashrc b; echo evil >> b; cp -l .env c; cat c", settings=settings)
        assert SECRET not in done.out, done
    assert (secret.stat().st_nlink, victim.stat().st_nlink, victim.read_text()) == (1, 1, "mine\n")


# Races against the judge: what is judged must be what is done

@pytest.mark.threat("T3", "T4", "T29")
@pytest.mark.guards("landlock", "mount")
def test_nothing_changes_between_the_judgement_and_the_deed(cell):
    cell.mkdir("ws/.git/hooks")
    cell.mkdir("ws/ok")
    cell.attack("race", cell.ws, 60)
    assert not list((cell.ws / ".git/hooks").iterdir())
    assert not (cell.ws / ".bashrc").exists() and not (cell.ws / ".gitmodules").exists()


# 3.4.3: who wins

PRECEDENCE = {
    "a write deny inside a write root": (
        {"deny_write": ["ws/d"]}, {"ws/d/f": "read", "ws/f": "write"}),
    "a write deny above a write root": (
        {"allow_write": ["ws/d/e"], "deny_write": ["ws/d"]}, {"ws/d/e/f": "read", "ws/d/f": "read"}),
    "a write deny at a write root": (
        {"allow_write": ["ws"], "deny_write": ["ws"]}, {"ws/f": "read"}),
    "allowRead beneath denyRead": (
        {"deny_read": ["ws/d"], "allow_read": ["ws/d/e"], "allow_write": []}, {"ws/d/e/f": "read", "ws/d/f": "none"}),
    "denyRead beneath allowRead beneath denyRead": (
        {"deny_read": ["ws/d", "ws/d/e/g"], "allow_read": ["ws/d/e"], "allow_write": []},
        {"ws/d/e/f": "read", "ws/d/e/g/f": "none", "ws/d/f": "none"}),
    "a more specific denyRead inside allowRead": (
        {"deny_read": ["ws", "ws/d/f"], "allow_read": ["ws"], "allow_write": []},
        {"ws/d/f": "none", "ws/f": "read"}),
    "a denied file opens only by its own name": (
        {"deny_read": ["ws/d/f"], "allow_read": ["ws/d"], "allow_write": []}, {"ws/d/f": "none"}),
    "a denied file opened by its own name": (
        {"deny_read": ["ws/d/f"], "allow_read": ["ws/d/f"], "allow_write": []}, {"ws/d/f": "read"}),
    "a write root inside a hidden directory": (
        {"deny_read": ["ws/d"], "allow_write": ["ws/d/e"]}, {"ws/d/e/f": "write", "ws/d/f": "none"}),
    "a write root inside allowRead inside denyRead": (
        {"deny_read": ["ws"], "allow_read": ["ws/d"], "allow_write": ["ws/d/e"]},
        {"ws/d/e/f": "write", "ws/d/f": "read", "ws/f": "none"}),
    "a hidden directory inside a write root": (
        {"deny_read": ["ws/d"]}, {"ws/d/f": "none", "ws/f": "write"}),
    "a hidden file inside a write root": (
        {"deny_read": ["ws/f"]}, {"ws/f": "none", "ws/d/f": "write"}),
    "mandatory over allowWrite": (
        {"allow_write": ["ws", "ws/.vscode", "ws/.git/hooks"]}, {"ws/.vscode/f": "read", "ws/.git/hooks/f": "read"}),
    "allowRead of a path that a write deny names": (
        {"deny_write": ["ws/d"], "allow_read": ["ws/d"]}, {"ws/d/f": "read"}),
    "outside": ({}, {"outside/f": "read"}),
}


@pytest.mark.parametrize("case", PRECEDENCE)
def test_precedence(cell, case):
    """Contract 3.4.3 as a table: what a path is under which lists. `none` hidden, `read` read-only."""
    lists, wants = PRECEDENCE[case]
    for name in ("ws/f", "ws/d/f", "ws/d/e/f", "ws/d/e/g/f", "ws/.vscode/f", "ws/.git/hooks/f", "outside/f"):
        cell.write(name, SECRET)
    cell.mkdir("outside/scratch")
    settings = cell.settings(**{key: [cell.at(path) for path in value] for key, value in lists.items()})
    got = {}
    for path in wants:
        done = cell.sh('cat "$1"; echo more 2>/dev/null >> "$1" && echo WROTE', cell.at(path), settings=settings,
                       cwd=cell.outside)
        got[path] = "write" if "WROTE" in done.out else "read" if SECRET in done.out else "none"
        really = cell.at(path).read_text() != SECRET
        assert really == (got[path] == "write"), f"{path}: {done!r}"
    assert got == wants


def test_a_hidden_file_does_not_look_like_an_empty_file_or_a_device(hidden):
    for path in (hidden.ws / "file", hidden.outside / "file"):
        done = hidden.python("import os, stat\npath = sys.argv[1]\ntry: open(path)\nexcept OSError as e: print(e.errno)\n"
                             "try: print(stat.S_ISCHR(os.lstat(path).st_mode))\nexcept OSError: print('False')\n",
                             path, settings=hidden.chosen)
        assert done.out == "13\nFalse\n", done


def test_a_hidden_directory_is_empty_and_writable_only_inside_a_write_root(hidden):
    script = "ls -A '{0}'; mkdir '{0}/new' && echo MADE; echo x > '{0}/file' && echo MADE; rmdir '{0}' && echo GONE"
    done = hidden.sh(script.format(hidden.outside / "directory"), settings=hidden.chosen)
    assert done.out == "", done
    done = hidden.sh(f"ls -A '{hidden.ws}/directory'; cat '{hidden.ws}/directory/deep/file'", settings=hidden.chosen)
    assert done.out == "", done
    assert outer.tree(hidden.ws / "directory") == {b"deep": outer.tree(hidden.ws / "directory")[b"deep"],
                                                   b"deep/file": outer.tree(hidden.ws / "directory")[b"deep/file"]}


def test_what_is_written_in_a_hidden_directory_never_reaches_the_host(hidden):
    hidden.sh("echo x > directory/new; mkdir -p directory/a/b; rm -rf directory/deep; mv directory gone",
              settings=hidden.chosen)
    assert sorted(outer.tree(hidden.ws / "directory")) == [b"deep", b"deep/file"]
    assert not (hidden.ws / "gone").exists()


@pytest.mark.parametrize("pattern, path", [
    ("{ws}/**/*.pem", "ws/a/b/key.pem"), ("{ws}/*.key", "ws/x.key"), ("{ws}/.env*", "ws/.env.local"),
    ("{ws}/[ab]x", "ws/ax"), ("{ws}/?y", "ws/cy"),
])
def test_patterns_hide_what_exists_and_what_comes_later(cell, pattern, path):
    """3.4.2: files that appear later inside an allowed write path are covered too."""
    secret = cell.write(path, SECRET)
    settings = cell.settings(deny_read=[pattern.format(ws=cell.ws)])
    assert SECRET not in cell.run("/bin/cat", secret, settings=settings).out
    later = cell.settings(deny_write=[pattern.format(ws=cell.ws)])
    secret.unlink()
    cell.sh('mkdir -p "$(dirname "$1")"; echo x > "$1"; ln -s y "$1"; mkdir "$1"', secret, settings=later)
    assert not os.path.lexists(secret)


@pytest.mark.parametrize("pattern", ["/**/x", "**/*.pem", "*/secret"])
def test_a_pattern_that_would_hide_nothing_never_passes_in_silence(cell, pattern):
    """An error, or it hides: never a run with less than was asked for. Relative ones count from the cwd."""
    secret = cell.write("ws/a/secret", SECRET)
    pem = cell.write("ws/a/x.pem", SECRET)
    done = cell.sh(f"cat '{secret}' '{pem}'", settings=cell.settings(deny_read=[pattern]))
    if pattern == "/**/x":
        assert done.code == 1 and SECRET not in done.out, done
    else:
        hidden = pem if pattern.endswith("pem") else secret
        assert done.code == 1 or done.out.count(SECRET) == 1 and hidden.name in done.err, done
