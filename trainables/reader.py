"""Batches of images that do not lie on the device: read ahead, in the background.

B batch, C channels, S image side, I images.
"""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .sampler import Batch, Sampler

READ_AHEAD = 3
"""Batches that are read before they are needed."""


@dataclass
class _Buffer:
    """Room for the images of one batch, used again and again.

    Attributes:
        images: uint8, shape (B, C, S, S); page-locked where they go to a GPU.
        copied: When the device has read them; None where there is nothing to wait for.
    """

    images: Tensor
    copied: torch.cuda.Event | None


class BatchReader:
    """Reads the batches of the next steps while the device works on this one.

    One thread draws and gathers, in the order of the steps. A batch is a pure function of its
    step, so what is read ahead is what would have been read then; a step out of order (a resumed
    trial) starts anew from there. At most `READ_AHEAD` + 1 batches are held, in buffers that are
    used again. The thread ends with the reader.
    """

    def __init__(self, images: Tensor, sampler: Sampler, size: int, device: torch.device):
        """Make the buffers; nothing is read yet.

        Args:
            images: uint8, on the processor, mapped from a file or in memory, shape (I, C, S, S).
            sampler: Draws the batch of a step.
            size: Images of a batch.
            device: That the batches go to.
        """
        self._images = images.numpy()
        self._sampler = sampler
        self._device = device
        shape = (size, *images.shape[1:])
        is_gpu = device.type == "cuda"
        self._free = deque(
            _Buffer(torch.empty(shape, dtype=torch.uint8, pin_memory=is_gpu), None)
            for _ in range(READ_AHEAD + 1)
        )
        self._ahead: deque[tuple[int, Future[Batch], _Buffer]] = deque()
        self._given: _Buffer | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batch-reader")

    def take(self, step: int) -> tuple[Batch, Tensor]:
        """The batch of a step and its images on the device.

        Args:
            step: Usually the one after the last.

        Returns:
            The batch, and uint8 images of shape (B, C, S, S). On a processor they are the buffer
            itself, which is filled again after the next call.

        Raises:
            OSError: The images cannot be read.
        """
        if self._given is not None:
            self._free.append(self._given)
            self._given = None
        if not self._ahead or self._ahead[0][0] != step:
            self._forget()
            self._read(step)
        _, future, buffer = self._ahead.popleft()
        batch = future.result()
        self._given = buffer
        last = self._ahead[-1][0] if self._ahead else step
        while self._free and len(self._ahead) < READ_AHEAD:
            last += 1
            self._read(last)
        if self._device.type != "cuda":
            return batch, buffer.images
        images = buffer.images.to(self._device, non_blocking=True)
        buffer.copied = torch.cuda.Event()
        buffer.copied.record()
        return batch, images

    def _read(self, step: int) -> None:
        buffer = self._free.popleft()
        self._ahead.append(
            (
                step,
                self._thread.submit(_gather, self._images, self._sampler, step, buffer),
                buffer,
            )
        )

    def _forget(self) -> None:
        """Take back the buffers of batches that are not wanted any more."""
        for _, future, buffer in self._ahead:
            if not future.cancel():
                future.exception()  # waits: the thread still writes to the buffer
            self._free.append(buffer)
        self._ahead.clear()


def _gather(images: np.ndarray, sampler: Sampler, step: int, buffer: _Buffer) -> Batch:
    """Draw the batch of a step and copy its images into a buffer."""
    batch = sampler.draw(step)
    if buffer.copied is not None:
        buffer.copied.synchronize()
    # `clip` reads no row twice as the checked mode does; the sampler's rows are in range.
    np.take(images, batch.images.numpy(), axis=0, out=buffer.images.numpy(), mode="clip")
    return batch
