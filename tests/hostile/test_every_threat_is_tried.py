"""The threat model's rows against the marks of this suite."""

import pathlib
import re

import pytest

HERE = pathlib.Path(__file__).parent
ROWS = [f"T{n}" for n in range(1, 41) if n != 25]  # T25 belongs to snapshots, which come later
TWO_LAYERS = [f"T{n}" for n in (*range(1, 12), *range(17, 25), 33)]  # T12 to T16 are the proxy's alone
TEXT = "\n".join(path.read_text() for path in sorted(HERE.glob("test_*.py")))
# The marks that stand above each test function.
DECORATED = re.findall(r"((?:^@pytest\.mark\.[^\n]*\n(?:^ [^\n]*\n|^\]\)[^\n]*\n)*|^@[A-Z]+\n)+)def test_", TEXT, re.M)


@pytest.mark.parametrize("row", ROWS)
def test_there_is_an_attack(row):
    assert re.search(rf'threat\([^)]*"{row}"', TEXT), f"no test tries {row}"


@pytest.mark.parametrize("row", TWO_LAYERS)
def test_it_is_tried_with_layers_switched_off(row):
    with_guards = [block for block in DECORATED if f'"{row}"' in block and "guards(" in block]
    assert with_guards, f"no test of {row} switches a layer off"


def test_every_program_is_used_and_has_a_control():
    programs = {path.stem for path in HERE.glob("*.c")} - {"attack"}
    controls = (HERE / "test_controls.py").read_text()
    unused = [name for name in programs if f'"{name}"' not in TEXT and f"hostile-{name}" not in TEXT]
    assert not unused
    # swap is a helper of the host; outlive and terminal need a front to be killed or a terminal;
    # foreign needs a kernel with a second table of system calls.
    without = [name for name in programs - {"swap", "outlive", "terminal", "foreign"}
               if f'"{name}"' not in controls and f"hostile-{name}" not in controls]
    assert not without
