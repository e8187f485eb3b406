"""How kernels are compiled, and how their rows are shared among threads.

Kernels are compiled once, without the global interpreter lock, for a range of rows ``first:last``; :func:`over_rows`
hands out the ranges.  Rows are independent, so the result does not depend on the number of threads.  (Numba's own
``parallel=True`` has a default thread pool that must not be entered by two threads.)
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

HEAVY_ROWS, LIGHT_ROWS = 32, 2048
"""Fewer rows than this for each thread are not shared out: waking a thread takes as long as some rows of clustering, or
a thousand rows of a kernel that needs less than a microsecond for each."""

_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def compiled(function: Function) -> Function:
    """Compile ``function`` with Numba at its first call; keep the machine code on disk for the next process."""
    kernel: Function = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    return kernel


def inlined(function: Function) -> Function:
    """Compile ``function`` as part of whatever calls it: for inner loops, where passing arrays would take time."""
    kernel: Function = numba.njit(forceinline=True, nogil=True, error_model="numpy")(function)
    return kernel


def set_threads(number: int) -> None:
    """Use ``number`` threads in every kernel of this process."""
    global _threads
    if number < 1:
        raise ValueError(f"at least one thread is needed, not {number}")
    _threads = number


def get_threads() -> int:
    """The number of threads that kernels use."""
    return _threads


def over_rows(kernel: Callable[..., None], n_rows: int, *arguments: Any, least: int = HEAVY_ROWS) -> None:
    """Call ``kernel(first, last, *arguments)`` for ranges that cover ``0:n_rows`` once.

    The kernel writes its results into the arrays among ``arguments``, each row into its own place.

    Args:
        kernel: a compiled function.
        n_rows: the number of rows.
        arguments: of the kernel.
        least: rows for each thread, at least.
    """
    shares = max(1, min(_threads, n_rows // least))
    if shares == 1:
        kernel(0, n_rows, *arguments)
        return
    edges = [n_rows * share // shares for share in range(shares + 1)]
    work = [_pool(shares).submit(kernel, first, last, *arguments) for first, last in pairwise(edges)]
    for part in work:
        part.result()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="hepimg-kernel")
