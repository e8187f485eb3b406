"""Figures of the metric ``roc``: rejection, significance improvement, and the scores themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hepimg import figures
from hepimg.components import Figure
from hepimg.figures.style import COLOURS
from hepimg.sample import Sample
from hepimg_metrics.ranking import Floats

if TYPE_CHECKING:
    from hepimg_metrics.roc import Score

ENOUGH = 10
"""Background rows that must pass where a curve is drawn: fewer, and its error is above a third."""


@dataclass(frozen=True)
class Average:
    """The mean curve of a task's seeds, and each of them.

    Args:
        label: for the legend.
        background: (points,) mean background efficiency.
        error: (points,) its bootstrap error.
        drawn: (points,) where enough background passes.
        members: (seeds, points) background efficiency of each seed.
    """

    group: str
    label: str
    background: Floats
    error: Floats
    drawn: NDArray[np.bool_]
    members: Floats

    @classmethod
    def of(cls, scores: Sequence[Score], points: slice) -> Average:
        """The average of the scores of one group, at some of their points."""
        members = np.array([score.background[points] for score in scores])
        replicas = np.mean([score.background_replicas[:, points] for score in scores], axis=0)
        auc = float(np.mean([score.auc for score in scores]))
        auc_error = float(np.mean([score.auc_replicas for score in scores], axis=0).std(ddof=1))
        seeds = f" ({len(scores)} seeds)" if len(scores) > 1 else ""
        return cls(
            group=scores[0].group,
            label=f"{scores[0].group}{seeds}: AUC {figures.rounded(auc, auc_error)}",
            background=members.mean(axis=0),
            error=replicas.std(axis=0, ddof=1),
            drawn=np.min([score.background_rows[points] for score in scores], axis=0) >= ENOUGH,
            members=members,
        )


def draw_rejection(averages: Sequence[Average], signal: str, efficiency: Floats) -> Figure:
    """Background rejection against signal efficiency."""
    data: dict[str, NDArray[np.generic]] = {"signal_efficiency": efficiency}
    with figures.style():
        drawing, (axes,) = figures.subplots()
        for colour, average in zip(_colours(len(averages)), averages, strict=True):
            x, background = efficiency[average.drawn], average.background[average.drawn]
            error = average.error[average.drawn] / background**2
            if len(average.members) > 1:
                for member in average.members[:, average.drawn]:
                    axes.plot(x, 1 / member, color=colour, linewidth=0.6, alpha=0.6)
            figures.draw_curve(axes, x, 1 / background, error, label=average.label, colour=colour)
            data[f"{average.group}.rejection"] = _where(average.drawn, 1 / background)
            data[f"{average.group}.error"] = _where(average.drawn, error)
        # Guessing: what remains above this line is what was learned.
        axes.plot(efficiency, 1 / efficiency, color="0.5", linestyle=":", linewidth=1.0, label="guessing")
        axes.set(yscale="log", xlim=(0, 1), xlabel=f"signal efficiency $ε_S$ ({signal})")
        axes.set_ylabel("background rejection $1/ε_B$")
        axes.set_ylim(1, 3 * axes.get_ylim()[1])  # room for the legend
        axes.legend(loc="upper right")
    caption = (
        f"Background rejection against the efficiency for {signal}. Bands: one standard deviation of the paired "
        f"bootstrap. Curves begin where {ENOUGH} background jets pass."
    )
    return Figure(f"roc-{signal}", f"Background rejection, signal {signal}", caption, drawing, data)


def draw_significance(averages: Sequence[Average], signal: str, efficiency: Floats) -> Figure:
    """Significance improvement against signal efficiency."""
    data: dict[str, NDArray[np.generic]] = {"signal_efficiency": efficiency}
    with figures.style():
        drawing, (axes,) = figures.subplots()
        for colour, average in zip(_colours(len(averages)), averages, strict=True):
            x, background = efficiency[average.drawn], average.background[average.drawn]
            value = x / np.sqrt(background)
            error = value * average.error[average.drawn] / background / 2
            if len(average.members) > 1:
                for member in average.members[:, average.drawn]:
                    axes.plot(x, x / np.sqrt(member), color=colour, linewidth=0.6, alpha=0.6)
            figures.draw_curve(axes, x, value, error, label=average.group, colour=colour)
            data[f"{average.group}.sic"] = _where(average.drawn, value)
            data[f"{average.group}.error"] = _where(average.drawn, error)
        axes.axhline(1, color="0.5", linestyle=":", linewidth=1.0, label="no cut")
        axes.set(xlim=(0, 1), xlabel=f"signal efficiency $ε_S$ ({signal})")
        axes.set_ylabel("significance improvement $ε_S/\\sqrt{ε_B}$")
        axes.set_ylim(0, 1.35 * axes.get_ylim()[1])
        axes.legend(loc="upper right", ncols=2 if len(averages) > 3 else 1)
    caption = (
        "Factor by which a cut on the score improves the significance of a small signal over a well-known background. "
        f"Bands and beginning of the curves as for the rejection ({ENOUGH} background jets)."
    )
    return Figure(f"sic-{signal}", f"Significance improvement, signal {signal}", caption, drawing, data)


def draw_scores(group: str, score: str, rows: Sample) -> Figure:
    """One score's distribution in each class."""
    values, weight, sample = rows.column(score), rows.column("weight"), rows.column("sample")
    within = len(values) and values.min() >= 0 and values.max() <= 1
    edges = np.linspace(0, 1, 41) if within else figures.bulk_edges(values, 0.5, 99.5)
    with figures.style():
        drawing, (axes,) = figures.subplots()
        histograms = {
            name: figures.histogram(values[sample == k], edges, weight[sample == k], label=f"score of {group}")
            for k, name in enumerate(rows.classes)
            if np.any(sample == k)
        }
        data = figures.draw_histograms(axes, histograms, log=True)
    seed = " (first seed)" if score.removesuffix(".score") != group else ""
    caption = (
        f"Distribution of {group}{seed} in each class of test jets, each divided by its sum; errors are statistical."
    )
    return Figure(f"scores-{figures.file_name(group)}", f"Scores of {group}", caption, drawing, data)


def _colours(n: int) -> list[str]:
    return [COLOURS[k % len(COLOURS)] for k in range(n)]


def _where(drawn: NDArray[np.bool_], values: Floats) -> Floats:
    """The values at all points, not-a-number where nothing is drawn."""
    full = np.full(len(drawn), np.nan)
    full[drawn] = values
    return full
