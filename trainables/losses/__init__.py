"""Losses: what training lowers."""

from .objective import LOSSES, Objective, build_objective
from .output import LossOutput

__all__ = ["LOSSES", "LossOutput", "Objective", "build_objective"]
