"""The task ``lagan``: its layers against loops, its losses by hand, and the contract of a task."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bars import Steps
from hepimg.components import Grid, Image
from hepimg.errors import DataError
from hepimg.images import PT, Channel, SparseImages
from hepimg.testing import check_component, check_task, datasets, make_run, merge, toy_jets
from hepimg_generation.lagan.game import LaganGame
from hepimg_generation.lagan.lagan import Lagan
from hepimg_generation.lagan.locally_connected import LocallyConnected2d
from hepimg_generation.lagan.merits import NAMES, distance
from hepimg_generation.lagan.minibatch import MinibatchDiscrimination
from hepimg_generation.lagan.options import LaganLosses, LaganNetworks
from jet_samples import corners, few

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {
    "latent": 6, "dense": 4, "convolution": 4, "local": 2, "discriminator_convolution": 4, "discriminator_local": 3,
    "kernels": 3, "kernel_width": 2,
}  # fmt: skip
FAST: dict[str, Any] = {"networks": SMALL, "fit": {"steps": 3, "batch_size": 20, "evaluate_every": 2}}


def slow_layer(maps: NDArray[Any], layer: LocallyConnected2d, kernel: int, stride: int, padding: int) -> NDArray[Any]:
    """The sum written out."""
    weight = layer.weight.detach().double().numpy()
    rows, columns = layer.shape
    batch, _, height, width = maps.shape
    out = np.zeros((batch, weight.shape[2], rows, columns))
    for row, column, down, across in product(range(rows), range(columns), range(kernel), range(kernel)):
        y, x = row * stride + down - padding, column * stride + across - padding
        if 0 <= y < height and 0 <= x < width:
            at = weight[row * columns + column, down * kernel + across]
            out[:, :, row, column] += maps[:, :, y, x] @ at.T
    return out if layer.bias is None else out + layer.bias.detach().double().numpy()


@few
@given(
    st.integers(0, 3), st.tuples(st.integers(4, 8), st.integers(4, 8)), st.integers(1, 4), st.integers(1, 3),
    st.integers(0, 2), st.booleans(),
)  # fmt: skip
def test_locally_connected_is_the_loop(
    batch: int, shape: tuple[int, int], kernel: int, stride: int, padding: int, bias: bool
) -> None:
    layer = LocallyConnected2d(3, 2, shape, kernel, stride=stride, padding=padding, bias=bias)
    if layer.bias is not None:
        torch.nn.init.normal_(layer.bias)
    maps = torch.randn(batch, 3, *shape)
    found = layer(maps)
    assert found.shape == (batch, 2, *layer.shape)
    expected = slow_layer(maps.double().numpy(), layer, kernel, stride, padding)
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 0), (5, 2, 2), (2, 1, 1)])
def test_locally_connected_with_one_kernel_is_a_convolution(kernel: int, stride: int, padding: int) -> None:
    """Gradients, too: summed over the places they are the convolution's."""
    layer = LocallyConnected2d(3, 2, (7, 9), kernel, stride=stride, padding=padding, bias=False)
    shared = torch.randn(2, 3, kernel, kernel, requires_grad=True)
    with torch.no_grad():
        layer.weight.copy_(shared.flatten(2).permute(2, 0, 1).expand_as(layer.weight))
    first, second = (torch.randn(4, 3, 7, 9, generator=torch.manual_seed(1), requires_grad=True) for _ in range(2))
    one, other = layer(first), torch.nn.functional.conv2d(second, shared, stride=stride, padding=padding)
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    for found in (one, other):
        found.square().sum().backward()
    torch.testing.assert_close(first.grad, second.grad, rtol=1e-4, atol=1e-4)
    assert layer.weight.grad is not None
    summed = layer.weight.grad.sum(0).permute(1, 2, 0).reshape(shared.shape)
    torch.testing.assert_close(summed, shared.grad, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("batch", [0, 1, 5])
def test_minibatch_discrimination_is_the_loop(batch: int) -> None:
    layer = MinibatchDiscrimination(4, 3, 2)
    features = torch.randn(batch, 4, requires_grad=True)
    found = layer(features)
    seen = layer.project(features).detach().numpy().reshape(batch, 3, 2)
    expected = np.zeros((batch, 3))
    for i, j, k in product(range(batch), range(batch), range(3)):
        expected[i, k] += np.exp(-np.abs(seen[i, k] - seen[j, k]).sum())
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-5)
    found.sum().backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()


def test_networks_have_the_published_shapes() -> None:
    networks = LaganNetworks()
    generator, discriminator = networks.build_generator((25, 25), 2), networks.build_discriminator((25, 25), 2)
    shapes = [module.shape for side in (generator, discriminator) for module in side.modules()
              if isinstance(module, LocallyConnected2d)]  # fmt: skip
    assert shapes == [(14, 14), (26, 26), (25, 25), (13, 13), (13, 13), (7, 7)]
    assert discriminator.truth.in_features == 8 * 3 * 3 + 20
    sizes = {
        "dense": 201 * 6272, "convolution": 64 * (128 * 25 + 1), "first": 196 * 6 * (64 * 25 + 1),
        "second": 676 * 6 * (6 * 9 + 1), "last": 625 * 6 * 4, "norms": 2 * 70, "classes": 400,
    }  # fmt: skip
    assert sum(weight.numel() for weight in generator.parameters()) == sum(sizes.values())


@pytest.mark.parametrize("shape", [(25, 25), (5, 9), (16, 11), (6, 7)])
def test_images_of_any_shape_are_made_and_judged(shape: tuple[int, int]) -> None:
    networks = LaganNetworks.model_validate(SMALL)
    made = networks.build_generator(shape, 3).draw(torch.eye(3))
    assert made.shape == (3, 1, *shape)
    assert (made >= 0).all()
    truth, classes = networks.build_discriminator(shape, 3)(made)
    assert truth.shape == (3,)
    assert classes.shape == (3, 3)


def game(**losses: float) -> LaganGame:
    torch.manual_seed(1)
    networks = LaganNetworks.model_validate({**SMALL, "dropout": 0.0})
    return LaganGame(networks, LaganLosses(**losses), "image", (8, 8), ["one", "two"], 100.0, 0.0)


def test_losses_are_cross_entropies() -> None:
    played = game(flips=0.0, generator_flips=0.0, class_weight=2.0)
    classes = torch.eye(2)[torch.arange(12) % 2]
    images = torch.rand(12, 1, 8, 8)
    made = played.generate((images, classes))
    found = {**played.discriminator_terms((images, classes), made.detach())}
    found |= {**played.generator_terms((images, classes), made)}
    with torch.no_grad():
        (truth, truth_class), (fake, fake_class) = (played.discriminators(some) for some in (images, made))

    def of_classes(logits: torch.Tensor) -> float:
        chances = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(axis=1, keepdims=True)
        return float(-2 * np.log(chances[np.arange(12), np.arange(12) % 2]).mean())

    true, false = (1 / (1 + np.exp(-logits.numpy())) for logits in (truth, fake))
    expected = {
        "truth": -np.log(true).mean(), "generated": -np.log(1 - false).mean(), "trick": -np.log(false).mean(),
        "truth_class": of_classes(truth_class), "generated_class": of_classes(fake_class),
        "class": of_classes(fake_class),
    }  # fmt: skip
    assert {name: term.item() for name, term in found.items()} == pytest.approx(expected, rel=1e-4)


def test_wrong_answers_are_as_frequent_as_asked_for() -> None:
    from hepimg_generation.lagan.game import _other_classes

    torch.manual_seed(1)
    classes = torch.eye(3)[torch.arange(9000) % 3]
    said = _other_classes(classes, 0.3).numpy()
    assert np.mean(said != np.arange(9000) % 3) == pytest.approx(0.3, abs=0.02)
    np.testing.assert_allclose(np.bincount(said), 3000, atol=150)
    assert not _other_classes(torch.ones(5, 1), 0.4).any(), "there is no other class"


def test_merits_are_distances() -> None:
    truth, other = corners(27, 28, rows=40).image("image"), corners(27, rows=40).image("image")
    assert distance(truth, truth) == 0
    assert distance(truth, other) > 0
    assert distance(truth[:0], other[:0]) == 0
    assert len(NAMES) == len(set(NAMES))


def test_contract() -> None:
    check_component(Lagan)
    check_task(Lagan.model_validate(FAST), {"one": corners(3, rows=49), "two": corners(60, rows=49)})


def test_an_interrupted_game_goes_on_and_noise_belongs_to_the_row(tmp_path: Path) -> None:
    task = Lagan.model_validate({**FAST, "fit": {"steps": 5, "batch_size": 16, "evaluate_every": 2}})
    samples = {"first": corners(0, rows=60), "last": corners(63, rows=60)}
    train, valid, test = datasets(samples, tmp_path)
    whole = task.fit(train, valid, make_run(tmp_path / "whole"))
    with pytest.raises(KeyboardInterrupt):
        task.fit(train, valid, replace(make_run(tmp_path / "parts"), progress=Steps(4)))
    parts = task.fit(train, valid, make_run(tmp_path / "parts"))
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)
    run, rows = make_run(tmp_path / "whole"), test.load()
    drawn, again = (task.predict(whole, rows, replace(run, seed=run.seed + k))["image"] for k in (0, 1))
    assert drawn != again
    alone = task.predict(whole, rows[3:4], run)["image"]
    assert isinstance(alone, SparseImages)
    np.testing.assert_allclose(alone.dense()[0], drawn[3:4].dense()[0], rtol=1e-4)  # type: ignore[union-attr]
    high = task.model_copy(update={"threshold": 1e9}).predict(whole, rows, run)["image"]
    assert isinstance(high, SparseImages)
    assert len(high) == len(rows)
    assert not len(high.cells)
    with pytest.raises(DataError, match="rows of a class that was not learned; learned: first, last"):
        task.predict(whole, merge({"first": samples["first"], "third": samples["last"]}), run)


def test_the_class_is_heard(tmp_path: Path) -> None:
    """One class is bright, the other dark."""
    grid = Grid.square(1.0, 8)

    def images(mean: float) -> Any:
        energy = np.random.default_rng(1).exponential(mean, (200, 8, 8))
        return toy_jets(200).with_images(image=SparseImages.from_dense(energy, grid))

    fit = {"steps": 300, "batch_size": 40, "evaluate_every": 300, "learning_rate": 2e-3}
    task = Lagan.model_validate({"networks": SMALL, "fit": fit})
    train, valid, test = datasets({"dark": images(5.0), "bright": images(60.0)}, tmp_path)
    run = make_run(tmp_path / "run")
    drawn, rows = task.predict(task.fit(train, valid, run), test.load(), run)["image"], test.load()
    assert isinstance(drawn, SparseImages)
    dark, bright = (drawn[rows.is_from(name)].sum()[:, 0].mean() for name in ("dark", "bright"))
    assert bright > 3 * dark


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    task = Lagan.model_validate(FAST)
    with pytest.raises(ValueError, match="image is no image on a known grid"):
        task.writes({})
    with pytest.raises(ValueError, match="image has 4 x 8 cells; lagan needs at least 5 along each axis"):
        task.writes({"image": Image("image", Grid.model_validate({"eta": [-1, 1], "phi": [-1, 1], "shape": [4, 8]}))})
    for channels in ((PT, Channel("count", "")), (Channel("charge", "e", signed=True),)):
        with pytest.raises(ValueError, match="needs one channel that is never negative"):
            task.writes({"image": Image("image", Grid.square(1.0, 8), channels)})
    train, valid, _ = datasets({"one": corners(3, rows=20)}, tmp_path)
    with pytest.raises(DataError, match="no rows to train on"):
        task.fit(replace(train, parts=()), valid, make_run(tmp_path / "run"))
