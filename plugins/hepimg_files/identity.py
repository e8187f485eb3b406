"""Which file it is, and which event of the world: by content, not by place, so that a copy gives the same numbers."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepimg.random import entries_of

END = 1 << 16
"""Bytes of the beginning and of the end of a file that tell it from others of its size."""


def event_numbers(path: Path, numbers: NDArray[Any]) -> NDArray[np.int64]:
    """Numbers that no event of another file has.

    Args:
        path: the file.
        numbers: (n_rows,) of the events within it.

    Returns:
        (n_rows,) not negative, the same for the same event however the file is called, cut into chunks, or listed.
    """
    status = path.stat()
    rows = np.full(len(numbers), _fingerprint(path, status.st_size, status.st_mtime_ns))
    return entries_of(rows, numbers) & np.int64(2**63 - 1)


@lru_cache(maxsize=1024)
def _fingerprint(path: Path, size: int, modified: int) -> np.int64:
    """A hash of size, beginning and end; ``modified`` tells whether it has to be taken again."""
    with path.open("rb") as file:
        digest = hashlib.sha256(size.to_bytes(8, "little") + file.read(END))
        file.seek(max(size - END, 0))
        digest.update(file.read(END))
    return np.int64(int.from_bytes(digest.digest()[:8], "little") >> 1)
