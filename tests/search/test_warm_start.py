"""A search that begins with what earlier ones found best."""

from pathlib import Path

import pytest
from reports import report
from toy_search import toy_options, toy_space

from tripletune.search.folder import StudyFolder
from tripletune.search.study import Study, StudySettings
from tripletune.search.warm_start import BEST_OF_EACH, warmed
from tripletune.spaces import Space


def make_study(space: Space, folder: Path) -> Study:
    options = toy_options(8).to_dict()
    settings = StudySettings(space.text, options, data={}, episodes="", baselines={}, versions={})
    return Study.create(StudyFolder(folder), settings)


@pytest.fixture
def earlier(images: Path, tmp_path: Path) -> Study:
    """Seven complete trials, the later the better, and one that failed."""
    space = toy_space(images)
    study = make_study(space, tmp_path / "runs" / "earlier")
    for number in range(7):
        study.ask(space)
        study.start(number)
        study.report(number, report(18, 0.5 + 0.05 * number))
        study.finish(number)
    study.ask(space)
    study.fail(7, "ValueError: too bad")
    return study


def test_best_recipes_are_tried_first_in_the_order_of_their_scores(
    earlier: Study, images: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    space = warmed(toy_space(images), [earlier], said.append)

    study = make_study(space, tmp_path / "runs" / "later")
    recipes = [study.ask(space).recipe for _ in range(BEST_OF_EACH)]

    assert recipes == [earlier.record(number).recipe for number in (6, 5, 4, 3, 2)]
    assert said == ["begins with 5 of the best recipes of earlier"]


def test_what_a_space_has_anew_is_drawn(earlier: Study, images: Path, tmp_path: Path) -> None:
    wider = toy_space(images).text.replace("samples: 3", "samples: {choice: [3, 2]}")
    space = warmed(Space.from_text(wider, origin="wider.yaml"), [earlier], print)

    first = make_study(space, tmp_path / "runs" / "wider").ask(space).recipe

    best = earlier.record(6).recipe
    assert (first.objective, first.optimizer) == (best.objective, best.optimizer)
    assert first.batch.samples in (2, 3)


def test_study_of_another_kind_is_refused(earlier: Study) -> None:
    other = Space.from_text(
        "objective: {one_of: {a: {loss: {name: arcface}}, b: {loss: {name: cosface}}}}",
        origin="other.yaml",
    )

    with pytest.raises(ValueError, match="recipes of this space, got earlier: no branch is in"):
        warmed(other, [earlier], print)
