"""The test images are in no process that trains: not as arrays, and not anywhere in its memory."""

import json
from pathlib import Path
from typing import Any

import memory
import pytest
from memory import are_in_memory, flipped, telling_part
from toy_search import toy_options, toy_space

from tripletune.search import confirm_worker, ray_trial
from tripletune.search.confirm import ConfirmOptions, confirm
from tripletune.search.confirm_worker import ConfirmWorker
from tripletune.search.ray_trial import NUMBER, RayTrial
from tripletune.search.runner import run_search
from tripletune.spaces import Space
from tripletune.trainables.data import load_trial_data, split_classes, unseen
from tripletune.trainables.data.loading import decode

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.usefixtures("ray_session", "travels_by_value"),
]

TRAVEL_TOO = (memory,)

SIDES = ("train", "validation", "test")


def sealed_space(images: Path) -> Space:
    """8 classes to train on, 4 to validate on, 4 to test on."""
    return toy_space(
        images, data__split__validation=0.25, data__split__test=0.25, evaluation__way=4
    )


def _looking(folder: Path, patterns: dict[str, bytes]) -> type[RayTrial]:
    """A trial that searches its own memory after every report."""

    class Looking(RayTrial):
        def step(self) -> dict[str, Any]:
            result = super().step()
            found = dict(zip(patterns, are_in_memory(list(patterns.values())), strict=True))
            path = folder / f"{self._config[NUMBER]}-{self.iteration}.json"
            path.write_text(json.dumps(found))
            return result

    return Looking


def _looking_again(folder: Path, patterns: dict[str, bytes]) -> type[ConfirmWorker]:
    """The same for a finalist that is trained again."""

    class LookingAgain(ConfirmWorker):
        def run(self, recipe: dict[str, Any], checkpoint: str) -> dict[str, Any]:
            result = super().run(recipe, checkpoint)
            found = dict(zip(patterns, are_in_memory(list(patterns.values())), strict=True))
            (folder / "confirm.json").write_text(json.dumps(found))
            return result

    return LookingAgain


def an_image_of_each_side(space: Space) -> dict[str, bytes]:
    """The pixels of one image of each side, flipped."""
    (config,) = space.data_configs()
    whole = decode(config, None, unseen).decoded.image_set
    split = split_classes(whole, config.split)
    return {
        side: flipped(telling_part(whole.subset(getattr(split, side)).images[0].tobytes()))
        for side in SIDES
    }


def test_search_finds_what_is_there_and_not_what_is_not() -> None:
    held = bytes(range(7, 107))
    assert are_in_memory([flipped(held), bytes(100 * [201]) + flipped(held)]) == [True, False]


def test_neither_a_trial_nor_a_confirmation_holds_a_test_image(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = sealed_space(images)
    seen = tmp_path / "seen"
    seen.mkdir()
    patterns = an_image_of_each_side(space)
    monkeypatch.setattr(ray_trial, "RayTrial", _looking(seen, patterns))

    study = run_search(
        space.with_values({"budget.report_every": 18}),
        toy_options(1, scheduler="none"),
        name="sealed",
        runs=tmp_path / "runs",
    )

    monkeypatch.setattr(confirm_worker, "ConfirmWorker", _looking_again(seen, patterns))
    confirm(study, ConfirmOptions(top=1, seeds=1, episodes=50))

    reports = {path.name: json.loads(path.read_text()) for path in seen.iterdir()}
    assert set(reports) == {"0-0.json", "confirm.json"}
    for found in reports.values():
        assert found == {"train": True, "validation": True, "test": False}


def test_what_trials_are_given_names_no_test_class(images: Path) -> None:
    (config,) = sealed_space(images).data_configs()
    split = split_classes(decode(config, None, unseen).decoded.image_set, config.split)

    data = load_trial_data(config)

    assert len(split.test) == 4
    assert not {*split.test} & {*data.train.classes, *data.validation.classes}
    assert set(vars(data)) == {
        "train",
        "validation",
        "fingerprint",
        "split_digest",
        "notes",
        "preprocessing",
    }
