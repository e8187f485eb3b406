"""Figures of the metric ``images``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hepimg import figures
from hepimg.components import Figure, Grid
from hepimg.figures.draw import with_unit
from hepimg.images import Channel, SparseImages

Floats = NDArray[np.float64]
PANEL = 3.4
"""Side of one panel, in inches."""


def draw_means(image: str, means: Mapping[str, Floats], grid: Grid, channel: Channel) -> Figure:
    """The mean image of each class, on one colour scale."""
    limits = figures.image_limits(means.values(), signed=channel.signed)
    label = with_unit(f"mean {_symbol(channel)} per cell", channel.unit)
    with figures.style():
        drawing, panels = figures.subplots(1, len(means), (PANEL * len(means) + 1.0, PANEL + 0.4))
        for axes, (name, mean) in zip(panels, means.items(), strict=True):
            mesh = figures.draw_image(axes, mean, grid, signed=channel.signed, limits=limits, colour_bar=False)
            axes.set_title(name)
            axes.label_outer()
        drawing.colorbar(mesh, ax=panels, label=label)
    size = f"{grid.rows.size} × {grid.columns.size}"
    caption = f"Mean of {image} ({size} cells) in each class of test jets. White: never hit."
    return Figure(f"mean-{image}", f"Mean images: {image}", caption, drawing, {**_edges(grid), **means})


def draw_differences(image: str, means: Mapping[str, Floats], grid: Grid, channel: Channel) -> Figure:
    """Each class's mean image minus that of the first class."""
    first, *others = means
    differences = {name: means[name] - means[first] for name in others}
    limits = figures.image_limits(differences.values(), signed=True)
    label = with_unit(f"difference of mean {_symbol(channel)} per cell", channel.unit)
    with figures.style():
        drawing, panels = figures.subplots(1, len(others), (PANEL * len(others) + 1.3, PANEL + 0.4))
        for axes, (name, difference) in zip(panels, differences.items(), strict=True):
            mesh = figures.draw_image(axes, difference, grid, signed=True, limits=limits, colour_bar=False)
            axes.set_title(f"{name} − {first}")
            axes.label_outer()
        drawing.colorbar(mesh, ax=panels, label=label)
    caption = (
        f"Where the classes differ: mean image minus that of {first}. "
        "The scale is linear within a hundredth of its end and logarithmic beyond."
    )
    data = {f"{name}_minus_{first}": difference for name, difference in differences.items()}
    return Figure(
        f"difference-{image}", f"Differences of mean images: {image}", caption, drawing, {**_edges(grid), **data}
    )


def draw_examples(image: str, images: Mapping[str, SparseImages], channel: int) -> Figure:
    """The first images of each class, one class in a row."""
    first = next(iter(images.values()))
    columns = max(map(len, images.values()))
    drawn = {
        name: [some[k].dense()[0, channel].astype(np.float64) for k in range(len(some))]
        for name, some in images.items()
    }
    signed = first.channels[channel].signed
    limits = figures.image_limits((one for some in drawn.values() for one in some), signed=signed, decades=3)
    label = with_unit(_symbol(first.channels[channel]), first.channels[channel].unit)
    with figures.style():
        drawing, panels = figures.subplots(len(images), columns, (2.4 * columns + 1.0, 2.4 * len(images) + 0.4))
        for row, (name, some) in enumerate(drawn.items()):
            for column, axes in enumerate(panels[row * columns : (row + 1) * columns]):
                if column >= len(some):
                    axes.set_axis_off()
                    continue
                mesh = figures.draw_image(
                    axes, some[column], first.grid, signed=signed, limits=limits, colour_bar=False
                )
                axes.label_outer()
                axes.annotate(name, (0.05, 0.95), xycoords="axes fraction", va="top")
        drawing.colorbar(mesh, ax=panels, label=label)
    caption = "Single test jets, the first of each class. White cells are empty."
    data: dict[str, NDArray[np.generic]] = _edges(first.grid)
    for name, batch in images.items():
        data |= {
            f"{name}.offsets": batch.offsets,
            f"{name}.cells": batch.cells,
            f"{name}.values": batch.values[:, channel],
        }
    return Figure(f"examples-{image}", f"Single images: {image}", caption, drawing, data)


def _edges(grid: Grid) -> dict[str, NDArray[np.generic]]:
    return {"row_edges": grid.rows.all_edges, "column_edges": grid.columns.all_edges}


def _symbol(channel: Channel) -> str:
    return "$p_T$" if channel.name == "pt" else channel.name
