"""Pooling and pruning against torch's dense layers or plain loops."""

import numpy as np
import pytest
import torch
from dense_oracle import read
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional

from hepimg.kernels.groups import find_largest
from hepimg.kernels.team import team_of
from hepimg.sparse import GlobalPool, PerSite, Pool2d, Prune
from hepimg.sparse.reduce import _winners_by_scatter
from hepimg.sparse.support import Grouping

REDUCTIONS = ["sum", "mean", "max"]


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, None, 0), (3, 2, 1), (3, 1, 0)])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_pool_equals_dense(make_tensor, reduction, kernel, stride, padding):
    tensor = make_tensor()
    output = Pool2d(reduction, kernel, stride, padding)(tensor)
    if reduction == "max":
        active = tensor.replace(torch.ones_like(tensor.features)).dense() > 0
        image = torch.where(active, tensor.dense(), -torch.inf)
        dense = functional.max_pool2d(image, kernel, stride, padding)
    else:
        dense = functional.avg_pool2d(tensor.dense(), kernel, stride, padding)
        dense = dense * kernel**2 if reduction == "sum" else dense
    torch.testing.assert_close(output.features, read(dense, output))


def test_sum_pool_conserves_the_total_on_a_periodic_grid(make_tensor):
    tensor = make_tensor(shape=(6, 8), periodic=(True, True))
    output = Pool2d("sum", 2)(tensor)
    assert output.periodic == (True, True)
    torch.testing.assert_close(GlobalPool("sum")(output), GlobalPool("sum")(tensor))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_global_pool_equals_loop(make_tensor, reduction):
    tensor = make_tensor(batch_size=4)
    output = GlobalPool(reduction)(tensor)
    for image, pooled in enumerate(output):
        features = tensor.features[tensor.sites[:, 0] == image]
        if image == 1:
            expected = torch.zeros(4, dtype=torch.float64)  # the empty image
        elif reduction == "max":
            expected = features.max(0).values
        else:
            expected = getattr(features, reduction)(0)
        torch.testing.assert_close(pooled, expected)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_pools_are_twice_differentiable(make_tensor, reduction):
    tensor = make_tensor(channels=2)

    def pooled(features):
        fine = tensor.replace(features**2)
        return GlobalPool(reduction)(fine), Pool2d(reduction, 2)(fine).features

    features = tensor.features.requires_grad_()
    assert gradcheck(pooled, (features,))
    assert gradgradcheck(pooled, (features,))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("batch_size", [0, 2])
def test_pools_without_sites(make_tensor, reduction, batch_size):
    tensor = make_tensor(batch_size=batch_size, occupancy=0.0)
    assert torch.equal(GlobalPool(reduction)(tensor), torch.zeros(batch_size, 4, dtype=torch.float64))
    assert Pool2d(reduction, 2)(tensor).features.shape == (0, 4)


def test_maximum_by_scatter_equals_loop():
    """The way of CUDA, run on the CPU; with ties."""
    random = torch.Generator().manual_seed(2)
    values = torch.randint(0, 4, (40, 3), generator=random).float()
    grouping = Grouping(torch.randint(0, 8, (40,), generator=random).int(), 10)
    loop = np.empty((10, 3), np.int64)
    find_largest(team_of(1), values.numpy(), grouping.starts.numpy(), grouping.order.numpy(), loop)
    assert torch.equal(_winners_by_scatter(values, grouping), torch.from_numpy(loop))


def test_per_site_and_prune(make_tensor):
    tensor = make_tensor()
    norm = nn.LayerNorm(4).double()
    assert torch.equal(PerSite(norm)(tensor).features, norm(tensor.features))
    keep = tensor.features[:, 0] > 0
    kept = Prune()(tensor, keep)
    assert torch.equal(kept.features, tensor.features[keep])
    assert torch.equal(kept.sites, tensor.sites[keep])
    assert kept.batch_size == tensor.batch_size
    with pytest.raises(ValueError, match="bool, not"):
        Prune()(tensor, keep[1:])


def test_unknown_reduction():
    with pytest.raises(ValueError, match="no reduction 'median'; there are sum, mean, max"):
        GlobalPool("median")


def test_a_maximum_does_not_hide_nan(make_tensor):
    tensor = make_tensor(dtype=torch.float32)
    features = tensor.features.detach().clone()
    features[3, 1] = torch.nan
    image = int(tensor.sites[3, 0])
    largest = GlobalPool("max")(tensor.replace(features))
    assert largest.isnan().nonzero().tolist() == [[image, 1]]
    winners = _winners_by_scatter(features, tensor.support.images)
    assert winners[image, 1] == 3
