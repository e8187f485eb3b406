"""Figures of the metric ``closure``: distributions of truth and models, and their ratio below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hepimg import figures
from hepimg.components import Figure
from hepimg.figures.draw import with_unit
from hepimg_metrics.closure.jets import Floats, Seen, quotient
from hepimg_metrics.closure.shown import Shown, is_spectrum

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 3
"""Panels beside each other."""

BINS = 40


@dataclass(frozen=True)
class Curve:
    """One distribution of a panel.

    Args:
        label: in the legend.
        seen: where the observable is.
        against: what it is divided by in the ratio panel; None: nothing.
        style: keywords of matplotlib's steps.
    """

    label: str
    seen: Seen
    against: Seen | None
    style: dict[str, object]


def draw_spectra(shown: Shown) -> Figure | None:
    """The spectra of the n-th hardest pixels on a square-root scale; None where none was asked for."""
    names = [name for name in shown.truth.values if is_spectrum(name)]
    curves = [*_curves(shown), *_pooled_curves(shown)]
    low = " LR: the low-resolution image; dashed: the generated images, pooled to it." if shown.low else ""
    caption = (
        f"n-th hardest pixels of {shown.label} jets, each distribution divided by its sum, on a square-root scale. "
        "Jets with fewer pixels are in the bin of zero. Below: SR / HR (dashed: pooled SR / "
        f"LR), the band is HR's statistical error.{low}"
    )
    return _draw(shown, names, curves, "spectra", caption, is_root=True) if names else None


def draw_observables(shown: Shown) -> Figure | None:
    """All other observables; None where none was asked for."""
    names = [name for name in shown.truth.values if not is_spectrum(name)]
    caption = (
        f"Observables of the pixels of {shown.label} jets, each distribution divided by its sum. Below: SR / HR, the "
        "band is HR's statistical error."
    )
    return _draw(shown, names, _curves(shown), "observables", caption, is_root=False) if names else None


def _curves(shown: Shown) -> list[Curve]:
    """Low resolution, truth and models, in the order in which they are drawn."""
    curves = []
    if shown.low is not None:
        curves.append(Curve("LR", shown.low, None, {"histtype": "fill", "color": "0.85"}))
    curves.append(Curve("HR", shown.truth, None, {"histtype": "step", "color": "black"}))
    for name, seen in shown.models.items():
        curves.append(Curve(name, seen, shown.truth, {"histtype": "step", "color": shown.colours[name]}))
    return curves


def _pooled_curves(shown: Shown) -> list[Curve]:
    dashed = {"histtype": "step", "linestyle": "--", "linewidth": 1.0}
    return [
        Curve(f"{name}, pooled", seen, shown.low, {**dashed, "color": shown.colours[name]})
        for name, seen in shown.pooled.items()
    ]


def _draw(
    shown: Shown, names: Sequence[str], curves: Sequence[Curve], what: str, caption: str, *, is_root: bool
) -> Figure:
    columns = min(COLUMNS, len(names))
    lines = -(-len(names) // columns)
    data: dict[str, NDArray[np.generic]] = {}
    with figures.style():
        drawing, panels = figures.subplots(2 * lines, columns, (4.2 * columns, 4.0 * lines + 0.6))
        panels[0].get_gridspec().set_height_ratios([3, 1] * lines)  # type: ignore[union-attr]
        drawing.get_layout_engine().set(hspace=0.0, h_pad=0.03)  # type: ignore[union-attr, call-arg]
        for place in range(lines * columns):
            line, column = divmod(place, columns)
            upper, lower = panels[2 * line * columns + column], panels[(2 * line + 1) * columns + column]
            if place >= len(names):
                upper.set_axis_off()
                lower.set_axis_off()
                continue
            data |= _panel(upper, lower, shown, names[place], curves, is_root=is_root)
        drawing.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return Figure(shown.figure_name(what), f"{what.capitalize()}: {shown.label}", caption, drawing, data)


def _panel(
    upper: Axes, lower: Axes, shown: Shown, name: str, curves: Sequence[Curve], *, is_root: bool
) -> dict[str, NDArray[np.generic]]:
    """One observable and its ratio; returns the numbers behind."""
    import mplhep

    edges = _edges(shown, name)
    weights = shown.jets.every[0]
    filled = {id(curve.seen): _fractions(curve.seen.values[name], edges, weights) for curve in curves}
    data: dict[str, NDArray[np.generic]] = {f"{name}.edges": edges}
    for curve in curves:
        values, errors = filled[id(curve.seen)]
        mplhep.histplot(values, edges, ax=upper, label=curve.label, flow="none", **curve.style)
        data |= {f"{name}.{curve.label}": values, f"{name}.{curve.label}.error": errors}
        if curve.against is not None:
            ratio = quotient(values, filled[id(curve.against)][0])
            line = {key: value for key, value in curve.style.items() if key != "histtype"}
            lower.stairs(ratio, edges, baseline=None, **line)  # type: ignore[arg-type]
    values, errors = filled[id(shown.truth)]
    relative = np.nan_to_num(quotient(errors, values))
    lower.stairs(1 + relative, edges, baseline=1 - relative, fill=True, color="0.85")
    lower.axhline(1, color="black", linewidth=0.8)
    label = with_unit(name, shown.truth.unit(name))
    upper.set(xlim=(edges[0], edges[-1]), ylabel="fraction per bin")
    lower.set(xlim=(edges[0], edges[-1]), ylim=(0.5, 1.5), xlabel=label, ylabel="ratio")
    upper.tick_params(labelbottom=False)
    top = max(float(values.max(initial=0.0)) for values, _ in filled.values()) or 1.0
    if is_root:
        upper.set_yscale("function", functions=(_root, np.square))
    upper.set_ylim(0, 1.15 * top)
    return data


def _edges(shown: Shown, name: str) -> Floats:
    """Bins over the bulk of truth and low resolution; a spectrum begins with the bin of zero."""
    both = [shown.truth.values[name], *([shown.low.values[name]] if shown.low is not None else [])]
    edges = figures.bulk_edges(np.concatenate(both), 0.5, 99.5, bins=BINS)
    return np.linspace(0, max(float(edges[-1]), 1e-9), BINS + 1) if is_spectrum(name) else edges


def _fractions(values: Floats, edges: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """(bins,) fraction of the jets in each bin, and its statistical error."""
    filled = figures.histogram(values, edges, weights)
    total = float(weights.sum())
    return np.asarray(filled.values()) / total, np.sqrt(np.asarray(filled.variances())) / abs(total)


def _root(values: Floats) -> Floats:
    return np.asarray(np.sqrt(np.maximum(values, 0)))
