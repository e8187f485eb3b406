"""Jets to measure with: of Pythia, of a file, or made up; and images of any occupancy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hepimg.errors import DataError
from hepimg.grid import Axis, Grid
from hepimg.images import PT, SparseImages
from hepimg.particles import Particles

if TYPE_CHECKING:
    from hepimg.analysis import Analysis
    from hepimg.components import Progress
    from hepimg.kernels.axis import Axis as KernelAxis
    from hepimg.orders import StoredSample

HALF_WIDTH = 0.8
"""The images reach so far on both sides of the jet's centroid in eta and phi."""

ANALYSIS = Path(__file__).with_name("jets.yaml")


def stored_jets(progress: Progress) -> tuple[Analysis, dict[str, StoredSample]]:
    """The analysis that makes the jets, and its samples; from the cache if they are there."""
    from hepimg.config import load_analysis
    from hepimg.generate import make_data
    from hepimg.store import Cache
    from hepimg.workers import usable_cores

    analysis = load_analysis(ANALYSIS)
    return analysis, make_data(analysis, Cache(), progress, usable_cores())


def pythia_jets(samples: Sequence[str], number: int, progress: Progress) -> Particles:
    """Centred jets, anti-kt 0.8, pT 550 to 650 GeV; the first time it takes Pythia some seconds.

    Args:
        samples: of ``top`` and ``qcd``; as many of each.
        number: of jets; repeated from the start where more are asked for than are made.
        progress: shows how they are made.
    """
    from hepimg.sample import Sample
    from hepimg.shards import read_shard

    _, stored = stored_jets(progress)
    parts = []
    for name in samples:
        jets = Sample.concatenate([read_shard(path)[:rows] for path, rows in stored[name].shards])
        parts.append(jets[np.arange(-(-number // len(samples))) % len(jets)])
    return _centred(Sample.concatenate(parts)[:number].collection("constituents").particles())


def jets_of_file(file: Path, number: int) -> Particles:
    """The jets of a shard, or of a folder of shards, as ``hepimg data`` leaves them, each centred on its centroid.

    Raises:
        DataError: it cannot be read, or holds no constituents.
    """
    from hepimg.shards import read_rows

    jets = read_rows(file).collection("constituents").particles()
    if not len(jets):
        raise DataError("no jets", where=str(file))
    return _centred(repeated(jets, number))


def _centred(jets: Particles) -> Particles:
    from hepimg.kernels.particle_transform import centroid, translate

    origin = centroid(jets.offsets, jets.pt, jets.y, jets.phi)
    return Particles(jets.offsets, jets.pt, *translate(jets.offsets, jets.y, jets.phi, *origin), jets.mass)


def made_up_jets(number: int, seed: int = 1) -> Particles:
    """Three-pronged jets of 40 to 100 particles about (0, 0), without a generator."""
    random = np.random.default_rng(seed)
    counts = random.integers(40, 100, number)
    jet = np.repeat(np.arange(number), counts)
    prongs = random.normal(0, 0.25, (number, 3, 2))
    y, phi = (prongs[jet, random.integers(0, 3, len(jet))] + random.normal(0, 0.08, (len(jet), 2))).T
    pt = 3 * random.exponential(1, len(jet)) ** 3
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return Particles(offsets, pt, y, phi, random.choice([0.0, 0.14], len(jet)))


def repeated(jets: Particles, number: int) -> Particles:
    """So many jets, again from the start where there are fewer."""
    return jets[np.arange(number) % len(jets)]


def kernel_axis(axis: Axis) -> KernelAxis:
    """An axis of a grid as kernels see it."""
    from hepimg.kernels.axis import Axis as KernelAxis

    return KernelAxis(axis.all_edges, axis.is_regular, 2 * np.pi if axis.is_angle else 0.0)


def images_of(jets: Particles, size: int) -> SparseImages:
    """Images of the pT on ``size`` x ``size`` cells."""
    from hepimg.kernels.pixelate import pixelate

    grid = Grid.square(HALF_WIDTH, size)
    axes = kernel_axis(grid.rows), kernel_axis(grid.columns)
    return SparseImages(grid, (PT,), *pixelate(jets.offsets, jets.y, jets.phi, jets.pt[:, np.newaxis], *axes))


def random_images(number: int, size: int, occupancy: float, *, clustered: bool, seed: int = 0) -> SparseImages:
    """Images in which each cell is active with the same probability, or which are clustered as the prongs of a jet.

    Args:
        number: of images.
        size: rows and columns.
        occupancy: fraction of active cells, the same in every image.
        clustered: whether the cells nearest to three prongs are the likelier ones.
        seed: of all random numbers.
    """
    random = np.random.default_rng(seed)
    wanted = min(size * size, max(1, round(occupancy * size * size)))
    cells = np.stack([np.sort(_draw_cells(random, size, wanted, clustered)) for _ in range(number)])
    offsets = np.arange(number + 1) * wanted
    return SparseImages(
        Grid.square(HALF_WIDTH, size), (PT,), offsets, cells.ravel(), np.ones((cells.size, 1), np.float32)
    )


def _draw_cells(random: np.random.Generator, size: int, wanted: int, clustered: bool) -> NDArray[Any]:
    """``wanted`` different cells; in clusters, their density falls with the third power of the distance."""
    if not clustered:
        return random.permutation(size * size)[:wanted]
    rows, columns = np.divmod(np.arange(size * size), size)
    prongs = size * (0.5 + random.normal(0, 0.12, (3, 2)))
    near = np.min([np.hypot(rows + 0.5 - row, columns + 0.5 - column) for row, column in prongs], axis=0)
    # The largest keys are a draw without replacement, weighted by density (Efraimidis and Spirakis 2006).
    keys = np.log(random.random(size * size)) * (0.02 * size + near) ** 3
    return np.argpartition(-keys, wanted - 1)[:wanted]
