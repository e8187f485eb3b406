"""Pyramids: pooling and bearing are each other's inverse, and nothing is lost on the way."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hepimg.expansion.pyramid import Pyramid, born
from hepimg.grid import Grid
from hepimg.images import SparseImages
from hepimg.kernels.pool import pool


def images_of(n_images: int, side: int, occupancy: float, seed: int) -> SparseImages:
    rng = np.random.default_rng(seed)
    dense = rng.exponential(10, (n_images, side, side)) * (rng.random((n_images, side, side)) < occupancy)
    return SparseImages.from_dense(dense, Grid.square(1.0, side))


@settings(max_examples=15, deadline=None)
@given(n_images=st.integers(0, 4), occupancy=st.sampled_from([0.0, 0.05, 0.6]), seed=st.integers(0, 99))
def test_levels_are_pooled_images(n_images, occupancy, seed):
    images = images_of(n_images, 16, occupancy, seed)
    before = images.values.copy(), images.cells.copy()
    pyramid = Pyramid.of(images, 3)
    assert [level.support.shape for level in pyramid.levels] == [(2, 2), (4, 4), (8, 8), (16, 16)]
    for level, factor in zip(pyramid.levels, (8, 4, 2, 1), strict=True):
        offsets, cells, values = pool(images.offsets, images.cells, images.values, (16, 16), (factor, factor), "sum")
        np.testing.assert_array_equal(level.support.offsets, offsets)
        np.testing.assert_array_equal(level.support.cells, cells)
        np.testing.assert_allclose(level.energy, values[:, 0], rtol=1e-6)
    np.testing.assert_array_equal(images.values, before[0])
    np.testing.assert_array_equal(images.cells, before[1])


@settings(max_examples=15, deadline=None)
@given(n_images=st.integers(0, 3), occupancy=st.sampled_from([0.0, 0.1, 0.7]), seed=st.integers(0, 99))
def test_children_are_born_where_they_were(n_images, occupancy, seed):
    pyramid = Pyramid.of(images_of(n_images, 8, occupancy, seed), 2)
    for coarse, fine in zip(pyramid.levels, pyramid.levels[1:], strict=False):
        level = born(coarse.support, coarse.children)
        assert torch.equal(level.support.keys, fine.support.keys)
        assert torch.equal(level.slots, fine.slots)
        assert torch.equal(level.energy, fine.energy)
        torch.testing.assert_close(coarse.children.sum(1), coarse.energy)
        row, column = fine.support.sites[:, 1:].long().unbind(1)
        parent_row, parent_column = coarse.support.sites[:, 1:].long()[fine.parents].unbind(1)
        assert torch.equal(row // 2, parent_row)
        assert torch.equal(column // 2, parent_column)


def test_a_grid_that_cannot_be_halved_is_refused():
    with pytest.raises(ValueError, match="cannot be halved 3 times"):
        Pyramid.of(images_of(1, 12, 0.5, 0), 3)
