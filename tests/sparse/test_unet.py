"""The sparse U-Net as a whole, and the way back of halving."""

import pytest
import torch
from dense_oracle import read
from torch.nn import functional

from hepimg.sparse import SparseUNet, use_engine
from hepimg.sparse.backbones import Double, Halve


@pytest.mark.parametrize("shape", [(8, 8), (9, 9), (5, 2)])
def test_doubling_undoes_halving(make_tensor, shape):
    """With an odd axis too, equal to the dense transposed convolution onto the padded image."""
    fine = make_tensor(shape=shape)
    coarse = Halve(4, 3).double()(fine)
    double = Double(3, 2).double()
    back = double(coarse, fine)
    assert back.cache is fine.cache
    dense = functional.conv_transpose2d(coarse.dense(), double.weight, stride=2)
    rows, columns = (size % 2 for size in shape)
    dense = dense[:, :, rows : rows + shape[0], columns : columns + shape[1]]
    torch.testing.assert_close(back.features, read(dense, fine))


@pytest.mark.parametrize("batch_size", [0, 1, 4])
def test_equals_the_dense_engine_and_keeps_the_sites(make_tensor, batch_size):
    tensor = make_tensor(batch_size, (9, 9))
    network = SparseUNet((4, 6, 8), (1, 1, 2)).double().eval()
    native = network(tensor)
    assert native.cache is tensor.cache
    assert native.channels == 4
    with use_engine("dense"):
        torch.testing.assert_close(native.features, network(tensor).features)


def test_every_site_hears_of_the_whole_image(make_tensor):
    tensor = make_tensor(1, (9, 9), occupancy=1.0)
    features = tensor.features.requires_grad_()
    network = SparseUNet((4, 6, 8, 8), (1, 1, 1, 1)).double().eval()
    network(tensor.replace(features)).features[0].sum().backward()
    assert features.grad[-1].abs().sum() > 0


def test_levels_must_agree():
    with pytest.raises(ValueError, match="one number of blocks"):
        SparseUNet((4, 6), (1,))
