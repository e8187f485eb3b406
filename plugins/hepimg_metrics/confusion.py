"""The metric ``confusion``: what a cut on a score takes for signal and for background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hepimg.components import Column, Estimate, Evaluation, Figure, Metric
from hepimg.errors import DataError
from hepimg.sample import Sample
from hepimg.variants import without_seeds
from hepimg_metrics.bootstrap import halves, resamples, spread
from hepimg_metrics.ranking import Floats, Ranking
from hepimg_metrics.rows import check_finite, rows_against


class Confusion(Metric):
    """The confusion matrix of each score, at the cut where true exceed false positives the most.

    The cut is chosen on half of the test events and judged on the others.  A score that ranks signal below background
    gains nothing by any cut: its matrix is that of chance.
    """

    name: ClassVar[str] = "confusion"

    scores: list[str] = Field(min_length=1, description="predictions or columns, high for signal: task.score ...")
    signal: str = Field(description="sample that is signal")
    background: list[str] = Field([], description="samples that are background; none: all others")
    replicas: int = Field(200, ge=2, description="bootstrap replicas, for the errors")

    @model_validator(mode="after")
    def _check(self) -> Confusion:
        if len(set(self.scores)) < len(self.scores):
            raise ValueError(f"a score is named twice: {self.scores}")
        return self

    def reads(self) -> Sequence[Column]:
        """The scores."""
        return [Column(score) for score in self.scores]

    def samples(self) -> Sequence[str]:
        """Signal and backgrounds."""
        return [self.signal, *self.background]

    def evaluate(self, test: Sample, seed: int) -> Evaluation:
        """Numbers ``<task>.true_positives@cut``, ``.false_positives@cut`` and ``.balanced_accuracy``; the matrices.

        Raises:
            DataError: fewer than two events of signal or background, or a score that is not finite.
        """
        rows = rows_against(test, self.signal, self.background, self.name)
        check_finite(rows, self.scores, self.name)
        keys = rows.column("sample"), rows.column("event")
        first = next(halves(*keys, 1, seed), np.zeros(len(rows), bool))
        chosen, judged = rows[np.flatnonzero(first)], rows[np.flatnonzero(~first)]
        for half in (chosen, judged):
            is_signal, weight = half.is_from(self.signal), half.column("weight")
            if not (weight[is_signal].sum() > 0 and weight[~is_signal].sum() > 0):
                raise DataError("fewer than two events of signal or background that count", where="metric confusion")
        draws = np.array(list(resamples(judged.column("sample"), judged.column("event"), self.replicas, seed)))
        weights = np.concatenate([np.ones((1, len(judged))), draws]) * judged.column("weight")
        numbers: dict[str, Estimate] = {}
        matrices: dict[str, tuple[float, float]] = {}
        for name in self.scores:
            cut = self._cut(chosen, name)
            passes, is_signal = judged.column(name) >= cut, judged.is_from(self.signal)
            true, false = _share(weights, passes, is_signal), _share(weights, passes, ~is_signal)
            task, accuracy = name.removesuffix(".score"), (1 + true - false) / 2
            found = {"true_positives@cut": true, "false_positives@cut": false, "balanced_accuracy": accuracy}
            for kind, values in found.items():
                numbers[f"{task}.{kind}"] = Estimate(float(values[0]), spread(values[1:]), len(judged))
            matrices.setdefault(without_seeds(task), (float(true[0]), float(false[0])))
        return Evaluation(numbers, [self._figure(matrices)])

    def _cut(self, rows: Sample, name: str) -> float:
        """The lowest score that passes at the best cut."""
        score = rows.column(name).astype(np.float64)
        passing = Ranking(score, rows.is_from(self.signal)).passing(rows.column("weight").astype(np.float64))
        best = int(np.argmax(passing.signal - passing.background))
        return np.inf if best == 0 else float(np.unique(score)[-best])

    def _figure(self, matrices: Mapping[str, tuple[float, float]]) -> Figure:
        """A matrix for each score; of several seeds the first."""
        from hepimg import figures

        data: dict[str, NDArray[np.generic]] = {}
        with figures.style():
            drawing, panels = figures.subplots(1, len(matrices), (3.0 * len(matrices) + 0.4, 3.2))
            for axes, (task, (true, false)) in zip(panels, matrices.items(), strict=True):
                shares = np.array([[true, 1 - true], [false, 1 - false]])
                axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
                for row, column in np.ndindex(2, 2):
                    share = shares[row, column]
                    axes.text(column, row, f"{share:.3f}", ha="center", va="center", color="w" if share > 0.5 else "k")
                axes.set_xticks([0, 1], [self.signal, "other"])
                axes.set_yticks([0, 1], [self.signal, "other"], rotation=90, va="center")
                axes.set(xlabel="taken for", ylabel="is", title=task)
                axes.tick_params(which="both", length=0)
                data[task] = shares
        caption = "Shares of each class by what the best cut takes them for; the cut is chosen on other events."
        return Figure("confusion", "Confusion matrices", caption, drawing, data)


def _share(weights: Floats, passes: NDArray[np.bool_], of: NDArray[np.bool_]) -> Floats:
    """(1 + replicas,) share of the rows ``of`` a class that pass, by (1 + replicas, n) weights."""
    total = weights @ of
    return np.asarray(np.divide(weights @ (passes & of), total, out=np.full(len(total), np.nan), where=total > 0))
