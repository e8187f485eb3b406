"""The metric ``closure``: its numbers against slow formulas, and what it says of images that are alike or are not."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hepimg.components import Evaluation, Image
from hepimg.errors import DataError
from hepimg.grid import Grid
from hepimg.images import PT, SparseImages
from hepimg.sample import Sample
from hepimg.testing import check_metric
from hepimg_metrics.bootstrap import halves
from hepimg_metrics.closure.cells import neighbours
from hepimg_metrics.closure.closure import Closure
from hepimg_metrics.closure.low import pooled
from hepimg_metrics.closure.models import drawn, models_of
from hepimg_metrics.closure.posterior import correlations, ranks
from hepimg_metrics.closure.two_sample import area
from hepimg_metrics.closure.wasserstein import distances, floor

FACTOR = 4
GRID = Grid.square(1.0, 16)
NAMES = ["nth_hardest[n=1]", "nth_hardest[n=2]", "n_active", "mass"]
OPTIONS: dict[str, Any] = {"truth": "hr", "low": "lr", "names": NAMES, "replicas": 20}


def images(rows: int, seed: int, share: float = 0.1) -> SparseImages:
    """Random images, a share of their cells active, with cells of 0.5 GeV and more."""
    random = np.random.default_rng(seed)
    shape = (rows, 1, *GRID.shape)
    return SparseImages.from_dense((0.5 + random.exponential(5, shape)) * (random.uniform(size=shape) < share), GRID)


def shuffled(batch: SparseImages, seed: int) -> SparseImages:
    """Each low-resolution cell's content in another order: a draw of the posterior of :func:`images`."""
    n = GRID.shape[0] // FACTOR
    cells = batch.dense().reshape(-1, n, FACTOR, n, FACTOR).transpose(0, 1, 3, 2, 4).reshape(-1, FACTOR**2)
    cells = np.random.default_rng(seed).permuted(cells, axis=1)
    back = cells.reshape(-1, n, n, FACTOR, FACTOR).transpose(0, 1, 3, 2, 4)
    return SparseImages.from_dense(back.reshape(-1, 1, *GRID.shape), GRID)


def rows_of(truth: SparseImages, classes: tuple[str, ...] = ("qcd",), **others: SparseImages) -> Sample:
    """Rows with the truth, its pooled image and others (``sharpen_image`` is ``sharpen.image``)."""
    n = len(truth)
    columns = {
        "event": np.arange(n),
        "row": np.arange(n),
        "weight": np.ones(n, np.float32),
        "sample": (np.arange(n) % len(classes)).astype(np.int16),
    }
    named = {name.replace("_", "."): batch for name, batch in others.items()}
    return Sample(columns, {}, {"hr": truth, "lr": pooled(truth, (FACTOR, FACTOR)), **named}, {}, classes)


def judge(test: Sample, **options: Any) -> Evaluation:
    return Closure(**{**OPTIONS, "generated": ["sharpen.image"], "trees": False, **options}).evaluate(test, 1)


def values_of(found: Evaluation, begins: str) -> dict[str, float]:
    return {name: number.value for name, number in found.numbers.items() if name.startswith(begins)}


def slow_distance(truth: NDArray[Any], made: NDArray[Any], weights: NDArray[Any]) -> float:
    """The area between two cumulative distributions, interval by interval."""
    places = np.unique(np.concatenate([truth, made]))
    area = 0.0
    for low, high in pairwise(places):
        below = [weights[values <= low].sum() / weights.sum() for values in (truth, made)]
        area += abs(below[0] - below[1]) * (high - low)
    return area


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 30), st.integers(0, 1000))
def test_distances_are_the_area_between_the_cumulative_distributions(n: int, seed: int) -> None:
    from scipy.stats import wasserstein_distance

    random = np.random.default_rng(seed)
    truth, made = random.normal(size=n).round(1), random.normal(0.5, 2, n).round(1)
    every = np.stack([np.ones(n), random.uniform(0.1, 2, n)])
    found = distances(truth, made, every)
    np.testing.assert_allclose(found, [slow_distance(truth, made, weights) for weights in every], atol=1e-12)
    np.testing.assert_allclose(found, [wasserstein_distance(truth, made, w, w) for w in every], atol=1e-12)


def test_the_floor_is_the_mean_distance_of_independent_samples() -> None:
    random = np.random.default_rng(2)
    n, ones = 400, np.ones((1, 400))
    direct = [distances(random.exponential(size=n), random.exponential(size=n), ones)[0] for _ in range(300)]
    estimates = []
    for seed in range(10):
        found = floor(random.exponential(size=n), ones[0], np.array(list(halves(np.zeros(n), np.arange(n), 50, seed))))
        assert found is not None
        estimates.append(found.value)
    assert np.mean(estimates) == pytest.approx(np.mean(direct), rel=0.08)
    assert floor(np.ones(n), ones[0], np.array(list(halves(np.zeros(n), np.arange(n), 5, 1)))) is None


def test_classes_together_are_judged_as_one() -> None:
    truth = images(40, 1)
    made = {"sharpen_image": shuffled(truth, 2)}
    one = judge(rows_of(truth, **made)).numbers
    both = judge(rows_of(truth, ("qcd", "top"), **made), together=True).numbers
    assert {name.rpartition(":")[2] for name in both if "w1@" in name} == {"qcd", "top", "together"}
    for name in NAMES:
        assert both[f"sharpen.w1@{name}:together"].value == one[f"sharpen.w1@{name}:qcd"].value
    with pytest.raises(DataError, match="a sample called together"):
        judge(rows_of(truth, ("together",), **made), together=True)


def test_rows_of_one_event_stay_in_one_half() -> None:
    event, one = np.repeat(np.arange(10), 3), np.zeros(30, int)
    for half in halves(one, event, 5, 1):
        assert half.sum() == 15
        assert all(len(set(half[event == k])) == 1 for k in range(10))
    assert not list(halves(one[:4], np.zeros(4, np.int64), 5, 1))


def test_each_class_is_halved() -> None:
    """Truth and generated rows are of as many jets of each class: so are the halves that tell their floor."""
    classes = np.repeat([0, 1], [20, 40])
    event = np.concatenate([np.arange(20), np.repeat(np.arange(20), 2)])  # the numbers of events are each class's own
    for half in halves(classes, event, 5, 1):
        assert half[classes == 0].sum() == 10
        assert half[classes == 1].sum() == 20
    values, ones = np.where(classes == 0, 0.0, 100.0), np.ones(60)
    assert floor(values, ones, np.array(list(halves(classes, event, 5, 1)))) is None
    assert floor(values, ones, np.array(list(halves(0 * classes, np.arange(60), 5, 1)))) is not None


def test_trees_need_two_leaves_on_each_half() -> None:
    for n, exists in ((90, False), (120, True)):
        found = judge(rows_of(images(n, 1), sharpen_image=images(n, 2)), trees=True).numbers
        assert ("sharpen.trees_auc@qcd" in found) == exists


@pytest.mark.parametrize("periodic", [False, True])
def test_neighbours_are_counted_as_on_dense_images(periodic: bool) -> None:
    batch = images(6, 3, share=0.4)
    if periodic:
        grid = Grid.model_validate({"eta": (-1, 1), "phi": (-np.pi, np.pi), "shape": GRID.shape})
        batch = SparseImages(grid, (PT,), batch.offsets, batch.cells, batch.values)
    inside, across = neighbours(batch, (FACTOR, FACTOR))
    for k, image in enumerate(batch.dense()[:, 0] > 0):
        counts = [0, 0]
        for r, c in np.argwhere(image):
            for a, b, along in ((r + 1, c, r + 1), (r, c + 1, c + 1)):
                if a == 16 or (b == 16 and not periodic):
                    continue
                counts[int(along % FACTOR == 0)] += int(image[a, b % 16])
        assert (inside[k], across[k]) == tuple(counts)


def test_correlations_are_those_of_numpy_and_of_nothing_are_no_number() -> None:
    random = np.random.default_rng(4)
    values = random.normal(size=(50, 3)) + random.normal(size=(50, 1))
    weights = random.integers(1, 4, 50)
    found = correlations(values, np.stack([np.ones(50), weights]).astype(np.float64))
    np.testing.assert_allclose(found[0], np.corrcoef(values.T))
    np.testing.assert_allclose(found[1], np.corrcoef(np.repeat(values, weights, axis=0).T))
    assert np.isnan(correlations(np.ones((5, 2)), np.ones((1, 5)))[0, 0, 1])


@pytest.mark.parametrize("levels", [3, 10**9])
def test_ranks_of_exchangeable_draws_are_uniform_with_ties_too(levels: int) -> None:
    values = np.random.default_rng(6).integers(0, levels, (20_000, 4)).astype(np.float64)
    found = np.bincount(ranks(values, np.arange(len(values)), 1, "rank"), minlength=4)
    assert np.sum((found - 5000) ** 2 / 5000) < 16.3  # one in a thousand
    alone = ranks(values[:7], np.arange(7), 1, "rank")
    np.testing.assert_array_equal(alone, ranks(values, np.arange(len(values)), 1, "rank")[:7])


def test_area_counts_pairs() -> None:
    truth, made = np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])
    expected = np.mean([(m > t) + 0.5 * (m == t) for t in truth for m in made])
    assert area(truth, made, np.ones((1, 3)))[0] == pytest.approx(expected)


def test_independent_truth_is_at_the_floor_and_trees_cannot_tell_it() -> None:
    test = rows_of(images(1000, 1), sharpen_image=images(1000, 2))
    found = judge(test, trees=True)
    ratios = list(values_of(found, "sharpen.w1_over_floor@").values())
    assert len(ratios) == len(NAMES)
    assert 0.4 < np.mean(ratios) < 1.8
    assert found.numbers["sharpen.worst_w1_over_floor@qcd"].value == max(ratios)
    auc = found.numbers["sharpen.trees_auc@qcd"]
    assert abs(auc.value - 0.5) < 0.05
    assert auc.error is not None
    assert 0.001 < auc.error < 0.05
    assert found.numbers["hr.floor@mass:qcd"].unit == "GeV"
    assert all(n.error is not None for name, n in found.numbers.items() if "pool_error" not in name)


def test_a_shifted_observable_is_caught() -> None:
    truth, other = images(1000, 1), images(1000, 2)
    harder = SparseImages(GRID, (PT,), other.offsets, other.cells, other.values * 1.2)
    found = judge(rows_of(truth, sharpen_image=harder), trees=True)
    assert found.numbers["sharpen.w1_over_floor@nth_hardest[n=1]:qcd"].value > 5
    assert found.numbers["sharpen.w1@n_active:qcd"].value < 1
    assert found.numbers["sharpen.trees_auc@qcd"].value > 0.65


def test_draws_of_the_posterior_look_like_it() -> None:
    truth = images(1500, 1)
    draws: dict[str, Any] = {f"sharpen_draw{k}": shuffled(truth, k) for k in (2, 3)}
    test = rows_of(truth, sharpen_image=shuffled(truth, 1), **draws)
    found = judge(test, draws=["sharpen.draw2", "sharpen.draw3"])
    excess = found.numbers["sharpen.correlation_excess@mass:qcd"]
    assert excess.error is not None
    assert abs(excess.value) < 4 * excess.error
    assert found.numbers["sharpen.correlation@n_active:qcd"].value == pytest.approx(1)
    between = found.numbers["sharpen.draws_w1_over_floor@mass:qcd"].value
    assert between / 3 < found.numbers["sharpen.w1_over_floor@mass:qcd"].value < between * 3
    assert "sharpen.draws_w1_over_floor@n_active:qcd" in found.numbers
    each = [number.value for name, number in found.numbers.items() if name.startswith("sharpen.draws_w1_over_floor@")]
    assert max(each) <= found.numbers["sharpen.draws_worst_w1_over_floor@qcd"].value
    assert found.numbers["sharpen.rank_chi2@mass:qcd"].value < 5.4  # one in a thousand
    assert found.numbers["sharpen.coverage@mass:qcd"].value == pytest.approx(1, abs=0.12)
    assert found.numbers["sharpen.pool_exact@qcd"].value == 1
    assert found.numbers["sharpen.pool_error@qcd"].value < 1e-6
    assert found.numbers["sharpen.under_empty@qcd"].value == 0
    assert found.numbers["sharpen.patch_deviation@qcd"].value < 0.15
    assert "closure-ranks-qcd" in [figure.name for figure in found.figures]


def test_draws_that_are_too_much_alike_are_caught() -> None:
    truth = images(500, 1)
    alike = shuffled(truth, 2)
    found = judge(rows_of(truth, sharpen_image=alike, sharpen_draw2=alike), draws=["sharpen.draw2"])
    assert found.numbers["sharpen.draws_correlation@mass:qcd"].value == pytest.approx(1)
    assert found.numbers["sharpen.correlation_excess@mass:qcd"].value > 0.01
    assert found.numbers["sharpen.coverage@mass:qcd"].value < 0.2
    assert "sharpen.draws_w1_over_floor@mass:qcd" not in found.numbers  # of one pair, no spread


def test_energy_that_is_not_kept_is_found() -> None:
    truth = images(100, 1)
    values = truth.values.copy()
    values[0] *= 1.01
    near = SparseImages(GRID, (PT,), truth.offsets, truth.cells, values)
    found = judge(rows_of(truth, sharpen_image=near))
    assert found.numbers["sharpen.pool_exact@qcd"].value == 0.99
    assert 1e-4 < found.numbers["sharpen.pool_error@qcd"].value <= 0.0101
    sparse = images(100, 1, share=0.01)
    found = judge(rows_of(sparse, sharpen_image=images(100, 5, share=0.01)))
    assert found.numbers["sharpen.under_empty@qcd"].value > 0.3
    assert found.numbers["hr.under_empty@qcd"].value == 0
    blank = images(20, 1, share=0.0)
    made_up = judge(rows_of(blank, sharpen_image=sparse[:20])).numbers
    assert "sharpen.under_empty@qcd" not in made_up  # a fraction of nothing
    total = sparse[:20].sum()[:, 0].mean()
    assert made_up["sharpen.energy_under_empty@qcd"].value == pytest.approx(total)


def test_a_hot_position_of_the_patch_is_found() -> None:
    truth = images(300, 1)
    dense = shuffled(truth, 2).dense()
    dense[:, :, 1::FACTOR, 2::FACTOR] = 0
    found = judge(rows_of(truth, sharpen_image=SparseImages.from_dense(dense, GRID)))
    assert found.numbers["sharpen.patch_min@qcd"].value == 0
    assert found.numbers["sharpen.patch_deviation@qcd"].value == 1
    (figure,) = [figure for figure in found.figures if figure.name == "closure-patch-qcd"]
    assert figure.data["occupancy.sharpen"][1, 2] == 0
    assert figure.data["energy.HR"].mean() == pytest.approx(1)


@pytest.mark.parametrize("rows", [1, 6])
def test_few_rows_and_empty_images_give_finite_numbers(rows: int) -> None:
    for truth, made in (
        (images(rows, 1), images(rows, 2)),
        (SparseImages.empty(rows, GRID), images(rows, 2)),
        (SparseImages.empty(rows, GRID), SparseImages.empty(rows, GRID)),
    ):
        found = judge(rows_of(truth, sharpen_image=made, sharpen_draw2=made), trees=True, draws=["sharpen.draw2"])
        for name, number in found.numbers.items():
            assert np.isfinite(number.value), name
            assert number.error is None or np.isfinite(number.error), name


def test_it_keeps_the_contract_of_metrics() -> None:
    truth = images(60, 1)
    made: dict[str, Any] = {f"sharpen[seed={k}]_image": shuffled(truth, k) for k in (1, 2)}
    test = rows_of(truth, ("qcd", "top"), other=images(60, 9), **made)
    score = np.arange(60) / 60
    test = test.with_columns(**{"tell.truth": score, "tell.generated": score + 0.3})
    metric = Closure(
        **OPTIONS,
        generated=["sharpen[seed=1].image", "sharpen[seed=2].image", "other"],
        scores=["tell.truth", "tell.generated"],
    )
    check_metric(metric, test)
    found = metric.evaluate(test, 1)
    assert {"sharpen[seed=2].w1@mass:top", "other.patch_max@qcd"} <= set(found.numbers)
    assert found.numbers["tell.two_sample_auc@top"].value > 0.6
    migrations = [figure.name for figure in found.figures if "migration" in figure.name]
    assert len(migrations) == 4  # a seed of sharpen, and other, in each class
    without = Closure(truth="hr", generated=["other"], names=["mass"], replicas=3).evaluate(test, 1)
    assert not values_of(without, "other.patch")


def test_models_are_told_by_their_task() -> None:
    found = models_of(["a[seed=1].image", "a[seed=2].image", "b.image"], ["a[seed=2].draw2", "a[seed=1].draw2"])
    assert [(model.name, model.draws) for model in found] == [
        ("a[seed=1]", ("a[seed=1].draw2",)),
        ("a[seed=2]", ("a[seed=2].draw2",)),
        ("b", ()),
    ]
    assert [model.name for model in drawn(found)] == ["a[seed=1]", "b"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"generated": ["a.image", "a.image"]}, "named twice"),
        ({"generated": ["a.image"], "draws": ["b.draw2"]}, "no generated image is of 'b'"),
        ({"generated": ["a.image"], "scores": ["tell.truth"]}, "come in pairs"),
        ({"generated": ["a.image"], "names": ["mass", "mass"]}, "named twice"),
        ({"generated": ["a.image"], "names": ["jet_charge[kappa=0.5]"]}, "pixels have no charge"),
        ({"generated": ["hr"]}, "different names"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Closure(truth="hr", **options)


def test_grids_that_do_not_fit_are_told_before_anything_runs() -> None:
    ports = {name: Image(name, grid) for name, grid in (("hr", GRID), ("lr", GRID.pooled(2)), ("a.image", GRID))}
    closure = Closure(truth="hr", generated=["a.image"], low="lr")
    closure.check(ports)
    closure.check({"hr": ports["hr"]})  # what is not known yet is not judged
    with pytest.raises(ValueError, match=r"a\.image is on"):
        closure.check({**ports, "a.image": Image("a.image", GRID.pooled(2))})
    with pytest.raises(ValueError, match="lr is on"):
        closure.check({**ports, "lr": Image("lr", Grid.square(3.0, 4))})


def test_images_and_scores_that_do_not_fit_are_refused() -> None:
    truth = images(10, 1)
    coarse = pooled(truth, (2, 2))
    with pytest.raises(DataError, match=r"sharpen\.image is on"):
        judge(rows_of(truth, sharpen_image=coarse))
    test = rows_of(truth, sharpen_image=truth)
    with pytest.raises(DataError, match="low is on"):
        judge(test.with_images(lr=pooled(truth, (3, 3))))
    broken = test.with_columns(**{"tell.truth": np.full(10, np.nan), "tell.generated": np.ones(10)})
    with pytest.raises(DataError, match=r"tell\.truth is not finite for 10 of 10"):
        judge(broken, scores=["tell.truth", "tell.generated"])
