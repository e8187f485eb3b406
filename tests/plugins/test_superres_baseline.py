"""Super-resolution by simple rules: exact in energy, empty where the coarse image is, drawn from what was seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bars import Steps
from hepimg.components import Image, Predictions, State
from hepimg.config import load_analysis
from hepimg.dataset import Dataset
from hepimg.errors import DataError
from hepimg.grid import Grid
from hepimg.images import PT, Channel, SparseImages
from hepimg.learn import Learner
from hepimg.orders import StoredSample
from hepimg.sample import Sample
from hepimg.shards import write_shard
from hepimg.store import Cache
from hepimg.testing import check_task, datasets, make_run
from hepimg_superres.baselines.blocks import Cells, neighbours
from hepimg_superres.baselines.marginal import fit_marginal
from hepimg_superres.baselines.patches import Patches
from hepimg_superres.baselines.superres_baseline import SuperresBaseline

ANALYSIS = """\
title: noise
data: {{source: noise, rows: 8, split: [0.5, 0, 0.5]}}
samples:
  noise: {{}}
preprocess:
  - {{step: pixelate, grid: {{eta: [-1, 1], phi: [-1, 1], shape: [8, 8]}}, into: hr}}
  - {{step: pool, image: hr, factor: 2, into: lr}}
tasks:
  split: {{task: superres_baseline, how: marginal, {}}}
evaluate:
  - {{metric: images, image: split.image}}
"""

GRID = Grid.square(1.0, 16)
HOWS = ("uniform", "marginal", "nearest")
few = settings(max_examples=15, deadline=None)


def pooled(dense: np.ndarray[Any, Any], factor: int) -> np.ndarray[Any, Any]:
    """(n, rows, columns) sums over blocks."""
    n, rows, columns = dense.shape
    return np.asarray(dense.reshape(n, rows // factor, factor, columns // factor, factor).sum((2, 4)))


def pairs(n: int, factor: int = 4, seed: int = 1, occupancy: float = 0.05) -> Sample:
    """Random fine images, and the same pooled; every fifth is empty."""
    rng = np.random.default_rng(seed)
    dense = rng.exponential(10, (n, *GRID.shape)) * (rng.random((n, *GRID.shape)) < occupancy)
    dense[::5] = 0
    high = SparseImages.from_dense(dense.astype(np.float32), GRID)
    low = SparseImages.from_dense(pooled(high.dense()[:, 0].astype(float), factor), GRID.pooled(factor))
    columns = {"event": np.arange(n), "weight": np.ones(n), "row": np.arange(n) + 1000}
    return Sample(columns, images={"hr": high, "lr": low})


def trained(task: SuperresBaseline, sample: Sample, folder: Path) -> State:
    train, valid, _ = datasets({"jets": sample}, folder)
    return task.fit(train, valid, make_run(folder / "run"))


def told(task: SuperresBaseline, state: State, sample: Sample, folder: Path) -> Predictions:
    return task.predict(state, sample, make_run(folder / "run"))


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("factor", [2, 4])
def test_the_coarse_image_is_kept_and_empty_stays_empty(how: Any, factor: int, tmp_path: Path) -> None:
    task = SuperresBaseline(how=how, draws=3)
    state = trained(task, pairs(100, factor), tmp_path)
    sample = pairs(40, factor, seed=2, occupancy=0.2)
    said = told(task, state, sample, tmp_path)
    assert list(said) == ["image", "draw2", "draw3"]
    for images in said.values():
        assert isinstance(images, SparseImages)
        assert (images.grid, images.channels) == (GRID, sample.image("hr").channels)
        again = pooled(images.dense()[:, 0].astype(float), factor)
        np.testing.assert_allclose(again, sample.image("lr").dense()[:, 0], rtol=3e-7)
    distinct = {said[name].values.tobytes() for name in said}  # type: ignore[union-attr]
    assert len(distinct) == (1 if how == "uniform" else 3)


@pytest.mark.parametrize("how", HOWS)
def test_it_keeps_the_contract_of_tasks(how: Any) -> None:
    check_task(SuperresBaseline(how=how, patches=40, draws=2), {"jets": pairs(60)})


@pytest.mark.parametrize("how", HOWS)
def test_training_does_not_depend_on_the_shards(how: Any, tmp_path: Path) -> None:
    task, whole = SuperresBaseline(how=how, patches=30), pairs(40)
    train, valid, _ = datasets({"jets": whole}, tmp_path)
    part = train.parts[0]
    halves = [type(part)(0, part.path, 0, rows) for rows in (part.rows[13:], part.rows[:13])]
    other = Dataset(tuple(halves), train.classes)
    one, two = (task.fit(some, valid, make_run(tmp_path / "run")) for some in (train, other))
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])


def test_uniform_spreads_equally(tmp_path: Path) -> None:
    sample = pairs(10)
    said = told(SuperresBaseline(how="uniform"), {"factor": np.array([4])}, sample, tmp_path)["image"]
    expected = np.repeat(np.repeat(sample.image("lr").dense(), 4, 2), 4, 3) / 16
    np.testing.assert_allclose(said.dense(), expected, rtol=1e-6)  # type: ignore[union-attr]


def test_nearest_knows_its_training_cells_again_but_not_those_of_the_same_row(tmp_path: Path) -> None:
    """The image of a training row comes back as it was, for another row; its own row learns nothing of itself."""
    task = SuperresBaseline(how="nearest", draws=2)
    train, valid, _ = datasets({"jets": pairs(50)}, tmp_path)
    rows = train.load()
    state = task.fit(train, valid, make_run(tmp_path / "run"))
    of_others = rows.with_columns(row=rows.column("row") + 1_000_000)
    said, own = (task.predict(state, some, make_run(tmp_path / "run")) for some in (of_others, rows))
    truth = rows.image("hr").dense()
    np.testing.assert_allclose(said["image"].dense(), truth, rtol=1e-5)  # type: ignore[union-attr]
    assert said["draw2"] != said["image"]
    same = np.isclose(own["image"].dense(), truth, rtol=1e-5).all(axis=(1, 2, 3))  # type: ignore[union-attr]
    assert not same[rows.image("hr").counts > 0].any()


@pytest.mark.parametrize("how", ["marginal", "nearest"])
def test_no_cell_falls_below_the_threshold(how: Any, tmp_path: Path) -> None:
    sample = pairs(60, 4)
    least = float(np.quantile(sample.image("lr").values, 0.02))
    free, bound = (SuperresBaseline(how=how, threshold=threshold) for threshold in (0.0, least))
    state = trained(free, pairs(60, 4, seed=3), tmp_path)
    low = sample.image("lr").dense()[:, 0]
    assert told(free, state, sample, tmp_path)["image"].values.min() < least  # type: ignore[union-attr]
    image = told(bound, state, sample, tmp_path)["image"]
    np.testing.assert_allclose(pooled(image.dense()[:, 0].astype(float), 4), low, rtol=3e-7)  # type: ignore[union-attr]
    small = image.values[:, 0] < least * (1 - 1e-6)  # type: ignore[union-attr]
    assert small.sum() <= (low[low > 0] < least).sum()  # cells that had less to begin with


def test_nearest_is_nearest_by_brute_force(tmp_path: Path) -> None:
    from hepimg_superres.baselines import nearest

    rng = np.random.default_rng(3)
    known = rng.normal(size=(300, 10)).astype(np.float32)
    known[200:] = known[:100]  # duplicates: the first counts
    asked = rng.normal(size=(150, 10))
    distance = ((asked[:, None] - known[None].astype(float)) ** 2).sum(2)
    expected = np.argsort(distance, axis=1, kind="stable")[:, :3]
    chosen, squares = nearest._nearest(asked, known, 3 + nearest.SPARE)
    ranked = np.take_along_axis(chosen, np.argsort(squares, axis=1, kind="stable"), axis=1)
    np.testing.assert_array_equal(ranked[:, :3], expected)
    np.testing.assert_allclose(squares, np.take_along_axis(distance, chosen, axis=1))


def test_the_nearest_is_found_far_from_the_origin() -> None:
    """Features of soft cells are nearly the same; their distances must not drown in those from the origin."""
    from hepimg_superres.baselines import nearest

    known = (100 + np.random.default_rng(5).normal(scale=1e-2, size=(500, 10))).astype(np.float32)
    chosen, squares = nearest._nearest(known.astype(float), known, 1)
    np.testing.assert_array_equal(chosen[:, 0], np.arange(500))
    assert not squares.any()


def test_marginal_draws_what_was_seen_as_often_as_it_was_seen(tmp_path: Path) -> None:
    """Soft cells divide in one way, hard ones in two; pools of x2 are drawn by the same law."""
    rng = np.random.default_rng(4)
    n = 4000
    hard = np.arange(n) % 2 == 0
    energy = np.where(hard, 100.0, 1.0) * (1 + 0.1 * rng.random(n))
    soft = np.array([[0, 1.0, 0, 0]])
    ways = np.array([[0.25, 0.25, 0.5, 0], [0, 0, 0.1, 0.9]])
    fractions = np.where(hard[:, None], ways[(rng.random(n) < 0.3).astype(int)], soft)
    state = fit_marginal([Patches(np.arange(n), energy, energy, np.zeros((n, 8)), fractions)], 2)
    grid = Grid.square(1.0, 2)
    dense = np.where(np.arange(5000) % 2, 100.0, 1.0)[:, None] * np.array([1, 0, 0, 0.0])
    low = SparseImages.from_dense(dense.reshape(-1, 2, 2), grid)
    columns = {"event": np.arange(5000), "weight": np.ones(5000), "row": np.arange(5000)}
    sample = Sample(columns, images={"hr": SparseImages.empty(5000, Grid.square(1.0, 4)), "lr": low})
    said = told(SuperresBaseline(bins=2), {"factor": np.array([2]), **state}, sample, tmp_path)["image"]
    children = said.dense()[:, 0, :2, :2].reshape(-1, 4)  # type: ignore[union-attr]
    np.testing.assert_allclose(children[::2], np.repeat(soft, 2500, 0), rtol=1e-6)
    first = children[1::2, 0] > 0
    assert first.mean() == pytest.approx(0.7, abs=5 * np.sqrt(0.21 / 2500) + 0.04)
    np.testing.assert_allclose(children[1::2] / 100, ways[np.where(first, 0, 1)], rtol=1e-6)


def test_bins_of_few_distinct_energies() -> None:
    """Quantiles coincide; every bin that can be reached holds something."""
    energy = np.repeat([1.0, 2.0, 16.0], [50, 3, 1])
    state = fit_marginal([Patches(np.arange(54), energy, energy, np.zeros((54, 8)), np.ones((54, 4)) / 4)], 16)
    assert np.all(np.diff(state["first0"]) > 0)
    assert state["first0"][-1] == 54
    assert len(state["first0"]) == len(state["edges0"]) + 2


def test_draws_belong_to_row_and_cell_not_to_the_batch(tmp_path: Path) -> None:
    task, sample = SuperresBaseline(), pairs(40)
    state = trained(task, sample, tmp_path)
    whole = told(task, state, sample, tmp_path)["image"]
    some = np.array([31, 7, 12])
    assert told(task, state, sample[some], tmp_path)["image"] == whole[some]
    other = sample.with_columns(row=sample.column("row") + 1)
    assert told(task, state, other, tmp_path)["image"] != whole


@few
@given(st.integers(0, 2**31), st.sampled_from([1, 2, 4]), st.floats(0, 0.3))
def test_gathering_and_dividing_are_inverse(seed: int, factor: int, occupancy: float) -> None:
    images = pairs(3, seed=seed, occupancy=occupancy).image("hr")
    cells, fractions = Cells.of(images).gathered(factor)
    again = cells.divided(fractions, factor).images(3, GRID, images.channels)
    assert (again.cells.tolist(), again.offsets.tolist()) == (images.cells.tolist(), images.offsets.tolist())
    np.testing.assert_allclose(again.values, images.values, rtol=1e-6)
    sums = np.zeros((3, GRID.shape[0] // factor, GRID.shape[1] // factor))
    sums[cells.image, cells.row, cells.column] = cells.energy
    np.testing.assert_allclose(sums, pooled(images.dense()[:, 0].astype(float), factor), rtol=1e-6)


def test_neighbours_do_not_reach_over_the_edge_or_into_other_images() -> None:
    dense = np.random.default_rng(5).random((4, 5, 6)) * (np.random.default_rng(6).random((4, 5, 6)) < 0.5)
    cells = Cells.of(SparseImages.from_dense(dense, Grid.model_validate({"x": [0, 1], "z": [0, 1], "shape": [5, 6]})))
    padded = np.pad(dense.astype(np.float32), ((0, 0), (1, 1), (1, 1)))
    for image, row, column, around in zip(cells.image, cells.row, cells.column, neighbours(cells), strict=True):
        block = padded[image, row : row + 3, column : column + 3].ravel()
        np.testing.assert_array_equal(around, np.delete(block, 4))
    assert neighbours(Cells.of(SparseImages.empty(2, GRID))).shape == (0, 8)


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    task, high = SuperresBaseline(draws=2), Image("hr", GRID, (PT, Channel("count")))
    assert task.writes({"hr": high, "lr": Image("lr", GRID.pooled(2))}) == [
        Image("image", GRID, (PT,)),
        Image("draw2", GRID, (PT,)),
    ]
    with pytest.raises(ValueError, match=r"is not .* pooled by 2, 4, 8"):
        task.writes({"hr": high, "lr": Image("lr", GRID)})
    uneven = Grid.model_validate({"eta": [-1, 1], "phi": [-1, 1], "shape": [16, 18]})
    with pytest.raises(ValueError, match=r"is not .* pooled by 2, 4, 8"):
        task.writes({"hr": Image("hr", uneven, (PT,)), "lr": Image("lr", uneven.pooled(8))})
    with pytest.raises(DataError, match="4 times as many cells along each axis, as in training"):
        told(task, trained(task, pairs(20), tmp_path), pairs(5, factor=2), tmp_path)


def test_blank_training_images_are_refused(tmp_path: Path) -> None:
    blank = pairs(20, occupancy=0.0)
    write_shard(tmp_path / "blank.arrow", blank)
    with pytest.raises(DataError, match="no active cell in the images hr"):
        trained(SuperresBaseline(), blank, tmp_path)
    state = trained(SuperresBaseline(how="uniform"), blank, tmp_path)
    said = told(SuperresBaseline(how="uniform"), state, blank, tmp_path)["image"]
    assert said.counts.sum() == 0  # type: ignore[union-attr]


def test_more_draws_are_new_predictions_of_what_was_learned(tmp_path: Path) -> None:
    def keys(text: str) -> tuple[str, str]:
        path = tmp_path / "analysis.yaml"
        path.write_text(ANALYSIS.format(text))
        analysis = load_analysis(path)
        learner = Learner(analysis, {"noise": StoredSample("noise", "key", ())}, Cache(tmp_path), Steps())
        task = analysis.tasks["split"]
        return learner.fit_key(task), learner.predict_key(task, "noise")

    one, two, other = keys("draws: 1"), keys("draws: 2"), keys("bins: 5")
    assert one[0] == two[0] != other[0]
    assert len({one[1], two[1], other[1]}) == 3
