"""Rows that count more than others: learned from as they count, or refused, however they are spread over samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hepimg.components import Task
from hepimg.errors import DataError
from hepimg.grid import Grid
from hepimg.images import SparseImages
from hepimg.kernels.pool import pool
from hepimg.sample import Sample
from hepimg.testing import datasets, make_run
from hepimg_superres.baselines.superres_baseline import SuperresBaseline
from hepimg_superres.gan.superres_gan import SuperresGan
from hepimg_superres.super_resolution import SuperResolution

pytestmark = pytest.mark.usefixtures("one_thread")

FAST = {"network": {"channels": 4, "blocks": [1], "kernel": 3}, "fit": {"epochs": 2, "batch_size": 10}}


def jets(weight: Any) -> Sample:
    """Fifty images of 8 x 8 cells, pooled by two."""
    rng = np.random.default_rng(0)
    fine = Grid.square(1.0, 8)
    high = SparseImages.from_dense(rng.exponential(10, (50, 8, 8)) * (rng.random((50, 8, 8)) < 0.2), fine)
    low = pool(high.offsets, high.cells, high.values, (8, 8), (2, 2), "sum")
    images = {"hr": high, "lr": SparseImages(fine.pooled(2), high.channels, *low)}
    return Sample({"event": np.arange(50), "weight": np.full(50, weight, np.float32)}, images=images)


@pytest.mark.parametrize(
    "task",
    [
        SuperresBaseline(how="marginal"),
        SuperresBaseline(how="nearest"),
        SuperresGan.model_validate({"networks": {"upsampling": ["ps"], "rrdb": 1, "filters": 4, "reset": None}}),
    ],
    ids=["marginal", "nearest", "gan"],
)
def test_samples_of_different_weights_are_refused(task: Task, tmp_path: Path) -> None:
    train, valid, _ = datasets({"one": jets(1.0), "other": jets(0.1)}, tmp_path)
    with pytest.raises(DataError, match=r"weights from 0\.1 to 1"):
        task.fit(train, valid, make_run(tmp_path / "run"))


@pytest.mark.parametrize(("weight", "message"), [([-1.0] + [1.0] * 49, "negative weights"), (0.0, "are 0")])
def test_a_likelihood_needs_positive_weights(weight: Any, message: str, tmp_path: Path) -> None:
    train, valid, _ = datasets({"one": jets(weight)}, tmp_path)
    with pytest.raises(DataError, match=message):
        SuperResolution.model_validate(FAST).fit(train, valid, make_run(tmp_path / "run"))


def test_only_the_ratios_of_weights_matter(tmp_path: Path) -> None:
    states = []
    for scale in (1.0, 4.0):
        weight = scale * np.where(np.arange(50) % 2, 1.0, 3.0)
        train, valid, _ = datasets({"one": jets(weight)}, tmp_path / f"{scale}")
        states.append(SuperResolution.model_validate(FAST).fit(train, valid, make_run(tmp_path / f"run{scale}")))
    for name, array in states[0].items():
        torch.testing.assert_close(torch.from_numpy(array), torch.from_numpy(states[1][name]), msg=name)
