"""Figures of what was measured, in the style of all figures of hepimg."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hepimg.bench.crossover import crossover, curves
from hepimg.errors import DataError
from hepimg.figures import style, subplots
from hepimg.figures.style import COLOURS
from hepimg.store import writing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, Any]

FORMATS = ("png", "pdf", "svg")

LINES = ("-", "--", ":", "-.")
"""One for each number of threads."""

ENGINES = {"dense": "C1", "spconv": "C2", "native": "C0", "gemm": "C4"}
LABELS = {"dense": "dense", "spconv": "spconv", "native": "hepimg", "gemm": "plain GEMM"}


def check_format(file: Path | None) -> None:
    """Refuse a figure in a format that is not drawn.

    Raises:
        DataError: the suffix is another one.
    """
    if file is not None and file.suffix.lstrip(".").lower() not in FORMATS:
        raise DataError(f"no figure is written as {file.suffix or 'a file without suffix'}", where=str(file),
                        needed=", ".join(f".{name}" for name in FORMATS))  # fmt: skip


def draw_conv(rows: Sequence[Row], file: Path) -> None:
    """Times and ratios over the size of the image; or, where one size has several occupancies, the crossover curve."""
    with style():
        sizes = {row["grid"] for row in rows}
        over_occupancy = len({(row["grid"], row["occupancy"]) for row in rows}) > len(sizes)
        figure, axes = subplots(1, 2, (11.0, 4.6))
        if over_occupancy:
            _times(axes[0], rows, "occupancy")
            _crossovers(axes[1], rows)
        else:
            _times(axes[0], rows, "grid")
            _ratios(axes[1], rows)
        _save(figure, file)


def draw_ratios(ratios: Mapping[str, float], file: Path) -> None:
    """Bars: how many times faster than its peer each work is.

    Args:
        ratios: work and peer -> the peer's time over ours.
        file: the figure.
    """
    with style():
        figure, (axes,) = subplots(1, 1, (8.5, 1.2 + 0.3 * len(ratios)))
        places = range(len(ratios))
        axes.barh(places, [*ratios.values()], color="C0", height=0.7)
        for place, ratio in zip(places, ratios.values(), strict=True):
            axes.text(ratio, place, f" {ratio:.3g}", va="center", fontsize=9)
        axes.set(xscale="log", xlabel="times faster than the peer", yticks=places)
        axes.set_xlim(min(0.5, *ratios.values()), 3 * max(ratios.values()))
        axes.set_yticklabels(ratios, fontsize=9)
        axes.tick_params(axis="y", which="both", left=False, right=False)
        axes.invert_yaxis()
        axes.axvline(1, color="black", linewidth=0.8)
        _save(figure, file)


def draw_parts(parts: Mapping[str, Mapping[str, float]], label: str, file: Path) -> None:
    """Stacked bars: where the time of each work goes.

    Args:
        parts: work -> part -> time.
        label: of the time axis, with its unit.
        file: the figure.
    """
    with style():
        figure, (axes,) = subplots(1, 1, (8.0, 1.6 + 0.45 * len(parts)))
        names = list(dict.fromkeys(part for work in parts.values() for part in work))
        left = [0.0] * len(parts)
        for name, colour in zip(names, cycle((*COLOURS, "#c8c8cc", "#404040")), strict=False):
            widths = [work.get(name, 0.0) for work in parts.values()]
            axes.barh(range(len(parts)), widths, left=left, height=0.7, label=name, color=colour)
            left = [start + width for start, width in zip(left, widths, strict=True)]
        axes.set(xlabel=label, yticks=range(len(parts)))
        axes.set_yticklabels(list(parts), fontsize=10)
        axes.minorticks_off()
        axes.invert_yaxis()
        figure.legend(loc="outside upper center", ncols=4)
        _save(figure, file)


def _times(axes: Axes, rows: Sequence[Row], over: str) -> None:
    """Milliseconds of each engine, for the largest number of channels, one style of line for each number of threads."""
    channels = max(row["channels"] for row in rows)
    size = max(row["grid"] for row in rows)
    chosen = [row for row in rows if row["channels"] == channels and (over == "grid" or row["grid"] == size)]
    for line, threads in zip(LINES, sorted({row["threads"] for row in chosen}), strict=False):
        curve = sorted((row for row in chosen if row["threads"] == threads), key=lambda row: float(row[over]))
        for name, label in LABELS.items():
            known = [row for row in curve if row[f"{name}_ms"] is not None]
            if known:
                wrong = " (wrong)" if name == "spconv" and any(row["spconv_right"] is False for row in known) else ""
                suffix = f", {threads} threads{wrong}" if threads > 1 else wrong
                axes.plot(
                    [row[over] for row in known], [row[f"{name}_ms"] for row in known], line, marker="o", markersize=3,
                    color=ENGINES[name], label=label + suffix,
                )  # fmt: skip
    axes.set(xscale="log", yscale="log", ylabel=f"ms per batch of {chosen[0]['batch']}, C = {channels}")
    _label_x(axes, chosen, over)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** 0.35)  # room for the legend
    axes.legend(loc="upper left", ncols=2, fontsize=9)


def _ratios(axes: Axes, rows: Sequence[Row]) -> None:
    for index, channels in enumerate(sorted({row["channels"] for row in rows})):
        for line, threads in zip(LINES, sorted({row["threads"] for row in rows}), strict=False):
            curve = [row for row in rows if row["channels"] == channels and row["threads"] == threads]
            curve = sorted((row for row in curve if row["ratio_dense"]), key=lambda row: int(row["grid"]))
            label = f"{channels} channels, {threads} thread{'s' * (threads > 1)}"
            axes.plot(
                [row["grid"] for row in curve], [row["ratio_dense"] for row in curve], line, marker="o", markersize=3,
                color=f"C{index}", label=label,
            )  # fmt: skip
    axes.set(xscale="log", yscale="log", ylabel="time ratio dense / hepimg")
    _label_x(axes, rows, "grid")
    axes.legend(loc="upper left")


def _crossovers(axes: Axes, rows: Sequence[Row]) -> None:
    for index, ((grid, channels, _, threads), curve) in enumerate(curves(rows).items()):
        known = [row for row in curve if row["ratio_dense"] is not None]
        if not known:
            continue
        x, y = [row["occupancy"] for row in known], [row["ratio_dense"] for row in known]
        at = crossover(known)
        label = f"{grid}x{grid}, C = {channels}, {threads} thread{'s' * (threads > 1)}"
        axes.plot(x, y, marker="o", markersize=3, color=f"C{index % 6}", label=label + (f": {at:.0%}" if at else ""))
        if at:
            axes.plot([at], [1], "v", color=f"C{index % 6}")
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set(xscale="log", yscale="log", ylabel="time ratio dense / hepimg")
    _label_x(axes, rows, "occupancy")
    axes.legend(loc="upper right", fontsize=9)


def _label_x(axes: Axes, rows: Iterable[Row], over: str) -> None:
    if over == "grid":
        sizes = sorted({row["grid"] for row in rows})
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        axes.set_xlabel("cells on each side of the image")
    else:
        axes.set_xlabel("fraction of cells that are active")


def _save(figure: Figure, file: Path) -> None:
    with writing(file) as temporary:
        figure.savefig(temporary, format=file.suffix.lstrip(".").lower(), dpi=110)
