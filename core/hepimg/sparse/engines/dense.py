"""The reference engine, for tests and benchmarks: torch's convolution on full images, read at the output sites."""

import torch
from torch import Tensor
from torch.nn import functional

from hepimg.sparse.rules import Geometry, Rules
from hepimg.sparse.support import Support


def convolve(features: Tensor, kernel: Tensor, rules: Rules, onto: Tensor | None = None) -> Tensor:
    """See :class:`hepimg.sparse.engines.Engine`."""
    height, width = rules.geometry.kernel
    # Contiguous below, since torch's backward pass refuses some weights that are not.
    weight = kernel.view(height, width, *kernel.shape[1:])
    if not rules.swapped:
        padded = _pad(_fill(features, rules.fine), rules.geometry, rules.fine)
        image = functional.conv2d(
            padded,
            weight.permute(3, 2, 0, 1).contiguous(),
            stride=rules.geometry.stride,
            dilation=rules.geometry.dilation,
        )
        result = _read(image, rules.coarse)
        return result if onto is None else result + onto
    image = functional.conv_transpose2d(
        _fill(features, rules.coarse),
        weight.permute(2, 3, 0, 1).contiguous(),
        stride=rules.geometry.stride,
        dilation=rules.geometry.dilation,
    )
    result = _read(_fold(image, rules.geometry, rules.fine), rules.fine)
    return result if onto is None else result + onto


def _fill(features: Tensor, support: Support) -> Tensor:
    rows, columns = support.shape
    image = features.new_zeros(support.batch_size * rows * columns, features.shape[1])
    image = image.index_copy(0, support.keys, features)
    return image.view(support.batch_size, rows, columns, features.shape[1]).permute(0, 3, 1, 2)


def _read(image: Tensor, support: Support) -> Tensor:
    return image.permute(0, 2, 3, 1).reshape(-1, image.shape[1])[support.keys]


def _pad(image: Tensor, geometry: Geometry, support: Support) -> Tensor:
    """Zeros around the image; on a periodic axis its other side, repeated as often as the padding asks for."""
    for axis in (0, 1):
        size, padding = support.shape[axis], geometry.padding[axis]
        if support.periodic[axis]:
            cell = torch.arange(-padding, size + padding, device=image.device) % size
            image = image.index_select(2 + axis, cell)
        else:
            image = functional.pad(image, (0, 0, padding, padding) if axis == 0 else (padding, padding, 0, 0))
    return image


def _fold(image: Tensor, geometry: Geometry, support: Support) -> Tensor:
    """The transpose of :func:`_pad`: cut the padding off, or add it to the cells that it repeats."""
    for axis in (0, 1):
        size, padding = support.shape[axis], geometry.padding[axis]
        # The transposed convolution ends with the last cell that the kernel reads, before or after the padding does.
        cell = torch.arange(image.shape[2 + axis], device=image.device) - padding
        inside = torch.ones_like(cell, dtype=torch.bool) if support.periodic[axis] else (cell >= 0) & (cell < size)
        folded = list(image.shape)
        folded[2 + axis] = size
        part = image.index_select(2 + axis, inside.nonzero()[:, 0])
        image = image.new_zeros(folded).index_add(2 + axis, cell[inside] % size, part)
    return image
