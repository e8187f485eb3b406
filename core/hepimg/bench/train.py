"""``hepimg bench train``: a training step of the tagger's network, its limit, and where the rest of the time goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hepimg.bench.dense_network import MaskedClassifier
from hepimg.bench.peers import dense_images
from hepimg.bench.timing import Timings, Work, take_turns
from hepimg.images import SparseImages
from hepimg.sparse import (
    BatchNorm,
    GlobalPool,
    SparseClassifier,
    SparseConv2d,
    SparseResNet,
    SparseTensor,
    SubmanifoldConv2d,
)
from hepimg.sparse.rules import Geometry, RuleCache, match_sites, reached_sites
from hepimg.sparse.support import Support
from hepimg.training.optimizer import adamw
from hepimg.training.options import FitOptions

Row = dict[str, Any]

FEATURES = 9
"""That the tagger makes of each active cell with the channels pt, count, y and phi."""

PARTS = ("rules", "convolutions", "linear", "norms", "pooling", "optimiser")

COLUMNS = {
    "threads": "threads", "jets": "batch", "sites": "sites", "us/jet": "us_per_jet:.0f", "ms": "native_ms:.1f",
    "GEMM": "gemm_ms:.1f", "/GEMM": "ratio_gemm:.2f", "rules": "rules_ms:.1f", "conv": "convolutions_ms:.1f",
    "linear": "linear_ms:.1f", "norm, act": "norms_ms:.1f", "pool": "pooling_ms:.1f",
    "optim": "optimiser_ms:.1f", "rest": "rest_ms:.1f", "x threads": "scaling:.2f", "GEMM's": "gemm_scaling:.2f",
    "dense": "dense_ms:.0f", "dense/ours": "ratio_dense:.1f",
}  # fmt: skip

CAPTION = """A step: rules, forward, backward, AdamW; medians in ms. GEMM: the matrix products of all linear maps and
convolutions in it, with their real numbers of rows; /GEMM: how many times as long the step takes. The parts are
forward and backward of its layers, each again on the tensors that it saw; rest: what is left (residual sums, loss,
autograd, concatenation). x threads: how much faster than on one thread; GEMM's: the same of its products.
dense: the same network of masked torch.nn.Conv2d on full images, channels_last, on fewer of them, scaled."""


@dataclass(frozen=True)
class Call:
    """One layer of the network, and the tensor that it was given."""

    layer: nn.Module
    given: Any
    returned: Any


class Training:
    """The tagger's network and a batch for it.

    Args:
        images: of the batch; their values are replaced by random features.
    """

    def __init__(self, images: SparseImages) -> None:
        generator = torch.Generator().manual_seed(1)
        support = SparseTensor.from_images(images).support
        self.features = torch.randn(len(support), FEATURES, generator=generator)
        self.support = support
        self.labels = torch.randint(0, 2, (len(images), 1), generator=generator).float()
        self.network = SparseClassifier(SparseResNet(FEATURES))
        self.optimizer = adamw(self.network, FitOptions())

    def forward(self) -> Tensor:
        """The loss; rules are made anew."""
        logits = self.network(SparseTensor.on(RuleCache(self.support), self.features))
        return functional.binary_cross_entropy_with_logits(logits, self.labels)

    def step(self) -> None:
        """One step of training."""
        loss = self.forward()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    def calls(self) -> list[Call]:
        """The layers that hold no others, in the order in which the network calls them."""
        calls: list[Call] = []

        def note(layer: nn.Module, given: tuple[Any, ...], returned: Any) -> None:
            calls.append(Call(layer, given[0], returned))

        def note_beside(norm: BatchNorm, tensor: SparseTensor) -> tuple[SparseTensor, SparseTensor]:
            normalised, identity = BatchNorm.beside(norm, tensor)
            calls.append(Call(norm, tensor, normalised))
            return normalised, identity

        layers = [layer for layer in self.network.modules() if not [*layer.children()]]
        norms = [layer for layer in layers if isinstance(layer, BatchNorm)]  # not always called by its name
        hooks = [layer.register_forward_hook(note) for layer in layers if layer not in norms]
        for norm in norms:
            norm.beside = partial(note_beside, norm)  # type: ignore[method-assign]
        self.step()
        for hook in hooks:
            hook.remove()
        for norm in norms:
            del norm.beside
        self.optimizer.zero_grad(set_to_none=False)  # gradients of zero: the optimiser has something to do
        return calls


def part_of(layer: nn.Module) -> str:
    """Which part of the time is a layer's."""
    if isinstance(layer, (SubmanifoldConv2d, SparseConv2d)):
        return "convolutions"
    if isinstance(layer, nn.Linear):
        return "linear"
    return "pooling" if isinstance(layer, GlobalPool) else "norms"


def replay(calls: Sequence[Call]) -> Work:
    """Forward and backward of each of these layers by itself, on the tensors that it was given."""
    steps = [_replay(call) for call in calls]

    def work() -> None:
        for step in steps:
            step()

    return work


def _replay(call: Call) -> Work:
    sparse = isinstance(call.given, SparseTensor)
    x = _features(call.given).detach().requires_grad_()
    given = call.given.replace(x) if sparse else x
    gradient = torch.randn_like(_features(call.returned))
    wanted = [x, *call.layer.parameters()]
    return lambda: torch.autograd.grad(_features(call.layer(given)), wanted, gradient)


def _features(value: Any) -> Tensor:
    features: Tensor = value.features if isinstance(value, SparseTensor) else value
    return features


def make_rules(calls: Sequence[Call]) -> Work:
    """All rules of the network, each once."""
    distinct: dict[tuple[int, int, Geometry], tuple[Support, Support, Geometry]] = {}
    for call in calls:
        if isinstance(call.layer, (SubmanifoldConv2d, SparseConv2d)):
            fine, coarse, geometry = call.given.support, call.returned.support, call.layer.geometry
            distinct[id(fine), id(coarse), geometry] = fine, coarse, geometry

    def work() -> None:
        for fine, coarse, geometry in distinct.values():
            if fine is not coarse:
                reached_sites(fine, geometry)
            match_sites(fine, coarse, geometry)

    return work


def products(calls: Sequence[Call]) -> list[tuple[int, int, int, int]]:
    """Rows, inputs, outputs and number (2 or 3) of the products of each linear map and convolution in a step.

    The first map needs no gradient of what it is given.
    """
    sizes = []
    for call in calls:
        layer, number = call.layer, 3 if _features(call.given).requires_grad else 2
        if isinstance(layer, nn.Linear):
            sizes.append((len(call.given), layer.in_features, layer.out_features, number))
        elif isinstance(layer, (SubmanifoldConv2d, SparseConv2d)):
            rules = match_sites(call.given.support, call.returned.support, layer.geometry)
            sizes.append((sum(rules.counts), layer.in_channels, layer.out_channels, number))
    return sizes


def multiply(sizes: Sequence[tuple[int, int, int, int]]) -> Work:
    """These products and nothing else, into memory that is there."""
    steps = []
    for rows, inputs, outputs, number in sizes:
        x, y, w = torch.randn(rows, inputs), torch.randn(rows, outputs), torch.randn(inputs, outputs)
        steps.append((x, y, w, torch.empty_like(x) if number == 3 else None, torch.empty_like(y), torch.empty_like(w)))

    def work() -> None:
        for x, y, w, into_x, into_y, into_w in steps:
            torch.mm(x, w, out=into_y)
            torch.mm(x.t(), y, out=into_w)
            if into_x is not None:
                torch.mm(y, w.t(), out=into_x)

    return work


def dense_step(images: SparseImages) -> Work:
    """A training step of the dense network on some images."""
    mask = torch.from_numpy(images.dense() != 0).view(len(images), 1, *images.grid.shape).float()
    x = (torch.randn(len(images), FEATURES, *images.grid.shape) * mask).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 2, (len(images), 1)).float()
    network: Any = MaskedClassifier(FEATURES).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = adamw(network, FitOptions())

    def step() -> None:
        loss = functional.binary_cross_entropy_with_logits(network(x, mask), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def measure(images: SparseImages, threads: Sequence[int], rounds: int) -> list[Row]:
    """A row for each number of threads; everything takes turns."""
    training = Training(images)
    calls = training.calls()
    some = dense_images(len(images), images.grid.shape[0])
    works: dict[str, Work] = {
        "native": training.step,
        "gemm": multiply(products(calls)),
        "dense": dense_step(images[:some]),
        "rules": make_rules(calls),
        "optimiser": training.optimizer.step,
    }
    works |= {part: replay([call for call in calls if part_of(call.layer) == part]) for part in PARTS[1:5]}
    turns = {f"{name} {number}": (work, number) for number in threads for name, work in works.items()}
    times = take_turns(
        {name: work for name, (work, _) in turns.items()}, rounds, {name: number for name, (_, number) in turns.items()}
    )
    return [_row(images, len(training.support), number, threads[0], times, len(images) / some) for number in threads]


def _row(images: SparseImages, sites: int, threads: int, first: int, times: Timings, scale: float) -> Row:
    ours = f"native {threads}"
    milliseconds = {f"{part}_ms": 1e3 * times.median(f"{part} {threads}") for part in PARTS}
    rest = times.seconds[ours] - np.sum([times.seconds[f"{part} {threads}"] for part in PARTS], axis=0)
    total = 1e3 * times.median(ours)
    return {
        "threads": threads, "grid": images.grid.shape[0], "batch": len(images), "sites": sites,
        "native_ms": total, "us_per_jet": 1e3 * total / len(images),
        "native_quartiles_ms": [1e3 * end for end in times.quartiles(ours)],
        "gemm_ms": 1e3 * times.median(f"gemm {threads}"), "ratio_gemm": times.ratio(ours, f"gemm {threads}"),
        **milliseconds, "rest_ms": 1e3 * float(np.median(rest)),
        "scaling": times.ratio(f"native {first}", ours),
        "gemm_scaling": times.ratio(f"gemm {first}", f"gemm {threads}"),
        "dense_ms": 1e3 * times.median(f"dense {threads}") * scale,
        "dense_images": round(len(images) / scale), "ratio_dense": times.ratio(f"dense {threads}", ours) * scale,
    }  # fmt: skip


def parts(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """What is drawn: milliseconds of each part of a step, and the limit beside it."""
    drawn: dict[str, dict[str, float]] = {}
    for row in rows:
        of = f"{row['threads']} thread{'s' * (row['threads'] > 1)}"
        drawn[f"step, {of}"] = {part: max(row[f"{part}_ms"], 0.0) for part in (*PARTS, "rest")}
        drawn[f"plain GEMM, {of}"] = {"matrix products": row["gemm_ms"]}
    return drawn
