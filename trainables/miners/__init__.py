"""Miners: which triplets or pairs a loss sees."""

from .bank import Bank, bank_of
from .mined import Candidates, Pairs, Triplets, positives_of, slots_of
from .setting import MINERS, PAIR_MINERS, Miner, Setting

__all__ = [
    "MINERS",
    "PAIR_MINERS",
    "Bank",
    "Candidates",
    "Miner",
    "Pairs",
    "Setting",
    "Triplets",
    "bank_of",
    "positives_of",
    "slots_of",
]
