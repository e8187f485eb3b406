"""Pooling and moves of cells against the same on dense arrays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepimg.kernels import image_transform as transform
from hepimg.kernels import threads
from hepimg.kernels.pool import patch_image, pool, pooled_shape

SHAPE = (7, 5)


def random_images(seed, n_images=4, shape=SHAPE, channels=2, signed=False):
    rng = np.random.default_rng(seed)
    dense = rng.exponential(1, (n_images, *shape, channels)) * (rng.random((n_images, *shape, 1)) < 0.4)
    if signed:
        dense *= rng.choice([-1, 1], dense.shape)
    dense[1] = 0
    return dense.astype(np.float32)


def sparse(dense):
    n_images, *shape, channels = dense.shape
    flat = dense.reshape(n_images, shape[0] * shape[1], channels)
    image, cell = np.nonzero((flat != 0).any(axis=2))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(image, minlength=n_images))])
    return offsets, cell.astype(np.int32), flat[image, cell]


def densify(images, shape):
    offsets, cells, values = images
    n_images = len(offsets) - 1
    dense = np.zeros((n_images, shape[0] * shape[1], values.shape[1]), dtype=np.float32)
    dense[np.repeat(np.arange(n_images), np.diff(offsets)), cells] = values
    return dense.reshape(n_images, *shape, -1)


@pytest.mark.parametrize("how", ["sum", "mean", "max"])
@pytest.mark.parametrize("factors", [(1, 1), (2, 2), (3, 2), (7, 5), (10, 1)])
@pytest.mark.parametrize("signed", [False, True])
def test_pooling_equals_dense_blocks(how, factors, signed):
    dense = random_images(3, signed=signed)
    coarse = pooled_shape(SHAPE, factors)
    expected = np.zeros((len(dense), *coarse, dense.shape[-1]))
    for row, column in np.ndindex(*coarse):
        rows = slice(row * factors[0], (row + 1) * factors[0])
        columns = slice(column * factors[1], (column + 1) * factors[1])
        expected[:, row, column] = getattr(np, how)(dense[:, rows, columns].astype(float), axis=(1, 2))
    np.testing.assert_allclose(densify(pool(*sparse(dense), SHAPE, factors, how), coarse), expected, rtol=1e-6)


@given(st.integers(0, 1000), st.integers(1, 8), st.integers(1, 8))
@settings(max_examples=20, deadline=None)
def test_pooling_conserves_the_sum(seed, down, across):
    images = sparse(random_images(seed, channels=1))
    _, cells, values = pool(*images, SHAPE, (down, across))
    np.testing.assert_allclose(values.sum(dtype=float), images[2].sum(dtype=float), rtol=1e-6)
    assert len(cells) <= len(images[1])


def test_no_image_and_an_impossible_block():
    empty = np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int32), np.zeros((0, 1), dtype=np.float32)
    for array in pool(*empty, SHAPE, (2, 2), "max")[1:]:
        assert len(array) == 0
    with pytest.raises(ValueError, match="at least one row"):
        pool(*empty, SHAPE, (0, 2))


def test_any_number_of_threads_gives_the_same_bytes():
    images = sparse(random_images(4, n_images=2 * threads.LIGHT_ROWS))
    used, results = threads.get_threads(), []
    try:
        for number in (1, 2, 5):
            threads.set_threads(number)
            results.append((*pool(*images, SHAPE, (2, 2), "max"), transform.normalise(images[0], images[2], "l2")))
    finally:
        threads.set_threads(used)
    for result in results[1:]:
        for one, other in zip(results[0], result, strict=True):
            assert one.tobytes() == other.tobytes()


def test_patch_images():
    dense = random_images(5, n_images=6, shape=(8, 6))
    offsets, cells, _ = sparse(dense)
    active = (dense != 0).any(axis=-1).reshape(6, 4, 2, 2, 3)
    np.testing.assert_allclose(patch_image(offsets, cells, (8, 6), (2, 3)), active.mean(axis=(0, 1, 3)))
    with pytest.raises(ValueError, match="do not tile"):
        patch_image(offsets, cells, (8, 6), (3, 3))


def test_crop_is_a_window():
    dense = random_images(6)
    cropped = transform.crop(*sparse(dense), SHAPE, (2, 1), (4, 3))
    np.testing.assert_array_equal(densify(cropped, (4, 3)), dense[:, 2:6, 1:4])


def test_translation_shifts_and_drops():
    dense = random_images(7)
    shifts = np.array([[1, -2], [0, 0], [0, 3], [-7, 0]])
    moved = densify(transform.translate_cells(*sparse(dense), SHAPE, shifts), SHAPE)
    np.testing.assert_array_equal(moved[0, 1:, :3], dense[0, :-1, 2:])
    assert not moved[0, 0].any()
    assert not moved[0, :, 3:].any()
    np.testing.assert_array_equal(moved[2, :, 3:], dense[2, :, :2])
    assert not moved[3].any()


def test_flips_reverse_rows_and_columns():
    dense = random_images(8)
    flips = np.array([[True, False], [True, True], [False, True], [False, False]])
    flipped = densify(transform.flip_cells(*sparse(dense), SHAPE, flips), SHAPE)
    np.testing.assert_array_equal(flipped[0], dense[0, ::-1])
    np.testing.assert_array_equal(flipped[2], dense[2, :, ::-1])
    np.testing.assert_array_equal(flipped[3], dense[3])


def test_quarter_turns_equal_rot90():
    dense = random_images(9, shape=(6, 6))
    # from rows towards columns is numpy's rot90 backwards: a cell at large row comes to large column
    for turns in range(4):
        turned = transform.rotate_cells(*sparse(dense), (6, 6), np.full(4, turns * np.pi / 2))
        np.testing.assert_allclose(densify(turned, (6, 6)), np.rot90(dense, turns, axes=(1, 2)), rtol=1e-6)


@given(st.floats(-10, 10))
@settings(max_examples=20, deadline=None)
def test_rotation_conserves_what_stays_inside(angle):
    dense = np.zeros((1, 21, 21, 1), dtype=np.float32)
    dense[0, 5:16, 5:16, 0] = np.random.default_rng(1).exponential(1, (11, 11))
    _, _, values = transform.rotate_cells(*sparse(dense), (21, 21), np.array([angle]))
    np.testing.assert_allclose(values.sum(dtype=float), dense.sum(dtype=float), rtol=1e-6)


def test_rotation_knows_the_shape_of_cells():
    # a cell 2 rows below the middle comes to lie 2 row-heights, or one double-width column, beside it
    dense = np.zeros((1, 5, 5, 1), dtype=np.float32)
    dense[0, 4, 2] = 1
    turned = densify(transform.rotate_cells(*sparse(dense), (5, 5), np.array([np.pi / 2]), aspect=2.0), (5, 5))
    assert turned[0, 2, 3, 0] == 1


def test_normalisation_and_power():
    dense = random_images(10, signed=True)
    offsets, cells, values = sparse(dense)
    for by, norm in [
        ("sum", lambda x: x.sum(axis=(1, 2), keepdims=True)),
        ("max", lambda x: np.abs(x).max(axis=(1, 2), keepdims=True)),
        ("l2", lambda x: np.sqrt((x**2).sum(axis=(1, 2), keepdims=True))),
    ]:
        divisor = norm(dense.astype(float))
        expected = dense / np.where(divisor == 0, 1, divisor)
        scaled = transform.normalise(offsets, values, by)
        assert scaled.dtype == np.float32
        np.testing.assert_allclose(densify((offsets, cells, scaled), SHAPE), expected, rtol=1e-5)
    np.testing.assert_allclose(transform.power(np.array([4.0, -9.0, 0.0]), 0.5), [2, -3, 0])
