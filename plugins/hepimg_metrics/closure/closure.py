"""The metric ``closure``: generated images against true ones of the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field, model_validator

from hepimg.components import Column, Estimate, Evaluation, Figure, Image, Metric, Ports
from hepimg.errors import DataError
from hepimg.observables import ObservableName, parse
from hepimg.sample import Sample
from hepimg_metrics.bootstrap import resamples
from hepimg_metrics.closure.compare import Comparison
from hepimg_metrics.closure.jets import Jets
from hepimg_metrics.closure.low import factors_between
from hepimg_metrics.closure.models import Model, drawn, models_of, task_of
from hepimg_metrics.rows import check_finite, rows_of_classes

NAMES: list[ObservableName] = [
    *(f"nth_hardest[n={n}]" for n in (1, 2, 3, 4, 5, 7, 10, 20, 30)),
    *("n_active", "mean_pt", "mass", "girth", "correlator[beta=0.2]", "tau21", "tau32"),
]

TOGETHER = "together"

TRUTH, GENERATED = "truth", "generated"
"""How a two-sample task calls its scores of the true and of the generated image."""


class Closure(Metric):
    """Generated images against the true ones: distributions, cells, and single jets.

    Each number is one of a model and a class, ``<task>.<number>@<class>`` or ``<task>.<number>@<observable>:<class>``;
    the errors are by the bootstrap where nothing else is said, the same draws of jets for everything.  Jets with fewer
    than n pixels have an n-th hardest pixel of zero.

    Distributions: ``w1`` is the Wasserstein distance of an observable, ``w1_over_floor`` the same over the mean
    distance of two independent true samples of this size (``<truth>.floor``), and ``worst_w1_over_floor`` the largest
    of these.  Generated and true images that share their low-resolution image are not independent: values below 1
    occur.  What a perfect model would show, whose draws the truth could be one of, is the same between two draws:
    ``draws_w1_over_floor`` and ``draws_worst_w1_over_floor``, with at least three ``draws`` in all; the errors of these
    are standard deviations over the pairs.  ``trees_auc`` and ``two_sample_auc`` (of ``scores``) are areas under the
    ROC curve of classifiers that tell generated from true jets.

    Cells, with ``low``: ``patch_...`` and ``energy_patch_...``, ``pairs_inside_ratio`` and ``pairs_across_ratio``
    (neighbouring active cells within a low-resolution cell, and across the border of two, over the truth's),
    ``pool_error``, ``pool_exact``, ``under_empty``, ``energy_under_empty`` (:mod:`hepimg_metrics.closure.low`).

    Figures show the first seed of each model, at most six models.

    Jet by jet: ``correlation``; with ``draws`` also ``draws_correlation``, ``correlation_excess``, ``rank_chi2`` and
    ``coverage`` (:mod:`hepimg_metrics.closure.posterior`).
    """

    name: ClassVar[str] = "closure"
    libraries: ClassVar[tuple[str, ...]] = ("lightgbm",)

    truth: str = Field(description="the true image")
    generated: list[str] = Field(
        description="generated images of the same rows, one of each task: sharpen.image ...", min_length=1
    )
    low: str = Field("", description="the low-resolution image that they were made from; empty: none")
    draws: list[str] = Field([], description="further draws for the same rows: sharpen.draw2, sharpen.draw3 ...")
    names: list[ObservableName] = Field(NAMES, description="observables of the pixels: mass, tau21 ...", min_length=1)
    trees: bool = Field(True, description="whether boosted trees on the observables try to tell generated from true")
    scores: list[str] = Field(
        [], description="scores of a task that tells generated from true: tell.truth, tell.generated"
    )
    together: bool = Field(
        False,
        description=f"whether all classes are also looked at as one, {TOGETHER}: a model of a mixture that "
        "cannot tell the classes apart is right for the mixture only",
    )
    replicas: int = Field(100, ge=2, description="bootstrap replicas")

    @model_validator(mode="after")
    def _check(self) -> Closure:
        names = [model.name for model in self._models]
        if any(parse(name).name == "jet_charge" for name in self.names):
            raise ValueError("pixels have no charge: jet_charge cannot be computed from images")
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"an observable is named twice: {self.names}")
        taken = {self.truth, *names} & set(self._tellers) or {self.truth} & set(names)
        if taken:
            raise ValueError(f"truth, generated and scores are of different names; {taken} is two of them")
        for task in self._tellers:
            missing = {f"{task}.{TRUTH}", f"{task}.{GENERATED}"} - set(self.scores)
            if missing or len(self.scores) != 2 * len(self._tellers):
                raise ValueError(f"scores come in pairs such as tell.{TRUTH}, tell.{GENERATED}; found {self.scores}")
        return self

    @property
    def _models(self) -> list[Model]:
        return models_of(self.generated, self.draws)

    @property
    def _tellers(self) -> list[str]:
        """The tasks behind the scores."""
        return list(dict.fromkeys(task_of(score) for score in self.scores))

    def reads(self) -> Sequence[Image | Column]:
        """All images, and the scores."""
        images = [self.truth, *([self.low] if self.low else []), *self.generated, *self.draws]
        return [*map(Image, images), *map(Column, self.scores)]

    def check(self, ports: Ports) -> None:
        """All images must be on the grid of the truth, and the low one on the same, pooled."""
        grids = {port.name: port.grid for port in ports.values() if isinstance(port, Image) and port.grid is not None}
        truth = grids.get(self.truth)
        for name in (*self.generated, *self.draws):
            if truth and name in grids and grids[name] != truth:
                raise ValueError(f"{name} is on {grids[name]}, {self.truth} on {truth}; needed: the same")
        if truth and self.low in grids and factors_between(truth, grids[self.low]) is None:
            raise ValueError(f"{self.low} is on {grids[self.low]}; needed: {truth}, pooled")

    def evaluate(self, test: Sample, seed: int) -> Evaluation:
        """Numbers and figures, see the class.

        Raises:
            DataError: there are no rows, grids do not fit, a score is not finite, or a sample has the name of all.
        """
        classes = rows_of_classes(test, self.name)
        if self.together:
            if TOGETHER in classes:
                raise DataError(
                    f"a sample called {TOGETHER}", where=f"metric {self.name}", fix="Give the sample another name."
                )
            classes[TOGETHER] = np.ones(len(test), bool)
        self._check_rows(test)
        weight = test.column("weight").astype(np.float64)
        draws = np.array(list(resamples(test.column("sample"), test.column("event"), self.replicas, seed)))
        numbers: dict[str, Estimate] = {}
        figures: list[Figure] = []
        for label, rows in classes.items():
            every = np.concatenate([weight[None, rows], draws[:, rows] * weight[rows]])
            found, drawings = self._class(Jets(label, test[np.flatnonzero(rows)], every), seed)
            numbers |= found
            figures += drawings
        return Evaluation(numbers, [*self._charts(numbers, list(classes)), *figures])

    def _check_rows(self, test: Sample) -> None:
        truth = test.image(self.truth)
        for name in (*self.generated, *self.draws):
            if test.image(name).grid != truth.grid:
                raise DataError(
                    f"{name} is on {test.image(name).grid}", where=f"metric {self.name}", needed=f"{truth.grid}"
                )
        if self.low and factors_between(truth.grid, low := test.image(self.low).grid) is None:
            raise DataError(
                f"low is on {low}, truth on {truth.grid}",
                where=f"metric {self.name}",
                needed="the same area, with a whole number of cells in each low-resolution cell",
            )
        check_finite(test, self.scores, self.name)

    def _class(self, jets: Jets, seed: int) -> tuple[dict[str, Estimate], list[Figure]]:
        """Numbers and figures of the jets of one class."""
        compared = Comparison(jets, self.truth, self.low, self.names, seed)
        found = {self.truth: compared.truth_numbers()}
        shown = drawn(self._models)
        for model in self._models:
            found[model.name] = compared.add(model, trees=self.trees, is_shown=model in shown)
        for task in self._tellers:
            found[task] = compared.score_numbers(f"{task}.{TRUTH}", f"{task}.{GENERATED}")
        numbers = {
            f"{owner}.{_named(name, jets.label)}": number
            for owner, owned in found.items()
            for name, number in owned.items()
        }
        return numbers, compared.figures()

    def _charts(self, numbers: Mapping[str, Estimate], labels: Sequence[str]) -> list[Figure]:
        """All models and observables at a glance."""
        from hepimg_metrics.closure.charts import draw_correlations, draw_distances

        over_floor, with_truth, of_draws = (
            {label: self._chosen(numbers, kind, label) for label in labels}
            for kind in ("w1_over_floor", "correlation", "draws_correlation")
        )
        return [
            draw_distances(over_floor, self._models, self.names),
            draw_correlations(with_truth, of_draws, self._models, self.names),
        ]

    def _chosen(self, numbers: Mapping[str, Estimate], kind: str, label: str) -> dict[tuple[str, str], Estimate]:
        """One kind of number of one class, by model and observable."""
        names = {
            (model.name, name): f"{model.name}.{_named(f'{kind}@{name}', label)}"
            for model in self._models
            for name in self.names
        }
        return {key: numbers[name] for key, name in names.items() if name in numbers}


def _named(name: str, label: str) -> str:
    """``w1@mass`` of the class top is ``w1@mass:top``; ``patch_max`` is ``patch_max@top``."""
    return f"{name}{':' if '@' in name else '@'}{label}"
