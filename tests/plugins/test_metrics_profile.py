"""The mean of observables against a column."""

from __future__ import annotations

import numpy as np
import pytest

from hepimg.components import Collection
from hepimg.errors import DataError
from hepimg.sample import Ragged, Sample
from hepimg_metrics.profile import Profile, _written


def jets(counts: np.ndarray, mu: np.ndarray) -> Sample:
    """Jets of so many particles."""
    n = int(counts.sum())
    fields = {name: np.ones(n, np.float32) for name in ("pt", "y", "phi")}
    columns = {"event": np.arange(len(mu)), "weight": np.ones(len(mu)), "mu": mu, "sample": np.zeros(len(mu), np.int16)}
    constituents = Ragged(np.concatenate([[0], np.cumsum(counts)]), fields)
    return Sample(columns, {"constituents": constituents}, classes=("one",))


def test_slope_and_means_are_those_of_a_straight_line() -> None:
    mu = np.repeat(np.arange(20.0), 10)
    found = Profile(against="mu", collections=["constituents"], bins=4).evaluate(jets(3 + 2 * mu.astype(int), mu), 1)
    slope = found.numbers["constituents.n_active.slope_against_mu@one"]
    assert slope.value == pytest.approx(2)
    assert slope.error == pytest.approx(0, abs=1e-12), "every replica lies on the same line"
    data = found.figures[0].data
    expected = [3 + 2 * part.mean() for part in np.array_split(np.arange(20.0), 4)]
    np.testing.assert_allclose(data["one.constituents.mean"], expected)


def test_slope_has_the_error_of_least_squares() -> None:
    random = np.random.default_rng(3)
    mu = random.uniform(0, 100, 4000)
    counts = 50 + random.poisson(20, 4000)
    found = Profile(against="mu", collections=["constituents"], replicas=300).evaluate(jets(counts, mu), 1)
    slope = found.numbers["constituents.n_active.slope_against_mu@one"]
    assert slope.error == pytest.approx(counts.std() / (mu.std() * np.sqrt(4000)), rel=0.15)
    assert abs(slope.value) < 4 * slope.error


def test_columns_are_drawn_as_observables_are() -> None:
    mu = np.repeat(np.arange(20.0), 10)
    rows = jets(np.full(200, 2), mu).with_columns({"ae.loss": "GeV^2"}, **{"ae.loss": 5 - 3 * mu})
    found = Profile(against="mu", columns=["ae.loss"], bins=4).evaluate(rows, 1)
    slope = found.numbers["ae.loss.slope_against_mu@one"]
    assert (slope.value, slope.unit) == (pytest.approx(-3), "GeV^2")
    (figure,) = found.figures
    np.testing.assert_allclose(figure.data["one.mean"], [5 - 3 * p.mean() for p in np.array_split(np.arange(20.0), 4)])
    assert figure.draw.axes[0].get_ylabel() == "mean ae.loss [GeV^2]"


def test_observables_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="names: name collections or images"):
        Profile(against="mu", names=["mass"], columns=["ae.loss"])


def test_a_column_that_never_changes_and_empty_bins() -> None:
    found = Profile(against="mu", collections=["constituents"]).evaluate(jets(np.full(5, 2), np.zeros(5)), 1)
    assert not found.numbers
    found = Profile(against="mu", collections=["constituents"]).evaluate(jets(np.full(2, 2), np.array([0.0, 9.0])), 1)
    assert len(found.figures[0].data["one.constituents.mean"]) == 2


@pytest.mark.parametrize(("low", "high"), [(-5.0, 0.0), (-5.0, -1.0), (0.0, 7.0), (3.0, 3.0), (0.0, 0.0)])
def test_bins_cover_the_range_of_the_column(low: float, high: float) -> None:
    rows = jets(np.full(11, 2), np.linspace(low, high, 11))
    edges = Profile(against="mu", collections=["constituents"], bins=4).evaluate(rows, 1).figures[0].data["edges"]
    np.testing.assert_allclose(edges, np.linspace(low, high if high > low else low + 1, 5))


def test_quantiles_hold_equally_many_rows() -> None:
    mu = np.concatenate([np.zeros(60), np.linspace(0.5, 100, 60) ** 2])  # half of the rows are in one place
    find = Profile(against="mu", collections=["constituents"], bins=6, quantiles=True).evaluate
    data = find(jets(np.full(120, 2), mu), 1).figures[0].data
    np.testing.assert_array_equal(np.histogram(mu, data["edges"])[0], [60, 20, 20, 20])
    everywhere = find(jets(np.full(4, 2), np.ones(4)), 1).figures[0].data["edges"]
    np.testing.assert_allclose(everywhere, np.linspace(1, 2, 7))


def test_quantiles_are_drawn_equally_wide() -> None:
    options = {"against": "mu", "collections": ["constituents"], "bins": 4, "quantiles": True}
    found = Profile(**options).evaluate(jets(np.full(40, 2), np.linspace(0, 1, 40) ** 4), 1)
    assert list(found.numbers) == ["constituents.n_active.slope_against_mu@one"]
    figure = found.figures[0]
    assert figure.name == "profile-n_active"
    (axes,) = figure.draw.axes
    np.testing.assert_array_equal(axes.get_xticks(), np.arange(5))
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0", "0.004", "0.063", "0.32", "1"]
    assert _written(np.array([550.0, 551.0, 650.0])) == ["550", "551", "650"]
    assert _written(np.array([0.991, 0.996, 0.999, 1.0])) == ["0.991", "0.996", "0.999", "1"]


def test_a_column_must_be_finite_and_its_name_is_in_the_number() -> None:
    mu = np.arange(8.0)
    mu[3] = np.nan
    with pytest.raises(DataError, match="mu is not finite for 1 of 8"):
        Profile(against="mu", collections=["constituents"]).evaluate(jets(np.full(8, 2), mu), 1)
    rows = jets(np.full(8, 2), np.arange(8.0)).with_columns(**{"tag[seed=1].score": np.arange(8.0)})
    found = Profile(against="tag[seed=1].score", collections=["constituents"]).evaluate(rows, 1)
    assert list(found.numbers) == ["constituents.n_active.slope_against_tag[seed=1]_score@one"]


def test_no_rows_and_charge() -> None:
    with pytest.raises(DataError, match="no test rows") as refusal:
        Profile(against="mu", collections=["constituents"]).evaluate(jets(np.ones(3, int), np.zeros(3))[:0], 1)
    assert "metric profile" in str(refusal.value)
    ports = {port.name: port for port in Profile(against="mu", names=["jet_charge"], collections=["a"]).reads()}
    assert ports["a"] == Collection("a", {"pt": "GeV", "phi": "rad", "charge": "e"})


def test_something_must_be_looked_at() -> None:
    with pytest.raises(ValueError, match="name columns, or collections or images"):
        Profile(against="mu")
