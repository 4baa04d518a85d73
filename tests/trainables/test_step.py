"""A training step must not wait for the device, whatever its objective."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from toy import recipe, trial_data

from tripletune.spaces import (
    ArcFace,
    ComputeConfig,
    Contrastive,
    MarginLoss,
    MemoryConfig,
    MinerConfig,
    MultiSimilarity,
    ObjectiveConfig,
    OptimizerConfig,
    ProxyAnchor,
    SigmoidPair,
    SupCon,
    Triplet,
)
from tripletune.trainables import PreparedData, Trial, prepare

OBJECTIVES = {
    "supcon": ObjectiveConfig(loss=SupCon()),
    "triplet_all": ObjectiveConfig(loss=Triplet(), miner=MinerConfig(name="all")),
    "triplet_semi_hard": ObjectiveConfig(loss=Triplet(), miner=MinerConfig(name="semi_hard")),
    "triplet_weighted": ObjectiveConfig(
        loss=Triplet(), miner=MinerConfig(name="distance_weighted")
    ),
    "contrastive": ObjectiveConfig(loss=Contrastive(), miner=MinerConfig(name="all")),
    "margin": ObjectiveConfig(loss=MarginLoss(learn_beta="class")),
    "multi_similarity": ObjectiveConfig(loss=MultiSimilarity()),
    "sigmoid_pair": ObjectiveConfig(loss=SigmoidPair()),
    "proxy_anchor": ObjectiveConfig(loss=ProxyAnchor()),
    "arcface": ObjectiveConfig(loss=ArcFace()),
    "memory": ObjectiveConfig(loss=SupCon(), memory=MemoryConfig(size=40)),
    "bank": ObjectiveConfig(
        loss=Triplet(), miner=MinerConfig(name="mixed", scope="bank", refresh=2)
    ),
}

WAITING = {
    torch.ops.aten._local_scalar_dense.default,
    torch.ops.aten.nonzero.default,
    torch.ops.aten.masked_select.default,
    torch.ops.aten.is_nonzero.default,
    torch.ops.aten.equal.default,
}
"""Operators whose result the host must know: on a GPU it would wait for all that was launched."""


class NoWaiting(TorchDispatchMode):
    """Fails at an operator that would stall a GPU."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it without types

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        if func in WAITING:
            raise AssertionError(f"{func} waits for the device")
        if func in (torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default):
            indices = [index for index in args[1] if index is not None]
            assert all(i.dtype is not torch.bool for i in indices), "a mask of unknown count"
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def prepared() -> PreparedData:
    return prepare(trial_data(), recipe().evaluation, torch.device("cpu"))


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_step_never_waits_for_the_device(
    objective: str, precision: Any, prepared: PreparedData
) -> None:
    config = recipe(
        objective=OBJECTIVES[objective],
        optimizer=OptimizerConfig(average_decay=0.9, gradient_clip=1.0),
        compute=ComputeConfig(precision=precision, threads=1),
    )
    trial = Trial(config, prepared)
    trial.training_encoder.train()
    with NoWaiting():
        for _ in range(3):
            trial._train_step()
    assert trial.step == 3


@pytest.mark.parametrize(
    "waits",
    [
        lambda tensor: tensor.sum().item(),
        lambda tensor: tensor.nonzero(),
        lambda tensor: tensor[tensor > 0],
        lambda tensor: bool(tensor.any()),
    ],
)
def test_waiting_is_noticed(waits: Any) -> None:
    with NoWaiting(), pytest.raises(AssertionError):
        waits(torch.ones(3))
