"""Taggers: they separate what can be separated, feel neither batch nor order, and say what they cannot use."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.metrics import roc_auc_score

from hepimg.components import Image
from hepimg.dataset import Dataset, Part
from hepimg.errors import DataError
from hepimg.grid import Grid
from hepimg.images import PT, Channel, SparseImages
from hepimg.sample import Ragged, Sample
from hepimg.shards import write_shard
from hepimg.testing import check_component, check_task, datasets, make_run, toy_jets
from hepimg_preprocess.center import Center
from hepimg_preprocess.pixelate import Pixelate
from hepimg_tagging import hepimg_tasks
from hepimg_tagging.pixels import PixelFeatures
from hepimg_tagging.tagging import Tagging

pytestmark = pytest.mark.usefixtures("one_thread")

GRID = Grid.square(0.8, 20)
PIXELATE = Pixelate.model_validate({"grid": GRID.model_dump(), "channels": ["pt", "count", "y", "phi"]})
TASK = Tagging.model_validate(
    {
        "signal": "top",
        "network": {"widths": [8, 12], "blocks": [1, 1]},
        "fit": {"epochs": 5, "batch_size": 64, "learning_rate": 1e-2, "ema": 0.9},
    }
)


def jets(prongs: int, rows: int, seed: int) -> Sample:
    """Jets of 600 GeV around the origin: ``prongs`` narrow cores far apart, ten particles each; the last has none."""
    rng = np.random.default_rng([prongs, seed])
    counts = np.full(rows, 10 * prongs)
    counts[-1] = 0
    n = int(counts.sum())
    turn = np.repeat(rng.uniform(0, 2 * np.pi, rows), counts)
    angle = turn + 2 * np.pi * (np.arange(n) % prongs) / prongs
    radius = 0.3 if prongs > 1 else 0.0
    fields = {
        "pt": rng.exponential(600 / (10 * prongs), n) + 0.1,
        "y": radius * np.cos(angle) + rng.normal(0, 0.15, n),
        "phi": radius * np.sin(angle) + rng.normal(0, 0.15, n),
    }
    constituents = Ragged(
        np.concatenate([[0], np.cumsum(counts)]), {k: v.astype(np.float32) for k, v in fields.items()}
    )
    columns: dict[str, np.ndarray] = {"event": np.arange(rows), "weight": np.ones(rows, np.float32)}
    return Sample(columns, {"constituents": constituents})


def toy_dataset(folder: Path, rows: int = 300, seed: int = 0, classes: tuple[int, ...] = (0, 1)) -> Dataset:
    parts = []
    for number in classes:
        path = folder / f"{number}-{seed}.arrow"
        write_shard(path, jets((1, 3)[number], rows, seed))
        parts.append(Part(number, path, 0, np.arange(rows)))
    return Dataset(tuple(parts), ("qcd", "top"), (PIXELATE,))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("tagging")
    train, valid = toy_dataset(folder), toy_dataset(folder, 50, seed=1)
    state = dict(TASK.fit(train, valid, make_run(folder / "a")))
    again = TASK.fit(train, valid, make_run(folder / "b"))
    assert list(state) == list(again)
    assert all(np.array_equal(state[name], again[name]) for name in state)
    return state


def score(state: dict[str, np.ndarray], sample: Sample) -> np.ndarray:
    said = TASK.predict(state, sample, make_run(Path()))["score"]
    assert isinstance(said, np.ndarray)
    return said


def test_the_tagger_separates_prongs(trained: dict[str, np.ndarray], tmp_path: Path) -> None:
    test = toy_dataset(tmp_path, 200, seed=2).load()
    said = score(trained, test)
    assert said.dtype == np.float32
    assert said.shape == (400,)
    assert ((said >= 0) & (said <= 1)).all()
    assert roc_auc_score(test.is_from("top"), said) > 0.97


def test_a_score_does_not_feel_the_rest_of_the_batch(trained: dict[str, np.ndarray], tmp_path: Path) -> None:
    test = toy_dataset(tmp_path, 40, seed=3).load()
    whole = score(trained, test)
    np.testing.assert_allclose(score(trained, test[7]), whole[[7]], rtol=1e-4)
    np.testing.assert_allclose(score(trained, test[::-1])[::-1], whole, rtol=1e-4)
    assert score(trained, test[:0]).shape == (0,)
    only_empty = test[test.image("image").counts == 0]
    assert len(only_empty) == 2
    np.testing.assert_allclose(score(trained, only_empty), whole[test.image("image").counts == 0], rtol=1e-4)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_score_does_not_feel_the_order_of_constituents(trained: dict[str, np.ndarray], seed: int) -> None:
    sample = jets(3, 8, seed)
    constituents = sample.collection("constituents")
    rng = np.random.default_rng(seed)
    ranges = zip(constituents.offsets, constituents.offsets[1:], strict=False)
    order = np.concatenate([first + rng.permutation(last - first) for first, last in ranges])
    fields = {name: values[order] for name, values in constituents.fields.items()}
    mixed = sample.with_collection("constituents", Ragged(constituents.offsets, fields))
    first, second = (score(trained, PIXELATE.apply(each, None)) for each in (sample, mixed))
    np.testing.assert_allclose(first, second, rtol=1e-4)


def test_other_channels_or_another_grid_are_refused(trained: dict[str, np.ndarray]) -> None:
    sample = jets(1, 5, 0)
    other = Pixelate.model_validate({"grid": GRID.model_dump(), "channels": ["pt", "y", "phi"]})
    with pytest.raises(DataError, match="without the channel count"):
        score(trained, other.apply(sample, None))
    other = Pixelate.model_validate(
        {"grid": Grid.square(1.0, 20).model_dump(), "channels": ["pt", "count", "y", "phi"]}
    )
    with pytest.raises(DataError, match="on which the network was trained"):
        score(trained, other.apply(sample, None))
    larger = TASK.model_copy(update={"network": TASK.network.model_copy(update={"widths": (9, 12)})})
    with pytest.raises(DataError, match="does not fit the network"):
        larger.predict(trained, PIXELATE.apply(sample, None), make_run(Path()))


def test_training_sets_without_two_classes_are_refused(tmp_path: Path) -> None:
    valid, run = toy_dataset(tmp_path, 5, seed=1), make_run(tmp_path / "run")
    with pytest.raises(DataError, match="all training rows are from top"):
        TASK.fit(toy_dataset(tmp_path, 5, classes=(1,)), valid, run)
    with pytest.raises(DataError, match="all training rows are from qcd"):
        TASK.fit(toy_dataset(tmp_path, 5, classes=(0,)), valid, run)
    with pytest.raises(DataError, match="no rows to train on"):
        TASK.fit(Dataset((), ("qcd", "top")), valid, run)
    with pytest.raises(DataError, match="did you mean 'top'"):
        TASK.model_copy(update={"signal": "topp"}).fit(valid, valid, run)


def test_options_are_what_the_analysis_file_says() -> None:
    dumped = TASK.model_dump(mode="json")
    assert dumped["fit"]["epochs"] == 5
    assert Tagging.model_validate(dumped) == TASK
    assert Tagging.model_validate_json(json.dumps(dumped), strict=True) == TASK
    with pytest.raises(ValidationError, match="one number of blocks"):
        Tagging.model_validate({"signal": "top", "network": {"widths": [8], "blocks": [1, 1]}})
    with pytest.raises(ValueError, match="channel pt"):
        TASK.writes({"image": Image("image", GRID, (Channel("count"),))})
    assert [task.name for task in hepimg_tasks()] == ["tagging", "trees", "fisher", "two_sample"]


def image_of(values: list[float], cell: int, channels: tuple[Channel, ...], grid: Grid = GRID) -> SparseImages:
    return SparseImages(grid, channels, np.array([0, 1]), np.array([cell]), np.array([values], np.float32))


def test_features_are_those_of_the_recipe() -> None:
    # Half-width 0.8, cells of 0.08: the factors of the recipe, whose z is pT / 600 GeV.
    channels = (PT, Channel("count"), Channel("y", signed=True), Channel("phi", "rad", signed=True))
    images = image_of([60.0, 3.0, 0.13, -0.21], 11 * 20 + 7, channels)
    features = PixelFeatures(grid=GRID, count=True, positions=("y", "phi"), scale=600.0)
    z, y, phi = 0.1, 0.12, -0.2  # the cell's centre
    expected = [10 * z, np.log(z + 1e-6) / 2 + 2.5, 4 * np.sqrt(z), (3 - 1) / 2]
    expected += [4 * 0.13, 4 * -0.21, 4 * np.hypot(0.13, 0.21), 3 * (0.13 - y) / 0.08, 3 * (-0.21 - phi) / 0.08]
    np.testing.assert_allclose(features.of(images)[0], expected, rtol=1e-4)
    plain = PixelFeatures.measured(image_of([600.0], 11 * 20 + 7, (PT,)))
    assert (plain.scale, plain.count, plain.positions, plain.size) == (600.0, False, (), 6)
    np.testing.assert_allclose(plain.of(image_of([60.0], 11 * 20 + 7, (PT,)))[0, 3:5], [4 * y, 4 * phi], rtol=1e-5)


def test_features_of_cells_of_any_width_and_of_a_circle() -> None:
    grid = Grid.model_validate({"eta": [-2, -1, 3], "phi": [-np.pi, 0, np.pi]})
    channels = (PT, Channel("y", signed=True), Channel("phi", "rad", signed=True))
    # A mean beside the wrong end of the circle is near its cell all the same.
    images = image_of([5.0, 2.0, -np.pi - 0.1], 3, channels, grid)
    features = PixelFeatures.measured(images).of(images)[0]
    np.testing.assert_allclose(features[-2:], [3 * (2.0 - 1.0) / 4, 3 * (np.pi / 2 - 0.1) / np.pi], rtol=1e-5)


def test_positions_that_were_added_up_are_noticed() -> None:
    channels = (PT, Channel("y", signed=True), Channel("phi", "rad", signed=True))
    with pytest.raises(DataError, match="not mean positions"):
        PixelFeatures.measured(image_of([5.0, 0.6, 0.1], 11 * 20 + 7, channels))
    with pytest.raises(DataError, match="all images are empty"):
        PixelFeatures.measured(SparseImages.empty(3, GRID))


def test_the_tagger_keeps_the_contract() -> None:
    check_component(Tagging)
    jets = {"one": toy_jets(100), "two": toy_jets(100, prongs=2)}
    images = {name: PIXELATE.apply(Center().apply(sample, None), None) for name, sample in jets.items()}
    check_task(TASK.model_copy(update={"signal": "two"}), images)


def test_it_learns_from_another_image(tmp_path: Path) -> None:
    """Of images that are all alike nothing is learned, whatever the images that it is applied to."""
    samples = {"one": jets(1, 100, 1), "top": jets(3, 100, 1)}
    pictures = {name: PIXELATE.model_copy(update={"channels": PIXELATE.channels[:1]}).apply(sample, None)
                for name, sample in samples.items()}  # fmt: skip
    blank = pictures["one"].image("image")[np.zeros(100, np.int64)]
    both = {name: sample.with_images(**{"grow.image": blank}) for name, sample in pictures.items()}
    task = TASK.model_copy(update={"learn_from": "grow.image", "mirror": True})
    assert [port.name for port in task.reads()] == ["image", "grow.image"]
    assert [port.name for port in task.learns_from()] == ["grow.image"]
    train, valid, test = datasets(both, tmp_path)
    scores = {}
    for name, each in {"truth": TASK.model_copy(update={"mirror": True}), "blank": task}.items():
        run = make_run(tmp_path / name)
        rows = test.load()
        score = np.asarray(each.predict(each.fit(train, valid, run), rows, run)["score"])
        scores[name] = roc_auc_score(rows.is_from("top"), score)
    assert scores["truth"] > 0.9
    assert abs(scores["blank"] - 0.5) < abs(scores["truth"] - 0.5)
    ports = {"image": Image("image", GRID), "grow.image": Image("grow.image", Grid.square(0.8, 10))}
    with pytest.raises(ValueError, match="on different grids"):
        task.writes(ports)
    channels = {"image": (PT, Channel("count")), "grow.image": (PT,)}
    with pytest.raises(ValueError, match="different channels, pt and pt, count; needed: the same"):
        task.writes({name: Image(name, GRID, some) for name, some in channels.items()})
    with pytest.raises(ValueError, match="image has signed channels"):
        task.writes({"image": Image("image", GRID, (PT, Channel("y", signed=True)))})
    uneven = Grid.model_validate({"eta": [-1, 0, 2], "phi": [-1, 0, 1]})
    with pytest.raises(ValueError, match="cells of image are not symmetric"):
        task.writes({"image": Image("image", uneven, (PT,))})
