"""Every layer on a GPU against the CPU, which the other tests hold against dense layers."""

import copy

import pytest
import torch
from engine_paths import assert_equal
from random_configurations import Case, configuration
from torch import nn
from torch.nn import functional

from hepimg.engine import resolve_engine
from hepimg.sparse import (
    BatchNorm,
    Expand2d,
    GlobalPool,
    InverseConv2d,
    Pool2d,
    SparseClassifier,
    SparseConv2d,
    SparseResNet,
    SparseTensor,
    SubmanifoldConv2d,
    use_engine,
)

DEVICE = "cuda"

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this torch sees no GPU"),
]

LAYERS = {
    "submanifold": SubmanifoldConv2d(4, 6, (3, 5), dilation=(1, 2), groups=2),
    "strided": SparseConv2d(4, 6, 3, stride=2, padding=1),
    "inverse": InverseConv2d(4, 6, 3, stride=2, padding=1),
    "expand": Expand2d(4, 6, 2),
    "norm": BatchNorm(4),
    "pool sum": Pool2d("sum", 3, 2, 1),
    "pool mean": Pool2d("mean", 2),
    "pool max": Pool2d("max", 3, 2, 1),
    "global sum": GlobalPool("sum"),
    "global mean": GlobalPool("mean"),
    "global max": GlobalPool("max"),
}


@pytest.fixture(autouse=True)
def _native():
    """Without TF32, which rounds factors to 10 bits."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    with use_engine("native"):
        yield
    torch.backends.cuda.matmul.allow_tf32 = before


def apply(layer: nn.Module, tensor: SparseTensor):
    """The features that a layer makes of a tensor; an inverse convolution starts from made-up coarse features."""
    if isinstance(layer, InverseConv2d):
        down = tensor.cache.coarser(layer.geometry)
        total = tensor.features.sum()
        ramp = torch.arange(len(down.support) * layer.in_channels, device=total.device, dtype=total.dtype).sin()
        return layer(SparseTensor.on(down, total * ramp.view(-1, layer.in_channels)), onto=tensor).features
    output = layer(tensor)
    return output.features if isinstance(output, SparseTensor) else output


def derivatives(layer: nn.Module, tensor: SparseTensor, autocast: torch.dtype | None = None):
    """Output, gradients, and gradients of their squares, on the CPU."""
    features = tensor.features.detach().clone().requires_grad_()
    with torch.autocast(tensor.features.device.type, dtype=autocast, enabled=autocast is not None):
        output = apply(layer, tensor.replace(features))
    inputs = [features, *layer.parameters()]
    first = torch.autograd.grad((output.to(features.dtype) ** 3).mean(), inputs, create_graph=True)
    second = torch.autograd.grad(sum((g**2).sum() for g in first), inputs, materialize_grads=True)
    return output.dtype, [part.detach().cpu() for part in (output, *first, *second)]


def relative(ours: torch.Tensor, exact: torch.Tensor) -> float:
    """The largest error, relative to the largest number."""
    return float((ours - exact).abs().max() / exact.abs().max().clamp(min=1e-2))


def moved(layer: nn.Module) -> nn.Module:
    return copy.deepcopy(layer).to(DEVICE)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_and_its_derivatives(make_tensor, name, dtype):
    tensor = make_tensor(5, (9, 8), 4, (False, True), dtype=torch.float64)
    layer = copy.deepcopy(LAYERS[name]).double()
    _, expected = derivatives(layer, tensor)
    on_gpu = tensor.replace(tensor.features.to(dtype)).to(DEVICE)
    _, found = derivatives(moved(layer).to(dtype), on_gpu)
    for ours, exact in zip(found, expected, strict=True):
        assert relative(ours, exact) < (1e-11 if dtype == torch.float64 else 1e-4)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_under_autocast(make_tensor, name, half):
    tensor = make_tensor(5, (9, 8), 4, (False, True), dtype=torch.float32)
    layer = LAYERS[name]
    _, expected = derivatives(layer, tensor)
    dtype, found = derivatives(moved(layer), tensor.to(DEVICE), half)
    is_convolution = hasattr(layer, "geometry") and hasattr(layer, "weight")
    assert dtype == (half if is_convolution else torch.float32)
    for ours, exact in zip(found, expected, strict=True):
        assert relative(ours, exact) < 0.05


@pytest.mark.parametrize("first", range(0, 100, 25))
def test_random_configurations(first):
    for number in range(first, first + 25):
        case = Case(configuration(number))
        features = case.tensor.features.requires_grad_()
        output = case.sparse(features).features
        incoming = torch.randn(output.shape, generator=case.random, dtype=output.dtype)
        expected = torch.autograd.grad(output, [features, *case.layer.parameters()], incoming)
        tensor, fine = case.tensor.to(DEVICE), case.fine.to(DEVICE)
        case.tensor, case.fine, case.layer = tensor, fine, moved(case.layer)
        case.mask = None if case.mask is None else case.mask.to(DEVICE)
        features = tensor.features.detach().requires_grad_()
        found = case.sparse(features).features
        gradients = torch.autograd.grad(found, [features, *case.layer.parameters()], incoming.to(DEVICE))
        for ours, exact in zip((found, *gradients), (output, *expected), strict=True):
            assert_equal(ours.cpu(), exact, case.made.dtype)


def steps(network: nn.Module, tensor: SparseTensor, labels: torch.Tensor, half: torch.dtype | None = None):
    """Losses of a few steps of a training."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(4):
        with torch.autocast(labels.device.type, dtype=half, enabled=half is not None):
            logits = network(tensor)
        loss = functional.binary_cross_entropy_with_logits(logits.float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return torch.tensor(losses)


@pytest.fixture
def training(make_tensor):
    """A network, images and labels."""
    torch.manual_seed(3)
    network = SparseClassifier(SparseResNet(4, widths=(16, 24), blocks=(1, 1), dropout=0.0), dropout=0.0)
    tensor = make_tensor(64, (20, 20), 4, occupancy=0.1, dtype=torch.float32)
    return network, tensor, torch.randint(0, 2, (64, 1)).float()


@pytest.mark.parametrize(("half", "error"), [(None, 1e-3), (torch.bfloat16, 0.05), (torch.float16, 0.05)], ids=str)
def test_the_classifier_trains_alike(training, half, error):
    network, tensor, labels = training
    on_gpu = moved(network)
    expected = steps(network, tensor, labels)
    found = steps(on_gpu, tensor.to(DEVICE), labels.to(DEVICE), half)
    torch.testing.assert_close(found, expected, atol=error, rtol=error)


def test_a_training_gives_the_same_bytes_twice(training):
    network, tensor, labels = training
    tensor, labels = tensor.to(DEVICE), labels.to(DEVICE)
    first, second = moved(network), moved(network)
    assert torch.equal(steps(first, tensor, labels), steps(second, tensor, labels))
    for ours, theirs in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_spconv_trains_alike(training):
    if resolve_engine("auto", DEVICE) != "spconv":
        pytest.skip("spconv's build for CUDA is not installed")
    network, tensor, labels = training
    tensor, labels = tensor.to(DEVICE), labels.to(DEVICE)
    expected = steps(moved(network), tensor, labels)
    with use_engine("spconv"):
        found = steps(moved(network), tensor, labels)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("batch_size", [0, 2])
def test_no_sites(make_tensor, batch_size):
    tensor = make_tensor(batch_size, occupancy=0.0).to(DEVICE)
    for name, layer in LAYERS.items():
        output = apply(moved(layer).double(), tensor)
        assert len(output) == (batch_size if name.startswith("global") else 0)
