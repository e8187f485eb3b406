"""The metric ``scatter``: a sum over the entries of one collection against the same sum of others, jet by jet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hepimg.components import Collection, Estimate, Evaluation, Figure, Metric
from hepimg.sample import Ragged, Sample
from hepimg_metrics.bootstrap import resamples
from hepimg_metrics.rows import rows_of_classes

Floats = NDArray[np.float64]


class Scatter(Metric):
    """How well collections of the same jets agree: the sum of a field in each, as points, and what lies far apart.

    With pt the sum is the scalar one, over all cells of the jet: that of all pixels of its image.
    """

    name: ClassVar[str] = "scatter"

    of: str = Field("constituents", description="collection on the x axis")
    against: list[str] = Field(description="collections on the y axis, one panel each", min_length=1)
    field: str = Field("pt", description="field that is added up over the entries of a jet")
    tolerance: float = Field(10.0, gt=0, description="difference beyond which a jet counts, in the unit of the field")
    replicas: int = Field(100, ge=2, description="bootstrap replicas, for the errors of the difference")

    @model_validator(mode="after")
    def _check(self) -> Scatter:
        if len({self.of, *self.against}) <= len(self.against):
            raise ValueError(f"a collection stands twice in {[self.of, *self.against]}")
        return self

    def reads(self) -> Sequence[Collection]:
        """The field in each collection."""
        return [Collection(name, {self.field: ""}) for name in (self.of, *self.against)]

    def evaluate(self, test: Sample, seed: int) -> Evaluation:
        """Per collection and class: ``<name>.<field>_beyond``, ``_difference`` and its root mean square ``_width``."""
        classes = rows_of_classes(test, self.name)
        sums = {name: sums_of(test.collection(name), self.field) for name in (self.of, *self.against)}
        unit = test.collection(self.of).units.get(self.field, "")
        weight = test.column("weight").astype(np.float64)
        draws = np.array(list(resamples(test.column("sample"), test.column("event"), self.replicas, seed)))
        numbers: dict[str, Estimate] = {}
        for label, rows in classes.items():
            replicas = draws[:, rows] * weight[rows]
            for name in self.against:
                difference = sums[name][rows] - sums[self.of][rows]
                mean, width = _moments(difference, weight[rows], replicas, unit)
                key = f"{name}.{self.field}"
                numbers[f"{key}_beyond@{label}"] = fraction(np.abs(difference) > self.tolerance, weight[rows])
                numbers[f"{key}_difference@{label}"], numbers[f"{key}_width@{label}"] = mean, width
        return Evaluation(numbers, [self._figure(sums, rows, label, unit) for label, rows in classes.items()])

    def _figure(self, sums: Mapping[str, Floats], rows: NDArray[np.bool_], label: str, unit: str) -> Figure:
        """A panel for each collection."""
        from hepimg import figures
        from hepimg.figures.draw import with_unit
        from hepimg.figures.style import COLOURS

        data = {name: values[rows] for name, values in sums.items()}
        low, high = min(map(np.min, data.values())), max(map(np.max, data.values()))
        ends = np.array([low - self.tolerance, high + self.tolerance])
        axis_label = with_unit("sum of $p_T$" if self.field == "pt" else f"sum of {self.field}", unit)
        with figures.style():
            drawing, panels = figures.subplots(1, len(self.against), (3.3 * len(self.against) + 0.6, 3.7))
            for axes, name in zip(panels, self.against, strict=True):
                axes.plot(data[self.of], data[name], ".", markersize=3, color=COLOURS[0], alpha=0.5, rasterized=True)
                axes.plot(ends, ends, color=COLOURS[3], linewidth=1)
                for shift in (-self.tolerance, self.tolerance):
                    axes.plot(ends, ends + shift, ":", color=COLOURS[2], linewidth=1)
                axes.set(xlim=ends, ylim=ends, aspect="equal")
                axes.set(xlabel=f"{axis_label}\nof {self.of}", ylabel=f"{axis_label} of {name}")
        caption = (
            f"Each point is a test jet of {label}: the sum of {self.field} over {self.of} against that over each other "
            f"collection. Solid: no difference; dotted: a difference of {self.tolerance:g} {unit}".rstrip()
            + "."
        )
        title = f"{self.field} in {len(data)} collections: {label}"
        name = f"scatter-{self.field}-{figures.file_name(label)}"
        return Figure(name, title, caption, drawing, {k: v.astype(np.float64) for k, v in data.items()})


def sums_of(collection: Ragged, field: str) -> Floats:
    """(n_rows,) sum of a field over the entries of each row; 0 for a row without any."""
    row = np.repeat(np.arange(len(collection)), collection.counts)
    return np.asarray(np.bincount(row, collection[field], len(collection)), np.float64)


def fraction(chosen: NDArray[np.bool_], weights: Floats) -> Estimate:
    """The weighted fraction of rows that are chosen, and its binomial error.

    The error is the standard deviation of the posterior for a flat prior (T. Ullrich, Z. Xu, physics/0701199),
    which is positive where none or all are chosen; n is there the effective number (sum w)^2 / sum w^2.  With negative
    weights the fraction can lie outside [0, 1], as an unbiased estimate must; its error is then that of 0 or 1.
    """
    share = float(weights[chosen].sum() / weights.sum())
    n = float(weights.sum() ** 2 / np.sum(weights**2))
    k = min(max(share, 0.0), 1.0) * n
    variance = (k + 1) * (k + 2) / ((n + 2) * (n + 3)) - ((k + 1) / (n + 2)) ** 2
    return Estimate(share, float(np.sqrt(variance)), len(chosen))


def _moments(values: Floats, weights: Floats, replicas: Floats, unit: str) -> tuple[Estimate, Estimate]:
    """Mean and standard deviation of (n,) values, their errors from (replicas, n) weights."""
    every = np.concatenate([weights[None], replicas])
    means = every @ values / every.sum(axis=1)
    widths = np.sqrt(np.maximum(every @ values**2 / every.sum(axis=1) - means**2, 0))
    mean, width = (Estimate(float(x[0]), float(x[1:].std(ddof=1)), len(values), unit=unit) for x in (means, widths))
    return mean, width
