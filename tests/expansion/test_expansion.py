"""Expansion: exact by construction, draws follow the likelihood, and what is learned is drawn."""

import numpy as np
import pytest
import torch
from learning import learn

from hepimg.expansion.course import Course
from hepimg.expansion.network import Expansion, describe
from hepimg.expansion.order import ranks_of
from hepimg.expansion.pyramid import Pyramid
from hepimg.expansion.shares import PATTERNS, Bounds, pattern_of
from hepimg.grid import Grid
from hepimg.images import SparseImages
from hepimg.kernels.pool import pool
from hepimg.sparse import SparseTensor
from hepimg.sparse.ordered import OrderedConv2d

pytestmark = pytest.mark.usefixtures("one_thread")

FINE, COARSE = Grid.square(1.0, 16), Grid.square(1.0, 4)


def jets(n: int, grid: Grid, seed: int = 0, occupancy: float = 0.3) -> SparseImages:
    rng = np.random.default_rng(seed)
    dense = (0.5 + rng.exponential(20, (n, *grid.shape))) * (rng.random((n, *grid.shape)) < occupancy)
    if n:
        dense[-1] = 0
    return SparseImages.from_dense(dense, grid)


def network(stages: int = 2, **options) -> Expansion:
    torch.manual_seed(0)
    return Expansion(stages, channels=8, blocks=(1,), kernel=3, **options).eval()


@pytest.mark.parametrize("order", [("colours",), ("sites", "none")])
def test_pooling_what_is_drawn_gives_back_what_was_given(order):
    low = jets(6, COARSE)
    drawn = network(bounds=Bounds(0.1), order=order).sample(low, FINE, np.arange(6), seed=1, draw=0)
    assert drawn.grid == FINE
    offsets, cells, values = pool(drawn.offsets, drawn.cells, drawn.values, FINE.shape, (4, 4), "sum")
    np.testing.assert_array_equal(offsets, low.offsets)
    np.testing.assert_array_equal(cells, low.cells)
    np.testing.assert_allclose(values, low.values, rtol=5e-7)
    assert drawn.values.min() >= 0.1 * (1 - 1e-6)
    assert drawn.counts[-1] == 0  # blank gives blank


def test_images_that_have_gone_through_some_stages_go_through_the_others():
    net, rows = network(3, centred=True), np.arange(6)
    low = jets(6, COARSE)
    fine = FINE.model_copy(update={"shape": (2 * FINE.shape[0], 2 * FINE.shape[1])})
    drawn = net.sample(low, fine, rows, seed=1, draw=0)
    for factor in (4, 2, 1):
        pooled = pool(drawn.offsets, drawn.cells, drawn.values, fine.shape, (factor, factor), "sum")
        again = net.sample(SparseImages(fine.pooled(factor), drawn.channels, *pooled), fine, rows, seed=1, draw=0)
        np.testing.assert_array_equal(again.cells, drawn.cells)
        np.testing.assert_allclose(again.values, drawn.values, rtol=1e-4)


def test_nothing_gives_nothing():
    for n in (0, 2):
        low = SparseImages.empty(n, COARSE)
        drawn = network().sample(low, FINE, np.arange(n), seed=1, draw=0)
        assert len(drawn) == n
        assert not len(drawn.cells)
        assert torch.isfinite(network()(Pyramid.of(SparseImages.empty(2, FINE), 2), torch.ones(2)))


def test_draws_belong_to_row_and_number_not_to_the_batch():
    low, net = jets(5, COARSE), network()
    rows = np.array([7, 3, 11, 2, 5])
    together = net.sample(low, FINE, rows, seed=1, draw=0)
    apart = SparseImages.concatenate(
        [net.sample(low[k], FINE, rows[k : k + 1], seed=1, draw=0) for k in (0, 1, 2, 3, 4)]
    )
    np.testing.assert_array_equal(together.cells, apart.cells)
    np.testing.assert_allclose(together.values, apart.values, rtol=1e-4)
    assert together == net.sample(low, FINE, rows, seed=1, draw=0)
    assert together != net.sample(low, FINE, rows, seed=1, draw=1)
    assert together != net.sample(low, FINE, rows, seed=2, draw=0)


def test_an_ordered_convolution_hears_earlier_sites_only():
    random = torch.Generator().manual_seed(1)
    sites = (torch.rand(2, 6, 5, generator=random) < 0.6).nonzero()
    tensor = SparseTensor(torch.randn(len(sites), 3, generator=random), sites, (6, 5), 2)
    order = torch.randint(0, 3, (len(sites),), generator=random)
    layer = OrderedConv2d(3, 4, 3, bias=False)
    output = layer(tensor, order).features
    for out in range(len(sites)):
        expected = torch.zeros(4)
        for other in range(len(sites)):
            step = sites[other] - sites[out]
            if step[0] == 0 and step[1:].abs().max() <= 1 and order[other] < order[out]:
                expected += layer.weight[:, :, step[1] + 1, step[2] + 1] @ tensor.features[other]
        torch.testing.assert_close(output[out], expected, rtol=1e-5, atol=1e-5)
    for now in range(3):
        mine = order == now
        torch.testing.assert_close(layer(tensor, order, now).features[mine], output[mine])


def test_the_hardest_sites_of_each_image_are_decided_first():
    level = Pyramid.of(jets(4, FINE), 1).levels[0]
    support, energy = level.support, level.energy
    one_by_one, four, at_once = (ranks_of(order, support, energy) for order in ("sites", "colours", "none"))
    assert not at_once.any()
    for image in range(3):
        mine = support.images.index == image
        assert torch.equal(one_by_one[mine], (-energy[mine]).argsort().argsort())
        sums = [energy[mine & (four == rank)].sum() for rank in range(4)]
        assert sums == sorted(sums, reverse=True)
        for rank in range(4):
            sites = support.sites[mine & (four == rank)]
            assert len(sites)
            assert (sites % 2 == sites[0] % 2)[:, 1:].all()
    equal = ranks_of("sites", support, torch.ones_like(energy))
    assert torch.equal(equal[support.images.index == 0], torch.arange((support.images.index == 0).sum()))


@pytest.mark.parametrize("name", ["colours", "sites"])
def test_no_site_knows_of_those_after_it(name):
    """Change the children of the sites of one rank: the likelihood of those of the same and of lower ranks stays."""
    images = jets(3, FINE, occupancy=0.5)
    level = Pyramid.of(images, 1).levels[0]
    net = network(1)
    course = Course.of(level)
    tensor, _ = net.stages[0](describe(level, None, course), None)
    order = ranks_of(name, level.support, level.energy)
    before = net.stages[0].nll(tensor, level, course, order)
    for rank in range(4):
        mine = (order == rank)[:, None]
        swapped = torch.where(mine, level.children.flip(1), level.children)
        other = type(level)(level.support, level.energy, level.slots, swapped)
        after = net.stages[0].nll(tensor, other, course, order)
        untouched = (order < rank) | ((order == rank) & (swapped == level.children).all(1))
        assert torch.equal(before[untouched], after[untouched])
        if rank < 3:
            assert not torch.equal(before[order > rank], after[order > rank])


def test_draws_follow_the_likelihood():
    """The mean of 1 / p(drawn) is the number of possibilities, for sites that know others, too."""
    low = SparseImages.from_dense(np.full((1500, 2, 2), 30.0), Grid.square(1.0, 2))
    net = network(1)
    with torch.no_grad():
        drawn = net.sample(low, Grid.square(1.0, 4), np.arange(1500), seed=3, draw=0)
        level = Pyramid.of(drawn, 1).levels[0]
        course = Course.of(level)
        tensor, _ = net.stages[0](describe(level, None, course), None)
        order = ranks_of("sites", level.support, level.energy)
        numbers = torch.rand(6000, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        children = net.stages[0].sample(tensor, level, course, order, numbers)
        again = type(level)(level.support, level.energy, level.slots, children)
        probability = torch.exp(-net.stages[0].nll(tensor, again, course, order)[:, 0])
    for rank in range(4):
        inverse = 1 / probability[order == rank].double()
        assert abs(inverse.mean() - PATTERNS) < 4 * inverse.std() / len(inverse) ** 0.5
    assert len(pattern_of(children).unique()) == PATTERNS


def test_what_is_learned_is_drawn():
    """Every cell has all its energy in its last child, but for hard cells, which share it evenly over a diagonal."""
    rng = np.random.default_rng(0)
    low = rng.choice([1.0, 100.0], (64, 4, 4)) * (rng.random((64, 4, 4)) < 0.5)
    fine = np.zeros((64, 8, 8))
    fine[:, 1::2, 1::2] = np.where(low == 100, 50, low)
    fine[:, ::2, ::2] = np.where(low == 100, 50, 0)
    images = SparseImages.from_dense(fine, Grid.square(1.0, 8))
    torch.manual_seed(0)
    net = Expansion(1, channels=16, blocks=(1,), kernel=3, emphasis=1.0)
    learn(net, images, steps=60)
    drawn = net.sample(SparseImages.from_dense(low, Grid.square(1.0, 4)), images.grid, np.arange(64), 1, 0)
    same = (drawn.dense() > 0) == (images.dense() > 0)
    assert same.mean() > 0.99
    np.testing.assert_allclose(np.median(drawn.values[drawn.values > 10]), 50, rtol=0.05)


def test_a_dense_body_computes_where_nothing_is():
    """It is as exact, and feels empty cells: its features are those of torch's layers, read at the sites."""
    low = jets(3, COARSE)
    torch.manual_seed(0)
    net = Expansion(2, channels=8, blocks=(1,), kernel=3, bounds=Bounds(0.1), dense=True).eval()
    drawn = net.sample(low, FINE, np.arange(3), seed=1, draw=0)
    *_, values = pool(drawn.offsets, drawn.cells, drawn.values, FINE.shape, (4, 4), "sum")
    np.testing.assert_allclose(values, low.values, rtol=5e-7)
    level = Pyramid.of(jets(3, FINE), 2).levels[0]
    known = describe(level, None, Course.of(level))
    features, dense = net.stages[0].body(known, None)
    image, row, column = level.support.sites.long().unbind(1)
    assert torch.equal(features, dense[image, :, row, column])


def test_all_bodies_speak_as_loudly_of_what_is_there():
    """Empty cells are many: spoke they too, all sites of an image would feel the same."""
    dense = np.zeros((3, 128**2))
    dense.ravel()[np.random.default_rng(1).choice(dense.size, 60, replace=False)] = np.linspace(1, 100, 60)
    level = Pyramid.of(SparseImages.from_dense(dense.reshape(3, 128, 128), Grid.square(1.0, 128)), 1).levels[0]
    known = describe(level, None, Course.of(level))
    spreads = []
    for is_dense in (False, True):
        torch.manual_seed(0)
        net = Expansion(1, channels=32, blocks=(2,), kernel=5, dense=is_dense)
        features, _ = net.stages[0].body(known, None)
        spreads.append(features.std(0).mean().item())
    assert spreads[1] == pytest.approx(spreads[0], rel=0.5)
