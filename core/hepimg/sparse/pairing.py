"""Which input site reaches which output site: by a table of cells (Numba, CPU) or by sort and search (torch, CUDA).

Both work from one table per axis (:class:`AxisReach`), which holds stride, padding, dilation and wrapping; so they
know of nothing but "input coordinate ``i`` feeds output coordinate ``o`` through tap ``k``".
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hepimg.kernels.pairs import find_pairs, find_reached
from hepimg.sparse.compiled import current_team

if TYPE_CHECKING:
    from hepimg.sparse.support import Support

Int64 = NDArray[np.int64]

SITES_OF_BLOCK = 1024
"""With 64 channels a block's features on both sides take half a megabyte: they stay in a core's second cache."""


class Pairs(NamedTuple):
    """Pairs of input and output site, sorted by tap, then by input.

    Attributes:
        inputs: (n_pairs,) int32.
        outputs: (n_pairs,) int32.
        edges: (taps, n_blocks + 1): the pairs ``edges[k, b]:edges[k, b + 1]`` are those of tap k in block b.
        images: (n_blocks + 1,): block b has the images ``images[b]:images[b + 1]``.
    """

    inputs: Tensor
    outputs: Tensor
    edges: Int64
    images: Int64


@dataclass(frozen=True, eq=False)
class AxisReach:
    """Input coordinate ``i`` of an axis feeds the output coordinates ``outputs[i]`` through the taps ``taps[i]``.

    One tap leads to one output, except where a periodic axis is padded: there to ``repeats`` of them at most.

    Attributes:
        taps: (n_inputs, most) int64.
        outputs: (n_inputs, most) int64; ``n_outputs`` where there are fewer than ``most``.
        n_outputs: number of output coordinates.
        repeats: see above.
    """

    taps: Int64
    outputs: Int64
    n_outputs: int
    repeats: int

    @cached_property
    def unsigned(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Taps and outputs for compiled code, which need not ask of them whether they are negative."""
        return self.taps.astype(np.uint64), self.outputs.astype(np.uint64)


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
    counts = np.bincount(source, minlength=size)
    present = np.arange(counts.max(initial=0)) < counts[:, None]
    taps, outputs = np.zeros(present.shape, np.int64), np.full(present.shape, n_outputs, np.int64)
    taps[present], outputs[present] = tap[order], output[order]
    repeats = int(np.bincount(source * kernel + tap).max(initial=1))
    return AxisReach(taps, outputs, n_outputs, repeats)


def reached_by_table(source: "Support", rows: AxisReach, columns: AxisReach) -> tuple[Tensor, Tensor]:
    """Every output cell that a site reaches: offsets (int64) and cells (int32) per image, sorted."""
    offsets, cells = find_reached(
        current_team(),
        (source.offsets.numpy(), source.cells.numpy()),
        source.shape[1],
        (rows.n_outputs, columns.n_outputs),
        rows.unsigned,
        columns.unsigned,
    )
    return torch.from_numpy(offsets), torch.from_numpy(cells)


def pairs_by_table(
    source: "Support", target: "Support", rows: AxisReach, columns: AxisReach, kernel: tuple[int, int]
) -> Pairs:
    """Pairs of input and output site, by a table of cells."""
    images = blocks_of(source)
    inputs, outputs, edges = find_pairs(
        current_team(),
        images,
        (source.offsets.numpy(), source.cells.numpy()),
        source.shape[1],
        (target.offsets.numpy(), target.cells.numpy()),
        (rows.n_outputs, columns.n_outputs),
        rows.unsigned,
        columns.unsigned,
        kernel,
        rows.repeats * columns.repeats,
    )
    return Pairs(torch.from_numpy(inputs), torch.from_numpy(outputs), edges, images)


def blocks_of(support: "Support") -> Int64:
    """Images in blocks of some hundred sites, (n_blocks + 1,): what one thread works on before it takes the next."""
    # A multiple of 4, so that two and four threads get equal shares.
    blocks = min(support.batch_size, max(1, 4 * (len(support) // (4 * SITES_OF_BLOCK))))
    return np.arange(blocks + 1) * support.batch_size // max(blocks, 1)


def reached_by_sort(source: "Support", rows: AxisReach, columns: AxisReach) -> Tensor:
    """Every output cell that a site reaches, as sorted unique keys (image * output cells + cell); for CUDA."""
    _, keys, _ = _candidates(source, rows, columns, 1)
    unique: Tensor = torch.unique(keys)
    return unique


def pairs_by_search(
    source: "Support", target: "Support", rows: AxisReach, columns: AxisReach, kernel: tuple[int, int]
) -> Pairs:
    """What :func:`pairs_by_table` gives, by sort and search, in one block; for CUDA."""
    inputs, keys, taps = _candidates(source, rows, columns, kernel[1])
    outputs = torch.searchsorted(target.keys, keys)
    padded = torch.cat([target.keys, target.keys.new_full((1,), -1)])
    found = padded[outputs] == keys
    inputs, outputs, taps = inputs[found], outputs[found], taps[found]
    taps, order = torch.sort(taps, stable=True)
    starts = torch.searchsorted(taps, torch.arange(kernel[0] * kernel[1] + 1, device=taps.device)).cpu().numpy()
    edges = np.stack([starts[:-1], starts[1:]], axis=1)
    images = np.array([0, source.batch_size])
    return Pairs(inputs[order].to(torch.int32), outputs[order].to(torch.int32), edges, images)


def group_by_sort(index: Tensor, n_sites: int) -> tuple[Tensor, Tensor]:
    """What :func:`group_by_counting` gives, by a stable sort; for CUDA."""
    sites, order = torch.sort(index, stable=True)
    edges = torch.arange(n_sites + 1, dtype=index.dtype, device=index.device)
    return torch.searchsorted(sites, edges, out_int32=True), order.to(torch.int32)


def _candidates(source: "Support", rows: AxisReach, columns: AxisReach, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Input site, output key and tap of every output cell that the kernel reaches, whether active or not."""
    _, row, column = source.sites.long().unbind(1)
    row_tap, row_output = (_on(table, source)[row][:, :, None] for table in (rows.taps, rows.outputs))
    column_tap, column_output = (_on(table, source)[column][:, None, :] for table in (columns.taps, columns.outputs))
    area = rows.n_outputs * columns.n_outputs
    image = source.images.index.long()[:, None, None]
    keys = image * area + row_output * columns.n_outputs + column_output
    taps = row_tap * width + column_tap
    inside = (row_output < rows.n_outputs) & (column_output < columns.n_outputs)
    return inside.nonzero()[:, 0], keys[inside], taps[inside]


def _on(table: Int64, source: "Support") -> Tensor:
    return torch.from_numpy(table).to(source.device)
