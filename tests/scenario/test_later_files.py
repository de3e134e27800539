"""Contract 3.4.2, last row: hidden names that the host makes while a command runs."""

import json
import shutil

import pytest

SECRET = "mark-in-secret"

# Waits until nothing of what is named can be read any more (a bound against a hang, no claim about speed).
UNTIL_HIDDEN = """
for f; do
    i=0
    while [ $i -lt 1500 ] && cat "$f" >/dev/null 2>&1; do i=$((i+1)); sleep 0.02; done
    cat "$f"
done
"""


class Later:
    """A command that has started and looks at the files when it is told to."""

    def __init__(self, box, *files, prepare="", finally_="exit 0", options=()):
        script = f"{prepare}\necho started; read go\n{UNTIL_HIDDEN}\n{finally_}"
        self.box = box
        self.child = box.start("sh", "-c", script, "sh", *files, stdin=-1, options=options)
        assert box.line(self.child) == "started"

    def look(self):
        return self.box.finish(self.child, "go\n")


def make(box, name, text=SECRET):
    return box.write(f"ws/{name}", text)


def move_in(box, name):
    made = box.write(f"outside/{name.replace('/', '-')}", SECRET)
    return made.rename(box.ws / name)


def assert_hidden(done, count=1):
    assert SECRET not in done.out and done.err.count("Permission denied") == count, done


MAKERS = pytest.mark.parametrize("maker", [make, move_in])


@MAKERS
@pytest.mark.parametrize("entry, name", [
    ("later.env", "later.env"), ("*.key", "a.key"), ("dir/*.key", "dir/b.key"), ("**/.env", ".env"),
    ("**/.env", "dir/deep/.env"), ("*/deep/[xy]", "dir/deep/x"), ("dir/**/last", "dir/last"),
])
def test_a_hidden_name_that_the_host_makes_later_is_covered(box, maker, entry, name):
    make(box, "dir/deep/plain", "plain\n")
    box.settings(deny_read=[box.ws / entry])
    later = Later(box, name)
    maker(box, name)
    assert_hidden(later.look())


@pytest.mark.parametrize("entry", ["new/sub/.env", "**/.env", "new/*/.env", "*/sub/.e*"])
def test_also_in_directories_that_the_host_makes_later(box, entry):
    box.settings(deny_read=[box.ws / entry])
    later = Later(box, "new/sub/.env")
    make(box, "new/sub/.env")
    assert_hidden(later.look())


@pytest.mark.parametrize("entry", ["new/sub/.env", "**/.env"])
def test_also_in_directories_that_the_host_moves_in(box, entry):
    box.settings(deny_read=[box.ws / entry])
    later = Later(box, "new/sub/.env")
    box.write("outside/new/sub/.env", SECRET)
    (box.outside / "new").rename(box.ws / "new")
    assert_hidden(later.look())


def test_also_in_directories_that_the_command_makes(box):
    box.settings(deny_read=[box.ws / "**/.env"])
    later = Later(box, "new/sub/.env", prepare="mkdir -p new/sub")
    make(box, "new/sub/.env")
    assert_hidden(later.look())


def test_also_in_a_directory_that_the_host_replaces(box):
    make(box, "dir/plain", "plain\n")
    box.settings(deny_read=[box.ws / "**/.env"])
    later = Later(box, "dir/.env")
    shutil.rmtree(box.ws / "dir")
    make(box, "dir/.env")
    assert_hidden(later.look())


def test_a_hidden_directory_that_the_host_makes_later_is_empty(box):
    box.settings(deny_read=[box.ws / "secrets"])
    later = Later(box, "secrets/one")
    (box.outside / "made").mkdir()
    box.write("outside/made/one", SECRET)
    (box.outside / "made").rename(box.ws / "secrets")
    done = later.look()
    assert SECRET not in done.out and "No such file" in done.err, done


def test_it_stays_covered_when_the_host_saves_again(box):
    box.settings(deny_read=[box.ws / "*.key"])
    later = Later(box, "a.key", "a.key")
    make(box, "a.key")
    for turn in range(5):
        make(box, "new", f"{turn} {SECRET}").rename(box.ws / "a.key")
    assert_hidden(later.look(), 2)


def test_what_is_allowed_again_and_what_is_not_named_stays_readable(box):
    box.settings(deny_read=[box.ws / "*.key"], filesystem={"allowRead": [str(box.ws / "open.key")]})
    later = Later(box, "hidden.key", finally_="cat open.key plain")
    for name in ("open.key", "plain"):
        make(box, name, f"{name}\n")
    make(box, "hidden.key")
    done = later.look()
    assert_hidden(done)
    assert done.out.endswith("open.key\nplain\n")


# On an overlay of two file systems a file has another device than the directory around it. The host writes when the
# command says that it runs.
OVERLAY = """
cd "$1"; shift
mkdir lower upper
mount -t tmpfs none lower
mount -t tmpfs none upper
mkdir upper/up upper/work
echo "$SECRET" >lower/was.env
mount -t overlay -o lowerdir=lower,upperdir=upper/up,workdir=upper/work none ../ws
cd ../ws
(i=0; while [ $i -lt 1500 ] && ! [ -e started ]; do i=$((i+1)); sleep 0.02; done
 for f in was.env later.env go; do echo "$SECRET" >.new; mv .new $f; done) >/dev/null 2>&1 &
exec "$@"
"""


@pytest.mark.identity("root")
def test_also_where_files_have_another_device_than_their_directory(box):
    box.settings(deny_read=[box.ws / "was.env", box.ws / "later.env"])
    tmp = box.root / "tmp"  # the kernel overlays no directory with mounts in it, so this host needs one for TMPDIR
    tmp.mkdir()
    script = f"echo >started; while ! [ -e go ]; do sleep 0.02; done; {UNTIL_HIDDEN}"
    words = [*box.options([]), "--", "sh", "-c", script, "sh", "was.env", "later.env"]
    done = box.finish(box.popen(["unshare", "-m", "--propagation", "private", "sh", "-ec", OVERLAY, "sh", box.outside, *words],
                                env={"SECRET": SECRET, "CLAUDE_TMPDIR": str(tmp)}))
    assert_hidden(done, 2)


def test_it_is_in_the_audit_log(box):
    log = box.etc / "audit"
    box.give(box.etc)
    box.settings(deny_read=[box.ws / "later.env"])
    later = Later(box, "later.env", options=["--audit-file", str(log)])
    made = make(box, "later.env")
    assert_hidden(later.look())
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert any(r.get("object") == str(made) and "made on the host" in r.get("rule", "") for r in records), records


def test_more_directories_than_can_be_watched_are_said(box):
    for i in range(1100):
        (box.ws / f"d{i}").mkdir()
    box.give(box.ws)
    box.settings(deny_read=[box.ws / "**/.env"])
    done = box.run("true")
    assert done.code == 0 and done.err.count("not all directories can be watched") == 1, done
    box.settings(deny_read=[box.ws / "**/.env"], x={"filesystem": {"strictHide": True}})
    assert "watched" not in box.run("true").err
