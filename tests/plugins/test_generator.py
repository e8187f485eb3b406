"""The task ``generator``: jets grown from one cell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hepimg.components import Image
from hepimg.errors import DataError
from hepimg.grid import Grid
from hepimg.images import SparseImages
from hepimg.testing import check_component, check_task, datasets, make_run, merge, ports_of
from hepimg_generation.generator import Generator
from jet_samples import corners

pytestmark = pytest.mark.usefixtures("one_thread")

FAST: dict[str, Any] = {"network": {"channels": 8, "blocks": [1], "kernel": 3, "order": ["sites", "none"]}}


def test_contract() -> None:
    check_component(Generator)
    task = Generator.model_validate({**FAST, "fit": {"epochs": 1, "batch_size": 20}})
    check_task(task, {"one": corners(3, rows=49), "two": corners(60, rows=49)})


def test_energy_is_kept_and_the_class_is_heard(tmp_path: Path) -> None:
    """One class has its energy in the first cell, the other in either of the last two corners."""
    task = Generator.model_validate({**FAST, "fit": {"epochs": 18, "batch_size": 20, "learning_rate": 0.01, "ema": 0}})
    samples = {"first": corners(0), "last": corners(56, 63)}
    train, valid, _ = datasets(samples, tmp_path)
    run = make_run(tmp_path / "run")
    state = task.fit(train, valid, run)
    asked = merge({name: sample[150:] for name, sample in samples.items()})
    drawn = task.predict(state, asked, run)["image"]
    assert isinstance(drawn, SparseImages)
    np.testing.assert_allclose(drawn.sum(), asked.image("image").sum(), rtol=1e-6)
    assert (drawn.counts[asked.image("image").counts == 0] == 0).all()
    first, last = (drawn[asked.is_from(name)].mean_image()[0].ravel() for name in samples)
    assert first[0] > 0.8 * first.sum()
    assert last[[56, 63]].sum() > 0.8 * last.sum()
    assert last[[56, 63]].min() > 0.2 * last.sum()
    other = task.predict(state, asked, replace(run, seed=run.seed + 1))["image"]
    assert other != drawn, "another seed draws other jets"
    with pytest.raises(DataError, match="rows of a class that was not learned; learned: first, last"):
        task.predict(state, merge({"first": samples["first"], "third": samples["last"]}), run)


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    port = ports_of(corners(0, rows=2))["image"]
    assert Generator().writes({"image": port}) == (port,)
    for shape in ([8, 4], [6, 6], [1, 1]):
        grid = Grid.model_validate({"eta": [-1, 1], "phi": [-1, 1], "shape": shape})
        with pytest.raises(ValueError, match="does not grow from one cell"):
            Generator().writes({"image": Image("image", grid)})
    with pytest.raises(ValueError, match="image is no image on a known grid"):
        Generator().writes({})
    train, valid, _ = datasets({"one": corners(3, rows=20)}, tmp_path)
    with pytest.raises(DataError, match=r"an active cell of image with 1\d\d.*, below the threshold of 300"):
        Generator.model_validate({**FAST, "threshold": 300.0}).fit(train, valid, make_run(tmp_path / "run"))
    with pytest.raises(DataError, match="no rows to train on"):
        Generator.model_validate(FAST).fit(replace(train, parts=()), valid, make_run(tmp_path / "run"))
