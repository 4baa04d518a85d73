"""A driver that is killed again and again: nothing is lost, nothing counts twice.

The drivers are real processes on a Ray that outlives them, their trials real actors that train
nothing, so that a life costs seconds. A kill comes a random time after a random report.
"""

import os
import random
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from postgres import binaries
from toy_driver import Driver, Life

from tripletune.cluster import RaySession
from tripletune.search.database_url import JOURNAL
from tripletune.search.folder import StudyFolder
from tripletune.search.options import SearchOptions
from tripletune.search.records import TrialRecord
from tripletune.search.study import Study

pytestmark = [pytest.mark.ray, pytest.mark.slow]

TRIALS = 40
KILLS = 20
STEPS = tuple(range(2, 20, 2))
STORAGES = ("journal", "sqlite", "postgres")


def life_of(name: str, folder: Path, storage: str, session: RaySession) -> Life:
    """A driver of the study of that name, with one worker and a fixed seed."""
    passed = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "PGPASSWORD")
    return Life(
        folder / name,
        SearchOptions(trials=TRIALS, concurrency=1, wandb="off", database=storage, seed=3),
        session.address,
        {key: os.environ[key] for key in passed if key in os.environ},
    )


def killed_and_resumed(life: Life, moments: random.Random) -> StudyFolder:
    """Run a search to its end, killing its driver on the way."""
    reports_a_life = TRIALS * 4 // KILLS  # a search reports about 170 times
    for _ in range(KILLS):
        driver = Driver(life)
        for _ in range(moments.randint(1, reports_a_life)):
            driver.wait_for(lambda line: line.startswith("report"))
        threading.Event().wait(moments.random() * 0.05)
        driver.kill()
    driver = Driver(life)
    assert driver.finish() == 0
    assert driver.lines[-1] == "over None"
    return StudyFolder(life.folder)


@pytest.fixture(scope="module")
def studies(
    ray_session: RaySession,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> dict[str, Study]:
    """A search killed `KILLS` times in each storage, all at the same time."""
    folder = tmp_path_factory.mktemp("killed")
    places = {JOURNAL: JOURNAL, "sqlite": f"sqlite:///{folder}/trials.db"}
    if binaries() is not None:
        places["postgres"] = request.getfixturevalue("postgres")
    lives = {
        name: life_of(f"killed-{name}", folder, place, ray_session)
        for name, place in places.items()
    }
    with ThreadPoolExecutor() as threads:
        done = {
            name: threads.submit(killed_and_resumed, life, random.Random(name))
            for name, life in lives.items()
        }
        return {name: Study.open(future.result()) for name, future in done.items()}


@pytest.fixture(scope="module")
def expected(
    ray_session: RaySession, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrialRecord, ...]:
    """The trials of the same search whose driver was left alone."""
    life = life_of("whole", tmp_path_factory.mktemp("whole"), JOURNAL, ray_session)
    assert Driver(life).finish() == 0
    return Study.open(StudyFolder(life.folder)).records()


def curve(record: TrialRecord) -> list[tuple[int, float]]:
    """Steps and scores."""
    return [(report.step, report.one_shot_accuracy) for report in record.reports]


@pytest.mark.parametrize("storage", STORAGES)
def test_killed_search_is_the_same_search(
    storage: str, studies: dict[str, Study], expected: tuple[TrialRecord, ...]
) -> None:
    """Same suggestions in the same order, none lost, none twice, each with its whole curve."""
    if storage not in studies:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    records = studies[storage].records()

    assert [record.number for record in records] == list(range(TRIALS))
    assert [record.recipe for record in records] == [record.recipe for record in expected]
    assert [record.state for record in records] == [record.state for record in expected]
    assert [curve(record) for record in records] == [curve(record) for record in expected]
    assert {record.state for record in records} == {"complete", "pruned"}
    # The kills hit: several trials were begun more than once, and went on.
    assert sum(record.attempts for record in records) > TRIALS + KILLS // 4


@pytest.mark.parametrize("storage", STORAGES)
def test_optuna_counts_every_trial_once(storage: str, studies: dict[str, Study]) -> None:
    if storage not in studies:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    study = studies[storage]

    trials = study.optuna_trials()

    assert len(trials) == TRIALS
    for trial, record in zip(trials, study.records(), strict=True):
        assert trial.intermediate_values == dict(curve(record))
        assert trial.state.name == record.state.upper()


def test_sigterm_ends_in_order_with_a_checkpoint_of_the_last_report(
    ray_session: RaySession, tmp_path: Path
) -> None:
    life = life_of("stopped", tmp_path, JOURNAL, ray_session)
    life = replace(life, options=replace(life.options, scheduler="none", trials=4))
    driver = Driver(life)
    driver.wait_for(lambda line: line.startswith("report 1"))
    assert driver.process.pid is not None
    os.kill(driver.process.pid, signal.SIGTERM)

    assert driver.finish() == 0

    assert driver.lines[-1] == "over SIGTERM"
    study = Study.open(StudyFolder(life.folder))
    cut = [record for record in study.records() if record.state == "running"]
    for record in cut:
        assert record.last_report is not None
        assert record.checkpoint is not None
        assert record.checkpoint.step == record.last_report.step
    resumed = Driver(life)
    assert resumed.finish() == 0
    assert {record.state for record in Study.open(study.folder).records()} == {"complete"}
