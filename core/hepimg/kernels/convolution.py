"""Sparse convolution of float32 features: gather, matrix product and scatter in one pass.

A convolution sums ``x[input] @ w[tap]`` into ``y[output]`` over the pairs of each tap.  Its two gradients are the same
sum with inputs and outputs exchanged, and a sum of outer products.  Pairs come sorted by tap, and each tap's by blocks
of images, which no pair leaves: a block's rows stay in the cache while all taps pass over them, and blocks can be given
to threads.  Each output is summed in the order of the taps, whatever the number of blocks and threads.

Channels must be multiples of :data:`~hepimg.kernels.tile.LANES`.
"""

import numpy as np

from hepimg.kernels.arrays import Array
from hepimg.kernels.team import share
from hepimg.kernels.threads import compiled, inlined
from hepimg.kernels.tile import LANES, ROWS, outer_tile, rows_tile

PAIRS = 128
"""Pairs whose rows are multiplied together in outer products: their rows stay in the nearest cache."""

GROUPS = 4
"""Groups of blocks whose outer products are summed apart, so that threads need not all read everything."""

_rows_of_one, _rows_of_two, _rows_of_three = rows_tile(1), rows_tile(2), rows_tile(3)
_outer_of_one, _outer_of_two, _outer_of_three = outer_tile(1), outer_tile(2), outer_tile(3)


@compiled
def convolve(
    team: Array,
    x: Array,
    w: Array,
    inputs: Array,
    outputs: Array,
    edges: Array,
    owned: Array,
    whole: int,
    onto: Array,
    y: Array,
) -> None:
    """Write ``y[o] = onto[o] + sum of x[i] @ w[k]`` over the pairs (i, o) of each tap k.

    Args:
        team: :func:`hepimg.kernels.team.team_of`.
        x: (n_inputs, C).
        w: (taps, C, D).
        inputs: (n_pairs,) int32, sorted by tap, then by block.
        outputs: (n_pairs,) int32.
        edges: (taps, n_blocks + 1) int64: the pairs ``edges[k, b]:edges[k, b + 1]`` are those of tap k in block b.
        owned: (n_blocks + 1,) int64: block b owns the outputs ``owned[b]:owned[b + 1]``.
        whole: the tap that comes first.  One that reads every input once, in order, brings them into the cache.
        onto: (n_outputs, D), or without any row for zeros.
        y: (n_outputs + n_blocks, D), written; the last rows are used as waste, one by each block.
    """
    share(team, _convolve, len(owned) - 1, (x, w, inputs, outputs, edges, owned, whole, onto, y))


@compiled
def _convolve(
    first: int,
    last: int,
    x: Array,
    w: Array,
    inputs: Array,
    outputs: Array,
    edges: Array,
    owned: Array,
    whole: int,
    onto: Array,
    y: Array,
) -> None:
    # What remains of a tap is filled up to a whole tile with rows that go to waste.
    sources = np.empty(ROWS, np.int32)
    targets = np.empty(ROWS, np.int32)
    for block in range(first, last):
        for row in range(owned[block], owned[block + 1]):
            for column in range(y.shape[1]):
                y[row, column] = onto[row, column] if len(onto) else 0
        for turn in range(len(w)):
            tap = _tap(turn, whole)
            # A view is counted, in memory that all threads write to: taken here, not for each tile.
            matrix = w[tap]
            pair, stop = edges[tap, block], edges[tap, block + 1]
            while pair + ROWS <= stop:
                following = pair + ROWS if pair + 2 * ROWS <= stop else pair
                _add_rows(x, matrix, y, inputs, outputs, pair, following)
                pair += ROWS
            if pair == stop:
                continue
            for r in range(ROWS):
                sources[r] = inputs[min(pair + r, stop - 1)]
                targets[r] = outputs[pair + r] if pair + r < stop else owned[-1] + block
            _add_rows(x, matrix, y, sources, targets, 0, 0)


@compiled
def _tap(turn: int, whole: int) -> int:
    """All taps, ``whole`` first."""
    if turn > whole:
        return turn
    return whole if turn == 0 else turn - 1


@inlined
def _add_rows(x: Array, w: Array, y: Array, sources: Array, targets: Array, at: int, following: int) -> None:
    column, width = 0, y.shape[1]
    while column + 3 * LANES <= width and column + 4 * LANES != width:
        _rows_of_three(x, w, column, y, sources, targets, at, following)
        column += 3 * LANES
    while column + 2 * LANES <= width:
        _rows_of_two(x, w, column, y, sources, targets, at, following)
        column += 2 * LANES
    if column < width:
        _rows_of_one(x, w, column, y, sources, targets, at, following)


@compiled
def add_outer(
    team: Array, x: Array, g: Array, inputs: Array, outputs: Array, edges: Array, whole: int, parts: Array
) -> None:
    """Write ``parts[:, k]``, whose sum is that of the outer products of x[i] and g[o] over the pairs (i, o) of tap k.

    Args:
        team: :func:`hepimg.kernels.team.team_of`.
        x: (n_inputs, C).
        g: (n_outputs, D).
        inputs: (n_pairs,) int32, sorted by tap, then by block.
        outputs: (n_pairs,) int32.
        edges: (taps, n_blocks + 1) int64, see :func:`convolve`.
        whole: see there.
        parts: (GROUPS, taps, C, D), written; each is the sum over some blocks.
    """
    share(team, _outer, GROUPS * (x.shape[1] // ROWS), (x, g, inputs, outputs, edges, whole, parts))


@compiled
def _outer(
    first: int, last: int, x: Array, g: Array, inputs: Array, outputs: Array, edges: Array, whole: int, parts: Array
) -> None:
    """Some rows of the sum over some groups of blocks; ``first:last`` counts the tiles of all groups."""
    tiles, n_blocks = x.shape[1] // ROWS, edges.shape[1] - 1
    for group in range(first // tiles, (last + tiles - 1) // tiles):
        low, high = max(first - group * tiles, 0), min(last - group * tiles, tiles)
        sums = parts[group]
        for tap in range(len(sums)):
            for row in range(low * ROWS, high * ROWS):
                for column in range(g.shape[1]):
                    sums[tap, row, column] = 0
        for block in range(group * n_blocks // GROUPS, (group + 1) * n_blocks // GROUPS):
            for turn in range(len(sums)):
                tap = _tap(turn, whole)
                outer = sums[tap]
                for pair in range(edges[tap, block], edges[tap, block + 1], PAIRS):
                    stop = min(pair + PAIRS, edges[tap, block + 1])
                    for tile in range(low, high):
                        _add_products(x, tile * ROWS, g, outer, inputs, outputs, pair, stop)


@inlined
def _add_products(
    x: Array, row: int, g: Array, sums: Array, inputs: Array, outputs: Array, first: int, last: int
) -> None:
    column, width = 0, g.shape[1]
    while column + 3 * LANES <= width and column + 4 * LANES != width:
        _outer_of_three(x, row, g, column, sums, inputs, outputs, first, last)
        column += 3 * LANES
    while column + 2 * LANES <= width:
        _outer_of_two(x, row, g, column, sums, inputs, outputs, first, last)
        column += 2 * LANES
    if column < width:
        _outer_of_one(x, row, g, column, sums, inputs, outputs, first, last)
