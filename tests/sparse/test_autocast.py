"""Mixed precision: under ``torch.autocast`` sparse layers give what torch's dense layers give there, type included."""

import pytest
import torch
from dense_oracle import conv2d, conv_transpose2d, read
from torch import nn
from torch.nn import functional

from hepimg.sparse import (
    BatchNorm,
    Expand2d,
    GlobalPool,
    InverseConv2d,
    PerSite,
    Pool2d,
    SparseClassifier,
    SparseConv2d,
    SparseResNet,
    SparseTensor,
    SubmanifoldConv2d,
)

HALF = pytest.mark.parametrize("half", [torch.bfloat16, torch.float16], ids=str)

STEP = {torch.bfloat16: 2.0**-8, torch.float16: 2.0**-11}
"""Half the distance of neighbouring numbers, relative to them: the largest error of one rounding."""


def autocast(half):
    return torch.autocast("cpu", dtype=half)


def assert_near(rounded, exact, half, roundings=4):
    """Equal up to some roundings to half precision of numbers as large as the largest."""
    assert rounded.shape == exact.shape
    assert torch.isfinite(rounded).all()
    error = (rounded.double() - exact.double()).abs().max() / exact.abs().max()
    assert error < roundings * STEP[half]


@pytest.fixture
def tensor(make_tensor):
    return make_tensor(4, (8, 8), 8, (False, True), 0.4, torch.float32)


@pytest.fixture
def image(tensor):
    return tensor.dense().detach()


def gradients(features, inputs, layer):
    """Of a curved function; outside of the autocast region, as torch wants it."""
    return torch.autograd.grad((features.float() ** 2).sum(), [inputs, *layer.parameters()])


def check(layer, tensor, half, dense_type, forward=None):
    """Type, values and gradients under autocast against those in float32."""
    forward = forward or layer
    inputs = tensor.features.clone().requires_grad_()
    exact = forward(tensor.replace(inputs))
    exact = exact.features if isinstance(exact, SparseTensor) else exact
    with autocast(half):
        rounded = forward(tensor.replace(inputs))
        rounded = rounded.features if isinstance(rounded, SparseTensor) else rounded
    assert rounded.dtype == dense_type
    assert_near(rounded, exact, half)
    for ours, theirs in zip(gradients(rounded, inputs, layer), gradients(exact, inputs, layer), strict=True):
        assert ours.dtype == torch.float32
        assert_near(ours, theirs, half, roundings=8)


@HALF
@pytest.mark.parametrize("bias", [False, True], ids=["", "bias"])
def test_submanifold(tensor, image, half, bias):
    layer = SubmanifoldConv2d(8, 6, bias=bias)
    with autocast(half):
        dense = conv2d(tensor, layer)
        ours = layer(tensor).features
    check(layer, tensor, half, dense.dtype)
    assert_near(ours, read(dense, tensor), half)


@HALF
def test_strided(tensor, image, half):
    layer = SparseConv2d(8, 6, 3, stride=2, padding=1, groups=2)
    with autocast(half):
        dense = functional.conv2d(image, layer.weight, layer.bias, 2, groups=2)
    check(layer, tensor, half, dense.dtype)


@HALF
def test_inverse(tensor, image, half):
    layer, up = SparseConv2d(8, 8, 2, stride=2), InverseConv2d(8, 6, 2, stride=2)
    coarse = layer(tensor).replace(torch.randn_like(layer(tensor).features))
    with autocast(half):
        dense = nn.ConvTranspose2d(8, 6, 2, stride=2)(image)
    check(up, coarse, half, dense.dtype, lambda coarse: up(coarse, onto=tensor))
    assert_near(up(coarse, onto=tensor).features, read(conv_transpose2d(coarse.dense(), up, tensor), tensor), half)


@HALF
def test_expand(tensor, image, half):
    with autocast(half):
        dense = nn.ConvTranspose2d(8, 6, 2, stride=2)(image)
    check(Expand2d(8, 6, 2), tensor, half, dense.dtype)


@HALF
@pytest.mark.parametrize("precise_input", [True, False])
def test_batch_norm(tensor, image, half, precise_input):
    """Statistics and weights stay in float32; the result has the type of what comes in."""
    layer, oracle = BatchNorm(8), nn.BatchNorm1d(8)
    if not precise_input:
        tensor = tensor.replace(tensor.features.to(half))
    with autocast(half):
        dense = oracle(tensor.features)
        ours = layer(tensor).features
    torch.testing.assert_close(ours, dense)
    assert layer.running_mean.dtype == torch.float32
    if precise_input:
        check(layer, tensor, half, dense.dtype)


@HALF
@pytest.mark.parametrize("reduction", ["sum", "mean", "max"])
def test_pools(tensor, image, half, reduction):
    """In half precision too, if that is what comes in; sums of many numbers are rounded once, at their end."""
    pools = {"sum": nn.AvgPool2d(2), "mean": nn.AvgPool2d(2), "max": nn.MaxPool2d(2)}
    over_image = {"sum": torch.sum, "mean": torch.mean, "max": torch.amax}
    for dtype in (torch.float32, half):
        images = image.to(dtype)
        with autocast(half):
            dense, overall = pools[reduction](images).dtype, over_image[reduction](images, (2, 3)).dtype
            local, total = Pool2d(reduction, 2), GlobalPool(reduction)
            few = tensor.replace(tensor.features.to(dtype))
            assert local(few).features.dtype == dense
            assert total(few).dtype == overall
            assert_near(local(few).features, local(tensor).features, half, roundings=2)
            assert_near(total(few), total(tensor), half, roundings=2)
            inputs = few.features.requires_grad_()
            (gradient,) = torch.autograd.grad(total(few).float().square().sum(), inputs)
        assert gradient.dtype == dtype


@HALF
def test_layers_in_a_row(tensor, half):
    """What one layer gives in half precision, the next one takes."""
    torch.manual_seed(1)
    layers = nn.Sequential(
        SubmanifoldConv2d(8, 8, bias=False),  # its bias would have no gradient before a norm
        BatchNorm(8),
        PerSite(nn.GELU()),  # smooth: rounding may not switch a ReLU off
        SparseConv2d(8, 6, 2, stride=2),
        Pool2d("mean", 2),
    )
    results = []
    for enabled in (True, False):
        with torch.autocast("cpu", dtype=half, enabled=enabled):
            output = layers(tensor).features
        assert output.dtype == (half if enabled else torch.float32)
        results.append([output, *torch.autograd.grad(output.float().square().sum(), list(layers.parameters()))])
    for ours, theirs in zip(*results, strict=True):
        assert_near(ours, theirs, half, roundings=8)


@HALF
def test_classifier_learns(make_tensor, half):
    """A few steps of a training; weights, gradients and running statistics stay in float32."""
    torch.manual_seed(2)
    tensor = make_tensor(32, (12, 12), 4, occupancy=0.1, dtype=torch.float32)
    labels = torch.randint(0, 2, (32, 1)).float()
    network = SparseClassifier(SparseResNet(4, widths=(8, 12), blocks=(1, 1), dropout=0.0), dropout=0.0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(12):
        with autocast(half):
            logits = network(tensor)
        assert logits.dtype == half
        loss = functional.binary_cross_entropy_with_logits(logits.float(), labels)
        optimizer.zero_grad()
        loss.backward()
        assert all(parameter.grad.dtype == torch.float32 for parameter in network.parameters())
        assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert all(value.dtype in (torch.float32, torch.int64) for value in network.state_dict().values())


def test_double_precision_stays(make_tensor):
    """As in torch, whose dense layers leave float64 alone."""
    tensor = make_tensor()
    layer, dense = SubmanifoldConv2d(4, 4).double(), nn.Conv2d(4, 4, 3).double()
    with autocast(torch.bfloat16):
        assert dense(tensor.dense()).dtype == torch.float64
        assert layer(tensor).features.dtype == torch.float64


@HALF
def test_second_derivatives(tensor, half):
    """A gradient penalty under autocast."""
    layer = SubmanifoldConv2d(8, 6)
    results = []
    for enabled in (True, False):
        inputs = tensor.features.clone().requires_grad_()
        with torch.autocast("cpu", dtype=half, enabled=enabled):
            output = layer(tensor.replace(inputs)).features
        (gradient,) = torch.autograd.grad((output.float() ** 2).sum(), inputs, create_graph=True)
        results.append(torch.autograd.grad(gradient.float().square().sum(), [inputs, layer.weight]))
    for ours, theirs in zip(*results, strict=True):
        assert_near(ours, theirs, half, roundings=16)
