"""super_resolution: exact on pooled images, corrected where low ones were made on their own, clear about bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hepimg.components import Image
from hepimg.dataset import Dataset, Part
from hepimg.errors import DataError
from hepimg.expansion.pyramid import Pyramid
from hepimg.expansion.shares import Bounds
from hepimg.grid import Grid
from hepimg.images import SparseImages
from hepimg.kernels.pool import pool
from hepimg.sample import Sample
from hepimg.shards import write_shard
from hepimg.testing import check_component, check_task, make_run
from hepimg_superres import hepimg_tasks
from hepimg_superres.correction import NONE, OTHER, SAME, Correction, LowCells
from hepimg_superres.sharpener import Batch, Sharpener
from hepimg_superres.super_resolution import SuperResolution

pytestmark = pytest.mark.usefixtures("one_thread")

FINE, COARSE = Grid.square(1.0, 16), Grid.square(1.0, 4)
OPTIONS = {
    "threshold": 0.5,
    "draws": 2,
    "network": {"channels": 8, "blocks": [1], "kernel": 3},
    "fit": {"epochs": 1, "batch_size": 16, "learning_rate": 1e-2, "ema": 0.5},
}


def jets(rows: int, seed: int = 0, keep: float = 1.0) -> Sample:
    """Random fine images, the last one empty, and what they are pooled; a fraction of low cells has more than that."""
    rng = np.random.default_rng(seed)
    dense = (0.5 + rng.exponential(10, (rows, 16, 16))) * (rng.random((rows, 16, 16)) < 0.1)
    dense[-1] = 0
    high = SparseImages.from_dense(dense, FINE)
    low = SparseImages(COARSE, high.channels, *pool(high.offsets, high.cells, high.values, (16, 16), (4, 4), "sum"))
    if keep < 1:
        more = low.dense()[:, 0] * np.where(rng.random((rows, 4, 4)) < keep, 1, 2)
        low = SparseImages.from_dense(more, COARSE)
    columns = {"event": np.arange(rows), "weight": np.ones(rows, np.float32)}
    return Sample(columns, images={"hr": high, "lr": low})


def dataset(folder: Path, sample: Sample) -> Dataset:
    path = folder / "jets.arrow"
    write_shard(path, sample)
    return Dataset((Part(0, path, 0, np.arange(len(sample))),), ("jets",))


def pooled(images: SparseImages) -> np.ndarray:
    arrays = pool(images.offsets, images.cells, images.values, (16, 16), (4, 4), "sum")
    return SparseImages(COARSE, images.channels, *arrays).dense()


def test_contract():
    assert SuperResolution in hepimg_tasks()
    check_component(SuperResolution)
    check_task(SuperResolution.model_validate(OPTIONS), {"jets": jets(32)})


def test_pooling_gives_back_the_low_image_and_draws_differ(tmp_path):
    task, sample = SuperResolution.model_validate(OPTIONS), jets(40)
    data = dataset(tmp_path, sample)
    run = make_run(tmp_path)
    state = task.fit(data, data, run)
    rows = data.load()
    said = task.predict(state, rows, run)
    assert list(said) == ["image", "draw2"]
    for images in said.values():
        np.testing.assert_allclose(pooled(images), rows.image("lr").dense(), rtol=1e-6)
        assert images.counts[-1] == 0
        assert images.values.min() >= 0.5 * (1 - 1e-6)
    assert said["image"] != said["draw2"]


def test_a_low_image_of_its_own_is_corrected():
    """Low cells hold twice the energy in three of ten cases: so do those that are drawn."""
    sample = jets(128, keep=0.7)
    cells = LowCells.of(sample.image("lr"), Pyramid.of(sample.image("hr"), 2).levels[0])
    torch.manual_seed(0)
    network = Correction(8, blocks=1, kernel=3)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        network(cells, torch.ones(128)).backward()
        optimizer.step()
    low = sample.image("lr")
    drawn = network.eval().sample(low, np.arange(128), seed=1, draw=0)
    there = low.dense() > 0
    assert not drawn.dense()[~there].any()
    ratio = drawn.dense()[there] / low.dense()[there]
    ratio = ratio[ratio > 0]
    assert len(ratio) > 0.95 * there.sum()
    assert np.mean(ratio == 1) == pytest.approx(0.7, abs=0.1)
    assert np.median(ratio[ratio != 1]) == pytest.approx(0.5, abs=0.05)
    least = float(np.median(low.values))
    network.threshold = least
    assert network.sample(low, np.arange(128), seed=1, draw=0).values.min() == np.float32(least)


def test_rows_that_count_twice_are_as_good_as_rows_that_are_there_twice():
    sample = jets(12, keep=0.7)
    twice = np.array([2.0] * 5 + [1.0] * 7)
    torch.manual_seed(0)
    network = Sharpener(2, Bounds(), correct=True, channels=4, blocks=(1,), kernel=3)

    def loss(rows, weight):
        some = sample[rows]
        return network(Batch.of(some.image("hr"), some.image("lr"), 2, weight))

    weighted = loss(np.arange(12), twice / twice.mean())
    repeated = loss(np.repeat(np.arange(12), twice.astype(int)), np.ones(17))
    torch.testing.assert_close(weighted, repeated)


def test_corrected_images_are_expanded(tmp_path):
    task = SuperResolution.model_validate({**OPTIONS, "correct": True, "draws": 1})
    data = dataset(tmp_path, jets(48, keep=0.7))
    run = make_run(tmp_path)
    image = task.predict(task.fit(data, data, run), data.load(), run)["image"]
    assert image.grid == FINE
    assert image.counts[-1] == 0


def test_kinds_of_low_cells():
    low = SparseImages.from_dense([[[4.0, 2.0], [3.0, 0.0]]], Grid.square(1.0, 2))
    fine = np.zeros((1, 4, 4))
    fine[0, 0, 0], fine[0, 1, 1] = 1, 3  # the first cell's energy
    fine[0, 2, 0] = 1.5  # half of the third's
    fine[0, 3, 3] = 9  # under an empty one
    cells = LowCells.of(low, Pyramid.of(SparseImages.from_dense(fine, Grid.square(1.0, 4)), 1).levels[0])
    assert cells.kind.tolist() == [SAME, NONE, OTHER]
    np.testing.assert_allclose(cells.ratio, [0, 0, np.log(0.5)])
    empty = SparseImages.empty(1, Grid.square(1.0, 4))
    assert LowCells.of(low, Pyramid.of(empty, 1).levels[0]).kind.tolist() == [NONE] * 3


def test_bad_input_is_named(tmp_path):
    data = dataset(tmp_path, jets(40, keep=0.7))
    with pytest.raises(DataError, match=r"lr is not hr, pooled.*correct: true"):
        SuperResolution.model_validate(OPTIONS).fit(data, data, make_run(tmp_path))
    with pytest.raises(ValueError, match="that of no number of cells"):
        SuperResolution(threshold=1.0, ceiling=1.5)
    with pytest.raises(DataError, match="above the ceiling of 1"):
        SuperResolution.model_validate({**OPTIONS, "ceiling": 1}).fit(data, data, make_run(tmp_path))
    with pytest.raises(DataError, match="below the threshold of 2"):
        SuperResolution.model_validate({**OPTIONS, "threshold": 2}).fit(data, data, make_run(tmp_path))
    ports = {"hr": Image("hr", FINE), "lr": Image("lr", Grid.square(0.9, 4))}
    with pytest.raises(ValueError, match="make it with the step pool"):
        SuperResolution().writes(ports)
    with pytest.raises(ValueError, match="hr is no image"):
        SuperResolution().writes({})
