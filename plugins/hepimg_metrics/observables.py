"""The metric ``observables``: distributions of jet observables in each class, their means, and the mass peak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hepimg.components import Column, Estimate, Evaluation, Figure, Metric, Port
from hepimg.observables import ObservableName, compute, parse
from hepimg.observables.ports import particles_for
from hepimg.sample import Sample
from hepimg_metrics.bootstrap import resamples
from hepimg_metrics.rows import rows_of_classes

Floats = NDArray[np.float64]

GRID = 1024
"""Points at which a density is evaluated to find its peak."""


class Observables(Metric):
    """Distribution of each observable in each class, and its mean; of a mass, the peak too."""

    name: ClassVar[str] = "observables"

    names: list[ObservableName] = Field(
        ["mass", "pt", "tau21", "tau32", "n_active"],
        description="observables of the constituents: mass, c2[beta=2] ...",
    )
    of: str = Field("constituents", description="collection that they are computed from")
    columns: list[str] = Field([], description="columns of the jets shown beside them")
    replicas: int = Field(100, ge=2, description="bootstrap replicas")

    def reads(self) -> Sequence[Port]:
        """The constituents, and the columns."""
        columns = [Column(name) for name in self.columns]
        return [particles_for(self.names, self.of), *columns] if self.names else columns

    def evaluate(self, test: Sample, seed: int) -> Evaluation:
        """Numbers ``<observable>.mean@<class>`` and ``mass.peak@<class>``; a figure of each observable.

        Those of another collection than the constituents carry its name: ``groomed.mass.mean@<class>``.
        """
        classes = rows_of_classes(test, self.name)
        values = self._values(test)
        weight = test.column("weight").astype(np.float64)
        numbers: dict[str, Estimate] = {}
        draws = list(resamples(test.column("sample"), test.column("event"), self.replicas, seed))
        for label, rows in classes.items():
            weights = weight[rows]
            replicas = np.array([drawn[rows] for drawn in draws]) * weights
            for name, column in values.items():
                unit, key = self._meaning(name, test)[1], self._key(name)
                numbers[f"{key}.mean@{label}"] = replace(_mean(column[rows], weights, replicas), unit=unit)
                if name.partition("[")[0].endswith("mass"):
                    numbers[f"{key}.peak@{label}"] = replace(_peak(column[rows], weights, replicas), unit=unit)
        return Evaluation(numbers, [self._figure(name, column, classes, test) for name, column in values.items()])

    def _values(self, test: Sample) -> dict[str, Floats]:
        """Each observable and column of all rows."""
        values: dict[str, Floats] = {}
        if self.names:
            collection = test.collection(self.of)
            values = compute(self.names, collection.particles())
        return values | {name: test.column(name).astype(np.float64) for name in self.columns}

    def _key(self, name: str) -> str:
        return f"{self.of}.{name}" if name in self.names and self.of != "constituents" else name

    def _meaning(self, name: str, test: Sample) -> tuple[str, str]:
        """Description and unit of an observable or column."""
        if name in self.names:
            return parse(name).description, parse(name).unit
        return name, test.units.get(name, "")

    def _figure(self, name: str, values: Floats, classes: Mapping[str, NDArray[np.bool_]], test: Sample) -> Figure:
        from hepimg import figures
        from hepimg.figures.draw import with_unit

        meaning, unit = self._meaning(name, test)
        label = with_unit(self._key(name), unit)
        # each class counts the same, so that the few rows of one do not lie off the axes
        alike = [np.quantile(values[rows], np.linspace(0, 1, 201), method="nearest") for rows in classes.values()]
        edges = figures.bulk_edges(np.concatenate(alike), 0.5, 99.0)
        with figures.style():
            drawing, (axes,) = figures.subplots(size=(5.4, 4.2))
            histograms = {
                key: figures.histogram(values[rows], edges, test.column("weight")[rows], label)
                for key, rows in classes.items()
            }
            data = figures.draw_histograms(axes, histograms)
        caption = f"{meaning}, each class divided by its sum; errors are statistical."
        key = self._key(name)
        return Figure(f"observable-{figures.file_name(key)}", key, caption, drawing, data)


def _mean(values: Floats, weights: Floats, replicas: Floats) -> Estimate:
    """The weighted mean of (n,) values and its error from (replicas, n) weights."""
    means = replicas @ values / replicas.sum(axis=1)
    return Estimate(float(np.average(values, weights=weights)), float(means.std(ddof=1)), len(values))


def _peak(values: Floats, weights: Floats, replicas: Floats) -> Estimate:
    """The mode of a Gaussian kernel density estimate, and its error from (replicas, n) weights.

    The bandwidth is Silverman's (Density Estimation, 1986, eq. 3.31), the same for all replicas.
    """
    low, quarter, three_quarters, high = np.percentile(values, [0.1, 25, 75, 99.9])
    spread = min(float(values.std()), (three_quarters - quarter) / 1.34)
    if spread == 0:
        return Estimate(float(np.median(values)), None, len(values))
    width = 0.9 * spread * len(values) ** -0.2
    points = np.linspace(low - width, high + width, GRID)
    step = points[1] - points[0]
    bins = np.clip(np.round((values - points[0]) / step), 0, GRID - 1).astype(np.int64)
    kernel = np.exp(-0.5 * ((points[:, None] - points) / max(width, step)) ** 2)
    filled = np.array([np.bincount(bins, weights=row, minlength=GRID) for row in (weights, *replicas)])
    peaks = points[np.argmax(filled @ kernel, axis=1)]
    return Estimate(float(peaks[0]), float(peaks[1:].std(ddof=1)), len(values))
