"""The Wasserstein distance between two distributions, and how large it is between two samples of the same one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Estimate

Floats = NDArray[np.float64]

SPLITS = 100
"""Random halves of the truth from which the floor is estimated."""


ROUNDING = 1e-12
"""Of the range of the values: what is smaller is no distance."""


def distances(truth: Floats, generated: Floats, every: Floats) -> Floats:
    """The area between the cumulative distributions (the first Wasserstein distance), for many weights of the rows.

    Args:
        truth: (n,) values.
        generated: (n,) values of the same rows.
        every: (replicas, n) weights, of both.

    Returns:
        (replicas,) distances in the unit of the values.
    """
    both = np.concatenate([truth, generated])
    order = np.argsort(both, kind="stable")
    gaps = np.diff(both[order])
    row, sign = order % len(truth), np.where(order < len(truth), 1.0, -1.0)
    # One replica after another stays in the processor's cache: four times as quick as all at once.
    areas = [_area(weights[row] * sign, gaps) for weights in every]
    return np.asarray(np.array(areas) / every.sum(axis=1))


def floor(truth: Floats, weights: Floats, splits: NDArray[np.bool_], unit: str = "") -> Estimate | None:
    """The mean distance between two independent samples of the truth, each as large as this one.

    Two halves of a sample are independent samples of half its size, and the distance between samples of one
    distribution falls as 1 / sqrt(size): the mean over random halves, divided by sqrt(2).

    Args:
        truth: (n,) values.
        weights: (n,) weights.
        splits: (splits, n) which rows are in the first half.
        unit: of the values.

    Returns:
        The floor with the error of the mean over the splits; None where the halves never differ.
    """
    order = np.argsort(truth, kind="stable")
    gaps, ordered = np.diff(truth[order]), weights[order]
    found = []
    for split in splits[:, order]:
        first, second = ordered * split, ordered * ~split
        found.append(_area(first / first.sum() - second / second.sum(), gaps))
    areas = np.array(found) / np.sqrt(2)
    if not len(areas) or not areas.mean() > ROUNDING * gaps.sum():
        return None
    return Estimate(float(areas.mean()), float(areas.std(ddof=1) / np.sqrt(len(areas))), len(truth), unit=unit)


def _area(steps: Floats, gaps: Floats) -> float:
    """The area under the magnitude of a function that makes (n,) steps at places (n - 1,) gaps apart."""
    difference = np.cumsum(steps)[:-1]
    # not by @: for a single product of vectors, waking the threads of the BLAS takes ten times as long
    return float(np.einsum("i,i", np.abs(difference, out=difference), gaps))
