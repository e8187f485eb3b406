"""The metric ``distances``: one number for how far generated jets are from true ones, in many observables at once."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hepimg.components import Estimate, Evaluation
from hepimg.observables import ObservableName, compute
from hepimg.sample import Sample
from hepimg_metrics.bootstrap import blocks
from hepimg_metrics.closure.closure import NAMES
from hepimg_metrics.closure.models import models_of
from hepimg_metrics.distances.frechet import Moments, extrapolated
from hepimg_metrics.distances.kernel import median
from hepimg_metrics.generated import OfGenerated
from hepimg_metrics.rows import rows_of_classes

Floats = NDArray[np.float64]

BLOCKS = 20
"""Of events, even, so that half of them can be held against the other half."""

Found = tuple[float, float] | None


class Distances(OfGenerated):
    """Frechet and kernel distances between generated and true jets (R. Kansal et al., arXiv:2211.10295).

    The features are observables of the pixels, less the truth's mean, over its standard deviation (1 where they are
    the same for all true jets).  ``<task>.fpd@<class>`` is the Frechet distance between Gaussians of the same means and
    covariances, for infinitely many jets; ``<task>.kpd@<class>`` the median over batches of jets of MMD^2 with the
    kernel (x y / d + 1)^4, without bias.  Both are 0 on average where the truth could have been generated, and may be
    negative by chance; ``<truth>.fpd_floor@<class>`` and ``<truth>.kpd_floor@<class>``, of one half of the true jets
    against the other, say by how much.  Errors are by blocks of whole events.
    """

    name: ClassVar[str] = "distances"

    names: list[ObservableName] = Field(NAMES, description="observables of the pixels: mass, tau21 ...", min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Distances:
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"an observable is named twice: {self.names}")
        return self

    def evaluate(self, test: Sample, seed: int) -> Evaluation:
        """Numbers, see the class; those are missing that there are too few jets for.

        Raises:
            DataError: there are no rows.
        """
        classes = rows_of_classes(test, self.name)
        block = blocks(test.column("sample"), test.column("event"), BLOCKS, seed)
        weight = test.column("weight").astype(np.float64)
        values = {name: self._features(test, name) for name in (self.truth, *self.generated)}
        numbers: dict[str, Estimate] = {}
        for label, rows in classes.items():
            mean, spread = values[self.truth][rows].mean(axis=0), values[self.truth][rows].std(axis=0)
            spread[spread == 0] = 1.0
            seen = {
                name: _Blocks((table[rows] - mean) / spread, weight[rows], block[rows])
                for name, table in values.items()
            }
            truth = seen[self.truth]
            found: dict[str, Found] = {f"{self.truth}.fpd_floor": truth.frechet_of_halves()}
            found[f"{self.truth}.kpd_floor"] = truth.kernel_of_halves()
            for model in models_of(self.generated, ()):
                found[f"{model.name}.fpd"] = truth.frechet(seen[model.image])
                found[f"{model.name}.kpd"] = truth.kernel(seen[model.image])
            n = int(rows.sum())
            numbers |= {f"{name}@{label}": Estimate(*each, n) for name, each in found.items() if each is not None}
        return Evaluation(numbers)

    def _features(self, test: Sample, name: str) -> Floats:
        """(n, observables)."""
        images = test.image(name)
        values = compute(self.names, images.particles(images.channels[0].name))
        return np.stack([values[observable] for observable in self.names], axis=1)


class _Blocks:
    """The features of one image of a class, by blocks of events."""

    def __init__(self, values: Floats, weights: Floats, block: NDArray[np.int64]) -> None:
        self.moments = Moments.of(values, weights, block, BLOCKS)
        self.parts = [(values[block == k], weights[block == k]) for k in range(BLOCKS)]

    def frechet(self, other: _Blocks) -> Found:
        return extrapolated(self.moments, other.moments)

    def frechet_of_halves(self) -> Found:
        return extrapolated(self.moments[: BLOCKS // 2], self.moments[BLOCKS // 2 :])

    def kernel(self, other: _Blocks) -> Found:
        return median(self.parts, other.parts, paired=True)

    def kernel_of_halves(self) -> Found:
        return median(self.parts[: BLOCKS // 2], self.parts[BLOCKS // 2 :])
