"""One 3x3 convolution layer, forward and backward, as hepimg and its peers do it; each as something to call.

The peers are given every advantage that their users have: dense images, and spconv's features and sites, are there
before the clock starts, a dense result is not read at the active cells, and the better of two memory layouts counts.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from hepimg.bench.timing import Work
from hepimg.sparse import SparseTensor, SubmanifoldConv2d
from hepimg.sparse.rules import RuleCache, match_sites

DENSE_CELLS = 102_400
"""Cells in all images of a dense batch: what takes time proportional to the number of images is not repeated."""

TRIALS = 30
"""Calls in which spconv's errors are looked for: they come from threads that race."""

Gradients = tuple[Tensor, Tensor, Tensor]
"""Output, gradient of the features, gradient of the weight (out, in, rows, columns)."""


@dataclass(frozen=True)
class Layer:
    """A submanifold layer without bias, the features that it reads, and the gradient of its output.

    Args:
        tensor: the sites, with features (n_sites, channels) that require a gradient.
        layer: as many channels in as out.
        gradient: (n_sites, channels).
    """

    tensor: SparseTensor
    layer: SubmanifoldConv2d
    gradient: Tensor

    @classmethod
    def on(cls, tensor: SparseTensor, channels: int) -> Layer:
        """A layer with random features and weights on the sites of ``tensor``."""
        generator = torch.Generator().manual_seed(1)
        features, gradient = torch.randn(2, len(tensor), channels, generator=generator).unbind()
        layer = SubmanifoldConv2d(channels, channels, bias=False)
        nn.init.normal_(layer.weight, std=1 / (9 * channels) ** 0.5, generator=generator)
        return cls(tensor.replace(features.requires_grad_()), layer, gradient)

    @property
    def channels(self) -> int:
        """Features per site."""
        return self.tensor.channels

    def pairs(self) -> int:
        """Pairs of input and output site: rows of the matrix products."""
        return match_sites(self.tensor.support, self.tensor.support, self.layer.geometry).starts[-1]

    def rules(self) -> object:
        """Make the rules."""
        return match_sites(self.tensor.support, self.tensor.support, self.layer.geometry)

    def forward(self) -> Tensor:
        """Make the rules and convolve."""
        output: Tensor = self.layer(SparseTensor.on(RuleCache(self.tensor.support), self.tensor.features)).features
        return output

    def step(self) -> Gradients:
        """Make the rules, convolve, and take both gradients."""
        output = self.forward()
        features, weight = torch.autograd.grad(output, (self.tensor.features, self.layer.weight), self.gradient)
        return output, features, weight


def gemm_works(layer: Layer) -> dict[str, Work]:
    """The three matrix products of a step, and nothing else, into memory that is there: the limit of any engine.

    ``gemm``: one product of all pairs each; ``gemm_taps``: one of each kernel position, with as many rows as it has
    pairs.
    """
    channels, pairs = layer.channels, layer.pairs()
    rules = match_sites(layer.tensor.support, layer.tensor.support, layer.layer.geometry)
    rows, products = torch.randn(pairs, channels), torch.empty(pairs, channels)
    weight, outer = torch.randn(channels, channels), torch.empty(channels, channels)

    def multiply(rows: Tensor, products: Tensor) -> None:
        torch.mm(rows, weight, out=products)
        torch.mm(rows, weight.t(), out=products)
        torch.mm(rows.t(), rows, out=outer)

    taps = [*zip(torch.split(rows, rules.counts), torch.split(products, rules.counts), strict=True)]

    def multiply_taps() -> None:
        for tap, product in taps:
            multiply(tap, product)

    return {"gemm": lambda: multiply(rows, products), "gemm_taps": multiply_taps}


def dense_images(batch: int, size: int) -> int:
    """How many images a dense layer is timed on."""
    return min(batch, max(1, DENSE_CELLS // size**2))


def dense_works(channels: int, size: int, images: int) -> dict[str, Work]:
    """torch.nn.Conv2d in both memory layouts, on ``images`` full images."""
    return {
        "dense NCHW": _dense_step(channels, size, images, torch.contiguous_format),
        "dense channels_last": _dense_step(channels, size, images, torch.channels_last),
    }


def _dense_step(channels: int, size: int, images: int, layout: torch.memory_format) -> Work:
    x = torch.randn(images, channels, size, size).to(memory_format=layout).requires_grad_()
    layer = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
    layer.weight = nn.Parameter(layer.weight.detach().to(memory_format=layout))
    gradient = torch.randn(images, channels, size, size).to(memory_format=layout)
    return lambda: torch.autograd.grad(layer(x), (x, layer.weight), gradient)


def has_spconv() -> bool:
    """Whether spconv is installed."""
    return find_spec("spconv") is not None


class Spconv:
    """spconv's submanifold layer with the same weights on the same sites.

    On the CPU its backward asks for the current CUDA stream, which it then does not use, and raises where there is no
    CUDA.  Here that look-up is patched to answer 0 for the time of the call.
    """

    def __init__(self, layer: Layer) -> None:
        logging.getLogger("torch.fx._symbolic_trace").setLevel(logging.ERROR)  # a remark on what spconv imports
        import spconv.pytorch as spconv

        self._spconv: Any = spconv
        self._features, self._gradient = layer.tensor.features.detach().requires_grad_(), layer.gradient
        self._sites = layer.tensor.sites.contiguous()
        self._shape, self._batch = list(layer.tensor.shape), layer.tensor.batch_size
        channels = layer.channels
        self._layer = spconv.SubMConv2d(channels, channels, 3, bias=False, algo=spconv.ConvAlgo.Native)
        self._layer.weight = nn.Parameter(layer.layer.weight.detach().permute(0, 2, 3, 1).contiguous())

    def rules(self) -> object:
        """Make the rules."""
        return self._spconv.ops.get_indice_pairs(
            self._sites, self._batch, self._shape, self._spconv.ConvAlgo.Native,
            ksize=[3, 3], stride=[1, 1], padding=[1, 1], dilation=[1, 1], out_padding=[0, 0], subm=True,
        )  # fmt: skip

    def step(self) -> Gradients:
        """Make the rules, convolve, and take both gradients."""
        tensor = self._spconv.SparseConvTensor(self._features, self._sites, self._shape, self._batch)
        ops = self._spconv.ops
        look_up, ops.get_current_stream = ops.get_current_stream, lambda: 0
        try:
            output = self._layer(tensor).features
            features, weight = torch.autograd.grad(output, (self._features, self._layer.weight), self._gradient)
        finally:
            ops.get_current_stream = look_up
        return output, features, weight.permute(0, 3, 1, 2)

    def error(self, expected: Gradients) -> float:
        """The largest deviation from ``expected`` in some calls, in units of the largest value of each tensor."""
        return max(
            float((found - wanted).detach().abs().max() / wanted.detach().abs().max())
            for _ in range(TRIALS)
            for found, wanted in zip(self.step(), expected, strict=True)
        )
