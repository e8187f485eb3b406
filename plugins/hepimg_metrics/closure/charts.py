"""Figures of the metric ``closure``: all models and observables at a glance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hepimg import figures
from hepimg.components import Estimate, Figure
from hepimg.figures.style import COLOURS
from hepimg_metrics.closure.models import Model

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Numbers = Mapping[tuple[str, str], Estimate]
"""(model, observable) -> number."""

LEAST = 0.1
"""The smallest ratio that is drawn: on a logarithmic axis zero has no place."""

MARKERS = "osD^vP"
"""A marker for each time that the colours begin anew."""


def draw_distances(distances: Mapping[str, Numbers], models: Sequence[Model], names: Sequence[str]) -> Figure:
    """The distance of each model from the truth over the statistical floor: classes as panels, observables as lines."""
    data: dict[str, NDArray[np.generic]] = {}
    with figures.style():
        drawing, panels = figures.subplots(1, len(distances), _size(len(distances), len(names), len(models)))
        for axes, (label, numbers) in zip(panels, distances.items(), strict=True):
            for value, line in ((1.0, "-"), (1.5, "--")):
                axes.axvline(value, color="0.6", linestyle=line, linewidth=1.0)
            data |= _points(axes, numbers, models, names, label, least=LEAST)
            axes.set(xscale="log", xlabel="$W_1$(SR, HR) / floor", title=label)
            axes.set_xlim(0.9 * LEAST, max(3.0, axes.get_xlim()[1]))
            axes.xaxis.set_major_formatter("{x:g}")
        drawing.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    caption = (
        "Wasserstein distance between generated and true distributions, over the mean distance of two independent true "
        "samples of this size. Both share their low-resolution images, so that values below 1 occur. "
        f"Lines at 1 and 1.5; errors by the bootstrap; a point for each seed; what is below {LEAST} is drawn there."
    )
    return Figure("closure-distances", "Distances over the floor", caption, drawing, data)


def draw_correlations(
    with_truth: Mapping[str, Numbers],
    of_draws: Mapping[str, Numbers],
    models: Sequence[Model],
    names: Sequence[str],
) -> Figure:
    """The correlation of each observable with the truth, jet by jet, and of two draws with each other."""
    data: dict[str, NDArray[np.generic]] = {}
    with figures.style():
        drawing, panels = figures.subplots(1, len(with_truth), _size(len(with_truth), len(names), len(models)))
        for axes, label in zip(panels, with_truth, strict=True):
            data |= _points(axes, with_truth[label], models, names, label)
            data |= _points(axes, of_draws[label], models, names, f"{label}.draws", is_open=True)
            axes.set(xlabel="correlation, jet by jet", title=label)
        drawing.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    caption = (
        "Correlation of each observable of generated and true jets (filled), and of two draws for the same jet (open): "
        "equal where a model draws from the posterior. Errors by the bootstrap; a point for each seed."
    )
    return Figure("closure-correlations", "Correlations jet by jet", caption, drawing, data)


def _points(
    axes: Axes,
    numbers: Numbers,
    models: Sequence[Model],
    names: Sequence[str],
    label: str,
    *,
    is_open: bool = False,
    least: float = -1.0,
) -> dict[str, NDArray[np.generic]]:
    """A point with its error for each model and observable, ``least`` at least; seeds of one model share a colour."""
    groups = list(dict.fromkeys(model.group for model in models))
    data: dict[str, NDArray[np.generic]] = {"names": np.array(names)}
    for k, model in enumerate(models):
        group = groups.index(model.group)
        found = [numbers.get((model.name, name)) for name in names]
        is_first = all(other.group != model.group for other in models[:k])
        values = np.array([math.nan if number is None else number.value for number in found])
        errors = np.array([0.0 if number is None else number.error or 0.0 for number in found])
        lines = np.arange(len(names)) + 0.7 * ((k + 0.5) / len(models) - 0.5)
        axes.errorbar(
            np.maximum(values, least),
            lines,
            xerr=errors,
            fmt=MARKERS[group // len(COLOURS) % len(MARKERS)],
            color=COLOURS[group % len(COLOURS)],
            markerfacecolor="white" if is_open else None,
            markersize=4,
            elinewidth=1.0,
            label=model.group if is_first and not is_open else None,
        )
        data |= {f"{label}.{model.name}": values, f"{label}.{model.name}.error": errors}
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", which="minor", left=False, right=False)
    axes.label_outer()
    return data


def _size(panels: int, names: int, models: int) -> tuple[float, float]:
    return 3.6 * panels + 2.2, max(0.3, 0.06 * models) * names + 1.8
