"""Items that belong to sites: their order by site, and the largest of each site."""

import numpy as np
from numpy.typing import NDArray

from hepimg.kernels.arrays import Array
from hepimg.kernels.team import share
from hepimg.kernels.threads import compiled

Int32 = NDArray[np.int32]


@compiled
def group_by_counting(index: Array, n_sites: int) -> tuple[Int32, Int32]:
    """Sort items by their site, keeping the order within a site: starts (n_sites + 1,) and order (n_items,)."""
    starts = np.zeros(n_sites + 1, np.int32)
    for site in index:
        starts[site + 1] += 1
    for site in range(n_sites):
        starts[site + 1] += starts[site]
    cursor = starts[:-1].copy()
    order = np.empty(len(index), np.int32)
    for item in range(len(index)):
        order[cursor[index[item]]] = item
        cursor[index[item]] += 1
    return starts, order


@compiled
def find_largest(team: Array, values: Array, starts: Array, order: Array, winners: Array) -> None:
    """Write the first item with the largest value of each site and column, -1 for a site without items.

    Args:
        team: :func:`hepimg.kernels.team.team_of`.
        values: (n_items, C).
        starts: (n_sites + 1,) int32, of :func:`group_by_counting`.
        order: (n_items,) int32, likewise.
        winners: (n_sites, C) int64, written.
    """
    share(team, _find_largest, len(winners), (values, starts, order, winners))


@compiled
def _find_largest(first: int, last: int, values: Array, starts: Array, order: Array, winners: Array) -> None:
    for site in range(first, last):
        winners[site] = -1
        for place in range(starts[site], starts[site + 1]):
            item = order[place]
            for column in range(values.shape[1]):
                best, value = winners[site, column], values[item, column]
                # The first NaN wins, as in torch: a maximum must not hide it.
                if (
                    best < 0
                    or value > values[best, column]
                    or (value != value and values[best, column] == values[best, column])
                ):
                    winners[site, column] = item
