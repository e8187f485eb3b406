"""Can a classifier tell generated jets from true ones?  The area under its ROC curve, 0.5 where it cannot."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepimg_metrics.closure.jets import Floats, Jets
from hepimg_metrics.ranking import Ranking

TREES = 200
"""Trees of each forest; few leaves and a small share of each let them stop without validation rows."""

LEAST = 50
"""Jets of a half: with fewer, true and generated ones together do not fill two leaves."""

PARAMETERS: dict[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": LEAST,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
    "num_threads": 1,
}
"""Of LightGBM; a tree takes 2 ms, and threads that wait for each other on a busy machine a hundred times that."""


def area(truth: Floats, generated: Floats, every: Floats) -> Floats:
    """The chance that a generated jet scores higher than a true one, a tie counting half.

    Args:
        truth: (n,) scores.
        generated: (n,) scores of what was generated for the same rows.
        every: (replicas, n) weights of the rows.

    Returns:
        (replicas,) areas.
    """
    ranking = Ranking(np.concatenate([truth, generated]), np.repeat([False, True], len(truth)))
    # a replica may hold none of few rows: its area is not a number
    with np.errstate(invalid="ignore"):
        return np.array([ranking.passing(np.tile(weights, 2)).auc for weights in every])


def tree_area(truth: Floats, generated: Floats, jets: Jets, seed: int) -> Floats | None:
    """The area under the curve of boosted trees that learn to tell the two apart.

    The jets are halved, those of one event, true and generated, staying together; trees that learn on one half score
    the other, so that every jet is scored by trees that never saw it; the area is the mean of the two halves'.

    Args:
        truth: (n, observables).
        generated: (n, observables) of what was generated for the same rows.
        jets: of these rows.
        seed: of the halves and of the trees.

    Returns:
        (1 + replicas,) areas; None where there are too few jets for a tree to grow on each half.
    """
    areas = []
    for half in jets.halves(1, seed):
        if min(half.sum(), (~half).sum()) < LEAST:
            return None
        for learns in (half, ~half):
            learned = _grow(truth[learns], generated[learns], jets.every[0, learns], seed)
            true, made = (learned.predict(table[~learns], num_threads=1) for table in (truth, generated))
            areas.append(area(true, made, jets.every[:, ~learns]))
    return np.mean(areas, axis=0) if areas else None


def _grow(truth: Floats, generated: Floats, weights: Floats, seed: int) -> Any:
    import lightgbm

    is_generated: NDArray[np.bool_] = np.repeat([False, True], len(truth))
    table = np.concatenate([truth, generated])
    data = lightgbm.Dataset(table, is_generated, weight=np.tile(weights, 2), free_raw_data=True)
    parameters = {**PARAMETERS, "seed": seed % 2**31}
    return lightgbm.train(parameters, data, TREES)
