"""What W&B holds of a study: completed from the study, compared with it, on a stand-in server."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command_line import tripletune
from toy_study import toy_study, write_export
from wandb_stand_in import KEY, StandIn, hide_account, stand_in

from tripletune.search.study import Study
from tripletune.search.trackers.run_identity import RunIdentity
from tripletune.search.trackers.server_runs import WandbError
from tripletune.search.trackers.sync import Synced, sync
from tripletune.search.trackers.verify import Verdict, verify_files, verify_server

PROJECT = "models"


@dataclass
class Place:
    """A study of six trials, and a server that holds it."""

    study: Study
    server: StandIn
    synced: Synced

    def run_id(self, last: str) -> str:
        identity = RunIdentity.of(self.study.name, self.study.folder.path)
        return f"{identity.prefix}-{last}"

    def verdict(self) -> Verdict:
        return verify_server(self.study, PROJECT)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    import wandb

    folder = tmp_path_factory.mktemp("sync")
    study = toy_study(folder / "runs" / "toy", wandb_project=PROJECT)
    write_export(study)
    with pytest.MonkeyPatch.context() as patch, stand_in() as server:
        hide_account(patch, folder)
        for name, value in server.environment().items():
            patch.setenv(name, value)
        yield Place(study, server, sync(study, PROJECT))
    wandb.teardown()


def test_one_run_per_trial_and_one_for_the_study_arrive(place: Place) -> None:
    assert len(place.synced.uploaded) == 7
    assert place.synced.failures == {}
    runs = place.server.received()
    assert sorted(runs) == ["0000", "0001", "0002", "0003", "0004", "0005", "study"]
    states = {name: run["summary"].get("state") for name, run in runs.items()}
    assert list(states.values())[:6] == [
        "complete",
        "pruned",
        "failed",
        "pruned",
        "complete",
        "interrupted",
    ]
    assert runs["0002"]["summary"]["failure"] == "loss is NaN at step 7"
    assert runs["0003"]["summary"]["collapse"] == "all embeddings in one place"
    assert [row["attempt"] for row in runs["0004"]["history"].values()] == [1, 2]
    assert runs["0000"]["history"]["0"]["system/memory_bytes"] == 4 * 10**8
    assert {run["groupName"] for run in runs.values()} == {"toy"}
    assert place.verdict().problems == {}
    assert (place.verdict().num_runs, place.verdict().num_rows) == (7, 11)


def test_study_run_has_leaderboard_plots_model_and_its_data(place: Place) -> None:
    everything = place.server.everything()
    run = place.server.received()["study"]
    assert run["summary"]["best_trial"] == 4
    (table,) = (
        json.loads(content)
        for name, content in everything["files"].items()
        if name.startswith(run["id"]) and "/leaderboard_" in name
    )
    assert [row[table["columns"].index("trial")] for row in table["data"]][:2] == [4, 5]
    names = set(json.loads(run["config"])["_wandb"]["value"]["visualize"])
    assert names == {"curves", "accuracy_by_seconds"}
    artifacts = {each["name"]: each for each in everything["artifacts"].values()}
    model = artifacts["toy-model"]
    assert "best" in model["aliases"]
    assert model["state"] == "COMMITTED"
    assert json.loads(model["metadata"])["trial"] == 4
    assert run["used_artifacts"] == ["data-f1f1f1f1f1f1f1f1:v0"]
    data = json.loads(artifacts["data-f1f1f1f1f1f1f1f1"]["metadata"])
    assert data["fingerprint"] == "f1" * 32


def test_second_sync_uploads_nothing(place: Place) -> None:
    assert sync(place.study, PROJECT).uploaded == ()


PLANTED: dict[str, tuple[dict[str, Any], str]] = {
    "0000": (
        {"row": 6, "values": {"one_shot_accuracy": 0.99}},
        "step 6 one_shot_accuracy is 0.99, not 0.56",
    ),
    "0001": ({"summary": {"state": "complete"}}, "summary state is 'complete', not 'pruned'"),
    "0002": ({"fields": {"tags": ["mine"]}}, "tags are ['mine'], not "),
    "0003": ({"fields": {"is_finished": False}}, "was not finished"),
    "0004": ({"remove_row": 18}, "lacks 1 of 2 reports: step 18"),
    "0005": ({"remove": True}, "is missing"),
    "study": (
        {"artifact": "toy-model", "aliases": ["latest"]},
        "there is no artifact toy-model with the alias best",
    ),
}


def test_planted_differences_are_found_and_sync_mends_what_can_be_mended(place: Place) -> None:
    for last, (change, _) in PLANTED.items():
        place.server.change(run=place.run_id(last), **change)

    problems = place.verdict().problems

    assert len(problems) == len(PLANTED)
    for last, (_, problem) in PLANTED.items():
        (line,) = problems[place.run_id(last)]
        assert line.startswith(problem)
    synced = sync(place.study, PROJECT)
    assert len(synced.uploaded) == len(PLANTED)
    # W&B's history can be added to, not changed.
    assert list(place.verdict().problems) == [place.run_id("0000")]


def test_row_missing_in_the_middle_comes_with_new_run_ids(place: Place) -> None:
    place.server.change(run=place.run_id("0000"), remove_row=6)
    assert "lacks 1 of 3 reports: step 6" in str(place.verdict().problems)

    synced = sync(place.study, PROJECT, is_new=True)

    assert len(synced.uploaded) == 7
    assert place.verdict().problems == {}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("refuse", "no connection to 127.0.0.1:"), ("key", "W&B could not be asked")],
)
def test_server_that_is_down_or_refuses_the_key_is_one_message_without_the_key(
    place: Place, fault: Any, reason: str
) -> None:
    place.server.fault(fault)
    try:
        with pytest.raises(WandbError, match=reason) as raised:
            sync(place.study, PROJECT)
    finally:
        place.server.fault("none")
    assert KEY not in str(raised.value)


def test_without_a_login_the_message_says_what_to_do(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wandb

    monkeypatch.delenv("WANDB_API_KEY")
    wandb.teardown()  # it read the key
    with pytest.raises(WandbError, match="run `wandb login`, or set WANDB_API_KEY"):
        verify_server(place.study, PROJECT)


def test_commands_print_the_differences_and_exit_1(place: Place) -> None:
    runs = place.study.folder.path.parent
    place.server.change(run=place.run_id("0000"), summary={"attempts": 7})

    found = tripletune("wandb", "verify", "toy", "--runs", runs, cwd=runs, **environment(place))

    assert found.returncode == 1
    assert found.stdout.splitlines() == [
        f"{place.run_id('0000')}: summary attempts is 7, not 1",
        "the server of W&B and the study differ in 1 places",
    ]
    mended = tripletune(
        "wandb", "sync", "toy", "--runs", runs, "--json", cwd=runs, **environment(place)
    )
    assert mended.returncode == 0, mended.stderr
    content = json.loads(mended.stdout)
    assert content["uploaded"] == [place.run_id("0000")]
    assert content["verdict"]["equal"] is True
    assert KEY not in found.stdout + found.stderr + mended.stdout + mended.stderr


def test_workspace_is_saved_with_the_panels_and_the_runs_of_the_study(place: Place) -> None:
    runs = place.study.folder.path.parent

    done = tripletune("wandb", "workspace", "toy", "--runs", runs, cwd=runs, **environment(place))

    assert done.returncode == 0, done.stderr
    assert KEY not in done.stdout + done.stderr
    assert "nw=" in done.stdout
    (view,) = place.server.everything()["views"].values()
    assert (view["displayName"], view["projectName"]) == ("toy", PROJECT)
    spec = json.loads(view["spec"])["section"]
    (section,) = spec["panelBankConfig"]["sections"]
    assert [panel["viewType"] for panel in section["panels"]] == [
        "Run History Line Plot",
        "Parallel Coordinates Plot",
        "Parameter Importance",
        "Scatter Plot",
        "Run Comparer",
    ]
    columns = [column["accessor"] for column in section["panels"][1]["config"]["columns"]]
    assert "config:optimizer.value.learning_rate" in columns
    assert "config:budget.value.steps" not in columns  # the same in all trials
    filters = {
        each["key"]["name"]: each["value"] for each in spec["runSets"][0]["filters"]["filters"]
    }
    assert filters == {"group": "toy", "jobType": "trial"}


def environment(place: Place) -> dict[str, str]:
    folder = place.study.folder.path.parent.parent
    return place.server.environment() | {
        f"WANDB_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "CACHE", "DATA")
    }


def test_study_that_was_never_logged_says_so(tmp_path: Path) -> None:
    study = toy_study(tmp_path / "runs" / "toy")
    assert "was never logged to W&B" in str(verify_files(study).problems)
