"""The metric ``resolution``: observables of the same jets, seen in several collections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hepimg.components import Collection, Estimate, Evaluation, Figure, Metric
from hepimg.observables import ObservableName, compute, parse
from hepimg.sample import Sample
from hepimg_metrics.bootstrap import resamples
from hepimg_metrics.rows import particles_for, rows_of_classes

Floats = NDArray[np.float64]


class Resolution(Metric):
    """Observables against resolution: their distributions in several collections of the same jets, and their means."""

    name: ClassVar[str] = "resolution"

    names: list[ObservableName] = Field(
        ["mass", "tau21", "tau32", "girth", "correlator[beta=0.2]", "n_active"],
        description="observables: mass, c2[beta=2] ...",
        min_length=1,
    )
    collections: list[str] = Field(
        description="collections of the same jets, such as [constituents, lr2, lr4]; the others are compared with the "
        "first",
        min_length=2,
    )
    replicas: int = Field(100, ge=2, description="bootstrap replicas, for the errors")

    @model_validator(mode="after")
    def _check(self) -> Resolution:
        if len(set(self.collections)) < len(self.collections):
            raise ValueError(f"a collection stands twice in {self.collections}")
        return self

    def reads(self) -> Sequence[Collection]:
        """All the collections."""
        return [particles_for(self.names, name) for name in self.collections]

    def evaluate(self, test: Sample, seed: int) -> Evaluation:
        """Numbers ``<collection>.<observable>.mean@<class>`` and ``.shift``, the mean difference from the first."""
        classes = rows_of_classes(test, self.name)
        values = {name: compute(self.names, test.collection(name).particles()) for name in self.collections}
        weight = test.column("weight").astype(np.float64)
        draws = np.array(list(resamples(test.column("sample"), test.column("event"), self.replicas, seed)))
        numbers: dict[str, Estimate] = {}
        for label, rows in classes.items():
            every = np.concatenate([weight[None, rows], draws[:, rows] * weight[rows]])
            for name in self.names:
                first = values[self.collections[0]][name][rows]
                for collection in self.collections:
                    these, key = values[collection][name][rows], f"{collection}.{name}"
                    numbers[f"{key}.mean@{label}"] = _mean(these, every, parse(name).unit)
                    if collection != self.collections[0]:
                        numbers[f"{key}.shift@{label}"] = _mean(these - first, every, parse(name).unit)
        return Evaluation(numbers, [self._figure(name, values, classes, weight) for name in self.names])

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
    means = every @ values / every.sum(axis=1)
    return Estimate(float(means[0]), float(means[1:].std(ddof=1)), len(values), unit=unit)
