"""``hepimg bench kernels``: compiled kernels against the tools that physicists use, in jets per second."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import awkward as ak
import fastjet
import numpy as np
import torch
from numpy.typing import NDArray

from hepimg.bench.energyflow import EnergyFlow
from hepimg.bench.jets import HALF_WIDTH, images_of, kernel_axis
from hepimg.bench.peers import Layer, Spconv, has_spconv
from hepimg.bench.timing import Timings, Work, take_turns
from hepimg.grid import Grid
from hepimg.kernels import SUBJETTINESS_AXES, correlators
from hepimg.kernels.particle_transform import centroid, translate
from hepimg.kernels.pixelate import pixelate
from hepimg.kernels.pool import pool
from hepimg.kernels.subjettiness import subjettiness
from hepimg.particles import Particles
from hepimg.sparse import SparseTensor

Row = dict[str, Any]
Values = NDArray[np.floating[Any]]

FASTJET_AXES = {
    "kt": "KT_Axes",
    "wta_kt": "WTA_KT_Axes",
    "onepass_kt": "OnePass_KT_Axes",
    "onepass_wta_kt": "OnePass_WTA_KT_Axes",
}

RADIUS = 0.8

IMAGES = 256
"""Images in a batch that is pooled, or whose rules are made: what a training step has."""

COLUMNS = {
    "kernel": "kernel", "threads": "threads", "ours, 1/s": "ours:,.0f", "peer": "peer_name", "peer, 1/s": "peer:,.0f",
    "ratio": "ratio:.1f", "deviation": "deviation:.0e", "x threads": "scaling:.2f", "GEMM's": "gemm_scaling:.2f",
}  # fmt: skip

CAPTION = """Jets per second: medians of the turns, the quickest of two to five calls in each; the
peer's input is converted to its own form before the clock starts. EnergyFlow always centres the jet before it makes the
image: "center, pixelate" is the same work.
ratio: median over rounds of the peer's time over ours. deviation: the largest difference of results, in their units.
x threads: how much faster than on one thread; GEMM's: the same for the product of two 1024 x 1024 matrices."""


@dataclass(frozen=True)
class Peer:
    """How another tool does the same.

    Args:
        name: of the tool.
        work: to be called.
        values: its results, to compare with ours; None: not of the same form.
        threads: whether it uses torch's threads.
    """

    name: str
    work: Work
    values: Callable[[], Values] | None = None
    threads: bool = False


@dataclass(frozen=True)
class Kernel:
    """One kernel and its peers.

    Args:
        name: of the kernel.
        jets: that one call takes.
        work: to be called; returns its results.
        peers: the tools that are there; a name alone for those that are not.
    """

    name: str
    jets: int
    work: Callable[[], Any]
    peers: Sequence[Peer | str] = field(default_factory=list)


def measure(kernel: Kernel, threads: Sequence[int], rounds: int) -> list[Row]:
    """A row for each peer and number of threads; all of them take turns, and so does a plain matrix product."""
    works: dict[str, Work] = {}
    used: dict[str, int] = {}
    square = torch.randn(1024, 1024)
    product = torch.empty_like(square)
    for number in threads:
        works[f"ours {number}"], works[f"gemm {number}"] = kernel.work, lambda: torch.mm(square, square, out=product)
        used[f"ours {number}"] = used[f"gemm {number}"] = number
        for peer in kernel.peers:
            if isinstance(peer, Peer) and (peer.threads or number == threads[0]):
                works[f"{peer.name} {number}"], used[f"{peer.name} {number}"] = peer.work, number
    times = take_turns(works, rounds, used)
    return [_row(kernel, peer, number, threads[0], times) for number in threads for peer in kernel.peers]


def _row(kernel: Kernel, peer: Peer | str, threads: int, first: int, times: Timings) -> Row:
    ours = f"ours {threads}"
    row: Row = {
        "kernel": kernel.name, "threads": threads, "jets": kernel.jets, "ours": kernel.jets / times.median(ours),
        "ours_quartiles": _rates(kernel.jets, times.quartiles(ours)),
        "scaling": times.ratio(f"ours {first}", ours), "gemm_scaling": times.ratio(f"gemm {first}", f"gemm {threads}"),
        "peer": None, "peer_name": peer if isinstance(peer, str) else peer.name,
        "peer_quartiles": None, "peer_threads": None, "ratio": None, "deviation": None,
    }  # fmt: skip
    if isinstance(peer, Peer):
        number = threads if peer.threads else first
        name = f"{peer.name} {number}"
        row |= {
            "peer": kernel.jets / times.median(name), "peer_quartiles": _rates(kernel.jets, times.quartiles(name)),
            "peer_threads": number if peer.threads else 1, "ratio": times.ratio(name, ours),
        }  # fmt: skip
        if peer.values is not None:
            row["deviation"] = float(np.abs(np.asarray(kernel.work()) - peer.values()).max())
    return row


def _rates(jets: int, seconds: tuple[float, float]) -> list[float]:
    return [jets / seconds[1], jets / seconds[0]]


def kernels(jets: Particles, energyflow: EnergyFlow | None) -> Iterator[Kernel]:
    """Every kernel that has a peer; without EnergyFlow its rows stay empty.

    Args:
        jets: centred jets.
        energyflow: running on the same jets.
    """
    for size in (40, 160):
        yield from pixelation(jets, size, energyflow)
    for axes in SUBJETTINESS_AXES:
        yield n_subjettiness(jets, axes)
    for beta in (0.2, 0.5, 1.0, 2.0):
        yield two_point(jets, beta, energyflow)
    few = jets[: min(IMAGES, len(jets))]
    yield pooling(few)
    yield rules(few)


def pixelation(jets: Particles, size: int, energyflow: EnergyFlow | None) -> Iterator[Kernel]:
    """Images of centred jets; and of jets that are centred first, as EnergyFlow always does."""
    grid = Grid.square(HALF_WIDTH, size)
    axes = kernel_axis(grid.rows), kernel_axis(grid.columns)
    pt, y, phi = (values.astype(np.float32) for values in (jets.pt, jets.y, jets.phi))

    def images() -> Any:
        return pixelate(jets.offsets, y, phi, pt[:, np.newaxis], *axes)

    def centred_images() -> Any:
        moved = translate(jets.offsets, y, phi, *centroid(jets.offsets, pt, y, phi))
        return pixelate(jets.offsets, *moved, pt[:, np.newaxis], *axes)

    edges = [grid.rows.all_edges, grid.columns.all_edges]
    events = [event.astype(np.float64) for event in np.split(np.stack([y, phi, pt]), jets.offsets[1:-1], axis=1)]
    histograms = Peer(
        "numpy.histogram2d", lambda: [np.histogram2d(y, phi, edges, weights=weight) for y, phi, weight in events]
    )
    theirs = _energyflow(energyflow, "pixelate", size)
    yield Kernel(f"pixelate {size}x{size}", len(jets), images, [histograms, theirs])
    yield Kernel(f"center, pixelate {size}x{size}", len(jets), centred_images, [theirs])


def n_subjettiness(jets: Particles, axes: str) -> Kernel:
    """tau_1 to tau_4, beta 1, against FastJet's on the same jets."""
    pt, y, phi = (values.astype(np.float64) for values in (jets.pt, jets.y, jets.phi))
    mass = np.zeros_like(pt) if jets.mass is None else jets.mass.astype(np.float64)
    mt = np.hypot(pt, mass)
    momenta = {"px": pt * np.cos(phi), "py": pt * np.sin(phi), "pz": mt * np.sinh(y), "E": mt * np.cosh(y)}
    events = ak.unflatten(ak.zip(momenta, with_name="Momentum4D"), jets.counts)
    clusters = fastjet.ClusterSequence(events, fastjet.JetDefinition(fastjet.kt_algorithm, 100.0))

    def njettiness() -> Any:
        return clusters.njettiness(axes_definition=FASTJET_AXES[axes], njets=[1, 2, 3, 4], beta=1.0, R0=RADIUS)

    def values() -> Values:
        return np.asarray(njettiness()).reshape(-1, 4)

    def ours() -> Values:
        return subjettiness(jets.offsets, pt, y, phi, mass, axes=axes, r0=RADIUS)

    return Kernel(f"tau_1..tau_4, {axes} axes", len(jets), ours, [Peer("FastJet njettiness", njettiness, values)])


def two_point(jets: Particles, beta: float, energyflow: EnergyFlow | None) -> Kernel:
    """The two-point correlator against EnergyFlow's polynomial of one edge, which counts each pair twice."""
    theirs = _energyflow(energyflow, "two_point", beta)
    if isinstance(theirs, Peer) and energyflow is not None:
        theirs = Peer(theirs.name, theirs.work, lambda: energyflow.values("two_point", beta) / 2)
    return Kernel(
        f"two-point correlator, beta {beta:g}",
        len(jets),
        lambda: correlators.two_point(jets.offsets, jets.pt, jets.y, jets.phi, beta),
        [theirs],
    )


def pooling(jets: Particles) -> Kernel:
    """Sums over blocks of 8 x 8 cells, 160x160 to 20x20, against torch's average pooling of the full images."""
    images = images_of(jets, 160)
    dense = torch.from_numpy(images.dense()).float()
    shape = images.grid.shape

    def pooled() -> Any:
        return pool(images.offsets, images.cells, images.values, shape, (8, 8))

    peer = Peer("torch avg_pool2d", lambda: torch.nn.functional.avg_pool2d(dense, 8), threads=True)
    return Kernel("pool 160x160 to 20x20", len(jets), pooled, [peer])


def rules(jets: Particles) -> Kernel:
    """The rules of a 3x3 submanifold layer at 40x40."""
    layer = Layer.on(SparseTensor.from_images(images_of(jets, 40)), 1)
    peer = Peer("spconv", Spconv(layer).rules, threads=True) if has_spconv() else "spconv"
    return Kernel("rules of a 3x3 layer, 40x40", len(jets), layer.rules, [peer])


def _energyflow(energyflow: EnergyFlow | None, work: str, argument: float) -> Peer | str:
    if energyflow is None:
        return "EnergyFlow"
    return Peer(f"EnergyFlow {energyflow.versions['energyflow']}", energyflow.work(work, argument))


def ratios(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """What is drawn: kernel and peer -> ratio with the fewest threads, where there is one."""
    threads = min(row["threads"] for row in rows)
    return {
        f"{row['kernel']}  |  {row['peer_name']}": row["ratio"]
        for row in rows
        if row["ratio"] is not None and row["threads"] == threads
    }
