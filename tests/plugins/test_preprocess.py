"""Jet steps: what they keep, what they wrap, what they refuse; never the input changed, never the batch felt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hepimg.components import Collection, Column, Grid, Image, Port, Step
from hepimg.images import Channel, SparseImages
from hepimg.sample import Ragged, Sample
from hepimg_preprocess import hepimg_steps
from hepimg_preprocess.center import Center
from hepimg_preprocess.flip import Flip
from hepimg_preprocess.move import Move
from hepimg_preprocess.pixelate import Pixelate
from hepimg_preprocess.regrid import Crop, Pool
from hepimg_preprocess.rotate import Rotate
from hepimg_preprocess.threshold import Threshold
from hepimg_preprocess.translate import Translate
from hepimg_preprocess.values import Normalise, Power

Jet = list[tuple[float, float, float]]

GRID = {"eta": [-1, 1], "phi": [-1, 1], "shape": [20, 20]}
UNITS = {"pt": "GeV", "y": "", "phi": "rad", "charge": "e"}

particle = st.tuples(st.floats(0.5, 500, width=32), st.floats(-2, 2, width=32), st.floats(-3.125, 3.125, width=32))
some_jets = st.lists(st.lists(particle, max_size=6), max_size=5)
few = settings(max_examples=25, deadline=None)


def sample_of(jets: list[Jet], first_row: int = 0) -> Sample:
    """Jets of (pt, y, phi), frozen so that no step can change them; charges alternate."""
    flat = np.array([p for jet in jets for p in jet], np.float32).reshape(-1, 3)
    fields = {name: flat[:, k].copy() for k, name in enumerate(("pt", "y", "phi"))}
    fields["charge"] = (np.arange(len(flat)) % 3 - 1).astype(np.float32)
    rows = np.arange(len(jets)) + first_row
    columns = {
        "event": rows,
        "row": rows,
        "weight": np.ones(len(jets)),
        "y": rows * 0.1,
        "phi": np.full(len(jets), 3.1),
    }
    for values in [*fields.values(), *columns.values()]:
        values.flags.writeable = False
    offsets = np.cumsum([0, *map(len, jets)])
    return Sample(columns, {"constituents": Ragged(offsets, fields, {k: u for k, u in UNITS.items() if u})})


def with_image(sample: Sample, grid: Any = GRID, *channels: Any) -> Sample:
    pixelated = Pixelate.model_validate({"grid": grid, "channels": channels or ["pt"]}).apply(sample, None)
    for name in ("offsets", "cells", "values"):
        getattr(pixelated.image("image"), name).flags.writeable = False
    return pixelated


def ports_of(sample: Sample) -> dict[str, Port]:
    collections = {name: Collection(name, dict(UNITS)) for name in sample.collections}
    images = {name: Image(name, i.grid, i.channels) for name, i in sample.images.items()}
    return {**{name: Column(name) for name in sample.columns}, **collections, **images}


ALL_STEPS: list[Step] = [
    Center(),
    Center(on="hardest"),
    Center(on="axis"),
    Center(snap=(0.1, 0.3)),
    Rotate(),
    Rotate(angle="principal_axis"),
    Rotate(angle=30.0),
    Rotate(angle="quarter"),
    Rotate(image="image"),
    Rotate(image="image", angle="principal_axis"),
    Flip(),
    Flip(axis="harder"),
    Flip(image="image"),
    Flip(image="image", axis="both"),
    Translate(by=(0.1, 0.2)),
    Translate(by=(2, 3), image="image"),
    Pixelate.model_validate({"grid": GRID, "channels": ["pt", "count", "y", {"name": "q", "field": "charge"}]}),
    Pool(factor=3, into="coarse"),
    Pool(factor=(2, 4), how="max"),
    Crop(rows=(5, 15), columns=(0, 7)),
    Normalise(),
    Normalise(how="l2"),
    Power(exponent=0.5),
    Threshold(minimum=0.5),
]


def test_every_step_is_offered_and_tested() -> None:
    assert {type(step) for step in ALL_STEPS} == set(hepimg_steps())


@pytest.mark.parametrize("step", ALL_STEPS, ids=repr)
@pytest.mark.parametrize(
    "jets", [[], [[]], [[(1.0, 0.5, 3.0)]], [[], [(1.0, 0.0, 0.0), (2.0, 0.5, -0.5)], []]], ids=len
)
def test_small_batches_promises_and_input(step: Step, jets: list[Jet]) -> None:
    sample = with_image(sample_of(jets))  # its arrays are frozen
    result = step.apply(sample, 3)
    assert len(result) == len(sample)
    for port in step.writes(ports_of(sample)):
        if isinstance(port, Image):
            image = result.image(port.name)
            assert (image.grid, image.channels) == (port.grid, port.channels)
        else:
            assert isinstance(port, Collection)
            assert list(result.collection(port.name).fields) == list(port.fields)
            assert result.collection(port.name)["y"].dtype == np.float32
    for name in {*result.collections, *result.images} - {port.name for port in step.writes(ports_of(sample))}:
        assert result.collections.get(name) is sample.collections.get(name)
        assert result.images.get(name) is sample.images.get(name)


@pytest.mark.parametrize("step", ALL_STEPS, ids=repr)
def test_a_row_does_not_feel_its_batch(step: Step) -> None:
    rng = np.random.default_rng(4)
    jets = [[(float(p), float(y), float(f)) for p, y, f in rng.uniform(0.1, 0.9, (n, 3))] for n in (3, 0, 9, 1, 5)]
    whole = with_image(sample_of(jets, first_row=90))
    together = step.apply(whole, 3)
    alone = Sample.concatenate([step.apply(whole[i], 3) for i in range(len(whole))])
    for name, images in together.images.items():
        assert images == alone.image(name)
    for field, values in together.collection("constituents").fields.items():
        assert values.tobytes() == alone.collection("constituents")[field].tobytes()


@pytest.mark.parametrize("step", [step for step in ALL_STEPS if step.is_random], ids=repr)
def test_random_steps_rest_without_a_seed_and_vary_with_it(step: Step) -> None:
    jets: list[Jet] = [[(1.0, 0.3, 0.1), (2.0, 0.5, -0.5)]] * 20
    sample = with_image(sample_of(jets))
    assert step.apply(sample, None) is sample
    target = getattr(step, "image", None)

    def content(seed: int) -> np.ndarray[Any, Any]:
        moved = step.apply(sample, seed)
        return moved.image(target).dense() if target else moved.collection("constituents")["y"]

    assert np.array_equal(content(3), content(3))
    assert not np.array_equal(content(3), content(4))
    rows = content(3).reshape(20, -1)
    assert len(np.unique(rows, axis=0)) > 1


@few
@given(some_jets, st.sampled_from([step for step in ALL_STEPS if not getattr(step, "image", None)]))
def test_moves_of_particles_keep_pt(jets: list[Jet], step: Step) -> None:
    before = sample_of(jets).collection("constituents")
    after = step.apply(sample_of(jets), 5).collection("constituents")
    assert after.offsets.tolist() == before.offsets.tolist()
    assert after["pt"].tobytes() == before["pt"].tobytes()


def rows_of(sample: Sample) -> Iterator[tuple[np.ndarray[Any, Any], ...]]:
    for row in range(len(sample)):
        jet = sample.collection("constituents").take(row)
        yield jet["pt"].astype(float), jet["y"].astype(float), jet["phi"].astype(float)


@few
@given(some_jets, st.floats(-np.pi, np.pi))
def test_centering_does_not_feel_where_phi_is_cut(jets: list[Jet], turn: float) -> None:
    """A narrow jet turned about the beam, over phi = pi or not, is the same jet once it is centred."""
    narrow = [[(pt, y, phi / 10) for pt, y, phi in jet] for jet in jets]
    turned = [[(pt, y, np.remainder(phi + turn + np.pi, 2 * np.pi) - np.pi) for pt, y, phi in jet] for jet in narrow]
    one, other = (Center().apply(sample_of(jets), None) for jets in (narrow, turned))
    for name in ("y", "phi"):
        np.testing.assert_allclose(
            one.collection("constituents")[name], other.collection("constituents")[name], atol=1e-5
        )
    for pt, y, phi in rows_of(one):
        if len(pt):
            assert np.average(y, weights=pt) == pytest.approx(0, abs=1e-5)
            assert np.average(phi, weights=pt) == pytest.approx(0, abs=1e-5)


@few
@given(some_jets, st.sampled_from([(0.1, 0.1), (0.3, 0.05)]), st.integers(0, 99))
def test_centering_by_whole_cells(jets: list[Jet], snap: Any, seed: int) -> None:
    """Jets move by whole widths, to within a width; where particles are inside their cells tells nothing."""
    rng, widths = np.random.default_rng(seed), np.array(snap)
    cells = [[(pt, np.floor(np.array([y, phi / 10]) / widths)) for pt, y, phi in jet] for jet in jets]
    moved = []
    for _ in range(2):
        places = [[(pt, *((cell + rng.uniform(0.05, 0.95, 2)) * widths)) for pt, cell in jet] for jet in cells]
        sample = sample_of(places)
        before, after = (some.collection("constituents") for some in (sample, Center(snap=snap).apply(sample, None)))
        steps = np.array([(after[name].astype(float) - before[name]) for name in ("y", "phi")]).T / widths
        np.testing.assert_allclose(steps, np.rint(steps), atol=1e-3)
        exact = Center().apply(sample, None).collection("constituents")
        for name, width in zip(("y", "phi"), snap, strict=True):
            assert np.abs(after[name] - exact[name]).max(initial=0) <= 1.01 * width
        moved.append(np.rint(steps))
    np.testing.assert_array_equal(*moved)


def test_quarter_turns() -> None:
    sample = sample_of([[(1.0, 0.3, 0.1)]] * 400)
    turned = Rotate(angle="quarter").apply(sample, 1).collection("constituents")
    turns = np.arctan2(turned["phi"], turned["y"]) - np.arctan2(0.1, 0.3)
    quarters = np.rint(turns / (np.pi / 2))
    np.testing.assert_allclose(turns, quarters * np.pi / 2, atol=1e-6)
    assert np.bincount(quarters.astype(int) % 4, minlength=4).min() > 60


def test_centering_by_whole_cells_across_phi_pi() -> None:
    sample = sample_of([[(1.0, 0.0, 3.12), (1.0, 0.0, -3.12), (1.0, 0.0, 3.0)], []])
    phi = Center(snap=(0.1, 0.1)).apply(sample, None).collection("constituents")["phi"]
    np.testing.assert_allclose(phi, [0.02, 2 * np.pi - 3.12 - 3.1, -0.1], atol=1e-6)


def test_center_on_the_hardest_and_on_the_axis() -> None:
    sample = sample_of([[(1.0, 0.5, -3.1), (5.0, 0.25, 3.1)]])
    hardest = Center(on="hardest").apply(sample, None).collection("constituents")
    np.testing.assert_allclose(hardest["y"], [0.25, 0], atol=1e-6)
    np.testing.assert_allclose(hardest["phi"], [2 * np.pi - 6.2, 0], atol=1e-5)
    axis = Center(on="axis").apply(sample, None).collection("constituents")
    np.testing.assert_allclose(axis["phi"], [2 * np.pi - 6.2, 0], atol=1e-5)


@few
@given(some_jets)
def test_rotations_keep_distances_and_order_does_not_matter(jets: list[Jet]) -> None:
    # Narrow: which of two equally hard particles counts as the hardest decides on which side others are.
    narrow = [[(pt, y, phi / 3) for pt, y, phi in jet] for jet in jets]
    centred = Center().apply(sample_of(narrow), None)
    backwards = Center().apply(sample_of([jet[::-1] for jet in narrow]), None)
    for step in (Rotate(angle="random"), Rotate(angle=77.0)):
        pairs = zip(rows_of(centred), rows_of(step.apply(centred, 8)), rows_of(step.apply(backwards, 8)), strict=True)
        for (_, y, phi), (_, turned_y, turned_phi), (_, back_y, back_phi) in pairs:
            np.testing.assert_allclose(np.hypot(y, phi), np.hypot(turned_y, turned_phi), atol=1e-5)
            np.testing.assert_allclose([turned_y, turned_phi], [back_y[::-1], back_phi[::-1]], atol=1e-4)


@few
@given(some_jets)
def test_the_principal_axis_comes_to_lie_along_y(jets: list[Jet]) -> None:
    narrow = [[(pt, y, phi / 3) for pt, y, phi in jet] for jet in jets]
    turned = Rotate(angle="principal_axis").apply(Center().apply(sample_of(narrow), None), None)
    for pt, y, phi in rows_of(turned):
        scale = 1e-5 * (1 + np.sum(pt))
        assert np.sum(pt * y * phi) == pytest.approx(0, abs=scale)
        assert np.sum(pt * y * y) >= np.sum(pt * phi * phi) - scale


@few
@given(some_jets)
def test_flips_are_mirrors(jets: list[Jet]) -> None:
    sample = sample_of(jets)
    before = sample.collection("constituents")
    for axis, signs in (("eta", (-1, 1)), ("phi", (1, -1)), ("both", (-1, -1))):
        after = Flip(axis=axis).apply(sample, None).collection("constituents")
        np.testing.assert_array_equal(after["y"], signs[0] * before["y"])
        np.testing.assert_array_equal(after["phi"], signs[1] * before["phi"])
    for pt, y, phi in rows_of(Flip(axis="harder").apply(sample, None)):
        assert np.sum(pt * np.sign(y)) >= 0
        assert np.sum(pt * np.sign(phi)) >= 0


def test_random_flips_take_half_of_the_jets_in_each_coordinate() -> None:
    sample = sample_of([[(1.0, 1.0, 1.0)]] * 1000)
    flipped = Flip().apply(sample, 1).collection("constituents")
    quarters = np.unique(np.stack([flipped["y"], flipped["phi"]]), axis=1, return_counts=True)[1]
    assert quarters.tolist() == pytest.approx([250] * 4, abs=60)


@pytest.mark.parametrize("move", [Flip, Rotate, partial(Translate, by=(0.5, 0.1))])
def test_further_collections_move_alike(move: Callable[..., Move]) -> None:
    sample = sample_of([[(1.0, 0.3, 0.2), (2.0, 0.1, -0.4)]] * 50)
    sample = sample.with_collection("lr8", sample.collection("constituents"))
    moved, alone = move(also=["lr8"]).apply(sample, 1), move().apply(sample, 1)
    assert moved.collection("lr8")["phi"].std() > 0
    for name in ("y", "phi"):
        np.testing.assert_array_equal(moved.collection("lr8")[name], moved.collection("constituents")[name])
        np.testing.assert_array_equal(moved.collection("lr8")[name], alone.collection("constituents")[name])
    with pytest.raises(ValueError, match="collections or an image, not both"):
        move(also=["lr8"], image="hr")


def test_moves_that_look_at_the_jet_move_no_other_one() -> None:
    with pytest.raises(ValueError, match="where nothing is drawn"):
        Flip(axis="harder", also=["lr8"])


def test_random_angles_and_shifts_are_uniform() -> None:
    sample = sample_of([[(1.0, 1.0, 0.0)]] * 2000)
    turned = Rotate().apply(sample, 1).collection("constituents")
    counts = np.histogram(np.arctan2(turned["phi"], turned["y"]), 8, (-np.pi, np.pi))[0]
    assert counts.tolist() == pytest.approx([250] * 8, abs=70)
    shifted = Translate(by=(0.5, 0.1)).apply(sample, 1).collection("constituents")
    assert np.histogram(shifted["y"], 4, (0.5, 1.5))[0].tolist() == pytest.approx([500] * 4, abs=90)
    assert np.abs(shifted["phi"]).max() == pytest.approx(0.1, rel=0.02)
    exact = Translate(by=(0.5, 0.1), random=False).apply(sample, None).collection("constituents")
    assert (exact["y"][0], exact["phi"][0]) == pytest.approx((1.5, 0.1))


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


@pytest.mark.parametrize(
    ("step", "move"),
    [
        (Flip(image="image", axis="eta"), lambda dense: dense[..., ::-1, :]),
        (Flip(image="image", axis="both"), lambda dense: dense[..., ::-1, ::-1]),
        (Rotate(image="image", angle=90.0), lambda dense: np.rot90(dense, -1, axes=(3, 2))),
        (Rotate(image="image", angle=180.0), lambda dense: dense[..., ::-1, ::-1]),
        (Translate(image="image", by=(2, -3), random=False), lambda d: np.roll(d, (2, -3), axis=(2, 3))),
        (Crop(rows=(5, 15), columns=(0, 7)), lambda dense: dense[..., 5:15, 0:7]),
    ],
    ids=repr,
)
def test_moves_of_images_are_moves_of_arrays(step: Step, move: Any) -> None:
    jets: list[Jet] = [[(1.0, 0.3, 0.1), (2.0, 0.52, -0.5), (4.0, -0.61, 0.23)], []]
    sample = with_image(sample_of(jets), GRID, "pt", "count")
    np.testing.assert_array_equal(step.apply(sample, None).image("image").dense(), move(sample.image("image").dense()))


def test_an_image_moves_as_its_particles_do() -> None:
    sample = sample_of([[(1.0, 0.35, 0.15), (2.0, 0.55, -0.45)]])
    for options in ({"angle": 90.0}, {"angle": -90.0}):
        particles_first = with_image(Rotate(**options).apply(sample, None)).image("image")
        assert Rotate(image="image", **options).apply(with_image(sample), None).image("image") == particles_first
    harder = Flip(axis="harder")
    assert with_image(harder.apply(sample, None)).image("image") == Flip(image="image", axis="harder").apply(
        with_image(sample), None
    ).image("image")


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


@pytest.mark.parametrize(
    ("step", "grid", "complaint"),
    [
        (Pool(factor=30), GRID, "larger than the grid"),
        (Crop(rows=(0, 30), columns=(0, 5)), GRID, "not all on"),
        (Rotate(image="image"), {"eta": [-1, 0, 2], "phi": [-1, 0, 1]}, "several sizes"),
        (Rotate(image="image"), {"eta": [-1, 1], "phi": [-np.pi, np.pi], "shape": [4, 4]}, "closes on itself"),
        (Translate(image="image", by=(1, 1)), {"eta": [-1, 0, 2], "phi": [-1, 0, 1]}, "several sizes"),
        (Flip(image="image"), {"eta": [-1, 0, 2], "phi": [-1, 0, 1]}, "not symmetric"),
        (Normalise(channels=("energy",)), GRID, "no channel energy"),
        (Threshold(minimum=1, channel="energy"), GRID, "no channel energy"),
        (Pool(factor=2, image="constituents"), GRID, "constituents is no image"),
        (Center(collection="image"), GRID, "image is no collection"),
    ],
    ids=repr,
)
def test_what_does_not_fit_the_grid_is_known_before_anything_runs(step: Step, grid: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        step.writes(ports_of(with_image(sample_of([]), grid)))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (Center, {"snap": [0.1, 0]}),
        (Center, {"snap": [0.1, 0.1], "on": "hardest"}),
        (Rotate, {"angle": "ramdom"}),
        (Rotate, {"image": "image", "collection": "constituents"}),
        (Flip, {"axis": "x"}),
        (Pool, {"factor": 0}),
        (Crop, {"rows": [3, 3], "columns": [0, 1]}),
        (Power, {"exponent": 0}),
        (Pixelate, {"grid": GRID, "channels": []}),
        (Pixelate, {"grid": GRID, "channels": ["pt", "pt"]}),
        (Pixelate, {"grid": GRID, "channels": ["count", "y"]}),
        (Pixelate, {"grid": GRID, "channels": [{"name": "y", "field": "y", "how": "mean", "weight": "pt"}]}),
    ],
)
def test_wrong_options(kind: type[Step], options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        kind.model_validate(options)
