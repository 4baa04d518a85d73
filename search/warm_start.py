"""A search that begins with what earlier ones found best."""

from collections.abc import Callable, Sequence

from ..spaces import Space, fitting
from .labels import is_ranked
from .study import Study

BEST_OF_EACH = 5
"""Recipes that are taken over from each earlier study."""


def warmed(space: Space, studies: Sequence[Study], say: Callable[[str], None]) -> Space:
    """The space with the best recipes of earlier studies as points, which are tried first.

    Recipes are taken over and scores are not: on other data, or at another size, they are not
    comparable. What a recipe leaves open in this space is drawn.

    Args:
        space: Of the search to come.
        studies: Earlier ones, over this space or another.
        say: Told what was taken from where.

    Raises:
        ValueError: If a study has no recipe that fits the space.
    """
    for study in studies:
        rows = [row for row in study.leaderboard().rows if is_ranked(row.record)]
        drawn = study.optuna_trials()
        points = [drawn[row.record.number].params for row in rows[:BEST_OF_EACH]]
        if not any(fitting(point, space.parameters()) for point in points):
            fault = "no branch is in both" if points else "none of its trials has a score"
            raise ValueError(
                "--warm-start must name a study with recipes of this space, got "
                f"{study.name}: {fault}"
            )
        before = len(space.points)
        space = space.with_points(points)
        say(f"begins with {len(space.points) - before} of the best recipes of {study.name}")
    return space
