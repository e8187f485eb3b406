"""Balance: what sites are told of the centroid is where it is, and in time to act on it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from learning import learn

from hepimg.expansion.balance import Balance
from hepimg.expansion.course import Course
from hepimg.expansion.network import Expansion
from hepimg.expansion.order import ranks_of
from hepimg.expansion.pyramid import Pyramid
from hepimg.grid import Grid
from hepimg.images import SparseImages

pytestmark = pytest.mark.usefixtures("one_thread")

SIDE = 8
GRID = Grid.square(1.0, SIDE)


def jets(seed: int, n: int = 4, occupancy: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    dense = rng.exponential(20, (n, SIDE, SIDE)) * (rng.random((n, SIDE, SIDE)) < occupancy)
    return dense.astype(np.float32).astype(np.float64)


def pyramid_of(dense: np.ndarray) -> Pyramid:
    return Pyramid.of(SparseImages.from_dense(dense, Grid.square(1.0, dense.shape[1])), 1)


def pool(dense: np.ndarray) -> np.ndarray:
    half = dense.shape[1] // 2
    return dense.reshape(-1, half, 2, half, 2).sum((2, 4))


def centroid(image: np.ndarray) -> list[float]:
    """Slow and obvious: from the middle, in half widths."""
    n, total = len(image), image.sum()
    return [
        sum(image[i, j] * ((i, j)[axis] + 0.5 - n / 2) for i in range(n) for j in range(n)) / total / (n / 2)
        for axis in (0, 1)
    ]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.02, 0.9))
def test_all_moves_together_bring_the_centroid_to_that_of_the_finer_image(seed, occupancy):
    dense = jets(seed, occupancy=occupancy)
    level = pyramid_of(dense).levels[0]
    course = Course.of(level)
    done = course.nothing().index_add(0, course.image, course.moves(level.children))
    torch.testing.assert_close(done[:, 4], course.squares)
    for image in range(len(dense)):
        if dense[image].any():
            coarse = pool(dense)[image]
            np.testing.assert_allclose(course.centroid[image], centroid(coarse), rtol=0, atol=1e-12)
            np.testing.assert_allclose(course.centroid[image] + done[image, 1:3], centroid(dense[image]), atol=1e-12)
            np.testing.assert_allclose(course.squares[image], ((coarse / coarse.sum()) ** 2).sum())


@pytest.mark.parametrize("dense", [jets(0, 0), np.zeros((2, SIDE, SIDE)), np.concatenate([jets(2), 0 * jets(1)])])
def test_no_images_and_blank_ones_can_be_balanced(dense):
    level = pyramid_of(dense).levels[0]
    course, balance = Course.of(level), Balance(8)
    order = ranks_of("sites", level.support, level.energy)
    told = balance(course, course.done_before(course.moves(level.children), order))
    assert told.shape == (len(level.energy), 8)
    assert torch.isfinite(told).all()
    told.sum().backward()
    assert torch.isfinite(balance.tell.weight.grad).all()


@pytest.mark.parametrize("order", ["sites", "colours"])
def test_sites_are_told_the_same_when_they_are_drawn_as_when_they_are_learned_from(order):
    torch.manual_seed(0)
    net = Expansion(1, channels=8, blocks=(1,), kernel=3, order=(order,), centred=True).eval()
    told = []
    net.stages[0].balance.register_forward_hook(lambda *arguments: told.append(arguments[-1].detach()))
    dense = np.concatenate([jets(2, occupancy=0.5), 0 * jets(1)])
    low = SparseImages.from_dense(pool(dense), Grid.square(1.0, SIDE // 2))
    drawn = net.sample(low, GRID, np.arange(len(dense)), seed=1, draw=0)
    when_drawn, told = torch.cat(told), []
    list(net.nll(Pyramid.of(drawn, 1)))
    level = Pyramid.of(drawn, 1).levels[0]
    when_learned = told[0][torch.argsort(ranks_of(order, level.support, level.energy), stable=True)]
    torch.testing.assert_close(when_drawn, when_learned, rtol=1e-3, atol=1e-3)
    assert when_learned.std(0).min() > 0.1


@pytest.mark.parametrize("is_told", [True, False])
def test_a_centroid_that_no_cell_could_bring_about_alone_is_learned(is_told):
    """Two equal cells, too far apart to hear each other, move inwards or outwards together: the centroid stays."""
    inwards = np.random.default_rng(0).integers(0, 2, 256)
    fine = np.zeros((256, 16, 16))
    fine[np.arange(256), 4 + inwards, 7] = fine[np.arange(256), 11 - inwards, 8] = 50
    images = SparseImages.from_dense(fine, Grid.square(1.0, 16))
    torch.manual_seed(0)
    net = Expansion(1, channels=16, blocks=(1,), kernel=3, centred=True)
    stage = net.stages[0]
    torch.nn.init.zeros_(stage.steering.steer.weight).requires_grad_(requires_grad=False)
    if not is_told:
        torch.nn.init.zeros_(stage.balance.tell.weight).requires_grad_(requires_grad=False)
    learn(net, images, steps=80)
    low = SparseImages.from_dense(pool(fine), Grid.square(1.0, 8))
    drawn = net.sample(low, images.grid, np.arange(256), 1, 0).dense()[:, 0].sum(2)
    inwards = drawn[:, [5, 10]] > drawn[:, [4, 11]]
    assert 0.3 < inwards.mean() < 0.7
    assert abs((inwards[:, 0] == inwards[:, 1]).mean() - (1.0 if is_told else 0.5)) < (0.05 if is_told else 0.15)
