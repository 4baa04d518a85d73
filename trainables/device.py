"""The device of a trial."""

import torch


def default_device(*, is_gpu_allowed: bool = True) -> torch.device:
    """The GPU that this process was given, else the processor.

    Args:
        is_gpu_allowed: Ray leaves all GPUs visible to a trial that asked for none of them.
    """
    return torch.device("cuda" if is_gpu_allowed and torch.cuda.is_available() else "cpu")
