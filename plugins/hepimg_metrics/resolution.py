"""The metric ``resolution``: observables of the same jets, seen in several collections and images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StringConstraints, model_validator

from hepimg.components import Column, Estimate, Evaluation, Figure, Metric, Options, Port
from hepimg.observables import ObservableName, parse
from hepimg.sample import Sample
from hepimg_metrics import relative
from hepimg_metrics.bootstrap import resamples
from hepimg_metrics.rows import check_finite, rows_of_classes, undotted
from hepimg_metrics.views import View

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Numbers = dict[str, Estimate]

LEAST = 10
"""Rows of a bin: quantiles of fewer tell little."""

Name = Annotated[str, StringConstraints(pattern=r"^\w+$")]


class Bins(Options):
    """Bins of a column."""

    column: str = Field(description="what jets are sorted by, such as n_pileup")
    edges: tuple[float, ...] = Field(min_length=2, description="edges of the bins, ascending, in the column's unit")

    @model_validator(mode="after")
    def _check(self) -> Bins:
        if list(self.edges) != sorted(set(self.edges)):
            raise ValueError(f"edges must ascend, found {list(self.edges)}")
        return self

    def rows(self, test: Sample) -> dict[str, Mask]:
        """(n_rows,) which rows are in each bin, by what the numbers of the bin are called."""
        values = test.column(self.column)
        return {
            f"{undotted(self.column)}={low:g}-{high:g}": (values >= low) & (values < high)
            for low, high in zip(self.edges, self.edges[1:], strict=False)
        }


class Resolution(Metric):
    """Observables of the same jets in several collections and images: distributions, means, relative differences."""

    name: ClassVar[str] = "resolution"

    names: list[ObservableName] = Field(
        ["mass", "tau21", "tau32", "girth", "correlator[beta=0.2]", "n_active"],
        description="observables: mass, c2[beta=2] ...",
        min_length=1,
    )
    jets: dict[Name, View] = Field(
        {},
        description="the same jets, put together of several parts or known by columns, by a name for each, such as "
        "{truth: {collections: [truth]}, unet: {collections: [tracks], images: [unet.neutral]}, area: {columns: {pt: "
        "subtracted_pt}}}; they come before the collections",
    )
    collections: list[str] = Field(
        [],
        description="collections of the same jets, such as [constituents, lr2, lr4]; all are compared with the first",
    )
    images: list[str] = Field([], description="images of the same jets; without collections the first is compared with")
    relative: bool = Field(
        False, description="whether relative differences from the first are given too, of the jets where it is positive"
    )
    against: Bins | None = Field(
        None,
        description="bins of a column in which relative differences are given too, such as {column: n_pileup, edges: "
        "[0, 50, 100, 150, 200]}",
    )
    replicas: int = Field(100, ge=2, description="bootstrap replicas, for the errors")

    @model_validator(mode="after")
    def _check(self) -> Resolution:
        seen = [*self.jets, *self.collections, *self.images]
        if len(seen) < 2 or len(set(seen)) < len(seen):
            raise ValueError(f"jets, collections and images must name two or more, each once, found {seen}")
        unknown = set(self.names) - set(self._views[seen[0]].known(self.names))
        if unknown:
            raise ValueError(f"{seen[0]}, which all are compared with, has no {', '.join(sorted(unknown))}")
        if self.against is not None and not self.relative:
            raise ValueError("against: relative differences are what is given in bins: set relative: true")
        return self

    @property
    def _views(self) -> dict[str, View]:
        collections = {name: View(collections=(name,)) for name in self.collections}
        return {**self.jets, **collections, **{name: View(images=(name,)) for name in self.images}}

    def reads(self) -> Sequence[Port]:
        """All that the jets are made of, and the column of the bins."""
        bins = [] if self.against is None else [Column(self.against.column)]
        return [*bins, *(port for view in self._views.values() for port in view.reads(self.names))]

    def evaluate(self, test: Sample, seed: int) -> Evaluation:
        """Numbers ``<collection>.<observable>.mean@<class>`` and ``.shift``, the mean difference from the first.

        With ``relative`` also ``.bias``, ``.half_width`` and ``.two_sigma``: the median of the relative difference from
        the first, half the width of its central 68 %, and twice its standard deviation; and ``.correlation`` with the
        first.  With ``against`` also ``<collection>.<observable>.bias@<class>,<column>=<low>-<high>`` and
        ``.half_width``.

        Raises:
            DataError: there are no rows, or a column of a jet or of the bins is not finite.
        """
        classes = rows_of_classes(test, self.name)
        columns = [
            view.columns[name] for view in self._views.values() if view.columns for name in view.known(self.names)
        ]
        check_finite(test, columns if self.against is None else [*columns, self.against.column], self.name)
        values = {name: view.observables(self.names, test) for name, view in self._views.items()}
        weight = test.column("weight").astype(np.float64)
        draws = np.array(list(resamples(test.column("sample"), test.column("event"), self.replicas, seed)))
        every = np.concatenate([weight[None], draws * weight])
        numbers: Numbers = {}
        for label, rows in classes.items():
            numbers |= self._means(label, rows, values, every)
            if self.relative:
                numbers |= self._differences(label, rows, values, every)
        binned = self._binned(test, classes, values, every)
        return Evaluation(numbers | binned, self._figures(test, classes, values, weight, binned))

    def _means(self, label: str, rows: Mask, values: Mapping[str, Mapping[str, Floats]], every: Floats) -> Numbers:
        first, *others = values
        numbers: Numbers = {}
        for name in self.names:
            unit, reference = parse(name).unit, values[first][name][rows]
            numbers[f"{first}.{name}.mean@{label}"] = relative.mean(reference, every[:, rows], unit)
            for other in (other for other in others if name in values[other]):
                these, key = values[other][name][rows], f"{other}.{name}"
                numbers[f"{key}.mean@{label}"] = relative.mean(these, every[:, rows], unit)
                numbers[f"{key}.shift@{label}"] = relative.mean(these - reference, every[:, rows], unit)
        return numbers

    def _differences(
        self, label: str, rows: Mask, values: Mapping[str, Mapping[str, Floats]], every: Floats
    ) -> Numbers:
        """Of the rows where the first is positive."""
        first, *others = values
        numbers: Numbers = {}
        for name in self.names:
            chosen = np.flatnonzero(rows & (values[first][name] > 0))
            if not len(chosen):
                continue
            reference, weights = values[first][name][chosen], every[:, chosen]
            for other in (other for other in others if name in values[other]):
                these = values[other][name][chosen]
                found = relative.widths(these / reference - 1, weights)
                if found and (alike := relative.correlation(these, reference, weights)) is not None:
                    found["correlation"] = alike
                numbers |= {f"{other}.{name}.{kind}@{label}": estimate for kind, estimate in found.items()}
        return numbers

    def _binned(
        self,
        test: Sample,
        classes: Mapping[str, Mask],
        values: Mapping[str, Mapping[str, Floats]],
        every: Floats,
    ) -> Numbers:
        """Bias and half width in each bin that holds :data:`LEAST` rows."""
        numbers: Numbers = {}
        bins = {} if self.against is None else self.against.rows(test)
        for label, rows in classes.items():
            for bin_name, inside in bins.items():
                if np.count_nonzero(rows & inside & (every[0] > 0)) < LEAST:
                    continue
                found = self._differences(f"{label},{bin_name}", rows & inside, values, every)
                numbers |= {key: found[key] for key in found if key.split("@")[0].endswith((".bias", ".half_width"))}
        return numbers

    def _figures(
        self,
        test: Sample,
        classes: Mapping[str, Mask],
        values: Mapping[str, Mapping[str, Floats]],
        weight: Floats,
        binned: Numbers,
    ) -> list[Figure]:
        from hepimg_metrics.resolution_figures import draw_against, draw_differences, draw_distributions

        seen = {name: {of: found[name] for of, found in values.items() if name in found} for name in self.names}
        drawn = [draw_distributions(name, columns, classes, weight) for name, columns in seen.items()]
        several = {name: columns for name, columns in seen.items() if len(columns) > 1}
        if self.relative:
            drawn += [draw_differences(name, columns, classes, weight) for name, columns in several.items()]
        if self.against is not None:
            column, edges = self.against.column, self.against.edges
            bins, unit = list(self.against.rows(test)), test.units.get(column, "")
            for name, (_, *others) in several.items():
                drawn.append(draw_against(name, others, [*classes], binned, bins, np.array(edges), (column, unit)))
        return drawn
