"""Norms with ReLU and dropout against torch's layers, one after the other."""

import pytest
import torch
from torch import nn

from hepimg.sparse import BatchNorm, LayerNorm, Prune


@pytest.fixture
def tensor(make_tensor):
    """400 sites, so that sums go over several blocks; far from zero."""
    tensor = make_tensor(8, (12, 12), 6, occupancy=0.5, dtype=torch.float32)
    return tensor.replace(3 * tensor.features.detach() + 20)


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_single_site_without_statistics_passes_as_it_is(make_tensor, dtype):
    tensor = make_tensor(dtype=dtype)
    one = Prune()(tensor, torch.arange(len(tensor)) < 1)
    layer = BatchNorm(4, track_running_stats=False, eps=0.0).to(dtype)
    torch.testing.assert_close(layer(one).features, one.features)


@pytest.mark.parametrize(("relu", "drop"), [(False, 0.0), (True, 0.0), (True, 0.3), (False, 0.3)])
def test_float64_is_torchs_own(tensor, relu, drop):
    layer = BatchNorm(6, relu=relu, dropout=drop).double()
    torch.manual_seed(1)
    ours = layer(tensor.replace(tensor.features.double())).features
    torch.manual_seed(1)
    norm = nn.BatchNorm1d(6).double()(tensor.features.double())
    assert torch.equal(ours, nn.Dropout(drop)(torch.relu(norm) if relu else norm))


def test_dropout_takes_neighbours_independently(make_tensor):
    tensor = make_tensor(64, (16, 16), 6, occupancy=0.7, dtype=torch.float32)
    kept = BatchNorm(6, dropout=0.25)(tensor).features != 0
    for pairs in (kept[1:] & kept[:-1], kept[:, 1:] & kept[:, :-1], kept[16:] & kept[:-16]):
        assert abs(pairs.float().mean() - 0.75**2) < 6 * (0.25 / pairs.numel()) ** 0.5


def test_threads_change_no_bit(tensor):
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            torch.manual_seed(4)
            layer = BatchNorm(6, relu=True, dropout=0.1)
            x = tensor.features.clone().requires_grad_()
            y = layer(tensor.replace(x)).features
            y.square().sum().backward()
            results.append([y.detach(), x.grad, layer.weight.grad, layer.running_var])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("used", ["both", "normalised", "identity"])
def test_gradients_of_a_residual_connection(make_tensor, dtype, used):
    tensor = make_tensor(dtype=dtype)
    layer = BatchNorm(4, relu=True).to(dtype)
    x = tensor.features.requires_grad_()
    results = []
    for normalised, identity in (layer.beside(tensor), (layer(tensor), tensor)):
        loss = (normalised.features**3).sum() if used != "identity" else x.sum()
        loss = loss + (identity.features**2).sum() if used != "normalised" else loss
        (plain,) = torch.autograd.grad(loss, x, retain_graph=True)
        (first,) = torch.autograd.grad(loss, x, create_graph=True)
        (second,) = torch.autograd.grad((first**2).sum(), x)
        results.append([plain, first, second])
    for within, after in zip(*results, strict=True):
        torch.testing.assert_close(within, after, atol=1e-3, rtol=1e-3)


def test_features_that_are_not_contiguous(make_tensor):
    tensor = make_tensor(dtype=torch.float32)
    base = tensor.features.t().contiguous().requires_grad_()
    layer = BatchNorm(4, relu=True)
    results = []
    for features in (base.t(), base.t().contiguous()):
        (first,) = torch.autograd.grad((layer(tensor.replace(features)).features ** 3).sum(), base, create_graph=True)
        (second,) = torch.autograd.grad((first**2).sum(), base)
        results.append((first, second))
    for strided, contiguous in zip(*results, strict=True):
        torch.testing.assert_close(strided, contiguous)


def test_dropout_without_relu_lets_zeros_learn(make_tensor):
    tensor = make_tensor(40, (10, 10), dtype=torch.float32)
    layer = BatchNorm(4, dropout=0.5)
    nn.init.zeros_(layer.weight)
    layer(tensor).features.sum().backward()
    torch.testing.assert_close(layer.bias.grad / len(tensor), torch.ones(4), atol=0.2, rtol=0)


def test_other_channels_are_refused(make_tensor):
    with pytest.raises(ValueError, match="the norm is of 3 channels, the tensor has 4"):
        BatchNorm(3).eval()(make_tensor(dtype=torch.float32))


@pytest.mark.parametrize(("relu", "drop"), [(False, 0.0), (True, 0.0), (True, 0.3)])
def test_layer_norm_is_torchs_own(tensor, relu, drop):
    layer, oracle = LayerNorm(6, relu=relu, dropout=drop), nn.LayerNorm(6)
    nn.init.normal_(layer.weight)
    oracle.load_state_dict(layer.state_dict())
    torch.manual_seed(1)
    ours, same = layer.beside(tensor)
    torch.manual_seed(1)
    norm = oracle(tensor.features)
    torch.testing.assert_close(ours.features, nn.Dropout(drop)(torch.relu(norm) if relu else norm))
    assert same is tensor
