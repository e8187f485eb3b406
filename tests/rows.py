"""Small samples for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hepimg import Grid, Ragged, Sample, SparseImages
from hepimg.analysis import Analysis
from hepimg.generate import collect
from hepimg.orders import make_plans
from hepimg.store import Cache


def make_sample(n: int, seed: int = 0, first_event: int = 0) -> Sample:
    """``n`` jets with a column of each kind, constituents, and images."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 6, n)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    total = int(offsets[-1])
    fields = {
        "pt": rng.exponential(10, total).astype(np.float32),
        "y": rng.normal(0, 0.3, total).astype(np.float32),
        "phi": rng.uniform(-3, 3, total).astype(np.float32),
        "pdg_id": rng.integers(-211, 212, total).astype(np.int32),
    }
    dense = rng.poisson(0.2, (n, 1, 4, 4))
    return Sample(
        columns={
            "event": np.arange(first_event, first_event + n, dtype=np.int64),
            "weight": np.ones(n, np.float32),
            "mass": rng.normal(100, 10, n).astype(np.float32),
            "matched": rng.random(n) < 0.5,
            "axis": rng.normal(size=(n, 2)).astype(np.float32),
        },
        collections={"constituents": Ragged(offsets, fields, {"pt": "GeV", "phi": "rad"})},
        images={"image": SparseImages.from_dense(dense, Grid.square(1.0, 4))},
        units={"mass": "GeV"},
    )


def collected(analysis: Analysis, cache: Path) -> dict[str, Sample]:
    """All rows of the samples of an analysis without pools, made in this process and not stored."""
    plans = make_plans(analysis, [*analysis.samples.values()], Cache(cache), {})
    made = {}
    for name, plan in plans.items():
        shards = [collect(order.source, order.steps, order.shard, f"sample {name}")[0] for order in plan.orders]
        made[name] = Sample.concatenate(shards)
    return made
