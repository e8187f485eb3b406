"""Counter-based random numbers: a number belongs to (seed, stream, row, draw), not to the order of the calls.

So an augmentation does not depend on the batch size, on the number of workers, or on where an interrupted run resumed.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def derive_seed(*parts: int | str) -> int:
    """A 63-bit seed from names and numbers, the same on every machine."""
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "little") >> 1


def uniform(rows: NDArray[np.int64], *key: int | str) -> NDArray[np.float64]:
    """One number in [0, 1) for each row.

    Args:
        rows: (n,) identifiers of the rows.
        key: whatever else the numbers belong to: seed, epoch, name of the step.

    Returns:
        (n,) float64; the same row and key give the same number, whatever stands beside them.
    """
    with np.errstate(over="ignore"):
        bits = _mix(_mix(rows.astype(np.uint64) + np.uint64(1)) ^ np.uint64(derive_seed(*key)))
    return np.asarray((bits >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def normal(rows: NDArray[np.int64], *key: int | str) -> NDArray[np.float64]:
    """One number of the normal distribution (mean 0, variance 1) for each row (G. Box, M. Muller, 1958).

    Args:
        rows: (n,) identifiers of the rows.
        key: whatever else the numbers belong to.

    Returns:
        (n,) float64; the same row and key give the same number.
    """
    radius = np.sqrt(-2 * np.log1p(-uniform(rows, *key, "radius")))
    return np.asarray(radius * np.cos(2 * np.pi * uniform(rows, *key, "angle")))


def entries_of(rows: NDArray[np.int64], numbers: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Identifiers of entries within rows (a cell of an event ...), for :func:`uniform` and :func:`normal`.

    Args:
        rows: (n,) identifiers of the rows that the entries belong to.
        numbers: (n,) the entries' numbers within their rows.
    """
    with np.errstate(over="ignore"):
        return _mix(_mix(rows.astype(np.uint64)) + numbers.astype(np.uint64)).view(np.int64)


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    x = x * _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
