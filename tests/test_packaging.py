import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("cluster", "search", "spaces", "trainables")


def build(folder: Path, kind: str) -> Path:
    """Returns the file that the build backend makes of a source tree."""
    subprocess.run(
        [sys.executable, "-c", f"from setuptools import build_meta as b; b.build_{kind}('dist')"],
        cwd=folder,
        capture_output=True,
        check=True,
    )
    (built,) = (folder / "dist").iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel made of the source distribution, as an index would serve it."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    for name in (*ROOMS, ".pkg"):
        shutil.copytree(
            ROOT / name,
            tree / name,
            symlinks=True,
            ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"),
        )
    unpacked = tmp_path_factory.mktemp("unpacked")
    sdist = build(tree, "sdist")
    subprocess.run([sys.executable, "-m", "tarfile", "-e", sdist, unpacked], check=True)
    (source,) = unpacked.iterdir()
    return build(source, "wheel")


@pytest.mark.slow
def test_wheel_holds_every_room_and_nothing_beside_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())

    top_level = {name.partition("/")[0] for name in names}
    assert {name for name in top_level if not name.endswith(".dist-info")} == {"tripletune"}
    sources = {
        f"tripletune/{path.relative_to(ROOT).as_posix()}"
        for room in ROOMS
        for pattern in ("*.py", "*.yaml")
        for path in (ROOT / room).rglob(pattern)
    }
    assert not sources - names
    assert "tripletune/py.typed" in names
    assets = {
        f"tripletune/search/report/assets/{path.name}"
        for path in (ROOT / "search" / "report" / "assets").iterdir()
    }
    assert len(assets) > 10
    assert not assets - names


@pytest.mark.slow
def test_wheel_is_imported_where_the_repository_is_not(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)

    code = "import tripletune; print(tripletune.Space, tripletune.__file__)"
    printed = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "tripletune.spaces" in printed
    assert str(tmp_path) in printed
