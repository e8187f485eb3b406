"""What resolution pairs cost beside Pythia, and which requirement loses how many jets.

    python benchmarks/pairs.py --events 1500

One process on one thread, with the detector of analyses/jet_pairs.yaml; the first call of everything is kept out.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from hepimg.components import Shard
from hepimg.config import load_analysis
from hepimg.kernels.threads import set_threads
from hepimg.sample import Sample
from hepimg_jets.calorimeter import Calorimeter
from hepimg_jets.pairs import Pairs

ANALYSIS = Path(__file__).parents[1] / "analyses" / "jet_pairs.yaml"


def main() -> None:
    """Print both for each sample of the analysis."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1500)
    number = parser.parse_args().events
    set_threads(1)
    for entry in load_analysis(ANALYSIS).samples.values():
        calorimeter, pairs = entry.steps
        assert isinstance(calorimeter, Calorimeter)
        assert isinstance(pairs, Pairs)
        batches = entry.source.batches(Shard(0, None, 7))
        first = next(batches)
        pairs.apply(calorimeter.apply(first, 1), None)
        made, started = [first], time.process_time()
        while sum(map(len, made[1:])) < number:
            made.append(next(batches))
        events = Sample.concatenate(made[1:])
        times = [time.process_time() - started]
        for step, sample in ((calorimeter, events), (Calorimeter(), events)):
            started = time.process_time()
            cells = step.apply(sample, 1)
            times.append(time.process_time() - started)
            started = time.process_time()
            rows = pairs.apply(cells, None)
            times.append(time.process_time() - started)
            if step is calorimeter:
                losses(pairs, cells, entry.name, len(rows))
        generation, measuring, pairing, _, ideal = (1000 * spent / len(events) for spent in times)
        print(
            f"{entry.name}: ms per event: Pythia {generation:.2f}, calorimeter {measuring:.2f}, pairs {pairing:.2f}; "
            f"pairs on cells without smearing and threshold {ideal:.2f}"
        )


def losses(pairs: Pairs, cells: Sample, name: str, kept: int) -> None:
    """How many of the jets that pass the windows at full resolution pass each further requirement alone, and all."""
    window = pairs.model_copy(update={"min_constituents": 1, "dr": np.inf, "factors": ()})
    total = len(alone(window, cells))
    enough = len(alone(window.model_copy(update={"min_constituents": pairs.min_constituents}), cells))
    print(f"{name}: {total} jets in the windows; {pairs.min_constituents} cells {enough / total:.1%}", end="")
    for factor in pairs.factors:
        one = pairs.model_copy(update={"min_constituents": 1, "factors": (factor,)})
        print(f", factor {factor} {len(one.apply(cells, None)) / total:.1%}", end="")
    print(f"; all {kept / total:.1%}")


def alone(pairs: Pairs, cells: Sample) -> np.ndarray:
    """The jets at full resolution that pass, before any other resolution is looked at."""
    levels = pairs._find(cells)
    chosen, _, _ = pairs._match(levels)
    return chosen[1]


if __name__ == "__main__":
    main()
