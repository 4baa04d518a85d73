"""Which weights of a pretrained backbone are trained."""

from itertools import chain
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from ...spaces import Autoencoder, Pretrained


FEWEST_BLOCKS = 4
"""A model whose parts are fewer has its largest container opened, until there are as many."""


def freeze(network: nn.Module, config: "Pretrained | Autoencoder") -> None:
    """Leave trainable what the recipe says: all, nothing, or the last blocks.

    Raises:
        ValueError: If the network has fewer blocks than are to be trained.
    """
    if config.train == "all":
        return
    network.requires_grad_(False)
    if config.train == "head":
        return
    blocks = blocks_of(network)
    assert config.last_blocks is not None, "the recipe refuses last_k without last_blocks"
    if config.last_blocks > len(blocks):
        raise ValueError(
            f"encoder.last_blocks must be <= {len(blocks)}, the blocks of this model, "
            f"got {config.last_blocks}"
        )
    for layer in chain.from_iterable(blocks[-config.last_blocks :]):
        layer.requires_grad_(True)


def blocks_of(network: nn.Module) -> list[list[nn.Module]]:
    """The parts of a network that have weights, in order.

    Containers are opened, the largest first, until there are at least four blocks. A lone norm
    belongs to the block before it. Weights of the network itself (a class token) are in none.
    """
    parts = _children(network)
    while len(_with_norms(parts)) < FEWEST_BLOCKS:
        containers = [part for part in parts if _children(part)]
        if not containers:
            break
        largest = max(containers, key=_size)
        place = parts.index(largest)
        parts[place : place + 1] = _children(largest)
    return _with_norms(parts)


def _with_norms(parts: list[nn.Module]) -> list[list[nn.Module]]:
    blocks: list[list[nn.Module]] = []
    for part in parts:
        is_norm = all(parameter.ndim <= 1 for parameter in part.parameters())
        if blocks and is_norm:
            blocks[-1].append(part)
        else:
            blocks.append([part])
    return blocks


def _children(part: nn.Module) -> list[nn.Module]:
    return [child for child in part.children() if _size(child)]


def _size(part: nn.Module) -> int:
    return sum(parameter.numel() for parameter in part.parameters())
