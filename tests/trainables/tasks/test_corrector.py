"""Correction of features on which a classifier errs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from toy import image_set, recipe

from tripletune.spaces import (
    AugmentConfig,
    Autoencoder,
    BatchConfig,
    BudgetConfig,
    Contrastive,
    Corrector,
    DataConfig,
    EvaluationConfig,
    HeadConfig,
    Identity,
    ObjectiveConfig,
    OptimizerConfig,
    Recipe,
    SigmoidPair,
    SoftNearestNeighbor,
    SplitConfig,
    Triplet,
)
from tripletune.trainables import PreparedData, Trial, TrialData, load_trial_data, prepare
from tripletune.trainables.data import DataError, Preprocessing
from tripletune.trainables.data.item_split import split_items
from tripletune.trainables.encoders import build_encoder
from tripletune.trainables.encoders.autoencoder import Decoder, Trunk, reconstruction_loss
from tripletune.trainables.features import embed_features
from tripletune.trainables.items import EMPTY
from tripletune.trainables.losses import build_objective
from tripletune.trainables.tasks.classifiers import class_weights, held_out_predictions
from tripletune.trainables.tasks.corrector import (
    CorrectionSampler,
    CorrectorTask,
    balanced_accuracy,
    correction_items,
    macro_f1,
)

DIM = 8
BY_ITEM = SplitConfig(by="item", validation=0.3, test=0.2)


def correction(**changes: object) -> Recipe:
    values: dict[str, object] = {
        "data": DataConfig(name="clouds", length=DIM, split=BY_ITEM),
        "task": Corrector(classifier_steps=40),
        "encoder": Identity(
            embedding_dim=DIM, head=HeadConfig(name="residual", hidden=32, layers=1)
        ),
        "objective": ObjectiveConfig(loss=Contrastive(margin=0.8)),
        "batch": BatchConfig(classes=2, samples=24),
        "augment": AugmentConfig(probability=0.0),
        "evaluation": EvaluationConfig(way=2, episodes=20, within="any"),
        "optimizer": OptimizerConfig(learning_rate=3e-3),
        "budget": BudgetConfig(steps=20, report_every=10),
    }
    return recipe(**(values | changes))


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    config = correction()
    data = load_trial_data(config.data, tmp_path_factory.mktemp("cache"))
    return prepare(data, config.evaluation, torch.device("cpu"))


def test_every_class_is_on_every_side_and_no_item_on_two(clouds: PreparedData) -> None:
    assert clouds.data.train.classes == clouds.data.validation.classes
    assert clouds.data.train.class_counts.tolist() == [300, 100]
    assert clouds.data.validation.class_counts.tolist() == [180, 60]
    seen = {row.tobytes() for row in clouds.data.train.images}
    assert not seen & {row.tobytes() for row in clouds.data.validation.images}


def test_item_split_is_the_same_again_and_another_with_another_seed() -> None:
    images = image_set()
    first = split_items(images, BY_ITEM)

    assert first.digest == split_items(images, BY_ITEM).digest
    assert first.digest != split_items(images, BY_ITEM.model_copy(update={"seed": 1})).digest
    every = np.sort(np.concatenate([first.train, first.validation, first.test]))
    np.testing.assert_array_equal(every, np.arange(len(images)))


def test_class_with_fewer_items_than_sides_is_refused() -> None:
    with pytest.raises(DataError, match="needs 3 items of each class, one a side, got 2 in class"):
        split_items(image_set(images=2), BY_ITEM)


def test_pairs_join_a_misclassified_item_to_correct_ones_alone() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], [60, 30])
    is_correct = random.random(90) < 0.7
    sampler = CorrectionSampler(is_correct, labels, 36, seed=0)
    batch = sampler.draw(3)
    anchors = sampler.num_anchors

    assert not is_correct[batch.images[:anchors]].any()
    assert is_correct[batch.images[anchors:]].all()
    assert np.bincount(batch.labels[anchors:]).tolist() == [12, 12]

    items = correction_items(
        torch.randn(len(batch.labels), DIM),
        batch.labels,
        anchors,
        num_slots=17,
        generator=torch.Generator(),
    )
    is_positive = items.is_same_class()
    assert (items.reference_labels[:anchors] == EMPTY).all()
    assert not is_positive[:, :anchors].any()
    assert not items.is_negative()[:, :anchors].any()
    assert torch.equal(is_positive[:, anchors:], ~items.is_negative()[:, anchors:])
    assert (is_positive.sum(1) == 12).all()


@pytest.mark.parametrize("size", [36, 1200])  # few references are slots, many are sorted
def test_loss_of_a_correction_is_that_of_a_loop_over_its_pairs(size: int) -> None:
    random = np.random.default_rng(1)
    labels = np.repeat([0, 1], [60, 30])
    sampler = CorrectionSampler(random.random(90) < 0.7, labels, size, seed=0)
    batch, anchors = sampler.draw(0), sampler.num_anchors
    embeddings = torch.randn(
        len(batch.labels), DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    objective = build_objective(
        ObjectiveConfig(loss=Contrastive(margin=0.8)),
        batch=BatchConfig(classes=2, samples=size // 2),
        embedding_dim=DIM,
        num_classes=2,
    )
    items = correction_items(
        embeddings, batch.labels, anchors, num_slots=size // 2 - 1, generator=torch.Generator()
    )
    unit = torch.nn.functional.normalize(embeddings, dim=1)
    distances = torch.cdist(unit[:anchors], unit[anchors:])
    is_same = batch.labels[:anchors, None] == batch.labels[None, anchors:]
    pull = 0.5 * distances[is_same].square().mean()
    push = 0.5 * (0.8 - distances[~is_same]).clamp_min(0).square().mean()

    assert float(objective.loss(items).value) == pytest.approx(float(pull + push), rel=1e-6)


def test_gain_starts_at_nothing_since_the_correction_starts_as_the_identity(
    clouds: PreparedData,
) -> None:
    report = Trial(correction(), clouds).evaluate()

    assert report.one_shot_accuracy == 0.0
    assert report.scores["balanced_accuracy_before"] == report.scores["balanced_accuracy_after"]


@pytest.mark.parametrize("loss", [Contrastive(margin=0.8), SoftNearestNeighbor(), SigmoidPair()])
def test_score_is_the_difference_of_balanced_accuracies(
    clouds: PreparedData, loss: Contrastive | SoftNearestNeighbor | SigmoidPair
) -> None:
    trial = Trial(correction(objective=ObjectiveConfig(loss=loss)), clouds)
    trial.train_to_report()
    report = trial.evaluate()
    scores = report.scores

    gain = scores["balanced_accuracy_after"] - scores["balanced_accuracy_before"]
    assert report.one_shot_accuracy == pytest.approx(gain, abs=1e-6)
    assert report.interval_low < report.one_shot_accuracy < report.interval_high
    assert 0.5 < scores["balanced_accuracy_before"] < 1.0
    assert len(trial.episode_scores) == 240


def test_loss_before_the_classifier_is_judged_by_one_trained_anew(clouds: PreparedData) -> None:
    config = correction(task=Corrector(pairs="all", judged="retrained", classifier_steps=40))
    trial = Trial(config, clouds)
    trial.train_to_report()
    report = trial.evaluate()

    gain = report.scores["balanced_accuracy_retrained"] - report.scores["balanced_accuracy_before"]
    assert report.one_shot_accuracy == pytest.approx(gain, abs=1e-6)


def test_support_vectors_classify_too(clouds: PreparedData) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is an extra")
    report = Trial(correction(task=Corrector(classifier="svm")), clouds).evaluate()
    assert report.scores["balanced_accuracy_before"] > 0.5


def test_metrics_equal_their_definitions() -> None:
    truth = torch.tensor([0, 0, 0, 0, 1, 1])
    predicted = torch.tensor([0, 0, 0, 1, 1, 0])

    assert balanced_accuracy(truth, predicted) == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert macro_f1(truth, predicted) == pytest.approx((6 / 8 + 2 / 4) / 2)
    torch.testing.assert_close(class_weights(truth), torch.tensor([6 / 8, 6 / 4]))


def test_held_out_predictions_come_from_items_of_other_folds() -> None:
    # Labels that no one can learn: who had seen them would know them.
    random = torch.Generator().manual_seed(0)
    features = torch.randn(120, 40, generator=random)
    labels = torch.randint(0, 2, (120,), generator=random)
    config = Corrector(classifier_steps=100)

    predicted = held_out_predictions(features, labels, config, seed=0)

    assert (predicted == labels).float().mean() < 0.7


def test_nothing_to_correct_is_said() -> None:
    with pytest.raises(ValueError, match="must err on a training item"):
        CorrectionSampler(np.ones(4, bool), np.array([0, 0, 1, 1]), 6, seed=0)
    with pytest.raises(ValueError, match="right on an item of each class, got none of class 1"):
        CorrectionSampler(np.array([True, True, False]), np.array([0, 0, 1]), 6, seed=0)


@pytest.fixture(scope="module")
def pictures() -> PreparedData:
    images = image_set(groups=1, classes=2, images=60, noise=400.0)
    split = split_items(images, BY_ITEM)
    data = TrialData(
        train=images.items(split.train),
        validation=images.items(split.validation),
        fingerprint="toy",
        split_digest=split.digest,
        notes=(),
        preprocessing=Preprocessing(image_size=16, color="grey", invert=False),
    )
    return prepare(data, correction().evaluation, torch.device("cpu"))


def autoencoder(*, variational: bool) -> Recipe:
    return correction(
        data=DataConfig(image_size=16, split=BY_ITEM),
        encoder=Autoencoder(
            width=4,
            latent=DIM,
            variational=variational,
            pretraining_steps=10,
            embedding_dim=DIM,
            head=HeadConfig(name="residual", hidden=16, layers=1),
        ),
    )


@pytest.mark.parametrize("variational", [False, True])
def test_trial_on_an_autoencoder_goes_on_from_its_checkpoint(
    pictures: PreparedData, variational: bool, tmp_path: Path
) -> None:
    config = autoencoder(variational=variational)
    whole = Trial(config, pictures)
    whole.train_to_report()
    whole.save(tmp_path / "trial.pt")
    whole.train_to_report()
    again = Trial.resumed(config, pictures, tmp_path / "trial.pt")
    again.train_to_report()

    assert again.evaluate().scores == whole.evaluate().scores
    assert again.evaluate().one_shot_accuracy == whole.evaluate().one_shot_accuracy


def test_autoencoder_is_trained_once_and_learns_to_reconstruct(pictures: PreparedData) -> None:
    config = autoencoder(variational=True)
    losses = []
    for steps in (1, 200):
        encoder_config = config.encoder.model_copy(update={"pretraining_steps": steps})
        assert isinstance(encoder_config, Autoencoder)
        changed = config.model_copy(update={"encoder": encoder_config})
        encoder = build_encoder(
            encoder_config, channels=1, image_size=16, mean=pictures.mean, std=pictures.std, seed=0
        )
        CorrectorTask(changed, pictures, encoder)
        trunk = encoder.backbone
        assert isinstance(trunk, Trunk)
        assert not any(parameter.requires_grad for parameter in trunk.parameters())
        features = embed_features(encoder, encoder.features(pictures.train_images / 255))
        losses.append(float(features.std()))
    assert len(pictures.features.weights) >= 2
    assert losses[0] != losses[1]


def test_divergence_of_a_unit_normal_posterior_is_nothing() -> None:
    config = Autoencoder(width=4, latent=DIM, variational=True)
    trunk = Trunk(config, 1, (16, 16)).eval()
    plain = Decoder(trunk, config.model_copy(update={"variational": False}), 1).eval()
    variational = Decoder(trunk, config, 1).eval()
    assert variational.log_variance is not None
    for layer in (trunk.latent, variational.log_variance):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    variational.first.load_state_dict(plain.first.state_dict())
    variational.layers.load_state_dict(plain.layers.state_dict())
    images = torch.rand(4, 1, 16, 16)

    loss = reconstruction_loss(
        trunk, variational, images, images, torch.Generator().manual_seed(0)
    )
    noise = torch.randn(4, DIM, generator=torch.Generator().manual_seed(0))
    pixels = torch.nn.functional.binary_cross_entropy_with_logits(plain(noise), images)

    torch.testing.assert_close(loss, pixels)
    assert variational(noise).shape == images.shape


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"data": DataConfig(name="clouds", length=DIM)},
            "must be item with task corrector",
        ),
        (
            {"objective": ObjectiveConfig(loss=Triplet()), "encoder": {"name": "mlp"}},
            "must be autoencoder, or have train: head",
        ),
        (
            {"encoder": Identity(embedding_dim=DIM)},
            r"encoder\.head\.name must be residual with task\.judged: after",
        ),
        (
            {"task": Corrector(pairs="all")},
            r"task\.judged must be retrained with task\.pairs: all",
        ),
        (
            {"objective": {"loss": {"name": "n_pair"}}},
            r"objective\.loss\.name must be one of .* with task\.pairs: misclassified",
        ),
    ],
)
def test_recipes_that_cannot_correct_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        correction(**changes)


def test_other_tasks_take_no_items_of_known_classes_and_no_autoencoder() -> None:
    with pytest.raises(ValueError, match="must not be item with task supervised"):
        recipe(data=DataConfig(image_size=16, split=BY_ITEM))
    with pytest.raises(ValueError, match="must not be autoencoder with task supervised"):
        recipe(encoder=Autoencoder(), augment=AugmentConfig(probability=0.0))
