"""Global heaps of HDF5, where texts of variable length lie: one damaged length makes libhdf5 (2.0.0) loop for ever."""

from __future__ import annotations

from functools import lru_cache
from mmap import ACCESS_READ, mmap
from pathlib import Path

SIGNATURE = b"GCOL\x01"
"""How a global heap collection begins (HDF5 File Format Specification, III.E)."""

HEADER = 16
"""Bytes before the first object of a collection, and of each object before its data."""


@lru_cache(maxsize=64)
def find_endless_heap(path: Path, size: int, modified: int) -> int | None:
    """The place of an object whose length keeps a reader from ever coming to the next one; None: there is none.

    Args:
        path: of the file, which is searched from end to end.
        size: of the file; with ``modified``, it tells whether the file is still the one that was searched.
        modified: when the file was changed, in ns.
    """
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as view:
        start = view.find(SIGNATURE)
        while start >= 0:
            end = min(start + int.from_bytes(view[start + 8 : start + 16], "little"), size)
            place = start + HEADER
            while place + HEADER <= end:
                step = _step(view[place : place + HEADER])
                if not step:
                    return place
                place += step
            start = view.find(SIGNATURE, start + 1)
    return None


def _step(header: bytes) -> int:
    """Bytes from an object to the next, in 64-bit arithmetic as in libhdf5; object 0 is what is free."""
    index, length = int.from_bytes(header[:2], "little"), int.from_bytes(header[8:], "little")
    return (HEADER + (length + 7) // 8 * 8) % 2**64 if index else length
