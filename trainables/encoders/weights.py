"""Pretrained weights: read from a file, fitted to the images' channels, loaded with a check."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

COLORS = 3
"""Channels that pretrained weights are made for."""

_EXPORTED = ("backbone.", "network.")
"""What stands before the names of a backbone in an exported encoder."""
_MAX_SHOWN = 3


def read_weights(path: Path) -> dict[str, Tensor]:
    """The state dict of a file, on the CPU; reading it runs no code.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no state dict.
    """
    if not path.is_file():
        raise FileNotFoundError(f"encoder.weights must be a file, got {path}: it does not exist")
    try:
        state = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except (SafetensorError, OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise ValueError(
            f"encoder.weights must be a readable state dict, got {path}: {error}"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(
            f"encoder.weights must be a state dict of tensors, got {path}: "
            "save model.state_dict() alone"
        )
    return state


def load_weights(
    network: nn.Module, given: Mapping[str, Tensor], *, origin: str, dropped: tuple[str, ...]
) -> None:
    """Copy weights into a backbone, all of them.

    Args:
        network: The backbone. Where its first convolution has not the 3 channels of the weights,
            it gets their sum over the colours, divided by its channels.
        given: By the model's own names, or by those of an exported encoder.
        origin: Of the weights, for messages.
        dropped: Beginnings of names that may be there and are not used: the classifier's.

    Raises:
        ValueError: If a weight is missing, of another shape, or unknown.
    """
    for prefix in _EXPORTED:
        if any(name.startswith(prefix) for name in given):
            given = {
                name.removeprefix(prefix): value
                for name, value in given.items()
                if name.startswith(prefix)
            }
    wanted = network.state_dict()
    problems = [f"it lacks {name}" for name in wanted if name not in given]
    problems += [
        f"{name} is unknown"
        for name in given
        if name not in wanted and not name.startswith(dropped)
    ]
    fitted = {}
    for name in wanted.keys() & given.keys():
        fitted[name] = _fit_channels(given[name], wanted[name])
        if fitted[name].shape != wanted[name].shape:
            problems.append(
                f"{name} has shape {tuple(given[name].shape)}, not {tuple(wanted[name].shape)}"
            )
    if problems:
        more = f", and {len(problems) - _MAX_SHOWN} more" if len(problems) > _MAX_SHOWN else ""
        raise ValueError(
            f"encoder.weights must be a state dict of this model, got {origin}: "
            f"{', '.join(problems[:_MAX_SHOWN])}{more}"
        )
    network.load_state_dict(fitted)


def _fit_channels(given: Tensor, wanted: Tensor) -> Tensor:
    """A first convolution for other channels: an equal image in all gives what grey gave."""
    channels = wanted.shape[1] if wanted.ndim == 4 else COLORS
    if given.ndim != 4 or given.shape[1] != COLORS or channels == COLORS:
        return given
    return given.sum(1, keepdim=True).repeat(1, channels, 1, 1) / channels
