"""Real programs inside: what a developer runs in a project directory must work.

Each test is skipped only when the Debian package of its program is not there (tools/packages.txt).
"""

import glob
import os
import shutil
import socket
import subprocess

import pytest


def program(name, package):
    """The path of a program, or a skip that names the package."""
    path = shutil.which(name, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    if not path:
        pytest.skip(f"the Debian package {package} is not installed (no {name})")
    return path


# git

GIT_IDENTITY = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_COMMITTER_NAME": "A",
                "GIT_COMMITTER_EMAIL": "a@example.com", "GIT_CONFIG_NOSYSTEM": "1"}


@pytest.fixture
def repository(box):
    """A repository with one commit, made on the host, with the workspace allowed inside."""
    program("git", "git")
    box.write("ws/file", "one\n")
    box.outer("sh", "-ec", "git init -q -b main .; git add file; git commit -q -m first", env=GIT_IDENTITY).ok()
    return box


def git(box, script, **more):
    """Runs a script of git commands inside, and checks that no lock is left."""
    done = box.run("sh", "-ec", script, env={**GIT_IDENTITY, **more.pop("env", {})}, **more)
    locks = [p for p in glob.glob(f"{box.ws}/**/*.lock", recursive=True, include_hidden=True)]
    assert locks == [], locks
    return done


def test_git_status(repository):
    assert git(repository, "echo two >>file; git status --porcelain").ok() == " M file\n"


def test_git_add_and_commit(repository):
    git(repository, "echo two >>file; echo new >other; git add -A; git commit -q -m second").ok()
    shown = repository.outer("git", "log", "--format=%s", env=GIT_IDENTITY).ok()
    assert shown == "second\nfirst\n"
    assert repository.outer("git", "fsck", "--strict", env=GIT_IDENTITY).code == 0


def test_git_checkout_of_a_branch_and_back(repository):
    git(repository, "git checkout -q -b side; echo side >file; git commit -q -a -m side; git checkout -q main; "
                    "test \"$(cat file)\" = one; git checkout -q side; test \"$(cat file)\" = side; git merge -q main").ok()


def test_git_stash(repository):
    git(repository, "echo two >file; git stash -q; test \"$(cat file)\" = one; git stash pop -q; "
                    "test \"$(cat file)\" = two").ok()


def test_git_merge_rebase_and_reset(repository):
    git(repository, "git checkout -q -b side; echo s >side; git add .; git commit -q -m side; git checkout -q main; "
                    "echo m >more; git add .; git commit -q -m more; git rebase -q main side; git checkout -q main; "
                    "git merge -q --no-ff -m merge side; git reset -q --hard HEAD~1; git clean -qfd; git gc -q").ok()
    assert repository.outer("git", "fsck", "--strict", env=GIT_IDENTITY).code == 0


def test_git_worktree_add_and_remove(repository):
    done = git(repository, "git worktree add -q tree -b tree; cd tree; echo t >t; git add t; git commit -q -m tree; "
                           "git status --porcelain; cd ..; git worktree list; git worktree remove tree; "
                           "git worktree prune; git worktree list")
    assert done.ok().count("\n") == 3
    assert not (repository.ws / "tree").exists() and not os.path.exists(repository.ws / ".git/worktrees/tree")
    assert repository.outer("git", "log", "-1", "--format=%s", "tree", env=GIT_IDENTITY).ok() == "tree\n"


def test_git_config_cannot_be_changed_and_leaves_no_lock(repository):
    before = (repository.ws / ".git/config").read_bytes()
    done = git(repository, "git config core.fsmonitor ./evil")
    assert done.code != 0 and (repository.ws / ".git/config").read_bytes() == before


@pytest.mark.parametrize("command", ["git init -q copy", "git init -q --template= copy", "git clone -q . copy",
                                     "git clone -q --template= . copy", "git init -q --bare copy"])
def test_git_makes_no_repository_in_a_write_path(repository, command):
    """`git clone` and `git init` write a config: inside an allowed directory that is a refused name."""
    done = git(repository, command)
    assert done.code != 0 and "Permission denied" in done.err, done
    for name in (".git/config", ".git/config.lock", ".git/hooks"):
        assert not (repository.ws / "copy" / name).exists()
    assert not all((repository.ws / "copy" / name).exists() for name in ("HEAD", "objects", "refs"))


@pytest.mark.parametrize("command", ["git init -q", "git clone -q ."])
def test_git_makes_a_repository_where_its_config_may_be_written(repository, command):
    """Without the template's hooks: these stay denied (docs/settings.md)."""
    repository.settings(filesystem={"allowGitConfig": True})
    git(repository, f"{command} --template= copy").ok()
    assert (repository.ws / "copy/.git/config").exists() and not (repository.ws / "copy/.git/hooks").exists()
    assert git(repository, f"{command} other").code != 0 and not (repository.ws / "other/.git/hooks").exists()


def test_git_makes_a_repository_in_the_private_directory(repository):
    done = git(repository, "cd $TMPDIR; git init -q new; git clone -q \"$OLDPWD\" copy; cd copy; git log --format=%s")
    assert done.ok() == "first\n"


def test_git_leaves_the_host_s_repository_sound(repository):
    git(repository, "echo a >a; git add a; git commit -q -m a; git tag t; git branch b").ok()
    repository.outer("sh", "-ec", "git status --porcelain; git checkout -q b; git config user.name X; git tag",
                     env=GIT_IDENTITY).ok()


# Package managers and compilers

def test_npm_install_of_a_local_package(box):
    program("npm", "npm")
    box.write("ws/lib/package.json", '{"name": "lib", "version": "1.0.0", "main": "index.js"}')
    box.write("ws/lib/index.js", "module.exports = 'from lib';\n")
    box.write("ws/app/package.json", '{"name": "app", "version": "1.0.0", "dependencies": {"lib": "file:../lib"}}')
    done = box.sh("npm install --offline --no-audit --no-fund --cache $TMPDIR/npm && node -e 'console.log(require(\"lib\"))'",
                  cwd=box.ws / "app")
    assert done.ok().endswith("from lib\n")
    assert (box.ws / "app/package-lock.json").exists()


def test_python_venv(box):
    program("python3", "python3-venv")
    if not os.path.exists("/usr/lib/python3/dist-packages") and not glob.glob("/usr/share/python-wheels/pip*"):
        pytest.skip("the Debian package python3-venv is not installed")
    done = box.sh("/usr/bin/python3 -m venv env && env/bin/python -c 'import sys; print(sys.prefix)' && "
                  "env/bin/pip --version >/dev/null && echo pip")
    assert done.ok() == f"{box.ws}/env\npip\n"


MAKEFILE = """
objects = main.o one.o two.o
program: $(objects)
\tgcc -o $@ $(objects)
%.o: %.c parts.h
\tgcc -Wall -O1 -c -o $@ $<
"""


@pytest.fixture
def project(box):
    program("gcc", "gcc")
    program("make", "make")
    box.write("ws/Makefile", MAKEFILE)
    box.write("ws/parts.h", "int one(void);\nint two(void);\n")
    box.write("ws/one.c", '#include "parts.h"\nint one(void) { return 1; }\n')
    box.write("ws/two.c", '#include "parts.h"\nint two(void) { return 2; }\n')
    box.write("ws/main.c", '#include "parts.h"\n#include <stdio.h>\nint main(void) { printf("%d\\n", one() + two()); }\n')
    return box


def test_gcc_builds_a_project_of_several_files(project):
    assert project.sh("make -s && ./program").ok() == "3\n"


def test_make_j2(project):
    assert project.sh("make -s -j2 && ./program && touch two.c && make -j2 | wc -l").ok() == "3\n2\n"


# A database server

@pytest.mark.identity("plain")
def test_a_postgresql_server(box):
    """initdb, a server with its socket in the workspace, a query, a stop."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not found:
        pytest.skip("the Debian package postgresql is not installed")
    script = ("export PATH=%s:$PATH; set -e\n"
              "initdb -D data -U me -A trust --no-sync --locale=C -E UTF8 >initdb.log 2>&1\n"
              "mkdir sockets\n"
              "trap 'pg_ctl -D data -m immediate stop >/dev/null 2>&1; cat server.log >&2' EXIT\n"
              "pg_ctl -D data -w -t 60 -l server.log -o \"-k $PWD/sockets -h ''\" start >/dev/null\n"
              "psql -h $PWD/sockets -U me -d postgres -qAt <<'END'\n"
              "create table t (n int); insert into t select generate_series(1, 1000); select sum(n) from t;\n"
              "END\n"
              "pg_ctl -D data -w -m fast stop >/dev/null; trap - EXIT\n") % found[-1]
    assert box.sh(script, timeout=180).ok() == "500500\n"


def test_sqlite(box):
    program("sqlite3", "sqlite3")
    done = box.sh("sqlite3 db 'pragma journal_mode=wal; create table t (n); "
                  "insert into t values (1), (2), (3); select sum(n) from t;' && sqlite3 db 'select count(*) from t'")
    assert done.ok() == "wal\n6\n3\n"


# Clients

def test_curl(box, web):
    program("curl", "curl")
    box.settings(allowed=["localhost"])
    assert box.run("curl", "-sS", "--noproxy", "", f"http://localhost:{web.port}/").ok() == "hello from the host\n"


def test_wget(box, web):
    program("wget", "wget")
    box.settings(allowed=["localhost"])
    done = box.sh(f"wget -q -e no_proxy= -O file http://localhost:{web.port}/ && cat file")
    assert done.ok() == "hello from the host\n"


def test_a_node_client_that_ignores_proxy_variables(box, web):
    program("node", "nodejs")
    box.settings(allowed=["localhost"], x={"network": {"transparent": True}})
    script = f"""
const dns = require('dns'), http = require('http');
dns.resolve4('localhost', (error, found) => {{
    if (error) {{ console.log('dns', error.code); process.exit(1); }}
    http.get({{host: found[0], port: {web.port}, headers: {{Host: 'localhost'}}}}, (answer) => answer.pipe(process.stdout))
        .on('error', (e) => {{ console.log('http', e.code); process.exit(1); }});
}});"""
    assert box.run("node", "-e", script).ok() == "hello from the host\n"


@pytest.fixture
def ssh_server(box):
    """A server of the test's own on a high port, for the box's user and one key."""
    server = program("sshd", "openssh-server")
    program("ssh", "openssh-client")
    keys = box.root / "ssh"
    keys.mkdir()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / name], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (keys / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {keys}/host\nAuthorizedKeysFile {keys}/user.pub\n"
        f"PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nPermitRootLogin yes\nLogLevel ERROR\n")
    (keys / "known").write_text(f"[localhost]:{port} {(keys / 'host.pub').read_text()}")
    box.give(keys)
    made = None
    if os.geteuid() == 0 and not os.path.isdir("/run/sshd"):
        os.mkdir("/run/sshd", 0o755)
        made = "/run/sshd"
    child = box.popen([server, "-D", "-e", "-f", keys / "config"])
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert child.poll() is None, child.stderr.read().decode()
    yield keys, port
    child.terminate()
    child.wait()
    if made:
        os.rmdir(made)


SSH = "ssh -F none -i {keys}/user -o UserKnownHostsFile={keys}/known -o IdentitiesOnly=yes -o BatchMode=yes " \
      "-o ConnectTimeout=30 -p {port}"


@pytest.mark.identity("root")
def test_ssh_as_git_calls_it(box, ssh_server):
    """$GIT_SSH_COMMAND goes through CONNECT with the credential in no argument."""
    keys, port = ssh_server
    box.settings(allowed=[f"localhost:{port}"])
    options = SSH.format(keys=keys, port=port).removeprefix("ssh ")
    done = box.sh(f"eval \"$GIT_SSH_COMMAND {options} {box.user.pw_name}@localhost echo over ssh\"")
    assert done.ok() == "over ssh\n"


@pytest.mark.identity("root")
def test_ssh_through_socks(box, ssh_server):
    keys, port = ssh_server
    box.settings(allowed=[f"localhost:{port}"])
    command = SSH.format(keys=keys, port=port)
    helper = box.write("outside/socks.py", SOCKS_HELPER)
    done = box.sh(f"{command} -o 'ProxyCommand=python3 {helper} %h %p' {box.user.pw_name}@localhost 'cat; echo end'",
                  input="typed\n")
    assert done.ok() == "typed\nend\n"


@pytest.mark.identity("root")
def test_ssh_to_a_port_that_is_not_allowed(box, ssh_server):
    keys, port = ssh_server
    box.settings(allowed=["localhost:1"])
    options = SSH.format(keys=keys, port=port).removeprefix("ssh ")
    done = box.sh(f"eval \"$GIT_SSH_COMMAND {options} {box.user.pw_name}@localhost echo over ssh\"")
    assert done.code == 255 and "over ssh" not in done.out


SOCKS_HELPER = """
import os, select, socket, struct, sys, urllib.parse
url = urllib.parse.urlsplit(os.environ["FTP_PROXY"])
user, token = urllib.parse.unquote(url.username).encode(), url.password.encode()
host, port = sys.argv[1].encode(), int(sys.argv[2])
s = socket.create_connection(("127.0.0.1", url.port))
s.sendall(b"\\x05\\x01\\x02"); assert s.recv(2, socket.MSG_WAITALL) == b"\\x05\\x02"
s.sendall(bytes([1, len(user)]) + user + bytes([len(token)]) + token); assert s.recv(2, socket.MSG_WAITALL)[1] == 0
s.sendall(b"\\x05\\x01\\x00\\x03" + bytes([len(host)]) + host + struct.pack(">H", port))
assert s.recv(10, socket.MSG_WAITALL)[1] == 0
open_sides = {0, s.fileno()}
while s.fileno() in open_sides:
    for fd in select.select(list(open_sides), [], [])[0]:
        data = os.read(fd, 65536)
        if not data:
            open_sides.discard(fd)
            if fd == 0: s.shutdown(socket.SHUT_WR)
        elif fd == 0: s.sendall(data)
        else: os.write(1, data)
"""


# A browser

def chromium_shot(box, *options):
    browser = program("chromium", "chromium")
    page = box.write("ws/page.html", "<body style='background:#123456'><h1>Postern</h1>")
    box.settings(allowNestedUserNamespaces=True)
    done = box.run(browser, "--headless", "--disable-gpu", "--hide-scrollbars", "--no-first-run", *options,
                   f"--user-data-dir={box.ws}/profile", "--window-size=200,100",
                   f"--screenshot={box.ws}/shot.png", f"file://{page}", timeout=120)
    assert (box.ws / "shot.png").exists(), repr(done)
    assert (box.ws / "shot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.identity("plain")
def test_headless_chromium_with_its_own_sandbox(box):
    chromium_shot(box)


MAPS = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
uid, gid = os.getuid(), os.getgid()
def write(name, text):
    try:
        with open(f"/proc/{pid}/{name}", "w") as file: file.write(text)
        return "done"
    except OSError as e:
        return e.errno
cases = [
    [("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1"), ("uid_map", f"0 {uid} 1")],
    [("gid_map", f"0 {gid} 1"), ("setgroups", "deny"), ("gid_map", f"{gid} {gid} 1"), ("setgroups", "allow")],
    [("uid_map", f"0 {uid + 1} 1"), ("uid_map", "0 0 1"), ("uid_map", f"0 {uid} 2"), ("uid_map", f"{uid} {uid} 1")],
    [("projid_map", "0 0 1"), ("uid_map", "nonsense"), ("uid_map", ""), ("uid_map", f"5 {uid} 1")],
]
for depth in (1, 2, 3):
    for case in cases:
        child = os.fork()
        if child == 0:
            for level in range(depth):
                uid_now, gid_now = os.getuid(), os.getgid()
                assert libc.unshare(0x10000000) == 0
                pid = "self" if level % 2 else os.getpid()
                if level < depth - 1:
                    assert [write("setgroups", "deny"), write("uid_map", f"{uid} {uid_now} 1"),
                            write("gid_map", f"{gid} {gid_now} 1")] == ["done"] * 3
            print(depth, *[write(*row) for row in case], os.getuid(), os.getgid(), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
"""


@pytest.mark.identity("plain")
def test_maps_of_nested_user_namespaces_take_and_refuse_what_they_do_outside(box):
    script = box.write("ws/maps.py", MAPS)
    box.settings(allowNestedUserNamespaces=True)
    outside = box.outer("unshare", "--map-current-user", "python3", script).ok()  # a namespace like the sandbox's
    inside = box.run("python3", script).ok()
    assert inside == outside and inside.count("\n") == 12 and "done" in inside


@pytest.mark.identity("root")
def test_headless_chromium_as_root(box):
    chromium_shot(box, "--no-sandbox")


# Tools of every day

def test_tmux(box):
    program("tmux", "tmux")
    done = box.sh("tmux -S socket -f /dev/null new-session -d -s s 'echo from tmux >out; tmux -S socket wait-for -S done; cat' && "
                  "tmux -S socket wait-for done && cat out && tmux -S socket kill-server")
    assert done.ok() == "from tmux\n"


def test_vim_saves_a_file(box):
    program("vim", "vim")
    box.write("ws/text", "one\ntwo\n")
    box.run("vim", "-u", "NONE", "-es", "-c", "%s/two/three/", "-c", "set backup backupdir=. backupskip=", "-c", "wq", "text").ok()
    assert (box.ws / "text").read_text() == "one\nthree\n" and (box.ws / "text~").read_text() == "one\ntwo\n"


def test_sed_in_place_and_perl(box):
    program("perl", "perl")
    box.write("ws/text", "one\n")
    box.sh("sed -i s/one/two/ text; perl -pi.old -e 's/two/three/' text").ok()
    assert (box.ws / "text").read_text() == "three\n" and (box.ws / "text.old").read_text() == "two\n"


def test_tar(box):
    program("tar", "tar")
    box.sh("mkdir -p in/sub; echo x >in/sub/f; ln -s f in/sub/l; ln in/sub/f in/h; mkfifo in/p; chmod 640 in/sub/f; "
           "tar czf all.tgz in; mkdir out; tar xzf all.tgz -C out; cmp in/sub/f out/in/sub/f; "
           "test $(readlink out/in/sub/l) = f; test out/in/h -ef out/in/sub/f; test -p out/in/p; "
           "test $(stat -c %a out/in/sub/f) = 640").ok()


def test_rsync_local(box):
    program("rsync", "rsync")
    box.sh("mkdir -p from/a; for i in 1 2 3 4 5; do echo $i >from/a/$i; done; rsync -a from/ to/; rm from/a/3; "
           "rsync -a --delete from/ to/; diff -r from to").ok()


def test_find_and_xargs(box):
    box.sh("mkdir -p a/b; touch a/1 a/b/2; find a -type f -print0 | xargs -0 rm; test -z \"$(find a -type f)\"; rm -r a").ok()


def test_a_shell_s_here_document_and_process_substitution(box):
    assert box.run("bash", "-c", "cat <<END; diff <(echo a) <(echo a) && echo same; echo ${x:=$(echo sub)}\nhere\nEND").ok() \
        == "here\nsame\nsub\n"


def test_a_server_inside_is_reached_inside(box):
    box.sh(
        "python3 -m http.server --bind 127.0.0.1 8099 >/dev/null 2>&1 & "
        "for i in $(seq 600); do curl -s --noproxy '*' -o out http://127.0.0.1:8099/ && break; sleep 0.05; done; "
        "test -s out").ok()
