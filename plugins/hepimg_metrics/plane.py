"""The metric ``plane``: two observables of generated jets against each other, beside those of true ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hepimg.components import Estimate, Evaluation, Figure
from hepimg.observables import ObservableName, compute
from hepimg.sample import Sample
from hepimg_metrics.bootstrap import halves, resamples, spread
from hepimg_metrics.closure.models import MOST, models_of
from hepimg_metrics.generated import OfGenerated
from hepimg_metrics.rows import rows_of_classes

Floats = NDArray[np.float64]

SPLITS = 20
"""Random halves of the truth from which the floor is estimated."""

LEAST = 10
"""Jets, true and generated together, of a bin that counts for chi2."""


class Plane(OfGenerated):
    """The plane of two observables of the pixels, such as mass and tau21, in bins over the bulk of the truth.

    What lies beyond the bins is one bin more.  ``<task>.plane_triangle@<class>`` is the triangular discriminator
    1/2 sum (p - q)^2 / (p + q) of the fractions p and q of all bins, 0 for equal planes and 1 for planes without a bin
    in common; ``<truth>.plane_triangle_floor@<class>`` is its mean between two independent true samples of this size,
    by halves of the truth as if it fell as 1 / N: where bins are nearly empty it falls less, so the floor is some 7 %
    too low with 10,000 jets, a quarter with 300.
    ``<task>.plane_chi2@<class>`` is chi2 over the degrees of freedom, in bins with at least ten jets, true and
    generated together: 1 where nothing differs.  Errors by the bootstrap.
    """

    name: ClassVar[str] = "plane"

    generated: list[str] = Field(
        description="generated images of the same rows, one of each task: grow.image ...", min_length=1, max_length=MOST
    )
    names: tuple[ObservableName, ObservableName] = Field(
        ("mass", "tau21"), description="observables of the pixels, on the x and on the y axis"
    )
    bins: int = Field(20, ge=1, description="along each axis")
    replicas: int = Field(100, ge=2, description="bootstrap replicas")

    @model_validator(mode="after")
    def _check(self) -> Plane:
        if self.names[0] == self.names[1]:
            raise ValueError(f"both observables are {self.names[0]}")
        return self

    def evaluate(self, test: Sample, seed: int) -> Evaluation:
        """Numbers and figures, see the class.

        Raises:
            DataError: there are no rows.
        """
        from hepimg_metrics.plane_figures import draw_planes

        classes = rows_of_classes(test, self.name)
        weight = test.column("weight").astype(np.float64)
        of_rows = test.column("sample"), test.column("event")
        draws = np.array(list(resamples(*of_rows, self.replicas, seed)))
        splits = np.array(list(halves(*of_rows, SPLITS, seed)), bool).reshape(-1, len(test))
        values = {name: self._values(test, name) for name in (self.truth, *self.generated)}
        numbers: dict[str, Estimate] = {}
        figures: list[Figure] = []
        for label, rows in classes.items():
            every = np.concatenate([weight[None, rows], draws[:, rows] * weight[rows]])
            edges = [self._edges(values[self.truth][axis][rows]) for axis in range(2)]
            bins = {name: bins_of(pair[0][rows], pair[1][rows], *edges) for name, pair in values.items()}
            numbers |= self._numbers(bins, every, splits[:, rows], (len(edges[0]) - 1) * (len(edges[1]) - 1) + 1, label)
            planes = {name: _filled(places, weight[rows], edges) for name, places in bins.items()}
            figures.append(draw_planes(label, self.names, edges, planes))
        return Evaluation(numbers, figures)

    def _numbers(
        self, bins: Mapping[str, NDArray[np.int64]], every: Floats, splits: NDArray[np.bool_], size: int, label: str
    ) -> dict[str, Estimate]:
        truth, n = bins[self.truth], every.shape[1]
        numbers: dict[str, Estimate] = {}
        floors = [
            triangle(*(_fractions(truth, every[0] * side, size) for side in (split, ~split))) / 2 for split in splits
        ]
        if floors:
            error = float(np.std(floors, ddof=1) / np.sqrt(len(floors)))
            numbers[f"{self.truth}.plane_triangle_floor@{label}"] = Estimate(float(np.mean(floors)), error, n)
        for model in models_of(self.generated, ()):
            made = bins[model.image]
            counts = np.bincount(truth, minlength=size) + np.bincount(made, minlength=size)
            used = counts >= LEAST
            found = np.array(
                [
                    (triangle(_fractions(truth, w, size), _fractions(made, w, size)), _chi2(truth, made, w, used))
                    for w in every
                ]
            )
            for name, column in zip(("triangle", "chi2"), found.T, strict=True):
                if np.isfinite(column[0]):
                    numbers[f"{model.name}.plane_{name}@{label}"] = Estimate(float(column[0]), spread(column[1:]), n)
        return numbers

    def _values(self, test: Sample, name: str) -> tuple[Floats, Floats]:
        images = test.image(name)
        values = compute(self.names, images.particles(images.channels[0].name))
        return values[self.names[0]], values[self.names[1]]

    def _edges(self, truth: Floats) -> Floats:
        from hepimg import figures

        return figures.bulk_edges(truth, 0.5, 99.5, bins=self.bins)


def bins_of(x: Floats, y: Floats, x_edges: Floats, y_edges: Floats) -> NDArray[np.int64]:
    """(n,) bin of each jet, row by row of x; beyond the edges, the last one."""
    place = [np.searchsorted(edges, values, side="right") - 1 for values, edges in ((x, x_edges), (y, y_edges))]
    sizes = [len(edges) - 1 for edges in (x_edges, y_edges)]
    is_inside = np.logical_and.reduce([(at >= 0) & (at < size) for at, size in zip(place, sizes, strict=True)])
    return np.where(is_inside, place[0] * sizes[1] + place[1], sizes[0] * sizes[1])


def triangle(first: Floats, second: Floats) -> float:
    """1/2 sum (p - q)^2 / (p + q) over the bins that are filled (F. Topsoe, IEEE Trans. Inf. Theory 46 (2000) 1602)."""
    total = first + second
    return float(np.sum((first - second)[total > 0] ** 2 / total[total > 0]) / 2)


def chi2(first: tuple[Floats, Floats], second: tuple[Floats, Floats], used: NDArray[np.bool_]) -> float:
    """chi2 per degree of freedom between two histograms that are divided by their sums; NaN for less than two bins.

    Args:
        first: (bins,) sums of weights, and of their squares.
        second: the same.
        used: (bins,) which of them count.
    """
    difference: Floats = 0 * first[0]
    variance: Floats = 0 * first[0]
    for sign, (sums, squares) in ((1, first), (-1, second)):
        difference, variance = difference + sign * sums / sums.sum(), variance + squares / sums.sum() ** 2
    used = used & (variance > 0)
    return float(np.sum(difference[used] ** 2 / variance[used]) / (used.sum() - 1)) if used.sum() > 1 else float("nan")


def _chi2(truth: NDArray[np.int64], made: NDArray[np.int64], weights: Floats, used: NDArray[np.bool_]) -> float:
    """Of one set of weights."""
    size = len(used)
    first, second = (
        (np.bincount(bins, weights, size).astype(np.float64), np.bincount(bins, weights**2, size).astype(np.float64))
        for bins in (truth, made)
    )
    return chi2(first, second, used)


def _fractions(bins: NDArray[np.int64], weights: Floats, size: int) -> Floats:
    """(size,) fraction in each bin."""
    filled = np.bincount(bins, weights, size)
    return np.asarray(filled / (filled.sum() or 1.0))


def _filled(bins: NDArray[np.int64], weights: Floats, edges: Sequence[Floats]) -> tuple[Floats, Floats]:
    """(x bins, y bins) fractions and their errors, without what lies beyond."""
    shape = (len(edges[0]) - 1, len(edges[1]) - 1)
    size, total = shape[0] * shape[1] + 1, float(weights.sum()) or 1.0
    sums, squares = (np.bincount(bins, power, size)[:-1].reshape(shape) for power in (weights, weights**2))
    return sums / total, np.sqrt(squares) / abs(total)
