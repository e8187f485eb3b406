"""Drawings on given axes: images, histograms, and curves with a band of error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepimg.figures.style import COLOURS
from hepimg.grid import Axis, Grid

if TYPE_CHECKING:
    from hist import Hist
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh

_SYMBOLS = {"eta": "η", "phi": "φ"}


def axis_labels(grid: Grid) -> tuple[str, str]:
    """Labels with units for the axes of the rows and of the columns.

    An angle that is centred on zero without going round the circle is measured from an axis: ``Δη``, ``Δφ [rad]``.
    """
    around = [axis for axis in (grid.rows, grid.columns) if axis.is_angle]
    relative = bool(around) and not any(axis.is_periodic for axis in around) and all(map(_is_centred, around))
    prefix = "Δ" if relative else ""
    names = [prefix + _SYMBOLS.get(axis.name, axis.name) for axis in (grid.rows, grid.columns)]
    rows, columns = (with_unit(name, axis.unit) for name, axis in zip(names, (grid.rows, grid.columns), strict=True))
    return rows, columns


def with_unit(name: str, unit: str) -> str:
    """``name [unit]``, or the name alone where there is no unit."""
    return f"{name} [{unit}]" if unit else name


def _is_centred(axis: Axis) -> bool:
    return bool(np.isclose(axis.edges[0], -axis.edges[-1]))


def image_limits(
    images: Iterable[NDArray[np.float64]], *, signed: bool = False, decades: float = 5
) -> tuple[float, float]:
    """The ends of one colour scale for several images.

    Returns:
        What lies ``decades`` below the largest value, and that value; or both signs of the largest magnitude, if
        ``signed``.
    """
    top = max((float(np.abs(image).max(initial=0.0)) for image in images), default=0.0) or 1.0
    return (-top, top) if signed else (top * 10.0**-decades, top)


def draw_image(
    axes: Axes,
    image: NDArray[np.float64],
    grid: Grid,
    *,
    label: str = "",
    signed: bool = False,
    limits: tuple[float, float] | None = None,
    colour_bar: bool = True,
) -> QuadMesh:
    """Draw one channel with a logarithmic colour scale; cells that are zero stay white.

    Args:
        axes: where.
        image: (rows, columns) values.
        grid: its cells; the rows' axis lies along x.
        label: of the colour bar, with its unit.
        signed: values of both signs: a diverging scale, linear within a hundredth of its end and logarithmic beyond.
        limits: of the colour scale; None: from this image.
        colour_bar: whether to draw one beside the axes.
    """
    import matplotlib
    from matplotlib.colors import LogNorm, Normalize, SymLogNorm

    low, high = limits or image_limits([image], signed=signed)
    norm: Normalize = SymLogNorm(high / 100, vmin=low, vmax=high) if signed else LogNorm(low, high)
    drawn = np.where(image == 0, np.nan, image).T
    colours = matplotlib.colormaps["RdBu_r" if signed else "viridis_r"]
    edges = grid.rows.all_edges, grid.columns.all_edges
    mesh = axes.pcolormesh(*edges, np.ma.masked_invalid(drawn), norm=norm, cmap=colours, rasterized=True)
    x_label, y_label = axis_labels(grid)
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.minorticks_off()
    if {grid.rows.name, grid.columns.name} in ({"eta", "phi"}, {"y", "phi"}):
        axes.set_aspect("equal")
    if colour_bar:
        axes.figure.colorbar(mesh, ax=axes, label=label, extend="neither" if signed else "min")
    return mesh


def histogram(values: ArrayLike, edges: ArrayLike, weights: ArrayLike | None = None, label: str = "") -> Hist[Any]:
    """A histogram that keeps the variance of each bin; what lies outside goes to its under- and overflow.

    Args:
        values: (n,) numbers; not-a-number is left out.
        edges: (bins + 1,) ascending edges.
        weights: (n,) weights; None: one each.
        label: of the axis, with its unit.
    """
    import hist

    values = np.asarray(values, np.float64)
    known = ~np.isnan(values)
    filled = hist.Hist(hist.axis.Variable(np.asarray(edges, np.float64), label=label), storage=hist.storage.Weight())
    filled.fill(values[known], weight=None if weights is None else np.asarray(weights, np.float64)[known])
    return filled


def draw_histograms(
    axes: Axes, histograms: Mapping[str, Hist[Any]], *, y_label: str = "fraction per bin", log: bool = False
) -> dict[str, NDArray[np.generic]]:
    """Draw histograms as steps with error bars, each divided by all that was filled into it.

    Args:
        axes: where.
        histograms: label -> histogram; all with the same axis, whose label is drawn.
        y_label: of the fractions.
        log: a logarithmic y axis.

    Returns:
        The numbers behind, not divided: ``<label>.edges``, ``<label>.values``, ``<label>.variances``.
    """
    import mplhep

    data: dict[str, NDArray[np.generic]] = {}
    heights, tops = [np.zeros(0)], [0.0]
    for number, (label, filled) in enumerate(histograms.items()):
        values, variances = np.asarray(filled.values()), np.asarray(filled.variances())
        edges = np.asarray(filled.axes[0].edges)
        data |= {f"{label}.edges": edges, f"{label}.values": values, f"{label}.variances": variances}
        total = float(np.sum(filled.values(flow=True))) or 1.0
        fractions, errors = values / total, np.sqrt(variances) / abs(total)
        dashes = "--" if number >= len(COLOURS) else "-"  # where colours come again
        mplhep.histplot(
            fractions, edges, yerr=errors, ax=axes, label=label, histtype="step", flow="none", linestyle=dashes
        )
        axes.set_xlim(edges[0], edges[-1])
        heights.append(fractions[fractions > 0])
        tops.append(float((fractions + errors).max(initial=0.0)))
    drawn = np.concatenate(heights)
    low, high = (float(drawn.min()), float(drawn.max())) if len(drawn) else (1e-3, 1.0)
    if log and len(drawn):  # room above for the legend, as below
        axes.set(yscale="log", ylim=(low / 2, low / 2 * (2 * high / low) ** 1.35))
    else:
        axes.set_ylim(0, 1.2 * max(tops) or 1.0)
    first = next(iter(histograms.values()))
    axes.set(xlabel=first.axes[0].label, ylabel=y_label)
    axes.legend(loc="upper right", ncols=2 if len(histograms) > 3 else 1)
    return data


def bulk_edges(values: ArrayLike, lowest: float = 1.0, highest: float = 99.0, bins: int = 40) -> NDArray[np.float64]:
    """Even edges over the bulk of ``values``, between two percentiles.

    Args:
        values: (n,) numbers; what is not finite is left out.
        lowest: percentile.
        highest: percentile.
        bins: at most; whole numbers get bins of one whole width, so that none of them holds more numbers than its
            neighbour.

    Returns:
        (bins + 1,) edges.
    """
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    low, high = np.percentile(known, [lowest, highest]) if len(known) else (0.0, 1.0)
    if len(known) and np.all(known == np.round(known)):
        width = max(1, int(np.ceil((high - low + 1) / bins)))
        return np.asarray(np.arange(np.floor(low) - 0.5, high + 0.5 + width, width))
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, bins + 1)


def draw_curve(
    axes: Axes, x: NDArray[Any], y: NDArray[Any], error: NDArray[Any] | None = None, *, label: str, colour: str
) -> None:
    """Draw a curve and, where ``error`` is given, the band of one standard deviation around it.

    Args:
        axes: where.
        x: (n,) positions.
        y: (n,) values.
        error: (n,) standard deviations; None: no band.
        label: in the legend.
        colour: of both.
    """
    axes.plot(x, y, color=colour, label=label)
    if error is not None:
        axes.fill_between(x, y - error, y + error, color=colour, alpha=0.25, linewidth=0)
