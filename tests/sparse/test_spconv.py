"""The spconv package as an independent oracle, and the engine that uses it.  On one thread, where it is right."""

import pytest
import torch

from hepimg.sparse import SparseConv2d, SubmanifoldConv2d, use_engine

spconv = pytest.importorskip("spconv.pytorch")


def as_spconv(tensor):
    return spconv.SparseConvTensor(tensor.features, tensor.sites.int(), list(tensor.shape), tensor.batch_size)


def weight_for_spconv(layer):
    return torch.nn.Parameter(layer.weight.detach().permute(0, 2, 3, 1).contiguous())


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("dilation", [1, 2])
def test_submanifold_equals_spconv(make_tensor, dilation):
    tensor = make_tensor(8, (12, 12), 8, dtype=torch.float32)
    layer = SubmanifoldConv2d(8, 16, dilation=dilation, bias=False)
    oracle = spconv.SubMConv2d(8, 16, 3, dilation=dilation, bias=False, algo=spconv.ConvAlgo.Native)
    oracle.weight = weight_for_spconv(layer)
    with torch.no_grad():
        torch.testing.assert_close(layer(tensor).features, oracle(as_spconv(tensor)).features, atol=1e-5, rtol=1e-5)


@pytest.mark.usefixtures("one_thread")
def test_strided_equals_spconv(make_tensor):
    tensor = make_tensor(8, (12, 12), 8, dtype=torch.float32)
    layer = SparseConv2d(8, 16, 3, stride=2, padding=1, bias=False)
    oracle = spconv.SparseConv2d(8, 16, 3, stride=2, padding=1, bias=False, algo=spconv.ConvAlgo.Native)
    oracle.weight = weight_for_spconv(layer)
    with torch.no_grad():
        ours, theirs = layer(tensor), oracle(as_spconv(tensor))
        image, row, column = theirs.indices.long().unbind(1)  # in an order of its own
        torch.testing.assert_close(ours.dense()[image, :, row, column], theirs.features, atol=1e-5, rtol=1e-5)
    assert len(ours) == len(theirs.features)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("occupancy", [0.0, 0.3])
def test_engine_equals_native(make_tensor, occupancy):
    tensor = make_tensor(8, (12, 12), 8, (False, True), occupancy, torch.float32)
    layers = torch.nn.Sequential(SubmanifoldConv2d(8, 16), SparseConv2d(16, 8, 2, stride=2))
    with torch.no_grad():
        native = layers(tensor).features
        with use_engine("spconv"):
            torch.testing.assert_close(layers(tensor).features, native, atol=1e-5, rtol=1e-5)


def test_engine_refuses_several_threads_on_the_cpu(make_tensor):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with use_engine("spconv"), pytest.raises(RuntimeError, match="wrong on the CPU with several threads"):
            SubmanifoldConv2d(4, 4).double()(make_tensor())
    finally:
        torch.set_num_threads(before)
