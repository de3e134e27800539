"""What the host does while a sandbox runs: T2, T29, T34, T36."""

import os
import shutil
import subprocess
import threading

import outer
import pytest

SECRET = "mark-in-secret"


# T2: several sandboxes in one directory

@pytest.mark.threat("T2")
@pytest.mark.guards("mount", "landlock", "seccomp")
def test_the_end_of_one_sandbox_takes_nothing_from_another(cell):
    """First (short) and second (long) in one directory; after the first has ended the second attacks."""
    secret = cell.write("outside/.env", SECRET)
    cell.mkdir("ws/scratch")
    settings = cell.settings(deny_read=[secret], deny_write=[cell.ws / "denied"])
    short, long = cell.shell(settings=settings), cell.shell(settings=settings)
    short.close()
    for name in (".bashrc", ".vscode", ".git/hooks", "denied"):
        long.attack("make", cell.ws / name, cell.ws / "scratch")
    assert SECRET not in long(f"cat '{secret}'").out
    long.close()
    assert sorted(os.listdir(cell.ws)) in (["scratch"], [".git", "scratch"])


@pytest.mark.threat("T2")
def test_many_sandboxes_in_one_directory_leave_it_as_it_was(cell):
    before = outer.tree(cell.ws)
    children = [cell.start("/bin/sh", "-c", "echo x > .bashrc; mkdir .vscode; sleep 0.05") for _ in range(12)]
    for child in children:
        cell.finish(child)
    assert outer.tree(cell.ws) == before


@pytest.mark.threat("T2")
def test_a_killed_sandbox_leaves_nothing_for_the_others(cell):
    cell.mkdir("ws/scratch")
    settings = cell.settings(deny_write=[cell.ws / "denied"])
    killed, other = cell.shell(settings=settings), cell.shell(settings=settings)
    killed.child.kill()
    killed.child.wait()
    other.attack("make", cell.ws / "denied", cell.ws / "scratch")
    other.attack("make", cell.ws / ".bashrc", cell.ws / "scratch")
    other.close()
    assert os.listdir(cell.ws) == ["scratch"]


# T29: the tree changes while a plan is built

@pytest.mark.threat("T29")
def test_a_directory_swapped_for_a_link_never_opens_what_it_leads_to(cell):
    """Many starts while an allowed directory and a link to somewhere else change places."""
    cell.mkdir("ws/d")
    cell.write("outside/real/secret", SECRET)
    cell.link(cell.outside / "real", "ws/e")
    settings = cell.settings(allow_write=[cell.ws / "d"])
    before = outer.tree(cell.outside)
    swapper = cell.popen([cell.attacks / "hostile-swap", cell.ws / "d", cell.ws / "e"], stdin=subprocess.PIPE)
    try:
        for _ in range(50):
            pair = [cell.start("/bin/sh", "-c", "echo x > d/written; echo x > e/written; "
                               f"echo x > '{cell.outside}/real/written'", settings=settings) for _ in range(2)]
            for child in pair:
                assert cell.finish(child).code in (0, 1, 2, 125)
    finally:
        swapped = cell.finish(swapper, b"")
    assert swapped.code == 0 and swapped.out.startswith("blocked: "), swapped
    assert outer.tree(cell.outside) == before


@pytest.mark.threat("T29")
def test_a_hidden_path_swapped_while_starting_never_shows_its_content(cell):
    cell.write("outside/a/secret", SECRET)
    cell.write("outside/b/secret", "harmless")
    settings = cell.settings(deny_read=[cell.outside / "a", cell.outside / "b"])
    swapper = cell.popen([cell.attacks / "hostile-swap", cell.outside / "a", cell.outside / "b"],
                         stdin=subprocess.PIPE)
    try:
        for _ in range(15):
            pair = [cell.start("/bin/sh", "-c", f"cat '{cell.outside}'/*/secret", settings=settings) for _ in range(2)]
            for child in pair:
                assert SECRET not in cell.finish(child).out
    finally:
        cell.finish(swapper, b"")


@pytest.mark.threat("T29")
def test_an_allowed_directory_replaced_between_runs_by_a_link_is_not_followed_out(cell):
    """The first run cannot replace it; the host's user may. An allowWrite that leads out is skipped."""
    cell.mkdir("ws/d")
    cell.mkdir("outside/real")
    settings = cell.settings(allow_write=[cell.ws / "d"])
    cell.sh("rmdir d; ln -s ../outside/real d", settings=settings)
    assert not (cell.ws / "d").is_symlink()
    shutil.rmtree(cell.ws / "d")
    cell.link(cell.outside / "real", "ws/d")
    cell.sh("echo x > d/written", settings=settings)
    assert os.listdir(cell.outside / "real") == []


# T34: trees made to confuse the start

def confusing_tree(root):
    """900 repositories, 20,000 directories, a deep path, loops, pipes, closed directories."""
    for i in range(900):
        os.makedirs(f"{root}/repositories/{i // 30}/{i}/.git/hooks")
    for i in range(200):
        os.mkdir(f"{root}/{i}")
        for j in range(100):
            os.mkdir(f"{root}/{i}/{j}")
    at = os.open(root, os.O_RDONLY)
    for _ in range(1200):  # beyond PATH_MAX
        os.mkdir("deep", dir_fd=at)
        inner = os.open("deep", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    os.close(at)
    os.symlink(".", f"{root}/loop")
    os.symlink("b", f"{root}/a")
    os.symlink("a", f"{root}/b")
    os.mkfifo(f"{root}/.envrc-fifo")
    os.mkdir(f"{root}/closed", 0)


@pytest.fixture(scope="module")
def confused(tmp_path_factory):
    place = "/var/tmp/postern-hostile-tree-%d" % os.getpid()
    os.mkdir(place, 0o755)
    if os.geteuid() == 0:  # in memory, because making and removing so many directories on a disk takes long
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "postern-hostile", place], check=True)
    confusing_tree(place)
    if os.geteuid() == 0:
        subprocess.run(["chmod", "-R", "a+rwX", place], check=True)
        os.chmod(f"{place}/closed", 0)
    yield place
    if os.geteuid() == 0:
        subprocess.run(["umount", place], check=True)
    else:
        os.chmod(f"{place}/closed", 0o700)
    subprocess.run(["rm", "-rf", place], check=True)


@pytest.mark.threat("T34")
def test_a_confusing_tree_neither_stops_the_start_nor_weakens_a_deny(cell, confused):
    cell.watched = False
    secret = os.path.join(confused, "199/99/secret")
    with open(secret, "w") as file:
        file.write(SECRET)
    settings = cell.settings(allow_write=[confused], deny_read=[secret])
    made = [f"{confused}/{name}" for name in (".bashrc", "0/0/.vscode", "repositories/29/899/.git/hooks/pre-commit",
                                              "repositories/29/899/.git/config", "closed/.mcp.json")]
    script = ('echo ok > 199/99/ok; cat 199/99/secret; chmod 755 closed; for n in "$@"; do '
              'mkdir -p "$(dirname "$n")"; echo x > "$n"; mkdir "$n"; ln -s x "$n"; done; exit 0')
    done = cell.sh(script, *made, settings=settings, cwd=confused)
    assert done.code == 0 and SECRET not in done.out, done
    assert os.path.exists(f"{confused}/199/99/ok"), done
    os.unlink(f"{confused}/199/99/ok")
    os.unlink(secret)
    assert not [name for name in made if os.path.lexists(name)]


@pytest.mark.threat("T34")
def test_a_search_by_pattern_that_meets_the_confusing_tree_ends(cell, confused):
    """A pattern must look; loops, pipes and depth must not hang it, and what it cannot see it hides."""
    cell.watched = False
    settings = cell.settings(allow_write=[], deny_read=[f"{confused}/**/*.pem"])
    done = cell.run("/bin/true", settings=settings, cwd=confused)
    assert done.code in (0, 1, 125), done
    assert done.code == 0 or done.err, done


@pytest.mark.threat("T34")
def test_a_lattice_of_links_neither_hangs_the_start_nor_hides_less(cell):
    """2^21 ways lead to one file, past more ways than anybody could go through."""
    for i in range(22):
        cell.mkdir(f"ws/d{i}")
        for name in "ab" if i < 21 else "":
            cell.link(f"../d{i + 1}", f"ws/d{i}/{name}")
    cell.write("ws/d21/.env", SECRET)
    cell.give(cell.ws)
    settings = cell.settings(deny_read=["**/.env", "d0/*/**/b/.env", "d20/?/.env"])
    ways = ["d21", "d20/a", "d20/b", "d0/" + "/".join("a" * 21), "d0/" + "/".join("b" * 21),
            "d0/" + "/".join("ab" * 10 + "a")]
    done = cell.sh('for d in "$@"; do test -d "$d" && echo way; cat "$d/.env"; done; exit 0', *ways, settings=settings)
    assert done.code == 0 and done.out == "way\n" * len(ways), done


@pytest.mark.threat("T34")
@pytest.mark.parametrize("name", [".vscode", ".git", "denied", ".env"])
@pytest.mark.parametrize("kind", ["pipe", "socket", "loop", "closed directory", "device name"])
def test_odd_things_in_place_of_denied_names_do_not_hang_or_open(cell, name, kind):
    path = cell.ws / name
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        import socket
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
    elif kind == "loop":
        path.symlink_to(name)
    elif kind == "device name":
        path.symlink_to("/dev/full")
    else:
        path.mkdir(0o000)
    cell.give(cell.ws)
    settings = cell.settings(deny_read=[cell.ws / ".env"], deny_write=[cell.ws / "denied"])
    done = cell.sh("echo started", settings=settings)
    assert done.code in (0, 125) and (done.out == "started\n") == (done.code == 0), done


# T36: saves of the host

def save_by_rename(path, text):
    """As vim, nano with backups, and most editors save: a new file, renamed over the old one."""
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    shutil.copystat(path, new)
    os.chown(new, path.stat().st_uid, path.stat().st_gid)
    os.rename(new, path)


def save_by_backup(path, text):
    """As vim with `backupcopy=no`: the old file gets another name, a new one is written in its place."""
    os.rename(path, path.with_name(path.name + "~"))
    path.write_text(text)
    os.chown(path, path.with_name(path.name + "~").stat().st_uid, -1)
    path.with_name(path.name + "~").unlink()


def save_by_unlink(path, text):
    """As package managers and `git checkout`: remove, then make."""
    owner = path.stat().st_uid
    path.unlink()
    path.write_text(text)
    os.chown(path, owner, -1)


SAVES = pytest.mark.parametrize("save", [save_by_rename, save_by_backup, save_by_unlink])


DENIED = pytest.mark.parametrize("name", ["denied", ".bashrc", ".git/config", ".vscode/tasks.json"])


def attack_after_a_save(cell, save, name):
    victim = cell.write(f"ws/{name}", "before\n")
    cell.mkdir("ws/scratch")
    shell = cell.shell(settings=cell.settings(deny_write=[cell.ws / "denied"]))
    save(victim, "after\n")
    shell.attack("write", victim, cell.ws / "scratch", "contents")
    shell.attack("write", victim, cell.ws / "scratch", "name")
    shell(f"echo evil >> '{victim}'; sed -i s/after/evil/ '{victim}'; cp /dev/null '{victim}'")
    shell.close()
    assert victim.read_text() == "after\n"


@pytest.mark.threat("T36")
@SAVES
@DENIED
def test_a_write_deny_holds_after_a_save_of_the_host(cell, save, name):
    attack_after_a_save(cell, save, name)


@pytest.mark.threat("T36")
@pytest.mark.guards("mount", "landlock", "seccomp")
@pytest.mark.parametrize("name", ["denied", ".git/config"])
def test_a_write_deny_holds_after_a_save_by_more_than_one_layer(cell, name):
    attack_after_a_save(cell, save_by_rename, name)


@pytest.mark.threat("T36")
@DENIED
def test_modes_owners_and_times_hold_after_a_save_of_the_host(cell, name):
    """What may not be written may not be made executable either: think of a hook that is switched off."""
    victim = cell.write(f"ws/{name}", "before\n", 0o644)
    cell.mkdir("ws/scratch")
    shell = cell.shell(settings=cell.settings(deny_write=[cell.ws / "denied"]))
    save_by_rename(victim, "after\n")
    before = victim.stat()
    shell.attack("write", victim, cell.ws / "scratch", "inode")
    shell.close()
    assert (victim.stat().st_mode, victim.stat().st_mtime_ns) == (before.st_mode, before.st_mtime_ns)


@pytest.mark.threat("T36")
@SAVES
def test_a_read_deny_outside_write_paths_holds_after_a_save_of_the_host(cell, save):
    """The new inode has no rule, so there is no moment in which it can be read."""
    secret = cell.write("outside/secret", "before " + SECRET)
    shell = cell.shell(settings=cell.settings(deny_read=[secret]))
    for turn in range(3):
        save(secret, f"after {turn} {SECRET}")
        assert SECRET not in shell(f"cat '{secret}'").out
    shell.attack("read", secret, SECRET, cell.ws)
    shell.close()


@pytest.mark.threat("T36")
@SAVES
def test_a_read_deny_inside_a_write_path_is_covered_again_after_a_save(cell, save):
    """Without strictHide a watcher covers the new file; the contract gives it 50 ms. Never times here:
    the shell asks until it is refused, within a bound, and then it must stay refused."""
    secret = cell.write("ws/.env", "before " + SECRET)
    shell = cell.shell(settings=cell.settings(deny_read=[secret]))
    assert SECRET not in shell("cat .env").out
    save(secret, "after " + SECRET)
    covered = shell("i=0; while [ $i -lt 1500 ] && cat .env >/dev/null 2>&1; do i=$((i+1)); sleep 0.02; done; "
                    "cat .env; cat .env")
    assert SECRET not in covered.out, covered
    shell.attack("read", secret, SECRET, cell.ws)
    shell.close()


@pytest.mark.threat("T36")
@SAVES
def test_strict_hide_leaves_no_moment_after_a_save(cell, save):
    secret = cell.write("ws/.env", "before " + SECRET)
    shell = cell.shell(settings=cell.strict_hide(deny_read=[secret]))
    for turn in range(5):
        save(secret, f"after {turn} {SECRET}")
        assert SECRET not in shell("cat .env").out
    shell.close()


@pytest.mark.threat("T36")
@pytest.mark.guards("mount", "landlock")
def test_strict_hide_in_a_loop_of_saves(cell):
    """The host saves without a pause while the command tries every way to open, again and again."""
    secret = cell.write("ws/.env", SECRET)
    cell.mkdir("ws/scratch")
    shell = cell.shell(settings=cell.strict_hide(deny_read=[secret]))
    ending = threading.Event()

    def saves():
        while not ending.is_set():
            save_by_rename(secret, SECRET)

    saver = threading.Thread(target=saves)
    saver.start()
    try:
        for _ in range(3):
            shell.attack("read", secret, SECRET, cell.ws / "scratch")
        done = shell("exec 5<.; i=0; while [ $i -lt 200 ]; do cat .env /proc/self/cwd/.env /proc/self/fd/5/.env "
                     "2>/dev/null; i=$((i+1)); done")
    finally:
        ending.set()
        saver.join()
    assert SECRET not in done.out
    shell.close()


@pytest.mark.threat("T36")
def test_strict_hide_of_a_directory_that_the_host_replaces(cell):
    cell.write("ws/private/key", SECRET)
    shell = cell.shell(settings=cell.strict_hide(deny_read=[cell.ws / "private"]))
    for turn in range(3):
        os.rename(cell.ws / "private", cell.ws / f"old{turn}")
        cell.write("ws/private/key", SECRET)
        assert SECRET not in shell("cat private/key; cat private/*; cat /proc/self/cwd/private/key").out
    shell.close()


@pytest.mark.threat("T36")
def test_git_config_of_the_host_does_not_open_the_file(cell):
    cell.repository()
    cell.mkdir("ws/scratch")
    shell = cell.shell()
    cell.git("config", "user.name", "x")
    shell.attack("write", cell.ws / ".git/config", cell.ws / "scratch", "contents")
    shell.attack("write", cell.ws / ".git/config", cell.ws / "scratch", "name")
    assert shell("git config core.fsmonitor /tmp/evil").code != 0
    shell.close()
    assert "evil" not in (cell.ws / ".git/config").read_text() and not (cell.ws / ".git/config.lock").exists()


@pytest.mark.threat("T36")
def test_a_checkout_of_the_host_that_replaces_a_directory_does_not_open_it(cell):
    cell.repository()
    cell.write("ws/.vscode/tasks.json", "{}\n")
    cell.git("add", "-A")
    cell.git("commit", "-q", "-m", "two")
    cell.git("branch", "other", "HEAD~1")
    cell.mkdir("ws/scratch")
    shell = cell.shell()
    cell.git("checkout", "-q", "other")  # .vscode goes
    shell.attack("make", cell.ws / ".vscode", cell.ws / "scratch")
    cell.git("checkout", "-q", "main")  # .vscode comes back, all new
    shell.attack("write", cell.ws / ".vscode/tasks.json", cell.ws / "scratch", "contents")
    shell.attack("write", cell.ws / ".vscode/tasks.json", cell.ws / "scratch", "name")
    shell.attack("make", cell.ws / ".vscode/launch.json", cell.ws / "scratch")
    shell.close()
    assert (cell.ws / ".vscode/tasks.json").read_text() == "{}\n"


@pytest.mark.threat("T36")
@pytest.mark.parametrize("editor", [
    ["vim", "-n", "-u", "NONE", "-es", "-c", "%s/before/after/", "-c", "x"],
    ["vim", "-n", "-u", "NONE", "-es", "-c", "set backup backupcopy=no", "-c", "%s/before/after/", "-c", "x"],
    ["sed", "-i", "s/before/after/"], ["perl", "-pi", "-e", "s/before/after/"],
], ids=lambda words: f"{words[0]}-{len(words)}")
def test_real_editors_of_the_host_open_nothing(cell, editor):
    if not shutil.which(editor[0]):
        pytest.skip(f"{editor[0]} is not installed")
    victim = cell.write("ws/.bashrc", "before\n")
    secret = cell.write("outside/secret", f"before {SECRET}\n")
    cell.mkdir("ws/scratch")
    shell = cell.shell(settings=cell.settings(deny_read=[secret]))
    for path in (victim, secret):
        done = cell.host(*editor, path)
        assert done.code == 0 and "after" in path.read_text(), done
    shell.attack("write", victim, cell.ws / "scratch", "contents")
    shell.attack("write", victim, cell.ws / "scratch", "name")
    assert SECRET not in shell(f"cat '{secret}'").out
    shell.close()
    assert victim.read_text() == "after\n"


@pytest.mark.threat("T36")
def test_saves_in_a_loop_while_the_command_reads_in_a_loop(cell):
    """Outside write paths there is no moment at all, however often one tries."""
    secret = cell.write("outside/secret", SECRET)
    shell = cell.shell(settings=cell.settings(deny_read=[secret]))
    ending = threading.Event()

    def saves():
        while not ending.is_set():
            save_by_rename(secret, SECRET)

    saver = threading.Thread(target=saves)
    saver.start()
    try:
        done = shell(f"i=0; while [ $i -lt 60 ]; do cat '{secret}' 2>/dev/null; i=$((i+1)); done")
    finally:
        ending.set()
        saver.join()
    assert SECRET not in done.out
    shell.close()
