"""Studies that the tests of the report share; none is changed by a test."""

from pathlib import Path

import pytest
from told_studies import Fate, empty_study, told_study, trained_study

from tripletune.search.study import Study

FATES: tuple[Fate, ...] = (
    *("done", "stopped", "done", "collapsed", "failed", "stopped"),
    *("done", "stopped", "running", "silent", "done", "stopped"),
)


@pytest.fixture(scope="session")
def mixed(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Trials of every fate."""
    return told_study(tmp_path_factory.mktemp("runs") / "mixed", images, FATES)


@pytest.fixture(scope="session")
def empty(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """No trial at all."""
    return empty_study(tmp_path_factory.mktemp("runs") / "empty", images)


@pytest.fixture(scope="session")
def lost(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Nothing but failures."""
    fates: tuple[Fate, ...] = ("failed", "silent", "collapsed")
    return told_study(tmp_path_factory.mktemp("runs") / "lost", images, fates)


@pytest.fixture(scope="session")
def trained(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """One trial, really trained."""
    return trained_study(tmp_path_factory.mktemp("runs") / "trained", images)
