"""Around the run: T1, T24, T27, T30, T40."""

import json
import os
import shutil
import subprocess

import outer
import pytest

SECRET = "mark-in-secret"


# T1

HELPERS = ["rg", "bwrap", "socat", "bash", "node", "sh", "git", "ip", "nft", "iptables", "mount", "newuidmap", "newgidmap",
           "python3", "postern", "postern-engine", "env", "ssh", "curl", "which"]


@pytest.mark.threat("T1")
@pytest.mark.parametrize("directory", ["ws/bin", "ws/.venv/bin", "ws/node_modules/.bin"])
def test_programs_planted_on_the_caller_s_path_are_never_run_by_us(cell, server, directory):
    """Planted by the host here, as if an earlier run had managed to. A run with everything that could want
    a helper: -c, a network connection, patterns, git directories, the audit log, doctor."""
    marker = cell.outside / "marker"
    for name in HELPERS:
        cell.write(f"{directory}/{name}", f"#!/bin/sh\necho $0 $@ >> '{marker}'\n", 0o755)
    env = {"PATH": f"{cell.at(directory)}:/usr/bin:/bin"}
    settings = cell.settings(allowed=["localhost"], deny_read=[f"{cell.outside}/**/*.pem"],
                             git={"safeDirectories": [str(cell.ws)]})
    script = (f"import inside; print(inside.status(inside.exchange(b'GET http://localhost:{server.port}/ HTTP/1.1\\r\\n"
              "Host: localhost\\r\\n@AUTH@Connection: close\\r\\n\\r\\n', finish=False)))")
    assert cell.python(script, settings=settings, env=env, options=["--audit-file", cell.etc / "log"]).out == "200\n"
    # marker is not writable inside, so whatever stands there was written by a helper on the host
    for words in (["run", "--settings", settings, "-c", "exit 3"], ["doctor"], ["run", "--explain"], ["--version"],
                  ["run", "--settings", settings, "--", "/bin/true"]):
        cell.finish(cell.popen([cell.postern, *words], env=env))
    assert not marker.exists(), marker.read_text()


@pytest.mark.threat("T1")
@pytest.mark.guards("seccomp", "landlock", "mount")
def test_a_directory_on_the_caller_s_path_is_write_denied(cell):
    bin_directory, scratch = cell.mkdir("ws/bin"), cell.mkdir("ws/scratch")
    env = {"PATH": f"{bin_directory}:/usr/bin:/bin"}
    for name in ("rg", "bwrap", "socat", "bash", "node"):
        cell.attack("make", bin_directory / name, scratch, env=env)
    tool = cell.write("ws/bin/tool", "mine\n", 0o755)
    cell.attack("write", tool, scratch, env=env)
    cell.attack("move", bin_directory, scratch, env=env)
    assert os.listdir(bin_directory) == ["tool"] and tool.read_text() == "mine\n"


@pytest.mark.threat("T1")
def test_the_shell_of_c_is_not_looked_up_on_the_path(cell):
    cell.write("ws/bin/bash", "#!/bin/sh\necho planted\n", 0o755)
    cell.write("ws/bin/sh", "#!/bin/sh\necho planted\n", 0o755)
    done = cell.finish(cell.popen([cell.postern, "run", "--settings", cell.settings(), "-c", "echo real"],
                                  env={"PATH": f"{cell.ws}/bin:/usr/bin:/bin"}))
    assert done.out == "real\n", done


@pytest.mark.threat("T1")
@pytest.mark.parametrize("path", ["", ".", "bin", ":/usr/bin", "/usr/bin::/bin", "relative/bin:/usr/bin"])
def test_relative_and_empty_parts_of_the_path_are_no_way_in(cell, path):
    marker = cell.outside / "marker"
    for directory in ("ws", "ws/bin", "ws/relative/bin"):
        for name in HELPERS:
            cell.write(f"{directory}/{name}", f"#!/bin/sh\necho $0 >> '{marker}'\n", 0o755)
    for words in (["run", "--settings", cell.settings(), "-c", "exit 0"],
                  ["run", "--settings", cell.settings(), "--", "/bin/true"], ["doctor"]):
        cell.finish(cell.popen([cell.postern, *words], env={"PATH": path}))
    assert not marker.exists(), marker.read_text()


# T24

@pytest.mark.threat("T24")
@pytest.mark.guards("seccomp", "landlock", "mount")
@pytest.mark.parametrize("victim", ["home/.srt-settings.json", "home/mine.json", "home/bin/postern",
                                    "home/bin/postern-engine"])
def test_our_own_files_are_never_writable(cell, victim):
    """allowWrite: ["~"] and more, with settings, program and log below it."""
    scratch = cell.mkdir("home/scratch")
    cell.mkdir("home/bin")
    for path in cell.postern.parent.glob("postern*"):
        if path.is_file():
            shutil.copy2(path, cell.home / "bin" / path.name)
    cell.give(cell.home / "bin")
    text = json.dumps({"network": {"allowedDomains": [], "deniedDomains": []},
                       "filesystem": {"denyRead": [], "allowWrite": ["~", str(cell.ws)], "denyWrite": []}})
    for name in ("home/.srt-settings.json", "home/mine.json"):
        cell.write(name, text)
    path = cell.at(victim)
    if not path.exists():
        pytest.skip(f"the build has no {path.name}")
    before = path.read_bytes()
    settings = False if path.name == ".srt-settings.json" else cell.home / "mine.json"
    program = cell.postern
    cell.postern = cell.home / "bin/postern"
    try:
        cell.attack("write", path, scratch, settings=settings)
        os.link(path, scratch / "second")
        cell.attack("write", scratch / "second", scratch, "contents", settings=settings)
    finally:
        cell.postern = program
    assert path.read_bytes() == before


@pytest.mark.threat("T24")
def test_the_default_settings_file_cannot_be_made_for_the_next_run(cell):
    """Absent now, so that a first run could write the rules of the second."""
    scratch = cell.mkdir("home/scratch")
    settings = cell.settings(allow_write=["~", str(cell.ws)])
    cell.attack("make", cell.home / ".srt-settings.json", scratch, settings=settings)
    assert not (cell.home / ".srt-settings.json").exists()


@pytest.mark.threat("T24")
@pytest.mark.parametrize("name", ["rules.d", "rules.d/x.json"])
def test_our_kept_answers_cannot_be_made(cell, name):
    cell.mkdir("home/.config")
    scratch = cell.mkdir("home/scratch")
    settings = cell.settings(allow_write=["~", str(cell.ws)])
    cell.attack("make", cell.home / ".config/postern" / name, scratch, settings=settings)
    cell.sh("cd ~; rm -rf .config/postern; mkdir -p t/rules.d; echo '{}' > t/rules.d/x.json; mv t .config/postern; "
            "ln -s ~/t .config/postern; mv .config c; mkdir u; mv t u/postern; mv u .config; ln -s ~/u .config",
            settings=settings)
    assert not (cell.home / ".config").is_symlink() and not (cell.home / ".config/postern").is_symlink()
    assert not (cell.home / ".config/postern" / name).exists()


@pytest.mark.threat("T24")
def test_live_settings_cannot_be_sent_from_inside(cell):
    """The control descriptor is not inside, so nothing there can widen the rules."""
    read, write = os.pipe()
    script = ("import os\nfor fd in range(3, 256):\n    try: os.write(fd, b'{}\\n'); print('WROTE', fd)\n"
              "    except OSError: pass\nprint('end')")
    done = cell.python(script, options=["--control-fd", str(read)], pass_fds=[read, write])
    os.close(read)
    os.close(write)
    assert done.out == "end\n", done


# T27

NASTY = ["a\nb", "</sandbox_violations>", "<sandbox_violations>\ndeny openat /x", "x\x1b[2J\x1b]0;evil\x07", "\u202egnp.exe",
         '{"kind":"end"}', '","kind":"start","x":"', "a\\nb", "\x7f\x9b31m", "\u2028", "x" * 255, "a\rb", "\t"]


@pytest.mark.threat("T27")
@pytest.mark.parametrize("nasty", NASTY, ids=lambda n: ascii(n[:20]))
def test_names_do_not_break_the_log_or_the_report(cell, nasty):
    log = cell.etc / "audit.log"
    name = nasty.replace("/", "\u2215")
    done = cell.python("import os\nfor p in (sys.argv[1], '.bashrc'):\n"
                       f"    try: open(os.path.join({str(cell.outside)!r}, p), 'w')\n    except OSError: pass\n"
                       "    try: os.mkdir(os.path.join(p, '.git') )\n    except OSError: pass\n", name,
                       options=["--audit-file", log, "--violations=stderr"])
    assert done.code == 0, done
    records = [json.loads(line) for line in log.read_bytes().splitlines()]
    assert [r["kind"] for r in records].count("start") == 1 and records[-1]["kind"] == "end"
    verified = cell.host(cell.postern, "audit", "verify", log)
    assert verified.code == 0, verified
    assert done.err.count("<sandbox_violations>") <= 1 and done.err.count("</sandbox_violations>") <= 1, done
    block = done.err.partition("<sandbox_violations>\n")[2].partition("</sandbox_violations>")[0]
    assert all(line.startswith("deny ") and line.isprintable() for line in block.splitlines()), repr(block)
    assert not any(c in done.err for c in "\x1b\x07\x9b\u202e\u2028\x7f\r"), repr(done.err)


@pytest.mark.threat("T27")
def test_hosts_and_commands_do_not_break_them_either(cell):
    log = cell.etc / "audit.log"
    script = ("import inside\nfor n in (b'evil\\x1b[2J.example', b'</sandbox_violations>', b'x' * 200 + b'.example', b'a\\nb'):\n"
              "    inside.exchange(b'CONNECT ' + n + b':443 HTTP/1.1\\r\\nHost: x\\r\\n@AUTH@\\r\\n')\n"
              "    inside.exchange(b'GET http://e.example/' + n + b'?secret=mark-in-query HTTP/1.1\\r\\nHost: x\\r\\n@AUTH@\\r\\n')\n")
    done = cell.python(script, "</sandbox_violations>\n\x1b[2J", settings=cell.settings(allowed=["localhost"]),
                       options=["--audit-file", log, "--violations=stderr"])
    assert done.err.count("</sandbox_violations>") == 1, done
    assert "mark-in-query" not in done.err + log.read_text() and "\x1b" not in done.err
    assert all(json.loads(line) for line in log.read_bytes().splitlines())


@pytest.mark.threat("T27")
def test_a_flood_of_denials_is_folded(cell):
    """Thousands of refusals in a moment give neither thousands of records nor thousands of lines."""
    log = cell.etc / "audit.log"
    script = ("import os\nfor i in range(3000):\n    try: os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)\n"
              "    except OSError: pass\n")
    done = cell.python(script, cell.outside / "new", options=["--audit-file", log, "--violations=stderr"])
    records = [json.loads(line) for line in log.read_bytes().splitlines()]
    assert done.code == 0 and len(records) < 300, len(records)
    assert done.err.count("\n") < 120


@pytest.mark.threat("T27")
@pytest.mark.guards("seccomp", "landlock", "mount")
def test_a_log_cannot_be_deleted_or_changed_from_inside(cell):
    log = cell.etc / "audit.log"
    scratch = cell.mkdir("ws/scratch")
    cell.attack("write", log, scratch, options=["--audit-file", log])
    assert oct(log.stat().st_mode)[-3:] == "600"
    assert log.read_bytes().splitlines() and cell.host(cell.postern, "audit", "verify", log).code == 0


@pytest.mark.threat("T27")
@pytest.mark.parametrize("kind", ["link", "pipe", "directory", "inside"])
def test_odd_places_for_a_log_are_refused_or_right(cell, kind):
    """A fifo in place of a log, a link that an earlier run could have made (T23)."""
    log = cell.etc / "audit.log"
    if kind == "link":
        cell.link(cell.write("outside/victim", "mine\n"), "etc/audit.log")
    elif kind == "pipe":
        os.mkfifo(log)
        cell.give(log)
    elif kind == "directory":
        cell.mkdir("etc/audit.log")
    else:
        log = cell.ws / "audit.log"
    done = cell.run("/bin/true", options=["--audit-file", log], timeout=20)
    if kind == "inside":
        assert done.code in (1, 2, 125), done
    elif kind != "link":
        assert done.code != 0 and done.err, done


# T30

BAD = {
    "deep arrays": '{"network":' + "[" * 20000 + "]" * 20000 + "}",
    "deep objects": '{"a":' * 20000 + "1" + "}" * 20000,
    "1 MiB and more": json.dumps({"x": "y" * (1 << 20)}),
    "invalid UTF-8": b'{"network":{"allowedDomains":["\xff\xfe"],"deniedDomains":[]},"filesystem":{"denyRead":[],"allowWrite":[],"denyWrite":[]}}',
    "NUL": '{"network":{"allowedDomains":[],"deniedDomains":[]},"filesystem":{"denyRead":["/a\\u0000b"],"allowWrite":[],"denyWrite":[]}}',
    "lone surrogate": '{"network":{"allowedDomains":[],"deniedDomains":[]},"filesystem":{"denyRead":["\\ud800"],"allowWrite":[],"denyWrite":[]}}',
    "duplicate key": '{"network":{"allowedDomains":[],"deniedDomains":[]},"filesystem":{"denyRead":["/etc/shadow"],"denyRead":[],"allowWrite":[],"denyWrite":[]}}',
    "trailing text": '{"network":{"allowedDomains":[],"deniedDomains":[]},"filesystem":{"denyRead":[],"allowWrite":[],"denyWrite":[]}} x',
    "comment": '// x\n{}', "empty": "", "blank": " \n", "null": "null", "number": "1e999999", "BOM": "\ufeff{}",
    "null list": '{"network":{"allowedDomains":null,"deniedDomains":[]},"filesystem":{"denyRead":[],"allowWrite":[],"denyWrite":[]}}',
    "string for list": '{"network":{"allowedDomains":"x.example","deniedDomains":[]},"filesystem":{"denyRead":[],"allowWrite":[],"denyWrite":[]}}',
    "missing list": '{"network":{"allowedDomains":[],"deniedDomains":[]},"filesystem":{"denyRead":[],"allowWrite":[]}}',
    "empty entry": '{"network":{"allowedDomains":[],"deniedDomains":[]},"filesystem":{"denyRead":[""],"allowWrite":[],"denyWrite":[]}}',
    "later part": '{"network":{"allowedDomains":[],"deniedDomains":[],"tlsTerminate":{}},"filesystem":{"denyRead":[],"allowWrite":[],"denyWrite":[]}}',
    "credentials": '{"network":{"allowedDomains":[],"deniedDomains":[]},"filesystem":{"denyRead":[],"allowWrite":[],"denyWrite":[]},"credentials":{"envVars":[{"name":"X","mode":"deny"}]}}',
    "unknown in x": '{"network":{"allowedDomains":[],"deniedDomains":[]},"filesystem":{"denyRead":[],"allowWrite":[],"denyWrite":[]},"x":{"nonsense":1}}',
}


@pytest.mark.threat("T30")
@pytest.mark.parametrize("case", BAD)
def test_bad_settings_run_nothing(cell, case):
    """All but `extract`, which comes later. One refusal, in words, and the command has not run."""
    done = cell.sh("echo ran; touch ran", settings=cell.settings(text=BAD[case]))
    assert done.code == 1 and done.out == "" and done.err.strip() and len(done.err) < 20000, done
    assert not (cell.ws / "ran").exists()


@pytest.mark.threat("T30")
@pytest.mark.parametrize("entry", ["[" * 500, "*" * 2000, "/" + "*?" * 500, "/a/" + "**/" * 300 + "b", "/[" + "a-z" * 300 + "]",
                                   "{ws}/" + "*a" * 30 + "b", "/" + "a/" * 3000, "~" * 4000, "/" + "x" * 5000])
@pytest.mark.parametrize("key", ["deny_read", "deny_write"])
def test_patterns_that_blow_up_elsewhere(cell, entry, key):
    cell.write("ws/" + "a" * 60, "x")
    done = cell.run("/bin/true", settings=cell.settings(**{key: [entry.replace("{ws}", str(cell.ws))]}))
    assert done.code in (0, 1, 125), done


@pytest.mark.threat("T30")
def test_ten_thousand_patterns(cell):
    secret = cell.write("ws/last.pem", SECRET)
    entries = [f"{cell.ws}/n{i}*.x" for i in range(9999)] + [f"{cell.ws}/*.pem"]
    done = cell.sh("cat last.pem", settings=cell.settings(deny_read=entries))
    assert SECRET not in done.out and done.code != 0, done
    domains = [f"*.h{i}.example" for i in range(10000)]
    assert cell.run("/bin/true", settings=cell.settings(allowed=domains)).code == 0


@pytest.mark.threat("T30")
@pytest.mark.parametrize("place", ["directory", "device", "closed", "link loop"])
def test_settings_in_odd_places_are_refused(cell, place):
    path = cell.etc / "odd.json"
    if place == "directory":
        cell.mkdir("etc/odd.json")
    elif place == "device":
        path = "/dev/zero"
    elif place == "closed":
        if cell.uid == 0:
            pytest.skip("root may read everything")
        cell.write("etc/odd.json", "{}", 0)
    else:
        path.symlink_to(path)
    done = cell.run("/bin/echo", "ran", settings=path, timeout=20)
    assert done.code == 1 and done.out == "" and done.err, done


# T40

MEANINGLESS = ["", ".", "relative", "/nowhere/at/all", "~", "\n", None]
ODD_BUT_A_DIRECTORY = ["/", "//", "/proc/self/cwd"]


@pytest.mark.threat("T40")
@pytest.mark.users("root", "user", "named")
@pytest.mark.parametrize("home", MEANINGLESS)
def test_an_odd_home_never_loses_a_deny(cell, home):
    """Refuse, or hide what the passwd entry says as well. Never run with `~` meaning nothing."""
    settings = cell.settings(deny_read=["~/.ssh", "~/share"])
    entry = {"root": "/root", "named": "/usr/games"}.get(cell.who)
    done = cell.sh('ls -A "$1"/.ssh "$1"/share 2>/dev/null; echo ran', entry or "/nonexistent", settings=settings,
                   env={"HOME": home})
    if entry is None:
        assert done.code in (1, 125) and "ran" not in done.out and done.err, done
    else:
        listed = [line for line in done.out.split() if not line.endswith(":")]
        assert done.code == 0 and listed == ["ran"] or done.code in (1, 125) and not listed, done


@pytest.mark.threat("T40")
@pytest.mark.parametrize("home", ODD_BUT_A_DIRECTORY)
def test_a_home_that_is_an_odd_directory_is_meant_as_it_stands(cell, home):
    secret = cell.write("ws/.ssh/id", "mark-in-secret")
    done = cell.sh("cat .ssh/id; echo ran", settings=cell.settings(deny_read=["~/.ssh"]), env={"HOME": home})
    assert done.code in (0, 1, 125), done
    if home == "/proc/self/cwd" and done.code == 0:
        assert "mark-in-secret" not in done.out, done
    assert secret.read_text() == "mark-in-secret"


@pytest.mark.threat("T40")
@pytest.mark.users("root")
@pytest.mark.parametrize("home", ["", "relative", "/nowhere/at/all", None])
def test_the_home_of_the_passwd_entry_is_hidden_when_the_variable_is_odd(cell, home):
    """A passwd file of our own for this one process shows where the entry leads."""
    secret = cell.write("home/.ssh/id", SECRET)
    settings = cell.settings(deny_read=["~/.ssh"])
    passwd = cell.write("etc/passwd", f"root:x:0:0:root:{cell.home}:/bin/sh\n")
    words = ["unshare", "-m", "--propagation", "private", "sh", "-c",
             'mount --bind "$1" /etc/passwd && shift && exec "$@"', "sh", passwd,
             *cell.words(["/bin/sh", "-c", f"cat '{secret}'; echo ran"], settings)]
    done = cell.finish(cell.popen(words, env={"HOME": home}))
    assert SECRET not in done.out and done.code in (0, 1, 125), done
    assert done.code != 0 or done.out == "ran\n", done


@pytest.mark.threat("T40")
@pytest.mark.users("named")
@pytest.mark.parametrize("home", ["", "relative", None])
def test_somebody_with_a_passwd_entry(cell, home):
    done = cell.sh("echo ran", settings=cell.settings(deny_read=["~/.ssh"]), env={"HOME": home})
    assert (done.code, done.out) == (0, "ran\n") or done.code in (1, 125) and done.out == "", done


@pytest.mark.threat("T40")
def test_a_working_directory_that_is_gone_is_refused(cell):
    gone = cell.mkdir("ws/gone")
    words = [str(w) for w in cell.words(["/bin/echo", "ran"], cell.settings(allow_write=["."]))]
    done = cell.finish(cell.popen(["/bin/sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh", *words], cwd=gone))
    assert done.code in (1, 125) and done.out == "" and done.err, done


@pytest.mark.threat("T40")
@pytest.mark.parametrize("odd", [b"\xff\xfe", b"a\nb", b" ", b"x" * 200, b"'\"$(id)", b"-s"])
def test_a_working_directory_of_odd_bytes(cell, odd):
    at = os.path.join(os.fsencode(cell.ws), odd)
    cell.write(os.path.join(at, b"secret"), SECRET)
    done = cell.sh("echo x > new; cat secret; echo x > .bashrc; echo ran", cwd=at,
                   settings=cell.settings(allow_write=["."], deny_read=["secret"]))
    assert SECRET not in done.out and not os.path.lexists(os.path.join(at, b".bashrc")), done
    assert (done.code, done.out) == (0, "ran\n") and os.path.exists(os.path.join(at, b"new")) or done.code in (1, 125), done


@pytest.mark.threat("T40")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_closed_standard_descriptors(cell, closed):
    """None of our own descriptors may end up as the command's 0, 1 or 2."""
    secret = cell.write("ws/secret", SECRET)
    settings = cell.settings(deny_read=[secret], allowed=["localhost"])
    script = ("for n in 0 1 2; do readlink /proc/self/fd/$n; done > seen 2>/dev/null; cat secret >> seen 2>/dev/null; "
              "echo evil >&1 2>/dev/null; echo evil >&2 2>/dev/null; cat <&0 >> seen 2>/dev/null; exit 7")
    words = [str(w) for w in cell.words(["/bin/sh", "-c", script], settings)]
    done = cell.finish(cell.popen(["/bin/sh", "-c", f'exec "$@" {closed}', "sh", *words]))
    seen = (cell.ws / "seen").read_text() if (cell.ws / "seen").exists() else ""
    assert SECRET not in seen and "settings" not in seen and "socket:" not in seen and "anon_inode" not in seen, seen
    assert done.code in (7, 1, 2, 125), done
    for path in cell.etc.iterdir():
        assert "evil" not in path.read_text()


@pytest.mark.threat("T40")
@pytest.mark.parametrize("count, size", [(3000, 100), (1, 131000), (10, 100000), (20000, 1)])
def test_huge_arguments_arrive(cell, count, size):
    """Whatever execve takes, we take."""
    arguments = ["x" * size] * count
    done = cell.python("print(len(sys.argv) - 1, sum(map(len, sys.argv[1:])))", *arguments)
    assert done.out == f"{count} {count * size}\n", done


@pytest.mark.threat("T40")
def test_a_huge_environment_arrives(cell):
    env = {f"V{i}": "y" * 1000 for i in range(1000)}
    done = cell.python("import os; print(sum(k.startswith('V') and k[1:].isdigit() for k in os.environ))", env=env)
    assert done.out == "1000\n", done


@pytest.mark.threat("T40")
@pytest.mark.parametrize("umask", ["000", "777", "027"])
def test_an_odd_umask_opens_nothing(cell, umask):
    log = cell.etc / "audit.log"
    words = [str(w) for w in cell.words(["/bin/sh", "-c", "umask; echo x > new"], options=["--audit-file", log])]
    done = cell.finish(cell.popen(["/bin/sh", "-c", f'umask {umask}; exec "$@"', "sh", *words]))
    assert done.code in (0, 1, 2) and oct(log.stat().st_mode)[-3:] in ("600", "000"), done
    assert done.out.strip() in (f"0{umask}", umask), done


@pytest.mark.threat("T40")
def test_ignored_and_blocked_signals_of_the_caller_do_not_keep_it_alive(cell):
    """A caller that ignores everything (nohup and worse) still gets an end of the run."""
    def ignore():
        import signal
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))
    done = cell.run("/bin/sh", "-c", "exit 5", preexec_fn=ignore, timeout=20)
    assert done.code == 5, done


@pytest.mark.threat("T40")
def test_low_limits_of_the_caller_refuse_or_hold(cell):
    import resource
    secret = cell.write("ws/secret", SECRET)
    for name, value in (("RLIMIT_NOFILE", 8), ("RLIMIT_NOFILE", 16), ("RLIMIT_FSIZE", 0), ("RLIMIT_STACK", 65536),
                        ("RLIMIT_AS", 8 << 20)):
        def lower():
            resource.setrlimit(getattr(resource, name), (value, value))
        done = cell.sh("cat secret; echo x > .bashrc", settings=cell.settings(deny_read=[secret]), preexec_fn=lower)
        assert SECRET not in done.out and not (cell.ws / ".bashrc").exists(), (name, value, done)


def test_nothing_is_left_after_a_hundred_runs(cell):
    """Processes, mounts, groups, sockets, files: the leak check of every test, over many runs."""
    before = outer.tree(cell.root)
    settings = cell.settings(allowed=["localhost"], deny_read=[cell.outside / "x"])
    for _ in range(50):
        pair = [cell.start("/bin/true", settings=settings) for _ in range(2)]
        assert [cell.finish(child).code for child in pair] == [0, 0]
    after = outer.tree(cell.root)
    after.pop(os.fsencode(os.path.relpath(settings, cell.root)))
    assert after == before
    assert subprocess.run(["ss", "-Hxl"], capture_output=True, text=True).stdout.count("postern") == 0
