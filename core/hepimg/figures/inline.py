"""A few images as inline SVG, cell by cell: what a notebook shows at once, without matplotlib."""

from __future__ import annotations

from html import escape

import numpy as np
from numpy.typing import NDArray

from hepimg.images import SparseImages

SIDE = 150
"""Width and height of an image, in pixels."""

MOST_CELLS = 3000
"""Cells drawn of one image: the largest, where there are more."""

# Light to dark, five steps of ColorBrewer's YlGnBu; signed images add YlOrRd below zero.
_ABOVE = ("#c7e9b4", "#7fcdbb", "#41b6c4", "#2c7fb8", "#253494")
_BELOW = ("#fed976", "#fd8d3c", "#fc4e2a", "#e31a1c", "#800026")


def draw_images(images: SparseImages) -> str:
    """HTML of the first channel of each image, on one logarithmic scale of four decades; the rows' axis lies along x.

    Args:
        images: a few.
    """
    largest = float(np.abs(images.values[:, 0]).max(initial=0.0))
    drawn = "".join(_draw(images[k], largest) for k in range(len(images)))
    return f'<div style="display:flex;flex-wrap:wrap;gap:10px">{drawn}</div>'


def _draw(image: SparseImages, largest: float) -> str:
    values = image.values[:, 0]
    kept = np.argsort(-np.abs(values), kind="stable")[:MOST_CELLS]
    level = _levels(values[kept], largest)
    paths = []
    for colours, sign in ((_ABOVE, 1), (_BELOW, -1)):
        for number, colour in enumerate(colours):
            cells = image.cells[kept[(level == number) & (np.sign(values[kept]) == sign)]]
            if len(cells):
                paths.append(f'<path fill="{colour}" d="{_path(image, cells)}"/>')
    channel = image.channels[0]
    text = f"{channel.name} {float(image.sum()[0, 0]):.4g} {channel.unit}".strip() + f", {len(values)} cells"
    return (
        f'<figure style="margin:0"><svg width="{SIDE}" height="{SIDE}" viewBox="0 0 {SIDE} {SIDE}" role="img">'
        f"<title>{escape(text)}</title>"
        f'<rect width="{SIDE}" height="{SIDE}" fill="#fff" stroke="#999"/>{"".join(paths)}</svg>'
        f'<figcaption style="font-size:11px">{escape(text)}</figcaption></figure>'
    )


def _levels(values: NDArray[np.float32], largest: float) -> NDArray[np.int64]:
    """(n,) which colour: the logarithm of the magnitude, four decades below the largest and up."""
    with np.errstate(divide="ignore"):
        decades = np.log10(np.abs(values, dtype=np.float64) / (largest or 1.0))
    return np.clip(np.nan_to_num((decades + 4) / 4, neginf=0.0) * len(_ABOVE), 0, len(_ABOVE) - 1).astype(np.int64)


def _path(image: SparseImages, cells: NDArray[np.int32]) -> str:
    """The rectangles of some cells, in pixels."""
    row, column = np.divmod(cells, image.grid.columns.size)
    x, y = (_pixels(axis.all_edges) for axis in (image.grid.rows, image.grid.columns))
    corners = zip(x[row], SIDE - y[column + 1], x[row + 1] - x[row], y[column + 1] - y[column], strict=True)
    # A tenth of a pixel more hides the seams between neighbours.
    return "".join(f"M{a:.1f} {b:.1f}h{w + 0.1:.1f}v{h + 0.1:.1f}h{-w - 0.1:.1f}z" for a, b, w, h in corners)


def _pixels(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((edges - edges[0]) / (edges[-1] - edges[0]) * SIDE)
