"""The metrics images and observables against dense arrays and plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from hepimg.errors import DataError
from hepimg.grid import Grid
from hepimg.images import PT, Channel, SparseImages
from hepimg.sample import Ragged, Sample
from hepimg_metrics.images import Images, active_cells
from hepimg_metrics.observables import Observables

GRID = Grid.square(1.0, 6)


def toy(n: int = 40, classes: int = 2, channels: tuple[Channel, ...] = (PT,)) -> Sample:
    random = np.random.default_rng(3)
    shape = (n, len(channels), *GRID.shape)
    dense = random.exponential(size=shape) * (random.uniform(size=shape) < 0.2)
    counts = random.integers(1, 9, n)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    particles = {
        "pt": random.exponential(50, offsets[-1]),
        "y": random.normal(0, 0.3, offsets[-1]),
        "phi": random.normal(0, 0.3, offsets[-1]),
    }
    columns = {
        "event": np.arange(n),
        "weight": random.uniform(0.5, 2, n),
        "sample": (np.arange(n) % classes).astype(np.int16),
        "row": np.arange(n),
        "mass": random.normal(np.where(np.arange(n) % classes == 1, 170.0, 60.0), 10.0),
    }
    return Sample(
        columns,
        {"constituents": Ragged(offsets, particles)},
        {"image": SparseImages.from_dense(dense, GRID, channels)},
        {"mass": "GeV"},
        ("qcd", "top", "w")[:classes],
    )


def test_active_cells_have_the_error_of_a_mean():
    rows = toy(4000)
    estimate = active_cells(rows.image("image"), np.ones(4000))
    assert estimate.value == rows.image("image").counts.mean()
    assert estimate.error == pytest.approx(rows.image("image").counts.std() / np.sqrt(4000))
    assert active_cells(SparseImages.empty(3, GRID), np.ones(3)).value == 0


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_images_of_each_class(classes):
    rows = toy(classes=classes)
    result = Images(image="image", examples=2).evaluate(rows, 1)
    assert list(result.numbers) == [f"image.active@{name}" for name in rows.classes]
    differences = ["difference-image"] if classes > 1 else []
    assert [figure.name for figure in result.figures] == ["mean-image", *differences, "examples-image"]
    means = result.figures[0].data
    if classes > 1:
        np.testing.assert_allclose(result.figures[1].data["top_minus_qcd"], means["top"] - means["qcd"])
        assert result.figures[1].draw.axes[-1].get_ylabel() == "difference of mean $p_T$ per cell [GeV]"
    assert result.figures[0].draw.axes[0].get_xlabel() == "Δη"


def test_a_channel_is_chosen_by_name_and_may_be_signed():
    rows = toy(channels=(PT, Channel("charge", "e", signed=True)))
    figure = Images(image="image", channel="charge").evaluate(rows, 1).figures[0]
    qcd = rows.image("image")[rows.is_from("qcd")]
    expected = np.average(qcd.dense()[:, 1], axis=0, weights=rows.column("weight")[rows.is_from("qcd")])
    np.testing.assert_allclose(figure.data["qcd"], expected, rtol=1e-6)
    with pytest.raises(DataError, match="no channel 'charm'; did you mean 'charge'"):
        Images(image="image", channel="charm").evaluate(rows, 1)
    with pytest.raises(DataError, match="no test rows"):
        Images(image="image").evaluate(rows[:0], 1)


def test_fewer_rows_than_examples_leave_room():
    figure = Images(image="image", examples=4).evaluate(toy(3), 1).figures[-1]
    shown = [axes for axes in figure.draw.axes if axes.axison]
    assert len(shown) == 3 + 1  # two of qcd, one of top, the colour bar


def test_columns_have_means_and_a_mass_peak():
    rows = toy(4000)
    result = Observables(names=[], columns=["mass"], replicas=50).evaluate(rows, 1)
    top = rows.is_from("top")
    weights, mass = rows.column("weight")[top], rows.column("mass")[top]
    mean = result.numbers["mass.mean@top"]
    assert mean.value == pytest.approx(np.average(mass, weights=weights))
    expected = np.sqrt(np.sum((weights * (mass - mean.value)) ** 2)) / weights.sum()
    assert mean.error == pytest.approx(expected, rel=0.35)
    peak = result.numbers["mass.peak@top"]
    assert abs(peak.value - 170) < 4 * peak.error
    assert 0.2 < peak.error < 4
    (figure,) = result.figures
    assert figure.draw.axes[0].get_xlabel() == "mass [GeV]"
    assert figure.data["qcd.values"].sum() <= rows.column("weight")[~top].sum()


def test_the_peak_is_the_mode_not_the_mean():
    rows = toy(4000)
    skewed = np.random.default_rng(1).gamma(3.0, 20.0, 4000)  # mode 40, mean 60
    numbers = Observables(names=[], columns=["mass"], replicas=20).evaluate(rows.with_columns(mass=skewed), 1).numbers
    assert numbers["mass.peak@qcd"].value == pytest.approx(40, abs=6)
    constant = Observables(names=[], columns=["mass"], replicas=2).evaluate(
        rows.with_columns(mass=np.full(4000, 3.0)), 1
    )
    assert constant.numbers["mass.peak@qcd"].value == 3.0


def test_observables_come_from_the_constituents():
    rows = toy()
    metric = Observables(names=["pt", "n_active"], replicas=5)
    assert [port.name for port in metric.reads()] == ["constituents"]
    result = metric.evaluate(rows, 1)
    qcd = rows.is_from("qcd")
    counts, weights = rows.collection("constituents").counts[qcd], rows.column("weight")[qcd]
    assert result.numbers["n_active.mean@qcd"].value == pytest.approx(np.average(counts, weights=weights))
    assert [figure.name for figure in result.figures] == ["observable-pt", "observable-n_active"]
    assert result.figures[0].draw.axes[0].get_xlabel() == "pt [GeV]"
    assert "transverse momentum" in result.figures[0].caption.lower()


def test_an_unknown_observable_is_found_before_anything_runs():
    with pytest.raises(ValueError, match=r"did you mean .*'tau2'"):
        Observables(names=["tau2i"])
    assert dict(Observables(names=["jet_charge"]).reads()[0].fields)["charge"] == "e"
