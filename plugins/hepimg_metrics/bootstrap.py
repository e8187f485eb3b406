"""Test rows drawn again and again, halved, and cut into blocks: whole events, within each class."""

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
    groups = list(_events(classes, event))
    for _ in range(replicas):
        counts = np.zeros(len(classes))
        for rows, size, which in groups:
            counts[rows] = np.bincount(random.integers(size, size=size), minlength=size)[which]
        yield counts


def halves(
    classes: NDArray[np.integer], event: NDArray[np.integer], number: int, seed: int
) -> Iterator[NDArray[np.bool_]]:
    """Random halves of the rows: of the events of each class.

    Args:
        classes: (n,) number of the class of each row.
        event: (n,) number of its event.
        number: how many.
        seed: of the choice.

    Yields:
        (n,) which rows are in the first half; nothing where no class has two events.
    """
    random = np.random.default_rng(seed)
    groups = list(_events(classes, event))
    for _ in range(number if any(size > 1 for _, size, _ in groups) else 0):
        first = np.zeros(len(classes), bool)
        for rows, size, which in groups:
            first[rows] = (random.permutation(size) < size // 2)[which]
        yield first


def blocks(classes: NDArray[np.integer], event: NDArray[np.integer], number: int, seed: int) -> NDArray[np.int64]:
    """(n,) random blocks, 0 to number - 1, of equally many events of each class (to one).

    Args:
        classes: (n,) number of the class of each row.
        event: (n,) number of its event.
        number: how many.
        seed: of the choice.
    """
    random = np.random.default_rng(seed)
    found = np.zeros(len(classes), np.int64)
    for rows, size, which in _events(classes, event):
        found[rows] = random.permutation(size)[which] % number
    return found


def spread(replicas: NDArray[np.float64]) -> float | None:
    """The standard deviation over the replicas in which a number exists; None: there are not two."""
    known = replicas[np.isfinite(replicas)]
    return float(known.std(ddof=1)) if len(known) > 1 else None


def _events(
    classes: NDArray[np.integer], event: NDArray[np.integer]
) -> Iterator[tuple[NDArray[np.int64], int, NDArray[np.int64]]]:
    """Of each class: its rows, how many events these have, and which event each of them is of."""
    for number in np.unique(classes):
        rows = np.flatnonzero(classes == number)
        events, which = np.unique(event[rows], return_inverse=True)
        yield rows, len(events), which
