"""Training curves: the loss of each network against the epoch or round."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping

import numpy as np

from hepimg import figures
from hepimg.figures.style import COLOURS


def loss_curve(log: Mapping[str, list[float]]) -> str | None:
    """A small PNG as a data URI; None where the log has no loss.

    Args:
        log: column -> one number per row: first what the rows count (``epoch``, ``round``), ``train_loss``,
            ``valid_loss`` ...
    """
    from matplotlib.ticker import MaxNLocator, NullLocator

    losses = {name: np.asarray(log[f"{name}_loss"]) for name in ("train", "valid") if f"{name}_loss" in log}
    losses = {name: values for name, values in losses.items() if np.isfinite(values).any()}
    if not losses:
        return None
    counted = next(iter(log))
    count = np.asarray(log[counted])
    with figures.style():
        drawing, (axes,) = figures.subplots(size=(4.2, 3.0))
        for colour, (name, values) in zip(COLOURS, losses.items(), strict=False):
            known = np.isfinite(values)
            axes.plot(count[known], values[known], color=colour, label=name, marker="o", markersize=3)
        if "valid" in losses:
            best = int(np.nanargmin(losses["valid"]))
            axes.axvline(count[best], color="0.5", linestyle=":", linewidth=1, label="lowest valid")
        axes.set(xlabel=counted, ylabel="loss")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.legend(loc="upper right")
        buffer = io.BytesIO()
        drawing.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return png(buffer.getvalue())


def png(content: bytes) -> str:
    """A PNG as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def is_broad(content: bytes) -> bool:
    """Whether a PNG is much wider than high: it gets the whole width of the page."""
    width, height = (int.from_bytes(content[start : start + 4], "big") for start in (16, 20))
    return width > 1.6 * height
