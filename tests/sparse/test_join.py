"""Tensors joined on the union of their sites, against their dense images."""

import pytest
import torch
from torch.autograd import gradcheck

from hepimg.sparse import SparseTensor, join


@pytest.mark.parametrize("batch_size", [0, 1, 3])
def test_joined_features_stand_side_by_side(make_tensor, batch_size):
    parts = [make_tensor(batch_size, channels=c, seed=c, occupancy=o) for c, o in ((2, 0.3), (3, 0.5), (1, 0.0))]
    joined, places = join(parts)
    torch.testing.assert_close(joined.dense(), torch.cat([part.dense() for part in parts], dim=1))
    wanted = torch.stack([part.dense().abs().sum(1) for part in parts]).sum(0) > 0
    torch.testing.assert_close(joined.sites.long(), wanted.nonzero())
    for part, where in zip(parts, places, strict=True):
        torch.testing.assert_close(joined.sites[where], part.sites)
    SparseTensor(joined.features, joined.sites, joined.shape, batch_size)  # sorted and unique


def test_gradients_reach_every_part(make_tensor):
    one, two = make_tensor(seed=1), make_tensor(seed=2)

    def joined(a, b):
        return join([one.replace(a), two.replace(b)])[0].features.square()

    assert gradcheck(joined, (one.features.requires_grad_(), two.features.requires_grad_()))


def test_only_the_same_images_are_joined(make_tensor):
    with pytest.raises(ValueError, match="is not of the images of"):
        join([make_tensor(), make_tensor(shape=(6, 8))])
    with pytest.raises(ValueError, match="is not of the images of"):
        join([make_tensor(), make_tensor(periodic=(False, True))])
    with pytest.raises(ValueError, match="no tensors"):
        join([])
