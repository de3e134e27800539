"""Fixtures of the black-box tests of `postern serve`.

`scene`   a server with a scripted model, shared by the tests of a file
`own`     own(config=…, environment=…): a scene for one test alone, for tests that stop, kill or configure it
`driver`  the process that runs the official client;  `sdk`  such a client of `scene`
`worker`  worker(scene, directory, …): the official worker on a queue, ended with the test
"""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import scene as scene_module  # noqa: E402
import sdk as sdk_module  # noqa: E402


@pytest.fixture(scope="session")
def driver():
    made = sdk_module.Driver()
    yield made
    made.close()


@pytest.fixture(scope="module")
def scene(postern, tmp_path_factory):
    made = scene_module.Scene(postern, tmp_path_factory.mktemp("scene"))
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture
def own(postern, tmp_path):
    made = []

    def scene(**options):
        made.append(scene_module.Scene(postern, tmp_path / f"server-{len(made)}", **options))
        return made[-1].start()

    yield scene
    for one in made:
        one.close()


@pytest.fixture
def sdk(scene, driver):
    return sdk_module.Sdk(driver, scene.server.url, scene.server.key)


@pytest.fixture
def worker(tmp_path):
    made = []

    def start(scene, directory=None, environment=None, key=None, **options):
        directory = directory or tmp_path / f"work-{len(made)}"
        directory.mkdir(exist_ok=True)
        made.append(sdk_module.Worker(scene.server.url, environment or scene.server.environment_id,
                                      key or scene.server.environment_key, directory, **options))
        return made[-1]

    yield start
    for one in made:
        one.close()
