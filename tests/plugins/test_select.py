"""The step ``select``: a window of a column."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from hepimg.errors import DataError
from hepimg.testing import check_component, check_step, toy_jets
from hepimg_jets.select import Select


def test_contract() -> None:
    check_component(Select)
    jets = toy_jets(40).with_columns(mass=np.arange(40.0))
    for bounds in ((10.0, 20.0), (10.0, None), (None, 20.0), (100.0, None)):
        check_step(Select(column="mass", range=bounds), jets)


def test_the_lower_bound_is_inside_the_upper_is_not() -> None:
    jets = toy_jets(40).with_columns(mass=np.arange(40.0))
    kept = Select(column="mass", range=(10.0, 20.0)).apply(jets, None)
    assert kept.column("mass").tolist() == list(range(10, 20))
    for name in ("pt", "phi"):
        np.testing.assert_array_equal(
            kept.collection("constituents")[name], jets[10:20].collection("constituents")[name]
        )


def test_a_column_of_several_numbers_is_refused() -> None:
    jets = toy_jets(4).with_columns(axis=np.zeros((4, 2)))
    with pytest.raises(DataError, match="the column axis has several numbers for each jet"):
        Select(column="axis", range=(0.0, 1.0)).apply(jets, None)


@pytest.mark.parametrize("bounds", [(None, None), (2.0, 2.0), (3.0, 2.0)])
def test_a_range_has_a_width(bounds: tuple[float | None, float | None]) -> None:
    with pytest.raises(ValidationError, match="range"):
        Select(column="mass", range=bounds)
