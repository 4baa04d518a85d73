"""An embedding bank: what it chooses among all training images."""

import pytest
import torch
from torch import Tensor

from tripletune.trainables.miners import Bank, bank

LABELS = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2])
ANCHORS = torch.tensor([8, 0, 4, 5])


def raw() -> Tensor:
    return torch.randn(len(LABELS), 6, generator=torch.Generator().manual_seed(0))


def filled(miner: str) -> Bank:
    made = Bank(miner, LABELS, distance="euclidean", unit_norm=True)  # type: ignore[arg-type]  # a test's own words
    made.refresh(raw())
    return made


def test_batch_hard_looks_at_every_image_of_the_bank() -> None:
    unit = raw() / raw().norm(dim=1, keepdim=True)
    positives, negatives = filled("batch_hard").choose(ANCHORS, torch.zeros(4, 2), 0.2)
    for anchor, positive, negative in zip(ANCHORS, positives, negatives, strict=True):
        d = [float((unit[anchor] - u).norm()) for u in unit]
        same = [i for i in range(9) if LABELS[i] == LABELS[anchor] and i != anchor]
        other = [i for i in range(9) if LABELS[i] != LABELS[anchor]]
        assert int(positive) == max(same, key=d.__getitem__)
        assert int(negative) == min(other, key=d.__getitem__)


@pytest.mark.parametrize("miner", ["batch_hard", "random", "random_positive_hard", "mixed"])
def test_chunks_do_not_change_what_is_chosen(miner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    uniform = torch.rand(4, 2, generator=torch.Generator().manual_seed(1))
    whole = filled(miner).choose(ANCHORS, uniform, 0.2)
    monkeypatch.setattr(bank, "CHUNK", len(LABELS))
    by_one = filled(miner).choose(ANCHORS, uniform, 0.2)
    assert all(torch.equal(a, b) for a, b in zip(whole, by_one, strict=True))


def test_an_empty_bank_says_so() -> None:
    empty = Bank("random", LABELS, distance="euclidean", unit_norm=True)
    with pytest.raises(ValueError, match="must be refreshed before the bank chooses, got none"):
        empty.choose(ANCHORS, torch.zeros(4, 2), 0.2)
