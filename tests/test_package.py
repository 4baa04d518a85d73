import subprocess
import sys
from pathlib import Path

import pytest

import tripletune

PACKAGE = Path(__file__).parents[1] / ".pkg" / "tripletune"
ROOMS = {"cluster", "search", "spaces", "trainables"}


def run_python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_import_is_light() -> None:
    loaded = run_python("import sys, tripletune; print(*{m.split('.')[0] for m in sys.modules})")

    assert not {"torch", "ray", "optuna", "wandb", "numpy", "pydantic"} & set(loaded.split())


def test_rooms_are_links_that_stay_inside_the_repository() -> None:
    links = {path.name: path for path in PACKAGE.iterdir() if path.is_symlink()}

    assert set(links) == ROOMS
    for name, link in links.items():
        assert link.readlink() == Path("..", "..", name)


def test_no_exported_name_is_that_of_a_room() -> None:
    assert not ROOMS & set(tripletune.__all__)


@pytest.mark.parametrize("name", tripletune.__all__)
def test_exported_name_is_found(name: str) -> None:
    assert getattr(tripletune, name) is not None


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'tripletune' has no attribute 'serach'"):
        tripletune.serach  # type: ignore[attr-defined]  # noqa: B018
