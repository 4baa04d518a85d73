"""What a loss allocates, counted in bytes: time would depend on the machine."""

import weakref
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tripletune.spaces import LOSSES, BatchConfig, ObjectiveConfig
from tripletune.trainables.losses import LossOutput, build_objective

BATCH, DIM = 1024, 16

MATRICES = 11
"""c: no loss holds more than c B^2 numbers of four bytes at a time, however many items a class.

One array of B x B x B would be 1024 of these.
"""

OBJECTIVES = [(loss, miner) for loss, facts in LOSSES.items() for miner in facts.miners]


class PeakBytes(TorchDispatchMode):
    """The most bytes that tensors made inside held at a time."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # of torch
        self.live: int = 0
        self.peak: int = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._hold(tensor.untyped_storage())
        return result

    def _hold(self, storage: torch.UntypedStorage) -> None:
        place, size = storage._cdata, storage.nbytes()
        if place in self._known:
            return
        self._known.add(place)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._release, place, size)

    def _release(self, place: int, size: int) -> None:
        self._known.discard(place)
        self.live -= size


def peak_matrices(loss: str, miner: str, samples: int) -> float:
    """Peak of one forward and backward pass, in matrices of B x B float32."""
    objective = build_objective(
        ObjectiveConfig.model_validate({"loss": {"name": loss}, "miner": {"name": miner}}),
        batch=BatchConfig(classes=BATCH // samples, samples=samples),
        embedding_dim=DIM,
        num_classes=BATCH,
    )
    labels = torch.arange(BATCH // samples).repeat_interleave(samples)
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(BATCH, DIM, generator=generator).requires_grad_()
    with PeakBytes() as counter:
        output: LossOutput = objective(embeddings, labels, generator)
        output.value.backward()
        del output
    return float(counter.peak / (4 * BATCH * BATCH))


def test_the_counter_counts_what_is_alive_at_a_time() -> None:
    with PeakBytes() as counter:
        first = torch.zeros(1000)
        second = first + 1.0
        del first
        third = second.view(10, 100)[2:]
        torch.zeros(500)
    assert counter.peak == 8000
    assert counter.live == 4000
    assert third.shape == (8, 100)


@pytest.mark.parametrize(("loss", "miner"), OBJECTIVES)
def test_a_loss_holds_a_few_square_matrices_at_most(loss: str, miner: str) -> None:
    assert peak_matrices(loss, miner, samples=16) <= MATRICES
