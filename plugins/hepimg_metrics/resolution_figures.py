"""Figures of the metric ``resolution``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepimg import figures
from hepimg.components import Estimate, Figure
from hepimg.figures.draw import with_unit
from hepimg.figures.style import COLOURS
from hepimg.observables import parse

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

MARKERS = "osD^v<>"
"""One for each kind of jet, so that colours may come again."""

KINDS = {"bias": "median of the relative error", "half_width": "half width of its central 68 %"}
"""What is drawn against a column."""


def draw_distributions(name: str, columns: Mapping[str, Floats], classes: Mapping[str, Mask], weight: Floats) -> Figure:
    """The distribution of an observable in every collection, a panel for each class."""
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


def draw_differences(name: str, columns: Mapping[str, Floats], classes: Mapping[str, Mask], weight: Floats) -> Figure:
    """The distribution of the relative difference from the first, a panel for each class."""
    first, *others = columns
    reference = columns[first]
    known = reference > 0
    differences = {other: columns[other] / np.where(known, reference, 1.0) - 1 for other in others}
    edges = figures.bulk_edges(np.concatenate([column[known] for column in differences.values()]), 1.0, 99.0, bins=50)
    data: dict[str, NDArray[np.generic]] = {}
    with figures.style():
        drawing, panels = figures.subplots(1, len(classes), (5.0 * len(classes) + 0.4, 4.2))
        for axes, (label, rows) in zip(panels, classes.items(), strict=True):
            chosen = rows & known
            histograms = {
                key: figures.histogram(column[chosen], edges, weight[chosen], f"{name} / that of {first} - 1")
                for key, column in differences.items()
            }
            drawn = figures.draw_histograms(axes, histograms)
            axes.set_title(label)
            data |= {f"{label}.{key}": array for key, array in drawn.items()}
    caption = f"Relative difference of {parse(name).description} from that of {first}, jet by jet."
    return Figure(f"residual-{figures.file_name(name)}", f"{name}: residuals", caption, drawing, data)


def draw_against(
    name: str,
    others: Sequence[str],
    classes: Sequence[str],
    numbers: Mapping[str, Estimate],
    bins: Sequence[str],
    edges: Floats,
    against: tuple[str, str],
) -> Figure:
    """Bias and width of an observable in bins of a column: a row of panels for each class.

    Args:
        name: the observable.
        others: jets that are compared.
        classes: of the test rows.
        numbers: as :meth:`hepimg_metrics.resolution.Resolution.evaluate` calls them.
        bins: what its numbers call the bins.
        edges: (n_bins + 1,) of the bins.
        against: name and unit of the column.
    """
    centres, column = (edges[1:] + edges[:-1]) / 2, with_unit(*against)
    data: dict[str, NDArray[np.generic]] = {"edges": edges}
    with figures.style():
        drawing, panels = figures.subplots(len(classes), len(KINDS), (10.4, 3.9 * len(classes) + 0.6))
        for panel, (label, kind) in zip(panels, [(one, kind) for one in classes for kind in KINDS], strict=True):
            for number, other in enumerate(others):
                found = [numbers.get(f"{other}.{name}.{kind}@{label},{each}") for each in bins]
                full = np.array([estimate is not None for estimate in found])
                value = np.array([estimate.value for estimate in found if estimate is not None])
                error = np.array([estimate.error or 0.0 for estimate in found if estimate is not None])
                style: dict[str, Any] = {
                    "color": COLOURS[number % len(COLOURS)],
                    "markersize": 5,
                    "markerfacecolor": "white",
                }
                marker = MARKERS[number % len(MARKERS)]
                panel.errorbar(centres[full], value, error, fmt=f"{marker}-", lw=1, label=other, **style)
                data |= {f"{label}.{other}.{kind}": value, f"{label}.{other}.{kind}.error": error}
                data[f"{label}.{other}.{kind}.x"] = centres[full]
            panel.axhline(0, color="black", lw=0.8)
            panel.set(xlabel=column, ylabel=KINDS[kind], title=label, xlim=(edges[0], edges[-1]))
        handles, labels = panels[0].get_legend_handles_labels()
        drawing.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=10)
    caption = (
        f"Relative error of {parse(name).description} in bins of {against[0]}: its median, and half the width of its "
        "central 68 %; errors are statistical."
    )
    return Figure(f"against-{figures.file_name(name)}", f"{name} against {against[0]}", caption, drawing, data)
