"""What super-resolution x8 costs for each jet: 20 x 20 -> 160 x 160 cells.

    python benchmarks/superres.py gan                            # the thesis's networks, dense and sparse
    python benchmarks/superres.py gan --rrdb 3 --filters 24      # smaller ones
    python benchmarks/superres.py likelihood                     # the sparse likelihood model
    python benchmarks/superres.py likelihood gan                 # both in one run

On made-up jets, whose number of active cells is that of real ones; prints flat objects, a line each.  The first calls
are kept out.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch

from hepimg.bench.jets import images_of, made_up_jets
from hepimg.bench.machine import describe_machine
from hepimg.expansion.shares import Bounds
from hepimg.images import SparseImages
from hepimg.kernels.pool import pool
from hepimg.process import keep_freed_memory, use_threads
from hepimg_superres.gan.game import Batch, SuperresGame, as_tensor
from hepimg_superres.gan.options import GanLosses, GanNetworks
from hepimg_superres.sharpener import Batch as PairBatch
from hepimg_superres.sharpener import Sharpener
from hepimg_superres.super_resolution import SuperResolution

SIZE, FACTOR = 160, 8

LIKELIHOOD_BATCH = 128

Row = dict[str, str | int | float]


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", choices=["gan", "likelihood"])
    parser.add_argument("--rrdb", type=int, default=10)
    parser.add_argument(
        "--filters", type=int, default=64, help="of the generator and the first block of discriminators"
    )
    parser.add_argument("--batch", type=int, default=15, help="jets of a step; the likelihood model takes 128")
    parser.add_argument("--steps", type=int, default=2, help="steps that are timed")
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    use_threads(asked.threads)
    keep_freed_memory()
    machine = describe_machine("torch")
    for model in asked.models:
        for row in (gan if model == "gan" else likelihood)(asked):
            print(json.dumps({**row, "threads": asked.threads, "machine": machine}), flush=True)


def pairs(number: int) -> tuple[SparseImages, SparseImages]:
    """Fine images and the same, pooled."""
    fine = images_of(made_up_jets(number), SIZE)
    coarse = pool(fine.offsets, fine.cells, fine.values, fine.grid.shape, (FACTOR, FACTOR))
    return fine, SparseImages(fine.grid.pooled(FACTOR), fine.channels, *coarse)


def likelihood(asked: argparse.Namespace) -> Iterator[Row]:
    """A training step of ``super_resolution`` as it comes, from images to new weights, and one draw of each jet."""
    fine, coarse = pairs(LIKELIHOOD_BATCH)
    options = SuperResolution().network
    network = Sharpener(FACTOR.bit_length() - 1, Bounds(), correct=False, **dict(options))
    adamw = torch.optim.AdamW(network.parameters(), 1e-3, fused=True)

    def step() -> None:
        adamw.zero_grad()
        network(PairBatch.of(fine, coarse, FACTOR.bit_length() - 1, np.ones(len(fine)))).backward()
        adamw.step()

    described: Row = {"networks": "likelihood", "channels": options.channels, "batch": LIKELIHOOD_BATCH}
    yield {"work": "step", **described, **_timed(step, LIKELIHOOD_BATCH, 5 * asked.steps)}
    network.eval()
    rows = np.arange(len(coarse))
    draw = partial(network.sample, coarse, fine.grid, rows, 1, 0)
    yield {"work": "draw", **described, **_timed(draw, LIKELIHOOD_BATCH, 5 * asked.steps)}


def gan(asked: argparse.Namespace) -> Iterator[Row]:
    """A training step with all discriminators, with and without penalty, and the generator's forward pass alone."""
    fine, coarse = pairs(asked.batch)
    batch = as_tensor(fine), as_tensor(coarse)
    networks = {
        "four discriminators": GanNetworks(rrdb=asked.rrdb, filters=asked.filters, discriminator_filters=asked.filters)
    }
    networks["two discriminators"] = networks["four discriminators"].model_copy(update={"reset": None})
    for sparse in (False, True):
        for name, sizes in networks.items():
            for penalty in (0.001, 0.0):
                game = SuperresGame(sizes, GanLosses(lambda_reg=penalty), "hr", "lr", ("patch",), sparse=sparse)
                yield {
                    "work": f"step, {name}, {'with' if penalty else 'no'} penalty",
                    **_described(asked, sparse),
                    **_timed(_step(game, batch), asked.batch, asked.steps),
                }
        game = SuperresGame(sizes, GanLosses(), "hr", "lr", ("patch",), sparse=sparse)
        yield {
            "work": "forward",
            **_described(asked, sparse),
            **_timed(_forward(game, batch), asked.batch, asked.steps),
        }


def _described(asked: argparse.Namespace, sparse: bool) -> Row:
    kind = "sparse" if sparse else "dense"
    return {"networks": kind, "rrdb": asked.rrdb, "filters": asked.filters, "batch": asked.batch}


def _timed(work: Callable[[], object], batch: int, steps: int) -> Row:
    """Milliseconds for each jet, by the clock and of all cores: the least of some calls after one that does not count.

    Where other work disturbs the clock, the second is what to compare, with one thread.
    """
    work()
    wall, cores = [], []
    for _ in range(steps):
        started = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - started[0])
        cores.append(time.process_time() - started[1])
    names = ("ms_per_jet", wall), ("cpu_ms_per_jet", cores)
    return {name: round(1000 * min(seconds) / batch, 2) for name, seconds in names}


def _step(game: SuperresGame, batch: Batch) -> Callable[[], None]:
    """One step of the discriminators and one of the generator, as ``hepimg.adversarial.game`` makes them."""
    adam = [
        torch.optim.Adam(side.parameters(), 1e-4, (0.5, 0.9), foreach=True)
        for side in (game.generator, game.discriminators)
    ]

    def step() -> None:
        generated = game.generate(batch)
        adam[1].zero_grad()
        torch.stack([*game.discriminator_terms(batch, generated.detach()).values()]).sum().backward()
        adam[1].step()
        game.discriminators.requires_grad_(False)
        adam[0].zero_grad()
        torch.stack([*game.generator_terms(batch, generated).values()]).sum().backward()
        adam[0].step()
        game.discriminators.requires_grad_(True)

    return step


def _forward(game: SuperresGame, batch: Batch) -> Callable[[], object]:
    game.generator.eval()
    return torch.no_grad()(lambda: game.generate(batch))


if __name__ == "__main__":
    main()
