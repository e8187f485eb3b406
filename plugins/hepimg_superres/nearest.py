"""Nearest-neighbour splitting: each cell divides as the training cell did that looks most like it from outside."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepimg.components import State
from hepimg_superres.blocks import Cells, Floats, neighbours
from hepimg_superres.patches import Patches

FLOOR_QUANTILE = 0.01
"""Of the training cells' energies: neighbours with less, or with nothing, count as this much."""

SPARE = 4
"""Candidates beyond those asked for, since distances in single precision are only nearly in order."""

AT_ONCE = 64
"""Cells compared with all patches at a time: 13 MB of distances to 50,000 patches."""


def fit_nearest(patches: Patches) -> State:
    """Features and fractions of the training cells.

    Returns:
        ``floor`` (1,) of energies; ``scale`` (10,) widths of the features; ``features`` (n, 10), in these widths;
        ``shares`` (n, factor^2).
    """
    floor = np.quantile(patches.energy, FLOOR_QUANTILE)
    features = _features(patches.energy, patches.total, patches.around, float(floor))
    width = features.std(axis=0)
    scale = np.where(width > 0, width, 1.0)
    return {
        "floor": np.array([floor]),
        "scale": scale,
        "features": (features / scale).astype(np.float32),
        "shares": patches.fractions.astype(np.float32),
    }


def nearest_shares(state: State, cells: Cells, draws: int) -> Floats:
    """(n_cells, draws, factor^2) fractions of the nearest training cells, the nearest first, then the next ...

    Where there are fewer training cells than draws, the last are those of the farthest.
    """
    total: Floats = np.bincount(cells.image, cells.energy).astype(np.float64)[cells.image]
    features = _features(cells.energy, total, neighbours(cells), float(state["floor"][0])) / state["scale"]
    return np.asarray(state["shares"][_nearest(features, state["features"], draws)], np.float64)


def _features(energy: Floats, total: Floats, around: Floats, floor: float) -> Floats:
    """(n, 10): log E, log E of the eight neighbours, E over the energy of the image."""
    logs = np.log(np.column_stack([energy, np.maximum(around, floor)]))
    return np.column_stack([logs, energy / total])


def _nearest(features: Floats, known: NDArray[Any], draws: int) -> NDArray[np.int64]:
    """(n, draws) which known features are nearest, in order; of equally near ones the first.

    Brute force, |a|^2 - 2 a.b by one matrix product, and the order of the best candidates once more in double
    precision, which does not depend on the cells beside.
    """
    import torch

    base = torch.from_numpy(np.ascontiguousarray(known))
    right = torch.cat([-2 * base, (base**2).sum(1, keepdim=True)], dim=1).T.contiguous()
    left = torch.from_numpy(np.column_stack([features, np.ones(len(features))]).astype(np.float32))
    candidates = min(draws + SPARE, len(known))
    distances = torch.empty(AT_ONCE, len(known))
    found = torch.empty(len(left), candidates, dtype=torch.int64)
    for first in range(0, len(left), AT_ONCE):
        some = left[first : first + AT_ONCE]
        near = torch.mm(some, right, out=distances[: len(some)]).topk(candidates, dim=1, largest=False)
        found[first : first + AT_ONCE] = near.indices
    chosen = np.sort(found.numpy(), axis=1)
    exact = ((known[chosen].astype(np.float64) - features[:, None]) ** 2).sum(axis=2)
    order = np.argsort(exact, axis=1, kind="stable")
    ranked = np.take_along_axis(chosen, order, axis=1)
    return np.asarray(ranked[:, np.minimum(np.arange(draws), candidates - 1)])
