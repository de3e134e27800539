"""Checks on the text of our sources: banned functions, sizes, words, licence, manual pages."""

import pathlib
import re
import subprocess
import warnings

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
FILE_WARN, FILE_LIMIT, FUNCTION_LIMIT = 600, 1000, 90

# The functions that the style page bans, because each is misused more often than used.
BANNED = """strcpy strcat strncpy strncat sprintf vsprintf gets strtok atoi atol atoll localtime gmtime
ctime asctime mktemp tmpnam system popen signal alloca""".split()
BANNED_CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def c_files(*folders):
    found = []
    for folder in folders:
        found += sorted(str(p.relative_to(ROOT)) for p in (ROOT / folder).rglob("*.[ch]"))
    return found


def tracked():
    """Every text file that git knows or could add; ignored files (builds) are none of ours."""
    listed = subprocess.run(["git", "-C", str(ROOT), "-c", f"safe.directory={ROOT}", "ls-files",
                             "--cached", "--others", "--exclude-standard", "-z"],
                            capture_output=True, check=True).stdout
    return sorted(name for name in listed.decode().split("\0") if name and (ROOT / name).is_file())


def code_only(text):
    """The text with comments, strings and characters blanked; line numbers stay."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(lambda m: "\n" * m.group().count("\n"), text)


def functions(text):
    """(name, first line, number of lines) of each function; the format puts both braces in column 0."""
    lines = text.split("\n")
    start = None
    for i, line in enumerate(lines):
        if line == "{":
            start = i
        elif line == "}" and start is not None:
            head = start
            while head > 0 and lines[head - 1].strip() and not lines[head - 1].startswith(("}", "#")):
                head -= 1
            name = re.search(r"(\w+)\s*\(", " ".join(lines[head:start]))
            yield (name.group(1) if name else "?"), head + 1, i - head + 1
            start = None


SOURCES = c_files("src")
ALL_C = c_files("src", "tests", "fuzz", "bench")


@pytest.mark.parametrize("name", ALL_C)
def test_no_banned_function(name):
    text = code_only((ROOT / name).read_text(errors="replace"))
    found = [f"line {text.count(chr(10), 0, m.start()) + 1}: {m.group(1)}"
             for m in BANNED_CALL.finditer(text)]
    assert not found, f"{name}: {'; '.join(found)}"


@pytest.mark.parametrize("name", SOURCES)
def test_a_file_holds_one_thing(name):
    lines = (ROOT / name).read_text(errors="replace").count("\n")
    assert lines <= FILE_LIMIT, f"{name} has {lines} lines; the limit is {FILE_LIMIT}"
    if lines > FILE_WARN:
        warnings.warn(f"{name} has {lines} lines: look for the second noun in it", stacklevel=1)


@pytest.mark.parametrize("name", SOURCES)
def test_a_function_fits_a_screen(name):
    long = [f"{f} at line {at}: {n} lines" for f, at, n in functions((ROOT / name).read_text())
            if n > FUNCTION_LIMIT]
    assert not long, f"{name}: {'; '.join(long)}"


def test_nothing_is_left_unfinished():
    found = []
    for name in tracked():
        if name.startswith(("src/", "fuzz/", "bench/", "tests/", "tools/", "docs/")) \
                and name != "tests/tools/test_sources.py":
            text = (ROOT / name).read_bytes()
            if b"\0" in text:
                continue
            for i, line in enumerate(text.decode(errors="replace").split("\n"), 1):
                if UNFINISHED.search(line):
                    found.append(f"{name}:{i}: {line.strip()}")
    assert not found, "\n".join(found)


def test_the_licence_is_there():
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text and "Version 2.0" in text
    assert "license: 'Apache-2.0'" in (ROOT / "meson.build").read_text()


def command_rows():
    """The names in the tables of src/cmd (main.c, engine.c): rows { "name", function, "help" }.
    A row without help is hidden and needs no page."""
    row = re.compile(r'^\s*\{\s*"([a-z-]+)",\s*\w+,\s*(NULL|")', re.M)
    names = set()
    for path in (SRC / "cmd").glob("*.c"):
        table = re.search(r"static const struct row rows\[\] = \{\n(.*?)^\};", path.read_text(), re.S | re.M)
        if table:
            names.update(name for name, help in row.findall(table.group(1)) if help != "NULL")
    return sorted(names)


def test_every_command_has_a_manual_page():
    rows = command_rows()
    assert rows, "no table of commands found in src/cmd"
    pages = {p.name for p in (ROOT / "docs").rglob("*.scd")}
    missing = [name for name in rows if f"postern-{name}.1.scd" not in pages]
    assert not missing, f"no manual page for: {', '.join(missing)}"


@pytest.mark.parametrize("name", [n for n in tracked() if n.endswith(".sh") or n.startswith("tools/install")])
def test_a_shell_script_parses(name):
    first = (ROOT / name).read_text().split("\n", 1)[0]
    shell = "bash" if "bash" in first else "sh"
    done = subprocess.run([shell, "-n", str(ROOT / name)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
