"""How far values are from true ones, jet by jet: means, medians and widths of relative differences, correlation.

Weights come as (1 + replicas, n) numbers: the first row gives the value, the others, of bootstrap replicas, its error.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Estimate
from hepimg_metrics.bootstrap import spread

Floats = NDArray[np.float64]


def mean(values: Floats, every: Floats, unit: str) -> Estimate:
    """The mean of (n,) values."""
    means = _means(values, every)
    return Estimate(float(means[0]), spread(means[1:]), len(values), unit=unit)


def widths(differences: Floats, every: Floats) -> dict[str, Estimate]:
    """Median, half width of the central 68 % and twice the standard deviation of (n,) relative differences.

    Called ``bias``, ``half_width`` and ``two_sigma``; none where no row counts.
    """
    if not every[0].sum() > 0:
        return {}
    order = np.argsort(differences)
    x, found = differences[order], []
    for weight in every[:, order]:
        total = np.cumsum(weight)
        if not total[-1] > 0:
            continue  # a replica that drew only rows without weight
        low, middle, high = x[np.searchsorted(total, np.array([0.16, 0.5, 0.84]) * total[-1])]
        centre = np.average(x, weights=weight)
        deviation = np.sqrt(np.average((x - centre) ** 2, weights=weight))
        found.append((middle, (high - low) / 2, 2 * deviation))
    numbers = np.array(found)
    return {
        kind: Estimate(float(numbers[0, k]), spread(numbers[1:, k]), len(x))
        for k, kind in enumerate(("bias", "half_width", "two_sigma"))
    }


def correlation(values: Floats, reference: Floats, every: Floats) -> Estimate | None:
    """Pearson's coefficient of (n,) values and reference values; None where either does not change."""
    # About the plain means, so that nothing is lost to rounding; the moments take it from there.
    x, y = values - values.mean(), reference - reference.mean()
    mean_x, mean_y = _means(x, every), _means(y, every)
    covariance = _means(x * y, every) - mean_x * mean_y
    variance = (_means(x * x, every) - mean_x**2) * (_means(y * y, every) - mean_y**2)
    found = np.divide(covariance, np.sqrt(np.maximum(variance, 0)), out=np.full(len(every), np.nan), where=variance > 0)
    return Estimate(float(found[0]), spread(found[1:]), len(x)) if np.isfinite(found[0]) else None


def _means(values: Floats, every: Floats) -> Floats:
    total = every.sum(axis=1)
    return np.asarray(np.divide(every @ values, total, out=np.full(len(total), np.nan), where=total > 0))
