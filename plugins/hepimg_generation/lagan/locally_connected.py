"""Locally connected layers: convolutions whose kernel is another at each place."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import embedding, embedding_bag

Integers = NDArray[np.int64]


class LocallyConnected2d(nn.Module):
    """out[b, o, q] = bias[o, q] + sum over taps t and channels i of weight[q, t, o, i] in[b, i, s q + t - padding].

    Computed from the side of the input: what each cell sends to every output cell that it reaches, one product of
    matrices for each cell, is then added up there.  Where there are more input than output channels, as here, that
    moves a tenth of the memory that unfolding the input would.

    The weights of one place are drawn as in a convolution that is followed by a leaky ReLU (arXiv:1502.01852).

    Args:
        inputs: channels.
        outputs: channels.
        shape: rows and columns of the input.
        kernel: its size, along both axes.
        stride: s.
        padding: empty cells around the input.
        slope: of the leaky ReLU that follows.
        bias: whether there is one, for each place.
    """

    sources: Tensor
    slots: Tensor
    is_inside: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        shape: tuple[int, int],
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        slope: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        rows, columns = ((size + 2 * padding - kernel) // stride + 1 for size in shape)
        self.shape, self.cells = (rows, columns), math.prod(shape)
        self.weight = nn.Parameter(torch.empty(rows * columns, kernel**2, outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs, rows, columns)) if bias else None
        bound = math.sqrt(6 / ((1 + slope**2) * inputs * kernel**2))
        nn.init.uniform_(self.weight, -bound, bound)
        sources, slots = _links(shape, self.shape, kernel, stride, padding)
        self.register_buffer("sources", torch.from_numpy(sources), persistent=False)
        self.register_buffer("slots", torch.from_numpy(np.maximum(slots, 0)), persistent=False)
        self.register_buffer("is_inside", torch.from_numpy((slots >= 0).astype(np.float32)), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """(batch, inputs, rows, columns) -> (batch, outputs, rows, columns) of the output."""
        batch, (_, _, outputs, inputs) = len(maps), self.weight.shape
        cells = maps.permute(2, 3, 1, 0).reshape(self.cells, inputs, batch)
        # embedding and embedding_bag: the rows of a table, and sums of them, with quicker derivatives than indexing
        weights = embedding(self.sources, self.weight.flatten(2).flatten(0, 1)).view(self.cells, -1, inputs)
        sent = torch.bmm(weights, cells).reshape(len(self.sources), outputs * batch)
        found = embedding_bag(self.slots, sent, mode="sum", per_sample_weights=self.is_inside)
        found = found.view(*self.shape, outputs, batch).permute(3, 2, 0, 1)
        return found if self.bias is None else found + self.bias


def _links(
    shape: tuple[int, int], into: tuple[int, int], kernel: int, stride: int, padding: int
) -> tuple[Integers, Integers]:
    """What each input cell sends to each output cell, equally many of each.

    Returns:
        (links,) numbers of the weights, place x kernel^2 + tap, cell after cell, 0 for what goes beyond the border;
        (places, kernel^2) numbers of the links that end at each place, -1 for taps beyond the border.
    """
    (row, row_tap), (column, column_tap) = (
        _along(*sizes, kernel, stride, padding) for sizes in zip(shape, into, strict=True)
    )
    place = row[:, None, :, None] * into[1] + column[None, :, None, :]
    tap = row_tap[:, None, :, None] * kernel + column_tap[None, :, None, :]
    is_inside = ((row >= 0)[:, None, :, None] & (column >= 0)[None, :, None, :]).ravel()
    sources = np.where(is_inside, (place * kernel**2 + tap).ravel(), 0)
    slots = np.full(math.prod(into) * kernel**2, -1)
    slots[sources[is_inside]] = np.flatnonzero(is_inside)
    return sources, slots.reshape(-1, kernel**2)


def _along(cells: int, places: int, kernel: int, stride: int, padding: int) -> tuple[Integers, Integers]:
    """Along one axis: (cells, links) place that each cell is seen from, -1 for none, and at which tap."""
    at = np.arange(cells)[:, None] + padding
    place = at // stride - np.arange(-(-kernel // stride))
    tap = at - stride * place
    return np.where((place >= 0) & (place < places) & (tap < kernel), place, -1), tap
