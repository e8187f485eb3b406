"""Convolutions on sparse tensors, with the weights of torch's dense layer of the same kind, which is their oracle."""

import math

import torch
from torch import Tensor, nn

from hepimg.sparse.engines import convolve
from hepimg.sparse.rules import Geometry, Pair, RuleCache, Rules
from hepimg.sparse.support import Support, support_from_keys
from hepimg.sparse.tensor import SparseTensor


def _pair(value: int | Pair) -> Pair:
    return (value, value) if isinstance(value, int) else value


def kernel_of(weight: Tensor, groups: int) -> Tensor:
    """A weight (out, in / groups, height, width) as the engines want it: (taps, in, out), in row-major order of taps.

    Grouped weights become block-diagonal: with the few channels of jet networks one larger product costs less than
    ``groups`` small ones.
    """
    outputs, inputs, height, width = weight.shape
    # Copied once, or BLAS would copy each tap's matrix, whose elements lie far apart, in every product.
    kernel = weight.permute(2, 3, 1, 0).reshape(height * width, inputs, outputs).contiguous()
    if groups == 1:
        return kernel
    blocks = kernel.view(height * width, 1, inputs, groups, outputs // groups)
    diagonal = torch.eye(groups, dtype=weight.dtype, device=weight.device).view(1, groups, 1, groups, 1)
    return (blocks * diagonal).reshape(height * width, groups * inputs, outputs)


class _Convolution(nn.Module):
    """Weight, bias and geometry; initialised as in torch."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        geometry: Geometry,
        *,
        groups: int,
        bias: bool,
        transposed: bool = False,
    ) -> None:
        super().__init__()
        if min(in_channels, out_channels, groups) < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"in_channels and out_channels must be multiples of groups, not {in_channels}, {out_channels}, {groups}"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.geometry = geometry
        first, second = (in_channels, out_channels) if transposed else (out_channels, in_channels)
        self.weight = nn.Parameter(torch.empty(first, second // groups, *geometry.kernel))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.weight[0].numel())
            nn.init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        geometry = self.geometry
        return (
            f"{self.in_channels}, {self.out_channels}, kernel={geometry.kernel}, stride={geometry.stride}, "
            f"padding={geometry.padding}, dilation={geometry.dilation}, groups={self.groups}, "
            f"bias={self.bias is not None}"
        )

    def _kernel(self) -> Tensor:
        return kernel_of(self.weight, self.groups)

    def _apply_rules(self, tensor: SparseTensor, rules: Rules, onto: Tensor | None = None) -> Tensor:
        if tensor.channels != self.in_channels:
            raise ValueError(
                f"{type(self).__name__} needs {self.in_channels} channels, the tensor has {tensor.channels}"
            )
        if onto is not None and onto.shape != (expected := (rules.outputs.n_sites, self.out_channels)):
            raise ValueError(f"what the result is added to must be {expected}, not {tuple(onto.shape)}")
        features = convolve(tensor.features, self._kernel(), rules, onto)
        return features if self.bias is None else features + self.bias.to(features.dtype)


class SubmanifoldConv2d(_Convolution):
    """Convolution whose output lives on the sites of its input (Graham and van der Maaten, arXiv:1706.01307).

    Equals ``torch.nn.Conv2d`` with ``padding = dilation * (kernel // 2)``, read at the input sites.

    Args:
        in_channels: features per site of the input.
        out_channels: features per site of the output.
        kernel: odd size, one number or (rows, columns).
        dilation: distance of the kernel's positions, in cells.
        groups: as in torch.
        bias: whether to add one number per output channel.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | Pair = 3,
        *,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        geometry = Geometry.centred(_pair(kernel), _pair(dilation))
        super().__init__(in_channels, out_channels, geometry, groups=groups, bias=bias)

    def forward(self, tensor: SparseTensor, onto: Tensor | None = None) -> SparseTensor:
        """(n_sites, in_channels) -> (n_sites, out_channels) on the same sites.

        Args:
            tensor: what is convolved.
            onto: (n_sites, out_channels), added to the result without a sweep of its own: a residual connection.
        """
        return tensor.replace(self._apply_rules(tensor, tensor.cache.rules(self.geometry, tensor.support), onto))


class SparseConv2d(_Convolution):
    """Convolution whose output lives on every position that an input site reaches.

    Equals ``torch.nn.Conv2d``, read at these positions; without bias, it is zero elsewhere.  Arguments as
    there; on periodic axes the padding is circular.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | Pair,
        *,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        geometry = Geometry(_pair(kernel), _pair(stride), _pair(padding), _pair(dilation))
        super().__init__(in_channels, out_channels, geometry, groups=groups, bias=bias)

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """(n_sites, in_channels) -> (n_reached, out_channels) on the coarser sites."""
        return self._convolve(tensor, self.geometry)

    def _convolve(self, tensor: SparseTensor, geometry: Geometry) -> SparseTensor:
        coarser = tensor.cache.coarser(geometry)
        return SparseTensor.on(coarser, self._apply_rules(tensor, tensor.cache.rules(geometry, coarser.support)))


class InverseConv2d(_Convolution):
    """The way back of a :class:`SparseConv2d` of the same geometry, onto the sites that it started from.

    Equals ``torch.nn.ConvTranspose2d``, read at these sites; so the weight is (in, out / groups, rows, columns).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | Pair,
        *,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        geometry = Geometry(_pair(kernel), _pair(stride), _pair(padding), _pair(dilation))
        super().__init__(in_channels, out_channels, geometry, groups=groups, bias=bias, transposed=True)

    def forward(self, tensor: SparseTensor, onto: SparseTensor) -> SparseTensor:
        """(n_coarse, in_channels) -> (n_sites of ``onto``, out_channels) on the sites of ``onto``.

        Raises:
            ValueError: the geometry does not lead from ``onto`` to ``tensor``.
        """
        return self._convolve(tensor, onto, self.geometry)

    def _convolve(self, tensor: SparseTensor, onto: SparseTensor, geometry: Geometry) -> SparseTensor:
        rules = onto.cache.rules(geometry, tensor.support).transposed()
        return onto.replace(self._apply_rules(tensor, rules))

    def _kernel(self) -> Tensor:
        return _transposed_kernel(self.weight, self.groups)


class Expand2d(_Convolution):
    """Each site spawns ``factor`` x ``factor`` children on a grid as much finer, each with a weight of its own.

    The generative step.  Equals ``torch.nn.ConvTranspose2d(in, out, factor, stride=factor)``, weight shape included,
    read at the children.  A mask says which children are born.
    """

    def __init__(
        self, in_channels: int, out_channels: int, factor: int = 2, *, groups: int = 1, bias: bool = True
    ) -> None:
        geometry = Geometry((factor, factor), (factor, factor))
        super().__init__(in_channels, out_channels, geometry, groups=groups, bias=bias, transposed=True)
        self.factor = factor

    def forward(self, tensor: SparseTensor, mask: Tensor | None = None) -> SparseTensor:
        """(n_sites, in_channels) -> (n_children, out_channels).

        Args:
            tensor: the parents.
            mask: (n_sites, factor^2) bool, children in row-major order; all of them by default.
        """
        cache = RuleCache(children(tensor.support, self.factor, mask))
        rules = cache.rules(self.geometry, tensor.support).transposed()
        return SparseTensor.on(cache, self._apply_rules(tensor, rules))

    def _kernel(self) -> Tensor:
        return _transposed_kernel(self.weight, self.groups)


def children(parents: Support, factor: int, mask: Tensor | None = None) -> Support:
    """The sites of the children of each site: ``factor`` x ``factor`` cells of a finer grid, or those in ``mask``.

    Raises:
        ValueError: ``mask`` is not (n_sites, factor^2) bool.
    """
    if mask is not None and (mask.shape != (len(parents), factor * factor) or mask.dtype != torch.bool):
        raise ValueError(
            f"the mask must be ({len(parents)}, {factor * factor}) bool: a column for each child; "
            f"found {tuple(mask.shape)} {mask.dtype}"
        )
    image, row, column = parents.sites.long().unbind(1)
    rows, columns = parents.shape[0] * factor, parents.shape[1] * factor
    step = torch.arange(factor, device=parents.device)
    below = (row[:, None] * factor + step)[:, :, None]
    beside = (column[:, None] * factor + step)[:, None, :]
    keys = ((image[:, None, None] * rows + below) * columns + beside).view(len(parents), factor * factor)
    born = keys.flatten() if mask is None else keys[mask]
    return support_from_keys(born.sort().values, parents.batch_size, (rows, columns), parents.periodic)


def _transposed_kernel(weight: Tensor, groups: int) -> Tensor:
    """A weight (in, out / groups, height, width) as (taps, in, out)."""
    return kernel_of(weight, groups).transpose(1, 2)
