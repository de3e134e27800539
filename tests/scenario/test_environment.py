"""Contract 2.1: every variable the command sees."""

import json
import re
import urllib.parse

import pytest


def environment(box, allowed=("localhost",), env=None, options=(), **settings):
    box.settings(allowed=allowed, **settings)
    shown = box.run("python3", "-c", "import json, os; print(json.dumps(dict(os.environ)))", env=env,
                    options=options)
    return json.loads(shown.ok())


def proxy_of(env):
    url = urllib.parse.urlsplit(env["HTTP_PROXY"])
    return url, urllib.parse.unquote(url.username), url.password


def test_the_caller_s_environment_is_inherited(box):
    seen = environment(box, env={"MY_OWN": "a b\nc", "EMPTY": ""})
    assert seen["MY_OWN"] == "a b\nc" and seen["EMPTY"] == "" and seen["HOME"] == str(box.home)


@pytest.mark.parametrize("allowed", [[], ["localhost"]], ids=["no network", "some network"])
def test_the_runtime_says_so(box, allowed):
    assert environment(box, allowed)["SANDBOX_RUNTIME"] == "1"


HTTP_NAMES = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy", "GRPC_PROXY",
              "grpc_proxy", "DOCKER_HTTP_PROXY", "DOCKER_HTTPS_PROXY"]


def test_the_proxy_url(box):
    url, user, token = proxy_of(environment(box))
    assert (url.scheme, url.hostname, url.port) == ("http", "localhost", 3128)
    assert user == "srt" or user.startswith("srt.")
    assert re.fullmatch("[0-9a-f]{32}", token)


@pytest.mark.parametrize("name", HTTP_NAMES)
def test_variables_that_hold_the_http_proxy(box, name):
    seen = environment(box)
    assert seen[name] == seen["HTTP_PROXY"]


@pytest.mark.parametrize("name", ["FTP_PROXY", "ftp_proxy"])
def test_variables_that_hold_the_socks_proxy(box, name):
    seen = environment(box)
    url, _, token = proxy_of(seen)
    assert seen[name] == f"socks5h://{url.username}:{token}@localhost:1080"


def test_rsync_gets_host_and_port(box):
    assert environment(box)["RSYNC_PROXY"] == "localhost:1080"


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_no_proxy(box, name):
    assert environment(box, env={name: "mine.example"})[name] == \
        "localhost,127.0.0.1,::1,169.254.0.0/16,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"


def test_cloudsdk(box):
    seen = environment(box)
    _, user, token = proxy_of(seen)
    assert [seen[f"CLOUDSDK_PROXY_{n}"] for n in ("TYPE", "ADDRESS", "PORT", "USERNAME", "PASSWORD")] == \
        ["http", "localhost", "3128", user, token]


def test_git_config_parameters(box):
    assert environment(box)["GIT_CONFIG_PARAMETERS"] == "'http.proxyAuthMethod=basic'"


def test_git_ssh_command_has_a_helper_of_ours_and_no_token(box):
    seen = environment(box)
    _, _, token = proxy_of(seen)
    command = seen["GIT_SSH_COMMAND"]
    assert command.startswith("ssh -o ControlMaster=no -o ControlPath=none -o ProxyCommand=")
    assert "connect-helper" in command and "%h" in command and "%p" in command
    assert "socat" not in command and token not in command


def test_no_trust_bundle_without_termination(box):
    seen = environment(box, env={name: None for name in ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE")})
    assert "NODE_EXTRA_CA_CERTS" not in seen and "SSL_CERT_FILE" not in seen


def test_java_tool_options_only_with_a_jar(box):
    assert "JAVA_TOOL_OPTIONS" not in environment(box)
    jar = box.write("outside/agent.jar")
    seen = environment(box, env={"JAVA_TOOL_OPTIONS": "-Xmx1g"}, javaAgentJarPath=str(jar))
    assert seen["JAVA_TOOL_OPTIONS"].startswith("-javaagent:") and str(jar) in seen["JAVA_TOOL_OPTIONS"]
    assert seen["JAVA_TOOL_OPTIONS"].endswith(" -Xmx1g")


def test_a_jar_that_cannot_be_read_inside_is_warned_about_and_left_out(box):
    jar = box.write("outside/hidden/agent.jar")
    cases = [(box.outside / "absent.jar", "does not exist"), (box.outside, "is no file"), (jar, "is hidden inside")]
    for path, why in cases:
        box.settings(javaAgentJarPath=str(path), deny_read=[jar.parent])
        done = box.sh("echo $JAVA_TOOL_OPTIONS", env={"JAVA_TOOL_OPTIONS": "-Xmx1g"})
        assert done.ok() == "-Xmx1g\n" and f"javaAgentJarPath: '{path}' {why}" in done.err, repr(done)
    box.settings(javaAgentJarPath=str(jar), deny_read=[box.outside], filesystem={"allowRead": [str(jar)]})
    done = box.sh("echo $JAVA_TOOL_OPTIONS")
    assert done.ok() == f"-javaagent:{jar}\n" and "javaAgent" not in done.err, repr(done)


def test_the_token_is_new_in_each_run(box):
    assert proxy_of(environment(box))[2] != proxy_of(environment(box))[2]


def test_no_token_on_any_command_line_of_the_host(box):
    """Looked at from outside while the sandbox runs."""
    import os
    import pathlib
    box.settings(allowed=["localhost"])
    child = box.start("sh", "-c", "echo $HTTP_PROXY; read x", stdin=-1)
    token = urllib.parse.urlsplit(box.line(child)).password
    lines = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            lines.append(pathlib.Path(f"/proc/{pid}/cmdline").read_bytes())
        except OSError:
            pass
    child.stdin.close()
    child.stdin = None
    box.finish(child)
    assert token and not any(token.encode() in line for line in lines)


@pytest.mark.parametrize("variables, want", [
    ({}, "/tmp/claude"),
    ({"CLAUDE_TMPDIR": "/tmp/other-claude"}, "/tmp/other-claude"),
    ({"CLAUDE_CODE_TMPDIR": "/tmp/code-claude", "CLAUDE_TMPDIR": "/tmp/other-claude"}, "/tmp/code-claude"),
    ({"TMPDIR": "/somewhere/else"}, "/tmp/claude"),
])
def test_tmpdir(box, variables, want):
    assert environment(box, env=variables)["TMPDIR"] == want


@pytest.mark.parametrize("variables", [{}, {"CLAUDE_TMPDIR": "/tmp/other-claude"}])
def test_tmpdir_exists_is_writable_private_and_gone_afterwards(box, variables):
    import os
    place = variables.get("CLAUDE_TMPDIR", "/tmp/claude")
    was_there = os.path.exists(place)
    done = box.sh('f=$(mktemp) && echo x >"$f" && dirname "$f"', env=variables)
    assert done.ok() == f"{place}\n"
    assert os.path.exists(place) == was_there and not (was_there and any(os.scandir(place)))


def test_tmpdir_below_an_allowed_write_path_is_kept(box):
    (box.ws / "tmp").mkdir()
    box.give(box.ws)
    assert environment(box, env={"TMPDIR": f"{box.ws}/tmp"})["TMPDIR"] == f"{box.ws}/tmp"


def test_tmpdir_is_left_alone_with_filesystem_disabled(box):
    assert environment(box, filesystem={"disabled": True}, env={"TMPDIR": "/tmp"})["TMPDIR"] == "/tmp"


# git.safeDirectories

def test_each_safe_directory_gives_two_entries(box):
    seen = environment(box, git={"safeDirectories": ["/a", "/b"]})
    assert seen["GIT_CONFIG_COUNT"] == "4"
    assert [(seen[f"GIT_CONFIG_KEY_{i}"], seen[f"GIT_CONFIG_VALUE_{i}"]) for i in range(4)] == \
        [("safe.directory", d) for d in ("/a", "/a/*", "/b", "/b/*")]


def test_numbering_goes_on_from_an_inherited_count(box):
    inherited = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "me"}
    seen = environment(box, git={"safeDirectories": ["/a"]}, env=inherited)
    assert (seen["GIT_CONFIG_COUNT"], seen["GIT_CONFIG_KEY_0"], seen["GIT_CONFIG_VALUE_1"]) == \
        ("3", "user.name", "/a")


def test_a_count_of_zero_is_left_alone(box):
    seen = environment(box, git={"safeDirectories": ["/a"]}, env={"GIT_CONFIG_COUNT": "0"})
    assert seen["GIT_CONFIG_COUNT"] == "0" and "GIT_CONFIG_KEY_0" not in seen


def test_more_than_eight_collapse(box):
    seen = environment(box, git={"safeDirectories": [f"/d{i}" for i in range(9)]})
    assert (seen["GIT_CONFIG_COUNT"], seen["GIT_CONFIG_VALUE_0"]) == ("1", "*")


# x.env

def test_the_allowlist_passes_only_what_is_named(box):
    seen = environment(box, env={"KEEP_ME": "1", "KEEP_TOO": "2", "DROP": "3"},
                       x={"env": {"mode": "allowlist", "pass": ["KEEP_*", "PATH"], "set": {"NEW": "n"}}})
    assert seen["KEEP_ME"] == "1" and seen["KEEP_TOO"] == "2" and seen["NEW"] == "n" and "DROP" not in seen
    assert seen["SANDBOX_RUNTIME"] == "1"


def test_unset_and_set(box):
    seen = environment(box, env={"GONE": "1", "CHANGED": "old"},
                       x={"env": {"unset": ["GONE"], "set": {"CHANGED": "new"}}})
    assert "GONE" not in seen and seen["CHANGED"] == "new"


@pytest.mark.parametrize("name", ["MY_TOKEN", "A_SECRET", "SSH_AUTH_SOCK", "AWS_REGION", "GITHUB_X",
                                  "DBUS_SESSION_BUS_ADDRESS", "KUBECONFIG", "THE_CREDENTIALS_FILE"])
def test_scrub_takes_out_names_that_look_secret(box, name):
    seen = environment(box, env={name: "value", "HARMLESS": "h"}, x={"env": {"scrub": True}})
    assert name not in seen and seen["HARMLESS"] == "h"


def test_scrub_spares_what_pass_names(box):
    seen = environment(box, env={"MY_TOKEN": "v"}, x={"env": {"scrub": True, "pass": ["MY_TOKEN"]}})
    assert seen["MY_TOKEN"] == "v"


@pytest.mark.parametrize("name", ["LD_PRELOAD", "BASH_ENV", "ENV", "PROMPT_COMMAND", "NODE_OPTIONS"])
def test_loader_variables_reach_the_command(box, name):
    value = "" if name == "LD_PRELOAD" else "/nowhere/at/all"
    done = box.run("env", env={name: value})
    assert f"{name}={value}\n" in done.ok()


@pytest.mark.parametrize("port", [3128, 1080])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_listeners_stand_before_the_first_instruction(box, clients, port, address):
    """A static program whose first call is the connect."""
    box.settings(allowed=["localhost"])
    assert box.run(clients("connect"), address, str(port)).ok() == "connected\n"


def test_the_user_name_carries_the_command(box):
    import base64
    box.settings(allowed=["localhost"])
    done = box.run("sh", "-c", "echo $HTTP_PROXY")
    user = urllib.parse.unquote(urllib.parse.urlsplit(done.ok().strip()).username)
    if user != "srt":
        text = base64.b64decode(user[4:] + "==").decode()
        assert "echo $HTTP_PROXY".startswith(text[-10:]) or "echo" in text
