"""The accuracy of every episode: kept beside the journal, whole, and no more than is needed."""

from pathlib import Path

import numpy as np
import pytest

from tripletune.search.episode_scores import EpisodeScores
from tripletune.search.rungs import grace_steps, rung_steps


def kept(folder: Path, *steps: int, rungs: tuple[int, ...] = (2, 6, 18)) -> EpisodeScores:
    """The scores of trial 3 after reports at these steps; each step scores step / 100."""
    scores = EpisodeScores(folder)
    for step in steps:
        scores.keep(3, step, np.full(4, step / 100), rungs=rungs)
    return scores


def test_scores_come_back_as_they_were_kept(tmp_path: Path) -> None:
    scores = EpisodeScores(tmp_path / "episodes")
    values = np.array([0.0, 0.05, 1.0, 1 / 3])

    scores.keep(12, 300, values, rungs=())

    np.testing.assert_array_equal(scores.read(12, 300), values.astype(np.float32))
    assert [path.name for path in scores.folder.iterdir()] == ["00012-00000300.npy"]


def test_rungs_and_the_newest_stay_and_the_rest_goes(tmp_path: Path) -> None:
    assert kept(tmp_path, 2, 4, 6, 8, 10).steps(3) == [2, 6, 10]


def test_trials_do_not_touch_each_others_scores(tmp_path: Path) -> None:
    scores = kept(tmp_path, 4)
    scores.keep(33, 5, [1.0], rungs=())

    assert (scores.steps(3), scores.steps(33)) == ([4], [5])


def test_first_scores_of_a_step_stand(tmp_path: Path) -> None:
    scores = kept(tmp_path, 4)

    scores.keep(3, 4, np.ones(4), rungs=())

    np.testing.assert_array_equal(scores.read(3, 4), np.full(4, 0.04, np.float32))


def test_scores_that_were_not_kept_are_none(tmp_path: Path) -> None:
    assert kept(tmp_path, 4).read(3, 2) is None
    assert EpisodeScores(tmp_path / "nowhere").read(0, 1) is None


def test_damaged_scores_say_what_to_do(tmp_path: Path) -> None:
    scores = kept(tmp_path, 4)
    (tmp_path / "00003-00000004.npy").write_bytes(b"torn")

    with pytest.raises(ValueError, match=r"00003-00000004\.npy must hold .* delete it"):
        scores.read(3, 4)


@pytest.mark.parametrize(
    ("max_steps", "report_every", "rungs"),
    [(18, 2, (2, 6, 18)), (300, 50, (50, 150, 300)), (100, 100, (100,)), (10, 7, (7, 10))],
)
def test_rungs_are_reports_and_end_with_the_budget(
    max_steps: int, report_every: int, rungs: tuple[int, ...]
) -> None:
    assert rung_steps(max_steps, report_every) == rungs
    assert grace_steps(max_steps, report_every) == rungs[0]
