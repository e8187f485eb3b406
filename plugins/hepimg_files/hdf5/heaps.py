"""Global heaps of HDF5, where texts of variable length lie: one damaged length makes libhdf5 (2.0.0) loop for ever."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

SIGNATURE = b"GCOL\x01"
"""How a global heap collection begins (HDF5 File Format Specification, III.E)."""

HEADER = 16
"""Bytes before the first object of a collection, and of each object before its data."""


BLOCK = 1 << 24
"""Bytes that are searched at a time."""


@lru_cache(maxsize=64)
def find_endless_heap(path: Path, size: int, modified: int) -> int | None:
    """The place of an object whose length keeps a reader from ever coming to the next one; None: there is none.

    Args:
        path: of the file, which is searched from end to end.
        size: of the file; with ``modified``, it tells whether the file is still the one that was searched.
        modified: when the file was changed, in ns.
    """
    with path.open("rb") as file:
        for start in _starts(file, size):
            file.seek(start)
            end = min(start + int.from_bytes(file.read(HEADER)[8:], "little"), size)
            place = start + HEADER
            while place + HEADER <= end:
                file.seek(place)
                step = _step(file.read(HEADER))
                if not step:
                    return place
                place += step
    return None


def _starts(file: BinaryIO, size: int) -> Iterator[int]:
    """Where collections begin, found block by block: a file of any size takes little memory."""
    for first in range(0, size, BLOCK):
        file.seek(first)
        block = file.read(BLOCK + len(SIGNATURE) - 1)
        found = block.find(SIGNATURE)
        while found >= 0:
            yield first + found
            found = block.find(SIGNATURE, found + 1)


def _step(header: bytes) -> int:
    """Bytes from an object to the next, in 64-bit arithmetic as in libhdf5; object 0 is what is free."""
    index, length = int.from_bytes(header[:2], "little"), int.from_bytes(header[8:], "little")
    return (HEADER + (length + 7) // 8 * 8) % 2**64 if index else length
