"""The threat model's rows against the marks of this suite."""

import pathlib
import re

import pytest
import test_two_layers

HERE = pathlib.Path(__file__).parent
ROWS = [f"T{n}" for n in range(1, 41) if n != 25]  # T25 belongs to snapshots, which come later
TWO_LAYERS = [f"T{n}" for n in (*range(1, 12), *range(17, 25), 33)]  # T12 to T16 are the proxy's alone
DOCUMENT = (HERE.parents[1] / "docs/threat-model.md").read_text()
TEXT = "\n".join(path.read_text() for path in sorted(HERE.glob("test_*.py")))



@pytest.mark.parametrize("row", ROWS)
def test_there_is_an_attack(row):
    assert re.search(rf'threat\([^)]*"{row}"', TEXT), f"no test tries {row}"


@pytest.mark.parametrize("row", TWO_LAYERS)
def test_two_layers_are_proved_one_by_one(row):
    proofs = [one for one in test_two_layers.PROOFS if one.row == row]
    assert proofs and all(len(one.layers) >= 2 for one in proofs), f"no two layers are shown to stop {row}"
    assert [one for one in proofs if one.works is True], f"no attack of {row} is shown to work without its layers"


@pytest.mark.parametrize("one", test_two_layers.PROOFS, ids=lambda one: f"{one.row}-{one.name.replace(' ', '_')}")
def test_the_threat_model_names_the_layers_of_each_proof(one):
    table = DOCUMENT.partition("## What the tests prove")[2].partition("\n## ")[0]
    wanted = f"| {one.name} | {one.row} | {', '.join(one.layers)} |"
    assert wanted in table, f"docs/threat-model.md lacks: {wanted}"


def test_the_threat_model_claims_no_more_than_the_proofs():
    table = DOCUMENT.partition("## What the tests prove")[2].partition("\n## ")[0]
    claims = set(re.findall(r"^\| ([^|]*) \| (T\d+) \|", table, re.M))
    assert claims == {(one.name, one.row) for one in test_two_layers.PROOFS}


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
