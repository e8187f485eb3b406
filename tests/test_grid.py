"""Grid: cells and coordinates."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hepimg import Grid


def test_the_short_form_reads_rows_first() -> None:
    grid = Grid.model_validate({"eta": [-1, 1], "phi": [-2, 2], "shape": [4, 8]})
    assert grid.shape == (4, 8)
    assert grid.rows.name == "eta"
    assert grid.columns.unit == "rad"


def test_edges_of_its_own_for_each_axis() -> None:
    grid = Grid.model_validate({"eta": [-2, -1, 0, 3], "phi": [-1, 0, 1]})
    assert grid.shape == (3, 2)
    np.testing.assert_allclose(grid.rows.centres, [-1.5, -0.5, 1.5])


def test_only_a_full_circle_is_periodic() -> None:
    full = Grid.model_validate({"eta": [-5, 5], "phi": [-math.pi, math.pi], "shape": [100, 64]})
    assert full.periodic == (False, True)
    assert Grid.square(1.0, 40).periodic == (False, False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"eta": [-1, 1], "shape": [4, 4]},
        {"eta": [1, -1], "phi": [-1, 1], "shape": [4, 4]},
        {"eta": [-1, 1], "phi": [-4, 4], "shape": [4, 4]},
        {"eta": [-1, 1], "phi": [-1, 1], "shape": [4, 0]},
        {"eta": [-1, 1], "phi": [-1, 1], "shape": [4]},
        {"eta": [-1, math.nan], "phi": [-1, 1], "shape": [4, 4]},
        {"eta": [-1, 0, 1], "phi": [-1, 1], "shape": [4, 4]},
        {"eta": [-1, 1], "phi": [-1, 1], "shape": [100_000, 100_000]},
    ],
)
def test_impossible_grids_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Grid.model_validate(wrong)


@given(st.integers(1, 40), st.integers(1, 7))
def test_pooled_edges_are_among_the_fine_ones(size: int, factor: int) -> None:
    fine = Grid.square(1.0, size)
    coarse = fine.pooled(factor)
    assert coarse.shape == (-(-size // factor),) * 2
    distance = np.abs(coarse.rows.all_edges[:, None] - fine.rows.all_edges[None]).min(axis=1)
    assert distance.max() < 1e-12
    assert coarse.rows.all_edges[[0, -1]].tolist() == fine.rows.all_edges[[0, -1]].tolist()


def test_centres_belong_to_their_cells() -> None:
    grid = Grid.model_validate({"eta": [0, 2], "phi": [0, 3], "shape": [2, 3]})
    eta, phi = grid.centres(np.arange(6, dtype=np.int32))
    np.testing.assert_allclose(eta, [0.5, 0.5, 0.5, 1.5, 1.5, 1.5])
    np.testing.assert_allclose(phi, [0.5, 1.5, 2.5] * 2)


def test_a_grid_survives_json() -> None:
    grid = Grid.model_validate({"eta": [-2, -1, 0, 3], "phi": [-1, 0, 1]})
    assert Grid.model_validate_json(grid.model_dump_json()) == grid
