"""The device of a trial."""

import torch


def default_device() -> torch.device:
    """The GPU that this process was given, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
