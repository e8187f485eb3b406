"""SparseImages: one canonical form."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hepimg import Channel, DataError, Grid, SparseImages

GRID = Grid.square(1.0, 4)
PAIR = (Channel("pt", "GeV"), Channel("charge", signed=True))
dense_images = st.integers(0, 5).flatmap(
    lambda n: arrays(np.float32, (n, 2, 4, 4), elements=st.sampled_from([0.0, 0.0, 0.0, 1.0, 2.5]))
)


@settings(max_examples=30, deadline=None)
@given(dense_images)
def test_dense_and_awkward_are_there_and_back(dense: np.ndarray[Any, Any]) -> None:
    images = SparseImages.from_dense(dense, GRID, PAIR)
    np.testing.assert_array_equal(images.dense(), dense)
    assert SparseImages.from_awkward(images.to_awkward(), GRID, PAIR) == images
    np.testing.assert_allclose(images.sum(), dense.sum(axis=(2, 3)))
    np.testing.assert_allclose(images.mean_image() * max(len(dense), 1), dense.sum(axis=0), rtol=1e-6)
    weights = 1.0 + np.arange(len(dense))
    weighted = np.average(dense, axis=0, weights=weights) if len(dense) else 0.0
    np.testing.assert_allclose(images.mean_image(weights), np.broadcast_to(weighted, (2, 4, 4)), rtol=1e-6)
    assert (images.counts == dense.any(axis=1).sum(axis=(1, 2))).all()


@settings(max_examples=30, deadline=None)
@given(dense_images, st.data())
def test_rows_are_taken_as_numpy_takes_them(dense: np.ndarray[Any, Any], data: st.DataObject) -> None:
    images = SparseImages.from_dense(dense, GRID, PAIR)
    n = len(dense)
    choices: list[Any] = [slice(1, 3), slice(None, None, -1), slice(5, 2), np.arange(n) % 2 == 0]
    choices.append(np.array(data.draw(st.lists(st.integers(0, n - 1), max_size=6)) if n else [], dtype=np.int64))
    for rows in choices:
        np.testing.assert_array_equal(images[rows].dense(), dense[rows])


def test_concatenation_is_numpys() -> None:
    dense = np.random.default_rng(0).poisson(0.3, (5, 1, 4, 4)).astype(np.float32)
    whole = SparseImages.from_dense(dense, GRID)
    assert SparseImages.concatenate([whole[:2], whole[2:2], whole[2:]]) == whole


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"cells": [3, 1]}, "image 0 has cells that are not sorted"),
        ({"cells": [1, 1]}, "image 0 has cells that are not sorted and unique"),
        ({"cells": [0, 16]}, "image 0 has a cell number outside 0 ... 15"),
        ({"values": [[1.0], [0.0]]}, "all zero"),
        ({"values": [[1.0], [-2.0]]}, "negative value in an unsigned channel"),
        ({"values": [[1.0], [np.nan]]}, "not finite"),
        ({"offsets": [0, 3]}, "do not fit"),
        ({"offsets": [1, 2]}, "do not ascend from 0"),
    ],
)
def test_a_broken_invariant_names_the_image(broken: dict[str, Any], words: str) -> None:
    parts: dict[str, Any] = {"offsets": [0, 2], "cells": [1, 3], "values": [[1.0], [2.0]]} | broken
    with pytest.raises(DataError, match=words):
        SparseImages(GRID, (Channel("pt", "GeV"),), **parts)


def test_order_starts_anew_in_each_image() -> None:
    images = SparseImages(GRID, PAIR[:1], np.array([0, 2, 2, 4]), np.array([5, 9, 1, 2]), np.ones((4, 1)))
    assert images.counts.tolist() == [2, 0, 2]


def test_the_repr_tells_grid_count_and_occupancy() -> None:
    assert repr(SparseImages.empty(3, GRID)).startswith("SparseImages(3 images, Grid(4x4")


def test_the_patch_image_is_flat_for_full_images() -> None:
    images = SparseImages.from_dense(np.ones((2, 4, 4)), GRID)
    assert images.patch_image(2).tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_another_grid_cannot_follow() -> None:
    with pytest.raises(DataError, match="cannot follow"):
        SparseImages.concatenate([SparseImages.empty(1, GRID), SparseImages.empty(1, Grid.square(2.0, 4))])
