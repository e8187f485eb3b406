"""The sums of a sparse convolution by one compiled pass, which gathers, multiplies and scatters; float32 on the CPU."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from hepimg.kernels import convolution
from hepimg.kernels.tile import LANES
from hepimg.sparse.compiled import as_array, current_team
from hepimg.sparse.rules import Rules


def convolve(x: Tensor, w: Tensor, rules: Rules, onto: Tensor | None = None) -> Tensor:
    """See :class:`hepimg.sparse.engines.native.Products`."""
    pairs = rules.arrays
    return _sum_pairs(x, w, pairs.inputs, pairs.outputs, pairs.edges, pairs.output_edges, rules.first_tap, onto)


def gradients(
    x: Tensor, w: Tensor, g: Tensor, rules: Rules, needs_x: bool, needs_w: bool
) -> tuple[Tensor | None, Tensor | None]:
    """See :class:`hepimg.sparse.engines.native.Products`."""
    pairs = rules.arrays
    grad_x = grad_w = None
    if needs_x:
        grad_x = _sum_pairs(
            g, w.transpose(1, 2), pairs.outputs, pairs.inputs, pairs.edges, pairs.input_edges, rules.first_tap
        )
    if needs_w:
        left, right = _whole_lanes(x, 1), _whole_lanes(g, 1)
        parts = torch.empty(convolution.GROUPS, len(pairs.edges), left.shape[1], right.shape[1])
        convolution.add_outer(
            current_team(),
            as_array(left),
            as_array(right),
            pairs.inputs,
            pairs.outputs,
            pairs.edges,
            rules.first_tap,
            as_array(parts),
        )
        sums = parts.sum(0)
        grad_w = (
            sums if sums.shape[1:] == (x.shape[1], g.shape[1]) else sums[:, : x.shape[1], : g.shape[1]].contiguous()
        )
    return grad_x, grad_w


def _sum_pairs(
    x: Tensor,
    w: Tensor,
    inputs: NDArray[Any],
    outputs: NDArray[Any],
    edges: NDArray[Any],
    owned: NDArray[Any],
    first_tap: int,
    onto: Tensor | None = None,
) -> Tensor:
    """The sum of ``x[i] @ w[k]`` over the pairs (i, o) of each tap k, for each output site o, added to ``onto``."""
    width = w.shape[2]
    w = _whole_lanes(_whole_lanes(w, 2), 1).contiguous()
    # A row more for each block: what tiles have too many goes there.
    sites = int(owned[-1])
    y = torch.empty(sites + len(owned) - 1, w.shape[2])
    convolution.convolve(
        current_team(),
        as_array(_whole_lanes(x, 1)),
        as_array(w),
        inputs,
        outputs,
        edges,
        owned,
        first_tap,
        as_array(x[:0] if onto is None else _whole_lanes(onto, 1).contiguous()),
        as_array(y),
    )
    return y[:sites] if y.shape[1] == width else y[:sites, :width].contiguous()


def _whole_lanes(tensor: Tensor, axis: int) -> Tensor:
    """Zeros at the end of an axis, up to a whole number of vectors."""
    missing = -tensor.shape[axis] % LANES
    return pad(tensor, [0, 0] * (tensor.ndim - 1 - axis) + [0, missing]) if missing else tensor
