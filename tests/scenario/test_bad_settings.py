"""Contract 3.1 and 3.2: a bad file runs nothing, and says why."""

import json
import os

import pytest

from box import settings_of


def refused(box, text, *words, options=()):
    box.settings(text=text)
    done = box.run("sh", "-c", "echo ran", options=options)
    assert (done.code, done.out) == (1, ""), repr(done)
    for word in words:
        assert word in done.err, repr(done)
    return done


def changed(**parts):
    """The default settings with dotted keys replaced: changed(**{"network.allowedDomains": 1})."""
    value = settings_of()
    for dotted, new in parts.items():
        *above, last = dotted.split(".")
        at = value
        for key in above:
            at = at.setdefault(key, {})
        if new is ...:
            del at[last]
        else:
            at[last] = new
    return value


def test_a_named_file_that_is_absent(box):
    box.settings_file.unlink()
    done = box.run("sh", "-c", "echo ran")
    assert (done.code, done.out) == (1, "") and str(box.settings_file) in done.err


@pytest.mark.parametrize("text", ["", " ", "\n\t \r\n"])
def test_empty_or_white_space(box, text):
    refused(box, text)


@pytest.mark.identity("plain")
def test_unreadable(box):
    box.settings_file.chmod(0)
    assert box.run("true").code == 1


def test_a_directory(box):
    box.settings_file.unlink()
    box.settings_file.mkdir()
    assert box.run("true").code == 1


def test_an_unreadable_default_file_is_no_absent_file(box):
    (box.home / ".srt-settings.json").mkdir()
    assert box.run("true", settings=False).code == 1


@pytest.mark.parametrize("text", ["{", "[1,", "{'network': 1}", "{\"a\": 1,}", "// x\n{}", "nul", "{} {}", "\ufeff"])
def test_not_json(box, text):
    refused(box, text)


def test_not_json_says_where(box):
    done = refused(box, '{\n  "network": {\n    "allowedDomains": [,]\n')
    assert "3" in done.err


@pytest.mark.parametrize("text", ["[]", "1", "\"x\"", "null", "true"])
def test_not_an_object(box, text):
    refused(box, text)


@pytest.mark.parametrize("text", [
    json.dumps(settings_of()).encode()[:-1] + b', "x": {"env": {"set": {"A": "\xff"}}}}',
    json.dumps(settings_of()).encode()[:-1] + b', "\xc0\xaf": 1}',
])
def test_invalid_utf_8(box, text):
    refused(box, text)


def test_a_nul_in_a_path(box):
    refused(box, json.dumps(changed(**{"filesystem.denyRead": ["/etc/\u0000x"]})))


def test_every_problem_names_the_file(box):
    for text in ["{", "", json.dumps(changed(network=1))]:
        refused(box, text, f"settings '{box.settings_file}': ")
    default = box.write("home/.srt-settings.json", '{\n  "a": 1,}')
    done = box.run("echo", "ran", settings=False)
    assert (done.code, done.out) == (1, ""), repr(done)
    assert f"settings '{default}': not JSON: line 2, column 10" in done.err, repr(done)
    assert "default" in done.err.splitlines()[-1]


def test_what_is_no_regular_file_is_named_and_never_waited_for(box):
    box.settings_file.unlink()
    os.mkfifo(box.settings_file)
    box.give(box.settings_file)
    done = box.run("echo", "ran")
    assert (done.code, done.out) == (1, "") and f"'{box.settings_file}' is a FIFO, not a regular file" in done.err
    for device in ["/dev/null", "/dev/zero"]:
        done = box.outer(box.program, "run", "-s", device, "--", "echo", "ran")
        assert (done.code, done.out) == (1, "") and f"'{device}' is a device, not a regular file" in done.err


REQUIRED = ["network", "filesystem", "network.allowedDomains", "network.deniedDomains", "filesystem.denyRead",
            "filesystem.allowWrite", "filesystem.denyWrite"]


@pytest.mark.parametrize("key", REQUIRED)
def test_a_required_key_is_missing(box, key):
    refused(box, json.dumps(changed(**{key: ...})), key)


WRONG = {
    "network": [1, [], None, "x"], "filesystem": [1, [], None],
    "network.allowedDomains": ["x", 1, None, {}, [1], [None]], "network.deniedDomains": ["x", [True]],
    "filesystem.denyRead": ["/x", [1], [{}], [{"path": 1}], [{"path": "/x", "literal": True, "more": 1}], [""],
                            [{"path": ""}]],
    "filesystem.allowWrite": [None, [""]], "filesystem.denyWrite": ["x", [[]]],
    "filesystem.disabled": [1, "true", None], "filesystem.allowGitConfig": ["yes", 0],
    "network.strictAllowlist": [1, "true"], "network.deniedDomainReasons": [[], {"a.b": 1}],
    "network.deniedResolvedAddresses": ["10.0.0.0/8", ["nonsense"], ["10.0.0.0/33"], ["[::1]"]],
    "network.httpProxyPort": [0, 65536, "80", 1.5], "network.allowAllUnixSockets": [1],
    "network.parentProxy": ["http://x", {"http": 1}, {"http": "ftp://x"}, {"http": "http://"}],
    "network.mitmProxy": [{}, {"socketPath": "/x", "domains": []}],
    "network.allowMachLookup": [["a*b"]],
    "network.filterRequest": ["x"],
    "allowNestedUserNamespaces": [1, "x"], "mandatoryDenySearchDepth": [0, 11, "3", 2.5],
    "git": [1, {"safeDirectories": "x"}], "bwrapPath": ["bwrap", 1], "javaAgentJarPath": ["relative.jar"],
    "ignoreViolations": [[], {"*": "x"}, {"*": [1]}], "allowPty": ["yes"], "windows": [1],
    "x": [1, []], "x.limits": [1, {"pids": -1}, {"pids": "x"}, {"wall": 1.5e99}], "x.noSuchKey": [1],
    "x.limits.noSuchLimit": [1], "x.network.transparent": [1, "yes"], "x.filesystem.hide": ["gone"],
    "x.env.mode": ["copy"], "x.seccomp.preset": ["loose"], "x.seccomp.deny": [["no_such_call_at_all"]],
    "x.mandatory.off": [[".bashrc"], ["nonsense"]],
}


@pytest.mark.parametrize("key, value", [(k, v) for k, values in WRONG.items() for v in values],
                         ids=lambda v: v if isinstance(v, str) else json.dumps(v))
def test_a_value_of_the_wrong_kind(box, key, value):
    refused(box, json.dumps(changed(**{key: value})), key.split(".")[-1])


def test_every_problem_is_said_at_once(box):
    value = changed(**{"network.allowedDomains": 1, "filesystem.denyRead": ["/x", ""], "git": 1})
    done = refused(box, json.dumps(value), "network.allowedDomains: ", "filesystem.denyRead", "git")
    assert "; " in done.err


def test_the_last_line_says_that_nothing_runs_with_the_defaults(box):
    done = refused(box, json.dumps(changed(network=1)))
    assert "default" in done.err.strip().splitlines()[-1]


@pytest.mark.parametrize("key, value, says", [
    ("x.seccomp.allow", ["read", "write", "nono"], "x.seccomp.allow[2]: 'nono' is no system call"),
    ("x.seccomp.deny", ["read", "nono"], "x.seccomp.deny[1]: 'nono' is no system call"),
    ("x.degraded", ["cgroup", "walls"], "x.degraded[1]: 'walls' is no layer"),
    ("filesystem.denyRead", ["/x", "/**/y"], "filesystem.denyRead[1]: "),
])
@pytest.mark.parametrize("options", [(), ("--explain",)], ids=["run", "explain"])
def test_what_only_this_machine_shows_is_said_like_any_problem(box, key, value, says, options):
    done = refused(box, json.dumps(changed(**{key: value})), f"settings '{box.settings_file}': {says}", options=options)
    assert "default" in done.err.strip().splitlines()[-1]


BAD_DOMAINS = ["*", "*.com", "a*.example.com", "http://example.com", "example.com/x", "example", ".example.com",
               "example.com.", "example.com:0", "example.com:65536", "example.com:080", "example.com:x", "::1",
               "2001:db8::1", "*.*.example.com", "", " example.com", "exa mple.com", "[::1", "user@example.com"]


@pytest.mark.parametrize("pattern", BAD_DOMAINS)
def test_a_bad_domain_pattern(box, pattern):
    refused(box, json.dumps(settings_of(allowed=["fine.example", pattern])), "network.allowedDomains[1]")


GOOD_DOMAINS = ["example.com", "*.example.com", "localhost", "localhost:80", "1.2.3.4", "1.2.3.4:5", "[::1]",
                "[2001:db8::1]:443", "EXAMPLE.com", "*.example.com:8443", "a.b.c.d.e"]


@pytest.mark.parametrize("pattern", GOOD_DOMAINS)
def test_a_good_domain_pattern(box, pattern):
    box.settings(allowed=[pattern], denied=[pattern, "*", "*:99"])
    assert box.run("true").code == 0


def test_a_deny_pattern_that_ends_in_a_slash(box):
    refused(box, json.dumps(settings_of(deny_read=["/home/*/"])), "filesystem.denyRead[0]")


def test_duplicate_keys(box):
    refused(box, '{"network": {"allowedDomains": [], "deniedDomains": []}, "network": {"allowedDomains": [], '
                 '"deniedDomains": []}, "filesystem": {"denyRead": [], "allowWrite": [], "denyWrite": []}}', "network")


@pytest.mark.parametrize("key", ["denyRaed", "network.allowedDomians", "filesystem.denyRaed"])
def test_an_unknown_key_is_warned_about_and_refused_when_strict(box, key):
    text = json.dumps(changed(**{key: []}))
    box.settings(text=text)
    done = box.run("echo", "ran")
    assert done.ok() == "ran\n" and key in done.err
    refused(box, text, key, options=["--strict"])


@pytest.mark.parametrize("key, value, where", [
    ("network.allowUnixSockets", ["/x", "/run/*.sock"], "network.allowUnixSockets[1]"),
    ("x.unixSockets", ["/run/[ab].sock"], "x.unixSockets[0]"),
])
def test_a_pattern_among_the_unix_sockets_is_warned_about_and_refused_when_strict(box, key, value, where):
    text = json.dumps(changed(**{key: value}))
    box.settings(text=text)
    done = box.run("echo", "ran")
    assert done.ok() == "ran\n" and f"{where}: is taken as a path and not as a pattern" in done.err, repr(done)
    refused(box, text, where, options=["--strict"])


@pytest.mark.parametrize("key, value", [
    ("network.allowUnixSockets", [{"path": "/run/*.sock", "literal": True}]),
    ("x.unixSockets", [{"path": "/run/*.sock", "bind": False}]),
])
def test_a_unix_socket_that_is_spelled_like_a_pattern_on_purpose_is_no_warning(box, key, value):
    box.settings(text=json.dumps(changed(**{key: value})))
    done = box.run("true", options=["--strict"])
    assert done.code == 0 and "pattern" not in done.err, repr(done)


@pytest.mark.parametrize("key, value", [
    ("network.tlsTerminate", {}), ("credentials", {"envVars": []}), ("x.requestRules", []), ("x.credentials", {}),
    ("x.snapshot", {}), ("x.filesystem.overlay", True),
])
def test_a_key_of_a_later_version_is_refused_and_not_ignored(box, key, value):
    refused(box, json.dumps(changed(**{key: value})), key.split(".")[-1])


@pytest.mark.parametrize("key, value", [
    ("bwrapPath", "/usr/bin/bwrap"), ("socatPath", "/usr/bin/socat"), ("ripgrep", {"command": "rg"}),
    ("seccomp", {"applyPath": "/x"}), ("enableWeakerNetworkIsolation", True), ("allowAppleEvents", True),
    ("windows", {}), ("network.allowMachLookup", ["com.apple.*"]), ("network.allowLocalBinding", True),
])
def test_keys_for_other_systems_are_accepted_in_silence(box, key, value):
    box.settings(text=json.dumps(changed(**{key: value})))
    done = box.run("true")
    assert (done.code, done.err) == (0, "")


def test_one_mebibyte_is_the_limit(box):
    refused(box, json.dumps(settings_of()) + " " * (1 << 20))


def test_ten_thousand_patterns(box):
    names = [f"{box.ws}/dir{i}/*.secret" for i in range(10_000)]
    box.settings(deny_write=names)
    assert box.run("echo", "ran").ok() == "ran\n"


def test_deep_nesting(box):
    refused(box, '{"x":' + "[" * 100_000 + "]" * 100_000 + "}")


# Contract 11 and 12 (T40): surroundings

@pytest.mark.parametrize("home", ["", "relative/home", "/no/such/home"])
def test_a_home_that_means_nothing_never_loses_a_deny(box, home):
    """Either the run is refused, or the passwd entry's home is hidden as well."""
    box.settings(deny_read=["~/secret-of-home"])
    done = box.run("sh", "-c", "echo ran", env={"HOME": home})
    assert done.code in (0, 1, 125)
    if home == "":
        assert done.code != 0 or box.user.pw_dir != "/"


def test_a_working_directory_that_is_gone(box):
    gone = box.ws / "gone"
    gone.mkdir()
    box.give(box.ws)
    done = box.outer("bash", "-c", f"rmdir {gone}; exec {box.program} run -s {box.settings_file} -- echo ran", cwd=gone)
    assert done.code in (1, 125) and done.out == ""


def test_an_allowed_write_path_that_is_absent_is_warned_about_and_not_made(box):
    box.settings(allow_write=[box.ws, box.ws / "absent"])
    done = box.run("echo", "ran")
    assert done.ok() == "ran\n" and "absent" in done.err and not (box.ws / "absent").exists()
