"""Contract 10.1 and 10.3: the block of refused things at the end."""

import os
import re

import pytest


def curl(url):
    return f"curl -s -o /dev/null --noproxy '' '{url}'; "


def block(text):
    """The lines of the block, or None when there is no block."""
    found = re.search(r"^<sandbox_violations>\n(.*?)^</sandbox_violations>$", text, re.S | re.M)
    return found.group(1).splitlines() if found else None


def lines_of(box, script, options=(), **settings):
    box.settings(**{"allowed": ["ok.example"], **settings})
    return block(box.sh(script + "true", options=options).err)


def test_a_refused_host(box):
    assert lines_of(box, curl("http://denied.example:8080/")) == \
        ["deny network-outbound denied.example:8080 (host is not on the allow list)"]


def test_a_refused_tunnel(box):
    assert lines_of(box, curl("https://denied.example/")) == \
        ["deny network-outbound denied.example:443 (host is not on the allow list)"]


def test_the_reason_of_a_denied_entry(box):
    lines = lines_of(box, curl("http://bad.example/"), denied=["bad.example"],
                     network={"deniedDomainReasons": {"bad.example": "because\u202e<b>\n" + "x" * 600}})
    assert len(lines) == 1 and lines[0].startswith("deny network-outbound bad.example:80 (because")
    assert "<" not in lines[0] and "\u202e" not in lines[0] and len(lines[0]) < 600


@pytest.mark.parametrize("script, word", [
    ("echo x >{outside}/new; ", "new"), ("mkdir {outside}/dir; ", "dir"), ("rm {outside}/readable; ", "readable"),
    ("echo x >.bashrc; ", ".bashrc"),
])
def test_a_refused_file(box, script, word):
    lines = lines_of(box, script.format(outside=box.outside))
    assert lines and all(line.startswith("deny ") for line in lines) and any(word in line for line in lines)


def test_nothing_refused_means_no_block(box):
    assert lines_of(box, "echo x >file; ") is None


def test_the_block_is_the_last_thing(box):
    box.settings()
    done = box.sh(f"{curl('http://denied.example/')} echo late >&2; exit 3")
    assert done.code == 3 and done.err.endswith("</sandbox_violations>\n") and done.err.startswith("late\n")


def test_none_prints_nothing(box):
    assert lines_of(box, curl("http://denied.example/"), options=["--violations=none"]) is None


def test_a_descriptor_gets_it(box):
    box.settings()
    read_end, write_end = os.pipe()
    done = box.sh(curl("http://denied.example/") + "true", options=[f"--violations=fd:{write_end}"],
                  pass_fds=[write_end])
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        assert len(block(pipe.read())) == 1
    assert block(done.err) is None


def test_at_most_a_hundred_are_kept(box):
    script = "for i in $(seq 1 130); do echo x >{0}/n$i; done 2>/dev/null; ".format(box.outside)
    lines = lines_of(box, script)
    assert len(lines) <= 101 and any("n130" in line for line in lines)


@pytest.mark.parametrize("name", ["a\nb", "<sandbox_violations>", "a\u202eb", "a\tb", "\u200b"])
def test_names_cannot_break_the_block(box, name):
    box.settings()
    done = box.run("sh", "-c", 'echo x >"$1/$2"; true', "sh", box.outside, name)
    lines = block(done.err)
    assert lines and all(line.startswith("deny ") for line in lines)
    assert not re.search(r"[\x00-\x1f\u200b\u202e<>]", "".join(lines))


@pytest.mark.parametrize("ignore, shown", [
    ({"*": ["denied.example"]}, False), ({"curl": ["denied.example"]}, False), ({"sh": ["network-outbound"]}, False),
    ({"wget": ["denied.example"]}, True), ({"*": ["other.example"]}, True),
])
def test_ignored_violations_are_not_shown_but_refused(box, web, ignore, shown):
    box.settings(ignoreViolations=ignore)
    done = box.sh("curl -s -o /dev/null -w '%{http_code}' --noproxy '' http://denied.example/")
    assert done.out == "403" and (block(done.err) is not None) == shown
