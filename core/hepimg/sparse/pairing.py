"""Which input site reaches which output site: by a table of cells (Numba, CPU) or by sort and search (torch, CUDA).

Both work from one table per axis (:class:`AxisReach`), which holds stride, padding, dilation and wrapping; so they
know of nothing but "input coordinate ``i`` feeds output coordinate ``o`` through tap ``k``".
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hepimg.kernels.threads import compiled

if TYPE_CHECKING:
    from hepimg.sparse.support import Support

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class AxisReach:
    """Input coordinate ``i`` of an axis owns the entries ``starts[i]:starts[i + 1]`` of ``taps`` and ``outputs``.

    One tap leads to one output, except where a periodic axis is padded: there to ``repeats`` of them at most.
    """

    starts: Int64
    taps: Int64
    outputs: Int64
    n_outputs: int
    repeats: int

    @property
    def most(self) -> int:
        """The largest number of outputs that one coordinate feeds."""
        return int(np.diff(self.starts).max(initial=0))


@lru_cache(maxsize=256)
def axis_reach(size: int, kernel: int, stride: int, padding: int, dilation: int, periodic: bool) -> AxisReach:
    """Convolution along one axis, as in torch: output ``o`` reads input ``o * stride - padding + k * dilation``."""
    n_outputs = max(0, (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1)
    output, tap = np.divmod(np.arange(n_outputs * kernel), kernel)
    source = output * stride - padding + tap * dilation
    inside = (source >= 0) & (source < size)
    if periodic:
        source, inside = source % size, np.ones_like(inside)
    source, output, tap = source[inside], output[inside], tap[inside]
    order = np.argsort(source, kind="stable")
    starts = np.searchsorted(source[order], np.arange(size + 1)).astype(np.int64)
    repeats = int(np.bincount(source * kernel + tap).max(initial=1))
    return AxisReach(starts, tap[order].astype(np.int64), output[order].astype(np.int64), n_outputs, repeats)


def reached_by_table(source: "Support", rows: AxisReach, columns: AxisReach) -> tuple[Tensor, Tensor]:
    """Every output cell that a site reaches: offsets (int64) and cells (int32) per image, sorted."""
    capacity = len(source.cells) * rows.most * columns.most
    offsets, cells = _reached(
        source.offsets.numpy(), source.cells.numpy(), source.shape[1],
        rows.starts, rows.outputs, columns.starts, columns.outputs, rows.n_outputs, columns.n_outputs, capacity,
    )  # fmt: skip
    return torch.from_numpy(offsets), torch.from_numpy(cells)


def pairs_by_table(
    source: "Support", target: "Support", rows: AxisReach, columns: AxisReach, kernel: tuple[int, int]
) -> tuple[Tensor, Tensor, list[int]]:
    """Pairs of input and output site (int32 each), sorted by tap, then input; and where each tap's pairs start."""
    inputs, outputs, starts = _pairs(
        source.offsets.numpy(), source.cells.numpy(), source.shape[1], target.offsets.numpy(), target.cells.numpy(),
        rows.starts, rows.taps, rows.outputs, columns.starts, columns.taps, columns.outputs,
        rows.n_outputs, columns.n_outputs, kernel[1], kernel[0] * kernel[1],
        len(source.cells) * rows.repeats * columns.repeats,
    )  # fmt: skip
    return torch.from_numpy(inputs), torch.from_numpy(outputs), starts.tolist()


def reached_by_sort(source: "Support", rows: AxisReach, columns: AxisReach) -> Tensor:
    """Every output cell that a site reaches, as sorted unique keys (image * output cells + cell); for CUDA."""
    _, keys, _ = _candidates(source, rows, columns, 1)
    unique: Tensor = torch.unique(keys)
    return unique


def pairs_by_search(
    source: "Support", target: "Support", rows: AxisReach, columns: AxisReach, kernel: tuple[int, int]
) -> tuple[Tensor, Tensor, list[int]]:
    """What :func:`pairs_by_table` gives, by sort and search; for CUDA."""
    inputs, keys, taps = _candidates(source, rows, columns, kernel[1])
    outputs = torch.searchsorted(target.keys, keys)
    padded = torch.cat([target.keys, target.keys.new_full((1,), -1)])
    found = padded[outputs] == keys
    inputs, outputs, taps = inputs[found], outputs[found], taps[found]
    taps, order = torch.sort(taps, stable=True)
    edges = torch.arange(kernel[0] * kernel[1] + 1, device=taps.device)
    starts: list[int] = torch.searchsorted(taps, edges).tolist()
    return inputs[order].to(torch.int32), outputs[order].to(torch.int32), starts


def group_by_sort(index: Tensor, n_sites: int) -> tuple[Tensor, Tensor]:
    """What :func:`group_by_counting` gives, by a stable sort; for CUDA."""
    sites, order = torch.sort(index, stable=True)
    edges = torch.arange(n_sites + 1, dtype=index.dtype, device=index.device)
    return torch.searchsorted(sites, edges, out_int32=True), order.to(torch.int32)


def _candidates(source: "Support", rows: AxisReach, columns: AxisReach, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Input site, output key and tap of every output cell that the kernel reaches, whether active or not."""
    _, row, column = source.sites.long().unbind(1)
    row_tap, row_output = (table[row][:, :, None] for table in _padded(rows, source.device))
    column_tap, column_output = (table[column][:, None, :] for table in _padded(columns, source.device))
    area = rows.n_outputs * columns.n_outputs
    image = source.images.index.long()[:, None, None]
    keys = image * area + row_output * columns.n_outputs + column_output
    taps = row_tap * width + column_tap
    inside = (row_output >= 0) & (column_output >= 0)
    return inside.nonzero()[:, 0], keys[inside], taps[inside]


def _padded(reach: AxisReach, device: torch.device) -> tuple[Tensor, Tensor]:
    """Taps and outputs as (coordinates, most) tables, filled up with -1."""
    counts = np.diff(reach.starts)
    present = np.arange(reach.most)[None, :] < counts[:, None]
    tables = []
    for entries in (reach.taps, reach.outputs):
        table = np.full(present.shape, -1)
        table[present] = entries
        tables.append(torch.from_numpy(table).to(device))
    return tables[0], tables[1]


@compiled
def _reached(
    offsets: Int64, cells: Int32, width: int,
    row_starts: Int64, row_outputs: Int64, column_starts: Int64, column_outputs: Int64,
    n_rows: int, n_columns: int, capacity: int,
) -> tuple[Int64, Int32]:  # fmt: skip
    n_images = len(offsets) - 1
    new_offsets = np.zeros(n_images + 1, np.int64)
    new_cells = np.empty(capacity, np.int32)
    seen_by = np.full(n_rows * n_columns, -1, np.int32)
    n = 0
    for image in range(n_images):
        first = n
        for site in range(offsets[image], offsets[image + 1]):
            row, column = cells[site] // width, cells[site] % width
            for a in range(row_starts[row], row_starts[row + 1]):
                for b in range(column_starts[column], column_starts[column + 1]):
                    cell = row_outputs[a] * n_columns + column_outputs[b]
                    if seen_by[cell] == image:
                        continue
                    seen_by[cell] = image
                    place = n  # sites come sorted, so cells arrive almost sorted: insertion is short
                    while place > first and new_cells[place - 1] > cell:
                        new_cells[place] = new_cells[place - 1]
                        place -= 1
                    new_cells[place] = cell
                    n += 1
        new_offsets[image + 1] = n
    return new_offsets, new_cells[:n].copy()


@compiled
def _pairs(
    offsets: Int64, cells: Int32, width: int, target_offsets: Int64, target_cells: Int32,
    row_starts: Int64, row_taps: Int64, row_outputs: Int64,
    column_starts: Int64, column_taps: Int64, column_outputs: Int64,
    n_rows: int, n_columns: int, kernel_width: int, n_taps: int, capacity: int,
) -> tuple[Int32, Int32, Int64]:  # fmt: skip
    table = np.full(n_rows * n_columns, -1, np.int32)
    counts = np.zeros(n_taps, np.int64)
    drafts = np.empty((2, n_taps, capacity + 1), np.int32)
    for image in range(len(offsets) - 1):
        for target in range(target_offsets[image], target_offsets[image + 1]):
            table[target_cells[target]] = target
        for site in range(offsets[image], offsets[image + 1]):
            row = cells[site] // width
            column = cells[site] - row * width
            for a in range(row_starts[row], row_starts[row + 1]):
                for b in range(column_starts[column], column_starts[column + 1]):
                    target = table[row_outputs[a] * n_columns + column_outputs[b]]
                    tap = row_taps[a] * kernel_width + column_taps[b]
                    # Written in any case, overwritten if it was no pair: a branch here would be mispredicted too often.
                    drafts[0, tap, counts[tap]] = site
                    drafts[1, tap, counts[tap]] = target
                    counts[tap] += target >= 0
        for target in range(target_offsets[image], target_offsets[image + 1]):
            table[target_cells[target]] = -1
    starts = np.zeros(n_taps + 1, np.int64)
    for tap in range(n_taps):
        starts[tap + 1] = starts[tap] + counts[tap]
    inputs = np.empty(starts[n_taps], np.int32)
    outputs = np.empty(starts[n_taps], np.int32)
    for tap in range(n_taps):
        for number in range(counts[tap]):
            inputs[starts[tap] + number] = drafts[0, tap, number]
            outputs[starts[tap] + number] = drafts[1, tap, number]
    return inputs, outputs, starts


@compiled
def group_by_counting(index: Int32, n_sites: int) -> tuple[Int32, Int32]:
    """Sort items by their site, keeping the order within a site: starts (n_sites + 1) and order (n_items)."""
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
