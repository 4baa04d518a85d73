"""A curve of accuracies in one line of text."""

import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"

COLUMNS = 10
"""Of a whole budget; a trial that was stopped leaves the rest empty."""


def sparkline(
    steps: Sequence[int],
    values: Sequence[float],
    *,
    budget: int,
    low: float,
    high: float,
    columns: int = COLUMNS,
) -> str:
    """One block a column, as high as the newest value up to there.

    A column without a report of its own repeats the one before, so that a line grows with the
    trial; values that are not finite count as the lowest. Equal bounds give a flat line.

    Args:
        steps: Of the values, growing.
        values: One a step.
        budget: Steps of the whole line.
        low: Value of the lowest block; what lies below is cut.
        high: Value of the highest block.
        columns: Of the whole line.
    """
    line = ""
    for column in range(1, columns + 1):
        reached = column * budget
        seen = [v for at, v in zip(steps, values, strict=True) if at * columns <= reached]
        if seen:
            share = (seen[-1] - low) / (high - low) if high > low else 0.5
            share = min(max(share, 0.0), 1.0) if math.isfinite(share) else 0.0
            line += BLOCKS[min(int(share * len(BLOCKS)), len(BLOCKS) - 1)]
        else:
            line += " "
        if steps and steps[-1] * columns <= reached:
            break
    return line
