"""Figures of the metric ``closure``: patch images and mean images of truth and models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hepimg import figures
from hepimg.components import Figure
from hepimg.figures.draw import with_unit
from hepimg_metrics.closure.cells import Patch
from hepimg_metrics.closure.jets import Floats
from hepimg_metrics.closure.shown import Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

MOST_NUMBERS = 8
"""Positions per side up to which their numbers are legible."""


def draw_patches(shown: Shown, patches: Mapping[str, Mapping[str, Patch]]) -> Figure:
    """The patch images of truth and models, over the truth's mean.

    Args:
        shown: the class.
        patches: ``occupancy`` and ``energy`` -> ``HR`` and each model -> its patch image.
    """
    values = {
        content: {name: patch.over_mean(images["HR"]) for name, patch in images.items()}
        for content, images in patches.items()
    }
    drawn = {name: values["occupancy"][name] for name in values["occupancy"]}
    reach = max(float(np.abs(image - 1).max()) for images in values.values() for image in images.values())
    data: dict[str, NDArray[np.generic]] = {}
    with figures.style():
        drawing, panels = figures.subplots(len(values), len(drawn), (2.9 * len(drawn) + 0.9, 3.1 * len(values)))
        for place, axes in enumerate(panels):
            content, name = list(values)[place // len(drawn)], list(drawn)[place % len(drawn)]
            mesh = _draw_patch(axes, values[content][name], min(max(reach, 0.05), 1.0))
            axes.set_title(f"{name}\n{content}", fontsize=10)
            data[f"{content}.{name}"] = values[content][name]
        drawing.colorbar(mesh, ax=panels, label="over the mean of HR")
    caption = (
        f"Where within a low-resolution cell the active pixels and the energy of {shown.label} jets are, over the "
        "mean position of HR."
    )
    return Figure(shown.figure_name("patch"), f"Patch images: {shown.label}", caption, drawing, data)


def _draw_patch(axes: Axes, image: Floats, reach: float) -> AxesImage:
    """One patch image; the rows' axis lies along x, as in all images."""
    mesh = axes.imshow(image.T, origin="lower", cmap="RdBu_r", vmin=1 - reach, vmax=1 + reach)
    axes.set(xticks=[], yticks=[])
    axes.minorticks_off()
    if max(image.shape) <= MOST_NUMBERS:
        for (row, column), value in np.ndenumerate(image):
            axes.text(row, column, f"{value:.2f}", ha="center", va="center", fontsize=48 / max(image.shape))
    return mesh


def draw_means(shown: Shown) -> Figure:
    """The mean images of truth and models on one colour scale."""
    weights = shown.jets.every[0]
    seen = {"HR": shown.truth, **shown.models}
    means = {name: one.images.mean_image(weights)[0] for name, one in seen.items()}
    channel, grid = shown.truth.images.channels[0], shown.truth.images.grid
    limits = figures.image_limits(means.values())
    label = with_unit(f"mean {'$p_T$' if channel.name == 'pt' else channel.name} per cell", channel.unit)
    with figures.style():
        drawing, panels = figures.subplots(1, len(means), (3.4 * len(means) + 1.0, 3.8))
        for axes, (name, mean) in zip(panels, means.items(), strict=True):
            mesh = figures.draw_image(axes, mean, grid, limits=limits, colour_bar=False)
            axes.set_title(name, fontsize=10)
            axes.label_outer()
        drawing.colorbar(mesh, ax=panels, label=label)
    caption = f"Mean images of {shown.label} jets. White: never hit."
    edges = {"row_edges": grid.rows.all_edges, "column_edges": grid.columns.all_edges}
    return Figure(shown.figure_name("mean"), f"Mean images: {shown.label}", caption, drawing, {**edges, **means})
