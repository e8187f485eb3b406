"""Events per second with pileup from a ready pool, and active cells of full events against the number of collisions.

python benchmarks/pileup.py --events 100 --pool 2000

One process on one core.  The first call of everything (imports, compilation) is kept out.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from hepimg.components import Shard, Step
from hepimg.kernels.axis import Axis
from hepimg.kernels.pixelate import pixelate
from hepimg.kernels.threads import set_threads
from hepimg.sample import Sample
from hepimg_jets.calorimeter import Calorimeter
from hepimg_jets.cluster import Cluster
from hepimg_jets.overlay import Overlay
from hepimg_pythia.source import Pythia

MUS = (0, 20, 60, 140, 200)
RADII = (0.4, 0.8)
CELLS = (0.1, 0.025)
MAX_ETA = 2.5
TOWERS = {"eta": (-5.0, 5.0), "phi": (-np.pi, np.pi), "shape": (100, 64)}
"""Cells of 0.1, as a calorimeter has them."""


def generate(number: int, **options: Any) -> Sample:
    """Events of Pythia."""
    made: list[Sample] = []
    for batch in Pythia.model_validate(options).batches(Shard(0, None, 1)):
        made.append(batch)
        if sum(map(len, made)) >= number:
            break
    return Sample.concatenate(made)[:number]


def timed(step: Step, sample: Sample) -> tuple[Sample, float]:
    """What the step makes, and the CPU time that one core needs for it."""
    began = time.process_time()
    made = step.apply(sample, 1)
    return made, time.process_time() - began


def active_cells(sample: Sample, size: float) -> float:
    """Mean number of active cells of an image of eta (within 2.5) and the whole azimuth."""
    particles = sample.collection("particles")
    pt, y, mass = (particles[name].astype(np.float64) for name in ("pt", "y", "mass"))
    eta = np.arcsinh(np.hypot(pt, mass) / pt * np.sinh(y))
    rows = Axis(np.linspace(-MAX_ETA, MAX_ETA, round(2 * MAX_ETA / size) + 1), regular=True)
    columns = Axis(np.linspace(-np.pi, np.pi, round(2 * np.pi / size) + 1), regular=True, period=2 * np.pi)
    offsets, *_ = pixelate(particles.offsets, eta, particles["phi"], pt[:, np.newaxis], rows, columns)
    return float(np.diff(offsets).mean())


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100, help="hard events for each mu")
    parser.add_argument("--pool", type=int, default=2000, help="minimum-bias events in the pool")
    options = parser.parse_args()
    set_threads(1)
    hard = generate(options.events, process="ttbar_hadronic", pt_hat=(530, 720))
    pool = generate(options.pool, settings=["SoftQCD:inelastic = on"])
    clusters = [Cluster(radius=radius, pt=(20.0, None)) for radius in RADII]
    print(f"{options.events} top pairs, pool of {options.pool} inelastic events; per second of one core")
    sizes = [f"cells of {size:g}" for size in CELLS]
    jets = [f"and R = {radius:g}" for radius in RADII] + ["or towers, .4"]
    towers = [Calorimeter.model_validate({"grid": TOWERS}), Cluster(particles="cells", radius=0.4, pt=(20.0, None))]
    print(" ".join(f"{title:>14}" for title in ("mu", "particles", "overlay/s", *jets, *sizes)))
    for mu in MUS:
        overlay = Overlay(pool="soft", mu=float(mu))
        overlay.open_pools({"soft": [pool]})
        for step in clusters:
            step.apply(overlay.apply(hard[:2], 1), None)
        towers[1].apply(towers[0].apply(hard[:2], None), None)
        events, spent = timed(overlay, hard)
        cells, measuring = timed(towers[0], events)
        times = [spent, *(spent + timed(step, events)[1] for step in clusters)]
        times.append(spent + measuring + timed(towers[1], cells)[1])
        rates = [len(hard) / time for time in times]
        particles = len(events.collection("particles")["pt"]) / len(hard)
        active = [active_cells(events, size) for size in CELLS]
        print(" ".join(f"{number:14.0f}" for number in (mu, particles, *rates, *active)))


if __name__ == "__main__":
    main()
