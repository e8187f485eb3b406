"""The tasks ``pumml`` and ``pileup_unet`` on invented jets: what they learn, what they never do, what they refuse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hepimg.components import Image, Task
from hepimg.errors import DataError
from hepimg.grid import Grid
from hepimg.images import SparseImages
from hepimg.sample import Sample
from hepimg.testing import check_component, check_task, datasets, make_run, ports_of
from hepimg_pileup.losses import cell_losses, jet_losses
from hepimg_pileup.pileup_unet import PileupUNet
from hepimg_pileup.pumml import Pumml
from hepimg_pileup.task import LossOptions, halvings_of

pytestmark = pytest.mark.usefixtures("one_thread")

FINE = Grid.square(0.45, 36)
COARSE = FINE.pooled(4)
NAMES = ("charged_hard", "charged_pileup", "neutral", "neutral_hard")

SMALL: dict[type[Task], dict[str, Any]] = {
    Pumml: {"network": {"filters": (4, 4)}, "fit": {"epochs": 1, "batch_size": 16}},
    PileupUNet: {
        "columns": ("n_pileup",),
        "network": {"charged": (4, 4, 4), "widths": (6, 8), "blocks": (1, 1)},
        "fit": {"epochs": 1, "batch_size": 16},
    },
}
TASKS = list(SMALL)


def jets(rows: int, seed: int = 1, fine: Grid = FINE) -> Sample:
    """A hard core, and pileup all over the window, more in some jets than in others; neutrals are as charged ones."""
    random = np.random.default_rng(seed)
    area = fine.shape[0] * fine.shape[1]
    row, column = np.divmod(np.arange(area), fine.shape[1])
    centre = (np.array(fine.shape) - 1) / 2
    core = np.exp(-((row - centre[0]) ** 2 + (column - centre[1]) ** 2) / 18)
    pileup = random.uniform(0, 2, rows)
    coarse = fine.pooled(4)

    def shower(density: np.ndarray) -> np.ndarray:
        return random.poisson(density) * random.exponential(1.5, (rows, area))

    def image(values: np.ndarray, grid: Grid) -> SparseImages:
        shaped = values.reshape(rows, *fine.shape)
        if grid == coarse:
            shaped = shaped.reshape(rows, grid.shape[0], 4, grid.shape[1], 4).sum((2, 4))
        return SparseImages.from_dense(shaped, grid)

    hard, soft = np.broadcast_to(core, (rows, area)), np.broadcast_to(pileup[:, None] / 8, (rows, area))
    neutral_hard = shower(hard)
    content = (shower(hard), shower(soft), neutral_hard + shower(soft), neutral_hard)
    images = dict(zip(NAMES, map(image, content, (fine, fine, coarse, coarse)), strict=True))
    columns = {"event": np.arange(rows), "weight": np.ones(rows), "n_pileup": 100 * pileup, "row": np.arange(rows)}
    return Sample(columns, images=images)


def blank(rows: int) -> Sample:
    empty = {
        name: SparseImages.empty(rows, grid) for name, grid in zip(NAMES, (FINE, FINE, COARSE, COARSE), strict=True)
    }
    return jets(rows).with_images(**empty)


@pytest.mark.parametrize("task", TASKS)
def test_it_keeps_the_contract(task: type[Task]) -> None:
    check_component(task)
    check_task(task.model_validate(SMALL[task]), {"one": jets(40)})


def test_pumml_is_that_of_the_paper() -> None:
    from hepimg_pileup.convolutional import ConvolutionalNetwork

    network = Pumml()._build()
    assert isinstance(network, ConvolutionalNetwork)
    assert sum(parameter.numel() for parameter in network.parameters()) == 4711
    assert network(torch.zeros(3, 2, 36, 36), torch.ones(3, 1, 9, 9)).shape == (3, 1, 9, 9)
    assert network(torch.zeros(0, 2, 36, 36), torch.ones(0, 1, 9, 9)).shape == (0, 1, 9, 9)
    assert (Pumml().training.batch_size, Pumml().training.learning_rate, Pumml().loss.cells) == (50, 1e-3, "log")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ("log", np.log([13 / 12, 10 / 11]) ** 2),
        ("squared", np.square([1 / 15, -1 / 12])),
        ("absolute", [1 / 15, 1 / 12]),
    ],
)
def test_losses_are_their_formulas(cells: Any, expected: Any) -> None:
    options = LossOptions(cells=cells, total=2.0)
    predicted, true, measured = torch.tensor([3.0, 0.0]), torch.tensor([2.0, 1.0]), torch.tensor([5.0, 2.0])
    found = cell_losses(options, predicted, true, measured)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    totals = tuple(torch.tensor([float(x)]) for x in (3, 4, 10))
    loss = jet_losses(options, torch.tensor([8.1]), totals, 81)  # type: ignore[arg-type]
    np.testing.assert_allclose(loss, 0.1 + 2 * (1 / 20) ** 2, rtol=1e-5)
    assert not cell_losses(options, *torch.zeros(3, 4)).any(), "empty cells cost nothing"


@pytest.mark.parametrize("task", TASKS)
def test_it_learns_and_beats_doing_nothing(task: type[Task], tmp_path: Path) -> None:
    more = {"fit": {"epochs": 12, "batch_size": 16, "learning_rate": 4e-3, "ema": 0.9}}
    component = task.model_validate({**SMALL[task], **more})
    train, valid, _ = datasets({"one": jets(400)}, tmp_path)
    state = component.fit(train, valid, make_run(tmp_path / "run"))
    log = np.genfromtxt(tmp_path / "run" / "log.csv", delimiter=",", names=True)
    assert log["valid_loss"][-1] < 0.7 * log["valid_loss"][0]
    test = jets(100, seed=2)
    cleaned = component.predict(state, test, make_run(tmp_path / "run"))["neutral"]
    assert isinstance(cleaned, SparseImages)
    truth, before, after = (one.dense() for one in (test.image("neutral_hard"), test.image("neutral"), cleaned))
    assert np.square(after - truth).mean() < 0.5 * np.square(before - truth).mean()
    total, measured, found = (values.sum((1, 2, 3)) for values in (truth, before, after))
    assert abs(np.median(found / total - 1)) < 0.3 * np.median(measured / total - 1)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("rows", [0, 1, 3])
def test_empty_images_stay_empty(task: type[Task], rows: int, tmp_path: Path) -> None:
    component = task.model_validate(SMALL[task])
    train, valid, _ = datasets({"one": jets(40)}, tmp_path)
    state, run = component.fit(train, valid, make_run(tmp_path / "run")), make_run(tmp_path / "run")
    cleaned = component.predict(state, blank(rows), run)["neutral"]
    assert isinstance(cleaned, SparseImages)
    assert len(cleaned) == rows
    if task is PileupUNet:
        assert not cleaned.counts.any()
        some = jets(5)
        parts = component.predict(state, some, run)["neutral"]
        measured = some.image("neutral")
        assert isinstance(parts, SparseImages)
        assert np.isin(parts.cells, measured.cells).all()
        assert (parts.dense() <= measured.dense()).all()


@pytest.mark.parametrize("task", TASKS)
def test_it_learns_from_images_of_nothing(task: type[Task], tmp_path: Path) -> None:
    """Batches without a single active cell are learned from too."""
    component = task.model_validate(SMALL[task])
    train, valid, _ = datasets({"one": blank(20)}, tmp_path)
    component.fit(train, valid, make_run(tmp_path / "run"))


def test_grids_must_fit() -> None:
    other = Grid.square(0.4, 36)
    assert halvings_of([FINE, FINE, COARSE, COARSE]) == 2
    assert halvings_of([FINE, FINE, FINE, FINE]) == 0
    for grids, message in (
        ([FINE, other, COARSE, COARSE], "need one grid"),
        ([FINE, FINE, COARSE, other], "need one grid"),
        ([FINE, FINE, FINE.pooled(3), FINE.pooled(3)], "divided by 1, 2, 4"),
        ([COARSE, COARSE, FINE, FINE], "divided by 1, 2, 4"),
        ([FINE, FINE, other.pooled(4), other.pooled(4)], "same window"),
    ):
        with pytest.raises(ValueError, match=message):
            halvings_of(grids)
    circle = Grid.model_validate({"eta": [-1, 1], "phi": [-np.pi, np.pi], "shape": [8, 8]})
    with pytest.raises(ValueError, match="goes round the circle"):
        halvings_of([circle] * 4)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    ports = ports_of(jets(2))
    image = Pumml().writes(ports)[0]
    assert image == replace(ports["neutral"], name="neutral")
    with pytest.raises(ValueError, match=r"halved 2 times, network\.filters has 1"):
        Pumml.model_validate({"network": {"filters": (4,)}}).writes(ports)
    with pytest.raises(ValueError, match=r"network\.charged needs as many"):
        PileupUNet.model_validate({"network": {"charged": (4, 4)}}).writes(ports)
    for component in (Pumml(), PileupUNet()):
        with pytest.raises(ValueError, match="images on known grids"):
            component.writes({**ports, "neutral": Image("neutral")})
    swapped = {"neutral": "neutral_hard", "truth": "neutral"}
    train, valid, _ = datasets({"one": jets(40)}, tmp_path)
    for task in TASKS:
        component = task.model_validate({**SMALL[task], **swapped})
        with pytest.raises(DataError, match="cells of neutral hold more than those of neutral_hard"):
            component.fit(train, valid, make_run(tmp_path / task.name))
    for options in ({"kernel": 5}, {"filters": ()}):
        with pytest.raises(ValueError, match=r"kernel must be even|at least 1 item"):
            Pumml.model_validate({"network": options})
