"""Accuracy of every frozen episode, trial by trial: what paired comparisons are made of.

The episodes are the same for all trials of a study, so the difference of two trials is read
episode by episode, which is far surer than the difference of two means. The scores lie beside the
journal, one small file a report, `episodes/TRIAL-STEP.npy`: numbers, readable without us.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..trainables.whole_file import whole_file
from .folder import StudyFolder


@dataclass(frozen=True)
class EpisodeScores:
    """The scores that a study keeps: of each trial the newest, and those at a rung.

    Attributes:
        folder: Where they lie.
    """

    folder: Path

    def keep(self, number: int, step: int, scores: ArrayLike, *, rungs: Collection[int]) -> None:
        """Write the scores of a report, whole or not at all; the first of a step stand.

        Args:
            number: Of the trial.
            step: Of the report.
            scores: Accuracy of each episode in [0, 1], shape (E,), kept as float32.
            rungs: Steps whose scores stay when newer ones come.
        """
        path = self._path(number, step)
        if path.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            np.save(file, np.asarray(scores, np.float32), allow_pickle=False)
        *older, _ = self.steps(number)
        for old in older:
            if old not in rungs:
                self._path(number, old).unlink(missing_ok=True)

    def read(self, number: int, step: int) -> NDArray[np.float32] | None:
        """The scores of a report, shape (E,); None where they were not kept.

        Raises:
            ValueError: If the file is damaged.
        """
        try:
            with self._path(number, step).open("rb") as file:
                scores: NDArray[np.float32] = np.load(file, allow_pickle=False)
        except FileNotFoundError:
            return None
        except (EOFError, ValueError) as error:
            raise ValueError(
                f"{self._path(number, step)} must hold the scores of episodes, got: {error}; "
                "delete it, and comparisons do without"
            ) from error
        return scores

    def steps(self, number: int) -> list[int]:
        """Steps of a trial whose scores are kept, in order."""
        return sorted(int(path.stem.partition("-")[2]) for path in self._files(number))

    def _files(self, number: int) -> list[Path]:
        return list(self.folder.glob(f"{number:05d}-*.npy"))

    def _path(self, number: int, step: int) -> Path:
        return self.folder / f"{number:05d}-{step:08d}.npy"


def rung_scores(study: StudyFolder, number: int, step: int) -> list[NDArray[np.float32]]:
    """Scores of the study's episodes and of the reserve at a rung, as far as they were kept."""
    kept = [EpisodeScores(folder).read(number, step) for folder in (study.episodes, study.reserve)]
    return [scores for scores in kept if scores is not None]
