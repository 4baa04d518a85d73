"""What the doctor finds, and that every failure comes with a fix."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import tripletune

from tripletune.cluster import RaySession
from tripletune.cluster.doctor import (
    Finding,
    check_cluster,
    check_here,
    compare,
    facts_of_here,
)
from tripletune.cluster.storage import Storage


def by_question(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.question: finding for finding in findings}


def test_node_of_another_version_is_named_with_both_versions() -> None:
    here = facts_of_here()
    there = replace(here, python="3.9.1", packages={**here.packages, "torch": "1.0", "optuna": ""})

    found = by_question(list(compare("10.0.0.2", there, here, asked=(here.now, here.now))))

    versions = found["versions"]
    assert versions.status == "failed"
    assert f"python 3.9.1 (driver: {here.python})" in versions.answer
    assert f"torch 1.0 (driver: {here.packages['torch']})" in versions.answer
    assert f"optuna missing (driver: {here.packages['optuna']})" in versions.answer
    assert "one image" in versions.fix


@pytest.mark.parametrize(
    ("offset", "status"), [(0.0, "ok"), (60.0, "warning"), (-60.0, "warning")]
)
def test_clock_that_is_off_is_told(offset: int, status: str) -> None:
    here = facts_of_here()
    there = replace(here, now=here.now + offset)

    found = by_question(list(compare("x", there, here, asked=(here.now - 1, here.now + 1))))

    assert found["clock"].status == status


@pytest.mark.parametrize(
    ("environment", "problem", "answer"),
    [
        ({"WANDB_API_KEY": "k"}, None, "api.wandb.ai answers, a key is there"),
        ({"WANDB_API_KEY": "k"}, "no route", "cannot be reached (no route)"),
        ({}, None, "no key: runs are kept offline"),
    ],
)
def test_wandb_out_of_reach_is_a_warning_that_names_the_way_out(
    environment: dict[str, str],
    problem: str | None,
    answer: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # without a .netrc of somebody's

    found = by_question(
        list(check_here(environment, storage=None, reach=lambda host, port: problem))
    )

    assert answer in found["W&B"].answer
    assert bool(found["W&B"].fix) == (found["W&B"].status != "ok")


@pytest.mark.ray
def test_node_that_is_this_machine_agrees_with_it(ray_session: RaySession, tmp_path: Path) -> None:
    found = list(check_cluster(storage=Storage("file", str(tmp_path))))
    answers = by_question(found)

    assert answers["versions"].status == "ok"
    assert answers["clock"].status == "ok"
    assert answers["storage"].status == "ok"
    assert {"first task", "GPUs", "object store", "disk", "memory"} <= set(answers)
    assert all(finding.fix for finding in found if finding.status != "ok")


def test_command_prints_json_and_fails_where_nothing_answers(tmp_path: Path) -> None:
    here = tripletune("doctor", "--json", "--storage", f"file://{tmp_path}", cwd=tmp_path)
    gone = tripletune("doctor", "--address", "127.0.0.1:1", cwd=tmp_path)

    found = json.loads(here.stdout)
    assert here.returncode == 0, here.stderr
    assert {row["question"] for row in found} >= {"packages", "disk", "W&B", "storage"}
    assert gone.returncode == 1
    assert "no Ray cluster can be reached at address 127.0.0.1:1" in gone.stderr
