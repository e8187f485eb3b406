"""Where the time of making jets goes: Pythia's own, FastJet's and ours, each as a share of the wall time.

python benchmarks/generation.py --events 2000
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from hepimg.checks import check_sample
from hepimg.components import Shard
from hepimg_jets.cluster import Cluster
from hepimg_pythia import source
from hepimg_pythia.source import Pythia

SAMPLES = {"dijet": (530.0, 700.0), "ttbar_hadronic": (530.0, 720.0)}


class Timed:
    """A Pythia whose batches are timed."""

    def __init__(self, pythia: Any) -> None:
        self._pythia, self.seconds = pythia, 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pythia, name)

    def nextBatch(self, number: int) -> Any:  # noqa: N802 - Pythia's name
        """The next batch."""
        began = time.perf_counter()
        batch = self._pythia.nextBatch(number)
        self.seconds += time.perf_counter() - began
        return batch


def measure(process: str, pt_hat: tuple[float, float], events: int) -> dict[str, float]:
    """Seconds of one shard, as ``hepimg data`` makes it, after Pythia's initialisation."""
    timed: list[Timed] = []
    start: Callable[..., Any] = source.start

    def start_timed(*arguments: Any) -> Timed:
        timed.append(Timed(start(*arguments)))
        return timed[0]

    source.start = start_timed  # type: ignore[assignment]
    try:
        cluster = Cluster(radius=0.8, pt=(550.0, 650.0), abs_eta=2.0)
        batches = Pythia(process=process, pt_hat=pt_hat).batches(Shard(0, None, 1))
        cluster.apply(next(batches), None)  # compilation and imports
        timed[0].seconds, began, made, jets, clustering = 0.0, time.perf_counter(), 0, 0, 0.0
        while made < events:
            sample = check_sample(next(batches))
            before = time.perf_counter()
            jets += len(cluster.apply(sample, None))
            clustering += time.perf_counter() - before
            made += len(sample)
        wall = time.perf_counter() - began
    finally:
        source.start = start
    pythia = timed[0].seconds
    return {"events/s": made / wall, "jets/s": jets / wall, "Pythia": pythia / wall, "cluster": clustering / wall}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=2000, help="events of each process")
    events = parser.parse_args().events
    print(f"{'process':16} {'events/s':>9} {'jets/s':>9} {'Pythia':>8} {'cluster':>8} {'the rest':>9}")
    for process, pt_hat in SAMPLES.items():
        row = measure(process, pt_hat, events)
        rates = f"{row['events/s']:9.0f} {row['jets/s']:9.0f}"
        rest = 1 - row["Pythia"] - row["cluster"]
        print(f"{process:16} {rates} {row['Pythia']:8.1%} {row['cluster']:8.1%} {rest:9.1%}")


if __name__ == "__main__":
    main()
