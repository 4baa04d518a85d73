"""Miners: which triplets or pairs of a batch a loss sees."""

from .mined import Candidates, Pairs, Triplets
from .setting import MINERS, Miner, Setting

__all__ = ["MINERS", "Candidates", "Miner", "Pairs", "Setting", "Triplets"]
