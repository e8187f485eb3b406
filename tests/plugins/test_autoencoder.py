"""The tasks ``autoencoder`` and ``pca``: copies through a bottleneck, against plain arithmetic and scikit-learn."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.ndimage import gaussian_filter
from sklearn.decomposition import PCA

from hepimg.components import Column, Image, State
from hepimg.errors import DataError
from hepimg.grid import Grid
from hepimg.images import SparseImages
from hepimg.sample import Sample
from hepimg.testing import check_component, check_task, datasets, make_run, ports_of, toy_jets
from hepimg_autoencoder.autoencoder import Autoencoder
from hepimg_autoencoder.dense import DenseAutoencoder, squared_errors
from hepimg_autoencoder.network import Network
from hepimg_autoencoder.pca import Pca
from hepimg_preprocess.center import Center
from hepimg_preprocess.pixelate import Pixelate

pytestmark = pytest.mark.usefixtures("one_thread")

FAST = {"network": {"layers": (20, 4, 20)}, "fit": {"epochs": 2, "batch_size": 32}}


def jets(rows: int, prongs: int = 1, **options: Any) -> Sample:
    grid = {"eta": [-0.8, 0.8], "phi": [-0.8, 0.8], "shape": [10, 9]}
    pixelate = Pixelate.model_validate({"grid": grid, **options})
    return pixelate.apply(Center().apply(toy_jets(rows, prongs), None), None)


@pytest.mark.parametrize("options", [{}, {"images": True, "scale": 5.0, "blur": 0.5}])
def test_autoencoder_keeps_the_contract(options: dict[str, Any]) -> None:
    check_component(Autoencoder)
    task = Autoencoder.model_validate({**FAST, **options})
    check_task(task, {"one": jets(60, channels=["pt", "count"])})
    assert task.writes(ports_of(jets(2, channels=["pt", "count"])))[0] == Column("loss"), "of GeV and of counts"
    columns = task.writes(ports_of(jets(2)))[:3]
    assert columns == [Column("loss", "GeV^2"), Column("blurred_loss", "GeV^2"), Column("latent")]


def test_pca_keeps_the_contract() -> None:
    check_component(Pca)
    check_task(Pca(components=3), {"one": jets(60, channels=["pt", "count"])})


def test_the_thesis_and_the_paper() -> None:
    dense = Network().build(1, (25, 25))
    assert [tuple(p.shape) for p in dense.parameters() if p.ndim == 2] == [
        *((300, 625), (100, 300), (300, 100), (625, 300))
    ]
    copied, latent = dense(torch.zeros(3, 1, 25, 25))
    assert (copied.shape, latent.shape) == ((3, 1, 25, 25), (3, 100))
    odd = Network(convolutions=(8, 4), layers=(32, 6, 32), slope=0).build(2, (25, 18))
    assert odd.inner == (4, 7, 5)
    copied, latent = odd(torch.zeros(3, 2, 25, 18))
    assert (copied.shape, latent.shape) == ((3, 2, 25, 18), (3, 6))
    kinds = [type(part).__name__ for part in odd.decoder]
    assert kinds[-6:] == ["LeakyReLU", "Upsample", "Conv2d", "LeakyReLU", "Upsample", "Conv2d"]


def test_squared_errors_are_those_of_scipy() -> None:
    rng = np.random.default_rng(1)
    images, copied = rng.normal(size=(2, 4, 2, 12, 9))
    difference = copied - images
    plain = squared_errors(torch.from_numpy(images), torch.from_numpy(copied))
    np.testing.assert_allclose(plain, (difference**2).mean((1, 2, 3)))
    blurred = squared_errors(torch.from_numpy(images), torch.from_numpy(copied), 0.8)
    folded = gaussian_filter(difference, 0.8, axes=(2, 3), mode="constant", radius=math.ceil(2.4))
    np.testing.assert_allclose(blurred, (folded**2).mean((1, 2, 3)))


def test_it_learns_to_copy_and_copies_what_it_knows_better(tmp_path: Path) -> None:
    task = Autoencoder.model_validate(
        {"images": True, "network": {"layers": (40, 20, 40)}, "fit": {"epochs": 30, "batch_size": 32, "ema": 0}}
    )
    train, valid, _ = datasets({"one": jets(400)}, tmp_path)
    state = task.fit(train, valid, make_run(tmp_path / "run"))
    known = jets(100)
    said = task.predict(state, known, make_run(tmp_path / "run"))
    dense = known.image("image").dense()
    copied = said["image"]
    assert isinstance(copied, SparseImages)
    np.testing.assert_allclose(said["loss"], ((copied.dense() - dense) ** 2).mean((1, 2, 3)), rtol=1e-3)
    assert np.mean(said["loss"]) < 0.5 * dense.var(axis=0).mean()
    assert np.mean(task.predict(state, jets(100, 2), make_run(tmp_path / "run"))["loss"]) > 1.3 * np.mean(said["loss"])


def test_rows_count_as_their_weights_say(tmp_path: Path) -> None:
    """Rows of no weight might as well be missing."""
    task = Pca(components=3)
    both = jets(100)
    weight = (np.arange(100) < 50).astype(np.float32)
    states = []
    for k, sample in enumerate((both.with_columns(weight=weight), both[:50])):
        train, valid, _ = datasets({"one": sample}, tmp_path / str(k))
        states.append(task.fit(train, valid, make_run(tmp_path / "run")))
    for name in ("mean", "variances"):
        np.testing.assert_allclose(states[0][name], states[1][name], rtol=1e-6, atol=1e-9)


def fitted(task: Pca, sample: Sample, folder: Path) -> State:
    train, valid, _ = datasets({"one": sample}, folder)
    return task.fit(train, valid, make_run(folder / "run"))


def test_principal_components_are_scikit_learns(tmp_path: Path) -> None:
    task, sample = Pca(components=5), jets(300)
    said = task.predict(fitted(task, sample, tmp_path), sample, make_run(tmp_path / "run"))
    dense = sample.image("image").dense().reshape(300, -1).astype(float)
    learned = dense[np.arange(300) % 5 < 3]
    theirs = PCA(5, svd_solver="full").fit(learned)
    latent = theirs.transform(dense)
    np.testing.assert_allclose(np.abs(said["latent"]), np.abs(latent), rtol=1e-6, atol=1e-6)
    loss = ((theirs.inverse_transform(latent) - dense) ** 2).mean(axis=1)
    np.testing.assert_allclose(said["loss"], loss, rtol=1e-6, atol=1e-9)
    variances = theirs.explained_variance_ * (1 - 1 / len(learned))  # theirs is unbiased
    np.testing.assert_allclose(said["mahalanobis"], (latent**2 / variances).sum(axis=1), rtol=1e-6)


def test_what_cannot_be_learned_is_said(tmp_path: Path) -> None:
    blank = jets(20).with_images(image=SparseImages.empty(20, jets(1).image("image").grid))
    train, valid, _ = datasets({"one": blank}, tmp_path)
    with pytest.raises(DataError, match="all images are empty"):
        Autoencoder.model_validate(FAST).fit(train, valid, make_run(tmp_path / "run"))
    with pytest.raises(DataError, match="images differ in 0 directions"):
        Pca(components=3).fit(train, valid, make_run(tmp_path / "run"))
    for task in (Autoencoder.model_validate(FAST), Pca()):
        with pytest.raises(DataError, match="no rows"):
            task.fit(replace(train, parts=()), valid, make_run(tmp_path / "run"))
    known = fitted(Pca(components=3), jets(50), tmp_path / "known")
    with pytest.raises(DataError, match="images of 180 numbers"):
        Pca(components=3).predict(known, jets(5, channels=["pt", "count"]), make_run(tmp_path / "run"))
    large = Image("image", Grid.model_validate({"eta": [-1, 1], "phi": [-1, 1], "shape": [160, 160]}))
    with pytest.raises(ValueError, match="image has 25600 numbers, pca takes 10000 at most"):
        Pca().writes({"image": large})
    small = Image("image", Grid.model_validate({"eta": [-1, 1], "phi": [-1, 1], "shape": [6, 6]}))
    with pytest.raises(ValueError, match="too few for so many poolings"):
        Autoencoder(network=Network(convolutions=(4, 4, 4))).writes({"image": small})
    with pytest.raises(ValidationError):
        Network(layers=())


def test_a_network_of_no_images() -> None:
    network = DenseAutoencoder(1, (10, 9), (4,), (6, 2, 6), 0.01)
    assert network(torch.zeros(0, 1, 10, 9))[0].shape == (0, 1, 10, 9)
