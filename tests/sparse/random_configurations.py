"""Random small configurations of every layer, and the dense pass that each must equal."""

from dataclasses import dataclass

import numpy as np
import torch
from dense_oracle import conv2d, conv_transpose2d, pad, read
from torch import Tensor
from torch.nn import functional

from hepimg.sparse import Expand2d, InverseConv2d, Pool2d, Prune, SparseConv2d, SparseTensor, SubmanifoldConv2d
from hepimg.sparse.rules import RuleCache, reached_sites

KINDS = ("submanifold", "strided", "inverse", "expand", "pool")
Pair = tuple[int, int]


@dataclass(frozen=True)
class Configuration:
    """A layer and the tensor that it is applied to; everything else follows from ``seed``."""

    seed: int
    kind: str
    dtype: torch.dtype
    batch_size: int
    shape: Pair
    periodic: tuple[bool, bool]
    occupancy: float
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    in_channels: int
    out_channels: int
    groups: int
    bias: bool
    kept: float
    reduction: str

    @property
    def fits(self) -> bool:
        """Whether the kernel fits into the padded image."""
        sizes = zip(self.shape, self.kernel, self.padding, self.dilation, strict=True)
        return all(size + 2 * padding > dilation * (kernel - 1) for size, kernel, padding, dilation in sizes)


def configuration(number: int) -> Configuration:
    """The configuration of this number; the same on every machine."""
    random = np.random.default_rng([4, number])

    def pair(low: int, high: int) -> Pair:
        """Twice the same number, more often than two."""
        first, second = (int(value) for value in random.integers(low, high + 1, 2))
        return (first, first) if random.random() < 0.6 else (first, second)

    while True:
        kind = KINDS[random.choice(len(KINDS), p=(0.35, 0.25, 0.2, 0.1, 0.1))]
        kernel, stride, padding, dilation = pair(1, 4), pair(1, 3), pair(0, 3), pair(1, 2)
        if kind == "submanifold":
            kernel, stride = tuple(random.choice((1, 3, 5), 2).tolist()), (1, 1)
            padding = (dilation[0] * (kernel[0] // 2), dilation[1] * (kernel[1] // 2))
        elif kind == "expand":
            kernel = stride = (int(random.integers(1, 4)),) * 2
            padding, dilation = (0, 0), (1, 1)
        elif kind == "pool":
            dilation = (1, 1)
        groups = int(random.choice((1, 1, 2, 3)))
        made = Configuration(
            seed=number,
            kind=kind,
            dtype=torch.float64 if random.random() < 0.5 else torch.float32,
            batch_size=int(random.integers(0, 6)),
            shape=pair(1, 9),
            periodic=(bool(random.random() < 0.4), bool(random.random() < 0.4)),
            occupancy=float(random.choice((0.0, 0.03, 0.1, 0.3, 0.6, 1.0), p=(0.06, 0.14, 0.2, 0.3, 0.2, 0.1))),
            kernel=kernel,
            stride=stride,
            padding=padding,
            dilation=dilation,
            in_channels=groups * int(random.integers(1, 6)),
            out_channels=groups * int(random.integers(1, 6)),
            groups=groups,
            bias=bool(random.random() < 0.5),
            kept=float(random.choice((1.0, 0.5))),
            reduction=str(random.choice(("sum", "mean", "max"))),
        )
        if made.fits:
            return made


class Case:
    """Tensor, layer and weights of a configuration, with the sparse pass and the dense one."""

    def __init__(self, made: Configuration) -> None:
        self.made = made
        self.random = torch.Generator().manual_seed(made.seed)
        active = torch.rand(made.batch_size, *made.shape, generator=self.random) < made.occupancy
        sites = active.nonzero()
        self.fine = SparseTensor(
            self._normal(len(sites), made.in_channels), sites, made.shape, made.batch_size, made.periodic
        )
        self.layer = self._layer().to(made.dtype)
        for parameter in self.layer.parameters():
            parameter.data = self._normal(*parameter.shape)
        self.tensor, self.mask = self.fine, None
        if made.kind == "inverse":
            coarse = reached_sites(self.fine.support, self.layer.geometry)
            whole = SparseTensor.on(RuleCache(coarse), self._normal(len(coarse), made.in_channels))
            self.tensor = Prune()(whole, torch.rand(len(coarse), generator=self.random) < made.kept)
        elif made.kind == "expand":
            self.mask = torch.rand(len(sites), made.kernel[0] ** 2, generator=self.random) < made.kept

    def sparse(self, features: Tensor) -> SparseTensor:
        """The output of the layer under test for these features."""
        tensor = self.tensor.replace(features)
        if self.made.kind == "inverse":
            return self.layer(tensor, onto=self.fine)
        return self.layer(tensor) if self.mask is None else self.layer(tensor, self.mask)

    def dense(self, features: Tensor, output: SparseTensor) -> Tensor:
        """The same by a dense pass, read at the sites of ``output``."""
        tensor, made = self.tensor.replace(features), self.made
        if made.kind == "pool":
            return read(self._dense_pool(tensor), output)
        if made.kind == "inverse":
            return read(conv_transpose2d(tensor.dense(), self.layer, self.fine), output)
        if made.kind == "expand":
            image = functional.conv_transpose2d(
                tensor.dense(), self.layer.weight, self.layer.bias, made.stride, groups=made.groups
            )
            return read(image, output)
        return read(conv2d(tensor, self.layer), output)

    def _dense_pool(self, tensor: SparseTensor) -> Tensor:
        made = self.made
        image = pad(tensor.dense(), made.padding, made.periodic)
        if made.reduction != "max":
            mean = functional.avg_pool2d(image, made.kernel, made.stride)
            return mean * (made.kernel[0] * made.kernel[1]) if made.reduction == "sum" else mean
        ones = tensor.replace(torch.ones_like(tensor.features))
        active = pad(ones.dense(), made.padding, made.periodic) > 0
        return functional.max_pool2d(torch.where(active, image, -torch.inf), made.kernel, made.stride)

    def _layer(self) -> torch.nn.Module:
        made = self.made
        channels, options = (made.in_channels, made.out_channels), {"groups": made.groups, "bias": made.bias}
        if made.kind == "pool":
            return Pool2d(made.reduction, made.kernel, made.stride, made.padding)
        if made.kind == "expand":
            return Expand2d(*channels, made.kernel[0], **options)
        if made.kind == "submanifold":
            return SubmanifoldConv2d(*channels, made.kernel, dilation=made.dilation, **options)
        kind = SparseConv2d if made.kind == "strided" else InverseConv2d
        steps = {"stride": made.stride, "padding": made.padding, "dilation": made.dilation}
        return kind(*channels, made.kernel, **steps, **options)

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.random, dtype=self.made.dtype)
