"""A figure on disk: a PNG to look at, a PDF to publish, and the numbers behind as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Figure
from hepimg.errors import PluginError
from hepimg.figures.style import style
from hepimg.store import write_json, writing

DPI = 110


def file_name(name: str) -> str:
    """A name that is safe in any file system: ``tag[seed=2]`` becomes ``tag-seed-2``."""
    return re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip("-.") or "figure"


def save_figure(figure: Figure, folder: Path) -> str:
    """Write ``<name>.png``, ``<name>.pdf`` and ``<name>.json``, then free the drawing.

    The files hold no date, so that the same figure is the same bytes.

    Args:
        figure: its name is made safe for a file.
        folder: made if it is not there.

    Returns:
        The name of the files, without suffix.

    Raises:
        PluginError: ``figure.draw`` is no matplotlib figure.
        DataError: the folder cannot be written.
    """
    from matplotlib.figure import Figure as Drawing

    name = file_name(figure.name)
    if not isinstance(figure.draw, Drawing):
        raise PluginError(f"figure {figure.name!r} is a {type(figure.draw).__name__}, needed: a matplotlib Figure")
    with style():
        with writing(folder / f"{name}.png") as path:
            figure.draw.savefig(path, format="png", dpi=DPI, metadata={"Software": None})
        figure.draw.set_layout_engine("none")  # laid out once: it takes as long as drawing
        with writing(folder / f"{name}.pdf") as path:
            figure.draw.savefig(path, format="pdf", dpi=2 * DPI, metadata={"CreationDate": None})
    write_json(folder / f"{name}.json", as_lists(figure.data))
    figure.draw.clear()
    return name


def as_lists(data: Mapping[str, NDArray[np.generic]]) -> dict[str, Any]:
    """Arrays as nested lists; a number that JSON cannot write (not-a-number, infinity) becomes null."""
    return {name: _as_list(np.asarray(array)) for name, array in data.items()}


def _as_list(array: NDArray[Any]) -> Any:
    if array.dtype.kind != "f":
        return array.tolist()
    listed = array.astype(object)
    listed[~np.isfinite(array)] = None
    return listed.tolist()
