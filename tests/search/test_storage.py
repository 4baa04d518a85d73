"""A study in a journal, in SQLite and in PostgreSQL: the same, and nobody's password in it."""

import re
import socket
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from command_line import environment
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from postgres import PASSWORD
from reports import report
from toy_search import toy_options, toy_settings, toy_space

from tripletune.search.database import DatabaseKeeper
from tripletune.search.database_claim import HEARTBEAT_S, STALE_S
from tripletune.search.database_url import (
    JOURNAL,
    VARIABLE,
    checked_database,
    default_database,
    opened_url,
)
from tripletune.search.folder import StudyError, StudyFolder
from tripletune.search.options import SearchOptions
from tripletune.search.records import CheckpointRecord
from tripletune.search.study import Study


@pytest.fixture
def study(images: Path, tmp_path: Path, storage: str) -> Study:
    """A study of its own name: a database is shared."""
    folder = StudyFolder(tmp_path / "runs" / f"toy-{uuid.uuid4().hex[:8]}")
    return Study.create(folder, toy_settings(toy_space(images), storage))


def trials_as_optuna_reads_them(study: Study) -> list[FrozenTrial]:
    """Through nothing but the place and the name, as its dashboard does."""
    place = study.settings.database
    if place == JOURNAL:
        journal = JournalStorage(JournalFileBackend(str(study.folder.journal)))
        return optuna.load_study(study_name=study.name, storage=journal).trials
    database = RDBStorage(place)
    trials = optuna.load_study(study_name=study.name, storage=database).trials
    database.engine.dispose()
    return trials


def test_everything_known_of_a_trial_is_read_back(study: Study) -> None:
    numbers = [study.ask(study.space).number for _ in range(3)]
    complete, failed, running = numbers
    for number in numbers:
        study.start(number, cpus=1.0, gpus=0.25)
        study.report(number, report(2, 0.5, memory_bytes=1000))
    study.start(complete, cpus=1.0, gpus=0.5)
    study.note(complete, checkpoint=CheckpointRecord("tune/a/trial.pt", 2), wandb_id="abc-0000")
    study.note(complete, lost="node")
    study.report(complete, report(18, 0.8, memory_bytes=3000, attempt=2), is_last=True)
    study.finish(complete)
    study.fail(failed, "FloatingPointError: the loss is nan at step 4", "Traceback ...")
    study.flush()

    opened = Study.open(study.folder)

    assert opened.records() == study.records()
    record = opened.record(complete)
    assert (record.state, record.attempts, record.peak_bytes) == ("complete", 2, 3000)
    assert record.checkpoint == CheckpointRecord("tune/a/trial.pt", 2)
    assert (record.wandb_id, record.losses) == ("abc-0000", ("node",))
    first, second = record.log
    assert record.device_seconds == pytest.approx(
        0.25 * (first.last - first.began) + 0.5 * (second.last - second.began)
    )
    assert opened.record(failed).traceback == "Traceback ..."
    assert opened.record(running).reports == (report(2, 0.5, memory_bytes=1000),)
    assert opened.settings == study.settings


def test_optuna_reads_states_and_curves(study: Study) -> None:
    numbers = [study.ask(study.space).number for _ in range(4)]
    complete, pruned, collapsed, _ = numbers
    for number in numbers:
        for step in (2, 4):
            study.report(number, report(step, 0.1 * step))
    study.report(complete, report(18, 0.8))
    study.report(collapsed, replace(report(6, 0.6), is_collapsed=True))
    for number in (complete, pruned, collapsed):
        study.finish(number)

    trials = trials_as_optuna_reads_them(study)

    assert [trial.state for trial in trials] == [
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.PRUNED,
        TrialState.RUNNING,
    ]
    assert trials[complete].value == 0.8
    assert trials[complete].intermediate_values == {2: 0.2, 4: 0.4, 18: 0.8}
    assert trials[pruned].intermediate_values == {2: 0.2, 4: 0.4}
    assert trials[collapsed].constraints == {"collapsed": 1.0}


def test_same_seed_suggests_the_same_in_every_storage(
    study: Study, images: Path, tmp_path: Path
) -> None:
    other = Study.create(StudyFolder(tmp_path / "other"), toy_settings(toy_space(images)))
    for each in (study, other):
        for index in range(12):
            number = each.ask(each.space).number
            each.report(number, report(18, 0.05 * (index * 7 % 12)))
            each.finish(number)

    recipes = [record.recipe for record in study.records()]
    assert recipes == [record.recipe for record in other.records()]
    assert len({recipe.digest for recipe in recipes}) > 8


def test_second_process_is_refused_with_the_first_ones_host_and_pid(
    study: Study, tmp_path: Path
) -> None:
    elsewhere = StudyFolder(tmp_path / "another-machine" / study.name)
    elsewhere.make()
    elsewhere.settings.write_bytes(study.folder.settings.read_bytes())
    if study.settings.database == JOURNAL:
        elsewhere = study.folder
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from tripletune.search.folder import StudyFolder\n"
        "from tripletune.search.study import Study\n"
        "with Study.open(StudyFolder(Path(sys.argv[1]))).claimed():\n"
        "    print(os.getpid(), flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(study.folder.path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(), text=True, **pipes) as first:  # type: ignore[call-overload]
        process = first.stdout.readline().strip()
        who = re.escape(f"is being run by process {process} on {socket.gethostname()}")
        with pytest.raises(StudyError, match=who), Study.open(elsewhere).claimed():
            pass
        first.kill()
        first.wait()
        with Study.open(elsewhere).claimed():  # the claim ended with the process
            pass


def test_an_owner_that_gave_no_sign_for_long_is_dead() -> None:
    from tripletune.search.ownership import Owner

    here = Owner.this_process()
    far = replace(here, host="elsewhere", pid=1)

    assert not here.is_dead(stale_s=STALE_S)
    assert not far.is_dead(stale_s=STALE_S)
    assert replace(far, seen=far.seen - STALE_S - 1).is_dead(stale_s=STALE_S)
    assert HEARTBEAT_S < STALE_S / 3


@pytest.mark.parametrize("storage", ["sqlite"], indirect=True)
def test_name_taken_in_a_database_is_refused_with_the_difference(
    study: Study, images: Path, tmp_path: Path
) -> None:
    elsewhere = StudyFolder(tmp_path / "elsewhere" / study.name)
    place = study.settings.database
    other = toy_settings(toy_space(images, budget__steps=20), place)
    with pytest.raises(StudyError, match=r"exists in sqlite:.*budget\.steps was 18, is 20"):
        Study.create(elsewhere, other)
    (section, then), *_ = study.settings.data.items()
    changed = replace(study.settings, data={section: {**then, "fingerprint": "abc"}})
    with pytest.raises(StudyError, match=r"fingerprint of the data was \w+, is abc"):
        Study.create(elsewhere, changed)
    with pytest.raises(StudyError, match=r"and its folder is not .*: go on with it there"):
        Study.create(elsewhere, study.settings)
    assert not elsewhere.settings.exists()


def test_reports_that_wait_are_written_without_being_asked(images: Path, tmp_path: Path) -> None:
    place = f"sqlite:///{tmp_path}/trials.db"
    study = Study.create(StudyFolder(tmp_path / "toy"), toy_settings(toy_space(images), place))
    number = study.ask(study.space).number
    keeper = study._storage
    assert isinstance(keeper, DatabaseKeeper)

    study.report(number, report(2, 0.5))
    timer = keeper._timer
    assert timer is not None
    timer.join()

    assert Study.open(study.folder).record(number).reports == (report(2, 0.5),)


def test_password_is_nowhere_in_the_study(
    postgres: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv(VARIABLE, postgres.replace("@", f":{PASSWORD}@"))
    name = f"toy-{uuid.uuid4().hex[:8]}"
    options = SearchOptions(database=default_database())
    settings = replace(toy_settings(toy_space(images)), database=options.database)

    study = Study.create(StudyFolder(tmp_path / name), settings)
    study.fail(study.ask(study.space).number, "it had to")

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert study.folder.settings in files
    assert not any(PASSWORD.encode() in path.read_bytes() for path in files)
    assert PASSWORD not in repr(options) + repr(study.settings)
    assert opened_url(settings.database).password == PASSWORD
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(
        StudyError, match=f"cannot be used: .*password is read from {VARIABLE}"
    ) as no:
        Study.open(study.folder)
    assert PASSWORD not in str(no.value)


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("postgresql://me:secret@host/db", "database must hold no password, got postgresql"),
        ("mysql://me@host/db?password=secret", "database must hold no password"),
        ("sqlite://", "database must be a file"),
        ("postgresql://host", "database must have a name"),
        ("redis://host/0", "database must be journal or a URL of sqlite://"),
        ("journals", "database must be journal or a URL of"),
    ],
)
def test_storage_that_cannot_be_used_is_refused(storage: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        SearchOptions(database=storage)
    assert "secret" not in str(refused.value)


def test_storage_is_kept_so_that_it_can_be_opened_from_anywhere(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checked_database("sqlite:///runs.db") == f"sqlite:///{workplace}/runs.db"
    assert checked_database("postgres://me@host/db") == "postgresql+psycopg://me@host/db"
    assert checked_database("mysql://me@host/db") == "mysql+pymysql://me@host/db"
    monkeypatch.delenv(VARIABLE, raising=False)
    assert default_database() == JOURNAL
    assert toy_options(2).database == JOURNAL
