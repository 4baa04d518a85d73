"""Batches that are read ahead are those that would have been read in their step."""

from pathlib import Path

import numpy as np
import pytest
import torch
from toy import image_set, recipe, trial_data

from tripletune.spaces import BatchConfig, MinerConfig, ObjectiveConfig, Triplet
from tripletune.trainables import Report, Trial, TrialData, baselines, prepare
from tripletune.trainables.data import ImageSet
from tripletune.trainables.data.array_file import create_array, open_array
from tripletune.trainables.reader import READ_AHEAD, BatchReader
from tripletune.trainables.sampler import BatchSampler

CPU = torch.device("cpu")


def mapped(images: ImageSet, path: Path) -> ImageSet:
    """The set with its images mapped from a file."""
    create_array(path, images.images.shape)[:] = images.images
    return ImageSet(
        open_array(path), images.labels, images.classes, images.groups, images.group_of_class
    )


@pytest.fixture
def mapped_data(tmp_path: Path) -> TrialData:
    plain = trial_data()
    return TrialData(
        train=mapped(plain.train, tmp_path / "train.npy"),
        validation=mapped(plain.validation, tmp_path / "validation.npy"),
        fingerprint=plain.fingerprint,
        split_digest=plain.split_digest,
        notes=plain.notes,
        preprocessing=plain.preprocessing,
    )


def reader_of(seed: int = 3) -> tuple[BatchReader, BatchSampler, ImageSet]:
    data = image_set()
    sampler = BatchSampler(BatchConfig(classes=4, samples=3), data, seed)
    return BatchReader(torch.from_numpy(data.images), sampler, 12, CPU), sampler, data


@pytest.mark.parametrize(
    "steps", [range(12), [5, 6, 7], [0, 1, 9, 10, 2, 3, 3, 4], [0, 2, 4, 6, 8]]
)
def test_each_step_gets_its_own_batch_in_whatever_order(steps: list[int]) -> None:
    reader, sampler, data = reader_of()
    for step in steps:
        batch, images = reader.take(step)
        expected = sampler.draw(step)
        assert torch.equal(batch.images, expected.images)
        assert torch.equal(batch.labels, expected.labels)
        assert torch.equal(images, torch.from_numpy(data.images[expected.images.numpy()]))


def test_no_more_batches_are_held_than_stated() -> None:
    reader, _, _ = reader_of()
    places = {reader.take(step)[1].data_ptr() for step in range(20)}
    assert len(places) == READ_AHEAD + 1
    assert len(reader._ahead) == READ_AHEAD


def test_what_goes_wrong_while_reading_ahead_is_raised_at_its_step() -> None:
    reader, sampler, _ = reader_of()
    vars(sampler)["draw"] = lambda step: (_ for _ in ()).throw(OSError(f"step {step}"))
    with pytest.raises(OSError, match="step 0"):
        reader.take(0)


def reports_of(trial: Trial) -> list[dict[str, object]]:
    reports: list[Report] = []
    while not trial.is_done:
        trial.train_to_report()
        reports.append(trial.evaluate())
    timed = ("seconds", "images_per_second")
    return [
        {key: value for key, value in report.to_dict().items() if key not in timed}
        for report in reports
    ]


BANK = ObjectiveConfig(loss=Triplet(), miner=MinerConfig(name="mixed", scope="bank", refresh=5))


@pytest.mark.parametrize("objective", [recipe().objective, BANK], ids=["batch", "bank"])
def test_a_mapped_set_trains_and_scores_bit_for_bit_as_one_in_memory(
    objective: ObjectiveConfig, mapped_data: TrialData, tmp_path: Path
) -> None:
    config = recipe(objective=objective)
    memory = prepare(trial_data(), config.evaluation, CPU)
    file = prepare(mapped_data, config.evaluation, CPU)
    assert (memory.is_whole, file.is_whole) == (True, False)
    assert torch.equal(memory.mean, file.mean)
    assert torch.equal(memory.std, file.std)
    assert baselines(memory) == baselines(file)
    whole, read = Trial(config, memory), Trial(config, file)
    expected = reports_of(whole)
    assert reports_of(read) == expected
    for name, value in whole.encoder.state_dict().items():
        assert torch.equal(value, read.encoder.state_dict()[name]), name

    first = Trial(config, file)
    first.train_to_report()
    first.evaluate()
    first.train(1)
    first.save(tmp_path / "trial.pt")
    resumed = Trial.resumed(config, memory, tmp_path / "trial.pt")
    assert reports_of(resumed) == expected[1:]


def test_mapped_images_stay_in_their_file(mapped_data: TrialData) -> None:
    prepared = prepare(mapped_data, recipe().evaluation, CPU)
    file_bytes = np.asarray(mapped_data.train.images)
    assert prepared.train_images.data_ptr() == file_bytes.ctypes.data
