"""The metrics ``plane`` and ``quantile``: against slow formulas, and what they say of samples that are alike or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepimg.components import Grid
from hepimg.errors import DataError
from hepimg.images import SparseImages
from hepimg.sample import Sample
from hepimg_metrics.plane import Plane, bins_of, chi2, triangle
from hepimg_metrics.quantile import Quantile, quantiles
from jet_samples import few

GRID = Grid.square(1.0, 8)


def images(rows: int, seed: int, share: float = 0.2) -> SparseImages:
    random = np.random.default_rng(seed)
    shape = (rows, 1, *GRID.shape)
    return SparseImages.from_dense(random.exponential(5, shape) * (random.uniform(size=shape) < share), GRID)


def rows_of(rows: int, columns: dict[str, Any], **named: SparseImages) -> Sample:
    own = {"event": np.arange(rows), "weight": np.ones(rows), "sample": np.arange(rows) % 2}
    pictures = {name.replace("_", "."): some for name, some in named.items()}
    return Sample({**own, **columns}, {}, pictures, {}, ("qcd", "top"))


def judge(truth: SparseImages, made: SparseImages, **options: Any) -> dict[str, Any]:
    metric = Plane(**{"truth": "image", "generated": ["grow.image"], "bins": 6, **options})
    found = metric.evaluate(rows_of(len(truth), {}, image=truth, grow_image=made), 1)
    assert [figure.name for figure in found.figures] == ["plane-mass-tau21-qcd", "plane-mass-tau21-top"]
    return dict(found.numbers)


def test_alike_and_unlike_planes() -> None:
    truth = images(1200, 1)
    alike, unlike = judge(truth, images(1200, 2)), judge(truth, images(1200, 3, share=0.35))
    for label in ("qcd", "top"):
        floor = alike[f"image.plane_triangle_floor@{label}"].value
        assert alike[f"grow.plane_triangle@{label}"].value == pytest.approx(floor, rel=0.5)
        assert alike[f"grow.plane_chi2@{label}"].value == pytest.approx(1, abs=0.6)
        assert unlike[f"grow.plane_triangle@{label}"].value > 5 * floor
        assert unlike[f"grow.plane_chi2@{label}"].value > 5
    same = judge(truth, truth)
    assert same["grow.plane_triangle@qcd"].value == same["grow.plane_chi2@qcd"].value == 0


def test_few_and_blank_images() -> None:
    assert "grow.plane_chi2@top" not in judge(images(4, 1), images(4, 2))
    blank = SparseImages.empty(6, GRID)
    assert judge(blank, blank)["grow.plane_triangle@top"].value == 0


@few
@given(st.integers(0, 30), st.integers(0, 100))
def test_bins_are_those_of_numpy(n: int, seed: int) -> None:
    x, y = np.random.default_rng(seed).normal(size=(2, n))
    edges = np.linspace(-1, 1, 4), np.linspace(-2, 1, 6)
    found = np.bincount(bins_of(x, y, *edges), minlength=16)
    expected, _, _ = np.histogram2d(x, y, edges)
    np.testing.assert_array_equal(found[:-1].reshape(3, 5), expected)
    assert found.sum() == n


@few
@given(st.integers(2, 8), st.integers(0, 100))
def test_numbers_are_the_sums(bins: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    first, second = random.integers(1, 20, (2, bins)).astype(float)
    p, q = first / first.sum(), second / second.sum()
    assert triangle(p, q) == pytest.approx(sum((a - b) ** 2 / (a + b) for a, b in zip(p, q, strict=True)) / 2)
    expected = sum(
        (a / first.sum() - b / second.sum()) ** 2 / (a / first.sum() ** 2 + b / second.sum() ** 2)
        for a, b in zip(first, second, strict=True)
    ) / (bins - 1)
    assert chi2((first, first), (second, second), np.ones(bins, bool)) == pytest.approx(expected)
    assert triangle(np.array([1.0, 0]), np.array([0, 1.0])) == 1
    assert np.isnan(chi2((first, first), (second, second), np.arange(bins) < 1))


def test_plane_refuses_what_does_not_fit() -> None:
    for options, message in (
        ({"generated": ["image"]}, "both image"),
        ({"generated": ["a.image"], "names": ["mass", "mass"]}, "both observables are mass"),
    ):
        with pytest.raises(ValueError, match=message):
            Plane.model_validate({"truth": "image", **options})


@few
@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.floats(0.01, 0.99))
def test_quantiles_reach_the_fraction(numbers: list[int], fraction: float) -> None:
    values, weights = np.array(numbers, float), np.arange(1.0, len(numbers) + 1)
    (found,) = quantiles(values, weights[None], fraction)
    whole = weights.sum()
    assert weights[values <= found].sum() >= fraction * whole * (1 - 1e-9)
    assert weights[values < found].sum() < fraction * whole * (1 + 1e-9)


def test_the_share_below_the_quantile() -> None:
    random = np.random.default_rng(1)
    n = 4000
    true = random.uniform(1, 2, n)
    copied = np.where(np.arange(n) < 400, 0.0, random.uniform(1, 2, n))
    test = rows_of(n, {"near.true": true, "near.copied": copied, "near.other": random.uniform(1, 2, n)})
    found = Quantile(of=["near.copied", "near.other"], against="near.true", fraction=0.05).evaluate(test, 1)
    for label in ("qcd", "top"):
        copied_share, other = (found.numbers[f"near.{name}_below@0.05:{label}"] for name in ("copied", "other"))
        assert copied_share.value == pytest.approx(0.1 + 0.9 * 0.05, abs=0.02)
        assert other.error is not None
        assert abs(other.value - 0.05) < 4 * other.error
        # the quantile's own error and that of the share: both binomial
        assert other.error == pytest.approx(np.sqrt(2 * 0.05 * 0.95 / (n / 2)), rel=0.35)
    assert [figure.name for figure in found.figures] == ["quantile-near_true-qcd", "quantile-near_true-top"]
    with pytest.raises(DataError, match=r"near\.true is not finite"):
        Quantile(of=["near.other"], against="near.true").evaluate(
            rows_of(2, {"near.true": np.array([1, np.nan]), "near.other": np.ones(2)}), 1
        )
