"""The metric ``observables``: names of other collections, and classes of few rows."""

from __future__ import annotations

import numpy as np

from hepimg.sample import Sample
from hepimg.testing import merge, toy_jets
from hepimg_metrics.observables import Observables


def two_classes(few: int = 30) -> Sample:
    test = merge({"many": toy_jets(300), "few": toy_jets(few, 2, 5)})
    return test.with_collection("groomed", test.collection("constituents"))


def test_numbers_of_another_collection_carry_its_name() -> None:
    test = two_classes()
    plain = Observables(names=["mass"], columns=["pt"], replicas=3).evaluate(test, 1)
    groomed = Observables(names=["mass"], columns=["eta"], of="groomed", replicas=3).evaluate(test, 1)
    assert {"mass.mean@many", "mass.peak@few", "pt.mean@few"} <= set(plain.numbers)
    assert {"groomed.mass.mean@many", "groomed.mass.peak@few", "eta.mean@few"} <= set(groomed.numbers)
    assert not set(plain.numbers) & set(groomed.numbers)
    names = [figure.name for figure in (*plain.figures, *groomed.figures)]
    assert len(set(names)) == 4


def test_a_class_of_few_rows_is_on_the_axes() -> None:
    test = two_classes(few=3)
    away = np.where(test.is_from("few"), 1000.0, 1.0) + np.arange(len(test)) / len(test)
    (figure,) = Observables(names=[], columns=["away"], replicas=3).evaluate(test.with_columns(away=away), 1).figures
    edges = next(value for key, value in figure.data.items() if "edges" in key)
    assert edges[0] < 2 < 1000 < edges[-1]
