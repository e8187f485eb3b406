"""Adversarial training: losses by hand, sparse layers against dense ones, a game that can be interrupted."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor, nn

from bars import Steps
from hepimg.adversarial import GameOptions
from hepimg.adversarial.game import play
from hepimg.adversarial.layers import DenseLayers, Layers, SparseLayers
from hepimg.adversarial.losses import (
    gradient_penalty,
    relativistic_discriminator_loss,
    relativistic_generator_loss,
    soft_occupancy,
)
from hepimg.adversarial.patch_discriminator import Averaged, PatchDiscriminator
from hepimg.adversarial.rrdb import RRDB
from hepimg.adversarial.upsample import Upsampling
from hepimg.dataset import Dataset, Part
from hepimg.errors import DataError
from hepimg.sample import Sample
from hepimg.shards import write_shard
from hepimg.testing import make_run
from hepimg.training.resumable import CHECKPOINT, LOG
from hepimg.training.state import state_of

pytestmark = pytest.mark.usefixtures("one_thread")

KINDS: dict[str, Layers] = {"dense": DenseLayers(), "sparse": SparseLayers()}


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


logits = arrays(np.float64, st.integers(1, 6), elements=st.floats(-5, 5))


@settings(deadline=None, max_examples=25)
@given(truth=logits, generated=logits)
def test_relativistic_losses_are_the_formulas_of_the_thesis(truth: Any, generated: Any) -> None:
    d_t, d_g = sigmoid(truth - generated.mean()), sigmoid(generated - truth.mean())
    c_t, c_g = torch.from_numpy(truth), torch.from_numpy(generated)
    by_hand = -np.log(d_g).mean() - np.log(1 - d_t).mean()
    assert relativistic_generator_loss(c_t, c_g).item() == pytest.approx(by_hand)
    by_hand = -np.log(d_t).mean() - np.log(1 - d_g).mean()
    assert relativistic_discriminator_loss(c_t, c_g).item() == pytest.approx(by_hand)


def test_losses_of_no_patches_are_numbers() -> None:
    none = torch.zeros(0)
    assert relativistic_generator_loss(none, none).item() == 0
    assert np.isfinite(relativistic_generator_loss(torch.ones(2), none).item())


def test_soft_occupancy_counts_active_cells() -> None:
    values = np.array([0.0, 0.05, 0.1, 0.2, 500.0])
    by_hand = sigmoid(5 * (values / 0.1 - 1)) - sigmoid(-5)
    found = soft_occupancy(torch.from_numpy(values), 0.1).numpy()
    np.testing.assert_allclose(found, by_hand, atol=1e-12)
    assert found[0] == 0
    assert found[-1] == pytest.approx(1, abs=0.01)


def test_penalty_of_a_linear_critic_is_known() -> None:
    weight = torch.randn(1, 1, 4, 4)
    truth, generated = torch.randn(3, 1, 4, 4), torch.randn(3, 1, 4, 4)
    penalty = gradient_penalty(lambda images: (images * weight).sum((1, 2, 3)), truth, generated)
    assert penalty.item() == pytest.approx((weight.norm().item() - 1) ** 2, rel=1e-5)


def test_penalty_is_taken_between_truth_and_generated() -> None:
    """The gradient of |x|^2 / 2 is x: the norm at the random point is what is penalised."""
    torch.manual_seed(1)
    truth, generated = torch.zeros(2, 1, 1, 1), torch.full((2, 1, 1, 1), 4.0)
    penalty = gradient_penalty(lambda images: images.square().sum() / 2, truth, generated)
    torch.manual_seed(1)
    mix = torch.rand(2)
    assert penalty.item() == pytest.approx(((4 * (1 - mix) - 1) ** 2).mean().item(), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_penalty_s_gradient_agrees_with_finite_differences(kind: str) -> None:
    """Second derivatives of the sparse layers included."""
    torch.manual_seed(2)
    critic = PatchDiscriminator(KINDS[kind], filters=3, blocks=2).double()
    truth, generated = (torch.rand(2, 1, 8, 8, dtype=torch.float64) * (torch.rand(2, 1, 8, 8) < 0.3) for _ in "ab")
    weight = critic.convolutions[1].weight
    assert isinstance(weight, Tensor)

    def penalty() -> Tensor:
        torch.manual_seed(3)
        return gradient_penalty(critic, truth, generated)

    (gradient,) = torch.autograd.grad(penalty(), weight)
    direction = torch.randn_like(weight)
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight += sign * 1e-5 * direction
        values.append(penalty().item())
        with torch.no_grad():
            weight -= sign * 1e-5 * direction
    assert (values[0] - values[1]) / 2e-5 == pytest.approx((gradient * direction).sum().item(), rel=1e-4)


def network(layers: Layers) -> nn.Module:
    blocks = RRDB(layers, 4, 0.3), Upsampling(layers, 4, "ps"), Upsampling(layers, 4, "tc")
    return nn.Sequential(layers.convolution(1, 4), *blocks)


def test_sparse_layers_equal_dense_ones_where_every_cell_is_active() -> None:
    dense, sparse = network(KINDS["dense"]), network(KINDS["sparse"])
    sparse.load_state_dict(dense.state_dict())
    images = torch.rand(2, 1, 5, 6) + 0.1
    expected = dense(images)
    found = KINDS["sparse"].images(sparse(KINDS["sparse"].maps(images)))
    assert found.shape == (2, 4, 20, 24)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_sparse_maps_stay_where_the_cells_are() -> None:
    layers = KINDS["sparse"]
    images = torch.zeros(2, 1, 5, 5)
    images[1, 0, 2, 3] = 1.0
    fine = layers.images(network(layers)(layers.maps(images)))
    outside = fine.clone()
    outside[1, :, 8:12, 12:16] = 0
    assert fine.any()
    assert not outside.any()


@pytest.mark.parametrize("kind", KINDS)
def test_discriminators_learn_with_penalty(kind: str) -> None:
    """Bright cells against faint ones; a blank image among them, and then a batch of one."""
    torch.manual_seed(4)
    mask = torch.rand(8, 1, 12, 12) < 0.1
    mask[0] = False
    truth, generated = mask * 2.0, mask * 0.5
    critic = Averaged(*(PatchDiscriminator(KINDS[kind], filters=6, blocks=2) for _ in range(2)))
    adam = torch.optim.Adam(critic.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        loss = relativistic_discriminator_loss(critic(truth), critic(generated))
        adam.zero_grad()
        (loss + 1e-3 * gradient_penalty(critic, truth, generated)).backward()
        assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in critic.parameters())
        adam.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert critic(truth[1:2]).isfinite().all()
    assert critic(truth[:1]).isfinite().all()
    assert gradient_penalty(critic, truth[:1], generated[:1]).isfinite()


def test_patches_have_seen_a_patch_only() -> None:
    critic = PatchDiscriminator(DenseLayers(), filters=2, blocks=2)
    images = torch.zeros(1, 1, 32, 32)
    with torch.no_grad():
        before = critic(images)
        images[0, 0, 0, 0] = 10
        changed = (critic(images) != before).view(8, 8)
    assert changed.any()
    assert not changed[4:].any()
    assert not changed[:, 4:].any()


class Duel:
    """A line that becomes a Gaussian: x -> a x + b against a small perceptron."""

    reset = 5

    def __init__(self) -> None:
        self.generator: nn.Module = nn.Linear(1, 1)
        self.discriminators: nn.Module = self.fresh()

    def fresh(self) -> nn.Module:
        return nn.Sequential(nn.Linear(1, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))

    def generate(self, batch: Any) -> Tensor:
        generated: Tensor = self.generator(batch[1] + 0.1 * torch.randn_like(batch[1]))
        return generated

    def discriminator_terms(self, batch: Any, generated: Tensor) -> Mapping[str, Tensor]:
        assert not generated.requires_grad
        loss = relativistic_discriminator_loss(self.discriminators(batch[0]), self.discriminators(generated))
        return {"adv": loss, "reg": 0.1 * gradient_penalty(self.penalised, batch[0], generated)}

    def penalised(self, images: Tensor) -> Tensor:
        said: Tensor = self.discriminators(images.flatten(1))
        return said

    def generator_terms(self, batch: Any, generated: Tensor) -> Mapping[str, Tensor]:
        assert not any(weight.requires_grad for weight in self.discriminators.parameters())
        return {"adv": relativistic_generator_loss(self.discriminators(batch[0]), self.discriminators(generated))}

    def renew(self, step: int) -> Iterable[nn.Parameter]:
        if step == 0 or step % self.reset:
            return []
        self.discriminators.load_state_dict(self.fresh().state_dict())
        return list(self.discriminators.parameters())

    def merits(self, valid: Sample) -> Mapping[str, float]:
        truth, given = prepare(valid)
        return {"mean": abs(self.generator(given).mean().item() - truth.mean().item())}


def prepare(sample: Sample) -> tuple[Tensor, Tensor]:
    """With noise from torch's generator, as it may be."""
    x, y = (torch.from_numpy(sample.column(name).copy())[:, None, None, None] for name in ("x", "y"))
    return x + 0.1 * torch.randn_like(x), y


def make_dataset(folder: Path, rows: int = 60, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    x, y = (3 + rng.normal(size=rows)).astype(np.float32), rng.normal(size=rows).astype(np.float32)
    path = folder / f"data-{seed}.arrow"
    if not path.exists():
        write_shard(path, Sample({"event": np.arange(rows), "weight": np.ones(rows), "x": x, "y": y}))
    return Dataset((Part(0, path, 0, np.arange(rows)),), ("a",))


OPTIONS = GameOptions(steps=18, batch_size=16, learning_rate=0.02, evaluate_every=4, evaluate_rows=50)


def duel(data: Path, folder: Path, options: GameOptions = OPTIONS, stop: int | None = None) -> nn.Module:
    datasets = make_dataset(data), make_dataset(data, seed=1)
    return play(Duel, *datasets, options, replace(make_run(folder), progress=Steps(stop)), prepare)


def log_of(folder: Path) -> list[dict[str, str]]:
    with (folder / LOG).open() as file:
        return list(csv.DictReader(file))


def test_interrupted_game_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    torch.manual_seed(99)
    before = torch.get_rng_state()
    whole = duel(tmp_path, tmp_path / "whole")
    assert torch.equal(torch.get_rng_state(), before)
    for stop in (2, 7, 13, 17):  # before the first checkpoint, within an epoch, after discriminators were renewed
        with pytest.raises(KeyboardInterrupt):
            duel(tmp_path, tmp_path / "parts", stop=stop)
    parts = duel(tmp_path, tmp_path / "parts")
    for name in (LOG, CHECKPOINT):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()
    first, second = state_of(whole), state_of(parts)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    again = duel(tmp_path, tmp_path / "parts")
    assert torch.equal(again.weight, whole.weight)  # type: ignore[arg-type]


def test_best_generator_is_kept(tmp_path: Path) -> None:
    kept = duel(tmp_path, tmp_path / "run", OPTIONS.model_copy(update={"steps": 120, "learning_rate": 0.1}))
    log = log_of(tmp_path / "run")
    scores = [float(row["score"]) for row in log]
    assert [int(row["step"]) for row in log] == list(range(4, 121, 4))
    assert min(scores) < 0.3 < scores[0]
    truth, given = prepare(make_dataset(tmp_path, seed=1).load())
    with torch.no_grad():
        score = abs(kept(given).mean() - truth.mean()).item()
    # The evaluation's rows are 50 of these 60.
    assert score < 0.5
    assert not kept.training
    assert {"generator.adv", "discriminators.adv", "discriminators.reg"} <= set(log[0])


def test_other_options_and_no_rows_are_refused(tmp_path: Path) -> None:
    duel(tmp_path, tmp_path / "run")
    with pytest.raises(DataError, match="other options"):
        duel(tmp_path, tmp_path / "run", OPTIONS.model_copy(update={"betas": (0.9, 0.9)}))
    with pytest.raises(DataError, match="no rows to train on"):
        play(Duel, Dataset((), ("a",)), make_dataset(tmp_path), OPTIONS, make_run(tmp_path / "b"), prepare)
    with pytest.raises(DataError, match="no rows to stop early by"):
        play(Duel, make_dataset(tmp_path), Dataset((), ("a",)), OPTIONS, make_run(tmp_path / "c"), prepare)


def test_infinite_loss_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is nan|is inf|not finite"):
        duel(tmp_path, tmp_path / "run", OPTIONS.model_copy(update={"learning_rate": 1e30}))
