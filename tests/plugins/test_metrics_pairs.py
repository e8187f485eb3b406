"""The metrics ``scatter`` and ``resolution`` against plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from hepimg.errors import DataError
from hepimg.observables import compute
from hepimg.sample import Ragged, Sample
from hepimg.testing import check_metric
from hepimg_metrics.resolution import Resolution
from hepimg_metrics.scatter import Scatter, fraction, sums_of
from hepimg_preprocess.pixelate import Pixelate


def toy(n: int = 60) -> Sample:
    """Two classes; ``lr2`` holds the same jets a little changed, of a fifth of them one particle is lost."""
    random = np.random.default_rng(4)
    counts = random.integers(2, 12, n)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    fields = {"pt": random.exponential(60, offsets[-1]) + 20, "y": random.normal(0, 0.3, offsets[-1])}
    fields |= {"phi": random.normal(0, 0.3, offsets[-1])}
    fine = Ragged(offsets, fields, {"pt": "GeV", "phi": "rad"})
    lost = np.zeros(offsets[-1], bool)
    lost[offsets[:-1:5]] = True
    kept = Ragged(np.concatenate([[0], np.cumsum(~lost)])[offsets], {k: v[~lost] for k, v in fields.items()})
    columns = {
        "event": np.arange(n),
        "weight": random.uniform(0.5, 2, n),
        "sample": (np.arange(n) % 2).astype(np.int16),
        "row": np.arange(n),
    }
    return Sample(columns, {"constituents": fine, "lr2": kept, "lr4": fine}, classes=("qcd", "top"))


def test_sums_of_rows_with_and_without_entries() -> None:
    ragged = Ragged(np.array([0, 2, 2, 3]), {"pt": np.array([1.0, 2, 4], np.float32)})
    assert sums_of(ragged, "pt").tolist() == [3, 0, 4]
    assert sums_of(ragged.take(slice(0, 0)), "pt").tolist() == []


def test_scatter_counts_what_lies_beyond() -> None:
    rows = toy()
    result = Scatter(against=["lr2", "lr4"], tolerance=30.0, replicas=50).evaluate(rows, 1)
    for label in rows.classes:
        beyond = total = 0.0
        differences, weights = [], []
        for row in np.flatnonzero(rows.is_from(label)).tolist():
            one, other = (float(rows.collection(name).take(row)["pt"].sum()) for name in ("constituents", "lr2"))
            weight = rows.column("weight")[row]
            beyond, total = beyond + weight * (abs(other - one) > 30), total + weight
            differences.append(other - one)
            weights.append(weight)
        assert 0 < beyond < total
        assert result.numbers[f"lr2.pt_beyond@{label}"].value == pytest.approx(beyond / total)
        mean = np.average(differences, weights=weights)
        difference, width = (result.numbers[f"lr2.pt_{name}@{label}"] for name in ("difference", "width"))
        assert difference.value == pytest.approx(mean)
        assert width.value == pytest.approx(np.sqrt(np.average((differences - mean) ** 2, weights=weights)))
        assert difference.unit == "GeV"
        spread = np.sqrt(np.sum((np.array(weights) * (differences - mean)) ** 2)) / np.sum(weights)
        assert difference.error == pytest.approx(spread, rel=0.5)
        assert result.numbers[f"lr4.pt_beyond@{label}"].value == 0
        assert result.numbers[f"lr4.pt_beyond@{label}"].error > 0
    assert [figure.name for figure in result.figures] == ["scatter-pt-qcd", "scatter-pt-top"]
    figure = result.figures[1]
    np.testing.assert_allclose(figure.data["lr2"], sums_of(rows.collection("lr2"), "pt")[rows.is_from("top")])
    assert figure.draw.axes[0].get_xlabel() == "sum of $p_T$ [GeV]\nof constituents"


def test_the_binomial_error() -> None:
    half = fraction(np.arange(1000) % 2 == 0, np.ones(1000))
    assert half.value == 0.5
    assert half.error == pytest.approx(np.sqrt(0.25 / 1000), rel=0.01)
    none = fraction(np.zeros(98, bool), np.ones(98))
    assert none.value == 0
    assert none.error == pytest.approx(np.sqrt(0.01 * 0.99 / 101))  # the beta distribution of k = 0, n = 98
    weighted = fraction(np.array([True, False] * 50), np.array([3.0, 1.0] * 50))
    assert weighted.value == 0.75
    assert weighted.error == pytest.approx(np.sqrt(0.75 * 0.25 / 80), rel=0.05)  # 200^2 / 500 rows count


def test_a_fraction_with_negative_weights_has_an_error() -> None:
    weights = np.array([1.0] * 90 + [-1.0] * 10)
    above = fraction(np.arange(100) < 90, weights)  # 90 / 80
    below = fraction(np.arange(100) >= 90, weights)  # -10 / 80
    assert (above.value, below.value) == (1.125, -0.125)
    n = 80**2 / 100
    expected = np.sqrt((n + 1) / ((n + 2) ** 2 * (n + 3)))  # of k = 0 or n
    assert [above.error, below.error] == pytest.approx([expected, expected])


def test_resolution_means_are_those_of_the_observables() -> None:
    rows = toy()
    names = ["mass", "girth", "n_active"]
    result = Resolution(names=names, collections=["constituents", "lr2", "lr4"], replicas=50).evaluate(rows, 1)
    fine, lost = (compute(names, rows.collection(name).particles()) for name in ("constituents", "lr2"))
    top, weights = rows.is_from("top"), rows.column("weight")[rows.is_from("top")]
    for name in names:
        mean = result.numbers[f"lr2.{name}.mean@top"]
        assert mean.value == pytest.approx(np.average(lost[name][top], weights=weights))
        shift = result.numbers[f"lr2.{name}.shift@top"]
        assert shift.value == pytest.approx(np.average((lost[name] - fine[name])[top], weights=weights))
        assert 0 < shift.error < mean.error  # the jets are the same
        assert result.numbers[f"lr4.{name}.shift@top"].value == 0
    assert result.numbers["constituents.mass.mean@qcd"].unit == "GeV"
    assert "constituents.mass.shift@qcd" not in result.numbers
    assert [figure.name for figure in result.figures] == [f"resolution-{name}" for name in names]
    figure = result.figures[0]
    assert [axes.get_title() for axes in figure.draw.axes] == ["qcd", "top"]
    assert figure.draw.axes[0].get_xlabel() == "mass [GeV]"
    assert {"qcd.lr2.values", "top.constituents.edges"} <= set(figure.data)


def test_relative_differences_of_collections_and_images() -> None:
    grid = {"eta": [-2, 2], "phi": [-2, 2], "shape": [40, 40]}
    rows = Pixelate.model_validate({"grid": grid}).apply(toy(400), None)
    metric = Resolution(names=["mass"], collections=["constituents"], images=["image"], relative=True, replicas=50)
    result = metric.evaluate(rows, 1)
    fine = compute(["mass"], rows.collection("constituents").particles())["mass"]
    seen = compute(["mass"], rows.image("image").particles())["mass"]
    top = rows.is_from("top") & (fine > 0)
    weights, difference = rows.column("weight")[top], (seen / fine - 1)[top]
    mean = np.average(difference, weights=weights)
    deviation = np.sqrt(np.average((difference - mean) ** 2, weights=weights))
    assert result.numbers["image.mass.two_sigma@top"].value == pytest.approx(2 * deviation)
    found = result.numbers["image.mass.half_width@top"]
    inside = np.abs(difference - result.numbers["image.mass.bias@top"].value) < found.value
    assert np.average(inside, weights=weights) == pytest.approx(0.68, abs=0.06)
    assert 0 < found.error < 0.2 * found.value
    assert [figure.name for figure in result.figures] == ["resolution-mass", "residual-mass"]
    check_metric(metric, rows)
    weight = np.where(fine > 0, 0.0, 1.0)
    weight[rows.is_from("qcd")] = 1.0
    weight[np.flatnonzero(top)[0]] = 1e-9
    single = rows.with_columns(weight=weight)
    assert single.column("weight")[rows.is_from("top")].sum() > 0
    assert "image.mass.bias@top" in metric.evaluate(single, 1).numbers, "one row that counts, and replicas without it"


def test_contracts() -> None:
    check_metric(Scatter(against=["lr2"], replicas=5), toy())
    check_metric(Resolution(names=["mass", "n_active"], collections=["constituents", "lr2"], replicas=5), toy())


def test_no_rows_and_wrong_options() -> None:
    for metric in (Scatter(against=["lr2"]), Resolution(collections=["constituents", "lr2"])):
        with pytest.raises(DataError, match="no test rows"):
            metric.evaluate(toy()[:0], 1)
    with pytest.raises(ValueError, match="stands twice"):
        Scatter(against=["constituents"])
    for collections in (["lr2", "lr2"], ["lr2"]):
        with pytest.raises(ValueError, match="two or more, each once"):
            Resolution(collections=collections)
    with pytest.raises(ValueError, match=r"did you mean .*'tau2'"):
        Resolution(names=["tau2i"], collections=["constituents", "lr2"])
    assert dict(Resolution(names=["jet_charge"], collections=["a", "b"]).reads()[0].fields)["charge"] == "e"  # type: ignore[union-attr]


def test_jets_of_several_parts_and_jets_known_by_columns() -> None:
    """Against loops: the sum of the parts, the medians in bins, and the correlation with the first."""
    rows = toy(400)
    fine = rows.collection("constituents")
    random = np.random.default_rng(2)
    heavy = random.random(len(fine["pt"])) < 0.5
    rows = rows.with_collection("a", fine.where(heavy)).with_collection("b", fine.where(~heavy))
    mass = compute(["mass"], fine.particles())["mass"]
    known = {"known_mass": 1.1 * mass + random.normal(0, 1, 400), "x": random.uniform(0, 10, 400)}
    rows = rows.with_columns({"known_mass": "GeV"}, **known)
    metric = Resolution.model_validate(
        {
            "names": ["mass", "pt"],
            "jets": {
                "whole": {"collections": ["constituents"]},
                "parts": {"collections": ["a", "b"]},
                "half": {"collections": ["a"]},
                "known": {"columns": {"mass": "known_mass"}},
            },
            "relative": True,
            "against": {"column": "x", "edges": [0, 5, 10, 20]},
            "replicas": 20,
        }
    )
    check_metric(metric, rows)
    result = metric.evaluate(rows, 1)
    numbers = result.numbers
    for name in ("mass", "pt"):
        assert numbers[f"parts.{name}.two_sigma@qcd"].value == pytest.approx(0, abs=1e-5)
        assert numbers[f"parts.{name}.correlation@qcd"].value == pytest.approx(1)
    half = compute(["mass"], rows.collection("a").particles())["mass"]
    positive = rows.is_from("qcd") & (mass > 0)
    weight = rows.column("weight")
    covariance = np.cov(half[positive], mass[positive], aweights=weight[positive])
    expected = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    assert numbers["half.mass.correlation@qcd"].value == pytest.approx(expected)
    assert 0 < numbers["half.mass.correlation@qcd"].error < 0.1
    inside = positive & (known["x"] < 5)
    difference, order = known["known_mass"][inside] / mass[inside] - 1, weight[inside]
    below = difference <= numbers["known.mass.bias@qcd,x=0-5"].value
    assert np.average(below, weights=order) == pytest.approx(0.5, abs=0.03)
    assert numbers["known.mass.bias@qcd,x=0-5"].n == inside.sum()
    assert "known.pt.mean@qcd" not in numbers
    assert not [key for key in numbers if "x=10-20" in key], "no rows there"
    figure = result.figures[-2]
    assert figure.name == "against-mass"
    assert [axes.get_xlabel() for axes in figure.draw.axes] == ["x"] * 4
    np.testing.assert_allclose(figure.data["qcd.known.bias.x"], [2.5, 7.5])
    assert "known" not in "".join(result.figures[-1].data)


def test_an_observable_that_one_jet_alone_has_and_bins_of_few_rows() -> None:
    rows = toy(60).with_columns(known_pt=np.ones(60), unused=np.full(60, np.nan), x=np.arange(60.0))
    metric = Resolution.model_validate(
        {
            "names": ["mass", "pt"],
            "jets": {
                "whole": {"collections": ["constituents"]},
                "known": {"columns": {"pt": "known_pt", "girth": "unused"}},
            },
            "relative": True,
            "against": {"column": "x", "edges": [0, 3, 60]},
            "replicas": 5,
        }
    )
    result = metric.evaluate(rows, 1)
    assert [figure.name for figure in result.figures] == [
        *("resolution-mass", "resolution-pt", "residual-pt", "against-pt")
    ]
    assert {key.split(",")[1] for key in result.numbers if "," in key} == {"x=3-60"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"jets": {"one": {}}}, "give either"),
        ({"jets": {"one": {"images": ["image"], "columns": {"mass": "m"}}}}, "give either"),
        ({"jets": {"one": {"images": ["image", "image"]}}}, "named twice"),
        ({"jets": {"a.b": {"images": ["image"]}}}, "match pattern"),
        ({"jets": {"one": {"columns": {"mass": "m"}}}, "images": ["image"], "names": ["pt"]}, "has no pt"),
        ({"images": ["a", "b"], "against": {"column": "x", "edges": [0, 1]}}, "set relative: true"),
        ({"images": ["a", "b"], "relative": True, "against": {"column": "x", "edges": [1, 0]}}, "must ascend"),
        ({"jets": {"a": {"images": ["image"]}}, "images": ["a"]}, "each once"),
    ],
)
def test_jets_that_cannot_be_compared(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Resolution.model_validate(options)
