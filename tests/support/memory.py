"""Searches the memory of this very process for images.

What is searched for must not be brought along: it is given with every bit flipped, and compared
with flipped memory.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

CHUNK = 2**24
IS_PRESENT = np.uint64(1 << 63)
"""Of a page's entry in `pagemap`: this process has it in memory."""


def flipped(pixels: bytes) -> bytes:
    """The same with every bit the other way round."""
    return bytes(value ^ 0xFF for value in pixels)


def telling_part(pixels: bytes, length: int = 64) -> bytes:
    """The part of an image with the most different values, which nothing else holds by chance."""
    places = range(0, len(pixels) - length + 1, 16)
    best = max(places, key=lambda place: len({*pixels[place : place + length]}))
    return pixels[best : best + length]


def are_in_memory(patterns: Sequence[bytes]) -> list[bool]:
    """Which of the patterns this process holds anywhere, shared memory included.

    Args:
        patterns: Flipped, each shorter than a page.
    """
    haystack = bytearray(CHUNK)
    view = np.frombuffer(haystack, np.uint8)
    own = (view.ctypes.data, view.ctypes.data + CHUNK)
    overlap = max(map(len, patterns))
    found = [False] * len(patterns)
    memory = os.open("/proc/self/mem", os.O_RDONLY)
    try:
        for start, end in _present_ranges():
            for low, high in ((start, min(end, own[0])), (max(start, own[1]), end)):
                for place in range(low, high, CHUNK - overlap):
                    size = min(CHUNK, high - place)
                    try:
                        read = os.preadv(memory, [memoryview(haystack)[:size]], place)
                    except OSError:
                        continue  # given back meanwhile
                    np.bitwise_not(view[:read], out=view[:read])
                    view[read:] = 0
                    found = [
                        known or pattern in haystack
                        for known, pattern in zip(found, patterns, strict=True)
                    ]
    finally:
        os.close(memory)
    return found


def _present_ranges() -> Iterator[tuple[int, int]]:
    """Address ranges of the pages of data that are in memory; program code is left out."""
    page = os.sysconf("SC_PAGE_SIZE")
    pagemap = os.open("/proc/self/pagemap", os.O_RDONLY)
    try:
        for line in Path("/proc/self/maps").read_text().splitlines():
            start, end, rights = re.split(r"[- ]", line)[:3]
            is_of_a_library = ".so" in line and "w" not in rights
            is_kernels = line.endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]"))
            if "r" not in rights or "x" in rights or is_of_a_library or is_kernels:
                continue
            first, last = int(start, 16) // page, int(end, 16) // page
            entries = np.frombuffer(os.pread(pagemap, (last - first) * 8, first * 8), np.uint64)
            is_here = np.concatenate([[False], (entries & IS_PRESENT) != 0, [False]])
            edges = np.flatnonzero(is_here[1:] != is_here[:-1]).reshape(-1, 2)
            for begin, stop in edges:
                yield (first + int(begin)) * page, (first + int(stop)) * page
    finally:
        os.close(pagemap)
