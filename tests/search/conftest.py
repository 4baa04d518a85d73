"""Fixtures of the search's tests: data on disk, and a cache that is not the user's."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres import PASSWORD, binaries, server
from toy_search import write_images


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 16 classes with 5 images each; tests that change it copy it."""
    return write_images(tmp_path_factory.mktemp("images") / "toy")


@pytest.fixture(scope="module")
def travels_by_value(request: pytest.FixtureRequest) -> Iterator[None]:
    """Ray's workers cannot import a test: what its module defines travels by value.

    So does what the modules in its `TRAVEL_TOO` define.
    """
    from ray import cloudpickle

    modules = (request.module, *getattr(request.module, "TRAVEL_TOO", ()))
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    yield
    for module in modules:
        cloudpickle.unregister_pickle_by_value(module)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    assert Path.cwd() == Path(os.path.realpath(tmp_path))
    return tmp_path


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a PostgreSQL database; its password is in the environment, as it must be."""
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    # Not below pytest's folders: their paths are too long for a socket.
    with (
        tempfile.TemporaryDirectory(prefix="pg-") as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("PGPASSWORD", PASSWORD)
        with server(Path(folder)) as url:
            yield url


@pytest.fixture(params=["journal", "sqlite", "postgres"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each kind of storage that a study may have, empty."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/trials.db"
    return str(request.getfixturevalue("postgres")) if request.param == "postgres" else "journal"
