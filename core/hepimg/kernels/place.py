"""Collect entries into sparse images: the pass under pixelation, pooling and every move of cells."""

import numpy as np
from numpy.typing import NDArray

from hepimg.kernels.arrays import Array, common_float, frozen, frozen_offsets
from hepimg.kernels.threads import compiled, over_rows

Images = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]
"""Offsets (n_images + 1,), cells (n_active,) and values (n_active, n_channels)."""

# The powers 2^0 to 2^63 differ modulo 67: the position of a single set bit by one look-up.
ONE, SIXTY_SEVEN = np.uint64(1), np.uint64(67)
BIT_POSITION = np.zeros(67, dtype=np.int64)
BIT_POSITION[[2**bit % 67 for bit in range(64)]] = np.arange(64)


def place(offsets: Array, targets: Array, values: Array, n_cells: int, block_sizes: Array | None = None) -> Images:
    """Add up the entries of each row that share a target cell.

    Args:
        offsets: entries of each row, shape (n_rows + 1,).
        targets: cell of each entry, shape (n_entries,); negative: dropped.
        values: content of each entry, shape (n_entries, n_channels).
        n_cells: cells of an image.
        block_sizes: None, or for each target cell the number of source cells it stands for, shape (n_cells,).  Then the
            largest value is taken instead of the sum, and source cells without an entry count as zero.

    Returns:
        Images with cells sorted and unique in each row.  Cells whose channels are all zero are left out.
    """
    offsets = frozen_offsets(offsets)
    values = frozen(values, common_float(values))
    n_rows, (n_entries, n_channels) = len(offsets) - 1, values.shape
    cells = np.empty(n_entries, dtype=np.int32)
    contents = np.empty((n_entries, n_channels), dtype=np.float32)
    counts = np.zeros(n_rows, dtype=np.int64)
    blocks = frozen(np.zeros(0) if block_sizes is None else block_sizes, np.int64)
    over_rows(_place, n_rows, offsets, frozen(targets, np.int32), values, n_cells, blocks, cells, contents, counts)
    starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts)])
    packed_cells = np.empty(starts[-1], dtype=np.int32)
    packed_contents = np.empty((starts[-1], n_channels), dtype=np.float32)
    over_rows(_pack, n_rows, offsets, starts, cells, contents, packed_cells, packed_contents)
    return starts, packed_cells, packed_contents


@compiled
def _place(
    first: int,
    last: int,
    offsets: Array,
    targets: Array,
    values: Array,
    n_cells: int,
    block_sizes: Array,
    cells: Array,
    contents: Array,
    counts: Array,
) -> None:
    # A table of all cells holds the sums, a bitmap tells which are in use: walking its set bits in order yields the
    # active cells sorted, at a cost that hardly depends on the grid.
    n_channels = values.shape[1]
    largest = len(block_sizes) > 0
    table = np.empty((n_cells, n_channels))
    hits = np.zeros(n_cells if largest else 0, dtype=np.int64)
    words = np.zeros((n_cells + 63) // 64, dtype=np.uint64)
    for row in range(first, last):
        for entry in range(offsets[row], offsets[row + 1]):
            cell = targets[entry]
            if cell < 0:
                continue
            if largest:
                hits[cell] += 1
            word = cell >> 6
            bit = ONE << np.uint64(cell & 63)
            used = words[word]
            if used & bit == 0:
                words[word] = used | bit
                for channel in range(n_channels):
                    table[cell, channel] = values[entry, channel]
            elif largest:
                for channel in range(n_channels):
                    table[cell, channel] = max(table[cell, channel], values[entry, channel])
            else:
                for channel in range(n_channels):
                    table[cell, channel] += values[entry, channel]
        out = offsets[row]
        for word in range(len(words)):
            used = words[word]
            if used == 0:
                continue
            words[word] = 0
            while used != 0:
                lowest = used & (~used + ONE)
                used ^= lowest
                found = 64 * word + BIT_POSITION[lowest % SIXTY_SEVEN]
                if largest:
                    if hits[found] < block_sizes[found]:
                        for channel in range(n_channels):
                            table[found, channel] = max(table[found, channel], 0.0)
                    hits[found] = 0
                active = False
                for channel in range(n_channels):
                    contents[out, channel] = table[found, channel]
                    active |= contents[out, channel] != 0
                cells[out] = found
                out += active
        counts[row] = out - offsets[row]


@compiled
def _pack(
    first: int,
    last: int,
    offsets: Array,
    starts: Array,
    cells: Array,
    contents: Array,
    packed_cells: Array,
    packed_contents: Array,
) -> None:
    for row in range(first, last):
        shift = offsets[row] - starts[row]
        for out in range(starts[row], starts[row + 1]):
            packed_cells[out] = cells[out + shift]
            for channel in range(contents.shape[1]):
                packed_contents[out, channel] = contents[out + shift, channel]
