"""Fixtures of the black-box tests of `postern serve`."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import sdk as sdk_module  # noqa: E402


@pytest.fixture(scope="session")
def driver():
    """The process that runs the official client."""
    made = sdk_module.Driver()
    yield made
    made.close()
