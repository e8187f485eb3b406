"""The metric ``quantile``: which share of one column lies below a small quantile of another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hepimg.components import Column, Estimate, Evaluation, Figure, Metric
from hepimg.sample import Sample
from hepimg_metrics.bootstrap import resamples, spread
from hepimg_metrics.rows import check_finite, rows_of_classes, undotted

Floats = NDArray[np.float64]


class Quantile(Metric):
    """The share of rows, class by class, whose number lies below a quantile of another number of the same rows.

    Of the distances to the nearest training jets (task ``nearest``) it is the share of generated jets that are nearer
    to one than all but the nearest percent of the true test jets are: more than one percent were copied.
    """

    name: ClassVar[str] = "quantile"

    of: list[str] = Field(description="columns that are judged: nearest.distance ...", min_length=1)
    against: str = Field(description="column whose quantile is taken: nearest.distance_true")
    fraction: float = Field(0.01, gt=0, lt=1, description="of the rows that lie below the quantile")
    replicas: int = Field(100, ge=2, description="bootstrap replicas")

    def reads(self) -> Sequence[Column]:
        """The columns."""
        return [Column(name) for name in (*self.of, self.against)]

    def evaluate(self, test: Sample, seed: int) -> Evaluation:
        """``<column>_below@<fraction>:<class>`` with its error by the bootstrap, the quantile's own included.

        Raises:
            DataError: there are no rows, or a column is not finite.
        """
        classes = rows_of_classes(test, self.name)
        columns = dict.fromkeys((*self.of, self.against))
        check_finite(test, columns, self.name)
        values = {name: test.column(name).astype(np.float64) for name in columns}
        weight = test.column("weight").astype(np.float64)
        draws = np.array(list(resamples(test.column("sample"), test.column("event"), self.replicas, seed)))
        numbers: dict[str, Estimate] = {}
        for label, rows in classes.items():
            every = np.concatenate([weight[None, rows], draws[:, rows] * weight[rows]])
            limits = quantiles(values[self.against][rows], every, self.fraction)
            for name in self.of:
                below = values[name][rows] < limits[:, None]
                shares = np.sum(every * below, axis=1) / every.sum(axis=1)
                key = f"{name}_below@{self.fraction:g}:{label}"
                numbers[key] = Estimate(float(shares[0]), spread(shares[1:]), int(rows.sum()))
        return Evaluation(numbers, [self._figure(values, weight, rows, label) for label, rows in classes.items()])

    def _figure(self, values: dict[str, Floats], weight: Floats, rows: NDArray[np.bool_], label: str) -> Figure:
        """The distributions of all columns, and where the quantile lies."""
        from hepimg import figures

        edges = figures.bulk_edges(np.concatenate([column[rows] for column in values.values()]), 0.1, 99.5)
        limit = float(quantiles(values[self.against][rows], weight[None, rows], self.fraction)[0])
        with figures.style():
            drawing, (axes,) = figures.subplots(size=(5.4, 4.2))
            filled = {
                name: figures.histogram(column[rows], edges, weight[rows], self.against.rpartition(".")[2])
                for name, column in values.items()
            }
            data = figures.draw_histograms(axes, filled)
            axes.axvline(limit, color="0.4", linestyle=":")
        caption = (
            f"Each column of {label} divided by its sum. Dotted: the {self.fraction:g} quantile of {self.against}; "
            "errors are statistical."
        )
        name = f"quantile-{figures.file_name(undotted(self.against))}-{figures.file_name(label)}"
        return Figure(name, f"{', '.join(self.of)} against {self.against}: {label}", caption, drawing, data)


def quantiles(values: Floats, every: Floats, fraction: float) -> Floats:
    """(replicas,) smallest of (n,) values at which the sum of (replicas, n) weights reaches a fraction of the whole."""
    order = np.argsort(values, kind="stable")
    sums = np.cumsum(every[:, order], axis=1)
    reached = np.argmax(sums >= fraction * sums[:, -1:] * (1 - 1e-12), axis=1)
    return np.asarray(values[order[reached]])
