"""Heads and pooling: what they compute, and that they stay finite."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from tripletune.spaces import HeadConfig
from tripletune.trainables.encoders.heads import HEADS
from tripletune.trainables.encoders.pooling import POOLS, GeM


def features(*, smallest: float = 0.1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(3, 4, 5, 6, generator=generator, dtype=torch.float64) + smallest


def gem_by_hand(values: torch.Tensor, p: float) -> torch.Tensor:
    """Equation 3 of the paper, number by number."""
    result = torch.zeros(values.shape[:2], dtype=torch.float64)
    for image in range(values.shape[0]):
        for channel in range(values.shape[1]):
            numbers = values[image, channel].flatten().tolist()
            mean = sum(max(number, 1e-6) ** p for number in numbers) / len(numbers)
            result[image, channel] = mean ** (1.0 / p)
    return result


def gem(p: float) -> GeM:
    pool = GeM().double()
    with torch.no_grad():
        pool.log_p.fill_(math.log(p))
    return pool


@pytest.mark.parametrize("p", [0.5, 1.0, 3.0, 12.0])
def test_gem_is_the_generalised_mean(p: float) -> None:
    values = features()
    torch.testing.assert_close(gem(p)(values), gem_by_hand(values, p))


def test_gem_starts_from_the_exponent_of_the_paper_and_lies_between_mean_and_maximum() -> None:
    values = features()
    torch.testing.assert_close(GeM().double()(values), gem_by_hand(values, 3.0))
    mean, largest = POOLS["average"]()(values), POOLS["max"]()(values)
    torch.testing.assert_close(gem(1.0)(values), mean)
    torch.testing.assert_close(gem(1e4)(values), largest, rtol=1e-3, atol=0.0)
    between = gem(3.0)(values)
    assert ((mean < between) & (between < largest)).all()


def test_gem_has_true_gradients() -> None:
    values = features().requires_grad_()
    pool = gem(2.5)
    assert torch.autograd.gradcheck(lambda x, _: pool(x), (values, pool.log_p))


@pytest.mark.parametrize("p", [1e-3, 3.0, 1e3])
@pytest.mark.parametrize("value", [0.0, -1.0, 1e-6, 300.0])
def test_gem_stays_finite_where_powers_do_not(p: float, value: float) -> None:
    """A map of zeros, and features whose cube half precision cannot hold."""
    pool = gem(p).float()
    values = torch.full((2, 3, 4, 4), value)
    values[0, 0, 0, 0] = 2.0
    values.requires_grad_()
    pooled = pool(values)
    pooled.sum().backward()
    assert torch.isfinite(pooled).all()
    assert values.grad is not None
    assert torch.isfinite(values.grad).all()
    assert pool.log_p.grad is not None
    assert torch.isfinite(pool.log_p.grad).all()


def test_gem_gives_no_gradient_to_features_below_zero() -> None:
    values = torch.full((1, 1, 2, 2), -0.5)
    values[0, 0, 0, 0] = 1.0
    values.requires_grad_()
    GeM()(values).sum().backward()
    assert values.grad is not None
    assert (values.grad != 0).flatten().tolist() == [True, False, False, False]


def test_gem_computes_in_fp32_under_autocast() -> None:
    values = features().to(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        pooled = GeM()(values)
    assert pooled.dtype == torch.float32
    torch.testing.assert_close(pooled, GeM()(values.float()))


def widths(head: nn.Module) -> list[int]:
    layers = [layer for layer in head.modules() if isinstance(layer, nn.Linear)]
    assert all(one.out_features == two.in_features for one, two in pairwise(layers))
    return [layers[0].in_features, *(layer.out_features for layer in layers)]


def test_the_mlp_head_halves_its_hidden_layers() -> None:
    assert widths(HEADS["mlp"](HeadConfig(name="mlp"), 2048, 64)) == [2048, 512, 256, 64]
    three = HeadConfig(name="mlp", hidden=100, layers=3)
    assert widths(HEADS["mlp"](three, 7, 5)) == [7, 100, 50, 25, 5]
    assert widths(HEADS["linear"](HeadConfig(), 7, 5)) == [7, 5]


def test_the_neck_centres_each_dimension_and_keeps_its_shift_at_zero() -> None:
    head = HEADS["bnneck"](HeadConfig(name="bnneck"), 7, 5)
    inputs = torch.randn(64, 7, generator=torch.Generator().manual_seed(0)) + 3.0
    embeddings = head(inputs)
    torch.testing.assert_close(embeddings.mean(dim=0), torch.zeros(5), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(
        embeddings.var(dim=0, unbiased=False), torch.ones(5), atol=1e-3, rtol=0
    )
    frozen = [key for key, parameter in head.named_parameters() if not parameter.requires_grad]
    assert frozen == ["1.bias"]
    assert "0.bias" not in head.state_dict()
