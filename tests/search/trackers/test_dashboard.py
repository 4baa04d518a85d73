"""optuna-dashboard, the real one on loopback, shows what a study holds."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from reports import report
from toy_study import toy_study

from tripletune.search.study import Study
from tripletune.search.trackers import DashboardNotes
from tripletune.search.trackers.dashboard import write_notes
from tripletune.search.trackers.run_identity import URL_FILE, RunIdentity

LONG_S = 120.0

# As `optuna-dashboard FILE`, but on a port that is free for certain.
SERVE = """
import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna_dashboard import wsgi
app = wsgi(JournalStorage(JournalFileBackend(sys.argv[1])))
with make_server("127.0.0.1", 0, app) as server:
    print(server.server_port, flush=True)
    server.serve_forever()
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    made = toy_study(tmp_path_factory.mktemp("dashboard") / "toy")
    notes = DashboardNotes(made)
    RunIdentity.of(made.name, made.folder.path)
    notes.trial_started(made.record(5))
    notes.trial_reported(5, 1, report(6, 0.2, is_collapsed=True))
    (made.folder.path / URL_FILE).write_text("https://wandb.example.org/team/models")
    write_notes(made)
    return made


@pytest.fixture(scope="module")
def shown(study: Study) -> Iterator[dict[str, Any]]:
    """The study as the dashboard's pages get it."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(study.folder.journal)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        address = f"http://127.0.0.1:{int(process.stdout.readline())}/api/studies"
        (summary,) = fetch(address)["study_summaries"]
        yield summary | fetch(f"{address}/{summary['study_id']}")
    finally:
        process.kill()
        process.communicate()


def fetch(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(address, timeout=LONG_S) as answer:
        return dict(json.load(answer))


def test_dashboard_shows_names_and_values(shown: dict[str, Any]) -> None:
    assert shown["study_name"] == "toy"
    assert shown["objective_names"] == ["one_shot_accuracy"]
    trials = {trial["number"]: trial for trial in shown["trials"]}
    states = [trials[number]["state"] for number in range(6)]
    assert states == ["Complete", "Pruned", "Fail", "Pruned", "Complete", "Running"]
    assert trials[4]["values"] == [0.9]
    assert [each["step"] for each in trials[0]["intermediate_values"]] == [2, 6, 18]
    attributes = {each["key"]: each["value"] for each in trials[5]["user_attrs"]}
    assert attributes["name"].strip('"').startswith("0005 ")
    assert attributes["wandb"].strip('"').endswith("-0005")


def test_dashboard_shows_collapse_as_a_broken_constraint(shown: dict[str, Any]) -> None:
    attributes = {
        trial["number"]: {each["key"]: each["value"] for each in trial["user_attrs"]}
        for trial in shown["trials"]
    }
    assert attributes[5]["constraint collapsed"].strip('"') == "1.0: infeasible"
    assert "constraint collapsed" not in attributes[0]
    (note,) = (trial["note"]["body"] for trial in shown["trials"] if trial["number"] == 3)
    assert "constraint `collapsed`: 1.0" in note


def test_dashboard_shows_link_recipe_and_failure_in_notes(
    shown: dict[str, Any], study: Study
) -> None:
    notes = {trial["number"]: trial["note"]["body"] for trial in shown["trials"]}
    run = RunIdentity.of(study.name, study.folder.path).trial(2)
    assert f"[run in W&B](https://wandb.example.org/team/models/runs/{run})" in notes[2]
    assert "trial 2 failed at step 6: loss is NaN at step 7" in notes[2]
    assert "learning_rate:" in notes[2]
    assert "all embeddings in one place" in notes[3]
    assert notes[5] == ""  # still running
    assert "best: trial 4" in shown["note"]["body"]


def test_shorter_note_leaves_nothing_of_a_longer_one(tmp_path: Path) -> None:
    from optuna_dashboard import get_note

    study = toy_study(tmp_path / "toy")
    study.write_note("long " * 2000)
    assert get_note(study._study) == "long " * 2000
    study.write_note("short")
    assert get_note(study._study) == "short"
