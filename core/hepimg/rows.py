"""Rows of jagged arrays: which entries belong to the rows that are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = int | slice | NDArray[np.int64] | NDArray[np.bool_] | Sequence[int]


def take_rows(offsets: NDArray[np.int64], rows: Rows) -> tuple[NDArray[np.int64], slice | NDArray[np.int64]]:
    """The offsets of the chosen rows, and the entries that they own (a slice when the rows are consecutive)."""
    n = len(offsets) - 1
    if isinstance(rows, (int, np.integer)):
        if not -n <= rows < n:
            raise IndexError(f"row {rows} of {n}")
        rows = slice(rows % n, rows % n + 1)
    if isinstance(rows, slice) and rows.indices(n)[2] == 1:
        first, last, _ = rows.indices(n)
        last = max(first, last)
        return offsets[first : last + 1] - offsets[first], slice(int(offsets[first]), int(offsets[last]))
    index = np.arange(n)[np.asarray(rows) if not isinstance(rows, slice) else rows]
    counts = np.diff(offsets)[index]
    taken = offsets_of(counts)
    entries = np.arange(taken[-1]) + np.repeat(offsets[index] - taken[:-1], counts)
    return taken, entries


def offsets_of(counts: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """(n + 1,) running sum of (n,) counts, from 0."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
