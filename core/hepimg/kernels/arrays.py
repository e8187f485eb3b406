"""The forms in which arrays enter a kernel: one dtype, one memory layout, and read-only.

Numba compiles a kernel anew for every combination of dtype, layout and writability.  Arrays from a memory map are
read-only and slices are strided; passing all of them in one form keeps every kernel at one or two signatures, and lets
the compiler refuse a kernel that would write into its input.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

Floats = NDArray[np.float64]
Array = NDArray[Any]


def frozen(array: ArrayLike, dtype: DTypeLike) -> Array:
    """A contiguous, read-only view of ``array`` in ``dtype``; copied only where dtype or layout ask for it."""
    view = np.ascontiguousarray(array, dtype=dtype).view()
    view.flags.writeable = False
    return view


def frozen_offsets(offsets: ArrayLike) -> Array:
    """Offsets as kernels take them: int64."""
    return frozen(offsets, np.int64)


def common_float(*arrays: ArrayLike) -> type[np.floating[Any]]:
    """float32 where every array has it, else float64."""
    return np.float32 if all(np.asarray(array).dtype == np.float32 for array in arrays) else np.float64


def longest_row(offsets: Array) -> int:
    """The largest number of entries of any row; 0 for no row."""
    return int(np.diff(offsets).max(initial=0))
