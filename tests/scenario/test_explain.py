"""Contract 1: --explain prints the plan and runs nothing; --profile is merged under the file."""

import json

import pytest


def explain(box, *command, options=("--explain",), **more):
    return box.run(*command, options=list(options), dashes=bool(command), **more)


def test_a_command_is_not_needed(box):
    assert explain(box).code == 0


def test_nothing_is_run(box):
    explain(box, "sh", "-c", f"echo x >{box.ws}/ran").ok()
    assert not (box.ws / "ran").exists()


def test_the_text_names_what_it_does(box):
    box.settings(allowed=["yes.example"], denied=["no.example"], deny_read=["/etc/hostname"], deny_write=["keep"])
    text = explain(box).ok()
    for word in (str(box.ws), "/etc/hostname", "keep", "yes.example", "no.example", "andlock", "eccomp", ".bashrc"):
        assert word in text, word


def test_json_is_one_object_with_the_same_parts(box):
    box.settings(allowed=["yes.example"], denied=["no.example"], deny_read=["/etc/hostname"], deny_write=["keep"])
    text = explain(box, options=["--explain=json"]).ok()
    value = json.loads(text)
    assert isinstance(value, dict)
    for word in (str(box.ws), "/etc/hostname", "yes.example", "no.example"):
        assert word in text, word
    parts = {key.lower() for key in value}
    for part in ("mounts", "landlock", "seccomp", "limits"):
        assert any(part in key for key in parts), (part, parts)


def test_the_plan_does_not_depend_on_the_run(box):
    """Equal settings, equal plan: it can be stored and compared."""
    one, two = (explain(box, options=["--explain=json"]).ok() for _ in range(2))
    assert one == two


def test_no_token_is_shown(box):
    box.settings(allowed=["localhost"])
    import re
    assert not re.search(r"\b[0-9a-f]{32}\b", explain(box).ok())


def test_bad_settings_are_refused_here_too(box):
    box.settings(text="{")
    assert explain(box).code == 1


def test_explain_leaves_nothing(box):
    import os
    box.settings(deny_write=["absent"])
    explain(box).ok()
    assert os.listdir(box.ws) == []


# Profiles

def test_workspace_makes_the_working_directory_writable(box):
    done = box.sh("echo x >file", options=["--profile", "workspace"], settings=False)
    assert done.code == 0 and (box.ws / "file").exists()


def test_workspace_does_not_open_the_rest(box):
    done = box.sh(f"echo x >{box.outside}/file", options=["--profile=workspace"], settings=False)
    assert done.code != 0


def test_read_only_lets_nothing_be_written(box):
    done = box.sh(f"cat {box.outside}/readable; echo x >file", options=["--profile", "read-only"], settings=False)
    assert done.code != 0 and done.out == "readable\n" and not (box.ws / "file").exists()


def test_no_network_allows_nothing(box, web):
    script = f"curl -s -o /dev/null -w '%{{http_code}}' --noproxy '' http://localhost:{web.port}/"
    done = box.sh(script, options=["--profile", "no-network"], settings=False)
    assert done.out in ("403", "000") and web.seen == []


def test_the_file_lies_over_the_profile(box, web):
    box.settings(allowed=["localhost"])
    script = f"curl -s -o /dev/null -w '%{{http_code}}' --noproxy '' http://localhost:{web.port}/; echo x >file"
    done = box.sh(script, options=["--profile", "workspace"])
    assert done.ok() == "200" and (box.ws / "file").exists()


@pytest.mark.parametrize("name", ["", "none-such", "workspace,read-only"])
def test_an_unknown_profile_is_refused(box, name):
    done = box.run("echo", "ran", options=["--profile", name])
    assert done.code in (1, 2) and done.out == ""
