"""Course: what is told of the second moment while sites are decided is what comes out when all are."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hepimg.expansion import Expansion
from hepimg.expansion.course import Course
from hepimg.expansion.order import ranks_of
from hepimg.expansion.pyramid import Level, Pyramid
from hepimg.expansion.steering import Steering
from hepimg.grid import Grid
from hepimg.images import SparseImages
from hepimg.sparse import SparseTensor

SHAPE = (12, 8)


def level_of(seed: int, n: int = 4, occupancy: float = 0.3) -> tuple[np.ndarray, Level]:
    rng = np.random.default_rng(seed)
    dense = rng.exponential(20, (n, *SHAPE)) * (rng.random((n, *SHAPE)) < occupancy)
    dense = dense.astype(np.float32).astype(np.float64)
    grid = Grid.model_validate({"eta": (-1, 1), "phi": (-1, 1), "shape": SHAPE})
    return dense, Pyramid.of(SparseImages.from_dense(dense, grid), 1).levels[0]


def second_moment(image: np.ndarray) -> float:
    """Slow and obvious, in half widths of the image."""
    z = image / image.sum()
    rows, columns = ((np.arange(n) + 0.5) / (n / 2) for n in image.shape)
    y, x = (z.sum(1) * rows).sum(), (z.sum(0) * columns).sum()
    return (z * ((rows[:, None] - y) ** 2 + (columns - x) ** 2)).sum()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.02, 0.9))
def test_all_moves_together_give_the_second_moment_of_the_finer_image(seed, occupancy):
    dense, level = level_of(seed, occupancy=occupancy)
    course = Course.of(level.support, level.energy)
    moves = course.start().index_add(0, course.image, course.moves(level.children))
    growth = course.growth(moves, torch.arange(len(dense)))
    torch.testing.assert_close(moves[:, 3], course.leverage)
    coarse = dense.reshape(-1, SHAPE[0] // 2, 2, SHAPE[1] // 2, 2).sum((2, 4))
    size = course.size.item()
    np.testing.assert_allclose(size, 1 / SHAPE[0] ** 2 + 1 / SHAPE[1] ** 2)  # half a fine cell each way
    for image in range(len(dense)):
        if dense[image].any():
            before = second_moment(coarse[image]) + size
            after = second_moment(dense[image])
            np.testing.assert_allclose(course.moment[image], before, rtol=1e-12)
            np.testing.assert_allclose(growth[image], np.log((after + size) / (before + size)), atol=1e-12)
        else:
            assert growth[image] == 0


def test_decisions_before_each_site_are_those_of_its_image_that_come_earlier():
    _, level = level_of(1, occupancy=0.5)
    course = Course.of(level.support, level.energy)
    moves = course.moves(level.children)
    for name in ("sites", "colours", "none"):
        order = ranks_of(name, level.support, level.energy)
        before = course.before(moves, order)
        for site in range(len(order)):
            earlier = (course.image == course.image[site]) & (order < order[site])
            torch.testing.assert_close(before[site], moves[earlier].sum(0))
    chosen = torch.tensor([7, 2])
    assert torch.equal(course.moves(level.children[chosen], chosen), moves[chosen])


def test_no_images_and_images_of_one_cell_are_steered_too():
    one = np.zeros((1, *SHAPE))
    one[0, 3, 5] = 40.0
    grid = Grid.model_validate({"eta": (-1, 1), "phi": (-1, 1), "shape": SHAPE})
    for dense in (np.zeros((0, *SHAPE)), np.zeros((2, *SHAPE)), one):
        level = Pyramid.of(SparseImages.from_dense(dense, grid), 1).levels[0]
        course = Course.of(level.support, level.energy)
        steering = Steering(8)
        features = torch.ones(len(level.energy), 8)
        tensor = SparseTensor(features, level.support.sites, level.support.shape, level.support.batch_size)
        aim = steering.aim(tensor, course)
        moves = course.before(course.moves(level.children), torch.zeros(len(features), dtype=torch.int64))
        told = steering(aim, course, moves)
        assert told.shape == (len(features), 8)
        assert torch.isfinite(told).all()
        assert torch.isfinite(aim).all()
        assert (aim[:, 1] > 0).all()


def test_a_mass_that_no_cell_could_bring_about_alone_is_learned():
    """Of two equal cells, too far apart to hear each other, one moves inwards and the other outwards: I is the same."""
    rng = np.random.default_rng(0)
    upper = rng.integers(0, 2, 256)
    fine = np.zeros((256, 16, 16))
    fine[np.arange(256), 4 + upper, 6] = fine[np.arange(256), 10 + upper, 6] = 50
    images = SparseImages.from_dense(fine, Grid.square(1.0, 16))
    torch.manual_seed(0)
    net = Expansion(1, channels=16, blocks=(1,), kernel=3).train()
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    pyramid = Pyramid.of(images, 1)
    for _ in range(80):
        optimizer.zero_grad()
        net(pyramid, torch.ones(256)).backward()
        optimizer.step()
    low = SparseImages.from_dense(fine.reshape(256, 8, 2, 8, 2).sum((2, 4)), Grid.square(1.0, 8))
    drawn = net.eval().sample(low, images.grid, np.arange(256), 1, 0).dense()[:, 0]
    upwards = [drawn[:, rows].sum((1, 2)) > drawn[:, rows + 1].sum((1, 2)) for rows in (np.array([4]), np.array([10]))]
    assert (upwards[0] == upwards[1]).mean() > 0.95
    assert 0.3 < upwards[0].mean() < 0.7
