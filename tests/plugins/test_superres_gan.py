"""The adversarial networks: shapes, losses by hand, blank images, and the contract of a task, dense and sparse."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bars import Steps
from hepimg.components import Image
from hepimg.errors import DataError
from hepimg.grid import Grid
from hepimg.images import PT, Channel, SparseImages
from hepimg.kernels.pool import pool
from hepimg.sample import Sample
from hepimg.testing import check_task, make_run
from hepimg.testing.rows import datasets
from hepimg.training.resumable import CHECKPOINT
from hepimg.training.state import state_of
from hepimg_superres import hepimg_tasks
from hepimg_superres.gan.game import SuperresGame, as_tensor, layers_of, sharpened
from hepimg_superres.gan.loss import SMALLEST, image_terms, views
from hepimg_superres.gan.merits import RANKS, figures_of_merit, patch_distance, spectra_distance
from hepimg_superres.gan.options import GanLosses, GanNetworks
from hepimg_superres.gan.superres_gan import SuperresGan

pytestmark = pytest.mark.usefixtures("one_thread")

LOW = Grid.square(0.5, 6)
SMALL = GanNetworks(rrdb=1, filters=4, upsampling=("ps",), discriminator_filters=4, discriminator_blocks=2, reset=None)


LAMBDAS = ("lambda_hr", "lambda_lr", "lambda_adv", "lambda_patch")


def pairs(rows: int, factor: int = 2, seed: int = 0) -> tuple[SparseImages, SparseImages]:
    """Fine images with a few active cells, the first image blank, and the same images pooled."""
    rng = np.random.default_rng(seed)
    shape = (rows, LOW.shape[0] * factor, LOW.shape[1] * factor)
    fine = np.where(rng.random(shape) < 0.1, 0.2 + rng.exponential(20, shape), 0)
    fine[:1] = 0
    high = SparseImages.from_dense(fine, Grid.square(0.5, shape[1]))
    pooled = pool(high.offsets, high.cells, high.values, high.grid.shape, (factor, factor))
    return high, SparseImages(LOW, (PT,), *pooled)


def sample(rows: int, factor: int = 2, seed: int = 0) -> Sample:
    high, low = pairs(rows, factor, seed)
    columns = {"event": np.arange(rows), "weight": np.ones(rows, np.float32)}
    return Sample(columns, images={"hr": high, "lr": low})


def game(*, sparse: bool, networks: GanNetworks = SMALL, losses: GanLosses = GanLosses()) -> SuperresGame:  # noqa: B008
    torch.manual_seed(1)
    return SuperresGame(networks, losses, "hr", "lr", ("patch",), sparse=sparse)


def batch(rows: int = 6, factor: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    high, low = pairs(rows, factor)
    return as_tensor(high), as_tensor(low)


ORDERS = [order for stages in (1, 2, 3) for order in product(("ps", "tc"), repeat=stages)]


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("order", ORDERS)
def test_generator_has_the_shape_that_its_stages_make(order: Any, sparse: bool) -> None:
    networks = SMALL.model_copy(update={"upsampling": order, "rrdb_after": 1})
    generator = networks.build_generator(layers_of(sparse=sparse))
    for images in (torch.rand(2, 1, 3, 3), torch.rand(1, 1, 3, 3), torch.zeros(1, 1, 3, 3)):
        fine = generator(images)
        assert fine.shape == (len(images), 1, 3 << len(order), 3 << len(order))
        assert (fine >= 0).all()


def test_sparse_generator_equals_the_dense_one_where_every_cell_is_active() -> None:
    networks = SMALL.model_copy(update={"upsampling": ("ps", "tc"), "rrdb_after": 1})
    dense, sparse = (networks.build_generator(layers_of(sparse=kind)) for kind in (False, True))
    sparse.load_state_dict(dense.state_dict())
    dense.last.bias.data.fill_(0.05)  # type: ignore[operator, union-attr]
    sparse.last.bias.data.fill_(0.05)  # type: ignore[operator, union-attr]
    images = torch.rand(2, 1, 4, 5) + 0.1
    assert dense(images).any()
    torch.testing.assert_close(sparse(images), dense(images), rtol=1e-4, atol=1e-5)


def test_blank_gives_blank_without_biases_and_on_active_cells_only() -> None:
    blank = torch.zeros(1, 1, 4, 4)
    assert not SMALL.build_generator(layers_of(sparse=True))(blank).any()
    assert not SMALL.model_copy(update={"bias": False}).build_generator(layers_of(sparse=False))(blank).any()


def test_sparse_generator_leaves_empty_cells_empty() -> None:
    generator = SMALL.build_generator(layers_of(sparse=True))
    generator.last.bias.data.fill_(1.0)  # type: ignore[operator, union-attr]
    high, low = pairs(6)
    fine = sharpened(generator.eval(), GanLosses(), low, high)
    parents = pool(fine.offsets, fine.cells, fine.values, fine.grid.shape, (2, 2))
    assert len(fine.cells)
    np.testing.assert_array_equal(parents[1], low.cells)


def test_closed_cells_can_come_back() -> None:
    """The last ReLU's gradient leaks, or a generator that L1 has emptied would stay empty."""
    generator = SMALL.build_generator(layers_of(sparse=False))
    generator.last.bias.data.fill_(-1.0)  # type: ignore[operator, union-attr]
    fine = generator(torch.rand(1, 1, 3, 3))
    fine.sum().backward()
    assert not fine.any()
    assert generator.last.bias.grad.item() > 0  # type: ignore[operator, union-attr]


def blocks(images: NDArray[Any], factor: int) -> NDArray[Any]:
    """(n, rows / f, columns / f, f, f)."""
    n, rows, columns = images.shape
    return images.reshape(n, rows // factor, factor, columns // factor, factor).transpose(0, 1, 3, 2, 4)


@pytest.mark.parametrize("hr_loss", ["pixel", "mean"])
def test_image_losses_are_the_formulas_written_out(hr_loss: Any) -> None:
    losses = GanLosses(hr_loss=hr_loss, lambda_std=0.2, lambda_lr=0.3, lambda_patch=0.4, lambda_hr=0.5)
    hr, lr = batch()
    generated = torch.rand_like(hr) * 3 * (torch.rand_like(hr) < 0.2)
    found = {name: term.item() for view in views(losses, hr, lr, generated) for name, term in image_terms(losses, view)}

    h, low, g = (images.squeeze(1).double().numpy() for images in (hr, lr, generated))
    standard = g ** (1 / 0.3)
    pooled = blocks(standard, 2).sum((3, 4))
    coarse = [(images + SMALLEST) ** 0.3 for images in (pooled, low)]
    for name, weight, threshold, sr, truth, lr_gen, lr_true in (
        ("std", 0.2, 0.1, standard, h, pooled, low),
        ("pow", 1.0, 0.1**0.3, g, h**0.3, *coarse),
    ):
        pixels = np.abs(sr - truth) if hr_loss == "pixel" else np.abs(sr.mean(0) - truth.mean(0))
        assert found[f"hr_{name}"] == pytest.approx(weight * 0.5 * pixels.mean(), rel=1e-4)
        assert found[f"lr_{name}"] == pytest.approx(weight * 0.3 * np.abs(lr_gen - lr_true).mean(), rel=1e-4)
        soft = [1 / (1 + np.exp(-5 * (images / threshold - 1))) for images in (sr, truth)]
        first, second = (blocks(images, 2).sum((1, 2)).mean(0) for images in soft)
        assert found[f"patch_{name}"] == pytest.approx(weight * 0.4 * ((first - second) ** 2).mean(), rel=1e-4)


def test_truth_itself_has_no_image_loss() -> None:
    """Whatever the scaling, the pooled result is comparable with the input."""
    hr, lr = batch()
    losses = GanLosses()
    terms = [term.item() for view in views(losses, hr, lr, hr**0.3) for _, term in image_terms(losses, view)]
    np.testing.assert_allclose(terms, 0, atol=1e-5)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("rows", [1, 6])
def test_both_sides_get_finite_gradients(sparse: bool, rows: int) -> None:
    """With a blank image among the rows, and with nothing but one."""
    played = game(sparse=sparse, networks=SMALL.model_copy(update={"reset": 5}))
    pair = batch(rows)
    generated = played.generate(pair)
    terms = played.discriminator_terms(pair, generated.detach())
    assert set(terms) == {"adv_std", "adv_pow", "reg_std", "reg_pow"}
    torch.stack([*terms.values()]).sum().backward()
    terms = played.generator_terms(pair, generated)
    assert set(terms) == {f"{term}_{view}" for term in ("adv", "hr", "lr", "patch") for view in ("std", "pow")}
    torch.stack([*terms.values()]).sum().backward()
    for side in (played.generator, played.discriminators):
        gradients = [weight.grad for weight in side.parameters() if weight.grad is not None]
        assert all(gradient.isfinite().all() for gradient in gradients)
        assert rows == 1 or len(gradients) == len([*side.parameters()])


def test_sparse_discriminators_ask_for_missing_cells() -> None:
    """The adversarial gradient reaches a cell that is empty, where the truth is not."""
    played = game(sparse=True, losses=GanLosses(lambda_hr=0, lambda_lr=0, lambda_patch=0))
    pair = batch()
    generated = torch.zeros_like(pair[0]).requires_grad_()
    torch.stack([*played.generator_terms(pair, generated).values()]).sum().backward()
    assert generated.grad is not None
    assert torch.equal(generated.grad != 0, pair[0] > 0)


def test_second_discriminators_are_drawn_anew() -> None:
    networks = SMALL.model_copy(update={"reset": 3})
    played = game(sparse=False, networks=networks)
    before = {name: tensor.clone() for name, tensor in played.discriminators.state_dict().items()}
    assert [len(list(played.renew(step))) for step in range(3)] == [0, 0, 0]
    renewed = list(played.renew(3))
    after = played.discriminators.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if ".members.1." in name}
    assert {id(weight) for weight in renewed} == {
        id(weight) for name, weight in played.discriminators.named_parameters() if name in changed
    }
    assert list(game(sparse=False).renew(3)) == []


def test_merits_are_the_distances_written_out() -> None:
    truth, low = pairs(40, seed=1)
    made, _ = pairs(40, seed=2)
    assert set(figures_of_merit(("hr_spectra", "patch", "lr_spectra"), truth, truth, low).values()) == {0.0}
    dense = [np.sort(images.dense().reshape(40, -1), axis=1)[:, ::-1] for images in (truth, made)]
    spectra = [[np.sort(images[:, rank - 1]) for images in dense] for rank in RANKS]
    by_hand = [np.abs(a - b).mean() / (a.std() or a.mean() or 1) for a, b in spectra]
    assert spectra_distance(truth, made) == pytest.approx(np.mean(by_hand), rel=1e-5)
    first, second = (blocks(images.dense()[:, 0] > 0, 2).mean((0, 1, 2)) for images in (truth, made))
    by_hand_patch = np.sqrt(((first - second) ** 2).mean()) / first.mean()
    assert patch_distance(truth, made, 2) == pytest.approx(by_hand_patch)
    assert patch_distance(truth[:1], truth[:1], 2) == spectra_distance(truth[:1], truth[:1]) == 0
    assert spectra_distance(truth[1:2], made[1:2]) > 0, "a spectrum of one image has no width"


def test_a_generator_that_gives_no_numbers_is_refused() -> None:
    played = game(sparse=False)
    with torch.no_grad():
        for weight in played.generator.parameters():
            weight.fill_(math.nan)
    truth, low = pairs(2, seed=1)
    with pytest.raises(DataError, match="finite"):
        sharpened(played.generator.eval(), played.losses, low, truth)


def test_views_that_the_generator_does_not_mind_are_not_judged() -> None:
    played = game(sparse=False)
    played.losses = GanLosses(lambda_std=0)
    batch = tuple(torch.from_numpy(images.dense()) for images in pairs(2, seed=1))
    terms = played.discriminator_terms(batch, played.generate(batch).detach())
    assert {name.rpartition("_")[2] for name in terms} == {"pow"}
    played.losses = GanLosses(lambda_adv=0)
    assert not played.discriminator_terms(batch, played.generate(batch).detach())
    for options in ({"lambda_std": 0, "lambda_pow": 0}, dict.fromkeys(LAMBDAS, 0)):
        with pytest.raises(ValueError, match="nothing to learn"):
            GanLosses(**options)


def task(**options: Any) -> SuperresGan:
    fit = {"steps": 5, "batch_size": 8, "evaluate_every": 2, "evaluate_rows": 20}
    return SuperresGan.model_validate({"networks": SMALL.model_dump(), "fit": fit, **options})


@pytest.mark.parametrize("sparse", [False, True])
def test_task_keeps_its_contract(sparse: bool) -> None:
    networks = SMALL.model_copy(update={"reset": 2}).model_dump()
    check_task(task(sparse=sparse, networks=networks), {"top": sample(60)})
    assert SuperresGan in hepimg_tasks()


@pytest.mark.parametrize("sparse", [False, True])
def test_interrupted_training_ends_as_if_nothing_had_happened(tmp_path: Path, sparse: bool) -> None:
    chosen = task(sparse=sparse, networks=SMALL.model_copy(update={"reset": 2}).model_dump())
    train, valid, _ = datasets({"top": sample(60)}, tmp_path)
    whole, parts = (make_run(tmp_path / name) for name in ("whole", "parts"))
    expected = chosen.fit(train, valid, whole)
    with pytest.raises(KeyboardInterrupt):
        chosen.fit(train, valid, replace(parts, progress=Steps(4)))
    found = chosen.fit(train, valid, parts)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    contents = [(run.folder / CHECKPOINT).read_bytes() for run in (whole, parts)]
    assert contents[0] == contents[1]


@pytest.mark.parametrize("sparse", [False, True])
def test_images_come_nearer_to_the_truth(sparse: bool) -> None:
    """The whole of a coarse cell lies in its first fine cell: L1 alone finds that."""
    played = game(sparse=sparse, losses=GanLosses(lambda_adv=0, lambda_patch=0))
    low = pairs(16)[1]
    lr = as_tensor(low)
    hr = torch.zeros(16, 1, 12, 12)
    hr[:, :, ::2, ::2] = lr
    adam = torch.optim.Adam(played.generator.parameters(), 1e-2)
    losses = []
    for _ in range(50):
        loss = torch.stack([*played.generator_terms((hr, lr), played.generate((hr, lr))).values()]).sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_predictions_are_images_of_the_fine_grid_above_the_threshold(tmp_path: Path) -> None:
    rows = sample(5)
    chosen = task(losses={"threshold": 0.7})
    generator = SMALL.build_generator(layers_of(sparse=False))
    generator.last.bias.data.fill_(0.5)  # type: ignore[operator, union-attr]
    said = chosen.predict(state_of(generator), rows, make_run(tmp_path))["image"]
    assert isinstance(said, SparseImages)
    assert (said.grid, said.channels, len(said)) == (rows.images["hr"].grid, (PT,), 5)
    assert said.values.min() >= 0.7


def test_wrong_grids_and_channels_are_refused(tmp_path: Path) -> None:
    chosen = task(networks=GanNetworks().model_dump())
    with pytest.raises(ValueError, match="8 times as many: one stage"):
        chosen.writes({"hr": Image("hr", Grid.square(0.5, 12)), "lr": Image("lr", LOW)})
    with pytest.raises(DataError, match="one stage for each factor of two"):
        chosen.predict({}, sample(2), make_run(tmp_path))
    with pytest.raises(ValueError, match="one channel"):
        chosen.writes({"hr": Image("hr", None, (PT, Channel("count"))), "lr": Image("lr")})
    grid = Grid.square(0.5, 48)
    written = chosen.writes({"hr": Image("hr", grid, (PT,)), "lr": Image("lr", LOW, (PT,))})
    assert written == (Image("image", grid, (PT,)),)
