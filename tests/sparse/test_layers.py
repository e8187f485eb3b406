"""Pooling, norms and pruning against torch's dense layers or plain loops."""

import pytest
import torch
from dense_oracle import read
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional

from hepimg.sparse import BatchNorm, GlobalPool, PerSite, Pool2d, Prune
from hepimg.sparse.reduce import _winners, _winners_by_scatter
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
    loop = _winners(values.numpy(), grouping.starts.numpy(), grouping.order.numpy())
    assert torch.equal(_winners_by_scatter(values, grouping), torch.from_numpy(loop))


NORMS = [{}, {"affine": False}, {"track_running_stats": False}, {"momentum": None}, {"eps": 0.1, "momentum": 0.3}]


@pytest.mark.parametrize("training", [True, False], ids=["training", "at rest"])
@pytest.mark.parametrize("relu", [False, True], ids=["", "relu"])
@pytest.mark.parametrize("options", NORMS, ids=str)
def test_batch_norm_equals_torch(make_tensor, options, relu, training):
    """Values, gradients and gradients of their squares; running statistics over two batches.

    In float32, where the layer has kernels of its own, against torch in float64.
    """
    layer, norm = BatchNorm(4, relu=relu, **options), nn.BatchNorm1d(4, **options).double()
    if layer.affine:
        nn.init.normal_(layer.weight)
        nn.init.normal_(layer.bias)
    norm.load_state_dict(layer.state_dict())
    oracle = nn.Sequential(norm, nn.ReLU()) if relu else norm
    for seed in (1, 2):
        batch = make_tensor(dtype=torch.float32, seed=seed)
        layer(batch)
        oracle(batch.features.double())
    layer.train(training)
    oracle.train(training)
    # Of great mean: variances by differences of squares would lose all digits.
    tensor = make_tensor(dtype=torch.float32, seed=3)
    tensor = tensor.replace(tensor.features + 100)
    results = []
    for module, features in ((layer, tensor.features.clone()), (oracle, tensor.features.double())):
        features.requires_grad_()
        output = module(tensor.replace(features)).features if module is layer else module(features)
        inputs = [features, *module.parameters()]
        first = torch.autograd.grad((output**3).sum(), inputs, retain_graph=True)
        again = torch.autograd.grad((output**3).sum(), inputs, create_graph=True)
        second = torch.autograd.grad(sum((g**2).sum() for g in again), inputs)
        results.append([output, *first, *again, *second])
    for ours, theirs in zip(*results, strict=True):
        assert (ours - theirs).abs().max() < 1e-3 * theirs.abs().max().clamp(min=1e-2)
    for name, ours in layer.state_dict().items():
        torch.testing.assert_close(ours, norm.state_dict()[name], check_dtype=False, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("relu", [False, True], ids=["", "relu"])
def test_dropout_inside_the_norm(make_tensor, relu):
    """It takes the asked share of numbers, others in every pass, scales the rest, and nothing at rest."""
    tensor = make_tensor(40, (10, 10), 8, dtype=torch.float32)
    plain, layer = BatchNorm(8, relu=relu), BatchNorm(8, relu=relu, dropout=0.25)
    features = tensor.features.requires_grad_()
    expected = plain(tensor).features
    masks = []
    for _ in range(2):
        output = layer(tensor.replace(features)).features
        kept = (output != 0) | (expected == 0)
        torch.testing.assert_close(output[kept], expected[kept] / 0.75, atol=1e-6, rtol=1e-5)
        masks.append(output != 0)
        share = 1 - kept[expected != 0].float().mean()
        assert abs(share - 0.25) < 5 * (0.25 * 0.75 / (expected != 0).sum()) ** 0.5
    assert not torch.equal(*masks)
    ours = torch.autograd.grad((output**2).sum(), [features, layer.weight])
    oracle = plain(tensor.replace(features)).features * masks[1] / 0.75
    for a, b in zip(ours, torch.autograd.grad((oracle**2).sum(), [features, plain.weight]), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
    torch.manual_seed(5)
    first = layer(tensor).features
    torch.manual_seed(5)
    assert torch.equal(layer(tensor).features, first)
    assert torch.equal(layer.eval()(tensor).features, _with_state(plain, layer).eval()(tensor).features)
    with pytest.raises(ValueError, match="dropout must be at least 0 and below 1, not 1"):
        BatchNorm(4, dropout=1.0)


def _with_state(module, other):
    module.load_state_dict(other.state_dict())
    return module


@pytest.mark.parametrize("n_sites", [0, 1])
def test_batch_norm_of_a_nearly_empty_batch(make_tensor, n_sites):
    layer = BatchNorm(4)
    full = make_tensor(dtype=torch.float32)
    layer(full)
    statistics = layer.running_mean.clone(), layer.running_var.clone()
    few = Prune()(full, torch.arange(len(full)) < n_sites)
    output = layer(few).features
    torch.testing.assert_close(output, layer.eval()(few).features)
    assert torch.equal(layer.running_mean, statistics[0])
    assert torch.equal(layer.running_var, statistics[1])


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
