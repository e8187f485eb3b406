"""How many pileup collisions a bunch crossing has."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hepimg.options import Options
from hepimg.random import uniform

MAX_MU = 2000.0
"""Well above any collider that was ever proposed; a larger mean is a mistake."""

MAX_FIXED = int(MAX_MU)

Floats = NDArray[np.float64]


class Uniform(Options):
    """A mean that is uniform between two values."""

    uniform: tuple[float, float] = Field(description="smallest and largest mean number of pileup collisions")

    @model_validator(mode="after")
    def _check(self) -> Uniform:
        low, high = self.uniform
        if not 0 <= low <= high <= MAX_MU:
            raise ValueError(f"uniform must be [min, max] with 0 <= min <= max <= {MAX_MU:g}, found {[low, high]}")
        return self


class Histogram(Options):
    """A mean drawn from given values, such as the bins of a measured distribution."""

    values: tuple[float, ...] = Field(min_length=1, description="means")
    weights: tuple[float, ...] = Field(min_length=1, description="how often each occurs; their sum does not matter")

    @model_validator(mode="after")
    def _check(self) -> Histogram:
        if len(self.values) != len(self.weights):
            raise ValueError(f"{len(self.values)} values, but {len(self.weights)} weights")
        if min(self.values) < 0 or max(self.values) > MAX_MU:
            raise ValueError(f"values must be between 0 and {MAX_MU:g}")
        if min(self.weights) < 0 or sum(self.weights) <= 0:
            raise ValueError("weights must not be negative, and not all be 0")
        return self


class Fixed(Options):
    """Always the same number of collisions, for tests and studies."""

    fixed: int = Field(ge=0, le=MAX_FIXED, description="number of pileup collisions of every event")


def draw_crossings(
    mu: float | Uniform | Histogram | Fixed, event: NDArray[np.int64], *key: int | str
) -> tuple[Floats, NDArray[np.int64]]:
    """The mean number of pileup collisions of each event, and how many there are.

    Args:
        mu: the mean, or its distribution.
        event: (n,) identifiers of the events.
        key: whatever else the random numbers belong to.

    Returns:
        (n,) means; (n,) numbers, of Poisson's distribution about them (where the number is fixed: both the number).
    """
    if isinstance(mu, Fixed):
        return np.full(len(event), float(mu.fixed)), np.full(len(event), mu.fixed, np.int64)
    if isinstance(mu, Uniform):
        low, high = mu.uniform
        mean = low + (high - low) * uniform(event, *key, "mu")
    elif isinstance(mu, Histogram):
        edges = np.cumsum(mu.weights) / np.sum(mu.weights)
        edges[-1] = 1.0
        mean = np.array(mu.values, float)[np.searchsorted(edges, uniform(event, *key, "mu"), side="right")]
    else:
        mean = np.full(len(event), float(mu))
    return mean, poisson(mean, uniform(event, *key, "number"))


def poisson(mean: Floats, quantile: Floats) -> NDArray[np.int64]:
    """Numbers of Poisson's distribution, by its inverse cumulative distribution: one uniform number makes one.

    Args:
        mean: (n,) not negative.
        quantile: (n,) in [0, 1).

    Returns:
        (n,) the smallest k with P(at most k) > quantile.
    """
    largest = np.ceil(mean + 12 * np.sqrt(mean) + 30).astype(np.int64)  # beyond lies less than a double resolves
    k = np.arange(largest.max(initial=0) + 1)
    log_factorial = np.cumsum(np.log(np.maximum(k, 1)))
    with np.errstate(divide="ignore", invalid="ignore"):
        log_power = np.where(k > 0, k * np.log(mean)[:, np.newaxis], 0.0)
    cumulative = np.cumsum(np.exp(log_power - mean[:, np.newaxis] - log_factorial), axis=1)
    return np.asarray(np.minimum((cumulative <= quantile[:, np.newaxis]).sum(axis=1), largest))
