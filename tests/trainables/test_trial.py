"""One trial: training, evaluation, checkpoints."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from toy import image_set, recipe, trial_data

from tripletune.spaces import (
    LOSSES,
    BudgetConfig,
    ComputeConfig,
    Contrastive,
    EvaluationConfig,
    MarginLoss,
    MemoryConfig,
    MinerConfig,
    ObjectiveConfig,
    OptimizerConfig,
    ProxyAnchor,
    ScheduleConfig,
    SigmoidPair,
    SupCon,
    Triplet,
    VarianceConfig,
)
from tripletune.trainables import PreparedData, Report, Trial, baselines, prepare
from tripletune.trainables.losses import Objective

OBJECTIVES = {
    "supcon": recipe().objective,
    "distance_weighted": ObjectiveConfig(
        loss=Triplet(), miner=MinerConfig(name="distance_weighted")
    ),
    "sigmoid_pair": ObjectiveConfig(loss=SigmoidPair(), miner=MinerConfig(name="none")),
    "proxy_anchor": ObjectiveConfig(loss=ProxyAnchor()),
    "margin": ObjectiveConfig(loss=MarginLoss(learn_beta="class")),
    "memory": ObjectiveConfig(loss=SupCon(), memory=MemoryConfig(size=40, start=0.2)),
    "schedule": ObjectiveConfig(
        loss=Triplet(),
        miner=MinerConfig(name="all"),
        schedule=ScheduleConfig(
            second_miner="semi_hard", third_miner="batch_hard", final_margin=0.4
        ),
        variance=VarianceConfig(weight=0.1),
    ),
    "bank": ObjectiveConfig(
        loss=Triplet(), miner=MinerConfig(name="mixed", scope="bank", refresh=5)
    ),
}


@pytest.fixture(scope="module")
def prepared() -> PreparedData:
    return prepare(trial_data(), recipe().evaluation, torch.device("cpu"))


def reports_of(trial: Trial) -> list[Report]:
    reports = []
    while not trial.is_done:
        trial.train_to_report()
        reports.append(trial.evaluate())
    return reports


def timeless(report: Report) -> dict[str, object]:
    """A report without what the clock says."""
    values = report.to_dict()
    return {k: v for k, v in values.items() if k not in ("seconds", "images_per_second")}


def test_training_beats_the_untrained_encoder(prepared: PreparedData) -> None:
    trial = Trial(recipe(budget=BudgetConfig(steps=60, report_every=60)), prepared)
    untrained = trial.evaluate()
    trial.train_to_report()
    trained = trial.evaluate()
    assert trained.one_shot_accuracy > untrained.interval_high
    assert trained.interval_low < trained.one_shot_accuracy < trained.interval_high
    assert trained.step == 60
    assert not trained.is_collapsed


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains_an_encoder_that_beats_the_untrained_one(
    loss: str, prepared: PreparedData
) -> None:
    numbers = {"temperature": 10.0} if loss == "info_nce" else {}  # of raw inner products
    # Proxies move slowly, a temperature must not move fast.
    rate, multiple = (1e-2, 1.0) if loss in ("info_nce", "sigmoid_pair") else (3e-3, 10.0)
    config = recipe(
        objective=ObjectiveConfig.model_validate({"loss": {"name": loss, **numbers}}),
        budget=BudgetConfig(steps=60, report_every=60),
        optimizer=OptimizerConfig(learning_rate=rate, average_decay=0.9, objective_rate=multiple),
    )
    trial = Trial(config, prepared)
    untrained = trial.evaluate()
    trial.train_to_report()
    trained = trial.evaluate()
    assert trained.one_shot_accuracy > untrained.interval_high, (untrained, trained)
    assert not trained.is_collapsed


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_trial_goes_on_from_its_checkpoint_bit_for_bit(
    objective: str, prepared: PreparedData, tmp_path: Path
) -> None:
    config = recipe(objective=OBJECTIVES[objective])
    whole = Trial(config, prepared)
    expected = reports_of(whole)

    first = Trial(config, prepared)
    first.train_to_report()
    first.evaluate()
    first.train(2)  # in the middle between two reports
    first.save(tmp_path / "trial.pt")
    second = Trial.resumed(config, prepared, tmp_path / "trial.pt")
    assert [timeless(r) for r in reports_of(second)] == [timeless(r) for r in expected[1:]]
    for name, value in whole.encoder.state_dict().items():
        assert torch.equal(value, second.encoder.state_dict()[name]), name


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_what_an_objective_learns_or_remembers_stays_out_of_the_encoder(
    objective: str, prepared: PreparedData
) -> None:
    trial = Trial(recipe(objective=OBJECTIVES[objective]), prepared)
    plain = Trial(recipe(), prepared)
    trial.train(2)
    assert trial.encoder.state_dict().keys() == plain.encoder.state_dict().keys()
    state = trial.state_dict()
    assert state["objective"].keys() == trial._objective.state_dict().keys()
    assert (state["bank"] is not None) == (objective == "bank")


def test_a_scheduled_objective_changes_its_miner_and_margin_with_the_budget(
    prepared: PreparedData,
) -> None:
    config = recipe(
        objective=OBJECTIVES["schedule"], budget=BudgetConfig(steps=10, report_every=5)
    )
    trial = Trial(config, prepared)
    objective = trial._objective
    assert isinstance(objective, Objective)
    setting = objective.setting
    found = []
    for _ in range(10):
        trial.train(1)
        found.append((setting.miner, round(setting.margin, 3)))
    miners = [miner for miner, _ in found]
    assert miners == ["all"] * 4 + ["semi_hard"] * 3 + ["batch_hard"] * 3
    margins = [margin for _, margin in found]
    assert margins == pytest.approx([0.2 + 0.02 * step for step in range(10)])


def test_the_bank_is_computed_anew_every_few_steps_and_chooses_true_triplets(
    prepared: PreparedData,
) -> None:
    trial = Trial(recipe(objective=OBJECTIVES["bank"]), prepared)
    bank = trial._bank
    assert bank is not None
    seen = []
    for _ in range(7):
        trial.train(1)
        assert bank.embeddings is not None
        seen.append(bank.embeddings.clone())
    is_new = [not torch.equal(one, other) for one, other in pairwise(seen)]
    assert is_new == [False, False, False, False, True, False]
    images, _, labels = trial._batch()
    anchors, positives, negatives = images.view(3, -1)
    assert torch.equal(labels, torch.from_numpy(prepared.data.train.labels)[images])
    assert (anchors != positives).all()
    by_third = labels.view(3, -1)
    assert (by_third[0] == by_third[1]).all()
    assert (by_third[0] != by_third[2]).all()
    assert len(negatives) == trial.recipe.batch.size // 3


def test_the_collapse_gap_is_the_distance_to_the_loss_of_a_single_point(
    prepared: PreparedData,
) -> None:
    objective = ObjectiveConfig(loss=Triplet(margin=0.3), miner=MinerConfig(name="all"))
    report = reports_of(Trial(recipe(objective=objective), prepared))[-1]
    assert report.collapse_gap == pytest.approx(abs(report.loss - 0.3), abs=1e-6)


def test_the_same_recipe_trains_to_the_same_curve(prepared: PreparedData) -> None:
    first, second = (reports_of(Trial(recipe(), prepared)) for _ in range(2))
    assert [timeless(r) for r in first] == [timeless(r) for r in second]


def test_another_seed_trains_to_another_curve(prepared: PreparedData) -> None:
    first, second = (reports_of(Trial(recipe(seed=seed), prepared)) for seed in (0, 1))
    assert first[-1].loss != second[-1].loss


def test_a_checkpoint_of_another_recipe_is_refused(prepared: PreparedData, tmp_path: Path) -> None:
    Trial(recipe(), prepared).save(tmp_path / "trial.pt")
    with pytest.raises(ValueError, match="the checkpoint must be of recipe"):
        Trial.resumed(recipe(seed=1), prepared, tmp_path / "trial.pt")


def test_the_recipe_says_what_precision_and_threads_were_used(prepared: PreparedData) -> None:
    trial = Trial(recipe(compute=ComputeConfig(precision="auto", threads=1)), prepared)
    assert trial.recipe.compute.precision in ("fp32", "bf16")
    assert trial.recipe.compute.threads == 1


def test_bf16_trains_too(prepared: PreparedData) -> None:
    config = recipe(
        compute=ComputeConfig(precision="bf16", threads=1),
        budget=BudgetConfig(steps=4, report_every=4),
    )
    report = reports_of(Trial(config, prepared))[-1]
    assert np.isfinite(report.loss)


def test_a_diverging_trial_says_so(prepared: PreparedData) -> None:
    trial = Trial(recipe(), prepared)
    trial.train(1)
    with torch.no_grad():
        next(trial._encoder.parameters()).fill_(float("nan"))
    trial.train(1)
    with pytest.raises(FloatingPointError, match="the loss is nan at step 2"):
        trial.evaluate()


def test_a_collapsing_trial_is_called_collapsed_at_its_third_report(
    prepared: PreparedData,
) -> None:
    # One point is where the contrastive loss rests when no negative is ever near enough to count.
    objective = ObjectiveConfig(loss=Contrastive(margin=1e-6), miner=MinerConfig(name="all"))
    config = recipe(
        objective=objective,
        optimizer=OptimizerConfig(learning_rate=3e-2, warmup=0.0),
        budget=BudgetConfig(steps=300, report_every=60),
    )
    reports = reports_of(Trial(config, prepared))
    spreads = [report.spread < 0.1 for report in reports]
    assert spreads[-1], [report.spread for report in reports]
    for index, report in enumerate(reports):
        assert report.is_collapsed == (index >= 2 and all(spreads[index - 2 : index + 1]))


def test_a_report_is_the_mean_of_the_episode_scores(prepared: PreparedData) -> None:
    trial = Trial(recipe(), prepared)
    assert trial.episode_scores.shape == (0,)

    trial.train(1)
    report = trial.evaluate()

    assert trial.episode_scores.shape == (50,)
    assert trial.episode_scores.mean() == report.one_shot_accuracy


def test_the_pixel_baseline_is_between_chance_and_1(prepared: PreparedData) -> None:
    score = baselines(prepared)["pixel_1nn"]
    assert 0.2 < score.low < score.one_shot_accuracy < score.high <= 1.0


def test_an_episode_list_is_the_same_for_every_trial_of_a_data_set() -> None:
    first = prepare(trial_data(), EvaluationConfig(way=5), torch.device("cpu"))
    second = prepare(trial_data(), EvaluationConfig(way=5), torch.device("cpu"))
    assert first.episodes.digest == second.episodes.digest


def test_training_never_sees_validation_images(prepared: PreparedData) -> None:
    """The trial is given other validation images: its weights must not change."""
    other = prepare(trial_data(), recipe().evaluation, torch.device("cpu"))
    object.__setattr__(other, "validation_images", torch.zeros_like(other.validation_images))
    first, second = Trial(recipe(), prepared), Trial(recipe(), other)
    reports_of(first)
    reports_of(second)
    for name, value in first.encoder.state_dict().items():
        assert torch.equal(value, second.encoder.state_dict()[name]), name


def test_the_toy_sets_hold_different_classes() -> None:
    assert not np.array_equal(image_set(seed=0).images, image_set(seed=1).images)
