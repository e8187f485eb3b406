"""Figures of the metric ``plane``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hepimg import figures
from hepimg.components import Figure
from hepimg.figures.draw import with_unit
from hepimg.observables import parse

Floats = NDArray[np.float64]

PANEL = 3.4
"""Side of one panel, in inches."""

PULLS = 5.0
"""Where the colours of the pulls end, in standard deviations."""


def draw_planes(
    label: str, names: Sequence[str], edges: Sequence[Floats], planes: Mapping[str, tuple[Floats, Floats]]
) -> Figure:
    """The plane of each image, and below those of generated images how far they are from the truth.

    Args:
        label: of the class.
        names: observables on the x and on the y axis.
        edges: of their bins.
        planes: image -> (x bins, y bins) fractions of the jets, and their errors; the truth is the first.
    """
    from matplotlib.colors import LogNorm

    (first, truth), *others = planes.items()
    filled = np.concatenate([fractions[fractions > 0] for fractions, _ in planes.values()])
    norm = LogNorm(filled.min(initial=1.0), filled.max(initial=0.0) or 1.0)
    data: dict[str, NDArray[np.generic]] = {"x_edges": edges[0], "y_edges": edges[1]}
    with figures.style():
        drawing, panels = figures.subplots(2, len(planes), (PANEL * len(planes) + 1.2, 2 * PANEL + 0.4))
        upper, lower = panels[: len(planes)], panels[len(planes) :]
        for axes, (name, (fractions, _)) in zip(upper, planes.items(), strict=True):
            drawn = np.ma.masked_less_equal(fractions, 0).T
            mesh = axes.pcolormesh(*edges, drawn, norm=norm, cmap="viridis_r", rasterized=True)
            axes.set_title(name)
            data[name] = fractions
        lower[0].set_axis_off()
        for axes, (name, plane) in zip(lower[1:], others, strict=True):
            pull = _pulls(truth, plane)
            drawn = np.ma.masked_invalid(pull).T
            of_pulls = axes.pcolormesh(*edges, drawn, vmin=-PULLS, vmax=PULLS, cmap="RdBu_r", rasterized=True)
            data[f"{name}.pull"] = pull
        x_label, y_label = (with_unit(name, parse(name).unit) for name in names)
        for axes in (upper[0], *lower[1:]):
            axes.set_xlabel(x_label)
        for axes in (upper[0], lower[1]):
            axes.set_ylabel(y_label)
        drawing.colorbar(mesh, ax=upper, label="fraction of jets per bin")
        drawing.colorbar(of_pulls, ax=lower, label="pull", extend="both")
    caption = (
        f"Above: fraction of {label} jets in each bin, {first} and generated; white: none. Below: generated less true "
        "fraction, over the statistical error of both."
    )
    name = f"plane-{'-'.join(figures.file_name(name) for name in names)}-{figures.file_name(label)}"
    return Figure(name, f"{names[1]} against {names[0]}: {label}", caption, drawing, data)


def _pulls(truth: tuple[Floats, Floats], generated: tuple[Floats, Floats]) -> Floats:
    """Difference over its error, not-a-number where both are empty."""
    error = np.hypot(truth[1], generated[1])
    found = np.full(error.shape, np.nan)
    np.divide(generated[0] - truth[0], error, out=found, where=error > 0)
    return found
