"""Course and steering: what sites are told of the second moment is what comes of it, and in time to act on it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from learning import learn

from hepimg.expansion.course import Course
from hepimg.expansion.network import Expansion
from hepimg.expansion.order import ranks_of
from hepimg.expansion.pyramid import Level, Pyramid
from hepimg.expansion.steering import Steering
from hepimg.grid import Grid
from hepimg.images import SparseImages
from hepimg.sparse import SparseTensor

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPE = (12, 8)
GRID = Grid.model_validate({"eta": (-1, 1), "phi": (-1, 1), "shape": SHAPE})


def jets(seed: int, n: int = 4, occupancy: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    dense = rng.exponential(20, (n, *SHAPE)) * (rng.random((n, *SHAPE)) < occupancy)
    return dense.astype(np.float32).astype(np.float64)


def level_of(dense: np.ndarray) -> Level:
    return Pyramid.of(SparseImages.from_dense(dense, GRID), 1).levels[0]


def one_cell() -> np.ndarray:
    dense = np.zeros((1, *SHAPE))
    dense[0, 3, 5] = 40.0
    return dense


def second_moment(image: np.ndarray) -> float:
    """Slow and obvious, in half heights and half widths of the image."""
    z = image / image.sum()
    rows, columns = ((np.arange(n) + 0.5) / (n / 2) for n in image.shape)
    y, x = (z.sum(1) * rows).sum(), (z.sum(0) * columns).sum()
    return (z * ((rows[:, None] - y) ** 2 + (columns - x) ** 2)).sum()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.02, 0.9))
def test_all_moves_together_give_the_second_moment_of_the_finer_image(seed, occupancy):
    dense = jets(seed, occupancy=occupancy)
    level = level_of(dense)
    course = Course.of(level)
    done = course.nothing().index_add(0, course.image, course.moves(level.children))
    now = course.now(done, torch.arange(len(dense)))
    torch.testing.assert_close(done[:, 3], course.leeway_of_all)
    coarse = dense.reshape(-1, SHAPE[0] // 2, 2, SHAPE[1] // 2, 2).sum((2, 4))
    size = course.size.item()
    np.testing.assert_allclose(size, 1 / SHAPE[0] ** 2 + 1 / SHAPE[1] ** 2)  # half a fine cell each way
    for image in range(len(dense)):
        if dense[image].any():
            np.testing.assert_allclose(course.start[image], second_moment(coarse[image]) + 2 * size, rtol=1e-12)
            np.testing.assert_allclose(now[image], second_moment(dense[image]) + size, rtol=1e-10)
        else:
            assert now[image] == course.start[image]


@pytest.mark.parametrize("dense", [one_cell(), jets(5, 1)])
def test_leeway_is_the_variance_of_what_a_site_adds(dense):
    course = Course.of(level_of(dense))
    energy = course.total[course.image] * course.fraction
    for site in range(len(energy)):
        ways = [torch.full((4,), 0.25, dtype=torch.float64)] * 4 + list(torch.eye(4, dtype=torch.float64))
        moves = torch.cat([course.moves(energy[[site]] * way, [site]) for way in ways])
        added = course.now(moves, course.image[[site] * 8]) - course.start[course.image[site]]
        torch.testing.assert_close(added.var(correction=0), course.leeway[site])


def test_decisions_before_each_site_are_those_of_its_image_that_come_earlier():
    level = level_of(jets(1, occupancy=0.5))
    course = Course.of(level)
    moves = course.moves(level.children)
    for name in ("sites", "colours", "none"):
        order = ranks_of(name, level.support, level.energy)
        done = course.done_before(moves, order)
        for site in range(len(order)):
            earlier = (course.image == course.image[site]) & (order < order[site])
            torch.testing.assert_close(done[site], moves[earlier].sum(0))
    chosen = torch.tensor([7, 2])
    assert torch.equal(course.moves(level.children[chosen], chosen), moves[chosen])


@pytest.mark.parametrize(
    "dense",
    [np.zeros((0, *SHAPE)), np.zeros((2, *SHAPE)), one_cell(), np.concatenate([jets(2), one_cell(), 0 * one_cell()])],
)
def test_no_images_blank_ones_and_those_of_one_cell_can_be_steered(dense):
    level = level_of(dense)
    course, steering = Course.of(level), Steering(8)
    support = level.support
    tensor = SparseTensor(torch.ones(len(level.energy), 8), support.sites, support.shape, support.batch_size)
    order = ranks_of("sites", support, level.energy)
    aim = steering.aim(tensor, course)
    told = steering(aim, course, course.done_before(course.moves(level.children), order))
    assert told.shape == (len(level.energy), 8)
    assert torch.isfinite(told).all()
    assert torch.isfinite(aim).all()
    assert (aim[:, 1] > 0).all()
    told.sum().backward()
    assert all(torch.isfinite(weight.grad).all() for weight in steering.parameters())


@pytest.mark.parametrize("order", ["sites", "colours"])
def test_sites_are_told_the_same_when_they_are_drawn_as_when_they_are_learned_from(order):
    torch.manual_seed(0)
    net = Expansion(1, channels=8, blocks=(1,), kernel=3, order=(order,)).eval()
    stage = net.stages[0]
    with torch.no_grad():
        stage.steering.steer.weight.mul_(10)
        stage.steering.aims[-1].bias[1] = -3  # narrow
    told = []
    stage.steering.register_forward_hook(lambda *arguments: told.append(arguments[-1].detach()))
    dense = np.concatenate([jets(2, occupancy=0.5), one_cell(), 0 * one_cell()])
    low = SparseImages.from_dense(
        dense.reshape(-1, SHAPE[0] // 2, 2, SHAPE[1] // 2, 2).sum((2, 4)),
        Grid.model_validate({"eta": (-1, 1), "phi": (-1, 1), "shape": (SHAPE[0] // 2, SHAPE[1] // 2)}),
    )
    drawn = net.sample(low, GRID, np.arange(len(dense)), seed=1, draw=0)
    when_drawn, told = torch.cat(told), []
    list(net.nll(Pyramid.of(drawn, 1)))
    ranks = ranks_of(order, (level := Pyramid.of(drawn, 1).levels[0]).support, level.energy)
    when_learned = told[0][torch.argsort(ranks, stable=True)]
    torch.testing.assert_close(when_drawn, when_learned, rtol=1e-3, atol=1e-3)
    assert when_learned.std(0).min() > 0.1


@pytest.mark.parametrize("is_steered", [True, False])
def test_a_mass_that_no_cell_could_bring_about_alone_is_learned(is_steered):
    """Of two equal cells, too far apart to hear each other, one moves inwards and the other outwards: I is the same."""
    lower = np.random.default_rng(0).integers(0, 2, 256)
    fine = np.zeros((256, 16, 16))
    fine[np.arange(256), 4 + lower, 6] = fine[np.arange(256), 10 + lower, 6] = 50
    images = SparseImages.from_dense(fine, Grid.square(1.0, 16))
    torch.manual_seed(0)
    net = Expansion(1, channels=16, blocks=(1,), kernel=3)
    steer = net.stages[0].steering.steer.weight
    if not is_steered:
        torch.nn.init.zeros_(steer).requires_grad_(requires_grad=False)
    learn(net, images, steps=80)
    low = SparseImages.from_dense(fine.reshape(256, 8, 2, 8, 2).sum((2, 4)), Grid.square(1.0, 8))
    drawn = net.sample(low, images.grid, np.arange(256), 1, 0).dense()[:, 0].sum(2)
    lower = drawn[:, [5, 11]] > drawn[:, [4, 10]]
    assert 0.3 < lower.mean() < 0.7
    assert abs((lower[:, 0] == lower[:, 1]).mean() - (1.0 if is_steered else 0.5)) < (0.05 if is_steered else 0.15)
