"""Figures of the metric ``closure``: what becomes of single jets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hepimg import figures
from hepimg.components import Figure
from hepimg.figures.draw import with_unit
from hepimg_metrics.closure.jets import Floats
from hepimg_metrics.closure.shown import Shown, is_spectrum

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SLICES = 5
BINS = 40


def draw_migration(shown: Shown, model: str) -> Figure | None:
    """The energies of two pixels in truth and model, and where slices of the true energy end up.

    As section 8.5 of the thesis has it for the two leading ones; here the first two n-th hardest pixels of ``names``.
    The slices hold equally many jets.  None where no spectrum was asked for.
    """
    names = [name for name in shown.truth.values if is_spectrum(name)][:2]
    if not names:
        return None
    data: dict[str, NDArray[np.generic]] = {}
    with figures.style():
        drawing, panels = figures.subplots(len(names), 3, (12.6, 3.9 * len(names)))
        for line, name in enumerate(names):
            truth, generated = shown.truth.values[name], shown.models[model].values[name]
            edges = figures.bulk_edges(truth, 0.5, 99.5, bins=BINS)
            label = with_unit(name, shown.truth.unit(name))
            plane, *sliced = panels[3 * line : 3 * line + 3]
            data[f"{name}.edges"] = edges
            data[f"{name}.counts"] = _draw_plane(plane, truth, generated, edges, shown.jets.every[0])
            plane.set(xlabel=f"HR {label}", ylabel=f"SR {label}")
            slices = _slices(truth)
            for axes, kind, values in zip(sliced, ("HR", "SR"), (truth, generated), strict=True):
                data[f"{name}.{kind}"] = _draw_slices(axes, values, slices, edges, shown.jets.every[0])
                axes.set(xlabel=f"{kind} {label}", ylabel="jets per bin")
    caption = (
        f"Jet by jet, {shown.label}: {' and '.join(names)} in HR and in {model}. Left: all jets, the line is "
        f"equality. Middle: HR in {SLICES} slices of equally many jets. Right: where these jets are in SR."
    )
    title = f"Migration: {shown.label}, {model}"
    name = shown.figure_name(f"migration-{figures.file_name(model)}")
    return Figure(name, title, caption, drawing, data)


def _draw_plane(axes: Axes, truth: Floats, generated: Floats, edges: Floats, weights: Floats) -> Floats:
    """Jets in the plane of true and generated energy, white where there are none; returns the (bins, bins) counts."""
    counts, _, _ = np.histogram2d(truth, generated, [edges, edges], weights=weights)
    axes.pcolormesh(edges, edges, np.ma.masked_less_equal(counts, 0).T, cmap="viridis_r", rasterized=True)
    axes.plot(edges[[0, -1]], edges[[0, -1]], color="black", linewidth=1.0)
    axes.set_aspect("equal")
    return np.asarray(counts)


def _slices(truth: Floats) -> NDArray[np.int64]:
    """(n,) number of the slice of each jet; jets of the same energy are in the same one."""
    inner = np.quantile(truth, np.linspace(0, 1, SLICES + 1)[1:-1])
    return np.searchsorted(inner, truth, side="right")


def _draw_slices(
    axes: Axes, values: Floats, slices: NDArray[np.int64], edges: Floats, weights: Floats
) -> NDArray[np.generic]:
    """A histogram for each slice; returns the (slices, bins) contents."""
    import matplotlib

    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, SLICES))
    filled = np.array(
        [np.histogram(values[slices == k], edges, weights=weights[slices == k])[0] for k in range(SLICES)]
    )
    for contents, colour in zip(filled, colours, strict=True):
        axes.stairs(contents, edges, color=colour, linewidth=1.6)
        axes.stairs(contents, edges, color=colour, fill=True, alpha=0.15)
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, 1.1 * float(filled.max(initial=0.0)) or 1.0))
    return filled


def draw_ranks(shown: Shown) -> Figure:
    """How often the truth has each rank among the draws, over how often it should; a panel for each observable."""
    names = list(shown.truth.values)
    columns = min(5, len(names))
    lines = -(-len(names) // columns)
    data: dict[str, NDArray[np.generic]] = {}
    with figures.style():
        drawing, panels = figures.subplots(lines, columns, (2.7 * columns, 2.5 * lines + 0.6))
        for axes, name in zip(panels, names, strict=False):
            axes.axhline(1, color="0.6", linewidth=1.0)
            for model, shares in shown.shares.items():
                level = shares[name] * shares[name].shape[1]
                value, error = level[0], level[1:].std(axis=0, ddof=1)
                x = np.arange(len(value))
                colour = shown.colours[model]
                axes.errorbar(x, value, yerr=error, fmt="o", markersize=4, color=colour, label=model)
                data |= {f"{name}.{model}": value, f"{name}.{model}.error": error}
            axes.set_title(name, fontsize=9)
            axes.tick_params(axis="x", which="minor", bottom=False, top=False)
            axes.set_ylim(*_around_one(axes.get_ylim()))
            axes.set_xlim(-0.5, max(len(shares[name][0]) for shares in shown.shares.values()) - 0.5)
        for axes in panels[len(names) :]:
            axes.set_axis_off()
        drawing.supxlabel("draws below the truth", fontsize=12)
        drawing.supylabel("jets / uniform", fontsize=12)
        drawing.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    caption = (
        f"Rank of the true observable among the draws for the same low-resolution image, {shown.label} jets: flat "
        "where the draws are draws of the posterior, high at both ends where they are too much alike."
    )
    return Figure(shown.figure_name("ranks"), f"Ranks of the truth: {shown.label}", caption, drawing, data)


def _around_one(limits: tuple[float, float]) -> tuple[float, float]:
    """Limits of an axis, so that a tenth above and below one is always seen."""
    return min(limits[0], 0.9), max(limits[1], 1.1)
