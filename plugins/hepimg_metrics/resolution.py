"""The metric ``resolution``: observables of the same jets, seen in several collections and images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hepimg.components import Estimate, Evaluation, Figure, Image, Metric, Port
from hepimg.observables import ObservableName, compute, parse
from hepimg.observables.ports import particles_for
from hepimg.sample import Sample
from hepimg_metrics.bootstrap import resamples, spread
from hepimg_metrics.rows import rows_of_classes

Floats = NDArray[np.float64]


class Resolution(Metric):
    """Observables of the same jets in several collections and images: distributions, means, relative differences."""

    name: ClassVar[str] = "resolution"

    names: list[ObservableName] = Field(
        ["mass", "tau21", "tau32", "girth", "correlator[beta=0.2]", "n_active"],
        description="observables: mass, c2[beta=2] ...",
        min_length=1,
    )
    collections: list[str] = Field(
        [],
        description="collections of the same jets, such as [constituents, lr2, lr4]; all are compared with the first",
    )
    images: list[str] = Field([], description="images of the same jets; without collections the first is compared with")
    relative: bool = Field(
        False, description="whether relative differences from the first are given too, of the jets where it is positive"
    )
    replicas: int = Field(100, ge=2, description="bootstrap replicas, for the errors")

    @model_validator(mode="after")
    def _check(self) -> Resolution:
        seen = [*self.collections, *self.images]
        if len(seen) < 2 or len(set(seen)) < len(seen):
            raise ValueError(f"collections and images must name two or more, each once, found {seen}")
        return self

    def reads(self) -> Sequence[Port]:
        """All the collections and images."""
        return [*(particles_for(self.names, name) for name in self.collections), *map(Image, self.images)]

    def evaluate(self, test: Sample, seed: int) -> Evaluation:
        """Numbers ``<collection>.<observable>.mean@<class>`` and ``.shift``, the mean difference from the first.

        With ``relative`` also ``.bias``, ``.half_width`` and ``.two_sigma``: the median of the relative difference from
        the first, half the width of its central 68 %, and twice its standard deviation.
        """
        classes = rows_of_classes(test, self.name)
        particles = {name: test.collection(name).particles() for name in self.collections}
        particles |= {name: test.image(name).particles() for name in self.images}
        values = {name: compute(self.names, of) for name, of in particles.items()}
        first, *others = values
        weight = test.column("weight").astype(np.float64)
        draws = np.array(list(resamples(test.column("sample"), test.column("event"), self.replicas, seed)))
        numbers: dict[str, Estimate] = {}
        for label, rows in classes.items():
            every = np.concatenate([weight[None, rows], draws[:, rows] * weight[rows]])
            for name in self.names:
                unit, reference = parse(name).unit, values[first][name][rows]
                numbers[f"{first}.{name}.mean@{label}"] = _mean(reference, every, unit)
                for other in others:
                    these, key = values[other][name][rows], f"{other}.{name}"
                    numbers[f"{key}.mean@{label}"] = _mean(these, every, unit)
                    numbers[f"{key}.shift@{label}"] = _mean(these - reference, every, unit)
                    if self.relative and (known := reference > 0).any():
                        differences = these[known] / reference[known] - 1
                        for kind, estimate in _widths(differences, every[:, known]).items():
                            numbers[f"{key}.{kind}@{label}"] = estimate
        figures = [self._figure(name, values, classes, weight) for name in self.names]
        if self.relative:
            figures += [self._differences(name, values, classes, weight) for name in self.names]
        return Evaluation(numbers, figures)

    def _differences(
        self,
        name: str,
        values: Mapping[str, Mapping[str, Floats]],
        classes: Mapping[str, NDArray[np.bool_]],
        weight: Floats,
    ) -> Figure:
        """The distribution of the relative difference from the first, a panel for each class."""
        from hepimg import figures

        first, *others = values
        reference = values[first][name]
        known = reference > 0
        columns = {other: values[other][name] / np.where(known, reference, 1.0) - 1 for other in others}
        edges = figures.bulk_edges(np.concatenate([column[known] for column in columns.values()]), 1.0, 99.0, bins=50)
        data: dict[str, NDArray[np.generic]] = {}
        with figures.style():
            drawing, panels = figures.subplots(1, len(classes), (5.0 * len(classes) + 0.4, 4.2))
            for axes, (label, rows) in zip(panels, classes.items(), strict=True):
                chosen = rows & known
                histograms = {
                    key: figures.histogram(column[chosen], edges, weight[chosen], f"{name} / that of {first} - 1")
                    for key, column in columns.items()
                }
                drawn = figures.draw_histograms(axes, histograms)
                axes.set_title(label)
                data |= {f"{label}.{key}": array for key, array in drawn.items()}
        caption = f"Relative difference of {parse(name).description} from that of {first}, jet by jet."
        return Figure(f"residual-{figures.file_name(name)}", f"{name}: residuals", caption, drawing, data)

    def _figure(
        self,
        name: str,
        values: Mapping[str, Mapping[str, Floats]],
        classes: Mapping[str, NDArray[np.bool_]],
        weight: Floats,
    ) -> Figure:
        """The distribution in every collection, a panel for each class."""
        from hepimg import figures
        from hepimg.figures.draw import with_unit

        columns = {collection: observables[name] for collection, observables in values.items()}
        edges = figures.bulk_edges(np.concatenate(list(columns.values())), 0.5, 99.5, bins=30)
        label, data = with_unit(name, parse(name).unit), dict[str, NDArray[np.generic]]()
        with figures.style():
            drawing, panels = figures.subplots(1, len(classes), (5.0 * len(classes) + 0.4, 4.2))
            for axes, (class_name, rows) in zip(panels, classes.items(), strict=True):
                histograms = {
                    key: figures.histogram(column[rows], edges, weight[rows], label) for key, column in columns.items()
                }
                drawn = figures.draw_histograms(axes, histograms)
                axes.set_title(class_name)
                data |= {f"{class_name}.{key}": array for key, array in drawn.items()}
        caption = (
            f"{parse(name).description} of the same test jets, seen in {', '.join(columns)}; each distribution is "
            "divided by its sum, errors are statistical."
        )
        return Figure(f"resolution-{figures.file_name(name)}", f"{name} against resolution", caption, drawing, data)


def _mean(values: Floats, every: Floats, unit: str) -> Estimate:
    """The mean of (n,) values by the first row of (1 + replicas, n) weights, its error by the others."""
    total = every.sum(axis=1)
    means = np.divide(every @ values, total, out=np.full(len(total), np.nan), where=total > 0)
    return Estimate(float(means[0]), spread(means[1:]), len(values), unit=unit)


def _widths(differences: Floats, every: Floats) -> dict[str, Estimate]:
    """Median, half width of the central 68 % and twice the standard deviation of (n,) relative differences."""
    if not every[0].sum() > 0:
        return {}
    order = np.argsort(differences)
    x, found = differences[order], []
    for weight in every[:, order]:
        total = np.cumsum(weight)
        if not total[-1] > 0:
            continue  # a replica that drew only rows without weight
        low, middle, high = x[np.searchsorted(total, np.array([0.16, 0.5, 0.84]) * total[-1])]
        mean = np.average(x, weights=weight)
        deviation = np.sqrt(np.average((x - mean) ** 2, weights=weight))
        found.append((middle, (high - low) / 2, 2 * deviation))
    numbers = np.array(found)
    return {
        kind: Estimate(float(numbers[0, k]), spread(numbers[1:, k]), len(x))
        for k, kind in enumerate(("bias", "half_width", "two_sigma"))
    }
