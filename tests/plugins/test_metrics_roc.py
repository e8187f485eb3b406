"""The metric roc against scikit-learn, against a slow count of pairs, and at its edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError

from hepimg.errors import DataError
from hepimg.sample import Sample
from hepimg.variants import without_seeds
from hepimg_metrics.bootstrap import resamples
from hepimg_metrics.ranking import Ranking
from hepimg_metrics.roc import Roc


def toy(n: int = 1500, *, weights: bool = False, **scores: np.ndarray) -> Sample:
    """Rows of qcd and top; ``good`` separates them better than ``fair``."""
    random = np.random.default_rng(7)
    kind = np.arange(n) % 2
    common = random.normal(size=n)
    columns = {
        "event": np.arange(n),
        "weight": random.exponential(size=n) if weights else np.ones(n),
        "sample": kind.astype(np.int16),
        "row": np.arange(n),
        "good.score": common + 2.0 * kind,
        "fair.score": common + 0.3 * random.normal(size=n) + 1.6 * kind,
        **scores,
    }
    return Sample(columns, classes=("qcd", "top"))


def area_by_pairs(score, signal, weights) -> float:
    """Every pair of a signal and a background row."""
    wins = total = 0.0
    for s, v in zip(score[signal], weights[signal], strict=True):
        for b, w in zip(score[~signal], weights[~signal], strict=True):
            total += v * w
            wins += v * w * (1.0 if s > b else 0.5 if s == b else 0.0)
    return wins / total


@settings(max_examples=40, deadline=None)
@given(
    score=hnp.arrays(np.float64, st.integers(4, 30), elements=st.sampled_from([-1.5, 0.0, 0.1, 0.2, 3.0])),
    data=st.data(),
)
def test_area_is_that_of_all_pairs_with_ties_and_weights(score, data):
    signal = np.arange(len(score)) % 2 == 0
    weights = data.draw(hnp.arrays(np.float64, len(score), elements=st.floats(0.1, 5)))
    assert Ranking(score, signal).passing(weights).auc == pytest.approx(
        area_by_pairs(score, signal, weights), rel=1e-10
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("digits", [1, 12])
def test_curve_is_scikit_learns(weighted, digits):
    from sklearn.metrics import roc_auc_score, roc_curve

    rows = toy(weights=weighted)
    score, signal = np.round(rows.column("fair.score"), digits), rows.is_from("top")
    weight = rows.column("weight")
    passing = Ranking(score, signal).passing(weight)
    background, efficiency, _ = roc_curve(signal, score, sample_weight=weight, drop_intermediate=False)
    np.testing.assert_allclose(passing.signal, efficiency, atol=1e-12)
    np.testing.assert_allclose(passing.background, background, atol=1e-12)
    assert passing.auc == pytest.approx(roc_auc_score(signal, score, sample_weight=weight), rel=1e-12)


def test_rejection_is_that_of_the_tightest_cut_that_reaches_the_efficiency():
    from sklearn.metrics import roc_curve

    rows = toy(weights=True)
    numbers = Roc(scores=["good.score"], signal="top", replicas=2).evaluate(rows, 1).numbers
    background, efficiency, _ = roc_curve(
        rows.is_from("top"), rows.column("good.score"), sample_weight=rows.column("weight"), drop_intermediate=False
    )
    for point in (0.3, 0.5):
        cut = np.flatnonzero(efficiency >= point)[0]
        assert numbers[f"good.rejection@{point}"].value == pytest.approx(1 / background[cut], rel=1e-9)


def test_true_positives_are_those_of_the_loosest_cut_that_lets_no_more_background_pass():
    from sklearn.metrics import roc_curve

    rows = toy(weights=True)
    metric = Roc(scores=["good.score"], signal="top", false_positives=[0.01, 0.1], replicas=50)
    numbers = metric.evaluate(rows, 1).numbers
    background, efficiency, _ = roc_curve(
        rows.is_from("top"), rows.column("good.score"), sample_weight=rows.column("weight"), drop_intermediate=False
    )
    for point in (0.01, 0.1):
        found = numbers[f"good.true_positives@{point}"]
        assert found.value == pytest.approx(efficiency[np.flatnonzero(background <= point)[-1]], rel=1e-9)
        assert 0.005 < found.error < 0.1
    tied = Ranking(np.array([2.0, 1.0, 1.0, 0.0]), np.array([True, True, False, False])).passing(np.ones(4))
    assert tied.signal_at(np.array([0.01, 0.49, 0.5, 0.99])).tolist() == [0.5, 0.5, 1.0, 1.0]


def test_tied_rows_pass_together_and_an_exact_half_is_reached():
    signal = np.array([True, True, False, False])
    ranking = Ranking(np.array([2.0, 1.0, 1.0, 0.0]), signal)
    passing = ranking.passing(np.full(4, 0.1))
    cuts = passing.cuts(np.array([0.5, 0.51, 1.0]))
    assert passing.background[cuts].tolist() == [0.0, 0.5, 0.5]
    assert ranking.background_rows(cuts).tolist() == [0, 1, 1]


def test_replicas_draw_whole_events_within_each_class():
    classes, event = np.repeat([0, 1], [30, 50]), np.concatenate([np.arange(30) // 2, np.arange(50)])
    draws = np.array(list(resamples(classes, event, 400, 3)))
    assert np.all(draws[:, 0:30:2] == draws[:, 1:30:2])
    assert np.all(draws[:, :30].sum(axis=1) == 30)
    assert np.all(draws[:, 30:].sum(axis=1) == 50)
    np.testing.assert_allclose(draws.mean(axis=0), 1, atol=0.25)
    np.testing.assert_array_equal(draws, list(resamples(classes, event, 400, 3)))
    assert not np.array_equal(draws, list(resamples(classes, event, 400, 4)))


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_bootstrap_errors_are_the_spreads_of_independent_samples(spread):
    random = np.random.default_rng(0)
    signal = np.arange(400) % 2 == 1

    def draw() -> tuple[np.ndarray, np.ndarray]:
        return random.normal(size=400) + signal, np.exp(spread * random.normal(size=400))

    areas, rejections = [], []
    for _ in range(300):
        score, weights = draw()
        passing = Ranking(score, signal).passing(weights)
        areas.append(passing.auc)
        rejections.append(1 / passing.background[passing.cuts(np.array([0.8]))][0])
    score, weights = draw()
    rows = toy(400, **{"good.score": score, "weight": weights})
    numbers = Roc(scores=["good.score"], signal="top", efficiencies=[0.8]).evaluate(rows, 1).numbers
    assert numbers["good.auc"].error == pytest.approx(np.std(areas), rel=0.3)
    assert numbers["good.rejection@0.8"].error == pytest.approx(np.std(rejections), rel=0.4)
    assert numbers["good.auc"].n == 400


def test_differences_are_paired_and_against_the_last_score():
    numbers = Roc(scores=["good.score", "fair.score"], signal="top").evaluate(toy(), 1).numbers
    difference = numbers["good.auc_minus_fair"]
    assert difference.value == pytest.approx(numbers["good.auc"].value - numbers["fair.auc"].value)
    # The scores share most of their noise, so the difference is better known than either area.
    assert difference.error < 0.8 * np.hypot(numbers["good.auc"].error, numbers["fair.auc"].error)
    assert "fair.auc_minus_fair" not in numbers
    other = Roc(scores=["good.score", "fair.score"], signal="top", against="good").evaluate(toy(), 1).numbers
    assert other["fair.auc_minus_good"].value == -difference.value
    with pytest.raises(ValueError, match="did you mean 'good'"):
        Roc(scores=["good.score"], signal="top", against="god")


def test_same_seed_same_numbers_and_rows_untouched():
    rows = toy()
    before = {name: values.copy() for name, values in rows.columns.items()}
    metric = Roc(scores=["good.score"], signal="top", replicas=20)
    assert metric.evaluate(rows, 5).numbers == metric.evaluate(rows, 5).numbers
    assert metric.evaluate(rows, 6).numbers != metric.evaluate(rows, 5).numbers
    for name, values in before.items():
        np.testing.assert_array_equal(rows.column(name), values)


def test_without_background_left_a_limit_stands():
    rows = toy(600)
    perfect = toy(600, **{"good.score": rows.column("sample").astype(float)})
    numbers = Roc(scores=["good.score"], signal="top", replicas=5).evaluate(perfect, 1).numbers
    assert numbers["good.auc"].value == 1.0
    limit = numbers["good.rejection@0.5"]
    assert limit.limit
    assert limit.error is None
    assert limit.value == pytest.approx(300 / 3)  # 300 background rows, fewer than 3 expected at 95 %


def test_background_may_be_chosen_and_seeds_are_drawn_as_one():
    rows = toy(900)
    three = Sample(
        {**rows.columns, "sample": (np.arange(900) % 3).astype(np.int16), "a[seed=1].score": rows.column("good.score"),
         "a[seed=2].score": rows.column("fair.score")},
        classes=("qcd", "top", "w"),
    )  # fmt: skip
    metric = Roc(
        scores=["a[seed=1].score", "a[seed=2].score", "fair.score"], signal="top", background=["w"], replicas=5
    )
    assert metric.samples() == ["top", "w"]
    assert [port.name for port in metric.reads()] == metric.scores
    result = metric.evaluate(three, 1)
    assert result.numbers["fair.auc"].n == 600
    assert "a[seed=2].auc_minus_fair" in result.numbers
    assert [figure.name for figure in result.figures] == ["roc-top", "sic-top", "scores-a", "scores-fair"]
    axes = result.figures[0].draw.axes[0]
    assert [text.get_text()[:12] for text in axes.get_legend().get_texts()] == [
        "a (2 seeds):",
        "fair: AUC 0.",
        "guessing",
    ]
    drawn = result.figures[0].data["fair.rejection"]
    assert np.isnan(drawn).any()
    assert drawn[-1] == pytest.approx(1.0)


def test_seeds_are_taken_out_of_names():
    assert without_seeds("tag[seed=2]") == "tag"
    assert without_seeds("tag[strength=0.1,seed=12]") == "tag[strength=0.1]"
    assert without_seeds("tag") == "tag"
    assert without_seeds("tag[seed=1,tag.seed=2]") == "tag"
    assert without_seeds("tag[seed=1,strength=0.1,tag.seed=2]") == "tag[strength=0.1]"
    assert without_seeds("tag[lr_seed=3]") == "tag[lr_seed=3]"


def test_replicas_without_weight_in_a_class_are_left_out():
    rows = toy()[:8]
    rows = rows.with_columns(
        sample=np.repeat(np.int16([1, 0]), 4), weight=np.repeat([1.0, 0.0, 1.0, 0.0], [2, 2, 2, 2])
    )
    found = Roc(scores=["good.score"], signal="top").evaluate(rows, 1)
    assert all(np.isfinite(number.error or 0.0) for number in found.numbers.values())


def test_wrong_input_is_named():
    with pytest.raises(DataError, match="no test rows of top"):
        Roc(scores=["good.score"], signal="top").evaluate(toy()[toy().column("sample") == 0], 1)
    broken = toy().column("good.score").copy()
    broken[2] = np.nan
    with pytest.raises(DataError, match=r"good.score is not finite for 1 of 1500 test rows"):
        Roc(scores=["good.score"], signal="top").evaluate(toy(**{"good.score": broken}), 1)
    with pytest.raises(ValidationError, match="named twice"):
        Roc(scores=["a.score", "a.score"], signal="top")
    with pytest.raises(ValidationError):
        Roc(scores=["a.score"], signal="top", efficiencies=[0.0])
