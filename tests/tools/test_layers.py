"""src/LAYERS is the law for includes: downward only, and each library in one folder."""

import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
SEAMS = ROOT / "include"
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)


def read_layers():
    """{folder: (folders it may include, header prefixes that only it may include)}, in file order."""
    rows = {}
    for line in (SRC / "LAYERS").read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        folder, rest = line.split(":", 1)
        below, _, libraries = rest.partition(";")
        rows[folder.strip()] = (below.split(), libraries.split())
    return rows


LAYERS = read_layers()
FOLDERS = sorted(p.name for p in SRC.iterdir() if p.is_dir() and any(p.rglob("*.[ch]")))
FILES = sorted(str(p.relative_to(SRC)) for p in SRC.rglob("*.[ch]"))
HEADERS = [f for f in FILES if f.endswith(".h")]


def includes(name):
    return INCLUDE.findall((SRC / name).read_text())


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_folder_has_a_row(folder):
    assert folder in LAYERS, f"src/{folder} has no row in src/LAYERS"


@pytest.mark.parametrize("folder", list(LAYERS))
def test_a_row_names_only_rows_above_it(folder):
    order = list(LAYERS)
    above = order[: order.index(folder)]
    upward = [other for other in LAYERS[folder][0] if other not in above]
    assert not upward, f"{folder} may include {upward}, which do not stand above it in src/LAYERS"


@pytest.mark.parametrize("name", FILES)
def test_own_includes_point_downward(name):
    folder = name.split("/")[0]
    allowed = [folder] + LAYERS.get(folder, ([], []))[0]
    wrong = []
    for kind, header in includes(name):
        if kind != '"':
            continue
        if header.startswith("postern/") and (SEAMS / header).is_file():
            continue
        if not (SRC / header).is_file():
            # A name without a folder would depend on the place of the file that includes it.
            wrong.append(f'"{header}" is not a path below src/')
        elif header.split("/")[0] not in allowed:
            wrong.append(f'"{header}": {folder} may not include {header.split("/")[0]}')
    assert not wrong, f"src/{name}: " + "; ".join(wrong)


@pytest.mark.parametrize("header", sorted(p.name for p in SEAMS.rglob("*.h")))
def test_a_seam_stands_on_base_alone(header):
    wrong = [name for kind, name in INCLUDE.findall((SEAMS / "postern" / header).read_text())
             if kind == '"' and name.split("/")[0] not in ("base", "postern")]
    assert not wrong, f"include/postern/{header} includes {wrong}"


@pytest.mark.parametrize("name", FILES)
def test_a_library_is_included_by_its_folder_alone(name):
    folder = name.split("/")[0]
    wrong = []
    for kind, header in includes(name):
        owners = [f for f, (_, libs) in LAYERS.items() for lib in libs if header.startswith(lib)]
        if kind == "<" and owners and folder not in owners:
            wrong.append(f"<{header}> belongs to {owners[0]}")
    assert not wrong, f"src/{name}: " + "; ".join(wrong)


def library_flags():
    """Include paths of the libraries, as the build has them."""
    flags = ["-isystem", "/usr/share/include/llhttp"]
    if shutil.which("pkg-config"):
        for library in ("libuv", "jansson", "libseccomp", "libsodium", "libcap"):
            shown = subprocess.run(["pkg-config", "--cflags", library], capture_output=True, text=True)
            if shown.returncode == 0:
                flags += shown.stdout.split()
    return flags


FLAGS = library_flags()


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_compiles_alone(name):
    done = subprocess.run(
        ["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
         "-I", str(SRC), "-I", str(SEAMS), *FLAGS, "-x", "c", "-"],
        input=f'#include "{name}"\n', capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_is_guarded_and_says_what_it_is(name):
    text = (SRC / name).read_text()
    assert "#pragma once" in text or re.search(r"^#ifndef \w+\n#define ", text, re.M), name
    first = text.lstrip().splitlines()[0]
    assert first.startswith(f"/* {name.split('/')[-1]} - "), f"src/{name} starts with: {first}"
