"""What this process takes of the machine: threads, and memory that it keeps."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names of glibc's ``mallopt`` for how much free memory goes back to the system, and what is mapped by itself."""

LARGEST_KEPT, MOST_KEPT = 1 << 25, (1 << 31) - 1
"""Bytes: of one array (older versions of glibc refuse more, and then keep nothing), and of all together."""


def use_threads(number: int) -> None:
    """Let torch and the compiled kernels use so many threads."""
    import torch

    from hepimg.kernels.threads import set_threads

    torch.set_num_threads(number)
    set_threads(number)


def keep_freed_memory() -> None:
    """Keep freed memory for what is allocated next, instead of giving it back to the system.

    A training step allocates and frees the same megabytes again and again.  By default glibc gives them back in
    between, and the system clears every page anew.  Without effect where the C library is another one.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
    mallopt(M_TRIM_THRESHOLD, MOST_KEPT)
