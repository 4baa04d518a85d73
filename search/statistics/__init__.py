"""How sure a score is, which of two is better, and how lucky the best of many was."""

from .intervals import Interval, over_both, over_episodes, over_seeds
from .optimism import expected_optimism
from .paired import Difference, crossed_p_values, paired_difference, paired_p_values
from .ranks import holm, shared_ranks

__all__ = [
    "Difference",
    "Interval",
    "crossed_p_values",
    "expected_optimism",
    "holm",
    "over_both",
    "over_episodes",
    "over_seeds",
    "paired_difference",
    "paired_p_values",
    "shared_ranks",
]
