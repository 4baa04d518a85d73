"""A study that is kept in a storage: copied, claimed, fetched by another driver."""

import json
from pathlib import Path

import pytest

from tripletune.cluster.storage import Storage
from tripletune.search.folder import StudyError, StudyFolder
from tripletune.search.keeping import CLAIM, StudyKeeper, fetch_study

BEAT_S = 0.05


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage("file", str(tmp_path / "kept" / "toy"))


@pytest.fixture
def folder(tmp_path: Path, storage: Storage) -> StudyFolder:
    """Of a study with a journal and a checkpoint."""
    made = StudyFolder(tmp_path / "runs" / "toy", storage)
    made.make()
    made.settings.write_text("space: x\n")
    made.journal.write_text("one\n")
    (made.tune / "start-000").mkdir(parents=True)
    (made.tune / "start-000" / "trial.pt").write_text("large")
    return made


class Heard:
    """What a keeper said and why it gave up."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.lost: list[str] = []


def keeper(folder: StudyFolder, storage: Storage, heard: Heard) -> StudyKeeper:
    return StudyKeeper(
        folder, storage, say=heard.said.append, lost=heard.lost.append, beat_s=BEAT_S
    )


def test_kept_study_is_fetched_as_it_was_without_its_checkpoints(
    folder: StudyFolder, storage: Storage, tmp_path: Path
) -> None:
    with keeper(folder, storage, Heard()):
        folder.journal.write_text("one\ntwo\n")
        folder.best.mkdir()
        (folder.best / "recipe.yaml").write_text("recipe")

    fetched = fetch_study(storage, tmp_path / "elsewhere")

    assert fetched.name == "toy"
    assert fetched.journal.read_text() == "one\ntwo\n"
    assert (fetched.best / "recipe.yaml").read_text() == "recipe"
    assert not fetched.tune.exists()
    assert not storage.child("tune").exists()
    assert not storage.child(CLAIM).exists()


def test_start_of_a_trial_is_kept_at_once(folder: StudyFolder, storage: Storage) -> None:
    slow = StudyKeeper(folder, storage, say=print, lost=print, beat_s=60)
    with slow:
        slow.copy()
        folder.journal.write_text("one\ntrial 1\n")
        slow.trial_started(None)  # type: ignore[arg-type]  # of whichever trial

        assert storage.child("optuna.log").read() == b"one\ntrial 1\n"


def test_second_driver_is_refused_while_the_first_lives(
    folder: StudyFolder, storage: Storage
) -> None:
    heard = Heard()
    with keeper(folder, storage, Heard()):
        second = StudyKeeper(folder, storage, say=heard.said.append, lost=print, beat_s=4 * BEAT_S)
        with pytest.raises(StudyError, match="study toy is being run by a driver on "), second:
            pass

    assert "has not let go of the study" in heard.said[0]


def test_study_of_a_dead_driver_is_taken_over(folder: StudyFolder, storage: Storage) -> None:
    storage.child(CLAIM).write(json.dumps({"driver": "dead", "host": "gone", "beat": 7}).encode())
    heard = Heard()

    with keeper(folder, storage, heard):
        claim = json.loads(storage.child(CLAIM).read() or b"")

    assert claim["driver"] != "dead"
    assert "a driver on gone has not let go" in heard.said[0]


def test_driver_that_was_taken_for_dead_stops_and_writes_nothing_more(
    folder: StudyFolder, storage: Storage
) -> None:
    heard = Heard()
    slow = StudyKeeper(folder, storage, say=print, lost=heard.lost.append, beat_s=60)
    with slow:
        slow.copy()
        storage.child(CLAIM).write(json.dumps({"driver": "x", "host": "new", "beat": 1}).encode())
        folder.journal.write_text("of the old driver\n")
        slow.copy()

    assert heard.lost == ["another driver, on new, has taken over the study"]
    assert storage.child("optuna.log").read() == b"one\n"
    assert json.loads(storage.child(CLAIM).read() or b"")["driver"] == "x"


def test_storage_that_fails_is_said_once_and_tried_again(
    folder: StudyFolder, storage: Storage, tmp_path: Path
) -> None:
    heard = Heard()
    slow = StudyKeeper(folder, storage, say=heard.said.append, lost=print, beat_s=60)
    with slow:
        (tmp_path / "kept").rename(tmp_path / "away")
        (tmp_path / "kept").write_text("in the way")
        slow.copy()
        slow.copy()
        (tmp_path / "kept").unlink()
        (tmp_path / "away").rename(tmp_path / "kept")
        slow.copy()

    first, second = heard.said
    assert first.startswith("the study could not be copied, tried again: storage file://")
    assert second == f"the study is copied to {storage} again"
    assert storage.child("optuna.log").read() == b"one\n"


def test_unknown_study_names_those_that_are_there(
    folder: StudyFolder, storage: Storage, tmp_path: Path
) -> None:
    with keeper(folder, storage, Heard()):
        pass

    with pytest.raises(StudyError, match=r"no study 'tox' in file://.*; there are: toy"):
        fetch_study(storage.parent.child("tox"), tmp_path / "elsewhere")
