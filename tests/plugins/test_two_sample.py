"""The two-sample test: it sees what differs, sees nothing where nothing does, and is the same after an interrupt."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from bars import Steps
from hepimg.components import Image, Run
from hepimg.dataset import Dataset, Part
from hepimg.errors import DataError
from hepimg.grid import Grid
from hepimg.images import PT, Channel, SparseImages
from hepimg.sample import Sample
from hepimg.shards import write_shard
from hepimg.testing import check_component, check_task, make_run
from hepimg_tagging.two_sample import TwoSample

pytestmark = pytest.mark.usefixtures("one_thread")

GRID = Grid.square(1.0, 16)
TASK = TwoSample.model_validate(
    {
        "generated": "sharp",
        "network": {"widths": [8, 12], "blocks": [1, 1], "kernel": 3},
        "fit": {"epochs": 4, "batch_size": 32, "learning_rate": 1e-2, "ema": 0.9},
    }
)


def clouds(rows: int, seed: int, width: float = 3.0, first: bool = False) -> SparseImages:
    """Images of some cells of exponential energy around the middle, ``width`` cells wide; the last, or first, empty."""
    rng = np.random.default_rng(seed)
    dense = np.zeros((rows, 16, 16), np.float32)
    for image in dense:
        row, column = np.clip(np.round(rng.normal(7.5, width, (2, 12))), 0, 15).astype(int)
        np.add.at(image, (row, column), rng.exponential(50, 12))
    dense[0 if first else -1] = 0
    return SparseImages.from_dense(dense, GRID)


def sample_of(hr: SparseImages, sharp: SparseImages) -> Sample:
    columns: dict[str, np.ndarray] = {"event": np.arange(len(hr)), "weight": np.ones(len(hr), np.float32)}
    return Sample(columns, images={"hr": hr, "sharp": sharp})


def dataset_of(sample: Sample, path: Path) -> Dataset:
    write_shard(path, sample)
    return Dataset((Part(0, path, 0, np.arange(len(sample))),), ("qcd",))


def auc(task: TwoSample, state: dict[str, np.ndarray], sample: Sample) -> float:
    said = task.predict(state, sample, make_run(Path()))
    assert set(said) == {"truth", "generated"}
    truth, generated = (np.asarray(said[name]) for name in ("truth", "generated"))
    assert truth.dtype == np.float32
    assert truth.shape == generated.shape == (len(sample),)
    return float(roc_auc_score(np.repeat([0, 1], len(sample)), np.concatenate([truth, generated])))


def test_a_difference_is_seen_in_other_images_too(tmp_path: Path) -> None:
    train = dataset_of(sample_of(clouds(400, 1), clouds(400, 2, width=2.2)), tmp_path / "train.arrow")
    test = sample_of(clouds(400, 3), clouds(400, 4, width=2.2))
    state = dict(TASK.fit(train, train, make_run(tmp_path / "run")))
    assert auc(TASK, state, test) > 0.85
    backwards = test.with_images(hr=test.image("sharp"), sharp=test.image("hr"))
    assert auc(TASK, state, backwards) < 0.15


def test_nothing_is_seen_where_nothing_differs(tmp_path: Path) -> None:
    # The same images in another order: whoever learned the rows' pairs, or the halves of a batch, would tell them.
    images, others = clouds(400, 1), clouds(1000, 5)
    turned = images[np.random.default_rng(0).permutation(400)]
    train = dataset_of(sample_of(images, turned), tmp_path / "train.arrow")
    state = dict(TASK.fit(train, train, make_run(tmp_path / "run")))
    assert auc(TASK, state, sample_of(images, turned)) == pytest.approx(0.5, abs=1e-3)
    # Images of no row that was seen: the error of an AUC of 2 x 1000 images is 0.013.
    assert auc(TASK, state, sample_of(others, clouds(1000, 6))) == pytest.approx(0.5, abs=0.04)


def test_an_interrupted_training_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    train = dataset_of(sample_of(clouds(100, 1), clouds(100, 2)), tmp_path / "train.arrow")
    whole = TASK.fit(train, train, make_run(tmp_path / "whole"))
    folder = tmp_path / "parts"
    folder.mkdir()
    run = make_run(folder)
    with pytest.raises(KeyboardInterrupt):
        TASK.fit(train, train, Run(run.seed, 1, "cpu", folder, logging.getLogger("test"), Steps(stop_at=5)))
    resumed = TASK.fit(train, train, run)
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)
    assert (folder / "log.csv").read_text() == (tmp_path / "whole" / "log.csv").read_text()


def test_the_task_keeps_the_contract() -> None:
    check_component(TwoSample)
    check_task(
        TASK, {"qcd": sample_of(clouds(60, 1), clouds(60, 2, first=True)), "top": sample_of(*[clouds(60, 3)] * 2)}
    )


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    with pytest.raises(DataError, match="no rows to train on"):
        TASK.fit(Dataset((), ("qcd",)), Dataset((), ("qcd",)), run)
    blank = SparseImages.empty(40, GRID)
    train = dataset_of(sample_of(blank, blank), tmp_path / "blank.arrow")
    with pytest.raises(DataError, match="all images are empty"):
        TASK.fit(train, train, run)
    hr = Image("hr", GRID, (PT,))
    with pytest.raises(ValueError, match=r"hr is on .* sharp on .*; needed: the same"):
        TASK.writes({"hr": hr, "sharp": Image("sharp", Grid.square(1.0, 8), (PT,))})
    with pytest.raises(ValueError, match="hr and sharp have the channels pt and pt, count; needed: the same"):
        TASK.writes({"hr": hr, "sharp": Image("sharp", GRID, (PT, Channel("count")))})
    count = (Channel("count"),)
    with pytest.raises(ValueError, match="channel pt; hr has none"):
        TASK.writes({"hr": Image("hr", GRID, count), "sharp": Image("sharp", GRID, count)})
    signed = (PT, Channel("y", signed=True))
    ports = {name: Image(name, GRID, signed) for name in ("hr", "sharp")}
    TASK.model_copy(update={"mirror": False}).writes(ports)
    with pytest.raises(ValueError, match="hr has signed channels"):
        TASK.writes(ports)


def test_some_options_leave_the_others_as_they_are() -> None:
    task = TwoSample.model_validate({"generated": "s.image", "network": {"dropout": 0.0}, "fit": {"epochs": 1}})
    assert (task.network.kernel, task.network.widths) == (5, (32, 48, 64, 96))
    assert task.training.model_dump() == TwoSample(generated="s.image").training.model_dump() | {"epochs": 1}
