"""Which cells of one set of images feed which cells of another: the pairs of a sparse convolution.

Images come in blocks; a block is searched by one thread, with a table that holds the number of each active cell.
``rows`` and ``columns`` are tables of an axis, taps and outputs (uint64): the coordinate ``i`` feeds ``outputs[i, e]``
through ``taps[i, e]``; where there are fewer than elsewhere, they are filled up with one more than the last coordinate.
The search table has a row and a column more, which are never active.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepimg.kernels.arrays import Array
from hepimg.kernels.team import share
from hepimg.kernels.threads import compiled

Reach = tuple[Array, Array]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]


def find_pairs(
    team: Array,
    images: Array,
    sources: tuple[Array, Array],
    width: int,
    targets: tuple[Array, Array],
    shape: tuple[int, int],
    rows: Reach,
    columns: Reach,
    kernel: tuple[int, int],
    repeats: int,
) -> tuple[Int32, Int32, Int64]:
    """All pairs of a source and a target site, sorted by tap, then by source.

    Args:
        team: :func:`hepimg.kernels.team.team_of`.
        images: (n_blocks + 1,) int64: block b has the images ``images[b]:images[b + 1]``.
        sources: offsets and cells of the images that are read, ``row * width + column``.
        width: their number of columns.
        targets: offsets and cells of the images that are written.
        shape: their rows and columns.
        rows: what each source row feeds.
        columns: what each source column feeds.
        kernel: number of taps per axis; tap ``row tap * kernel[1] + column tap``.
        repeats: the most targets that one source feeds through one tap.

    Returns:
        source (n_pairs,), target (n_pairs,), and edges (taps, n_blocks + 1): the pairs ``edges[k, b]:edges[k, b + 1]``
        are those of tap k in block b.
    """
    n_blocks, n_taps = len(images) - 1, kernel[0] * kernel[1]
    # One place more for each block: see the comment in _draft_pairs.
    firsts = sources[0][images] * repeats + np.arange(n_blocks + 1)
    drafts = np.empty((n_taps, firsts[-1]), np.int64)
    counts = np.zeros((n_taps, n_blocks), np.int64)
    _share_drafts(team, images, firsts, *sources, width, *targets, *shape, *rows, *columns, kernel[1], drafts, counts)
    ends = np.cumsum(counts).reshape(counts.shape)
    edges = np.zeros((n_taps, n_blocks + 1), np.int64)
    edges[:, 1:] = ends
    edges[1:, 0] = edges[:-1, -1]
    inputs, outputs = (np.empty(counts.sum(), np.int32) for _ in range(2))
    _share_collection(team, firsts, drafts, edges, inputs, outputs)
    return inputs, outputs, edges


@compiled
def _share_drafts(team: Array, images: Array, *arguments: Any) -> None:
    share(team, _draft_pairs, len(images) - 1, (images, *arguments))


@compiled
def _share_collection(team: Array, firsts: Array, drafts: Array, edges: Array, inputs: Array, outputs: Array) -> None:
    share(team, _collect_pairs, len(firsts) - 1, (firsts, drafts, edges, inputs, outputs))


@compiled
def _draft_pairs(
    first: int,
    last: int,
    images: Array,
    firsts: Array,
    offsets: Array,
    cells: Array,
    width: int,
    target_offsets: Array,
    target_cells: Array,
    target_height: int,
    target_width: int,
    row_taps: Array,
    row_outputs: Array,
    column_taps: Array,
    column_outputs: Array,
    kernel_width: int,
    drafts: Array,
    counts: Array,
) -> None:
    # Unsigned: numbers that cannot be negative need no look whether they are, and divide faster.
    stride, taps_of_row, divisor = np.uint64(target_width + 1), np.uint64(kernel_width), np.uint32(width)
    table = np.full((target_height + 1) * (target_width + 1), -1, np.int32)
    written = drafts.reshape(-1)
    places = np.empty(len(counts), np.uint64)
    for block in range(first, last):
        for tap in range(len(places)):
            places[tap] = tap * drafts.shape[1] + firsts[block]
        for image in range(images[block], images[block + 1]):
            for target in range(target_offsets[image], target_offsets[image + 1]):
                cell = target_cells[target]
                table[cell + cell // target_width] = target
            for site in range(offsets[image], offsets[image + 1]):
                row = np.uint32(cells[site]) // divisor
                column = np.uint32(cells[site]) - row * divisor
                for a in range(row_outputs.shape[1]):
                    line, first_tap = row_outputs[row, a] * stride, row_taps[row, a] * taps_of_row
                    for b in range(column_outputs.shape[1]):
                        found = np.int64(table[line + column_outputs[column, b]])
                        tap = first_tap + column_taps[column, b]
                        # Written in any case, overwritten if it was no pair: a branch would be mispredicted too often.
                        written[places[tap]] = (site << 32) | (found & 0xFFFFFFFF)
                        places[tap] += np.uint64(found >= 0)
            for target in range(target_offsets[image], target_offsets[image + 1]):
                cell = target_cells[target]
                table[cell + cell // target_width] = -1
        for tap in range(len(places)):
            counts[tap, block] = np.int64(places[tap]) - tap * drafts.shape[1] - firsts[block]


@compiled
def _collect_pairs(
    first: int, last: int, firsts: Array, drafts: Array, edges: Array, inputs: Array, outputs: Array
) -> None:
    for tap in range(len(edges)):
        for block in range(first, last):
            start = edges[tap, block]
            for pair in range(edges[tap, block + 1] - start):
                draft = drafts[tap, firsts[block] + pair]
                inputs[start + pair] = draft >> 32
                outputs[start + pair] = draft & 0xFFFFFFFF


def find_reached(
    team: Array,
    sources: tuple[Array, Array],
    width: int,
    shape: tuple[int, int],
    rows: Reach,
    columns: Reach,
) -> tuple[Int64, Int32]:
    """Every cell that a site feeds: offsets (n_images + 1,) and cells (n_reached,) of the images that are written.

    Args:
        team: :func:`hepimg.kernels.team.team_of`.
        sources: offsets and cells of the images that are read, ``row * width + column``.
        width: their number of columns.
        shape: rows and columns of the images that are written.
        rows: what each source row feeds.
        columns: what each source column feeds.
    """
    most = rows[0].shape[1] * columns[0].shape[1]
    drafts = np.empty(len(sources[1]) * most, np.int32)
    offsets = np.zeros(len(sources[0]), np.int64)
    _share_reached(team, *sources, width, *shape, rows[1], columns[1], drafts, offsets[1:])
    np.cumsum(offsets, out=offsets)
    cells = np.empty(offsets[-1], np.int32)
    _collect_reached(sources[0] * most, offsets, drafts, cells)
    return offsets, cells


@compiled
def _share_reached(team: Array, offsets: Array, *arguments: Any) -> None:
    share(team, _draft_reached, len(offsets) - 1, (offsets, *arguments))


@compiled
def _collect_reached(firsts: Array, offsets: Array, drafts: Array, cells: Array) -> None:
    for image in range(len(offsets) - 1):
        for number in range(offsets[image + 1] - offsets[image]):
            cells[offsets[image] + number] = drafts[firsts[image] + number]


@compiled
def _draft_reached(
    first: int,
    last: int,
    offsets: Array,
    cells: Array,
    width: int,
    target_height: int,
    target_width: int,
    row_outputs: Array,
    column_outputs: Array,
    drafts: Array,
    counts: Array,
) -> None:
    most = row_outputs.shape[1] * column_outputs.shape[1]
    seen_by = np.full(target_height * target_width, -1, np.int32)
    for image in range(first, last):
        start = end = offsets[image] * most
        for site in range(offsets[image], offsets[image + 1]):
            row = cells[site] // width
            column = cells[site] - row * width
            for a in range(row_outputs.shape[1]):
                for b in range(column_outputs.shape[1]):
                    reached_row, reached_column = np.int64(row_outputs[row, a]), np.int64(column_outputs[column, b])
                    if reached_row == target_height or reached_column == target_width:
                        continue
                    cell = reached_row * target_width + reached_column
                    if seen_by[cell] == image:
                        continue
                    seen_by[cell] = image
                    place = end  # sites come sorted, so cells arrive almost sorted: insertion is short
                    while place > start and drafts[place - 1] > cell:
                        drafts[place] = drafts[place - 1]
                        place -= 1
                    drafts[place] = cell
                    end += 1
        counts[image] = end - start
