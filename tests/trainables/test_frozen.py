"""Trials of the head alone, on features that were computed once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from toy import image_set, recipe, trial_data
from toy_export import write_export

from tripletune.spaces import (
    AugmentConfig,
    BudgetConfig,
    HeadConfig,
    MinerConfig,
    ObjectiveConfig,
    Recipe,
    Torchvision,
    Triplet,
)
from tripletune.trainables import PreparedData, Trial, load, prepare
from tripletune.trainables.embedding import embed
from tripletune.trainables.encoders import Encoder
from tripletune.trainables.features import KEPT

MODEL = "shufflenet_v2_x0_5"


def frozen(**changes: Any) -> Recipe:
    sections: dict[str, Any] = {
        "encoder": encoder(),
        "augment": AugmentConfig(probability=0.0),
        **changes,
    }
    return recipe(**sections)


def encoder(**changes: Any) -> Torchvision:
    return Torchvision.model_validate(
        {"model": MODEL, "train": "head", "embedding_dim": 16, **changes}
    )


@pytest.fixture
def prepared() -> PreparedData:
    return prepare(trial_data(), recipe().evaluation, torch.device("cpu"))


@contextmanager
def counted_images(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Images that any backbone is run on."""
    counts: list[int] = []
    features = Encoder.features

    def counting(self: Encoder, images: torch.Tensor) -> torch.Tensor:
        counts.append(len(images))
        return features(self, images)

    with monkeypatch.context() as patch:
        patch.setattr(Encoder, "features", counting)
        yield counts


def curve(trial: Trial) -> list[dict[str, object]]:
    reports = []
    while not trial.is_done:
        trial.train_to_report()
        values = trial.evaluate().to_dict()
        reports.append(
            {k: v for k, v in values.items() if k not in ("seconds", "images_per_second")}
        )
    return reports


def test_the_backbone_is_run_once_an_image_whatever_the_trials_do(
    prepared: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    num_images = len(prepared.train_images) + len(prepared.validation_images)
    with counted_images(monkeypatch) as counts:
        curve(Trial(frozen(), prepared))
        assert sum(counts) == num_images
        mlp = HeadConfig(name="mlp", hidden=32, layers=1)
        curve(Trial(frozen(encoder=encoder(head=mlp, embedding_dim=8)), prepared))
        assert sum(counts) == num_images  # another head on the same features
        Trial(frozen(seed=1), prepared)
        assert sum(counts) == 2 * num_images  # random weights of another seed


def test_the_features_of_the_last_few_backbones_are_kept(
    prepared: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    num_images = len(prepared.train_images) + len(prepared.validation_images)
    for seed in range(KEPT + 1):
        Trial(frozen(seed=seed), prepared)
    with counted_images(monkeypatch) as counts:
        Trial(frozen(seed=KEPT), prepared)
        assert counts == []
        Trial(frozen(seed=0), prepared)
        assert sum(counts) == num_images


def test_a_frozen_trial_learns() -> None:
    clear = replace(
        trial_data(), train=image_set(seed=0, noise=60), validation=image_set(seed=1, noise=60)
    )
    prepared = prepare(clear, recipe().evaluation, torch.device("cpu"))
    budget = BudgetConfig(steps=100, report_every=50)
    trial = Trial(frozen(encoder=encoder(model="resnet18"), budget=budget), prepared)
    reports = []
    while not trial.is_done:
        trial.train_to_report()
        reports.append(trial.evaluate())
    assert reports[1].loss < 0.8 * reports[0].loss
    assert reports[1].interval_low > 1 / 5  # chance among five classes


OBJECTIVES = {
    "supcon": recipe().objective,
    "bank": ObjectiveConfig(
        loss=Triplet(), miner=MinerConfig(name="mixed", scope="bank", refresh=5)
    ),
}


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("head", ["linear", "bnneck"])
def test_a_frozen_trial_goes_on_from_its_checkpoint_bit_for_bit(
    objective: str, head: str, prepared: PreparedData, tmp_path: Path
) -> None:
    config = frozen(objective=OBJECTIVES[objective], encoder=encoder(head={"name": head}))
    whole = Trial(config, prepared)
    expected = curve(whole)

    first = Trial(config, prepared)
    first.train_to_report()
    first.evaluate()
    first.train(2)
    first.save(tmp_path / "trial.pt")
    elsewhere = prepare(trial_data(), recipe().evaluation, torch.device("cpu"))
    second = Trial.resumed(config, elsewhere, tmp_path / "trial.pt")
    assert curve(second) == expected[1:]
    for name, value in whole.encoder.state_dict().items():
        assert torch.equal(value, second.encoder.state_dict()[name]), name


@pytest.mark.parametrize("pool", ["average", "gem"])
def test_features_give_the_embeddings_of_the_images(pool: str, prepared: PreparedData) -> None:
    model = "regnet_x_400mf" if pool == "gem" else MODEL
    config = frozen(encoder=encoder(model=model, head={"pool": pool}))
    trial = Trial(config, prepared)
    trial.train(3)
    report = trial.evaluate()
    raw = embed(trial.encoder, prepared.validation_images, unit_norm=False)
    assert report.embedding_norm == pytest.approx(float(raw.norm(dim=1).mean()), rel=0.05)
    assert trial._features is not None
    seen = trial.encoder.embed_features(trial._features.validation)
    torch.testing.assert_close(seen, raw, rtol=1e-4, atol=1e-5)


def test_the_export_embeds_images_as_the_frozen_trial_did(
    prepared: PreparedData, tmp_path: Path
) -> None:
    trial = Trial(frozen(), prepared)
    trial.train(5)
    write_export(trial, tmp_path / "model")
    pixels = prepared.data.validation.images[:4]
    expected = embed(trial.encoder, prepared.validation_images[:4], unit_norm=True)
    model = load(tmp_path / "model", device="cpu")
    actual = model.embed([Image.fromarray(image[0]) for image in pixels])
    np.testing.assert_array_equal(actual, expected.numpy())
    assert trial._features is not None
    features = trial._features.validation[:4]
    from_features = torch.nn.functional.normalize(trial.encoder.embed_features(features))
    np.testing.assert_allclose(actual, from_features.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_an_export_needs_no_file_of_weights_any_more(
    prepared: PreparedData, tmp_path: Path
) -> None:
    path = tmp_path / "weights.pt"
    torch.save(Trial(frozen(seed=4), prepared).encoder.backbone.state_dict(), path)
    trial = Trial(frozen(encoder=encoder(weights=str(path))), prepared)
    path.unlink()
    write_export(trial, tmp_path / "model")
    loaded = load(tmp_path / "model", device="cpu").encoder.state_dict()
    for name, value in trial.encoder.state_dict().items():
        assert torch.equal(value, loaded[name]), name


def test_a_file_of_weights_in_the_place_of_another_is_noticed(
    prepared: PreparedData, tmp_path: Path
) -> None:
    path = tmp_path / "weights.pt"
    for seed in (0, 1):
        other = Trial(frozen(seed=seed, encoder=encoder()), prepared)
        torch.save(other.encoder.backbone.state_dict(), path.with_suffix(f".{seed}"))
    config = frozen(encoder=encoder(weights=str(path)))
    path.with_suffix(".0").replace(path)
    # A grey file fits grey images as it is.
    first = Trial(config, prepared)
    first.train(1)
    first.save(tmp_path / "trial.pt")
    path.with_suffix(".1").replace(path)
    second = Trial(config, prepared)
    assert first._features is not None
    assert second._features is not None
    assert not torch.equal(first._features.train, second._features.train)
    with pytest.raises(ValueError, match=r"encoder\.weights must still be those that the checkp"):
        Trial.resumed(config, prepared, tmp_path / "trial.pt")
