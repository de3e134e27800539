"""What every black-box suite may use: the program under test, and the check that nothing is left.

`postern`    path of the program: $POSTERN, else build/postern.
`leftovers`  looks at processes, mounts, control groups, sockets and files before a test and again
             after it; what is new and ours fails the test.
"""

import ctypes
import os
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import outer  # noqa: E402

PR_SET_CHILD_SUBREAPER = 36


def pytest_configure(config):
    # Whatever a run leaves behind becomes our child, so that it can be told from other people's.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@pytest.fixture(scope="session")
def postern():
    path = pathlib.Path(os.environ.get("POSTERN") or HERE.parent / "build" / "postern").resolve()
    if not os.access(path, os.X_OK):
        pytest.fail(f"there is no program at {path}: build it, or set $POSTERN", pytrace=False)
    return path


@pytest.fixture
def leftovers():
    state = outer.Leftovers()
    yield state
    state.check()
