"""The occupancy at which a sparse layer stops being the faster one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

OCCUPANCIES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
"""From one cell in a thousand to all of them."""

GROUP = ("grid", "channels", "batch", "threads")


def curves(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[int, ...], list[Mapping[str, Any]]]:
    """Rows of the same grid, channels, batch and threads, by rising occupancy."""
    grouped: dict[tuple[int, ...], list[Mapping[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: float(row["occupancy"])):
        grouped.setdefault(tuple(row[name] for name in GROUP), []).append(row)
    return grouped


def crossover(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """Where the time ratio dense / sparse passes 1, between two measured occupancies; None: nowhere.

    Args:
        rows: one curve, by rising occupancy; the logarithm of the ratio is interpolated over that of the occupancy.
    """
    occupancy = np.log([row["occupancy"] for row in rows])
    ratio = np.log([row["ratio_dense"] for row in rows])
    falls = np.flatnonzero((ratio[:-1] > 0) & (ratio[1:] <= 0))
    if not len(falls):
        return None
    at = int(falls[0])
    share = ratio[at] / (ratio[at] - ratio[at + 1])
    return float(np.exp(occupancy[at] + share * (occupancy[at + 1] - occupancy[at])))


def describe_crossovers(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each curve of at least two occupancies."""
    lines = []
    for (grid, channels, _, threads), curve in curves(rows).items():
        if len(curve) < 2 or curve[0]["ratio_dense"] is None:
            continue
        at = crossover(curve)
        says = f"sparse and dense cost the same at {at:.0%} active cells" if at else _one_sided(curve)
        lines.append(f"{grid}x{grid}, {channels} channels, {threads} thread(s): {says}")
    return lines


def _one_sided(curve: Sequence[Mapping[str, Any]]) -> str:
    faster = "faster" if curve[-1]["ratio_dense"] > 1 else "slower"
    return f"sparse is {faster} at every occupancy up to {curve[-1]['occupancy']:.0%}"
