"""A whole search on Ray: what it records, what it exports, and what it survives."""

import io
import json
import math
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest
import ray
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from rich.console import Console
from toy_search import toy_options, toy_space

import tripletune
from tripletune.search import ray_trial, stop_request, tuning
from tripletune.search.folder import StudyError, StudyFolder
from tripletune.search.live import LiveTable
from tripletune.search.ray_trial import NUMBER, RECIPE, RayTrial
from tripletune.search.runner import SearchInterrupted, resume, run_search
from tripletune.search.study import Study
from tripletune.spaces import recipe_from_yaml
from tripletune.trainables import prepare
from tripletune.trainables.data import load_trial_data
from tripletune.trainables.device import default_device
from tripletune.trainables.episodes import score_episodes
from tripletune.trainables.evaluation import mean_with_interval

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.usefixtures("ray_session", "travels_by_value"),
]

TRIALS = 8


@pytest.fixture(scope="module")
def study(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A search that ran to its end."""
    runs = tmp_path_factory.mktemp("runs")
    options = toy_options(TRIALS, stratify="objective.loss.name")
    return run_search(toy_space(images), options, name="toy", runs=runs)


def test_every_trial_ends_and_keeps_its_curve(study: Study) -> None:
    records = study.records()

    assert [record.number for record in records] == list(range(TRIALS))
    assert {record.state for record in records} == {"complete", "pruned"}
    for record in records:
        steps = [report.step for report in record.reports]
        assert steps == list(range(2, steps[-1] + 1, 2))
        assert record.state == "pruned" or steps[-1] == 18
        assert record.attempts == 1


def test_scores_of_the_episodes_are_kept_and_average_to_the_report(study: Study) -> None:
    for record in study.records():
        rungs = [report for report in record.reports if report.step in (2, 6, 18)]
        for report in [*rungs, record.reports[-1]]:
            scores = study.episode_scores(record.number, report.step)
            assert scores is not None
            assert scores.shape == (60,)
            assert scores.mean() == pytest.approx(report.one_shot_accuracy, abs=1e-6)
        assert study.episode_scores(record.number, 4) is None
        newest = study.episode_scores(record.number)
        assert newest is not None
        assert newest.mean() == pytest.approx(record.reports[-1].one_shot_accuracy, abs=1e-6)


def test_stopped_trials_say_behind_whom_they_were(study: Study) -> None:
    lines = [json.loads(line) for line in study.folder.decisions.read_text().splitlines()]

    stopped = {record.number for record in study.records() if record.state == "pruned"}
    assert {line["trial"] for line in lines} == stopped
    pattern = r"at step (2|6) behind trial \d+, the last that goes on there, by 0.\d{4} ±0.\d{4} "
    for line in lines:
        assert re.match(pattern + r"on (60|240) episodes$", line["stopped"])
        assert line["step"] == study.record(line["trial"]).reports[-1].step


def test_families_get_their_share_from_the_first_trials_on(study: Study) -> None:
    first, second = study.records()[:2]

    assert (first.recipe.objective.loss.name, second.recipe.objective.loss.name) == (
        "triplet",
        "supcon",
    )


def test_optuna_opens_the_storage(study: Study) -> None:
    trials = optuna.load_study(
        study_name="toy", storage=JournalStorage(JournalFileBackend(str(study.folder.journal)))
    ).trials

    for trial, record in zip(trials, study.records(), strict=True):
        last = record.reports[-1]
        assert trial.state == getattr(TrialState, record.state.upper())
        assert trial.intermediate_values == {
            report.step: report.one_shot_accuracy for report in record.reports
        }
        assert trial.value == last.one_shot_accuracy
        assert trial.user_attrs["recipe"] == record.recipe.to_dict()


def test_leaderboard_has_the_shape_that_scripts_read(study: Study) -> None:
    board = study.leaderboard().to_json()

    assert list(board) == ["study", "metric", "trials", "baselines", "optimism", "confirmed"]
    assert (board["study"], board["metric"]) == ("toy", "one_shot_accuracy")
    assert [row["place"] for row in board["trials"]] == list(range(1, TRIALS + 1))
    ranks = [row["rank"] for row in board["trials"]]
    assert ranks == sorted(ranks)
    assert ranks[0] == 1
    assert board["optimism"]["best_of"] == TRIALS
    assert 0 <= board["optimism"]["expected"] < 0.1
    best = board["trials"][0]
    keys = {"rank", "trial", "state", "recipe", "one_shot_accuracy", "interval", "steps"}
    assert keys | {"seconds"} <= best.keys()
    low, high = best["interval"]
    assert low <= best["one_shot_accuracy"] <= high
    assert low < high
    assert 0 < board["baselines"]["pixel_1nn"]["one_shot_accuracy"] <= 1
    assert study.folder.leaderboard.read_text().count("\n") == TRIALS + 1


def test_best_is_the_trained_model_with_a_score_that_can_be_measured_again(study: Study) -> None:
    best = study.leaderboard().best
    assert best is not None
    embedder = tripletune.load(study.folder.best)
    data = load_trial_data(embedder.recipe.data)
    prepared = prepare(data, embedder.recipe.evaluation, default_device())

    paths = sorted(Path(str(embedder.recipe.data.path)).glob("*/*.png"))
    validation = [path for path in paths if path.parent.name in data.validation.classes]
    embeddings = torch.from_numpy(embedder.embed(validation))
    score = mean_with_interval(score_episodes(embeddings, prepared.episodes))

    assert embeddings.shape == (len(data.validation.labels), best.recipe.encoder.embedding_dim)
    np.testing.assert_allclose(embeddings.norm(dim=1), 1.0, rtol=1e-5)
    recorded = embedder.scores["selection"]["one_shot_accuracy"]
    assert recorded == best.reports[-1].one_shot_accuracy
    assert score.one_shot_accuracy == pytest.approx(recorded, abs=1e-6)
    assert embedder.scores["data_fingerprint"] == data.fingerprint
    assert embedder.scores["split_hash"] == data.split_digest
    assert embedder.scores["episodes_hash"] == prepared.episodes.digest
    assert (embedder.scores["study"], embedder.scores["trial"]) == ("toy", best.number)


def test_checkpoint_of_the_best_is_that_of_its_last_step(study: Study) -> None:
    best = study.leaderboard().best
    assert best is not None

    newest, *_ = study.folder.checkpoints(best.number)

    assert torch.load(newest, weights_only=True)["step"] == best.recipe.budget.steps == 18


def test_recipe_of_the_best_says_what_it_was_trained_with(study: Study) -> None:
    text = (study.folder.best / "recipe.yaml").read_text()

    compute = recipe_from_yaml(text, origin="recipe.yaml").compute

    assert (compute.precision, compute.threads) == ("fp32", 1)


def test_more_trials_go_on_from_the_finished_ones(
    study: Study, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = study.records()
    monkeypatch.setattr(ray_trial, "RayTrial", _watched(tmp_path))

    resume(study, toy_options(TRIALS + 6, scheduler="none"))

    records = study.records()
    assert records[:TRIALS] == before
    assert [record.state for record in records[TRIALS:]] == ["complete"] * 6
    assert {record.attempts for record in records} == {1}
    served = [path.name.split("-") for path in tmp_path.iterdir()]
    assert {int(number) for number, _ in served} == set(range(TRIALS, TRIALS + 6))
    assert len({process for _, process in served}) <= 2  # actors stay warm


def test_search_with_nothing_left_to_do_ends_as_it_was(study: Study) -> None:
    before = study.records()

    resume(study, toy_options(len(before)))

    assert study.records() == before


def test_start_that_finds_no_cluster_changes_nothing(study: Study) -> None:
    before = study.folder.settings.read_text()

    with pytest.raises(RuntimeError, match=r"is connected to Ray at .* not at address='10\.0"):
        resume(study, toy_options(99, address="10.0.0.1:6379"))

    assert study.folder.settings.read_text() == before


def _watched(folder: Path) -> type[RayTrial]:
    class Watched(RayTrial):
        def save_checkpoint(self, checkpoint_dir: str) -> None:
            super().save_checkpoint(checkpoint_dir)
            (folder / f"{self._config[NUMBER]}-{os.getpid()}").touch()

    return Watched


NAN, CRASH, MISFIT, KILLED_ONCE, KILLED_ALWAYS, COLLAPSE, HEALTHY = range(7)


def _faulty(folder: Path) -> type[RayTrial]:
    """Trials that go wrong by their number, after their first report."""

    class Faulty(RayTrial):
        checkpoint_share = math.inf  # after every report

        def step(self) -> dict[str, Any]:
            number, trial = self._config[NUMBER], self._trial
            if trial is not None and number == COLLAPSE:
                _fill(trial.training_encoder, 0.0)
            if trial is not None and trial.step > 0:
                if number == NAN:
                    _fill(trial.training_encoder, float("nan"))
                if number == CRASH:
                    return _with(trial, "train_to_report", _crash, super().step)
                if number == KILLED_ALWAYS:
                    os.kill(os.getpid(), signal.SIGKILL)
                if number == KILLED_ONCE and not (folder / "killed").exists():
                    (folder / "killed").touch()
                    os.kill(os.getpid(), signal.SIGKILL)
            return super().step()

        def _begin(self, config: dict[str, Any]) -> None:
            if config[NUMBER] == MISFIT:
                batch = {**config[RECIPE]["batch"], "classes": 99}
                config = {**config, RECIPE: {**config[RECIPE], "batch": batch}}
            super()._begin(config)

    return Faulty


def _fill(encoder: torch.nn.Module, value: float) -> None:
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.fill_(value)


def _with(trial: object, name: str, fault: object, step: Any) -> dict[str, Any]:
    vars(trial)[name] = fault
    result: dict[str, Any] = step()
    return result


def _crash() -> None:
    raise IndexError("a bug of the trial\nin two lines")


@pytest.fixture(scope="module")
def faulty_study(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A search in which every kind of trial but the last goes wrong."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray_trial, "RayTrial", _faulty(tmp_path_factory.mktemp("faults")))
        patch.setattr(tuning, "MAX_LOST_PROCESSES", 2)
        return run_search(
            toy_space(images),
            toy_options(7, scheduler="none"),
            name="faulty",
            runs=tmp_path_factory.mktemp("runs"),
        )


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (NAN, "FloatingPointError: "),
        (CRASH, "IndexError: a bug of the trial in two lines"),
        (MISFIT, "99"),
        (KILLED_ALWAYS, "its process was lost 2 times"),
    ],
)
def test_failed_trial_says_why_and_the_others_go_on(
    faulty_study: Study, number: int, reason: str
) -> None:
    record = faulty_study.record(number)

    assert record.state == "failed"
    assert record.failure is not None
    assert reason in record.failure
    assert "\n" not in record.failure
    row = next(
        row for row in faulty_study.leaderboard().to_json()["trials"] if row["trial"] == number
    )
    assert (row["state"], row["failure"]) == ("failed", record.failure)
    assert faulty_study.record(HEALTHY).state == "complete"


def test_trial_whose_process_is_killed_goes_on_from_its_checkpoint(faulty_study: Study) -> None:
    record = faulty_study.record(KILLED_ONCE)

    assert (record.state, record.attempts) == ("complete", 2)
    assert [report.step for report in record.reports] == list(range(2, 20, 2))


def test_collapsed_trial_is_stopped_and_infeasible(faulty_study: Study) -> None:
    record = faulty_study.record(COLLAPSE)
    frozen = faulty_study._study.get_trials()[COLLAPSE]

    assert record.state == "pruned"
    assert [report.is_collapsed for report in record.reports] == [False, False, True]
    assert frozen.constraints == {"collapsed": 1.0}
    rows = faulty_study.leaderboard().to_json()["trials"]
    assert [row["trial"] for row in rows if row["collapsed"]] == [COLLAPSE]


def test_best_is_a_healthy_trial(faulty_study: Study) -> None:
    best = faulty_study.leaderboard().best

    assert best is not None
    assert best.number in (HEALTHY, KILLED_ONCE)
    assert (faulty_study.folder.best / "model.safetensors").is_file()


def test_failed_trial_is_not_exported(faulty_study: Study, tmp_path: Path) -> None:
    from tripletune.search.export import export_trial

    with pytest.raises(StudyError, match="trial 0 of study faulty is failed: Floating"):
        export_trial(faulty_study, faulty_study.record(NAN), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_full_disk_is_refused_at_the_start(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StudyFolder, "free_bytes", lambda self: 5 * 2**20)

    with pytest.raises(
        StudyError,
        match=r"the disk is nearly full: 5 MiB left in .*: free some, or choose another",
    ):
        run_search(toy_space(images), toy_options(2), name="full", runs=tmp_path)


def test_disk_that_fills_up_interrupts_the_search_and_loses_nothing(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SimpleNamespace(free=10**9)
    monkeypatch.setattr(StudyFolder, "free_bytes", lambda self: disk.free)
    monkeypatch.setattr(stop_request, "DISK_CHECK_S", 0.0)
    report = Study.report

    def report_and_fill(self: Study, number: int, *arguments: Any, **details: Any) -> bool:
        disk.free = 10**6 if number == 2 else disk.free
        return report(self, number, *arguments, **details)

    monkeypatch.setattr(Study, "report", report_and_fill)
    options = toy_options(4, scheduler="none", concurrency=1)
    with pytest.raises(
        SearchInterrupted, match=r"the disk is nearly full.*tripletune resume full"
    ) as caught:
        run_search(toy_space(images), options, name="full", runs=tmp_path)
    study = caught.value.study
    assert caught.value.exit_status == 1
    states = [record.state for record in study.records()]
    assert states == ["complete", "complete", "running"]
    assert (study.folder.best / "model.safetensors").is_file()
    before = study.records()

    disk.free = 10**9
    monkeypatch.setattr(Study, "report", report)
    resumed = resume(Study.open(study.folder))

    records = resumed.records()
    assert records[:2] == before[:2]
    assert [record.state for record in records] == ["complete"] * 4
    assert [record.attempts for record in records] == [1, 1, 2, 1]
    assert [report.step for report in records[2].reports] == list(range(2, 20, 2))
    assert records[2].reports[: len(before[2].reports)] == before[2].reports


def test_interrupted_search_gives_a_shared_ray_its_processors_back(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work = tmp_path / "at_work"
    at_work.mkdir()
    monkeypatch.setattr(ray_trial, "RayTrial", _endless(at_work))
    monkeypatch.setattr(stop_request, "DISK_CHECK_S", 0.0)
    free = (10**9, 10**9, 10**6)  # by the number of trials at work
    monkeypatch.setattr(StudyFolder, "free_bytes", lambda self: free[len(list(at_work.iterdir()))])

    with pytest.raises(SearchInterrupted):
        run_search(toy_space(images), toy_options(4), name="endless", runs=tmp_path)

    assert ray.is_initialized()
    processes = {int(path.name) for path in at_work.iterdir()}
    assert len(processes) == 2
    _wait_until(lambda: ray.available_resources().get("CPU") == ray.cluster_resources()["CPU"])
    _wait_until(lambda: not any(Path(f"/proc/{process}").exists() for process in processes))


def _endless(folder: Path) -> type[RayTrial]:
    """Trials that never report: nothing but their end ends them."""

    class Endless(RayTrial):
        def step(self) -> dict[str, Any]:
            (folder / str(os.getpid())).touch()
            threading.Event().wait()
            raise AssertionError

    return Endless


def _wait_until(is_so: Callable[[], bool]) -> None:
    """Ray frees what it freed within moments, but tells it later."""
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_time_budget_ends_the_search_as_planned(images: Path, tmp_path: Path) -> None:
    screen = io.StringIO()

    study = run_search(
        toy_space(images, budget__steps=100_000, budget__report_every=20),
        toy_options(2, time_budget_s=0.5),
        name="short",
        runs=tmp_path,
        live=LiveTable(Console(file=screen)),
    )

    assert {record.state for record in study.records()} <= {"running"}
    *_, last = screen.getvalue().splitlines()
    assert last.startswith("stopped: the time budget is used up. Nothing is lost; go on with: ")
    assert "tripletune resume short --runs" in last
