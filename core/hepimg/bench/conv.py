"""``hepimg bench conv``: one 3x3 layer, forward and backward, against dense convolution, spconv and plain GEMM."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from hepimg.bench.crossover import OCCUPANCIES
from hepimg.bench.jets import images_of, random_images, repeated
from hepimg.bench.memory import step_memory, stored_bytes
from hepimg.bench.peers import Layer, Spconv, dense_images, dense_works, gemm_works, has_spconv
from hepimg.bench.timing import Timings, Work, take_turns
from hepimg.images import SparseImages
from hepimg.particles import Particles
from hepimg.process import use_threads
from hepimg.sparse import SparseTensor

Row = dict[str, Any]

PEERS = ("dense", "spconv", "gemm")

COLUMNS = {
    "threads": "threads", "C": "channels", "grid": "grid", "batch": "batch", "sites": "sites",
    "active": "occupancy:.2%", "rules": "rules_ms:.2f", "fwd": "forward_ms:.2f", "fwd+bwd": "native_ms:.2f",
    "GEMM": "gemm_ms:.2f", "of GEMM": "gemm_fraction:.0%", "spconv": "spconv_ms:.2f", "/ours": "ratio_spconv:.2f",
    "rules/ours": "ratio_rules:.1f", "its error": "spconv_error:.0e", "dense": "dense_ms:.1f",
    "dense/ours": "ratio_dense:.1f",
}  # fmt: skip

CAPTION = """ms per batch: medians of the turns, the quickest of two to five calls in each.
rules: ours alone. fwd+bwd: forward and backward with rules made anew.
GEMM: the three matrix products of the step alone, and how near to them we are. spconv: the same step, its look-up of
the CUDA stream patched in the backward pass, which raises without CUDA otherwise; /ours: how much longer it takes, for
the step and for rules alone; its error: the largest deviation from ours (1e-6 is rounding, more is wrong).
dense: the better of NCHW and channels_last, on fewer images where the batch is large, scaled."""

WRONG = 1e-3
"""spconv is called wrong from this error on; rounding alone is near 1e-6."""


@dataclass(frozen=True)
class Sites:
    """Where the features live.

    Args:
        kind: ``pythia``, ``file``, ``made up``: jets; ``random``, ``clustered``: synthetic images.
        images: as many as a batch has.
    """

    kind: str
    images: SparseImages

    @property
    def grid(self) -> int:
        """Rows of an image."""
        return self.images.grid.shape[0]

    @property
    def occupancy(self) -> float:
        """Fraction of all cells that are active."""
        return len(self.images.cells) / (len(self.images) * self.images.grid.size)

    def tensor(self) -> SparseTensor:
        """The sites, their pT as the one feature."""
        return SparseTensor.from_images(self.images)


def synthetic_sites(
    grids: Sequence[int], occupancies: Sequence[float], batches: Sequence[int], *, clustered: bool
) -> Iterator[Sites]:
    """Images of every size and occupancy."""
    kind = "clustered" if clustered else "random"
    for size, batch, occupancy in product(grids, batches, occupancies):
        yield Sites(kind, random_images(batch, size, occupancy, clustered=clustered))


def jet_sites(kind: str, jets: Particles, grids: Sequence[int], batches: Sequence[int]) -> Iterator[Sites]:
    """The jets as images of every size."""
    for size, batch in product(grids, batches):
        yield Sites(kind, images_of(repeated(jets, batch), size))


def crossover_sites(grids: Sequence[int], batches: Sequence[int], *, clustered: bool) -> Iterator[Sites]:
    """Images from nearly empty to full, as many as a dense layer is timed on."""
    for size, batch in product(grids, batches):
        yield from synthetic_sites([size], OCCUPANCIES, [dense_images(batch, size)], clustered=clustered)


def measure(
    places: Sequence[Sites],
    channels: Sequence[int],
    threads: Sequence[int],
    rounds: int,
    *,
    peers: Sequence[str] = PEERS,
    memory: bool = False,
    done: Callable[[Row], None] = lambda row: None,
) -> list[Row]:
    """A row for each number of threads and of channels on each set of sites.

    Args:
        places: sites.
        channels: features per site, in and out.
        threads: of torch and of our kernels.
        rounds: turns of each work.
        peers: what is measured beside ourselves.
        memory: whether the peak of memory is measured too, seconds for each row.
        done: told of each row.
    """
    rows = []
    for number in threads:
        use_threads(number)
        for width in channels:
            for sites in places:
                row = measure_layer(sites, width, number, rounds, peers) | stored_bytes(sites.images)
                rows.append(row | (step_memory(sites.images, width) if memory else {}))
                done(rows[-1])
    return rows


def measure_layer(sites: Sites, channels: int, threads: int, rounds: int, peers: Sequence[str]) -> Row:
    """All that is known of one configuration; numbers of a peer that was not measured are None."""
    layer = Layer.on(sites.tensor(), channels)
    batch, images = len(sites.images), dense_images(len(sites.images), sites.grid)
    works: dict[str, Work] = {"native": layer.step, "forward": layer.forward, "rules": layer.rules}
    spconv = Spconv(layer) if "spconv" in peers and has_spconv() and len(layer.tensor) else None
    if spconv:
        works |= {"spconv": spconv.step, "spconv_rules": spconv.rules}
    if "gemm" in peers:
        works |= gemm_works(layer)
    if "dense" in peers:
        works |= dense_works(channels, sites.grid, images)
    times = take_turns(works, rounds)
    row: Row = {
        "grid": sites.grid, "channels": channels, "batch": batch, "occupancy": sites.occupancy, "threads": threads,
        **{f"{name}_ms": _milliseconds(times, name) for name in ("native", "dense", "spconv", "gemm")},
        "sites_from": sites.kind, "sites": len(layer.tensor), "pairs": layer.pairs(), "rounds": rounds,
        **{f"{name}_ms": _milliseconds(times, name) for name in ("forward", "rules", "spconv_rules", "gemm_taps")},
        "native_quartiles_ms": [1e3 * end for end in times.quartiles("native")],
    }  # fmt: skip
    _compare(row, times, batch / images)
    row["spconv_error"] = spconv.error(layer.step()) if spconv else None
    row["spconv_right"] = row["spconv_error"] < WRONG if spconv else None
    return row


def _milliseconds(times: Timings, name: str) -> float | None:
    return 1e3 * times.median(name) if name in times else None


def _compare(row: Row, times: Timings, scale: float) -> None:
    """Add ratios to ourselves, and the better of the dense layouts for the whole batch."""
    row["ratio_dense"] = row["dense_layout"] = row["dense_images"] = None
    if "dense NCHW" in times:
        best = times.best("dense NCHW", "dense channels_last")
        row["dense_layout"], row["dense_images"] = best.removeprefix("dense "), round(row["batch"] / scale)
        row["dense_ms"], row["ratio_dense"] = 1e3 * times.median(best) * scale, times.ratio(best, "native") * scale
    row["ratio_spconv"] = times.ratio("spconv", "native") if "spconv" in times else None
    row["ratio_rules"] = times.ratio("spconv_rules", "rules") if "spconv" in times else None
    row["gemm_fraction"] = times.ratio("gemm", "native") if "gemm" in times else None
    row["gflops"] = 6e-9 * row["pairs"] * row["channels"] ** 2 / times.median("native")
