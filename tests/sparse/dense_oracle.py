"""torch's dense layers on full images, written without any of the project's rules: the oracle of the sparse layers."""

import torch
from torch import Tensor
from torch.nn import functional

from hepimg.sparse import SparseTensor


def pad(image: Tensor, padding: tuple[int, int], periodic: tuple[bool, bool]) -> Tensor:
    """Zeros around the image, or on a periodic axis its other side."""
    for axis in (0, 1):
        width = padding[axis]
        if not width:
            continue
        size = image.shape[2 + axis]
        if periodic[axis]:
            image = image.index_select(2 + axis, torch.arange(-width, size + width) % size)
        else:
            image = functional.pad(image, (0, 0, width, width) if axis == 0 else (width, width, 0, 0))
    return image


def conv2d(tensor: SparseTensor, layer: torch.nn.Module) -> Tensor:
    """The dense convolution with the weights and the geometry of a sparse layer: (B, C, H, W)."""
    padded = pad(tensor.dense(), layer.geometry.padding, tensor.periodic)
    return functional.conv2d(
        padded, layer.weight, layer.bias, layer.geometry.stride, dilation=layer.geometry.dilation, groups=layer.groups
    )


def conv_transpose2d(image: Tensor, layer: torch.nn.Module, onto: SparseTensor) -> Tensor:
    """The transpose of the dense convolution that leads from the images of ``onto`` to ``image``.

    Taken as the derivative of that convolution, so that it knows neither how padding nor how wrapping is undone.
    """
    x = torch.zeros(onto.batch_size, layer.out_channels, *onto.shape, dtype=image.dtype, requires_grad=True)
    geometry = layer.geometry
    forward = functional.conv2d(
        pad(x, geometry.padding, onto.periodic),
        layer.weight,
        stride=geometry.stride,
        dilation=geometry.dilation,
        groups=layer.groups,
    )
    (gradient,) = torch.autograd.grad(forward, x, image, create_graph=True)
    return gradient if layer.bias is None else gradient + layer.bias[None, :, None, None]


def read(image: Tensor, tensor: SparseTensor) -> Tensor:
    """The features of dense images at the sites of a tensor."""
    image_index, row, column = tensor.sites.long().unbind(1)
    return image[image_index, :, row, column]
