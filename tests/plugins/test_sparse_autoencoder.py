"""The task ``sparse_autoencoder``: what the bottleneck says is heard."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hepimg.components import Column, Image
from hepimg.errors import DataError
from hepimg.expansion.pyramid import Pyramid
from hepimg.grid import Grid
from hepimg.images import SparseImages
from hepimg.testing import check_component, check_task, datasets, make_run, ports_of
from hepimg_autoencoder.sparse import Batch, SparseCoder
from hepimg_autoencoder.sparse_autoencoder import SparseAutoencoder
from jet_samples import corners

pytestmark = pytest.mark.usefixtures("one_thread")

FAST: dict[str, Any] = {"network": {"latent": 3, "widths": (8, 8), "channels": 8}}


def test_contract() -> None:
    check_component(SparseAutoencoder)
    for images in (False, True):
        task = SparseAutoencoder.model_validate({**FAST, "images": images, "fit": {"epochs": 1, "batch_size": 20}})
        check_task(task, {"one": corners(3, 60, rows=49)})
    port = ports_of(corners(0, rows=2))["image"]
    assert list(task.writes({"image": port})) == [Column("loss"), Column("latent"), port]


def test_it_says_where_the_energy_is(tmp_path: Path) -> None:
    """Two bits have to go through the bottleneck: in which of four cells all energy is."""
    task = SparseAutoencoder.model_validate(
        {**FAST, "images": True, "fit": {"epochs": 30, "batch_size": 20, "learning_rate": 0.01, "ema": 0}}
    )
    sample = corners(0, 7, 35, 63)
    train, valid, _ = datasets({"one": sample}, tmp_path)
    run = make_run(tmp_path / "run")
    state = task.fit(train, valid, run)
    known = sample[150:200].with_columns(row=np.arange(50))
    said = task.predict(state, known, run)
    copied = said["image"]
    assert isinstance(copied, SparseImages)
    same = [np.array_equal(copied[k].cells, known.image("image")[k].cells) for k in range(50)]
    assert np.mean(same) > 0.55, "by chance one in four"
    other = task.predict(state, corners(42, rows=20).with_columns(row=np.arange(21)), run)
    assert np.median(other["loss"][:20]) > np.median(said["loss"]) + 5, "a place never seen is unlikely"
    assert other["loss"][20] == 0, "an empty image is certain"


def test_losses_of_images_add_up_to_that_of_a_batch() -> None:
    torch.manual_seed(1)
    network = SparseCoder(3, 3, (8, 8), channels=8, blocks=(1,), kernel=3, order=("none",), emphasis=0.0).eval()
    images = corners(0, 7, 35, rows=30).image("image")
    pyramid = Pyramid.of(images, 3)
    latent = network.encode(pyramid)
    assert latent.shape == (31, 3)
    assert (latent.abs() <= 1).all()
    losses = network.losses(pyramid, latent)
    weight = np.linspace(0, 2, 31)
    whole = network(Batch.of(images, 3, weight))
    assert whole.item() == pytest.approx((losses @ torch.from_numpy(weight)).item() / 31, rel=1e-5)


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    grid = Grid.model_validate({"eta": [-1, 1], "phi": [-1, 1], "shape": [10, 10]})
    with pytest.raises(ValueError, match="does not grow from one cell"):
        SparseAutoencoder().writes({"image": Image("image", grid)})
    train, valid, _ = datasets({"one": corners(3, rows=20)}, tmp_path)
    with pytest.raises(DataError, match=r"an active cell of image with 1\d\d.*, below the threshold of 300"):
        SparseAutoencoder.model_validate({**FAST, "threshold": 300.0}).fit(train, valid, make_run(tmp_path / "run"))
    with pytest.raises(DataError, match="no rows to train on"):
        SparseAutoencoder.model_validate(FAST).fit(replace(train, parts=()), valid, make_run(tmp_path / "run"))
