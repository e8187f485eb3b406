"""Layers of hepimg as layers of spconv and back, weights included.

Both compute the same on images that are not periodic; spconv knows neither periodic axes nor groups.  Weights are
(out, in / groups, rows, columns) here, as in torch ((in, out / groups, rows, columns) for :class:`InverseConv2d`), and
(out, rows, columns, in) in spconv.
"""

from typing import Any

import torch
from torch import Tensor, nn

from hepimg.sparse.conv import InverseConv2d, SparseConv2d, SubmanifoldConv2d, kernel_of
from hepimg.sparse.engines.spconv import import_spconv
from hepimg.sparse.layers import PerSite
from hepimg.sparse.norm import BatchNorm
from hepimg.sparse.rules import Pair

Convolution = SubmanifoldConv2d | SparseConv2d | InverseConv2d


def to_spconv(layer: nn.Module, indice_key: str | None = None) -> nn.Module:
    """The layer of spconv that computes the same, with a copy of the weights.

    Args:
        layer: a submanifold, strided or inverse convolution, a norm, a :class:`PerSite` (shared, not copied), or an
            ``nn.Sequential`` of these, which becomes an ``spconv.SparseSequential``.
        indice_key: spconv's name for the pairs of a strided convolution, by which the inverse one finds them.

    Raises:
        TypeError: spconv has no such layer.
        ValueError: an inverse convolution without ``indice_key``.
    """
    spconv = import_spconv()
    kind = type(layer)
    if kind is nn.Sequential:
        return spconv.SparseSequential(*(to_spconv(inner) for inner in layer.children()))  # type: ignore[no-any-return]
    if isinstance(layer, PerSite):
        return layer.module
    if isinstance(layer, BatchNorm):
        further = [nn.ReLU()] * layer.relu + [nn.Dropout(layer.dropout)] * (layer.dropout > 0)
        norm = _copy_norm(layer, nn.BatchNorm1d)
        return spconv.SparseSequential(norm, *further) if further else norm
    if not isinstance(layer, Convolution) or kind.forward not in _FORWARDS:
        raise TypeError(f"spconv has no layer for {kind.__name__}")
    geometry, has_bias = layer.geometry, layer.bias is not None
    channels, options = (layer.in_channels, layer.out_channels), {"bias": has_bias, "indice_key": indice_key}
    if isinstance(layer, SubmanifoldConv2d):
        other = spconv.SubMConv2d(*channels, geometry.kernel, dilation=geometry.dilation, **options)
    elif isinstance(layer, SparseConv2d):
        steps = {"stride": geometry.stride, "padding": geometry.padding, "dilation": geometry.dilation}
        other = spconv.SparseConv2d(*channels, geometry.kernel, **steps, **options)
    else:
        if indice_key is None:
            raise ValueError("spconv's inverse convolution needs the indice_key of the convolution that it inverts")
        other = spconv.SparseInverseConv2d(*channels, geometry.kernel, **options)
    _fill(other, _filters(layer, other.conv1x1), layer.bias)
    return other  # type: ignore[no-any-return]


def from_spconv(layer: nn.Module, inverted: nn.Module | None = None) -> nn.Module:
    """The layer of hepimg that computes the same as one of spconv, with a copy of the weights.

    Args:
        layer: an ``SubMConv2d``, ``SparseConv2d`` or ``SparseInverseConv2d`` of spconv, a ``BatchNorm1d``, an ordinary
            module that acts on each site (shared, not copied), or an ``spconv.SparseSequential`` of these.
        inverted: for an inverse convolution, spconv's strided one of the same ``indice_key``, whose stride, padding
            and dilation it has.

    Raises:
        TypeError: hepimg has no such layer.
        ValueError: an inverse convolution without ``inverted``.
    """
    spconv = import_spconv()
    if isinstance(layer, spconv.SparseSequential):
        return nn.Sequential(*(from_spconv(inner) for inner in layer.children()))
    if isinstance(layer, nn.BatchNorm1d):
        return _copy_norm(layer, BatchNorm)
    if not spconv.modules.is_spconv_module(layer):
        return PerSite(layer)
    made = _counterpart(layer, inverted, spconv)
    order = (3, 0, 1, 2) if isinstance(made, InverseConv2d) else (0, 3, 1, 2)
    _fill(made, _weight(layer).permute(order), layer.bias)  # type: ignore[arg-type]
    return made


def _counterpart(layer: Any, inverted: Any, spconv: Any) -> Convolution:
    """A new layer of hepimg with the channels and the geometry of one of spconv."""
    if type(layer) not in (spconv.SubMConv2d, spconv.SparseConv2d, spconv.SparseInverseConv2d):
        raise TypeError(f"hepimg has no layer for spconv's {type(layer).__name__}")
    if layer.act_type != type(layer.act_type).None_:
        raise TypeError(f"this {type(layer).__name__} of spconv has an activation inside; make it a layer of its own")
    channels, kernel, bias = (layer.in_channels, layer.out_channels), _pair(layer.kernel_size), layer.bias is not None
    if type(layer) is spconv.SubMConv2d:
        return SubmanifoldConv2d(*channels, kernel, dilation=_pair(layer.dilation), bias=bias)
    if type(layer) is spconv.SparseConv2d:
        return SparseConv2d(*channels, kernel, **_steps(layer), bias=bias)
    if inverted is None:
        raise ValueError("give the convolution that is inverted: spconv's inverse one does not know its stride")
    return InverseConv2d(*channels, kernel, **_steps(inverted), bias=bias)


_FORWARDS = (SubmanifoldConv2d.forward, SparseConv2d.forward, InverseConv2d.forward)
"""What can be converted: a subclass with a forward of its own (an odd axis padded ...) is another layer."""


def _filters(layer: Convolution, is_1x1: bool) -> Tensor:
    """The weight as (out, rows, columns, in); groups become zeros."""
    kernel = kernel_of(layer.weight.detach(), layer.groups)
    if isinstance(layer, InverseConv2d):
        kernel = kernel.transpose(1, 2)
    filters = kernel.reshape(*layer.geometry.kernel, *kernel.shape[1:]).permute(3, 0, 1, 2).contiguous()
    if not is_1x1:
        return filters
    return filters.reshape(layer.out_channels, layer.in_channels).t().reshape(filters.shape)


def _weight(layer: Any) -> Tensor:
    """The weight of a layer of spconv as (out, rows, columns, in), which its 1x1 kernels hold as (in, out)."""
    filters: Tensor = layer.weight.detach()
    if not layer.conv1x1:
        return filters
    return filters.reshape(layer.in_channels, layer.out_channels).t().reshape(filters.shape)


def _fill(layer: Any, weight: Tensor, bias: Tensor | None) -> None:
    """Copy weight and bias into a new layer, with their type and device."""
    layer.weight = nn.Parameter(weight.clone(memory_format=torch.contiguous_format))
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().clone())


def _copy_norm(norm: nn.BatchNorm1d, kind: type[nn.BatchNorm1d]) -> nn.BatchNorm1d:
    options = {name: getattr(norm, name) for name in ("eps", "momentum", "affine", "track_running_stats")}
    copy = kind(norm.num_features, **options)
    copy.load_state_dict(norm.state_dict())
    return copy


def _pair(value: Any) -> Pair:
    rows, columns = value
    return int(rows), int(columns)


def _steps(layer: Any) -> dict[str, Any]:
    return {name: _pair(getattr(layer, name)) for name in ("stride", "padding", "dilation")}
