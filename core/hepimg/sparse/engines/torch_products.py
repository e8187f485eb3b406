"""The sums of a sparse convolution by torch's operators: gather, matrix product, scatter; any device, any dtype.

The result does not depend on the number of threads: each output row is summed by one thread in the order of the pairs,
and the long sums of ``outer`` are cut into blocks that BLAS does not share among threads.
"""

from threading import local

import torch
from torch import Tensor

from hepimg.sparse.reduce import sum_items
from hepimg.sparse.rules import Rules

BLOCK = 512
"""Rows per block of a weight gradient: MKL keeps products with an inner size up to here on one thread."""


def convolve(x: Tensor, w: Tensor, rules: Rules, onto: Tensor | None = None) -> Tensor:
    """See :class:`hepimg.sparse.engines.native.Products`."""
    products = _scratch("products", rules.starts[-1], w.shape[2], x)
    gathered = _scratch("gathered", max(rules.counts), x.shape[1], x)
    for tap, matrix, product in zip(rules.taps, w.unbind(), torch.split(products, rules.counts), strict=True):
        if tap.n_pairs:
            torch.mm(_rows(x, tap.inputs, gathered), matrix, out=product)
    result = sum_items(products, rules.outputs)
    return result if onto is None else result + onto


def gradients(
    x: Tensor, w: Tensor, g: Tensor, rules: Rules, needs_x: bool, needs_w: bool
) -> tuple[Tensor | None, Tensor | None]:
    """See :class:`hepimg.sparse.engines.native.Products`."""
    products = _scratch("products", rules.starts[-1] if needs_x else 0, w.shape[1], g)
    gathered_x = _scratch("gathered", max(rules.counts), x.shape[1], x)
    gathered_g = _scratch("gathered gradients", max(rules.counts), g.shape[1], g)
    grad_w = torch.zeros_like(w, memory_format=torch.contiguous_format)
    first = 0
    for tap, matrix, outer in zip(rules.taps, w.transpose(1, 2).unbind(), grad_w.unbind(), strict=True):
        if not tap.n_pairs:
            continue
        g_rows = _rows(g, tap.outputs, gathered_g)
        if needs_x:
            torch.mm(g_rows, matrix, out=products[first : first + tap.n_pairs])
            first += tap.n_pairs
        if needs_w:
            _outer(_rows(x, tap.inputs, gathered_x), g_rows, outer)
    return sum_items(products, rules.inputs) if needs_x else None, grad_w if needs_w else None


def _rows(x: Tensor, index: Tensor | None, buffer: Tensor) -> Tensor:
    """The rows of one tap: at most a few hundred kilobytes, which stay in the cache until they are multiplied."""
    return x if index is None else torch.index_select(x, 0, index, out=buffer[: len(index)])


def _outer(x: Tensor, g: Tensor, out: Tensor) -> None:
    """Write the sum of outer products of rows, ``x.T @ g``, to ``out``, in blocks of fixed size."""
    blocks = len(x) // BLOCK
    if not blocks:
        torch.mm(x.t(), g, out=out)
        return
    rows = blocks * BLOCK
    x_blocks, g_blocks = (t[:rows].view(blocks, BLOCK, t.shape[1]) for t in (x, g))
    torch.sum(torch.bmm(x_blocks.transpose(1, 2), g_blocks), dim=0, out=out)
    if rows < len(x):
        out.addmm_(x[rows:].t(), g[rows:])


_store = local()


def _scratch(name: str, rows: int, columns: int, like: Tensor) -> Tensor:
    """An uninitialised (rows, columns) tensor; on the CPU its memory is kept: fresh pages cost as much as sums."""
    if like.is_cuda:
        return like.new_empty(rows, columns)
    key = f"{name} {like.dtype}"
    buffer: Tensor | None = getattr(_store, key, None)
    if buffer is None or buffer.numel() < rows * columns:
        with torch.inference_mode(False):  # a buffer made in inference could never serve a training
            buffer = torch.empty(rows * columns, dtype=like.dtype)
        setattr(_store, key, buffer)
    return buffer[: rows * columns].view(rows, columns)
