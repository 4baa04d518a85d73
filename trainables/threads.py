"""Arithmetic on one thread: for sums that shall come out the same, and for many small steps."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it torch computes on one thread.

    Threads that wait for each other after each small step cost ten times what they save where the
    processors are busy.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
