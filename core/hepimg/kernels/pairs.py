"""Which cells of one set of images feed which cells of another: the pairs of a sparse convolution.

Images come in blocks; a block is searched by one thread, with a table that holds the number of each active cell.
``rows`` and ``columns`` are tables of an axis, taps and outputs (uint64): the coordinate ``i`` feeds ``outputs[i, e]``
through ``taps[i, e]``; where there are fewer than elsewhere, they are filled up with one more than the last coordinate.
The search table has a row and a column more, which are never active.
"""

import numpy as np
from numpy.typing import NDArray

from hepimg.kernels.arrays import Array
from hepimg.kernels.team import share
from hepimg.kernels.threads import compiled

Reach = tuple[Array, Array]
Int32, Int64 = NDArray[np.int32], NDArray[np.int64]


@compiled
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
    drafts = np.empty((n_taps, len(sources[1]) * repeats + n_blocks), np.int64)
    counts = np.zeros((n_blocks, n_taps), np.int64)
    share(
        team, _draft_pairs, n_blocks,
        (images, sources, width, targets, shape, rows, columns, kernel[1], repeats, drafts, counts),
    )  # fmt: skip
    edges = np.empty((n_taps, n_blocks + 1), np.int64)
    n_pairs = 0
    for tap in range(n_taps):
        for block in range(n_blocks):
            edges[tap, block] = n_pairs
            n_pairs += counts[block, tap]
        edges[tap, n_blocks] = n_pairs
    inputs, outputs = np.empty(n_pairs, np.int32), np.empty(n_pairs, np.int32)
    share(team, _collect_pairs, n_blocks, (images, sources[0], repeats, drafts, edges, inputs, outputs))
    return inputs, outputs, edges


@compiled
def _draft_pairs(
    first: int,
    last: int,
    images: Array,
    sources: tuple[Array, Array],
    width: int,
    targets: tuple[Array, Array],
    shape: tuple[int, int],
    rows: Reach,
    columns: Reach,
    kernel_width: int,
    repeats: int,
    drafts: Array,
    counts: Array,
) -> None:
    offsets, cells = sources
    target_offsets, target_cells = targets
    row_taps, row_outputs = rows
    column_taps, column_outputs = columns
    stride = np.uint64(shape[1] + 1)
    table = np.full((shape[0] + 1) * (shape[1] + 1), -1, np.int32)
    written = drafts.ravel()
    places = np.empty(counts.shape[1], np.uint64)
    for block in range(first, last):
        start = np.uint64(offsets[images[block]] * repeats + block)
        for tap in range(len(places)):
            places[tap] = start + np.uint64(tap * drafts.shape[1])
        for image in range(images[block], images[block + 1]):
            for target in range(target_offsets[image], target_offsets[image + 1]):
                cell = target_cells[target]
                table[cell + cell // shape[1]] = target
            for site in range(offsets[image], offsets[image + 1]):
                row = cells[site] // width
                column = cells[site] - row * width
                for a in range(row_outputs.shape[1]):
                    line = row_outputs[row, a] * stride
                    for b in range(column_outputs.shape[1]):
                        target = np.int64(table[line + column_outputs[column, b]])
                        place = places[row_taps[row, a] * kernel_width + column_taps[column, b]]
                        # Written in any case, overwritten if it was no pair: a branch would be mispredicted too often.
                        written[place] = (site << 32) | (target & 0xFFFFFFFF)
                        places[row_taps[row, a] * kernel_width + column_taps[column, b]] += target >= 0
            for target in range(target_offsets[image], target_offsets[image + 1]):
                cell = target_cells[target]
                table[cell + cell // shape[1]] = -1
        for tap in range(len(places)):
            counts[block, tap] = places[tap] - start - np.uint64(tap * drafts.shape[1])


@compiled
def _collect_pairs(
    first: int,
    last: int,
    images: Array,
    offsets: Array,
    repeats: int,
    drafts: Array,
    edges: Array,
    inputs: Array,
    outputs: Array,
) -> None:
    for tap in range(len(edges)):
        for block in range(first, last):
            start = offsets[images[block]] * repeats + block
            n_pairs = edges[tap, block + 1] - edges[tap, block]
            found = drafts[tap, start : start + n_pairs]
            sources, targets = inputs[edges[tap, block] :], outputs[edges[tap, block] :]
            for pair in range(n_pairs):
                sources[pair] = found[pair] >> 32
                targets[pair] = found[pair] & 0xFFFFFFFF


@compiled
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
    n_images, most = len(sources[0]) - 1, rows[0].shape[1] * columns[0].shape[1]
    drafts = np.empty(len(sources[1]) * most, np.int32)
    counts = np.zeros(n_images, np.int64)
    share(team, _draft_reached, n_images, (sources, width, shape, rows, columns, most, drafts, counts))
    offsets = np.zeros(n_images + 1, np.int64)
    for image in range(n_images):
        offsets[image + 1] = offsets[image] + counts[image]
    cells = np.empty(offsets[n_images], np.int32)
    for image in range(n_images):
        draft = sources[0][image] * most
        for number in range(counts[image]):
            cells[offsets[image] + number] = drafts[draft + number]
    return offsets, cells


@compiled
def _draft_reached(
    first: int,
    last: int,
    sources: tuple[Array, Array],
    width: int,
    shape: tuple[int, int],
    rows: Reach,
    columns: Reach,
    most: int,
    drafts: Array,
    counts: Array,
) -> None:
    offsets, cells = sources
    row_outputs, column_outputs = rows[1], columns[1]
    seen_by = np.full(shape[0] * shape[1], -1, np.int32)
    for image in range(first, last):
        start = end = offsets[image] * most
        for site in range(offsets[image], offsets[image + 1]):
            row = cells[site] // width
            column = cells[site] - row * width
            for a in range(row_outputs.shape[1]):
                for b in range(column_outputs.shape[1]):
                    reached_row, reached_column = np.int64(row_outputs[row, a]), np.int64(column_outputs[column, b])
                    if reached_row == shape[0] or reached_column == shape[1]:
                        continue
                    cell = reached_row * shape[1] + reached_column
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
