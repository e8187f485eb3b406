"""The metric ``profile``: the mean of observables or columns against a column, such as active pixels against pileup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hepimg.components import Column, Estimate, Evaluation, Figure, Image, Metric, Port
from hepimg.observables import ObservableName, compute, parse
from hepimg.observables.ports import particles_for
from hepimg.sample import Sample
from hepimg_metrics.bootstrap import resamples, spread
from hepimg_metrics.rows import check_finite, rows_of_classes, undotted

Floats = NDArray[np.float64]

MARKERS = "osD^v"
"""Of the classes; colours are of what the observable was computed from."""


@dataclass(frozen=True)
class Curves:
    """What one figure shows: (n_rows,) values by what they are computed from; under an empty name those of a column."""

    name: str
    meaning: str
    unit: str
    values: Mapping[str, Floats]


class Profile(Metric):
    """The mean of observables and columns in bins of a column, and the slope of a straight line through all rows.

    Bins of equally many rows are drawn equally wide.
    """

    name: ClassVar[str] = "profile"

    against: str = Field(description="column on the x axis, such as n_pileup")
    names: list[ObservableName] = Field(["n_active"], min_length=1, description="observables: mass, n_active ...")
    collections: list[str] = Field([], description="collections that they are computed from")
    images: list[str] = Field([], description="images that they are computed from")
    columns: list[str] = Field([], description="columns and predictions whose mean is drawn too, such as ae.loss")
    bins: int = Field(10, ge=2, description="bins of the column")
    quantiles: bool = Field(
        False, description="whether all bins hold equally many rows; otherwise they are evenly spaced over the range"
    )
    replicas: int = Field(100, ge=2, description="bootstrap replicas, for the errors")

    @model_validator(mode="after")
    def _check(self) -> Profile:
        if not (self.collections or self.images or self.columns):
            raise ValueError("name columns, or collections or images that the observables are computed from")
        if "names" in self.model_fields_set and not (self.collections or self.images):
            raise ValueError("names: name collections or images that these observables are computed from")
        return self

    def reads(self) -> Sequence[Port]:
        """The columns, the collections, the images."""
        collections = [particles_for(self.names, name) for name in self.collections]
        columns = map(Column, dict.fromkeys([self.against, *self.columns]))
        return [*columns, *collections, *map(Image, self.images)]

    def evaluate(self, test: Sample, seed: int) -> Evaluation:
        """Numbers ``<collection or image>.<observable>.slope_against_<column>@<class>``; figures of each observable.

        Of a column: ``<column>.slope_against_<column>@<class>``.

        Raises:
            DataError: there are no rows, or a value of the column is not finite.
        """
        classes = rows_of_classes(test, self.name)
        check_finite(test, [self.against, *self.columns], self.name)
        particles = {name: test.collection(name).particles() for name in self.collections}
        particles |= {name: test.image(name).particles() for name in self.images}
        seen = {name: compute(self.names, of) for name, of in particles.items()}
        curves = [
            Curves(name, parse(name).description, parse(name).unit, {of: found[name] for of, found in seen.items()})
            for name in (self.names if seen else [])
        ]
        curves += [
            Curves(name, name, test.units.get(name, ""), {"": test.column(name).astype(np.float64)})
            for name in self.columns
        ]
        x, weight = test.column(self.against).astype(np.float64), test.column("weight").astype(np.float64)
        draws = np.array(list(resamples(test.column("sample"), test.column("event"), self.replicas, seed)))
        every = np.concatenate([weight[None], draws * weight])
        unit = test.units.get(self.against, "")
        slope = f"slope_against_{undotted(self.against)}"
        numbers: dict[str, Estimate] = {}
        for label, rows in classes.items():
            for drawn in curves:
                for of, y in drawn.values.items():
                    per = f"{drawn.unit or 1}/{unit}" if unit else drawn.unit
                    if (found := _slope(x[rows], y[rows], every[:, rows], per)) is not None:
                        numbers[f"{of}.{drawn.name}.{slope}@{label}".lstrip(".")] = found
        return Evaluation(numbers, [self._figure(drawn, x, classes, every, unit) for drawn in curves])

    def _figure(
        self,
        curves: Curves,
        x: Floats,
        classes: Mapping[str, NDArray[np.bool_]],
        every: Floats,
        unit: str,
    ) -> Figure:
        from hepimg import figures
        from hepimg.figures.draw import with_unit

        edges = _edges(x, self.bins, quantiles=self.quantiles)
        which = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 2)
        data: dict[str, NDArray[np.generic]] = {"edges": edges}
        with figures.style():
            drawing, (axes,) = figures.subplots(size=(6.4, 4.6))
            for (label, rows), marker in zip(classes.items(), cycle(MARKERS), strict=False):
                for number, (of, y) in enumerate(curves.values.items()):
                    full, mean, error = _means(y[rows], which[rows], every[:, rows])
                    centre = (edges[1:] + edges[:-1])[full] / 2
                    where, half = (full + 0.5, 0.5) if self.quantiles else (centre, np.diff(edges)[full] / 2)
                    style: dict[str, Any] = {
                        "fmt": marker,
                        "color": f"C{number}",
                        "markersize": 5,
                        "markerfacecolor": "white",
                    }
                    axes.errorbar(where, mean, error, half, label=f"{label}, {of}".rstrip(", "), **style)
                    key = f"{label}.{of}".rstrip(".")
                    data |= {f"{key}.x": centre, f"{key}.mean": mean, f"{key}.error": error}
            if self.quantiles:
                axes.set_xticks(np.arange(len(edges)), _written(edges))
                axes.minorticks_off()
            axes.set(xlabel=with_unit(self.against, unit), ylabel=with_unit(f"mean {curves.name}", curves.unit))
            drawing.legend(loc="outside right upper", fontsize=9)
        caption = f"{curves.meaning}: mean in bins of {self.against}; errors are statistical."
        title = f"{curves.name} against {self.against}"
        return Figure(f"profile-{figures.file_name(curves.name)}", title, caption, drawing, data)


def _edges(x: Floats, bins: int, *, quantiles: bool) -> Floats:
    """(bins + 1,) evenly spaced over the range of the values, or quantiles, those that coincide once."""
    if quantiles and len(edges := np.unique(np.quantile(x, np.linspace(0, 1, bins + 1)))) > 1:
        return np.asarray(edges)
    low, high = float(x.min()), float(x.max())
    return np.linspace(low, high if high > low else low + 1.0, bins + 1)


def _written(edges: Floats) -> list[str]:
    """The edges with as many digits as tell them apart, two at least."""
    for digits in range(2, 17):
        written = [np.format_float_positional(edge, digits, fractional=False, trim="-") for edge in edges]
        if len(set(written)) == len(edges):
            break
    return written


def _means(y: Floats, which: NDArray[np.int64], every: Floats) -> tuple[NDArray[np.int64], Floats, Floats]:
    """The bins that hold rows, the means there by the first row of (1 + replicas, n) weights, errors by the others.

    A replica without a row in a bin says nothing of it.
    """
    full = np.unique(which)
    inside = (which == full[:, None]).T
    total = every @ inside
    means = np.divide((every * y) @ inside, total, out=np.full(total.shape, np.nan), where=total > 0)
    return full, means[0], np.array([spread(column) or 0.0 for column in means[1:].T])


def _slope(x: Floats, y: Floats, every: Floats, unit: str) -> Estimate | None:
    """Weighted least squares of y = a + b x: b, with its error by the replicas; None where x does not change."""
    total = every.sum(axis=1, keepdims=True)
    dx, dy = x - every @ x[:, None] / total, y - every @ y[:, None] / total
    variance = (every * dx**2).sum(axis=1)
    nowhere = np.full(len(variance), np.nan)
    slopes = np.divide((every * dx * dy).sum(axis=1), variance, out=nowhere, where=variance > 0)
    return Estimate(float(slopes[0]), spread(slopes[1:]), len(x), unit=unit) if variance[0] > 0 else None
