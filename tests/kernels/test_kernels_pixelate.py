"""Pixelation against numpy.histogram2d, and what a grid does at its edges."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from synthetic import Jets, batches, make_jets

from hepimg.kernels import threads
from hepimg.kernels.axis import Axis
from hepimg.kernels.pixelate import pixelate

REGULAR = Axis(np.linspace(-1, 1, 41), regular=True)
UNEVEN = Axis(np.array([-0.8, -0.3, -0.1, 0.05, 0.4, 1.2]), regular=False)
FINE = Axis(np.linspace(-1, 1, 161), regular=True)
CIRCLE = Axis(np.linspace(-np.pi, np.pi, 17), regular=True, period=2 * np.pi)


def dense(images, n_cells):
    offsets, cells, values = images
    image = np.zeros((len(offsets) - 1, n_cells, values.shape[1]))
    image[np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)), cells] = values
    return image


def cells_of(values, axis):
    """The cell of each value, -1 for none: one jet for each."""
    values = np.asarray(values, dtype=float)
    offsets, one_row = np.arange(len(values) + 1), Axis(np.array([-1.0, 1.0]), True)
    starts, cells, _ = pixelate(offsets, np.zeros(len(values)), values, np.ones((len(values), 1)), one_row, axis)
    found = np.full(len(values), -1)
    found[np.diff(starts) == 1] = cells
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("rows", "columns"), [(REGULAR, REGULAR), (REGULAR, UNEVEN), (UNEVEN, FINE), (FINE, FINE)])
def test_sums_equal_histograms(rows, columns, dtype):
    jets = make_jets(np.arange(0, 80, 7), seed=1, dtype=dtype)
    shape = len(rows.edges) - 1, len(columns.edges) - 1
    weights = np.stack([jets.pt, np.ones_like(jets.pt)], axis=1)
    images = pixelate(jets.offsets, jets.y, jets.phi, weights, rows, columns)
    found = dense(images, shape[0] * shape[1])
    for jet, image in zip(jets.rows(), found, strict=True):
        for channel, weight in enumerate((jet.pt, np.ones_like(jet.pt))):
            expected = np.histogram2d(
                jet.y.astype(float), jet.phi.astype(float), [rows.edges, columns.edges], weights=weight.astype(float)
            )[0]
            np.testing.assert_allclose(image[:, channel], expected.ravel(), rtol=3e-7)


@given(batches)
@settings(max_examples=25, deadline=None)
def test_cells_are_sorted_unique_and_filled(jets: Jets):
    offsets, cells, values = pixelate(jets.offsets, jets.y, jets.phi, jets.pt[:, np.newaxis], CIRCLE, CIRCLE)
    for a, b in pairwise(offsets):
        assert (np.diff(cells[a:b]) > 0).all()
    assert (values > 0).all()
    assert cells.dtype == np.int32
    assert values.dtype == np.float32
    # the circle has no outside, and y is far inside
    np.testing.assert_allclose(values.sum(dtype=float), jets.pt.sum(), rtol=1e-6)


def test_edges_belong_to_the_upper_cell_and_the_last_edge_is_outside():
    for axis in (REGULAR, UNEVEN):
        inner = np.arange(len(axis.edges) - 1)
        np.testing.assert_array_equal(cells_of(axis.edges, axis), [*inner, -1])
        np.testing.assert_array_equal(cells_of(np.nextafter(axis.edges, -np.inf), axis), [-1, *inner])


def test_particles_outside_are_dropped_not_clamped():
    outside = [-5.0, -1.0000001, 1.0, 7.0, math.nan, math.inf, -math.inf]
    np.testing.assert_array_equal(cells_of(outside, REGULAR), -1)
    offsets, cells, _ = pixelate(
        np.array([0, len(outside)]), np.zeros(len(outside)), np.array(outside), np.ones((len(outside), 1)),
        REGULAR, REGULAR,
    )  # fmt: skip
    assert len(cells) == 0
    np.testing.assert_array_equal(offsets, [0, 0])


def test_phi_is_wrapped_onto_the_axis():
    window = REGULAR._replace(edges=np.linspace(2.5, 3.9, 15), period=2 * np.pi)
    phi = np.linspace(2.51, 3.89, 30)
    expected = cells_of(phi, window)
    assert (expected >= 0).all()
    for turns in (-2, -1, 1, 3):
        np.testing.assert_array_equal(cells_of(phi + 2 * np.pi * turns, window), expected)
    np.testing.assert_array_equal(cells_of(phi - np.pi, window), -1)


def test_a_full_circle_has_no_outside():
    phi = np.array([-np.pi, np.pi, 3 * np.pi, np.nextafter(np.pi, 0), np.nextafter(np.pi, 4), -1e5, 12.3])
    assert (cells_of(phi, CIRCLE) >= 0).all()
    assert cells_of([math.nan], CIRCLE) == -1


def test_mean_channels_are_weighted_by_the_first():
    offsets, y, phi = np.array([0, 3]), np.full(3, 0.01), np.array([0.01, 0.01, 0.06])
    weights = np.array([[3.0, 1.0, 10.0], [1.0, 1.0, 20.0], [2.0, 1.0, 30.0]])
    _, _, values = pixelate(offsets, y, phi, weights, REGULAR, REGULAR, mean=[False, False, True])
    np.testing.assert_allclose(values, [[4, 2, 12.5], [2, 1, 30]])
    with pytest.raises(ValueError, match="channel 0"):
        pixelate(offsets, y, phi, weights, REGULAR, REGULAR, mean=[True, False, False])


def test_cells_without_content_are_left_out():
    offsets, y, phi = np.array([0, 4]), np.zeros(4), np.array([0.01, 0.01, 0.3, 0.5])
    weights = np.array([[2.0], [-2.0], [0.0], [1.0]])
    _, cells, values = pixelate(offsets, y, phi, weights, REGULAR, REGULAR)
    assert len(cells) == 1
    np.testing.assert_array_equal(values, [[1]])


@pytest.mark.parametrize("cell", [0, 63, 64, 4095, 4096, 25599])
def test_every_corner_of_the_bitmap(cell):
    row, column = ([FINE.edges[i] + 0.005] for i in divmod(cell, 160))
    _, cells, _ = pixelate(np.array([0, 1]), np.array(row), np.array(column), np.ones((1, 1)), FINE, FINE)
    np.testing.assert_array_equal(cells, [cell])


def test_any_number_of_threads_gives_the_same_bytes():
    jets = make_jets(np.random.default_rng(0).poisson(5, 2 * threads.LIGHT_ROWS), seed=2)
    used, results = threads.get_threads(), []
    try:
        for number in (1, 2, 5):
            threads.set_threads(number)
            results.append(pixelate(jets.offsets, jets.y, jets.phi, jets.pt[:, np.newaxis], REGULAR, CIRCLE))
    finally:
        threads.set_threads(used)
    for result in results[1:]:
        for one, other in zip(results[0], result, strict=True):
            assert one.tobytes() == other.tobytes()
