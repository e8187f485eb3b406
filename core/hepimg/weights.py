"""Weights of the rows that a task learns from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hepimg.errors import DataError

if TYPE_CHECKING:
    from hepimg.dataset import Dataset


def weights_of(*data: Dataset) -> NDArray[np.float64]:
    """The weights of all rows; no step is run."""
    found = [replace(some, names=("weight",), steps=()).load().column("weight") for some in data if len(some)]
    return np.concatenate([np.zeros(0), *found])


def check_equal_weights(*data: Dataset) -> None:
    """Raise DataError where some rows count more than others, for tasks that cannot learn from such rows."""
    weight = weights_of(*data)
    if len(weight) and weight.min() != weight.max():
        raise DataError(
            f"rows with weights from {weight.min():g} to {weight.max():g}",
            needed="rows that count alike",
            fix="Make them without weights.",
        )


def mean_weight(train: Dataset, *others: Dataset) -> float:
    """The mean weight of the training rows, 1 where there are none.

    Args:
        train: rows that are learned from.
        others: further rows whose loss is looked at.

    Raises:
        DataError: a weight is negative, since the best model would be as bad as it can for that row; or all are 0.
    """
    weight = weights_of(train, *others)
    if len(weight) and weight.min() < 0:
        raise DataError(
            f"{(weight < 0).sum()} of {len(weight)} rows have negative weights",
            needed="weights that are not negative",
            fix="Select rows with positive weights, or make them with a generator that gives no others.",
        )
    mean = float(weight[: len(train)].mean()) if len(train) else 1.0
    if mean == 0:
        raise DataError("the weights of all training rows are 0", needed="rows that count")
    return mean
