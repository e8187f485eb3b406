"""Jet by jet: how generated observables follow the true ones, and whether several draws are draws of the posterior.

If a model samples the posterior of the high-resolution image given the low-resolution one, then truth and draws are
exchangeable: two draws correlate as a draw does with the truth, and the rank of the truth among them is uniform
(S. Talts et al., arXiv:1804.06788).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Estimate
from hepimg.random import uniform
from hepimg_metrics.closure.jets import Floats, Jets, known, quotient


def correlations(values: Floats, every: Floats) -> Floats:
    """Pearson's correlation of each pair of columns, for many weights of the rows.

    Args:
        values: (n, k).
        every: (replicas, n) weights.

    Returns:
        (replicas, k, k); not-a-number where a column does not vary.
    """
    spread = values.std(axis=0)
    scaled = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    first, second = np.triu_indices(values.shape[1])
    total = every.sum(axis=1, keepdims=True)
    means = every @ scaled / total
    covariance = every @ (scaled[:, first] * scaled[:, second]) / total - means[:, first] * means[:, second]
    matrix = np.zeros((len(every), values.shape[1], values.shape[1]))
    matrix[:, first, second] = matrix[:, second, first] = covariance
    variance = np.diagonal(matrix, axis1=1, axis2=2)
    # rounding leaves 1e-16 where nothing varies
    scale = np.sqrt(np.where(variance > 1e-12, variance, 0.0))
    return quotient(matrix, scale[:, :, None] * scale[:, None, :])


def correlation_numbers(values: Floats, jets: Jets, name: str) -> dict[str, Estimate]:
    """Correlations of one observable between truth and draws, and between draws.

    Args:
        values: (n, 1 + draws) the truth, then each draw.
        jets: of these values.
        name: of the observable.

    Returns:
        ``correlation@``: of a draw with the truth, the mean over the draws; with two draws or more,
        ``draws_correlation@``: of two draws, the mean over pairs, and ``correlation_excess@``: by how much this is
        larger, with the paired error; zero if the model samples the posterior.
    """
    matrix = correlations(values, jets.every)
    with_truth = matrix[:, 0, 1:].mean(axis=1)
    numbers = {f"correlation@{name}": jets.estimate(with_truth)}
    if values.shape[1] > 2:
        first, second = np.triu_indices(values.shape[1] - 1, 1)
        of_draws = matrix[:, 1 + first, 1 + second].mean(axis=1)
        numbers[f"draws_correlation@{name}"] = jets.estimate(of_draws)
        numbers[f"correlation_excess@{name}"] = jets.estimate(of_draws - with_truth)
    return known(numbers)


def ranks(values: Floats, row: NDArray[np.int64], *key: int | str) -> NDArray[np.int64]:
    """How many draws lie below the truth; among draws that equal it, its place is random.

    Args:
        values: (n, 1 + draws) the truth, then each draw.
        row: (n,) identifiers of the rows, for the random numbers.
        key: whatever else these belong to.

    Returns:
        (n,) from 0 to the number of draws.
    """
    truth, draws = values[:, :1], values[:, 1:]
    equal = np.sum(draws == truth, axis=1)
    return np.asarray(np.sum(draws < truth, axis=1) + np.floor(uniform(row, *key) * (equal + 1)), np.int64)


def rank_shares(ranks: NDArray[np.int64], draws: int, every: Floats) -> Floats:
    """(replicas, draws + 1) the fraction of jets with each rank, for many weights (replicas, n) of the jets."""
    return np.asarray(every @ (ranks[:, None] == np.arange(draws + 1)) / every.sum(axis=1, keepdims=True))


def rank_numbers(shares: Floats, jets: Jets, name: str) -> dict[str, Estimate]:
    """How uniform the ranks of one observable are.

    Args:
        shares: (1 + replicas, draws + 1) as :func:`rank_shares` gives them.
        jets: of these ranks.
        name: of the observable.

    Returns:
        ``rank_chi2@``: chi2 per degree of freedom of the ranks against uniform ones, with the error of a noncentral
        chi2: 1 +- sqrt(2 / draws) if the model samples the posterior; ``coverage@``: how often the truth lies between
        the lowest and the highest draw, over how often it should, (draws - 1) / (draws + 1); below 1 the draws are too
        much alike.
    """
    degrees = shares.shape[1] - 1
    size = jets.every[0].sum() ** 2 / np.sum(jets.every[0] ** 2)
    chi2 = size * np.sum((shares - 1 / (degrees + 1)) ** 2, axis=1) * (degrees + 1) / degrees
    between = shares[:, 1:-1].sum(axis=1) * (degrees + 1) / (degrees - 1)
    # A replica has the ranks' own noise twice, so its spread is no error of a chi2 near one.
    if of_chi2 := jets.estimate(chi2):
        of_chi2 = replace(of_chi2, error=math.sqrt((2 + 4 * max(of_chi2.value - 1, 0)) / degrees))
    return known({f"rank_chi2@{name}": of_chi2, f"coverage@{name}": jets.estimate(between)})
