"""Constituent subtraction and the sums of PUPPI: against plain loops over all pairs."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepimg.kernels.constituent_subtraction import fractions_left
from hepimg.kernels.puppi import chi_squared_weights, neighbour_sums

TWO_PI = 2 * math.pi


def make_events(counts: list[int], seed: int) -> tuple[np.ndarray, ...]:
    """Offsets, pt, y and phi of particles everywhere in |y| < 1.5."""
    rng, n = np.random.default_rng(seed), sum(counts)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return offsets, rng.exponential(1, n), rng.uniform(-1.5, 1.5, n), rng.uniform(-math.pi, math.pi, n)


events = st.builds(make_events, st.lists(st.integers(0, 30), max_size=4), st.integers(0, 2**32 - 1))


def plain_subtraction(
    pt: np.ndarray, y: np.ndarray, phi: np.ndarray, density: float, max_distance: float, alpha: float
) -> np.ndarray:
    """All pairs, sorted."""
    rows, columns = round(2 / 0.1), round(TWO_PI / 0.1)
    ghost_y = np.repeat((np.arange(rows) + 0.5) * 2 / rows - 1, columns)
    ghost_phi = np.tile((np.arange(columns) + 0.5) * TWO_PI / columns, rows)
    ghosts = np.full(rows * columns, density * 2 / rows * TWO_PI / columns)
    dphi = np.abs(phi[:, np.newaxis] % TWO_PI - ghost_phi)
    square = (y[:, np.newaxis] - ghost_y) ** 2 + np.minimum(dphi, TWO_PI - dphi) ** 2
    measure = np.where(square <= max_distance**2, pt[:, np.newaxis] ** alpha * square, np.inf)
    left = pt.copy()
    for pair in np.argsort(measure, axis=None):
        i, k = np.unravel_index(pair, measure.shape)
        if np.isinf(measure[i, k]):
            break
        lost = min(left[i], ghosts[k])
        left[i], ghosts[k] = left[i] - lost, ghosts[k] - lost
    return left / pt


@settings(max_examples=25, deadline=None)
@given(events, st.floats(0, 20), st.floats(0.05, 0.8), st.sampled_from([0.0, 1.0, 2.0]))
def test_subtraction_takes_sorted_pairs(
    sample: tuple[np.ndarray, ...], density: float, max_distance: float, alpha: float
) -> None:
    offsets, pt, y, phi = sample
    densities = density * (1 + np.arange(len(offsets) - 1))
    found = fractions_left(offsets, pt, y, phi, densities, abs_y=1.0, max_distance=max_distance, alpha=alpha)
    for event, (a, b) in enumerate(pairwise(offsets)):
        expected = plain_subtraction(pt[a:b], y[a:b], phi[a:b], densities[event], max_distance, alpha)
        np.testing.assert_allclose(found[a:b], expected, atol=1e-12)


def test_ghosts_take_no_more_than_they_have() -> None:
    offsets, pt, y, phi = make_events([5000], 1)
    left = fractions_left(offsets, pt, y, phi, np.array([20.0]), abs_y=1.5)
    lost = pt @ (1 - left)
    assert 0.9 * 20 * 3 * TWO_PI < lost <= 20 * 3 * TWO_PI * (1 + 1e-12)
    np.testing.assert_array_equal(fractions_left(offsets, pt, y, phi, np.array([0.0])), 1)
    # particles without momentum, and those out of reach, are passed by
    pt[:10], y[10:20] = 0, 5
    np.testing.assert_array_equal(fractions_left(offsets, pt, y, phi, np.array([20.0]), abs_y=1.5)[:20], 1)


def test_subtraction_knows_no_order_and_no_azimuth() -> None:
    offsets, pt, y, phi = make_events([400], 2)
    density = np.array([10.0])
    left = fractions_left(offsets, pt, y, phi, density, abs_y=1.5)
    order = np.random.default_rng(1).permutation(400)
    shuffled = fractions_left(offsets, pt[order], y[order], phi[order], density, abs_y=1.5)
    np.testing.assert_allclose(shuffled, left[order], atol=1e-12)
    # the 63 columns of ghosts are the same after a turn by whole columns
    turned = fractions_left(offsets, pt, y, phi + 20 * TWO_PI / 63, density, abs_y=1.5)
    np.testing.assert_allclose(turned, left, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(events, st.integers(0, 5), st.floats(0.1, 4), st.sampled_from([1.0, 2.0, 1.5]))
def test_neighbour_sums(sample: tuple[np.ndarray, ...], seed: int, radius: float, exponent: float) -> None:
    offsets, pt, y, phi = sample
    counts = np.random.default_rng(seed).integers(0, 20, len(offsets) - 1)
    near, _, target_y, target_phi = make_events(counts.tolist(), seed)
    target_y = target_y * 2  # some beyond all sources
    sums = neighbour_sums(
        (near, target_y, target_phi), (offsets, y, phi, pt), radius=radius, min_distance=0.05, exponent=exponent
    )
    for event in range(len(offsets) - 1):
        sources = slice(offsets[event], offsets[event + 1])
        for i in range(near[event], near[event + 1]):
            dphi = (target_phi[i] - phi[sources] + math.pi) % TWO_PI - math.pi
            distance = np.hypot(target_y[i] - y[sources], dphi)
            inside = (distance >= 0.05) & (distance <= radius)
            expected = np.sum((pt[sources][inside] / distance[inside]) ** exponent)
            assert sums[i] == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_chi_squared_weights() -> None:
    weights = chi_squared_weights(np.array([-math.inf, -1, 0, 1, 2, math.inf]))
    np.testing.assert_allclose(weights, [0, 0, 0, 0.6826894921, 0.9544997361, 1])
