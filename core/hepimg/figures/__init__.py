"""Figures: one style, the few drawings that metrics and notebooks share, and how a figure is written to disk."""

from hepimg.figures.draw import (
    axis_labels,
    bulk_edges,
    draw_curve,
    draw_histograms,
    draw_image,
    histogram,
    image_limits,
)
from hepimg.figures.files import file_name, save_figure
from hepimg.figures.inline import draw_images
from hepimg.figures.numbers import rounded
from hepimg.figures.style import style, subplots

__all__ = [
    "axis_labels",
    "bulk_edges",
    "draw_curve",
    "draw_histograms",
    "draw_image",
    "draw_images",
    "file_name",
    "histogram",
    "image_limits",
    "rounded",
    "save_figure",
    "style",
    "subplots",
]
