"""Jets grown from one cell: how many a second, and at which resolution they go wrong.

    python benchmarks/growth.py results/generate_jets

Needs the folder of a run with a task ``generator``, and the cache that the run has used.  The rate is that of
``predict``, in several processes of one thread each, at the same time.  Then true images are pooled to 1, 2, 4 ...
cells along each axis, and the rest is grown: W1 / floor of mass and tau32, half of the test jets against the other.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch

from hepimg.images import SparseImages
from hepimg.kernels.pool import pool
from hepimg.observables import compute
from hepimg.process import use_threads
from hepimg.results import load
from hepimg.sample import Sample
from hepimg.testing import make_run
from hepimg_generation.classes import one_hot
from hepimg_generation.generator import AT_ONCE, Generator
from hepimg_metrics.closure.wasserstein import distances, floor

NAMES = ("mass", "tau32")

SPLITS = 50
"""Random halves for the floor."""


def opened(folder: Path, name: str) -> tuple[Generator, dict[str, np.ndarray]]:
    """A task of a run, and what it has learned."""
    state, description = load(folder).model(name)
    return Generator.model_validate(description["task"]["options"]), state


def rate(folder: Path, name: str, rows: int) -> float:
    """Jets that ``predict`` grows in a second, with one thread."""
    use_threads(1)
    task, state = opened(folder, name)
    results = load(folder)
    each = rows // len(results.analysis["samples"])
    test = Sample.concatenate(
        [results.sample(label, preprocess=True).load([task.image], each) for label in results.analysis["samples"]]
    )
    run = make_run(Path(tempfile.mkdtemp()))
    task.predict(state, test[:AT_ONCE], run)
    began = time.perf_counter()
    task.predict(state, test, run)
    return len(test) / (time.perf_counter() - began)


def by_stage(folder: Path, name: str, label: str, rows: int) -> None:
    """Print W1 / floor of what is grown from true images of each resolution."""
    task, state = opened(folder, name)
    test = load(folder).sample(label, preprocess=True).load([task.image], 2 * rows)
    images, truth = test.image(task.image), {}
    half = len(test) // 2
    values = compute(NAMES, images[half : 2 * half].particles())
    for observable in NAMES:
        halves = np.array([np.random.default_rng(k).permutation(half) < half // 2 for k in range(SPLITS)])
        truth[observable] = floor(values[observable], np.ones(half), halves).value
    classes, network = task.restored(state, images.grid)
    condition, numbers = torch.from_numpy(one_hot(test, classes, name)), test.column("row")
    side = images.grid.shape[0]
    while side:
        coarse = SparseImages(
            images.grid.pooled(side),
            images.channels,
            *pool(images.offsets, images.cells, images.values, images.grid.shape, (side, side), "sum"),
        )
        parts = [slice(first, min(first + AT_ONCE, half)) for first in range(0, half, AT_ONCE)]
        grown = [network.sample(coarse[p], images.grid, numbers[p], 1, 0, condition[p]) for p in parts]
        found = compute(NAMES, SparseImages.concatenate(grown).particles())
        ratios = [distances(values[each], found[each], np.ones((1, half)))[0] / truth[each] for each in NAMES]
        cells = images.grid.shape[0] // side
        print(f"{label:8} {cells:3} x {cells:<3}", *(f"{each} {x:6.2f}" for each, x in zip(NAMES, ratios, strict=True)))
        side //= 2


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="results of a run")
    parser.add_argument("--task", default="grow", help="its name in the analysis")
    parser.add_argument("--jets", type=int, default=5000, help="grown, of each class and resolution")
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(asked.processes, spawn) as pool_of_processes:
        flying = [pool_of_processes.submit(rate, asked.folder, asked.task, 8192) for _ in range(asked.processes)]
        rates = [each.result() for each in flying]
    print(f"{sum(rates):.0f} jets/s in {asked.processes} processes of one thread")
    use_threads(1)
    for label in load(asked.folder).analysis["samples"]:
        by_stage(asked.folder, asked.task, label, asked.jets)


if __name__ == "__main__":
    main()
