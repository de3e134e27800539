"""Contract 3.4 and 3.5: what is hidden, readable, writable, and which rule wins."""

import json
import os

import pytest


def can_read(box, path):
    return box.run("cat", path).code == 0


def can_write(box, path):
    return box.run("sh", "-c", 'echo changed >>"$1"', "sh", path).code == 0


@pytest.fixture
def tree(box):
    """ws/{plain,secret,dir/{inner,secret},src/code}, each holding its own name."""
    for name in ("plain", "secret", ".env", "dir/inner", "dir/secret", "src/code", "src/.env"):
        box.write(f"ws/{name}", f"{name}\n")
    return box


def test_everything_is_readable_and_the_workspace_writable(tree):
    assert can_read(tree, tree.outside / "readable") and can_read(tree, "/etc/passwd")
    assert can_write(tree, "plain") and can_write(tree, "new")
    assert (tree.ws / "new").read_text() == "changed\n"


@pytest.mark.parametrize("script", [
    "echo x >f", "echo x >>f", ": >f", "mkdir f", "ln -s x f", "ln plain f", "mknod f p", "mv plain f", "rm plain",
    "chmod 600 plain", "touch -d 2001-01-01 plain", "cp plain f", "truncate -s 0 plain", "mv src f", "rmdir empty",
    "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"f\")'",
    "python3 -c 'import os; os.setxattr(\"plain\", \"user.x\", b\"1\")'",
])
def test_nothing_outside_an_allowed_path_can_be_changed(tree, script):
    (tree.ws / "empty").mkdir()
    tree.settings(allow_write=[])
    before = snapshot(tree.ws)
    assert tree.sh(script).code != 0
    assert snapshot(tree.ws) == before


def snapshot(top):
    seen = {}
    for where, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.join(where, name)
            st = os.lstat(path)
            seen[path] = (st.st_mode, st.st_size, st.st_mtime_ns, st.st_nlink)
    return seen


@pytest.mark.parametrize("script", [
    "echo x >f && cat f", "mkdir -p a/b/c && rmdir a/b/c", "ln -s plain l && cat l", "ln plain h", "mkfifo p",
    "mv plain moved && cat moved", "rm plain", "chmod 600 plain", "touch -d 2001-01-01 plain", "cp -a src copy",
    "truncate -s 0 plain", "mv src other && cat other/code", "rm -r dir", "mktemp -p .", "cp plain f && cmp plain f",
    "python3 -c 'import os; fd = os.open(\".\", os.O_TMPFILE | os.O_RDWR); os.write(fd, b\"x\")'",
    "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"sock\")'",
    "cd src && echo x >../from-below && echo y >./here && echo z >../src/there",
    "exec 3>f; echo one >&3; echo two >&3; test $(wc -l <f) = 2",
    "umask 077; : >f; test $(stat -c %a f) = 600", "umask 0; mkdir -m 1777 t; test $(stat -c %a t) = 1777",
    "set -C; echo x >f; ! echo y >f",
    "python3 -c 'import os; os.rename(\"plain\", \"plain\"); os.replace(\"plain\", \"src/plain\")'",
    "python3 -c 'import tempfile; tempfile.NamedTemporaryFile(dir=\".\").write(b\"x\")'",
    "python3 -c 'import mmap; f = open(\"plain\", \"r+b\"); m = mmap.mmap(f.fileno(), 0); m[0:1] = b\"X\"' && grep -q X plain",
    "dd if=/dev/zero of=big bs=1M count=8 status=none && test $(stat -c %s big) = 8388608",
])
def test_ordinary_work_in_an_allowed_path(tree, script):
    tree.sh(script).ok()


@pytest.mark.parametrize("script, want", [
    ("cat nothing", "No such file"), ("cat plain/x", "Not a directory"), ("rmdir dir", "Directory not empty"),
    ("mkdir dir", "File exists"), ("rm src", "Is a directory"), ("echo x >src", "[Ii]s a directory"),
    ("echo x >nowhere/file", "o such file|nonexistent"), ("ln plain secret", "File exists"),
    ("python3 -c 'import os; os.open(\"a\" * 300, os.O_CREAT | os.O_WRONLY)'", "File name too long"),
    ("ln -s loop loop; echo x >loop", "Too many levels|cannot create"),
    ("python3 -c 'import os; os.open(\"plain\", os.O_CREAT | os.O_EXCL | os.O_WRONLY)'", "File exists"),
    ("ln -s plain l; python3 -c 'import os; os.open(\"l\", os.O_NOFOLLOW | os.O_WRONLY)'", "Too many levels"),
])
def test_errors_are_the_kernel_s_own(tree, script, want):
    import re
    done = tree.sh(script)
    assert done.code != 0 and re.search(want, done.err), repr(done)


# Hidden

def test_a_hidden_file_fails_with_eacces(tree):
    tree.settings(deny_read=["secret"])
    done = tree.run("cat", "secret")
    assert done.code != 0 and "Permission denied" in done.err and done.out == ""


def test_a_hidden_directory_is_empty(tree):
    tree.settings(deny_read=["dir"], allow_write=[])
    assert tree.run("ls", "-A", "dir").ok() == ""
    assert not can_read(tree, "dir/inner")


def test_a_hidden_directory_outside_write_paths_cannot_be_written(tree):
    place = tree.write("outside/hidden/file", "x").parent
    tree.settings(deny_read=[place])
    assert not can_write(tree, place / "new") and not (place / "new").exists()


def test_hide_empty_gives_srt_s_way(tree):
    tree.settings(deny_read=["dir"], x={"filesystem": {"hide": "empty"}})
    assert tree.sh("ls -A dir | wc -l").ok().strip() == "0"
    assert (tree.ws / "dir/inner").read_text() == "dir/inner\n"


@pytest.mark.parametrize("alias", ["ln -s secret alias; cat alias", "cat ./secret", "cat dir/../secret", "cat $PWD/secret",
                                   "cat /proc/self/cwd/secret", "cat /proc/self/root$PWD/secret", "cat <secret",
                                   "ln secret alias; cat alias", "mv secret alias; cat alias", "cp secret alias; cat alias",
                                   "tar cf - secret", "exec 3<.; cat /proc/self/fd/3/secret"])
def test_a_hidden_file_holds_under_every_name(tree, alias):
    tree.settings(deny_read=["secret"])
    assert "secret\n" not in tree.sh(alias).out
    assert (tree.ws / "secret").read_text() == "secret\n"


def test_a_deny_through_a_symlink_lands_where_the_path_is(tree):
    (tree.ws / "link").symlink_to("secret")
    tree.settings(deny_read=["link"])
    assert not can_read(tree, "secret") and not can_read(tree, "link")


@pytest.mark.parametrize("entry", ["~/h", "{home}/h", "{home}//h/", "{home}/./h", "../home/h", "{home}/x/../h"])
def test_ways_to_write_a_path(box, entry):
    box.write("home/h", "hidden\n")
    (box.home / "x").mkdir()
    box.settings(deny_read=[entry.format(home=box.home)])
    assert not can_read(box, box.home / "h")


def test_tilde_user_is_a_relative_name(box):
    box.write("ws/~root/f", "x")
    box.settings(deny_read=["~root/f"])
    assert not can_read(box, "./~root/f") and can_read(box, "/etc/passwd")


@pytest.mark.parametrize("pattern, hidden, seen", [
    ("**/.env", [".env", "src/.env"], ["src/code"]), ("*.key", ["a.key"], ["sub/b.key"]),
    ("**/*.key", ["a.key", "sub/b.key"], ["plain"]), ("?.key", ["a.key"], ["ab.key"]),
    ("[ab].key", ["a.key"], ["c.key"]), ("[a-b].key", ["a.key"], ["c.key"]), ("src/**", ["src/code"], ["plain"]),
    ("[].key", ["[].key"], ["a.key"]), ("[z-a].key", ["[z-a].key"], ["a.key"]),
])
def test_patterns(tree, pattern, hidden, seen):
    for name in (*hidden, *seen):
        if not (tree.ws / name).exists():
            tree.write(f"ws/{name}", "text\n")
    tree.settings(deny_read=[f"{tree.ws}/{pattern}"])
    assert [n for n in hidden if can_read(tree, n)] == []
    assert [n for n in seen if not can_read(tree, n)] == []


def test_what_lies_too_deep_for_a_pattern_is_hidden_whole(box):
    deep = "/".join(["d"] * 70)
    box.write(f"ws/{deep}/.env", "secret\n")
    box.write("ws/d/d/plain", "plain\n")
    box.settings(deny_read=[f"{box.ws}/**/.env"])
    done = box.sh(f"cat {deep}/.env; cat d/d/plain")
    assert done.out == "plain\n" and "deeper than a pattern is searched" in done.err, done


def test_a_directory_that_cannot_be_searched_is_hidden_whole(box):
    if not box.plain and os.geteuid() == 0:
        pytest.skip("root may search everything")
    box.write("ws/a/closed/.env", "secret\n")
    box.write("ws/plain", "plain\n")
    (box.ws / "a").chmod(0o600)
    box.settings(deny_read=[f"{box.ws}/**/.env"])
    assert box.sh("chmod 700 a; cat a/closed/.env; cat plain").out == "plain\n"
    (box.ws / "a").chmod(0o700)


def test_a_literal_entry_is_no_pattern(tree):
    tree.write("ws/a*", "star\n")
    tree.write("ws/ab", "ab\n")
    tree.settings(text=json.dumps({"network": {"allowedDomains": [], "deniedDomains": []}, "filesystem": {
        "denyRead": [{"path": f"{tree.ws}/a*", "literal": True}], "allowWrite": [], "denyWrite": []}}))
    assert not can_read(tree, "a*") and can_read(tree, "ab")


# Precedence, 3.4.3

def test_1_deny_write_wins_inside_allow_write(tree):
    tree.settings(deny_write=["dir", "plain"])
    assert not can_write(tree, "dir/inner") and not can_write(tree, "dir/new") and not can_write(tree, "plain")
    assert can_write(tree, "src/code")


def test_1_deny_write_wins_above_allow_write_with_a_warning(tree):
    tree.settings(allow_write=["src"], deny_write=["."])
    done = tree.sh("echo x >>src/code")
    assert done.code != 0 and (tree.ws / "src/code").read_text() == "src/code\n"
    assert "src" in done.err


def test_1_the_same_path_in_both_lists_is_read_only(tree):
    tree.settings(allow_write=[".", "src"], deny_write=["src"])
    assert not can_write(tree, "src/code") and can_write(tree, "plain")


def test_2_allow_read_opens_beneath_deny_read(tree):
    tree.settings(deny_read=["."], filesystem={"allowRead": ["src"]}, allow_write=[])
    assert can_read(tree, "src/code") and not can_read(tree, "plain")


def test_2_a_more_specific_deny_stays(tree):
    tree.settings(deny_read=[tree.root, f"{tree.root}/**/.env"], filesystem={"allowRead": ["."]}, allow_write=[])
    assert can_read(tree, "plain") and can_read(tree, "src/code")
    assert not can_read(tree, ".env") and not can_read(tree, "src/.env")
    assert not can_read(tree, tree.outside / "readable")


def test_3_a_denied_file_opens_only_by_its_own_name(tree):
    tree.settings(deny_read=["dir/secret"], filesystem={"allowRead": ["dir"]}, allow_write=[])
    assert not can_read(tree, "dir/secret")
    tree.settings(deny_read=["dir/secret"], filesystem={"allowRead": ["dir/secret"]}, allow_write=[])
    assert can_read(tree, "dir/secret")


def test_4_a_write_path_inside_a_hidden_directory_is_put_back(tree):
    tree.settings(deny_read=["."], allow_write=["src"])
    assert can_read(tree, "src/code") and can_write(tree, "src/code") and not can_read(tree, "plain")


def test_4_also_with_an_allow_read_between_the_two(tree):
    tree.settings(deny_read=[tree.root], filesystem={"allowRead": ["."]}, allow_write=["src"])
    assert can_read(tree, "plain") and can_write(tree, "src/code") and not can_write(tree, "plain")
    assert not can_read(tree, tree.outside / "readable")


def test_6_deny_read_of_the_root(tree):
    tree.settings(deny_read=["/"], filesystem={"allowRead": ["/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache"]},
                  allow_write=[tree.ws])
    done = tree.sh("ls -A /etc /home /var 2>/dev/null; ls /proc/self/fd >/dev/null && : >/dev/null && ls /sys >/dev/null; "
                   "cat plain")
    assert done.ok().splitlines()[-1] == "plain"
    assert "passwd" not in done.out


def test_6_with_allow_read_of_the_root_it_denies_nothing(tree):
    tree.settings(deny_read=["/"], filesystem={"allowRead": ["/"]})
    assert can_read(tree, "/etc/passwd") and can_read(tree, "plain")


def test_7_mandatory_denies_over_allow_write(tree):
    tree.settings(allow_write=[tree.ws, tree.ws / ".bashrc"])
    assert not can_write(tree, ".bashrc") and not (tree.ws / ".bashrc").exists()


def test_a_write_path_that_is_a_link_leading_out_is_skipped(tree):
    (tree.ws / "out").symlink_to(tree.outside)
    tree.settings(allow_write=["out"])
    assert not can_write(tree, tree.outside / "new") and not can_write(tree, "out/new")


def test_ssh_config_d_is_hidden_with_a_read_policy(tree):
    if not os.path.isdir("/etc/ssh/ssh_config.d"):
        pytest.skip("this machine has no /etc/ssh/ssh_config.d")
    tree.settings(deny_read=["secret"])
    assert tree.run("ls", "-A", "/etc/ssh/ssh_config.d").out == ""


def test_disabled_means_no_file_rules(tree):
    tree.settings(deny_read=["secret"], allow_write=[], filesystem={"disabled": True})
    assert can_read(tree, "secret") and can_write(tree, "plain") and can_write(tree, ".bashrc")


# Always write-denied, 3.5

FILES = [".gitconfig", ".gitmodules", ".bashrc", ".bash_profile", ".zshrc", ".zprofile", ".profile", ".ripgreprc",
         ".mcp.json", ".vscode/x", ".idea/x", ".claude/commands/x", ".claude/agents/x", ".git/hooks/x",
         ".git/config"]
OURS = [".git/commondir", ".git/config.worktree", ".git/modules/m/config", ".git/modules/m/hooks/x",
        ".git/worktrees/w/commondir", ".git/info/attributes", ".husky/x", ".envrc", ".bash_login", ".zshenv",
        ".inputrc", ".vimrc", ".gdbinit", ".npmrc", ".yarnrc.yml", ".pypirc", ".netrc", ".curlrc", ".wgetrc",
        ".claude/settings.json", ".claude/hooks/x", ".codex/x", ".cursor/x", ".devcontainer/x"]


# `git worktree add` makes these; whatever is written, they hold what git would have written or are not there.
ONE_CONTENT = {".git/worktrees/w/commondir": "../..\n"}


@pytest.mark.parametrize("prefix", ["", "a/", "a/b/c/d/e/f/", "node_modules/p/"])
@pytest.mark.parametrize("name", ONE_CONTENT)
def test_a_name_with_one_legal_content_holds_no_other(box, name, prefix):
    box.sh(f"mkdir -p {prefix}.git; : >{prefix}.git/HEAD; mkdir -p $(dirname {prefix}{name}); "
           f"echo x >{prefix}{name}")
    path = box.ws / (prefix + name)
    assert not path.exists() or path.read_text() == ONE_CONTENT[name]


@pytest.mark.parametrize("prefix", ["", "a/", "a/b/c/d/e/f/", "node_modules/p/"])
@pytest.mark.parametrize("name", [n for n in FILES + OURS if n not in ONE_CONTENT])
def test_a_dangerous_name_cannot_be_made(box, name, prefix):
    done = box.sh(f"mkdir -p {prefix}.git; : >{prefix}.git/HEAD; mkdir -p $(dirname {prefix}{name}); "
                  f"echo x >{prefix}{name}")
    assert done.code != 0 and not (box.ws / (prefix + name)).exists()


@pytest.mark.parametrize("name", FILES + OURS)
def test_a_dangerous_name_that_exists_cannot_be_changed(box, name):
    box.write("ws/.git/HEAD", "ref: refs/heads/main\n")
    path = box.write(f"ws/{name}", "before\n")
    for script in (f"echo x >{name}", f"rm {name}", f"mv {name} other", f"echo x >new; mv new {name}"):
        assert box.sh(script).code != 0, script
    assert path.read_text() == "before\n"


def test_allow_git_config_opens_config_and_not_hooks(box):
    box.write("ws/.git/config", "before\n")
    box.settings(filesystem={"allowGitConfig": True})
    assert can_write(box, ".git/config") and box.sh("mkdir -p .git/hooks; echo x >.git/hooks/post-commit").code != 0


def test_mandatory_off_switches_one_off(box):
    box.settings(x={"mandatory": {"off": [".envrc"]}})
    assert can_write(box, ".envrc") and not can_write(box, ".npmrc")


def test_nothing_is_left_in_the_directory(box):
    box.settings(deny_write=["absent-one", "sub/absent-two"])
    box.run("true").ok()
    assert os.listdir(box.ws) == []


# Writable without being listed, 3.6

@pytest.mark.parametrize("path", ["/dev/null", "/dev/stdout", "/dev/stderr", "/tmp/claude/file"])
def test_writable_without_being_listed(box, path):
    box.settings(allow_write=[])
    box.sh(f"echo x >{path}").ok()


def test_npm_logs_are_writable_only_if_they_exist(box):
    box.settings(allow_write=[])
    assert box.sh("mkdir -p ~/.npm/_logs && echo x >~/.npm/_logs/log").code != 0
    (box.home / ".npm/_logs").mkdir(parents=True)
    (box.home / ".claude/debug").mkdir(parents=True)
    box.give(box.home)
    box.sh("echo x >~/.npm/_logs/log; echo x >~/.claude/debug/log").ok()


# Unix sockets, 3.7

SOCKET = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect({!r}); print(s.recv(9).decode())"


@pytest.fixture
def host_socket(box):
    """A unix socket of the host in a readable directory that greets whoever connects."""
    import socket
    import threading
    path = str(box.outside / "host.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o777)
    listener.listen(5)

    def serve():
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                peer.sendall(b"greeting")

    thread = threading.Thread(target=serve)
    thread.start()
    yield path
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_a_socket_of_the_host_is_out_of_reach(box, host_socket):
    done = box.run("python3", "-c", SOCKET.format(host_socket))
    assert done.code != 0 and "greeting" not in done.out


def test_an_allowed_socket_of_the_host_is_reached(box, host_socket):
    box.settings(network={"allowUnixSockets": [host_socket]})
    assert box.run("python3", "-c", SOCKET.format(host_socket)).ok() == "greeting\n"


def test_all_unix_sockets(box, host_socket):
    box.settings(network={"allowAllUnixSockets": True})
    assert box.run("python3", "-c", SOCKET.format(host_socket)).ok() == "greeting\n"


@pytest.mark.parametrize("address", ["'own.sock'", "'\\0own'"], ids=["path", "abstract"])
def test_private_sockets_work(box, address):
    script = (f"import socket; l = socket.socket(socket.AF_UNIX); l.bind({address}); l.listen(); "
              f"c = socket.socket(socket.AF_UNIX); c.connect({address}); a, _ = l.accept(); "
              "c.sendall(b'private'); print(a.recv(9).decode())")
    assert box.run("python3", "-c", script).ok() == "private\n"


def test_python_multiprocessing_works(box):
    script = ("import multiprocessing as m\nwith m.Manager() as manager:\n d = manager.dict()\n"
              " p = m.Process(target=d.__setitem__, args=('k', 'v')); p.start(); p.join(); print(d['k'])")
    assert box.run("python3", "-c", script).ok() == "v\n"
