"""Collect entries into sparse images: the pass under pixelation, pooling and every move of cells."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepimg.kernels.arrays import Array
from hepimg.kernels.threads import compiled

Images = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]
"""Offsets (n_images + 1,), cells (n_active,) and values (n_active, n_channels)."""

ONE = np.uint64(1)


def pack(begins: Array, counts: Array, cells: Array, contents: Array) -> Images:
    """Close the gaps that kernels leave between their shares of the rows.

    Args:
        begins: where the cells of each row begin, shape (n_rows,).
        counts: how many there are, shape (n_rows,).
        cells: with room for every entry, shape (n_entries,); it is cut to the cells in use.
        contents: likewise, shape (n_entries, n_channels).
    """
    starts = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=starts[1:])
    gaps = begins - starts[:-1]
    edges = [0, *(np.flatnonzero(np.diff(gaps)) + 1), len(counts)]
    n_channels = contents.shape[1]
    # an array would copy what overlaps twice; bytes move at once
    cell_bytes, content_bytes = cells.data, contents.reshape(-1).data
    for first, last in pairwise(edges):
        to, end = starts[first], starts[last]
        if end > to and gaps[first] > 0:
            source, source_end = to + gaps[first], end + gaps[first]
            cell_bytes[to:end] = cell_bytes[source:source_end]
            to, end, source, source_end = (n_channels * place for place in (to, end, source, source_end))
            content_bytes[to:end] = content_bytes[source:source_end]
    del cell_bytes, content_bytes
    # gives memory back without another copy
    cells.resize(starts[-1], refcheck=False)
    contents.resize((starts[-1], contents.shape[1]), refcheck=False)
    return starts, cells, contents


@compiled
def add_up(targets: Array, values: Array, table: Array, words: Array, groups: Array) -> None:
    """Add ``values`` (n_entries, n_channels) into the cells ``targets`` of a table; negative: dropped.

    The bitmap ``words`` tells which cells are in use, so that the table need not be cleared; ``groups`` tells which
    words are.
    """
    for k in range(len(targets)):
        cell = targets[k]
        if cell < 0:
            continue
        fresh = mark(cell, words, groups)
        # channel 0 by itself: most images have no other, and the loop costs more than what is in it
        before = table[cell, 0]
        table[cell, 0] = (0.0 if fresh else before) + values[k, 0]
        for channel in range(1, values.shape[1]):
            before = table[cell, channel]
            table[cell, channel] = (0.0 if fresh else before) + values[k, channel]


@compiled
def mark(cell: int, words: Array, groups: Array) -> bool:
    """Note that a cell is in use; whether it was not before."""
    word = cell >> 6
    bit = ONE << np.uint64(cell & 63)
    used = words[word]
    words[word] = used | bit
    groups[word >> 6] |= ONE << np.uint64(word & 63)
    return bool(used & bit == 0)


@compiled
def collect(out: int, table: Array, words: Array, groups: Array, cells: Array, contents: Array) -> int:
    """Write the cells in use from ``out`` on, in order and without those that are zero, and clear the bitmap.

    Walking the set bits yields the cells sorted, at a cost that hardly depends on the grid.

    Returns:
        Where the next row begins.
    """
    for group in range(len(groups)):
        filled = groups[group]
        groups[group] = 0
        while filled != 0:
            word = 64 * group + _lowest_bit(filled)
            filled &= filled - ONE
            used = words[word]
            words[word] = 0
            while used != 0:
                cell = 64 * word + _lowest_bit(used)
                used &= used - ONE
                cells[out] = cell
                contents[out, 0] = table[cell, 0]
                active = contents[out, 0] != 0
                for channel in range(1, table.shape[1]):
                    contents[out, channel] = table[cell, channel]
                    active |= contents[out, channel] != 0
                out += active
    return out


@compiled
def _lowest_bit(word: Any) -> int:
    """The position of the lowest set bit: how many there are below it."""
    below = (word - ONE) & ~word
    position = 0
    while below != 0:  # the compiler knows this loop: it becomes one instruction
        below &= below - ONE
        position += 1
    return position
