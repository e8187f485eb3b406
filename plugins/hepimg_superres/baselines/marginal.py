"""Splitting by the marginal of the training set: a cell divides as a random training cell of about its energy did."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hepimg.components import State
from hepimg.random import entries_of, uniform
from hepimg_superres.baselines.blocks import Cells
from hepimg_superres.baselines.patches import Patches

CHILDREN = 4


def fit_marginal(stages: Sequence[Patches], bins: int) -> State:
    """Tables of how cells divide into 2 x 2, a table for each stage from coarse to fine.

    Drawing a row of a bin draws the pattern of active children and their shares with the frequencies of the training
    set, together: no model stands between.

    Args:
        stages: training cells of each stage.
        bins: quantile bins of the logarithm of a cell's energy.

    Returns:
        For stage k: ``edges<k>`` (bins - 1,) between the bins, ``first<k>`` (bins + 1,) first row of each bin,
        ``shares<k>`` (n, 4) fractions, bin by bin.
    """
    state = {}
    for k, stage in enumerate(stages):
        energy = np.log(stage.energy)
        # A quantile that is itself an energy (digits have sixteen) begins the upper bin, and bins may be empty.
        edges = np.unique(np.quantile(energy, np.arange(1, bins) / bins))
        number = np.searchsorted(edges, energy, side="right")
        occupied, number = np.unique(number, return_inverse=True)
        edges = edges[occupied[1:] - 1]
        order = np.argsort(number, kind="stable")
        state[f"edges{k}"] = edges
        state[f"first{k}"] = np.searchsorted(number[order], np.arange(len(edges) + 2))
        state[f"shares{k}"] = stage.fractions[order].astype(np.float32)
    return state


def sample_marginal(
    state: State, cells: Cells, rows: NDArray[np.int64], threshold: float, key: tuple[int | str, ...]
) -> Cells:
    """Divide cells stage by stage, each by itself.

    Args:
        state: of :func:`fit_marginal`.
        cells: coarse cells.
        rows: (n_images,) identifiers of the images.
        threshold: least energy of a cell, see :meth:`hepimg_superres.baselines.blocks.Cells.divided`.
        key: what the random numbers belong to; those of a cell also to its image, its stage and its number.
    """
    for k in range(sum(name.startswith("edges") for name in state)):
        number = np.searchsorted(state[f"edges{k}"], np.log(cells.energy), side="right")
        first, last = state[f"first{k}"][number], state[f"first{k}"][number + 1]
        random = uniform(entries_of(rows[cells.image], cells.numbers), *key, k)
        chosen = first + (random * (last - first)).astype(np.int64)
        cells = cells.divided(state[f"shares{k}"][chosen].astype(np.float64), 2, threshold)
    return cells
