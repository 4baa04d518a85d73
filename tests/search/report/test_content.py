"""A study as the data of its page."""

import json
import math
from pathlib import Path

import numpy as np
import optuna
import pytest
from told_studies import FAILURE, told_study

from tripletune.search.report.content import study_content
from tripletune.search.report.flat import divided, flattened
from tripletune.search.report.importance import LEAST_TRIALS, importances
from tripletune.search.study import Study


def test_every_trial_is_there_whatever_became_of_it(mixed: Study) -> None:
    content = study_content(mixed)
    words = [trial["word"] for trial in content["trials"]]
    assert len(words) == len(mixed.records())
    assert set(words) == {"done", "stopped", "collapsed", "failed", "running"}


def test_trials_stand_in_the_order_and_with_the_ranks_of_the_leaderboard(mixed: Study) -> None:
    rows = mixed.leaderboard().rows
    shown = study_content(mixed)["trials"]
    assert [trial["trial"] for trial in shown] == [row.record.number for row in rows]
    assert [trial["rank"] for trial in shown] == [row.rank for row in rows]


def test_lost_trials_have_their_reason_and_no_rank_that_counts(mixed: Study) -> None:
    for trial in study_content(mixed)["trials"]:
        is_lost = trial["word"] in ("failed", "collapsed")
        assert (trial["note"] is not None) == is_lost
        assert not (is_lost and trial["ranked"])
        if trial["word"] == "failed":
            assert FAILURE in trial["note"]


def test_content_is_strict_json_without_numbers_that_are_none(
    images: Path, tmp_path: Path
) -> None:
    study = told_study(tmp_path / "nan", images, ["done"])
    number = study.ask(study.space).number
    study.start(number)
    from reports import report

    study.report(number, report(2, 0.5, loss=math.nan, images_per_second=math.inf))
    study.fail(number, "loss is NaN")
    content = study_content(study)
    text = json.dumps(content, allow_nan=False)
    trial = next(trial for trial in json.loads(text)["trials"] if trial["trial"] == number)
    assert trial["curve"][0][content["curve_fields"].index("loss")] is None


def test_what_all_recipes_share_is_told_once(mixed: Study) -> None:
    content = study_content(mixed)
    assert content["common"]["encoder.width"] == 8
    assert "optimizer.learning_rate" in content["varying"]
    assert not set(content["common"]) & set(content["varying"])


def test_a_data_path_is_told_by_its_last_part_alone(mixed: Study, images: Path) -> None:
    assert study_content(mixed)["data"]["name"] == images.name


def test_weights_of_the_encoder_grow_with_the_embedding(mixed: Study) -> None:
    sizes = {trial["embedding_dim"]: trial["size"] for trial in study_content(mixed)["trials"]}
    assert sizes[8] < sizes[16]


def test_empty_study_has_content(empty: Study) -> None:
    content = study_content(empty)
    assert content["trials"] == []
    assert content["best"] is None
    assert content["importance"] == []
    assert content["baselines"][0]["name"] == "pixel 1nn"


def test_recipes_are_divided_into_common_and_varying() -> None:
    recipes = [flattened({"a": {"b": 1, "c": 2}}), flattened({"a": {"b": 1, "c": 3, "d": 4}})]
    assert divided(recipes) == ({"a.b": 1}, ["a.c", "a.d"])


def test_importance_finds_the_parameter_that_decides(images: Path, tmp_path: Path) -> None:
    study = told_study(tmp_path / "decides", images, [])
    space = study.space
    from reports import report

    for _ in range(40):
        record = study.ask(space)
        rate = record.recipe.optimizer.learning_rate
        study.start(record.number)
        score = 0.9 - 0.3 * abs(np.log10(rate) + 2.5)
        study.report(record.number, report(18, float(score)), is_last=True)
        study.finish(record.number)
    found = importances(study.optuna_trials(), study.records())
    whole = next(one for one in found if one.branch is None and one.step is None)
    assert max(whole.values, key=lambda name: whole.values[name]) == "optimizer.learning_rate"
    assert sum(whole.values.values()) == pytest.approx(1.0)
    branches = {(one.parameter, one.branch) for one in found}
    assert branches >= {("objective", "triplet"), ("objective", "supcon")}
    for one in found:
        assert one.num_trials >= LEAST_TRIALS
        if one.branch == "triplet":
            assert not any("supcon" in name for name in one.values)


def test_too_few_trials_have_no_importance(images: Path, tmp_path: Path) -> None:
    study = told_study(tmp_path / "few", images, ["done"] * (LEAST_TRIALS - 1))
    assert importances(study.optuna_trials(), study.records()) == []


def test_importance_leaves_optunas_voice_as_it_was(mixed: Study) -> None:
    before = optuna.logging.get_verbosity()
    importances(mixed.optuna_trials(), mixed.records())
    assert optuna.logging.get_verbosity() == before
