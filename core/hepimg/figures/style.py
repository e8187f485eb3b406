"""The style of every figure: mplhep's, at the size of a page, with colours that colour-blind readers tell apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#5790fc", "#f89c20", "#e42536", "#964a8b", "#9c9ca1", "#7a21dd")
"""Petroff's sequence of six (arXiv:2107.02270), chosen for colour-vision deficiencies."""

# mplhep's ROOT style is made for a figure of 10 x 10 inches; here two stand side by side.
_PAGE_SIZE = {
    "font.size": 12.0,
    "mathtext.fontset": "dejavusans",
    "axes.linewidth": 1.0,
    "axes.titlesize": 12.0,
    "lines.linewidth": 1.6,
    "legend.fontsize": 10.5,
    "xtick.major.size": 6.0,
    "xtick.minor.size": 3.0,
    "ytick.major.size": 6.0,
    "ytick.minor.size": 3.0,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,  # TrueType: text in the PDF can be searched and edited; journals ask for it
}


@contextmanager
def style() -> Iterator[None]:
    """Within the block matplotlib draws in the style of hepimg; afterwards the user's own settings stand again."""
    import matplotlib
    import mplhep
    from cycler import cycler

    own = {**mplhep.style.ROOT, **_PAGE_SIZE, "axes.prop_cycle": cycler(color=COLOURS)}
    with matplotlib.rc_context(own):
        yield


def subplots(rows: int = 1, columns: int = 1, size: tuple[float, float] = (6.0, 4.6)) -> tuple[Figure, list[Axes]]:
    """A figure of its own, apart from pyplot's, and its axes row by row; to be called within :func:`style`.

    Args:
        rows: of axes.
        columns: of axes.
        size: of the whole figure, in inches.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(wspace=0.06))  # labels of neighbours stay apart
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())
