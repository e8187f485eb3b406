"""Pixelation, pooling, and the steps that change the values of cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepimg.components import Grid, Image
from hepimg.images import Channel, SparseImages
from hepimg_preprocess.pixelate import Pixelate
from hepimg_preprocess.regrid import Pool
from hepimg_preprocess.rotate import Rotate
from hepimg_preprocess.threshold import Threshold
from hepimg_preprocess.values import Normalise, Power
from jet_samples import GRID, Jet, few, sample_of, some_jets, with_image


@few
@given(some_jets, st.integers(1, 7), st.integers(1, 7))
def test_pixelation_and_pooling_keep_pt_and_commute(jets: list[Jet], rows: int, columns: int) -> None:
    sample = sample_of(jets)
    everything = {"eta": [-4, 4], "phi": [-np.pi, np.pi], "shape": [20, 21]}
    fine = with_image(sample, everything, "pt", "count")
    expected = [[sum(p[0] for p in jet), len(jet)] for jet in jets]
    np.testing.assert_allclose(fine.image("image").sum(), np.reshape(expected, (-1, 2)), rtol=1e-5)
    pool = Pool(factor=(rows, columns), into="coarse")
    coarse = pool.apply(fine, None).image("coarse")
    direct = Pixelate.model_validate({"grid": coarse.grid, "channels": ["pt", "count"]}).apply(sample, None)
    np.testing.assert_allclose(coarse.dense(), direct.image("image").dense(), rtol=1e-5)


def test_pooling_weighted_means_gives_the_weighted_mean_of_the_block() -> None:
    jets = [[(1.0, 0.11, 0.02), (3.0, 0.13, 0.24), (5.0, -0.5, 0.5)], []]
    sample = sample_of(jets)
    channels = ["pt", "y", "phi"]
    pooled = Pool(factor=5, into="coarse").apply(with_image(sample, GRID, *channels), None).image("coarse")
    direct = Pixelate.model_validate({"grid": pooled.grid, "channels": channels}).apply(sample, None).image("image")
    np.testing.assert_allclose(pooled.dense(), direct.dense(), rtol=1e-5)
    with pytest.raises(ValueError, match="has no meaning for the weighted means y, phi"):
        Pool(factor=2, how="max").writes({"image": Image("image", direct.grid, direct.channels)})
    with pytest.raises(ValueError, match="the means y, phi in them would not"):
        Rotate(angle=30.0, image="image").writes({"image": Image("image", direct.grid, direct.channels)})


@pytest.mark.parametrize(("how", "reduce"), [("sum", np.sum), ("max", np.max), ("mean", np.mean)])
def test_pooling_is_a_reduction_of_blocks(how: Any, reduce: Any) -> None:
    dense = np.random.default_rng(1).exponential(size=(4, 20, 20)) * (
        np.random.default_rng(2).random((4, 20, 20)) < 0.1
    )
    images = SparseImages.from_dense(dense, Grid.model_validate(GRID))
    sample = sample_of([[]] * 4).with_images(image=images)
    pooled = Pool(factor=(5, 4), how=how).apply(sample, None).image("image")
    expected = reduce(dense.reshape(4, 4, 5, 5, 4), axis=(2, 4))
    np.testing.assert_allclose(pooled.dense()[:, 0], expected, rtol=1e-5)


def test_channels_are_what_their_names_say() -> None:
    sample = sample_of([[(1.0, 0.01, 0.02), (3.0, 0.03, 0.04), (5.0, 0.5, 0.5)], []])  # charges -1, 0, 1
    weighted = {"name": "charge_pt", "field": "charge", "weight": "pt"}
    images = with_image(sample, GRID, "pt", "count", "y", "charge", weighted).image("image")
    assert images.counts.tolist() == [2, 0]
    np.testing.assert_allclose(images.values[0], [4, 2, 0.1 / 4, -0.25, -1], rtol=1e-5)
    np.testing.assert_allclose(images.values[1], [5, 1, 0.5, 1, 5], rtol=1e-5)
    assert images.channels[:2] == (Channel("pt", "GeV"), Channel("count"))
    signed = {"y": "", "charge": "e", "charge_pt": "e GeV"}
    weights = ["pt", "pt", ""]
    expected = tuple(Channel(*named, True, weight) for named, weight in zip(signed.items(), weights, strict=True))
    assert images.channels[2:] == expected


def test_a_grid_across_phi_pi_wraps() -> None:
    images = with_image(
        sample_of([[(1.0, 0.0, -3.05), (2.0, 0.0, 3.12)]]), {"eta": [-1, 1], "phi": [3, 3.4], "shape": [1, 4]}
    )
    np.testing.assert_allclose(images.image("image").dense()[0, 0, 0], [0, 2, 1, 0])


def test_other_coordinates_read_the_field_of_their_name() -> None:
    step = Pixelate.model_validate({"grid": {"phi": [-1, 1], "charge": [-1.5, 1.5], "shape": [1, 3]}})
    assert set(step.reads()[0].fields) == {"pt", "phi", "charge"}  # type: ignore[union-attr]
    image = step.apply(sample_of([[(1.0, 9.0, 0.0), (2.0, 9.0, 0.0), (4.0, 9.0, 0.0)]]), None).image("image")
    assert image.dense().ravel().tolist() == [1, 2, 4]


@few
@given(some_jets, st.sampled_from(["sum", "max", "l2"]))
def test_normalised_images(jets: list[Jet], how: Any) -> None:
    sample = with_image(sample_of(jets), GRID, "pt", "count")
    before, after = sample.image("image").dense(), Normalise(how=how).apply(sample, None).image("image")
    norms = {"sum": np.sum, "max": np.max, "l2": lambda x, axis: np.sqrt(np.sum(x**2, axis=axis))}
    norm = norms[how](after.dense()[:, 0].astype(float), axis=(1, 2))  # type: ignore[operator]
    np.testing.assert_allclose(norm, before[:, 0].any(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_array_equal(after.dense()[:, 1], before[:, 1])
    assert after.channels == (Channel("pt"), Channel("count"))


def test_powers() -> None:
    sample = with_image(sample_of([[(4.0, 0.0, 0.0), (9.0, 0.5, 0.5)]]), GRID, "pt", "count")
    images = Power(exponent=0.5).apply(sample, None).image("image")
    assert images.values.tolist() == [[2, 1], [3, 1]]
    assert images.channels[0] == Channel("pt", "(GeV)^0.5")


def test_values_that_vanish_are_no_longer_active() -> None:
    sample = with_image(sample_of([[(1e-20, 0.0, 0.0), (9.0, 0.5, 0.5)]]))
    assert Power(exponent=3).apply(sample, None).image("image").counts.tolist() == [1]


@few
@given(some_jets, st.sampled_from([0.0, 0.5, 20.0, 1e4]), st.sampled_from([None, "pt", "count"]))
def test_thresholds_keep_the_cells_at_or_above_the_minimum(jets: list[Jet], minimum: float, channel: Any) -> None:
    sample = with_image(sample_of([*jets, []]), GRID, "pt", "count")
    before = sample.image("image").dense()
    after = Threshold(minimum=minimum, channel=channel).apply(sample, None).image("image")
    compared = before[:, ["pt", "count"].index(channel or "pt")]
    np.testing.assert_array_equal(after.dense(), before * (compared >= minimum)[:, None])


def test_a_threshold_is_a_float32_as_the_values_are() -> None:
    sample = with_image(sample_of([[(0.1, 0.0, 0.0), (0.3, 0.5, 0.5)]]))
    assert Threshold(minimum=0.3).apply(sample, None).image("image").counts.tolist() == [1]
    assert Threshold(minimum=0.1).apply(sample, None).image("image").counts.tolist() == [2]
