"""Nearest-neighbour splitting: each cell divides as the training cell did that looks most like it from outside."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepimg.components import State
from hepimg_superres.baselines.blocks import Cells, Floats, Integers, neighbours
from hepimg_superres.baselines.patches import Patches

FLOOR_QUANTILE = 0.01
"""Of the training cells' energies: neighbours with less, or with nothing, count as this much."""

SPARE = 4
"""Candidates beyond those asked for: a row's own come last, and distances in single precision are nearly in order."""

ROUNDING = 1e-9
"""A feature with a smaller relative width is the same in all cells."""

AT_ONCE = 64
"""Cells compared with all patches at a time: 13 MB of distances to 50,000 patches."""


def fit_nearest(patches: Patches) -> State:
    """Features and fractions of the training cells.

    Returns:
        ``floor`` (1,) of energies; ``scale`` (10,) widths of the features; ``features`` (n, 10), in these widths;
        ``shares`` (n, factor^2); ``row`` (n,), of the data.
    """
    floor = np.quantile(patches.energy, FLOOR_QUANTILE)
    features = _features(patches.energy, patches.total, patches.around, float(floor))
    width = features.std(axis=0)
    scale = np.where(width > ROUNDING * np.abs(features).max(axis=0), width, 1.0)
    return {
        "floor": np.array([floor]),
        "scale": scale,
        "features": (features / scale).astype(np.float32),
        "shares": patches.fractions.astype(np.float32),
        "row": patches.row,
    }


def nearest_shares(state: State, cells: Cells, rows: Integers, draws: int) -> Floats:
    """(n_cells, draws, factor^2) fractions of the nearest training cells, the nearest first, then the next ...

    Cells of the same row come last, where no more than ``SPARE`` of them are among the nearest: a training image is not
    to be sharpened by a look at itself.  Where there are fewer training cells than draws, the last are those of the
    farthest.

    Args:
        state: of :func:`fit_nearest`.
        cells: coarse cells.
        rows: (n_images,) rows of the data.
        draws: how many for each cell.
    """
    total: Floats = np.bincount(cells.image, cells.energy).astype(np.float64)[cells.image]
    features = _features(cells.energy, total, neighbours(cells), float(state["floor"][0])) / state["scale"]
    chosen, distance = _nearest(features, state["features"], min(draws + SPARE, len(state["features"])))
    distance[state["row"][chosen] == rows[cells.image][:, None]] = np.inf
    order = np.argsort(distance, axis=1, kind="stable")[:, np.minimum(np.arange(draws), chosen.shape[1] - 1)]
    return np.asarray(state["shares"][np.take_along_axis(chosen, order, axis=1)], np.float64)


def _features(energy: Floats, total: Floats, around: Floats, floor: float) -> Floats:
    """(n, 10): log E, log E of the eight neighbours, E over the energy of the image."""
    logs = np.log(np.column_stack([energy, np.maximum(around, floor)]))
    return np.column_stack([logs, energy / total])


def _nearest(features: Floats, known: NDArray[Any], number: int) -> tuple[Integers, Floats]:
    """(n, number) which known features are nearest, ascending, and the squares of their distances.

    Brute force, |a|^2 - 2 a.b by one matrix product; the distances once more in double precision, which does not depend
    on the cells beside.
    """
    import torch

    least = known.min(axis=0)  # as origin: or distances between features of soft cells would drown in rounding
    base = torch.from_numpy(known - least)
    right = torch.cat([-2 * base, (base**2).sum(1, keepdim=True)], dim=1).T.contiguous()
    left = torch.from_numpy(np.column_stack([features - least, np.ones(len(features))]).astype(np.float32))
    distances = torch.empty(AT_ONCE, len(known))
    found = torch.empty(len(left), number, dtype=torch.int64)
    for first in range(0, len(left), AT_ONCE):
        some = left[first : first + AT_ONCE]
        near = torch.mm(some, right, out=distances[: len(some)]).topk(number, dim=1, largest=False)
        found[first : first + AT_ONCE] = near.indices
    chosen = np.sort(found.numpy(), axis=1)
    return chosen, ((known[chosen].astype(np.float64) - features[:, None]) ** 2).sum(axis=2)
