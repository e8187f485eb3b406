"""Sparse convolutions equal masked dense ones: values, gradients, second gradients."""

import pytest
import torch
from dense_oracle import conv2d, conv_transpose2d, read
from engine_paths import assert_equal
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck

from hepimg.sparse import Expand2d, InverseConv2d, SparseConv2d, SparseTensor, SubmanifoldConv2d

PERIODIC = [(False, False), (False, True), (True, True)]
SUBMANIFOLD = [
    {"kernel": 1},
    {"kernel": 3},
    {"kernel": (3, 5), "groups": 2},
    {"kernel": 3, "dilation": 2, "bias": False},
    {"kernel": 5, "dilation": (1, 2), "groups": 4},  # reaches all around a periodic axis of 6 or 7 cells
]
STRIDED = [
    {"kernel": 2, "stride": 2},
    {"kernel": 3, "stride": 2, "padding": 1, "bias": False},
    {"kernel": (3, 2), "stride": (1, 3), "padding": (2, 1), "groups": 2},
    {"kernel": 3, "dilation": 2, "padding": 1},
    {"kernel": 1, "stride": 3},  # most sites reach no output
]


def gradients(output: Tensor, *inputs: Tensor) -> list[Tensor]:
    """First gradients of a curved function of the output, and gradients of their squares."""
    first = torch.autograd.grad((output**3).sum(), inputs, create_graph=True)
    second = torch.autograd.grad(sum((g**2).sum() for g in first), inputs)
    return [*first, *second]


def assert_same(sparse: Tensor, dense: Tensor, *inputs: Tensor, precision: torch.dtype = torch.float64) -> None:
    assert_equal(sparse, dense, precision)
    for ours, theirs in zip(gradients(sparse, *inputs), gradients(dense, *inputs), strict=True):
        assert_equal(ours, theirs, precision)


def with_gradient(tensor: SparseTensor) -> SparseTensor:
    return tensor.replace(tensor.features.requires_grad_())


@pytest.mark.parametrize("periodic", PERIODIC)
@pytest.mark.parametrize("options", SUBMANIFOLD, ids=str)
def test_submanifold_equals_dense(make_tensor, options, periodic, precision):
    tensor = with_gradient(make_tensor(periodic=periodic))
    layer = SubmanifoldConv2d(4, 8, **options).double()
    output = layer(tensor)
    assert output.support is tensor.support
    assert_same(
        output.features, read(conv2d(tensor, layer), tensor), tensor.features, *layer.parameters(), precision=precision
    )


@pytest.mark.parametrize("periodic", PERIODIC)
@pytest.mark.parametrize("options", STRIDED, ids=str)
def test_strided_equals_dense(make_tensor, options, periodic, precision):
    tensor = with_gradient(make_tensor(periodic=periodic))
    layer = SparseConv2d(4, 8, **options).double()
    output = layer(tensor)
    dense = conv2d(tensor, layer)
    assert dense.shape[2:] == output.shape
    assert_same(output.features, read(dense, output), tensor.features, *layer.parameters(), precision=precision)
    # Every position that a site reaches is there: what is left over is the bias alone.
    elsewhere = torch.ones(len(dense), *output.shape, dtype=torch.bool)
    elsewhere[tuple(output.sites.long().T)] = False
    bias = 0.0 if layer.bias is None else layer.bias[None, :, None, None]
    assert (dense - bias).permute(0, 2, 3, 1)[elsewhere].abs().max() < 1e-12


@pytest.mark.parametrize("periodic", PERIODIC)
@pytest.mark.parametrize("options", STRIDED, ids=str)
def test_inverse_equals_dense_transpose(make_tensor, options, periodic, precision):
    fine = make_tensor(periodic=periodic)
    down = SparseConv2d(4, 6, **options).double()
    coarse = down(fine)
    coarse = with_gradient(coarse.replace(coarse.features.detach()))
    layer = InverseConv2d(6, 4, **options).double()
    output = layer(coarse, onto=fine)
    assert output.support is fine.support
    dense = conv_transpose2d(coarse.dense(), layer, fine)
    assert_same(output.features, read(dense, fine), coarse.features, *layer.parameters(), precision=precision)


@pytest.mark.parametrize("groups", [1, 2])
def test_inverse_has_the_weights_of_conv_transpose(make_tensor, groups):
    fine = make_tensor(shape=(6, 8))
    coarse = SparseConv2d(4, 4, 2, stride=2).double()(fine)
    layer = InverseConv2d(4, 6, 2, stride=2, groups=groups).double()
    dense = nn.ConvTranspose2d(4, 6, 2, stride=2, groups=groups).double()
    layer.load_state_dict(dense.state_dict())
    torch.testing.assert_close(layer(coarse, onto=fine).features, read(dense(coarse.dense()), fine))


def test_inverse_from_pruned_sites(make_tensor):
    """The coarse tensor may have lost sites on the way."""
    from hepimg.sparse import Prune

    fine = make_tensor(shape=(6, 8))
    coarse = SparseConv2d(4, 4, 2, stride=2).double()(fine)
    kept = Prune()(coarse, torch.arange(len(coarse)) % 3 > 0)
    layer = InverseConv2d(4, 5, 2, stride=2).double()
    torch.testing.assert_close(layer(kept, onto=fine).features, read(conv_transpose2d(kept.dense(), layer, fine), fine))


def test_inverse_needs_matching_shapes(make_tensor):
    with pytest.raises(ValueError, match=r"leads from 3 images of \(6, 7\) cells to \(3, 3\)"):
        InverseConv2d(4, 4, 2, stride=2)(make_tensor(), onto=make_tensor())


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("factor", [2, 3])
def test_expand_equals_dense(make_tensor, factor, masked, precision):
    tensor = with_gradient(make_tensor(periodic=(False, True)))
    layer = Expand2d(4, 6, factor, groups=2).double()
    mask = torch.rand(len(tensor), factor**2, generator=torch.Generator().manual_seed(3)) < 0.5 if masked else None
    output = layer(tensor, mask)
    assert len(output) == (len(tensor) * factor**2 if mask is None else int(mask.sum()))
    assert output.periodic == tensor.periodic
    dense = nn.ConvTranspose2d(4, 6, factor, stride=factor, groups=2).double()
    dense.load_state_dict(layer.state_dict())
    assert_equal(output.features, read(dense(tensor.dense()), output), precision)
    expected = read(conv_transpose2d(tensor.dense(), layer, output), output)
    assert_same(output.features, expected, tensor.features, *layer.parameters(), precision=precision)


def test_expand_gives_birth_where_the_mask_says(make_tensor):
    tensor = make_tensor()
    mask = torch.zeros(len(tensor), 4, dtype=torch.bool)
    mask[:, 2] = True  # the lower left child
    children = Expand2d(4, 1).double()(tensor, mask)
    torch.testing.assert_close(
        children.sites, tensor.sites * torch.tensor([1, 2, 2]) + torch.tensor([0, 1, 0]), check_dtype=False
    )
    with pytest.raises(ValueError, match="a column for each child"):
        Expand2d(4, 1).double()(tensor, mask[:, :3])


@pytest.mark.parametrize(
    "layer", [SubmanifoldConv2d(2, 3), SparseConv2d(2, 3, 3, stride=2, padding=1)], ids=["sub", "down"]
)
def test_gradgradcheck(make_tensor, layer):
    tensor = make_tensor(batch_size=2, shape=(4, 4), channels=2, periodic=(True, False))
    layer = layer.double()

    def output(features: Tensor, weight: Tensor) -> Tensor:
        arguments = {"weight": weight, "bias": layer.bias}, (tensor.replace(features),)
        return torch.func.functional_call(layer, *arguments).features

    inputs = (tensor.features.requires_grad_(), layer.weight)
    assert gradcheck(output, inputs)
    assert gradgradcheck(output, inputs)


@pytest.mark.parametrize("frozen", ["features", "weight"])
def test_one_frozen_argument(make_tensor, frozen):
    """Gradients and second gradients do not need both arguments to require one."""
    tensor = make_tensor()
    layer = SubmanifoldConv2d(4, 4, bias=False).double()
    if frozen == "weight":
        tensor = with_gradient(tensor)
        layer.requires_grad_(False)
    free = layer.weight if frozen == "features" else tensor.features
    assert_same(layer(tensor).features, read(conv2d(tensor, layer), tensor), free)


@pytest.mark.parametrize("batch_size", [0, 2])
def test_no_sites(make_tensor, batch_size):
    tensor = with_gradient(make_tensor(batch_size=batch_size, occupancy=0.0))
    down = SparseConv2d(4, 5, 2, stride=2).double()
    coarse = down(SubmanifoldConv2d(4, 4).double()(tensor))
    assert coarse.features.shape == (0, 5)
    assert coarse.batch_size == batch_size
    fine = InverseConv2d(5, 4, 2, stride=2).double()(coarse, onto=tensor)
    children = Expand2d(4, 3).double()(fine)
    assert children.features.shape == (0, 3)
    (gradient,) = torch.autograd.grad(children.features.sum(), tensor.features, create_graph=True)
    assert gradient.shape == (0, 4)
    assert down.weight.grad is None


def test_threads_and_runs_agree_bit_by_bit(make_tensor):
    """Large enough for MKL to share products among threads if it were left to."""
    tensor = with_gradient(make_tensor(100, (20, 20), 32, dtype=torch.float32))
    layers = [SubmanifoldConv2d(32, 48, bias=False), SparseConv2d(48, 64, 2, stride=2, bias=False)]
    results = []
    for threads in (1, 2, 2, 1):
        torch.set_num_threads(threads)
        output = layers[1](layers[0](tensor)).features
        inputs = (tensor.features, layers[0].weight, layers[1].weight)
        results.append([output.detach(), *gradients(output / 50, *inputs)])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.usefixtures("threads")
def test_single_precision_with_threads(make_tensor):
    tensor = make_tensor(60, (20, 20), 16, dtype=torch.float32)
    layer = SubmanifoldConv2d(16, 16)
    torch.testing.assert_close(layer(tensor).features, read(conv2d(tensor, layer), tensor), atol=1e-4, rtol=1e-4)


def test_input_is_never_changed(make_tensor):
    tensor = make_tensor()
    features, sites = tensor.features.clone(), tensor.sites.clone()
    SparseConv2d(4, 4, 2, stride=2).double()(SubmanifoldConv2d(4, 4).double()(tensor))
    assert torch.equal(tensor.features, features)
    assert torch.equal(tensor.sites, sites)


def test_errors(make_tensor):
    with pytest.raises(ValueError, match="odd kernel"):
        SubmanifoldConv2d(4, 4, 2)
    with pytest.raises(ValueError, match="multiples of groups"):
        SubmanifoldConv2d(4, 6, groups=4)
    with pytest.raises(ValueError, match="stride must be at least 1"):
        SparseConv2d(4, 4, 2, stride=0)
    with pytest.raises(ValueError, match="needs 5 channels, the tensor has 4"):
        SubmanifoldConv2d(5, 4).double()(make_tensor())
    with pytest.raises(ValueError, match="too small"):
        SparseConv2d(4, 4, 9).double()(make_tensor())


@pytest.mark.parametrize("channels", [3, 16])
def test_a_residual_is_added_within(make_tensor, channels, precision):
    tensor = make_tensor(channels=channels)
    layer = SubmanifoldConv2d(channels, channels).double()
    onto = torch.randn(len(tensor), channels, dtype=torch.float64, requires_grad=True)
    x = tensor.features.requires_grad_()
    results = []
    for y in (layer(tensor, onto=onto).features, layer(tensor).features + onto):
        gradients = torch.autograd.grad((y**2).sum(), (x, onto, layer.weight), create_graph=True)
        second = torch.autograd.grad(sum((g**2).sum() for g in gradients), (x, onto, layer.weight))
        results.append([y, *gradients, *second])
    for within, after in zip(*results, strict=True):
        assert_equal(within, after, precision)


@pytest.mark.parametrize(("inputs", "outputs"), [(33, 48), (80, 16), (64, 112), (9, 80)])
def test_many_channels_equal_dense(make_tensor, inputs, outputs):
    """Tiles of one, two and three vectors, several rows of tiles, and channels that fill no whole vector."""
    tensor = make_tensor(batch_size=9, shape=(9, 8), channels=inputs, dtype=torch.float32)
    layer = SubmanifoldConv2d(inputs, outputs)
    x = tensor.features.requires_grad_()
    given = torch.randn(len(tensor), outputs)
    wanted = x, *layer.parameters()
    ours = layer(tensor).features
    dense = read(conv2d(tensor, layer), tensor)
    torch.testing.assert_close(ours, dense, atol=1e-4, rtol=1e-4)
    for mine, theirs in zip(
        torch.autograd.grad(ours, wanted, given), torch.autograd.grad(dense, wanted, given), strict=True
    ):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)


def test_mixed_types_are_refused(make_tensor):
    with pytest.raises(
        TypeError, match=r"features are torch\.float32, but the weights of the layer are torch\.float64"
    ):
        SubmanifoldConv2d(4, 4).double()(make_tensor(dtype=torch.float32))


@pytest.mark.parametrize("shape", [(0, 4), (1, 4), (-1, 3)])
def test_a_residual_of_another_shape_is_refused(make_tensor, shape):
    tensor = make_tensor()
    onto = torch.zeros(len(tensor) if shape[0] < 0 else shape[0], shape[1], dtype=torch.float64)
    with pytest.raises(ValueError, match="what the result is added to must be"):
        SubmanifoldConv2d(4, 4).double()(tensor, onto=onto)


def test_a_residual_keeps_its_precision_under_autocast(make_tensor):
    tensor = make_tensor(dtype=torch.float32)
    layer, onto = SubmanifoldConv2d(4, 4, bias=False), torch.full((len(tensor), 4), 1000.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        within = layer(tensor, onto=onto).features
        after = layer(tensor).features + onto
    assert within.dtype == torch.float32
    assert torch.equal(within, after)
