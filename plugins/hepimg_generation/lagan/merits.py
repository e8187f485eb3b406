"""Figures of merit by which the best generator is chosen: distances between distributions of observables."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hepimg.images import SparseImages
from hepimg.observables import compute

NAMES = ("mass", "pt", "girth", "tau21", "n_active", "nth_hardest[n=1]", "nth_hardest[n=3]", "nth_hardest[n=10]")
"""What is compared."""


def distance(truth: SparseImages, generated: SparseImages) -> float:
    """Mean over the observables of W1 between equally many true and generated images, over the true deviation.

    An observable that is the same in all true images is measured in its own unit.  0 without images.
    """
    if not len(truth):
        return 0.0
    true, made = (compute(NAMES, images.particles(images.channels[0].name)) for images in (truth, generated))
    found = [np.abs(np.sort(true[name]) - np.sort(made[name])).mean() / (true[name].std() or 1.0) for name in NAMES]
    return float(np.mean(found))


def distances(truth: Mapping[str, SparseImages], generated: Mapping[str, SparseImages]) -> dict[str, float]:
    """The distance of each class."""
    return {f"distance@{name}": distance(images, generated[name]) for name, images in truth.items()}
