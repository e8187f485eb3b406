"""The bootstrap: test rows drawn again and again, the same draw for everything that is compared."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def resamples(
    classes: NDArray[np.integer], event: NDArray[np.integer], replicas: int, seed: int
) -> Iterator[NDArray[np.float64]]:
    """How often each row is drawn in each replica.

    Whole events are drawn with replacement within each class, as many as the class has: jets of one event are not
    independent, and the numbers of simulated events are chosen, not measured.

    Args:
        classes: (n,) number of the class of each row.
        event: (n,) number of its event.
        replicas: how many.
        seed: of the draws; the replicas are the same for every quantity evaluated with it.

    Yields:
        (n,) multiplicities.
    """
    random = np.random.default_rng(seed)
    groups = []
    for number in np.unique(classes):
        rows = np.flatnonzero(classes == number)
        events, which = np.unique(event[rows], return_inverse=True)
        groups.append((rows, len(events), which))
    for _ in range(replicas):
        counts = np.zeros(len(classes))
        for rows, size, which in groups:
            counts[rows] = np.bincount(random.integers(size, size=size), minlength=size)[which]
        yield counts
