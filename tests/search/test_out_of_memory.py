"""A trial that finds no memory is tried again; that is not held against it."""

import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_search import toy_options, toy_space

from tripletune.cluster import GpuMemory, plan_slots
from tripletune.cluster.packing import MAX_TRIES_WITHOUT_MEMORY
from tripletune.search import probe, ray_trial, tuning
from tripletune.search.datasets import load_study_data
from tripletune.search.options import SearchOptions, gpus_of
from tripletune.search.probe import plan_trials
from tripletune.search.ray_trial import NUMBER, RayTrial
from tripletune.search.runner import run_search
from tripletune.search.study import Study

pytestmark = pytest.mark.usefixtures("travels_by_value")

ONCE, LATE, ALWAYS, HEALTHY = range(4)


def _starving(folder: Path) -> type[RayTrial]:
    """Trials that run out of memory: at once, after three reports, or whenever they try."""

    class Starving(RayTrial):
        checkpoint_share = math.inf  # after every report

        def _begin(self, config: dict[str, Any]) -> None:
            super()._begin(config)
            assert self._trial is not None
            with (folder / f"{config[NUMBER]}-begins").open("a") as file:
                file.write(f"{self._trial.step}\n")

        def step(self) -> dict[str, Any]:
            number, trial = self._config[NUMBER], self._trial
            assert trial is not None
            is_due = {ONCE: trial.step == 0, LATE: trial.step == 6, ALWAYS: True}.get(number)
            if is_due and (number == ALWAYS or not (folder / str(number)).exists()):
                with (folder / str(number)).open("a") as file:
                    file.write(f"{trial.step}\n")
                vars(trial)["train_to_report"] = _starve
            return super().step()

    return Starving


def _starve() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


@pytest.fixture(scope="module")
def study(
    ray_session: object, images: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Study, Path]]:
    folder = tmp_path_factory.mktemp("tries")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray_trial, "RayTrial", _starving(folder))
        # No process may be lost: a retry must not be charged to that budget.
        patch.setattr(tuning, "MAX_LOST_PROCESSES", 1)
        yield (
            run_search(
                toy_space(images),
                toy_options(4, scheduler="none"),
                name="starving",
                runs=tmp_path_factory.mktemp("runs"),
            ),
            folder,
        )


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize(("number", "attempts"), [(ONCE, 2), (LATE, 2), (HEALTHY, 1)])
def test_a_trial_that_ran_out_of_memory_is_tried_again_and_completes(
    study: tuple[Study, Path], number: int, attempts: int
) -> None:
    record = study[0].record(number)
    assert (record.state, record.attempts, record.failure) == ("complete", attempts, None)
    assert [report.step for report in record.reports] == list(range(2, 20, 2))


@pytest.mark.ray
@pytest.mark.slow
def test_it_goes_on_from_its_last_checkpoint(study: tuple[Study, Path]) -> None:
    # Tune may start one process more than it needs, whose trial begins too and is thrown away.
    assert "6" in (study[1] / f"{LATE}-begins").read_text().split()
    (newest,) = study[0].folder.checkpoints(LATE)  # a trial that is over keeps its last one
    assert newest.parent.parent.name == "trial_00001-retry1"
    assert torch.load(newest, weights_only=True)["step"] == 18


@pytest.mark.ray
@pytest.mark.slow
def test_a_trial_that_never_finds_memory_fails_with_its_reason(
    study: tuple[Study, Path],
) -> None:
    record = study[0].record(ALWAYS)
    assert (record.state, record.attempts) == ("failed", MAX_TRIES_WITHOUT_MEMORY)
    assert record.failure is not None
    assert record.failure.startswith("OutOfMemoryError: CUDA out of memory.")
    assert (study[1] / str(ALWAYS)).read_text().split() == ["0"] * MAX_TRIES_WITHOUT_MEMORY


NODES = [{"CPU": 16.0, "GPU": 1.0}]


def test_auto_packs_by_what_the_first_recipe_was_measured_to_need(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = toy_space(images)
    data = load_study_data(space, lambda line: None)
    memory = GpuMemory(10 * 2**30, 2**29, 80 * 2**30)
    monkeypatch.setattr(probe, "probe_memory", lambda recipe, data, is_one_machine: memory)
    said: list[str] = []
    options = SearchOptions(gpus_per_trial="auto")
    plan, packing = plan_trials(NODES, options, space, data, said.append)
    assert (plan.concurrency, plan.resources.gpus, plan.resources.cpus) == (6, 0.1666, 2)
    assert packing.gpus("any") == 0.1666
    assert said == ["measuring the memory of a trial on a GPU"]


def test_auto_without_a_gpu_measures_nothing(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "probe_memory", None)  # a call would raise
    space = toy_space(images)
    data = load_study_data(space, lambda line: None)
    nodes = [{"CPU": 2.0}]
    options = SearchOptions(gpus_per_trial="auto")
    plan, packing = plan_trials(nodes, options, space, data, logging.info)
    assert plan == plan_slots(nodes, gpus_per_trial=0.0)
    assert packing.gpus("any") == 0.0


@pytest.mark.parametrize(("text", "value"), [(None, None), ("auto", "auto"), ("0.25", 0.25)])
def test_gpus_are_a_number_or_auto(text: str | None, value: object) -> None:
    assert gpus_of(text) == value


def test_other_gpus_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be a number such as 0\.25, or auto, got .many."):
        gpus_of("many")
