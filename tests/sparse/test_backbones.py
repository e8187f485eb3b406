"""The residual network as a whole."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from hepimg.sparse import SparseClassifier, SparseResNet, SparseTensor, use_engine

SMALL = {"widths": (8, 12, 16), "blocks": (1, 2, 1)}


def rolled(tensor: SparseTensor, shift: int) -> SparseTensor:
    """The same images, moved along their columns, around the edge."""
    image, row, column = tensor.sites.long().unbind(1)
    column = (column + shift) % tensor.shape[1]
    order = ((image * tensor.shape[0] + row) * tensor.shape[1] + column).argsort()
    sites = torch.stack([image, row, column], 1)[order]
    return SparseTensor(tensor.features[order], sites, tensor.shape, tensor.batch_size, tensor.periodic)


def test_equals_the_dense_engine(make_tensor):
    tensor = make_tensor(8, (16, 16), periodic=(False, True))
    network = SparseResNet(4, **SMALL, dropout=0.0).double()
    native = network(tensor)
    with use_engine("dense"):
        dense = network(tensor)
    assert native.shape == (8, network.out_features)
    torch.testing.assert_close(native, dense)


@settings(max_examples=8, deadline=None)
@given(shift=st.integers(0, 3), seed=st.integers(0, 100))
def test_phi_may_start_anywhere(shift, seed):
    """Rolling a periodic axis by whole coarsest cells does not change the features."""
    torch.manual_seed(seed)
    sites = (torch.rand(4, 8, 16) < 0.2).nonzero()
    tensor = SparseTensor(torch.randn(len(sites), 3).double(), sites, (8, 16), 4, (False, True))
    network = SparseResNet(3, **SMALL).double().eval()
    torch.testing.assert_close(network(rolled(tensor, 4 * shift)), network(tensor))


@pytest.mark.parametrize("shape", [(16, 16), (7, 9), (1, 5)])
def test_no_cell_is_left_out(make_tensor, shape):
    """Grids that cannot be halved evenly keep their edges."""
    tensor = make_tensor(1, shape, occupancy=1.0)
    features = tensor.features.requires_grad_()
    for seed in range(4):  # by chance, one network may be dead at a cell
        torch.manual_seed(seed)
        SparseResNet(4, **SMALL).double().eval()(tensor.replace(features)).sum().backward()
    assert (features.grad.abs().sum(1) > 0).all()


@pytest.mark.parametrize("batch_size", [0, 1, 5])
def test_images_do_not_see_each_other(make_tensor, batch_size):
    tensor = make_tensor(batch_size, (16, 16), dtype=torch.float32)
    network = SparseClassifier(SparseResNet(4, **SMALL), outputs=2).eval()
    together = network(tensor)
    assert together.shape == (batch_size, 2)
    for image in range(batch_size):
        sites = tensor.sites[tensor.sites[:, 0] == image] * torch.tensor([0, 1, 1])
        alone = SparseTensor(tensor.features[tensor.sites[:, 0] == image], sites, tensor.shape, 1)
        torch.testing.assert_close(network(alone)[0], together[image], atol=1e-5, rtol=1e-5)


def test_training_on_empty_images_leaves_the_network_finite(make_tensor):
    network = SparseClassifier(SparseResNet(4, **SMALL))
    network(make_tensor(4, (16, 16), occupancy=0.0, dtype=torch.float32)).sum().backward()
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())


def test_overfits_random_images(make_tensor):
    torch.manual_seed(1)
    tensor = make_tensor(32, (20, 20), occupancy=0.05, dtype=torch.float32)
    labels = torch.randint(0, 2, (32, 1)).float()
    network = SparseClassifier(SparseResNet(4, widths=(16, 24), blocks=(1, 1), dropout=0.0), dropout=0.0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    for _ in range(60):
        loss = functional.binary_cross_entropy_with_logits(network(tensor), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.02


def test_widths_and_blocks_must_match():
    with pytest.raises(ValueError, match="one number of blocks for each width"):
        SparseResNet(4, widths=(8, 16), blocks=(1,))
