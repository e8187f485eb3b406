"""Rules: which input site feeds which output site under which position of the kernel.

One function makes all of them, from two sets of sites and a geometry.  Submanifold: both sets are the same.  Strided:
the second is every cell that the first reaches.  Inverse and expanding: the rules of the reverse direction, swapped.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hepimg.sparse import pairing
from hepimg.sparse.support import Grouping, Support, support_from_keys

Pair = tuple[int, int]


@dataclass(frozen=True)
class Geometry:
    """Kernel, stride, padding and dilation of a convolution, each for rows and columns, with the meaning of torch.

    On a periodic axis, padding repeats the other side of the image (``padding_mode="circular"`` in torch).
    """

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)

    def __post_init__(self) -> None:
        for name, least in (("kernel", 1), ("stride", 1), ("padding", 0), ("dilation", 1)):
            value = getattr(self, name)
            if min(value) < least:
                raise ValueError(f"{name} must be at least {least} on both axes, not {value}")

    @classmethod
    def centred(cls, kernel: Pair, dilation: Pair) -> "Geometry":
        """The geometry whose output has the shape of its input; the kernel must be odd."""
        if kernel[0] % 2 == 0 or kernel[1] % 2 == 0:
            raise ValueError(f"a submanifold convolution needs an odd kernel, which has a centre; found {kernel}")
        padding = (dilation[0] * (kernel[0] // 2), dilation[1] * (kernel[1] // 2))
        return cls(kernel, (1, 1), padding, dilation)

    @property
    def taps(self) -> int:
        """Number of positions of the kernel."""
        return self.kernel[0] * self.kernel[1]

    def reach(self, support: Support) -> tuple[pairing.AxisReach, pairing.AxisReach]:
        """Tables of input and output coordinates for rows and columns."""
        rows, columns = (
            pairing.axis_reach(
                support.shape[axis], self.kernel[axis], self.stride[axis], self.padding[axis], self.dilation[axis],
                support.periodic[axis],
            )
            for axis in (0, 1)
        )  # fmt: skip
        return rows, columns

    def output_shape(self, support: Support) -> Pair:
        """Rows and columns of the output; at least 1 each, or the image is too small."""
        rows, columns = self.reach(support)
        if rows.n_outputs < 1 or columns.n_outputs < 1:
            raise ValueError(f"images of {support.shape} cells are too small for {self}")
        return rows.n_outputs, columns.n_outputs


class Tap(NamedTuple):
    """The pairs under one position of the kernel.

    Attributes:
        n_pairs: number of pairs.
        inputs: (n_pairs,) int32, their input sites, or None if every site feeds itself.
        outputs: (n_pairs,) int32, their output sites, or None likewise.
    """

    n_pairs: int
    inputs: Tensor | None
    outputs: Tensor | None


class PairArrays(NamedTuple):
    """Pairs as compiled code takes them.

    Attributes:
        inputs: (n_pairs,) int32.
        outputs: (n_pairs,) int32.
        edges: (taps, n_blocks + 1) int64, see :class:`Rules`.
        input_edges: (n_blocks + 1,) int64: block ``b`` has the inputs ``input_edges[b]:input_edges[b + 1]``.
        output_edges: (n_blocks + 1,) int64, likewise.
    """

    inputs: NDArray[np.int32]
    outputs: NDArray[np.int32]
    edges: NDArray[np.int64]
    input_edges: NDArray[np.int64]
    output_edges: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Rules:
    """Pairs of input and output site, sorted by kernel position.

    Attributes:
        inputs: the input site of each pair.
        outputs: the output site of each pair.
        edges: (taps, n_blocks + 1) int64: the pairs ``edges[k, b]:edges[k, b + 1]`` are those of kernel position ``k``
            (row-major) in block ``b`` of the images.
        images: (n_blocks + 1,) int64: block ``b`` has the images ``images[b]:images[b + 1]``.
        identity: the kernel position under which every site feeds itself (the centre of a submanifold layer), or None.
        geometry: the convolution that leads from ``fine`` to ``coarse``.
        fine: the sites that the geometry reads.
        coarse: the sites that it writes.
        swapped: True if the rules lead the other way, from ``coarse`` to ``fine``.
    """

    inputs: Grouping
    outputs: Grouping
    edges: NDArray[np.int64]
    images: NDArray[np.int64]
    identity: int | None
    geometry: Geometry
    fine: Support
    coarse: Support
    swapped: bool = False

    @cached_property
    def starts(self) -> list[int]:
        """Kernel position ``k`` owns the pairs ``starts[k]:starts[k + 1]``."""
        starts: list[int] = np.append(self.edges[:, 0], self.edges[-1, -1]).tolist()
        return starts

    @cached_property
    def taps(self) -> list[Tap]:
        """The pairs of each kernel position."""
        counts = self.counts
        taps = [
            Tap(count, inputs, outputs)
            for count, inputs, outputs in zip(
                counts, torch.split(self.inputs.index, counts), torch.split(self.outputs.index, counts), strict=True
            )
        ]
        if self.identity is not None:
            taps[self.identity] = Tap(counts[self.identity], None, None)
        return taps

    @cached_property
    def counts(self) -> list[int]:
        """Number of pairs of each kernel position."""
        return [last - first for first, last in zip(self.starts, self.starts[1:], strict=False)]

    @property
    def first_tap(self) -> int:
        """The kernel position to begin with: the one where every site feeds itself, if there is one."""
        return self.identity or 0

    @cached_property
    def arrays(self) -> PairArrays:
        """The same for compiled code; on the CPU."""
        read, written = (self.coarse, self.fine) if self.swapped else (self.fine, self.coarse)
        return PairArrays(
            self.inputs.index.numpy(),
            self.outputs.index.numpy(),
            self.edges,
            read.offsets.numpy()[self.images],
            written.offsets.numpy()[self.images],
        )

    def only(self, kept: Tensor) -> "Rules":
        """The pairs where ``kept``, (n_pairs,) bool, is true."""
        before = np.concatenate([[0], np.cumsum(kept.cpu().numpy())])
        inputs, outputs = (Grouping(side.index[kept], side.n_sites) for side in (self.inputs, self.outputs))
        return replace(self, inputs=inputs, outputs=outputs, edges=before[self.edges], identity=None)

    def transposed(self) -> "Rules":
        """The same pairs in the other direction."""
        return replace(self, inputs=self.outputs, outputs=self.inputs, swapped=not self.swapped)


def reached_sites(fine: Support, geometry: Geometry) -> Support:
    """Every output position that any site reaches; an axis that is divided evenly stays periodic."""
    shape = geometry.output_shape(fine)
    rows, columns = geometry.reach(fine)
    periodic = (
        fine.periodic[0] and shape[0] * geometry.stride[0] == fine.shape[0],
        fine.periodic[1] and shape[1] * geometry.stride[1] == fine.shape[1],
    )
    if fine.device.type == "cpu":
        return Support(*pairing.reached_by_table(fine, rows, columns), shape, periodic)
    return support_from_keys(pairing.reached_by_sort(fine, rows, columns), fine.batch_size, shape, periodic)


def match_sites(fine: Support, coarse: Support, geometry: Geometry) -> Rules:
    """The rules of a convolution from one set of sites to another.

    Raises:
        ValueError: the geometry does not lead from the shape of one to the shape of the other, or the batches differ.
    """
    shape = geometry.output_shape(fine)
    if coarse.shape != shape or coarse.batch_size != fine.batch_size:
        raise ValueError(
            f"{geometry} leads from {fine.batch_size} images of {fine.shape} cells to {shape} cells, "
            f"but the other tensor has {coarse.batch_size} images of {coarse.shape} cells"
        )
    rows, columns = geometry.reach(fine)
    pairs = pairing.pairs_by_table if fine.device.type == "cpu" else pairing.pairs_by_search
    inputs, outputs, edges, images = pairs(fine, coarse, rows, columns, geometry.kernel)
    is_centred = fine is coarse and geometry == Geometry.centred(geometry.kernel, geometry.dilation)
    identity = geometry.taps // 2 if is_centred else None
    return Rules(
        Grouping(inputs, len(fine)), Grouping(outputs, len(coarse)), edges, images, identity, geometry, fine, coarse
    )


@dataclass(frozen=True, eq=False)
class RuleCache:
    """Rules that start from one set of sites, made once and shared by all layers over it.

    References lead from fine to coarse only, never in a circle, so that a batch is freed as soon as it is out of use.
    """

    support: Support
    _rules: dict[tuple[Geometry, int], Rules] = field(default_factory=dict)
    _coarser: dict[Geometry, "RuleCache"] = field(default_factory=dict)

    def coarser(self, geometry: Geometry) -> "RuleCache":
        """The cache of the sites that a strided convolution reaches."""
        if geometry not in self._coarser:
            self._coarser[geometry] = RuleCache(reached_sites(self.support, geometry))
        return self._coarser[geometry]

    def rules(self, geometry: Geometry, coarse: Support) -> Rules:
        """The rules from these sites to ``coarse``."""
        key = (geometry, id(coarse))  # the rules keep ``coarse`` alive, so its id stays its own
        if key not in self._rules:
            self._rules[key] = match_sites(self.support, coarse, geometry)
        return self._rules[key]
