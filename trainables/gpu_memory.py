"""What a trial needs of a GPU's memory, and whether an error says that there was too little."""

import torch


def begin_peak(device: torch.device) -> None:
    """Give cached blocks back and count the peak from here; nothing on a processor."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_bytes(device: torch.device) -> int:
    """Most that was reserved since `begin_peak`, blocks of the allocator included; 0 without GPU.

    Reserved, not allocated: what the allocator keeps, no other process can have.
    """
    return torch.cuda.max_memory_reserved(device) if device.type == "cuda" else 0


def outside_bytes(device: torch.device) -> tuple[int, int]:
    """What is in use besides this process's tensors (contexts, other processes), and the total.

    Raises:
        ValueError: Without a GPU.
    """
    if device.type != "cuda":
        raise ValueError(f"device must be a GPU, got {device}")
    free, total = torch.cuda.mem_get_info(device)
    return max(0, total - free - torch.cuda.memory_reserved(device)), total


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device, not the trial, was at fault."""
    return isinstance(error, torch.OutOfMemoryError)
