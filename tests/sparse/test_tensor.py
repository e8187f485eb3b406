"""SparseTensor: what its constructor refuses, and the ways in and out."""

import math

import numpy as np
import pytest
import torch

from hepimg.grid import Grid
from hepimg.images import SparseImages
from hepimg.sparse import SparseTensor, SubmanifoldConv2d

SITES = torch.tensor([[0, 0, 1], [0, 2, 0], [2, 1, 1]])


def test_dense_holds_each_site():
    features = torch.tensor([[1.0, -1.0], [2.0, -2.0], [3.0, -3.0]])
    tensor = SparseTensor(features, SITES, (3, 2), 4)
    dense = tensor.dense()
    assert dense.shape == (4, 2, 3, 2)
    for feature, (image, row, column) in zip(features, SITES, strict=True):
        assert torch.equal(dense[image, :, row, column], feature)
    assert dense.count_nonzero() == 6
    assert tensor.offsets.tolist() == [0, 2, 2, 3, 3]
    assert torch.equal(tensor.sites.long(), SITES)


@pytest.mark.parametrize(
    ("sites", "message"),
    [
        (SITES[:2], "2 sites, but features for 3"),
        (SITES[:, :2], r"\(n_sites, 3\) int32 or int64, not \(3, 2\)"),
        (SITES.float(), "not .* torch.float32"),
        (SITES[[1, 0, 2]], r"site 1 is \[0, 0, 1\] after \[0, 2, 0\]"),
        (SITES[[0, 0, 2]], "unique and sorted"),
        (SITES + torch.tensor([0, 1, 0]), r"site 1 is \[0, 3, 0\]: outside 4 images"),
        (SITES + torch.tensor([2, 0, 0]), r"site 2 is \[4, 1, 1\]: outside"),
        (SITES - torch.tensor([0, 1, 0]), r"site 0 is \[0, -1, 1\]: outside"),
    ],
)
def test_wrong_sites_are_refused(sites, message):
    with pytest.raises(ValueError, match=message):
        SparseTensor(torch.zeros(3, 1), sites, (3, 2), 4)


def test_wrong_features_are_refused():
    with pytest.raises(ValueError, match=r"floats, not \(3, 1\) torch.int64"):
        SparseTensor(torch.zeros(3, 1, dtype=torch.int64), SITES, (3, 2), 4)
    with pytest.raises(ValueError, match="the tensor has 3 sites"):
        SparseTensor(torch.zeros(3, 1), SITES, (3, 2), 4).replace(torch.zeros(2, 1))


def test_from_images():
    grid = Grid.model_validate({"eta": [-1, 1], "phi": [-math.pi, math.pi], "shape": [4, 8]})
    dense = np.zeros((3, 1, 4, 8), np.float32)
    dense[0, 0, 1, 7], dense[0, 0, 1, 0], dense[2, 0, 3, 3] = 1, 2, 3
    images = SparseImages.from_dense(dense, grid)
    images.cells.setflags(write=False)  # as memory-mapped shards are
    tensor = SparseTensor.from_images(images)
    assert tensor.periodic == (False, True)
    assert torch.equal(tensor.dense(), torch.from_numpy(dense))
    layer = SubmanifoldConv2d(1, 1, bias=False)
    torch.nn.init.ones_(layer.weight)
    assert layer(tensor).features.flatten().tolist() == [3, 3, 3]  # the first two are neighbours across phi = pi
    with pytest.raises(ValueError, match="3 active cells"):
        SparseTensor.from_images(images, torch.zeros(2, 5))


def test_grids_beyond_32_bits_are_refused():
    with pytest.raises(ValueError, match="too large: cells are numbered by 32 bits"):
        SparseTensor(torch.ones(1, 1), torch.tensor([[0, 69999, 69999]]), (70000, 70000), 1)
