"""Tasks that look into the encoder's map: cross-view forecasts, dense agreement, one class."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toy import recipe, trial_data

from tripletune.spaces import (
    AugmentConfig,
    BatchConfig,
    BudgetConfig,
    Conv1d,
    Conv4,
    CropConfig,
    CrossView,
    DataConfig,
    Dense,
    EvaluationConfig,
    FlipConfig,
    HeadConfig,
    JitterConfig,
    Mlp,
    ObjectiveConfig,
    OneClass,
    Recipe,
    SeriesAugmentConfig,
    SplitConfig,
    SupCon,
    Triplet,
    recipe_from_yaml,
    recipe_to_yaml,
)
from tripletune.trainables import PreparedData, Trial, load_trial_data, prepare
from tripletune.trainables.augment.pipeline import augment_by
from tripletune.trainables.losses.variance import variance_hinge
from tripletune.trainables.tasks.cross_view import CrossViewPrediction
from tripletune.trainables.tasks.dense import agreement, places_in_views
from tripletune.trainables.tasks.one_class import (
    NormalSampler,
    centre_of,
    distances_to,
    placements,
)
from tripletune.trainables.tasks.segmentation import (
    KINDS,
    SegmentedShapes,
    mean_intersection_over_union,
)

CPU = torch.device("cpu")
LENGTH = 48


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Waves of eight frequencies, ten series each."""
    random = np.random.default_rng(0)
    time = np.arange(LENGTH) / LENGTH * 2 * np.pi
    labels = np.repeat(np.arange(8), 10)
    phases = random.uniform(0, 1.0, (80, 1))
    x = np.sin((1 + labels[:, None]) * time + phases) + random.normal(0, 0.1, (80, LENGTH))
    path = tmp_path_factory.mktemp("series") / "waves.npz"
    np.savez(path, x=x, y=labels)
    return path


def series_recipe(path: Path, by: str, **changes: object) -> Recipe:
    split = SplitConfig(by=by, validation=0.4, test=0.0)  # type: ignore[arg-type]
    values: dict[str, object] = {
        "data": DataConfig(name="series", path=str(path), split=split),
        "encoder": Conv1d(width=8, embedding_dim=8),
        "batch": BatchConfig(classes=6, samples=2),
        "augment": AugmentConfig(series=SeriesAugmentConfig(jitter=JitterConfig(probability=1.0))),
        "evaluation": EvaluationConfig(way=2, episodes=40, within="any"),
        "budget": BudgetConfig(steps=20, report_every=10),
    }
    return recipe(**(values | changes))


def cross_view(path: Path, **changes: object) -> Recipe:
    task = CrossView(timesteps=8, horizon=3, hidden=8)
    return series_recipe(path, "class", task=task, **changes)


def one_class(path: Path, **changes: object) -> Recipe:
    values = {"task": OneClass(normal="0", hidden=8, timesteps=8), "objective": NO_LOSS}
    return series_recipe(path, "item", **(values | changes))


NO_LOSS = ObjectiveConfig(loss=SupCon())


def dense(**changes: object) -> Recipe:
    values: dict[str, object] = {
        "task": Dense(points=16, regions=4, hidden=16),
        "encoder": Conv4(width=8, embedding_dim=16, head=HeadConfig(pool="average")),
        "batch": BatchConfig(classes=8, samples=2),
        "augment": AugmentConfig(crop=CropConfig(probability=1.0)),
        "data": DataConfig(image_size=32),
    }
    return recipe(**(values | changes))


def prepared_for(config: Recipe) -> PreparedData:
    return prepare(load_trial_data(config.data), config.evaluation, CPU)


@pytest.fixture(scope="module")
def pictures() -> PreparedData:
    """The toy set, each pixel four: an encoder's map then has several positions."""
    data = trial_data()
    large = [
        replace(side, images=side.images.repeat(2, axis=2).repeat(2, axis=3))
        for side in (data.train, data.validation)
    ]
    return prepare(replace(data, train=large[0], validation=large[1]), dense().evaluation, CPU)


# ---- cross view --------------------------------------------------------------------------------


def test_forecast_is_the_loop_of_the_paper() -> None:
    torch.manual_seed(0)
    prediction = CrossViewPrediction(features=5, hidden=4, horizon=2)
    first, second = torch.randn(3, 7, 5), torch.randn(3, 7, 5)
    time = torch.tensor(2)

    total = 0.0
    with torch.no_grad():
        for seen, foretold in ((first, second), (second, first)):
            for series in range(3):
                state = prediction.reader(seen[series : series + 1, :3])[0][0, -1]
                for ahead, predictor in enumerate(prediction.predictors, start=1):
                    scores = foretold[:, 2 + ahead] @ predictor(state)
                    total -= float(scores[series] - scores.logsumexp(0)) / (2 * 3 * 2)

    assert float(prediction(first, second, time).detach()) == pytest.approx(total, rel=1e-5)


def test_forecast_sees_nothing_beyond_its_time() -> None:
    prediction = CrossViewPrediction(features=5, hidden=4, horizon=1)
    first, second = torch.randn(3, 7, 5), torch.randn(3, 7, 5)
    before = prediction._one_way(first, second, torch.tensor(2))
    first[:, 3:] = 100.0

    assert torch.equal(prediction._one_way(first, second, torch.tensor(2)), before)


def test_first_view_is_weak_and_the_second_strong(waves: Path) -> None:
    config = cross_view(waves, augment=AugmentConfig())
    trial = Trial(config, prepared_for(config))
    items = torch.arange(48.0).expand(12, 1, 1, 48)

    views = trial._task.augment(items, torch.zeros(12), torch.Generator().manual_seed(0))

    assert torch.equal(views[0::2], items[0::2])  # nothing is on for the weak view
    assert (views[1::2] != items[1::2]).flatten(1).float().mean(1).min() > 0.9


def test_cross_view_trial_learns_and_goes_on_from_its_checkpoint(
    waves: Path, tmp_path: Path
) -> None:
    config = cross_view(waves)
    prepared = prepared_for(config)
    whole = Trial(config, prepared)
    whole.train_to_report()
    first = whole.evaluate()
    whole.save(tmp_path / "trial.pt")
    whole.train_to_report()
    again = Trial.resumed(config, prepared, tmp_path / "trial.pt")
    again.train_to_report()

    last = whole.evaluate()
    assert last.loss == again.evaluate().loss
    assert last.loss < first.loss
    assert 0.0 <= last.one_shot_accuracy <= 1.0


# ---- one class ---------------------------------------------------------------------------------


def test_training_sees_normal_series_alone(waves: Path) -> None:
    config = one_class(waves)
    data = load_trial_data(config.data)
    normal = np.flatnonzero(data.train.labels == data.train.classes.index("0"))
    sampler = NormalSampler(normal, 12, seed=0)

    drawn = torch.cat([sampler.draw(step).images for step in range(10)]).numpy()

    assert set(data.train.labels[drawn]) == {data.train.classes.index("0")}


def test_anomalies_of_other_classes_are_found_by_a_threshold_of_training_series(
    waves: Path,
) -> None:
    config = one_class(waves, budget=BudgetConfig(steps=60, report_every=60))
    trial = Trial(config, prepared_for(config))
    trial.train_to_report()
    report = trial.evaluate()

    assert report.one_shot_accuracy > 0.7
    assert set(report.scores) == {
        "threshold",
        "anomalies_found",
        "false_alarms",
        "balanced_accuracy",
    }
    assert not report.is_collapsed


def test_auroc_is_the_share_of_pairs_in_the_right_order() -> None:
    anomalies, normal = np.array([3.0, 1.0, 2.0]), np.array([0.0, 1.0, 2.5, 2.0])
    pairs = [
        np.mean([1.0 if a > n else 0.5 if a == n else 0.0 for n in normal]) for a in anomalies
    ]

    np.testing.assert_allclose(placements(anomalies, normal), pairs)
    assert placements(np.ones(5), np.ones(7)).mean() == 0.5  # a constant encoder


def test_distance_is_nothing_at_the_centre_and_largest_opposite() -> None:
    direction = torch.tensor([[3.0, 4.0]])
    centre = centre_of(direction, direction)

    torch.testing.assert_close(centre, torch.tensor([0.6, 0.8]))
    torch.testing.assert_close(distances_to(centre, direction, direction), torch.zeros(1))
    torch.testing.assert_close(distances_to(centre, -direction, -direction), torch.tensor([4.0]))


def test_variance_term_is_nothing_for_isotropic_embeddings() -> None:
    isotropic = torch.cat([torch.eye(8), -torch.eye(8)]).repeat(20, 1)
    point = torch.ones(320, 8)

    assert float(variance_hinge(isotropic, 1.0, unit_norm=True)) == 0.0
    assert float(variance_hinge(point, 1.0, unit_norm=True)) == pytest.approx(0.99)


def test_collapse_value_of_a_class_is_that_of_the_loss_at_a_point(waves: Path) -> None:
    config = one_class(waves)
    trial = Trial(config, prepared_for(config))
    for module in (trial.training_encoder.head, trial._objective.output):
        torch.nn.init.zeros_(module.weight)  # type: ignore[union-attr, arg-type]
    torch.nn.init.ones_(trial.training_encoder.head.bias)  # type: ignore[arg-type]
    trial.train(1)

    expected = trial._task.collapse_value(torch.ones(8))
    assert trial.evaluate().loss == pytest.approx(expected, abs=1e-3)


def test_unknown_normal_class_is_refused(waves: Path) -> None:
    config = one_class(waves, task=OneClass(normal="zero"))
    with pytest.raises(
        ValueError, match=r"task\.normal must be one of the classes 0, 1, .*'zero'"
    ):
        Trial(config, prepared_for(config))


# ---- dense -------------------------------------------------------------------------------------


def test_points_are_found_where_the_views_show_them() -> None:
    # The image's value is its own x coordinate: a view shows it at the place of the point.
    side = 64
    ramp = torch.linspace(0, 255, side).to(torch.uint8).expand(4, 1, side, side)
    maps = torch.tensor(
        [
            [[0.5, 0.0, 0.2], [0.0, 0.5, -0.1]],
            [[0.8, 0.1, 0.0], [-0.1, 0.8, 0.0]],
            [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
            [[0.0, 0.6, 0.1], [0.6, 0.0, 0.1]],
        ]
    )
    views = augment_by(ramp, AugmentConfig(), maps, torch.Generator())
    points = torch.rand(2, 200, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    places, is_seen = places_in_views(points, maps)
    shown = torch.nn.functional.grid_sample(views, places[:, :, None], align_corners=False)
    expected = ((points[..., 0] + 1) * side / 2 - 0.5) / (side - 1)

    assert 0.1 < is_seen.float().mean() < 0.9
    for view in (0, 1):
        difference = shown[view::2, 0, :, 0] - expected
        assert difference[is_seen].abs().max() < 0.03


def test_gradient_stops_at_the_side_that_is_not_predicted() -> None:
    predictor = torch.nn.Linear(4, 4)
    first = torch.randn(6, 4, requires_grad=True)
    second = torch.randn(6, 4, requires_grad=True)
    fixed = second.detach().clone()
    one_way = (1 - torch.cosine_similarity(predictor(first), fixed, dim=1)).mean() / 2

    (expected,) = torch.autograd.grad(one_way, first)
    (gradient,) = torch.autograd.grad(agreement(predictor, first, second), first)

    torch.testing.assert_close(gradient, expected)


def test_views_that_agree_cost_nothing_and_weights_choose_rows() -> None:
    same = torch.nn.functional.normalize(torch.randn(6, 4), dim=1)
    identity = torch.nn.Identity()
    other = torch.cat([same[:3], -same[3:]])
    weights = torch.tensor([1.0, 1, 1, 0, 0, 0])

    assert float(agreement(identity, same, same)) == pytest.approx(0.0, abs=1e-6)
    assert float(agreement(identity, same, other)) == pytest.approx(1.0, abs=1e-6)
    assert float(agreement(identity, same, other, weights)) == pytest.approx(0.0, abs=1e-6)


def test_dense_trial_learns_without_labels_and_reports_a_segmentation(
    pictures: PreparedData,
) -> None:
    trial = Trial(dense(), pictures)
    untrained = trial.evaluate()
    trial.train(12)
    report = trial.evaluate()

    assert report.loss > 0.0
    assert math.isfinite(report.loss)
    assert 0.0 < untrained.scores["segmentation_iou"] < 1.0
    assert report.one_shot_accuracy > 0.0


def test_masks_are_known_and_all_kinds_occur() -> None:
    shapes = SegmentedShapes.drawn(1, 32, (4, 4), seed=0)
    again = SegmentedShapes.drawn(1, 32, (4, 4), seed=0)

    assert torch.equal(shapes.images, again.images)
    assert shapes.kinds.unique().tolist() == list(range(KINDS))
    assert float(shapes.images.min()) >= 0.0
    assert float(shapes.images.max()) <= 1.0


def test_intersection_over_union_is_its_definition() -> None:
    truth, predicted = torch.tensor([0, 0, 1, 1, 2]), torch.tensor([0, 1, 1, 1, 0])
    expected = (1 / 3 + 2 / 3 + 0 / 1) / 3
    assert mean_intersection_over_union(truth, predicted, 4) == pytest.approx(expected)


# ---- rules -------------------------------------------------------------------------------------


def test_recipe_without_an_objective_reads_back(waves: Path) -> None:
    text = recipe_to_yaml(one_class(waves))
    assert recipe_from_yaml(text, "recipe.yaml") == one_class(waves)
    values = dense().model_dump()
    del values["objective"]
    assert Recipe.model_validate(values) == dense()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": ObjectiveConfig(loss=Triplet())}, "objective must be left out with task"),
        ({"encoder": Mlp(), "data": DataConfig(image_size=16)}, r"encoder\.name must be one of"),
        (
            {"batch": BatchConfig(classes=8, samples=4)},
            "must be 2 with task dense",
        ),
        (
            {"augment": AugmentConfig(flip=FlipConfig(horizontal=0.5))},
            r"augment\.flip\.horizontal must be 0 with task dense",
        ),
    ],
)
def test_what_does_not_go_with_maps_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dense(**changes)


def test_context_must_end_before_the_horizon() -> None:
    with pytest.raises(ValueError, match="horizon must be < timesteps"):
        CrossView(timesteps=4, horizon=4)
