"""What the documents say of files, options and layers, against the tree and the built program."""

import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXTS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "README.md", ROOT / "tests/README.md",
                                                        *(ROOT / "docs").rglob("*.md")))
RUN_PAGE = ROOT / "docs/man/postern-run.1.scd"
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FOLDERS = "src|tests|docs|fuzz|bench|tools|deploy"
PATH = re.compile(rf"(?:{FOLDERS})/[\w./*<>-]*\w[\w./*]*")
OPTION = re.compile(r"(?<![\w-])(--?[a-zA-Z][\w-]*)")
DEBUG_ONLY = {"--disable-layer"}  # not in the program that people install


def program():
    return pathlib.Path(os.environ.get("POSTERN") or ROOT / "build" / "postern")


def paths_in(text):
    """Paths of the source that stand in backticks. A pattern counts when something matches it."""
    blocks = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    for code in CODE.findall(blocks):
        if PATH.fullmatch(code.split("::")[0]):
            yield code.split("::")[0]


def exists(path):
    if "<" in path or "NAME" in path:
        return True  # a word to be filled in
    if "*" in path:
        return any(ROOT.glob(path))
    return (ROOT / path).exists() or (ROOT / f"{path}.c").exists()  # a program by its name in the build


@pytest.mark.parametrize("name", TEXTS)
def test_every_relative_link_leads_to_a_file(name):
    targets = [target.split("#")[0] for target in LINK.findall((ROOT / name).read_text())
               if not re.match(r"[a-z]+:|#", target)]
    broken = [target for target in targets if not ((ROOT / name).parent / target).exists()]
    assert not broken, f"{name}: {broken}"


@pytest.mark.parametrize("name", TEXTS)
def test_every_path_of_the_source_exists(name):
    broken = sorted({path for path in paths_in((ROOT / name).read_text()) if not exists(path)})
    assert not broken, f"{name}: {broken}"


@pytest.mark.parametrize("name", TEXTS)
def test_every_test_that_is_named_exists(name):
    """Written as `tests/FOLDER/FILE.py::NAME`, or as `NAME` in a table whose files are named."""
    text = (ROOT / name).read_text()
    named = {(path, test) for path, test in re.findall(r"`(tests/[\w/]+\.py)::(\w+)", text)}
    broken = [f"{path}::{test}" for path, test in named
              if not (ROOT / path).exists() or f"def {test}(" not in (ROOT / path).read_text()]
    known = set(re.findall(r"def (test_\w+)\(", "".join(p.read_text() for p in (ROOT / "tests").rglob("*.py"))))
    broken += [test for test in re.findall(r"`(test_\w+)`", text) if test not in known]
    assert not broken, f"{name}: {broken}"


def printed_options():
    done = subprocess.run([program(), "run", "--help"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.split("Options:\n")[1].split("\n\n")[0].split("\n")]
    return {option for line in lines for option in OPTION.findall(line[:44])} - DEBUG_ONLY


def documented_options():
    """What stands in the headings of the section OPTIONS."""
    section = RUN_PAGE.read_text().split("\n# OPTIONS\n")[1].split("\n# ")[0]
    return {option for line in section.split("\n") if line.startswith("*-") for option in OPTION.findall(line)}


@pytest.mark.skipif(not program().exists(), reason="the program has not been built")
def test_the_help_and_the_manual_page_name_the_same_options():
    assert printed_options() == documented_options()


def test_every_row_of_the_threat_model_is_there_once():
    rows = re.findall(r"^\| (T\d+) \|", (ROOT / "docs/threat-model.md").read_text(), re.M)
    assert rows == [f"T{n}" for n in range(1, 41)]
