"""The report: one self-contained page of HTML, made from nothing but the files of a results folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hepimg.components import Figure
from hepimg.figures import file_name, save_figure
from hepimg.report.content import FIGURES, Content
from hepimg.report.page import page
from hepimg.store import write_json, writing

__all__ = ["write_figures", "write_report"]


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into a results folder.

    Args:
        folder: holds ``analysis.json``; whatever else is there (``metrics.json``, ``provenance.json``, ``timing.json``,
            ``figures/``, ``tasks/``) is shown.

    Returns:
        The page.

    Raises:
        DataError: there is no ``analysis.json``, or a file is damaged.
    """
    path = folder / "report.html"
    with writing(path) as temporary:
        temporary.write_text(page(Content.read(folder)), encoding="utf-8")
    return path


def write_figures(figures: Sequence[Figure], folder: Path, sections: Sequence[str] = ()) -> None:
    """Write all figures, and ``figures.json``, which names them in order.

    Args:
        figures: two of one name are told apart by a number.
        folder: for the files.
        sections: heading under which each figure stands in the report; none given: no headings.
    """
    listed = []
    used: dict[str, int] = {}
    for number, figure in enumerate(figures):
        plain = file_name(figure.name)
        used[plain] = used.get(plain, 0) + 1
        again = f"-{used[plain]}" if used[plain] > 1 else ""
        name = save_figure(replace(figure, name=plain + again), folder)
        section = sections[number] if sections else ""
        listed.append({"name": name, "title": figure.title, "caption": figure.caption, "section": section})
    write_json(folder / FIGURES, listed)
