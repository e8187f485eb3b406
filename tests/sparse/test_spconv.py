"""The spconv package as an independent oracle, and the engine that uses it.  On one thread, where it is right."""

import sys

import pytest
import torch
from torch import nn

from hepimg.sparse import (
    BatchNorm,
    Expand2d,
    GlobalPool,
    InverseConv2d,
    PerSite,
    SparseClassifier,
    SparseConv2d,
    SparseResNet,
    SubmanifoldConv2d,
    use_engine,
)
from hepimg.sparse.backbones import Halve
from hepimg.sparse.engines.spconv_layers import from_spconv, to_spconv

spconv = pytest.importorskip("spconv.pytorch", reason="the package spconv is not installed")

SUBMANIFOLD = [{}, {"dilation": 2}, {"kernel": (3, 5), "groups": 2, "bias": False}, {"kernel": 1}]
STRIDED = [
    {"kernel": 3, "stride": 2, "padding": 1},
    {"kernel": 2, "stride": 2, "bias": False},
    {"kernel": (3, 2), "stride": (1, 2), "padding": (1, 0), "groups": 2},
    {"kernel": 1, "stride": 2},
]


@pytest.fixture
def _backward_on_the_cpu(monkeypatch):
    """Let spconv 2.3.8 run its backward pass on the CPU.

    It asks torch for the current CUDA stream before it looks where the tensors are, and then does not use it.
    """
    monkeypatch.setattr(spconv.ops, "get_current_stream", lambda: 0)


def as_spconv(tensor):
    return spconv.SparseConvTensor(tensor.features, tensor.sites.int(), list(tensor.shape), tensor.batch_size)


def read(theirs, ours):
    """The features of spconv, whose sites come in an order of their own, in the order of our sites."""
    image, row, column = theirs.indices.long().unbind(1)
    keys, order = ((image * ours.shape[0] + row) * ours.shape[1] + column).sort()
    assert torch.equal(keys, ours.support.keys)
    return theirs.features[order]


def gradients(features, layer, inputs):
    parameters = [layer.weight] if layer.bias is None else [layer.weight, layer.bias]
    return torch.autograd.grad((features**2).sum(), [inputs, *parameters])


def assert_same_as_spconv(tensor, layer):
    """Values and gradients; those of spconv's weight, turned into our layout."""
    oracle = to_spconv(layer)
    inputs = tensor.features.requires_grad_()
    ours = layer(tensor.replace(inputs))
    theirs = read(oracle(as_spconv(tensor)), ours)
    torch.testing.assert_close(ours.features, theirs)
    if layer.groups > 1 or oracle.conv1x1:
        oracle = None  # its weight is the larger one of a single group, or turned
        (expected,) = torch.autograd.grad((theirs**2).sum(), [inputs])
        torch.testing.assert_close(gradients(ours.features, layer, inputs)[0], expected)
        return
    expected = gradients(theirs, oracle, inputs)
    expected = [expected[0], expected[1].permute(0, 3, 1, 2), *expected[2:]]
    for a, b in zip(gradients(ours.features, layer, inputs), expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.usefixtures("_backward_on_the_cpu")
@pytest.mark.parametrize("options", SUBMANIFOLD, ids=str)
def test_submanifold_equals_spconv(make_tensor, options):
    assert_same_as_spconv(make_tensor(8, (12, 12), 8), SubmanifoldConv2d(8, 6, **options).double())


@pytest.mark.usefixtures("_backward_on_the_cpu")
@pytest.mark.parametrize("options", STRIDED, ids=str)
def test_strided_equals_spconv(make_tensor, options):
    assert_same_as_spconv(make_tensor(8, (12, 12), 8), SparseConv2d(8, 6, **options).double())


@pytest.mark.usefixtures("_backward_on_the_cpu")
@pytest.mark.parametrize("options", STRIDED[:3], ids=str)
def test_inverse_equals_spconv(make_tensor, options):
    tensor = make_tensor(8, (12, 12), 8)
    down, up = SparseConv2d(8, 6, **options).double(), InverseConv2d(6, 4, **options).double()
    inputs = tensor.features.requires_grad_()
    ours = up(down(tensor.replace(inputs)), onto=tensor)
    oracle = spconv.SparseSequential(to_spconv(down, "down"), to_spconv(up, "down"))
    theirs = oracle(as_spconv(tensor))
    torch.testing.assert_close(ours.features, theirs.features)
    for a, b in zip(
        *(torch.autograd.grad((y**2).sum(), inputs) for y in (ours.features, theirs.features)), strict=True
    ):
        torch.testing.assert_close(a, b)


LAYERS = [
    SubmanifoldConv2d(4, 6, (3, 5), dilation=(1, 2)),
    SubmanifoldConv2d(4, 6, 1, bias=False),
    SparseConv2d(4, 6, (3, 2), stride=(1, 3), padding=(2, 1)),
    SparseConv2d(4, 6, 1, bias=False),
    BatchNorm(4, eps=1e-3),
]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_there_and_back(layer):
    back = from_spconv(to_spconv(layer))
    assert type(back) is type(layer)
    assert repr(back) == repr(layer)
    ours, theirs = layer.state_dict(), back.state_dict()
    assert list(ours) == list(theirs)
    for name, value in ours.items():
        assert torch.equal(value, theirs[name])
        assert value.data_ptr() != theirs[name].data_ptr()


def test_an_inverse_there_and_back():
    options = {"kernel": (3, 2), "stride": (1, 3), "padding": (2, 1)}
    down, up = SparseConv2d(4, 6, **options), InverseConv2d(6, 4, **options)
    back = from_spconv(to_spconv(up, "down"), inverted=to_spconv(down, "down"))
    assert back.geometry == up.geometry
    assert torch.equal(back.weight, up.weight)
    with pytest.raises(ValueError, match="needs the indice_key"):
        to_spconv(up)
    with pytest.raises(ValueError, match="give the convolution that is inverted"):
        from_spconv(to_spconv(up, "down"))


def test_a_network_of_spconv_becomes_ours_and_back(make_tensor):
    tensor = make_tensor(8, (12, 12), 4, dtype=torch.float32)
    theirs = spconv.SparseSequential(
        spconv.SubMConv2d(4, 8, 3), nn.BatchNorm1d(8), nn.ReLU(), spconv.SparseConv2d(8, 6, 3, 2, 1), nn.Linear(6, 3)
    )
    ours = from_spconv(theirs)
    assert [type(layer) for layer in ours] == [SubmanifoldConv2d, BatchNorm, PerSite, SparseConv2d, PerSite]
    again = to_spconv(ours)
    with torch.no_grad():
        output = ours(tensor)
        expected = read(theirs(as_spconv(tensor)), output)
        torch.testing.assert_close(output.features, expected)
        torch.testing.assert_close(read(again(as_spconv(tensor)), output), expected)


def test_a_norm_with_activation_becomes_three_layers(make_tensor):
    tensor = make_tensor(dtype=torch.float32)
    layer = BatchNorm(4, relu=True, dropout=0.1).eval()
    theirs = to_spconv(layer).eval()
    assert [type(inner) for inner in theirs] == [nn.BatchNorm1d, nn.ReLU, nn.Dropout]
    torch.testing.assert_close(layer(tensor).features, theirs(as_spconv(tensor)).features)


def test_what_has_no_counterpart_is_refused():
    for layer in (Expand2d(4, 4), GlobalPool("sum"), Halve(4, 4)):
        with pytest.raises(TypeError, match=f"spconv has no layer for {type(layer).__name__}"):
            to_spconv(layer)
    with pytest.raises(TypeError, match="hepimg has no layer for spconv's SparseMaxPool2d"):
        from_spconv(spconv.SparseMaxPool2d(2))
    fused = spconv.SubMConv2d(4, 4, 3)
    fused.act_type = type(fused.act_type).ReLU  # as spconv's preparation for inference does
    with pytest.raises(TypeError, match="has an activation inside"):
        from_spconv(fused)
    with pytest.raises(ValueError, match="odd kernel"):
        from_spconv(spconv.SubMConv2d(4, 4, 2))


@pytest.mark.usefixtures("_backward_on_the_cpu")
@pytest.mark.parametrize("occupancy", [0.0, 0.3])
def test_engine_equals_native(make_tensor, occupancy):
    """Periodic axes included, since the rules are ours."""
    tensor = make_tensor(8, (12, 12), 8, (False, True), occupancy)
    layers = nn.Sequential(SubmanifoldConv2d(8, 16), SparseConv2d(16, 8, 2, stride=2)).double()
    inputs = [tensor.features.requires_grad_(), *layers.parameters()]
    results = []
    for engine in ("native", "spconv"):
        with use_engine(engine):
            output = layers(tensor).features
            results.append([output, *torch.autograd.grad((output**2).sum(), inputs)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.usefixtures("_backward_on_the_cpu")
def test_engine_trains_the_classifier_alike(make_tensor):
    torch.manual_seed(1)
    tensor = make_tensor(16, (12, 12), 4, dtype=torch.float32)
    network = SparseClassifier(SparseResNet(4, widths=(8, 12), blocks=(1, 1), dropout=0.0), dropout=0.0)
    results = []
    for engine in ("native", "spconv"):
        with use_engine(engine):
            network.zero_grad()
            network(tensor).square().sum().backward()
            results.append([parameter.grad.clone() for parameter in network.parameters()])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)


@pytest.mark.usefixtures("_backward_on_the_cpu")
@pytest.mark.parametrize("incoming", ["constant", "curved"])
def test_engine_refuses_second_derivatives(make_tensor, incoming):
    """spconv's own function drops them without a word, so that a gradient penalty would train on nothing."""
    tensor = make_tensor()
    layer, features = SubmanifoldConv2d(4, 4).double(), tensor.features.requires_grad_()
    with use_engine("spconv"):
        output = layer(tensor.replace(features)).features
    total = output.sum() if incoming == "constant" else (output**2).sum()
    (gradient,) = torch.autograd.grad(total, features, create_graph=True)
    with pytest.raises(RuntimeError, match="spconv has no second derivative"):
        (gradient**2).sum().backward()


def test_engine_refuses_several_threads_on_the_cpu(make_tensor):
    torch.set_num_threads(2)  # until the fixture sets them back
    with use_engine("spconv"), pytest.raises(RuntimeError, match="wrong on the CPU with several threads"):
        SubmanifoldConv2d(4, 4).double()(make_tensor())


def test_without_the_package_both_say_how_to_install_it(make_tensor, monkeypatch):
    monkeypatch.setitem(sys.modules, "spconv", None)
    layer = SubmanifoldConv2d(4, 4).double()
    with use_engine("spconv"), pytest.raises(ImportError, match=r"pip install 'hepimg\[spconv\]'"):
        layer(make_tensor())
    with pytest.raises(ImportError, match=r"pip install 'hepimg\[spconv\]'"):
        to_spconv(layer)


def test_engine_refuses_bfloat16(make_tensor):
    with use_engine("spconv"), torch.autocast("cpu", torch.bfloat16), pytest.raises(TypeError, match="bfloat16"):
        SubmanifoldConv2d(4, 4)(make_tensor(dtype=torch.float32))
