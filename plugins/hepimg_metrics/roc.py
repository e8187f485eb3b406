"""The metric ``roc``: how well scores separate a signal from backgrounds, with paired bootstrap errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hepimg.components import Column, Estimate, Evaluation, Figure, Metric
from hepimg.errors import did_you_mean
from hepimg.sample import Sample
from hepimg.variants import without_seeds
from hepimg_metrics.bootstrap import resamples, spread
from hepimg_metrics.ranking import Floats, Ranking
from hepimg_metrics.rows import check_finite, rows_against, undotted

CURVE = np.linspace(0.005, 1.0, 200)
"""Signal efficiencies at which curves are drawn."""

RULE_OF_THREE = 3.0
"""With no row passing, a Poisson mean above -ln(0.05) = 3.0 is excluded at 95 % confidence level."""


@dataclass(frozen=True)
class Score:
    """One score, evaluated on the test rows and on every replica.

    Args:
        task: how its numbers are called: the task, for a prediction ``score``, else the whole prediction.
        group: the task without its seeds; curves of one group are drawn as one.
        auc: the area under the curve.
        auc_replicas: (replicas,) the same for each replica.
        background: (points,) background efficiency at each signal efficiency.
        background_replicas: (replicas, points).
        background_rows: (points,) background rows that pass.
        signal: (false positives,) signal efficiency at each background efficiency asked for.
        signal_replicas: (replicas, false positives).
    """

    task: str
    group: str
    auc: float
    auc_replicas: Floats
    background: Floats
    background_replicas: Floats
    background_rows: NDArray[np.int64]
    signal: Floats
    signal_replicas: Floats


class Roc(Metric):
    """Area under the ROC curve and background rejection of scores, their paired differences, and the curves.

    Rejection is 1 / eps_B at the tightest cut whose signal efficiency eps_S reaches the one asked for.  Its error is
    1 / eps_B times the relative bootstrap error of eps_B.  Where no background row passes, a lower limit at 95 %
    confidence level stands instead: a third of the (effective) number of background rows.
    """

    name: ClassVar[str] = "roc"

    scores: list[str] = Field(description="predictions, high for signal: task.score ...", min_length=1)
    signal: str = Field(description="sample that is signal")
    background: list[str] = Field([], description="samples that are background; none: all others")
    efficiencies: list[Annotated[float, Field(gt=0, le=1)]] = Field(
        [0.3, 0.5], description="signal efficiencies at which the rejection is given"
    )
    false_positives: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        [], description="background efficiencies at which the signal efficiency is given, for anomalies .01, say"
    )
    replicas: int = Field(200, ge=2, description="bootstrap replicas")
    against: str = Field("", description="task that the others' areas are compared with; empty: that of the last score")

    @model_validator(mode="after")
    def _check(self) -> Roc:
        if len(set(self.scores)) < len(self.scores):
            raise ValueError(f"a score is named twice: {self.scores}")
        tasks = [without_seeds(score.removesuffix(".score")) for score in self.scores]
        if self.against and self.against not in tasks:
            raise ValueError(f"against: no score is of {self.against!r}; {did_you_mean(self.against, tasks)}")
        return self

    def reads(self) -> Sequence[Column]:
        """The scores."""
        return [Column(score) for score in self.scores]

    def samples(self) -> Sequence[str]:
        """Signal and backgrounds."""
        return [self.signal, *self.background]

    def evaluate(self, test: Sample, seed: int) -> Evaluation:
        """Numbers ``<task>.auc``, ``<task>.rejection@<eps_S>``, ``<task>.auc_minus_<other>``; three kinds of figure.

        With ``false_positives`` also ``<task>.true_positives@<eps_B>``.
        """
        rows = rows_against(test, self.signal, self.background, self.name)
        check_finite(rows, self.scores, self.name)
        scores = list(self._evaluate(rows, seed))
        numbers: dict[str, Estimate] = {}
        for score in scores:
            numbers |= self._numbers(score, rows)
        numbers |= self._differences(scores, len(rows))
        return Evaluation(numbers, self._figures(rows, scores))

    def _evaluate(self, rows: Sample, seed: int) -> Iterator[Score]:
        """Every score on the same replicas, but those in which signal or background have no weight."""
        is_signal, weight = rows.is_from(self.signal), rows.column("weight").astype(np.float64)
        points = np.concatenate([self.efficiencies, CURVE])
        rankings = [Ranking(rows.column(name).astype(np.float64), is_signal) for name in self.scores]
        asked = np.array(self.false_positives)
        areas, backgrounds, signals = [], [], []
        for counts in resamples(rows.column("sample"), rows.column("event"), self.replicas, seed):
            every = counts * weight
            if every[is_signal].sum() > 0 and every[~is_signal].sum() > 0:
                drawn = [ranking.passing(every) for ranking in rankings]
                areas.append([passing.auc for passing in drawn])
                backgrounds.append([passing.background[passing.cuts(points)] for passing in drawn])
                signals.append([passing.signal_at(asked) for passing in drawn])
        shape = len(areas), len(rankings)
        auc = np.array(areas).reshape(shape)
        background = np.array(backgrounds).reshape(*shape, len(points))
        signal = np.array(signals).reshape(*shape, len(asked))
        for k, ranking in enumerate(rankings):
            passing = ranking.passing(weight)
            cuts = passing.cuts(points)
            yield Score(
                task=self.scores[k].removesuffix(".score"),
                group=without_seeds(self.scores[k].removesuffix(".score")),
                auc=passing.auc,
                auc_replicas=auc[:, k],
                background=passing.background[cuts],
                background_replicas=background[:, k],
                background_rows=ranking.background_rows(cuts),
                signal=passing.signal_at(asked),
                signal_replicas=signal[:, k],
            )

    def _numbers(self, score: Score, rows: Sample) -> dict[str, Estimate]:
        """Area and rejections of one score."""
        n = len(rows)
        numbers = {f"{score.task}.auc": Estimate(score.auc, spread(score.auc_replicas), n)}
        weight = rows.column("weight")[~rows.is_from(self.signal)].astype(np.float64)
        for point, efficiency in enumerate(self.efficiencies):
            name = f"{score.task}.rejection@{efficiency:g}"
            background = float(score.background[point])
            if score.background_rows[point] == 0 or background <= 0:
                effective = weight.sum() ** 2 / (weight**2).sum()
                numbers[name] = Estimate(float(effective / RULE_OF_THREE), None, n, limit=True)
            else:
                error = spread(score.background_replicas[:, point])
                numbers[name] = Estimate(1 / background, None if error is None else error / background**2, n)
        for point, false in enumerate(self.false_positives):
            passed = Estimate(float(score.signal[point]), spread(score.signal_replicas[:, point]), n)
            numbers[f"{score.task}.true_positives@{false:g}"] = passed
        return numbers

    def _differences(self, scores: Sequence[Score], n: int) -> dict[str, Estimate]:
        """Area of each score minus the mean area over the seeds of the task that it is compared with."""
        other = self.against or scores[-1].group
        auc = np.mean([score.auc for score in scores if score.group == other])
        replicas = np.mean([score.auc_replicas for score in scores if score.group == other], axis=0)
        return {
            f"{score.task}.auc_minus_{undotted(other)}": Estimate(
                float(score.auc - auc), spread(score.auc_replicas - replicas), n
            )
            for score in scores
            if score.group != other
        }

    def _figures(self, rows: Sample, scores: Sequence[Score]) -> list[Figure]:
        from hepimg_metrics.roc_figures import Average, draw_rejection, draw_scores, draw_significance

        groups = dict.fromkeys(score.group for score in scores)
        points = slice(len(self.efficiencies), None)
        averages = [Average.of([s for s in scores if s.group == group], points) for group in groups]
        figures = [draw_rejection(averages, self.signal, CURVE), draw_significance(averages, self.signal, CURVE)]
        first = {without_seeds(name.removesuffix(".score")): name for name in reversed(self.scores)}
        return figures + [draw_scores(group, first[group], rows) for group in groups]
