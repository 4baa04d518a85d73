"""What `tripletune confirm` found, as files that stay: `runs/STUDY/confirm/TRIAL-SEED.json`.

Beside each lies the accuracy of every fresh episode, `TRIAL-SEED.npy`. A run is there whole or not
at all, so a confirmation that was cut off goes on with what is missing.

S seeds, E episodes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..trainables.whole_file import whole_file
from .folder import write_text
from .statistics import Interval, over_both, over_episodes, over_seeds, shared_ranks
from .statistics.paired import crossed_p_values


@dataclass(frozen=True)
class ConfirmedRun:
    """One training of a finalist from a fresh seed.

    Attributes:
        trial: Number of the finalist.
        seed: Of this training.
        episodes: Hash of the fresh episodes.
        one_shot_accuracy: On them; None if the run failed.
        seconds: Of training and evaluation.
        is_collapsed: Whether its embeddings lie in one place.
        failure: Why it has no score, one line.
    """

    trial: int
    seed: int
    episodes: str
    one_shot_accuracy: float | None
    seconds: float
    is_collapsed: bool
    failure: str | None


@dataclass(frozen=True)
class ConfirmFolder:
    """The runs of a study's confirmation.

    Attributes:
        path: `runs/STUDY/confirm`; it need not exist.
    """

    path: Path

    def runs(self) -> list[ConfirmedRun]:
        """Every finished run, by trial and seed."""
        return [
            ConfirmedRun(**json.loads(path.read_text(encoding="utf-8")))
            for path in sorted(self.path.glob("*-*.json"))
        ]

    def scores(self, run: ConfirmedRun) -> NDArray[np.float32]:
        """Accuracy of each fresh episode, shape (E,)."""
        scores: NDArray[np.float32] = np.load(self._stem(run.trial, run.seed, ".npy"))
        return scores

    def keep(self, run: ConfirmedRun, scores: NDArray[np.float32] | None) -> None:
        """Write a finished run, its scores first."""
        self.path.mkdir(parents=True, exist_ok=True)
        if scores is not None:
            with whole_file(self._stem(run.trial, run.seed, ".npy")) as file:
                np.save(file, scores, allow_pickle=False)
        text = json.dumps(asdict(run), indent=1) + "\n"
        write_text(self._stem(run.trial, run.seed, ".json"), text)
        self.checkpoint(run.trial, run.seed).unlink(missing_ok=True)

    def checkpoint(self, trial: int, seed: int) -> Path:
        """Where a run that is not over keeps its state."""
        return self._stem(trial, seed, ".pt")

    def _stem(self, trial: int, seed: int, suffix: str) -> Path:
        return self.path / f"{trial:05d}-{seed:04d}{suffix}"


@dataclass(frozen=True)
class Confirmed:
    """A finalist over all its fresh seeds, at its place.

    Attributes:
        rank: 1 + the number of finalists that are surely better, over seeds and episodes.
        trial: Its number in the study.
        num_seeds: That gave a score.
        num_failed: That gave none.
        num_collapsed: Of those with a score, whose embeddings lie in one place.
        num_episodes: Each was scored on.
        intervals: Over episodes, over seeds, over both; of one seed the last two have no ends.
    """

    rank: int
    trial: int
    num_seeds: int
    num_failed: int
    num_collapsed: int
    num_episodes: int
    intervals: tuple[Interval, Interval, Interval]

    @property
    def mean(self) -> float:
        """Accuracy over all seeds and episodes."""
        return self.intervals[0].mean

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        names = ("interval_over_episodes", "interval_over_seeds", "interval_over_both")
        return {
            "rank": self.rank,
            "trial": self.trial,
            "one_shot_accuracy": self.mean,
            **{name: i.to_json() for name, i in zip(names, self.intervals, strict=True)},
            "seeds": self.num_seeds,
            "failed": self.num_failed,
            "collapsed": self.num_collapsed,
            "episodes": self.num_episodes,
        }


def confirmed(folder: ConfirmFolder) -> tuple[Confirmed, ...]:
    """The finalists that have a score, best first; empty before the first run is over."""
    of_trial: dict[int, list[ConfirmedRun]] = {}
    for run in folder.runs():
        of_trial.setdefault(run.trial, []).append(run)
    tables = {
        trial: np.stack([folder.scores(run) for run in scored])
        for trial, runs in of_trial.items()
        if (scored := [run for run in runs if run.one_shot_accuracy is not None])
    }
    return rank_confirmed(tables, of_trial)


def rank_confirmed(
    tables: Mapping[int, NDArray[np.float32]], runs: Mapping[int, Sequence[ConfirmedRun]]
) -> tuple[Confirmed, ...]:
    """Finalists by their mean, with the ranks that seeds and episodes together support.

    Args:
        tables: Scores of each finalist, shape (S, E), all on the same episodes.
        runs: Of each, the failed ones included.
    """
    trials = sorted(tables, key=lambda trial: (-float(tables[trial].mean()), trial))
    if not trials:
        return ()
    means = [float(tables[trial].mean()) for trial in trials]
    ranks = shared_ranks(means, crossed_p_values([tables[trial] for trial in trials]))
    return tuple(
        Confirmed(
            rank=int(rank),
            trial=trial,
            num_seeds=len(tables[trial]),
            num_failed=len(runs[trial]) - len(tables[trial]),
            num_collapsed=sum(run.is_collapsed for run in runs[trial]),
            num_episodes=tables[trial].shape[1],
            intervals=(
                over_episodes(tables[trial]),
                over_seeds(tables[trial]),
                over_both(tables[trial]),
            ),
        )
        for rank, trial in zip(ranks, trials, strict=True)
    )
