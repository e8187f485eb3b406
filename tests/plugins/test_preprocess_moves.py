"""Steps that move jets: what they keep, what they wrap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepimg.components import Step
from hepimg.sample import Sample
from hepimg_preprocess.center import Center
from hepimg_preprocess.flip import Flip
from hepimg_preprocess.move import Move
from hepimg_preprocess.regrid import Crop
from hepimg_preprocess.rotate import Rotate
from hepimg_preprocess.translate import Translate
from jet_samples import GRID, Jet, few, sample_of, some_jets, with_image


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


def test_the_cell_that_holds_the_centroid_comes_to_lie_at_the_origin() -> None:
    """Its centre does, so that an image of an odd number of cells has whole cells of the detector."""
    rng, width = np.random.default_rng(5), np.array([0.1, 2 * np.pi / 64])
    for _ in range(20):
        cells = rng.integers(-8, 9, 2) + rng.integers(-3, 4, (15, 2))
        places = (cells + 0.5) * width
        sample = sample_of([[(float(pt), *place) for pt, place in zip(rng.exponential(5, 15), places, strict=True)]])
        moved = Center(snap=tuple(width), on="cell").apply(sample, None).collection("constituents")
        index = np.stack([moved["y"], moved["phi"]], 1) / width
        np.testing.assert_allclose(index, np.rint(index), atol=1e-4)
        middle = np.average(index, axis=0, weights=moved["pt"])
        assert np.abs(middle).max() <= 0.5 + 2e-3


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
    for pt, y, phi in rows_of(Flip(axis="far").apply(sample, None)):
        for coordinate in (y, phi):
            assert np.sum(pt * coordinate**3) >= -1e-6 * np.sum(pt * np.abs(coordinate) ** 3)


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


@few
@given(some_jets)
def test_subjets_tell_their_jet_where_to_go(jets: list[Jet]) -> None:
    jets = [jet[:3] for jet in jets]
    guides: list[Jet] = [[(300.0, 0.2, 3.1), (100.0, 0.2 + 0.3 * (-1) ** k, -3.1)] for k in range(len(jets))]
    sample = sample_of(jets).with_collection("subjets", sample_of(guides).collection("constituents"))
    first = Center(collection="subjets", on="hardest", also=["constituents"]).apply(sample, None)
    moved = Rotate(collection="subjets", angle="second", also=["constituents"]).apply(first, None)
    for (_, y, phi), jet, (_, new_y, new_phi) in zip(rows_of(sample), guides, rows_of(moved), strict=True):
        direction = np.arctan2(2 * np.pi - 6.2, jet[1][1] - 0.2)
        shifted = np.stack([y - 0.2, np.remainder(phi - 3.1 + np.pi, 2 * np.pi) - np.pi])
        cosine, sine = np.cos(direction), np.sin(direction)
        expected = np.array([[cosine, sine], [-sine, cosine]]) @ shifted
        np.testing.assert_allclose([new_y, new_phi], expected, atol=1e-4)
    subjets = moved.collection("subjets")
    np.testing.assert_allclose(subjets["y"][::2], 0, atol=1e-6)
    assert (subjets["y"][1::2] > 0.3).all()
    np.testing.assert_allclose(subjets["phi"], 0, atol=1e-6)


def test_a_lone_subjet_says_nothing_of_the_angle() -> None:
    sample = sample_of([[(1.0, 0.3, 0.2)], []])
    assert Rotate(angle="second").apply(sample, None).collection("constituents")["phi"].tolist() == [np.float32(0.2)]


def test_padding_is_no_second_particle() -> None:
    sample = sample_of([[(5.0, 0.3, 0.2), (0.0, 0.0, 0.0)]])
    moved = Rotate(angle="second").apply(sample, None).collection("constituents")
    assert moved["phi"].tolist() == sample.collection("constituents")["phi"].tolist()


@pytest.mark.parametrize(("cells", "half"), [(25, 1.25), (41, 0.8)])
def test_the_middle_cell_lies_on_neither_side(cells: int, half: float) -> None:
    grid = {"eta": [-half, half], "phi": [-half, half], "shape": [cells, cells]}
    for lower, upper in ((2.0, 1.0), (1.0, 2.0)):
        sample = with_image(sample_of([[(10.0, 0.0, 0.0), (lower, -0.5, 0.0), (upper, 0.5, 0.0)]]), grid)
        flipped = Flip(image="image", axis="harder_eta").apply(sample, None).image("image")
        assert (flipped == sample.image("image")) == (upper > lower)


def test_no_collection_moves_twice() -> None:
    for step, options in ((Center, {}), (Rotate, {"angle": 90.0}), (Flip, {})):
        for also in (["constituents"], ["lr8", "lr8"]):
            with pytest.raises(ValueError, match="would move twice"):
                step(also=also, **options)  # type: ignore[arg-type]


def test_only_the_asked_half_is_weighed() -> None:
    sample = sample_of([[(1.0, -0.3, -0.2)]])
    wanted = {"eta": (0.3, -0.2), "phi": (-0.3, 0.2), "": (0.3, 0.2)}
    for axis, expected in (
        (f"{kind}_{one}".strip("_"), moved) for kind in ("harder", "far") for one, moved in wanted.items()
    ):
        flipped = Flip(axis=axis).apply(sample, None).collection("constituents")
        assert (flipped["y"][0], flipped["phi"][0]) == pytest.approx(expected)


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
    ids=lambda value: repr(value) if isinstance(value, Step) else "",
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
