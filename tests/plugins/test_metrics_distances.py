"""The metric ``distances``: against slow formulas, and what it says of samples that are alike or are not."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.linalg import sqrtm

from hepimg.components import Grid
from hepimg.images import SparseImages
from hepimg.sample import Sample
from hepimg.testing import check_metric
from hepimg_metrics.bootstrap import blocks
from hepimg_metrics.distances.distances import Distances
from hepimg_metrics.distances.frechet import Moments, _batches, extrapolated, frechet
from hepimg_metrics.distances.kernel import discrepancy, median
from jet_samples import few

GRID = Grid.square(1.0, 8)
NAMES = ["mass", "n_active", "nth_hardest[n=1]"]


def images(rows: int, seed: int, share: float = 0.2) -> SparseImages:
    random = np.random.default_rng(seed)
    shape = (rows, 1, *GRID.shape)
    return SparseImages.from_dense(random.exponential(5, shape) * (random.uniform(size=shape) < share), GRID)


def rows_of(truth: SparseImages, made: SparseImages) -> Sample:
    n = len(truth)
    columns = {"event": np.arange(n), "row": np.arange(n), "weight": np.ones(n), "sample": (np.arange(n) % 2)}
    return Sample(columns, {}, {"image": truth, "grow.image": made}, {}, ("qcd", "top"))


def judge(truth: SparseImages, made: SparseImages) -> dict[str, Any]:
    metric = Distances(truth="image", generated=["grow.image"], names=NAMES)
    return dict(metric.evaluate(rows_of(truth, made), 1).numbers)


def test_rows_of_the_same_jets_are_no_likeness_of_the_samples() -> None:
    random = np.random.default_rng(3)
    common, *own = random.normal(size=(3, 400, 4))
    first, second = (0.9 * common + np.sqrt(1 - 0.81) * each for each in own)
    weights = random.uniform(0.5, 1.5, 400)
    kernel = np.array([[(x @ y / 4 + 1) ** 4 for y in second[:20]] for x in first[:20]])
    pairs = np.outer(weights[:20], weights[:20]) * (1 - np.eye(20))
    difference = discrepancy(first[:20], second[:20], weights[:20], weights[:20], paired=True) - discrepancy(
        first[:20], second[:20], weights[:20], weights[:20]
    )
    every = np.outer(weights[:20], weights[:20])
    assert difference == pytest.approx(
        2 * np.sum(every * kernel) / every.sum() - 2 * np.sum(pairs * kernel) / pairs.sum()
    )
    batches = [(first[k : k + 100], weights[k : k + 100]) for k in range(0, 400, 100)]
    others = [(second[k : k + 100], weights[k : k + 100]) for k in range(0, 400, 100)]
    value, error = median(batches, others, paired=True)  # type: ignore[misc]
    biased, _ = median(batches, others)  # type: ignore[misc]
    assert abs(value) < 4 * error
    assert biased < value


@few
@given(st.integers(1, 5), st.integers(0, 100))
def test_frechet_is_the_formula(features: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    means, roots = random.normal(size=(2, features)), random.normal(size=(2, features, features + 1))
    first, second = roots @ np.swapaxes(roots, 1, 2)
    expected = np.sum((means[0] - means[1]) ** 2) + np.trace(first + second - 2 * np.real(sqrtm(first @ second)))
    found = frechet((means[:1], first[None]), (means[1:], second[None]))
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert frechet((means[:1], first[None]), (means[:1], first[None])) == pytest.approx(0, abs=1e-7)


def test_moments_are_those_of_numpy() -> None:
    random = np.random.default_rng(1)
    values, block = random.normal(size=(30, 3)), np.arange(30) % 6
    moments = Moments.of(values, np.full(30, 2.0), block, 6)
    batches = np.array([[True] * 3 + [False] * 3, [True] * 6])
    mean, covariance = moments.gaussians(batches)
    for k, chosen in enumerate((block < 3, block >= 0)):
        assert moments.rows(batches)[k] == pytest.approx(chosen.sum())
        np.testing.assert_allclose(mean[k], values[chosen].mean(axis=0))
        np.testing.assert_allclose(covariance[k], np.cov(values[chosen], rowvar=False))
    counted = Moments.of(values, np.where(block < 3, 1.0, 0.0), block, 6).gaussians(batches[1:])
    np.testing.assert_allclose(counted[0][0], mean[0])
    np.testing.assert_allclose(counted[1][0], covariance[0])


def test_each_block_is_in_one_batch_of_each_size() -> None:
    batches = _batches(6)
    assert sorted(batches.sum(axis=1).tolist()) == [1] * 6 + [2] * 3 + [3] * 2 + [6]
    for size in (1, 2, 3, 6):
        np.testing.assert_array_equal(batches[batches.sum(axis=1) == size].sum(axis=0), 1)


def test_blocks_keep_events_together() -> None:
    event = np.repeat(np.arange(50), 2)
    classes = (event >= 20).astype(np.int64)
    block = blocks(classes, event, 4, 1)
    assert (block[::2] == block[1::2]).all()
    assert np.bincount(block[classes == 0][::2]).tolist() == [5] * 4
    assert set(np.bincount(block[classes == 1][::2])) == {7, 8}
    np.testing.assert_array_equal(block, blocks(classes, event, 4, 1))


def test_what_is_extrapolated_has_no_bias_and_the_right_error() -> None:
    """Samples of one distribution, and of two whose distance is known, again and again."""
    random = np.random.default_rng(1)
    block = np.arange(400) % 20
    for shift, expected, most in ((0.0, 0.0, 2.0), (0.5, 0.75, 1.4)):
        pairs = [
            [Moments.of(random.normal(mean, 1, (400, 3)), np.ones(400), block, 20) for mean in (0, shift)]
            for _ in range(150)
        ]
        found = np.array([extrapolated(*pair) for pair in pairs])
        spread = found[:, 0].std()
        assert found[:, 0].mean() == pytest.approx(expected, abs=4 * spread / np.sqrt(150))
        assert 0.7 < np.sqrt(np.mean(found[:, 1] ** 2)) / spread < most


def slow_discrepancy(x: NDArray[Any], y: NDArray[Any], wx: NDArray[Any], wy: NDArray[Any]) -> float:
    def mean(a: NDArray[Any], b: NDArray[Any], wa: NDArray[Any], wb: NDArray[Any], same: bool) -> float:
        above = below = 0.0
        for i, j in product(range(len(a)), range(len(b))):
            if same and i == j:
                continue
            above += wa[i] * wb[j] * (a[i] @ b[j] / a.shape[1] + 1) ** 4
            below += wa[i] * wb[j]
        return above / below

    return mean(x, x, wx, wx, True) + mean(y, y, wy, wy, True) - 2 * mean(x, y, wx, wy, False)


@few
@given(st.integers(2, 6), st.integers(2, 6), st.integers(1, 3), st.integers(0, 100))
def test_discrepancy_is_the_sum_over_pairs(n: int, m: int, features: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(n, features)), random.normal(1, size=(m, features))
    weights = random.uniform(0.5, 2, n), random.uniform(0.5, 2, m)
    assert discrepancy(x, y, *weights) == pytest.approx(slow_discrepancy(x, y, *weights), rel=1e-6, abs=1e-8)


def test_median_needs_two_batches() -> None:
    batch = np.ones((3, 2)), np.ones(3)
    assert median([batch], [batch]) is None
    assert median([batch, batch, (batch[0][:1], batch[1][:1])], [batch] * 3) == (0.0, 0.0)


def test_alike_and_unlike_images() -> None:
    truth = images(1200, 1)
    alike, unlike = judge(truth, images(1200, 2)), judge(truth, images(1200, 3, share=0.3))
    names = {
        f"{owner}{kind}@{label}"
        for owner, kind, label in product(["image."], ["fpd_floor", "kpd_floor"], ["qcd", "top"])
    }
    names |= {f"grow.{kind}@{label}" for kind, label in product(["fpd", "kpd"], ["qcd", "top"])}
    assert set(alike) == set(unlike) == names
    for name in names:
        assert abs(alike[name].value) < 4 * alike[name].error
        assert alike[name].n == 600
        if name.startswith("grow"):
            assert unlike[name].value > 2 * unlike[name].error
        else:
            assert unlike[name] == alike[name]


def test_few_jets_give_no_number_and_constants_no_fault() -> None:
    check_metric(Distances(truth="image", generated=["grow.image"], names=NAMES), rows_of(images(4, 1), images(4, 2)))
    assert set(judge(images(4, 1), images(4, 2))) == set()
    blank = SparseImages.empty(200, GRID)
    assert judge(blank, blank)["grow.fpd@qcd"].value == 0


def test_options_that_do_not_fit_are_refused() -> None:
    for options, message in (
        ({"generated": ["image"]}, "both image"),
        ({"generated": ["a.image"], "names": ["mass", "mass"]}, "named twice"),
        ({"generated": ["a.one", "a.two"]}, "two generated images of one task"),
    ):
        with pytest.raises(ValueError, match=message):
            Distances.model_validate({"truth": "image", **options})
