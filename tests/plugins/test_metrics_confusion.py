"""The metrics ``confusion`` and ``extremes``."""

from __future__ import annotations

import numpy as np
import pytest

from hepimg.errors import DataError
from hepimg.sample import Sample
from hepimg.testing import check_component, check_metric, merge, toy_jets
from hepimg_metrics.confusion import Confusion
from hepimg_metrics.extremes import Extremes
from hepimg_preprocess.center import Center
from hepimg_preprocess.pixelate import Pixelate


def rows(n: int = 3000) -> Sample:
    """Scores of two normal distributions, two standard deviations apart, the same upside down, and row numbers."""
    test = merge({"qcd": toy_jets(n), "top": toy_jets(n, 2, first_event=n)})
    score = np.random.default_rng(2).normal(size=2 * n) + 2.0 * test.is_from("top")
    return test.with_columns(**{"tag.score": score, "bad.score": -score, "loss": np.arange(2.0 * n)})


def test_the_best_cut_of_two_normal_distributions_lies_between_them() -> None:
    metric = Confusion(scores=["tag.score", "bad.score"], signal="top")
    found = metric.evaluate(rows(), 1)
    numbers = found.numbers
    passing = 0.8413  # of a normal distribution above -1
    for name, expected in (("true_positives@cut", passing), ("false_positives@cut", 1 - passing)):
        estimate = numbers[f"tag.{name}"]
        assert estimate.value == pytest.approx(expected, abs=0.06)
        assert estimate.error == pytest.approx(np.sqrt(expected * (1 - expected) / 1500), rel=0.2)
    assert numbers["tag.balanced_accuracy"].value == pytest.approx(
        passing, abs=3 * numbers["tag.balanced_accuracy"].error
    )
    assert numbers["bad.balanced_accuracy"].value == pytest.approx(0.5, abs=0.01)
    assert found.figures[0].data["tag"].sum(axis=1).tolist() == pytest.approx([1, 1])


def test_the_cut_is_chosen_on_other_events() -> None:
    """Scores of no meaning look better than chance where the cut is judged by the rows it was chosen on."""
    test = merge({"qcd": toy_jets(60), "top": toy_jets(60, 2, first_event=60)})
    accuracies = []
    for seed in range(40):
        noise = test.with_columns(noise=np.random.default_rng(seed).normal(size=120))
        numbers = Confusion(scores=["noise"], signal="top", replicas=2).evaluate(noise, seed).numbers
        accuracies.append(numbers["noise.balanced_accuracy"].value)
    assert np.mean(accuracies) == pytest.approx(0.5, abs=3 * np.std(accuracies) / np.sqrt(40))


def test_the_smallest_and_the_largest_are_drawn() -> None:
    test = Center().apply(rows(20), None)
    grid = {"eta": [-0.8, 0.8], "phi": [-0.8, 0.8], "shape": [10, 10]}
    test = Pixelate.model_validate({"grid": grid}).apply(test, None)
    qcd, top = Extremes(of="loss", images=["image", "image"], number=2).evaluate(test, 1).figures
    assert qcd.data["loss"].tolist() == [0, 1, 18, 19]
    assert top.data["loss"].tolist() == [20, 21, 38, 39]
    np.testing.assert_array_equal(top.data["image"][-1], test.image("image").dense()[39, 0])
    assert len(Extremes(of="loss", images=["image"], number=6).evaluate(test[:3], 1).figures[0].data["loss"]) == 3


def test_contracts_and_errors() -> None:
    for kind in (Confusion, Extremes):
        check_component(kind)
    check_metric(Confusion(scores=["tag.score"], signal="top", replicas=5), rows(50))
    test = Pixelate.model_validate({"grid": {"eta": [-1, 1], "phi": [-1, 1], "shape": [4, 4]}}).apply(rows(20), None)
    check_metric(Extremes(of="loss", images=["image"]), test)
    weightless = rows(50)
    weight = np.where(weightless.is_from("top"), 0.0, 1.0)
    weight[-1] = 1.0
    with pytest.raises(DataError, match="fewer than two events of signal or background that count"):
        Confusion(scores=["tag.score"], signal="top").evaluate(weightless.with_columns(weight=weight), 1)
    with pytest.raises(ValueError, match="a score is named twice"):
        Confusion(scores=["loss", "loss"], signal="top")
    vectors = test.with_columns(loss=np.zeros((len(test), 3)))
    with pytest.raises(DataError, match="loss has several numbers for each row"):
        Extremes(of="loss", images=["image"]).evaluate(vectors, 1)
    few = rows(2)[[0, 2, 3]]
    with pytest.raises(DataError, match="fewer than two events of signal or background"):
        Confusion(scores=["tag.score"], signal="top").evaluate(few, 1)
    with pytest.raises(DataError, match="metric confusion: no test rows of top"):
        Confusion(scores=["tag.score"], signal="top").evaluate(rows(5)[:5], 1)
    with pytest.raises(DataError, match="loss is not finite"):
        Extremes(of="loss", images=["image"]).evaluate(test.with_columns(loss=np.full(len(test), np.nan)), 1)
