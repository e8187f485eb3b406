"""The step ``pairs``: against FastJet event by event on dense histograms, and what a coarse jet must not know."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from hepimg.components import Grid
from hepimg.errors import DataError
from hepimg.images import PT, SparseImages
from hepimg.kernels.pool import pool
from hepimg.sample import Ragged, Sample
from hepimg.testing import check_step
from hepimg_jets.calorimeter import Calorimeter
from hepimg_jets.cells import DETECTOR
from hepimg_jets.finding import Jets
from hepimg_jets.levels import Level, nearest
from hepimg_jets.pairs import Pairs
from hepimg_preprocess.pixelate import Pixelate

FACTORS = (2, 4, 8, 16)
LOWER = [f"lr{factor}" for factor in FACTORS]
ETA, PHI = 0.0125, 2 * math.pi / 512
BLOCK = 16 * PHI
HALF = 80 * PHI


def events_of(n: int, seed: int = 1, spread: float = 0.12, soft: int = 0) -> Sample:
    """Two back-to-back jets of 40 particles each, the first of 600 GeV; then soft particles everywhere."""
    random = np.random.default_rng(seed)
    axis = np.stack([random.uniform(-1.5, 1.5, n), random.uniform(-math.pi, math.pi, n)], axis=1)
    per, total = 80 + soft, n * (80 + soft)
    share = random.exponential(size=(n, 2, 40)) + 0.05
    pt = np.array([600, 560])[:, None] * share / share.sum(axis=2, keepdims=True)
    where = axis[:, None, None, :] + random.normal(0, spread, (n, 2, 40, 2)).clip(-0.3, 0.3)
    where[:, 1, :, 1] += math.pi
    fields = [
        np.concatenate([pt.reshape(n, 80), random.exponential(0.5, (n, soft))], axis=1),
        np.concatenate([where[..., 0].reshape(n, 80), random.uniform(-2.9, 2.9, (n, soft))], axis=1),
        np.concatenate([where[..., 1].reshape(n, 80), random.uniform(-3, 3, (n, soft))], axis=1),
    ]
    fields[2] = np.remainder(fields[2] + math.pi, 2 * math.pi) - math.pi
    named = dict(zip(("pt", "y", "phi"), (field.reshape(total) for field in fields), strict=True))
    columns = {"event": np.arange(n) + 50, "weight": np.full(n, 0.5)}
    return Sample(columns, {"cells": Ragged(np.arange(0, total + 1, per), named, {"pt": "GeV", "phi": "rad"})})


def changed(events: Sample, **fields: NDArray[Any]) -> Sample:
    return events.with_collection("cells", events.collection("cells").with_fields(**fields))


def images_of(pairs: Sample) -> dict[str, SparseImages]:
    """The image of each resolution, all with the same edges."""
    found = {}
    for factor, name in ((1, "constituents"), *zip(FACTORS, LOWER, strict=True)):
        grid = {"eta": (-1, 1), "phi": (-HALF, HALF), "shape": (160 // factor, 160 // factor)}
        found[name] = (
            Pixelate.model_validate({"grid": grid, "collection": name, "into": name}).apply(pairs, None).image(name)
        )
    return found


def slow_jets(dense: NDArray[Any], factor: int) -> list[tuple[Any, set[tuple[int, int]]]]:
    """Jets of one event on dense cells, by falling pT, with the cells of each."""
    import fastjet

    blocks = dense.reshape(480 // factor, factor, 512 // factor, factor).sum(axis=(1, 3))
    inputs, names = [], []
    for row, column in np.argwhere(blocks).tolist():
        eta, phi = -3 + (row + 0.5) * factor * ETA, -math.pi + (column + 0.5) * factor * PHI
        pt = float(blocks[row, column])
        momentum = fastjet.PseudoJet(pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(eta), pt * math.cosh(eta))
        momentum.set_user_index(len(names))
        inputs.append(momentum)
        names.append((row, column))
    sequence = fastjet._swig.ClusterSequence(inputs, fastjet.JetDefinition(fastjet.antikt_algorithm, 0.8))
    jets = fastjet.sorted_by_pt(sequence.inclusive_jets(20.0))
    return [(jet, {names[part.user_index()] for part in jet.constituents()}, sequence)[:2] for jet in jets]


def slow_pairs(events: Sample) -> Iterator[tuple[int, list[Any], list[set[tuple[int, int]]]]]:
    """Event, jets and cells at each resolution, for the events that pass."""
    for row in range(len(events)):
        some = events.collection("cells").take(row)
        y, phi = some["y"].astype(float), some["phi"].astype(float)
        dense = np.histogram2d(y, phi, [480, 512], [(-3, 3), (-math.pi, math.pi)], weights=some["pt"])[0]
        hardest = [slow_jets(dense, factor)[0] for factor in (1, *FACTORS)]
        jets = [jet for jet, _ in hardest]
        inside = all(550 <= jet.pt() < 650 and abs(jet.eta()) < 2 for jet in jets)
        if inside and all(jets[0].delta_R(jet) < 0.1 for jet in jets) and len(hardest[0][1]) >= 15:
            yield int(events.column("event")[row]), jets, [cells for _, cells in hardest]


def test_fastjet_event_by_event() -> None:
    events = events_of(12, spread=0.2, soft=150)
    found, expected = Pairs().apply(events, None), list(slow_pairs(events))
    assert found.column("event").tolist() == [event for event, _, _ in expected]
    assert 4 < len(expected) <= 12
    for row, (_, jets, cells) in enumerate(expected):
        for prefix, name, factor, jet, these in zip(
            ("", *(f"{name}_" for name in LOWER)), ("constituents", *LOWER), (1, *FACTORS), jets, cells, strict=True
        ):
            kinematics = [found.column(prefix + key)[row] for key in ("pt", "eta", "y", "phi", "mass")]
            np.testing.assert_allclose(
                kinematics, [jet.pt(), jet.eta(), jet.rap(), jet.phi_std(), jet.m()], rtol=1e-4, atol=1e-4
            )
            if prefix:
                assert found.column(f"{prefix}dr")[row] == pytest.approx(jets[0].delta_R(jet), abs=1e-5)
            assert absolute_cells(found, row, name, factor) == these


def absolute_cells(pairs: Sample, row: int, name: str, factor: int) -> set[tuple[int, int]]:
    """Rows and columns on the grid of the detector, from the frame."""
    cells = pairs.collection(name).take(row)
    rows = (cells["y"].astype(float) + pairs.column("frame_eta")[row] + 3) / (factor * ETA) - 0.5
    columns = (cells["phi"].astype(float) + pairs.column("frame_phi")[row] + math.pi) / (factor * PHI) - 0.5
    np.testing.assert_allclose([rows, columns], np.round([rows, columns]), atol=1e-3)
    keys = zip(np.round(rows).astype(int).tolist(), np.round(columns).astype(int).tolist(), strict=True)
    return {(r, c % (512 // factor)) for r, c in keys}


def test_images_of_isolated_jets_are_the_pooled_ones() -> None:
    pairs = Pairs().apply(events_of(40), None)
    assert len(pairs) > 30
    images = images_of(pairs)
    fine = images["constituents"]
    assert fine.counts.tolist() == pairs.collection("constituents").counts.tolist()  # nothing falls outside
    for factor, name in zip(FACTORS, LOWER, strict=True):
        offsets, cells, values = pool(fine.offsets, fine.cells, fine.values, (160, 160), (factor, factor))
        coarse = images[name]
        np.testing.assert_array_equal(coarse.offsets, offsets)
        np.testing.assert_array_equal(coarse.cells, cells)
        np.testing.assert_allclose(coarse.values, values, rtol=1e-5)
        assert isinstance(coarse, SparseImages)
        assert coarse.channels == (PT,)


def test_frames_are_corners_of_the_coarsest_cells_near_the_axis() -> None:
    pairs = Pairs().apply(events_of(40), None)
    rows, columns = (pairs.column("frame_eta") + 3) / (16 * ETA), (pairs.column("frame_phi") + math.pi) / BLOCK
    np.testing.assert_allclose([rows, columns], np.round([rows, columns]), atol=1e-4)
    away = pairs.column("lr16_phi") - pairs.column("frame_phi")
    away = np.remainder(away + math.pi, 2 * math.pi) - math.pi
    assert np.abs(away).max() <= BLOCK / 2 + 1e-5
    assert np.abs(pairs.column("lr16_y") - pairs.column("frame_eta")).max() <= 8 * ETA + 1e-5


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(FACTORS))
def test_a_coarse_jet_does_not_know_where_in_its_cells_the_energy_was(seed: int, factor: int) -> None:
    events = events_of(4, seed)
    cells, random = events.collection("cells"), np.random.default_rng(seed)
    # every particle anywhere within its cell of this factor
    moved = {}
    for name, low, width in (("y", -3, factor * ETA), ("phi", -math.pi, factor * PHI)):
        block = np.floor((cells[name] - low) / width)
        moved[name] = low + width * (block + random.uniform(0.05, 0.95, len(block)))
    options = Pairs(dr=0.3, pt=(500, 700), abs_eta=2.5, min_constituents=5)
    before, after = options.apply(events, None), options.apply(changed(events, **moved), None)
    assert before.column("event").tolist() == after.column("event").tolist()
    coarser = [name for name in LOWER if int(name[2:]) >= factor]
    for name in coarser:
        for one, other in zip(*(sample.collection(name).fields.values() for sample in (before, after)), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5)
    for name in before.columns:
        if name.startswith(("frame", *coarser)) and not name.endswith("_dr"):
            np.testing.assert_allclose(before.column(name), after.column(name), rtol=1e-4, atol=1e-4, err_msg=name)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 31))
def test_a_rotation_by_whole_coarsest_cells_changes_nothing_but_the_axes(seed: int, turns: int) -> None:
    events = events_of(3, seed)
    phi = events.collection("cells")["phi"]
    # away from the edges of cells, which a rounded rotation would cross
    centred = (np.floor((phi + math.pi) / PHI) + 0.5) * PHI - math.pi
    before = Pairs().apply(changed(events, phi=centred), None)
    after = Pairs().apply(changed(events, phi=centred + turns * BLOCK), None)
    assert len(before) == len(after) > 0
    for name in ("constituents", *LOWER):
        for field, values in before.collection(name).fields.items():
            np.testing.assert_array_equal(values, after.collection(name)[field], err_msg=field)
    for name in before.columns:
        if "phi" not in name:
            np.testing.assert_allclose(before.column(name), after.column(name), rtol=1e-4, atol=1e-4, err_msg=name)
    turned = after.column("phi") - before.column("phi") - turns * BLOCK
    np.testing.assert_allclose(np.abs(np.sin(turned / 2)), 0, atol=1e-5)


@pytest.mark.parametrize("phi", [math.pi, -math.pi, math.pi - 0.05])
def test_a_jet_at_the_seam(phi: float) -> None:
    random = np.random.default_rng(3)
    fields = {
        "pt": np.full(40, 15.0),
        "y": random.normal(0, 0.1, 40),
        "phi": np.remainder(phi + random.normal(0, 0.1, 40) + math.pi, 2 * math.pi) - math.pi,
    }
    events = Sample({"event": np.zeros(1, int), "weight": np.ones(1)}, {"cells": Ragged(np.array([0, 40]), fields)})
    pairs = Pairs().apply(events, None)
    assert len(pairs) == 1
    for image in images_of(pairs).values():
        assert image.sum()[0, 0] == pytest.approx(600)


def test_the_nearest_is_found_across_the_seam() -> None:
    def jets_at(*phi: float) -> Jets:
        pt = 600.0 - np.arange(len(phi))
        components = pt * np.cos(phi), pt * np.sin(phi), np.zeros(len(phi)), pt
        return Jets(
            np.zeros(len(phi), int), np.stack(components, axis=1), np.zeros(len(phi) + 1, int), np.zeros(0, int)
        )

    level = Level(DETECTOR, 2, np.zeros(0, np.int32), np.zeros(0, np.float32), jets_at(3.0, -math.pi + 0.01))
    for most, number, distance in ((1, 0, math.pi - 3.01), (2, 1, 0.02)):
        found = nearest(jets_at(math.pi - 0.01), np.array([0]), level, most)
        assert found[0].tolist() == [number]
        assert found[1] == pytest.approx([distance])


def test_the_order_of_particles_does_not_matter() -> None:
    events = events_of(3)
    order = np.concatenate([np.random.default_rng(1).permutation(80) + 80 * k for k in range(3)])
    shuffled = changed(events, **{name: values[order] for name, values in events.collection("cells").fields.items()})
    for one, other in zip(*(images_of(Pairs().apply(x, None)).values() for x in (events, shuffled)), strict=True):
        np.testing.assert_array_equal(one.cells, other.cells)
        np.testing.assert_allclose(one.values, other.values, rtol=1e-5)


def test_an_event_is_dropped_unless_it_passes_at_every_resolution() -> None:
    events = events_of(40)
    everything = Pairs(dr=1.0, pt=(500, None), abs_eta=5, min_constituents=1).apply(events, None)
    assert len(everything) == 40
    largest = np.max([everything.column(f"{name}_dr") for name in LOWER], axis=0)
    near = Pairs(dr=0.02, pt=(500, None), abs_eta=5, min_constituents=1).apply(events, None)
    assert near.column("event").tolist() == everything.column("event")[largest < 0.02].tolist()
    assert 0 < len(near) < 40
    pt = np.stack([everything.column(name) for name in ("pt", *(f"{name}_pt" for name in LOWER))])
    cut = float(np.median(pt[0]))
    window = Pairs(dr=1.0, pt=(500, cut), abs_eta=5, min_constituents=1).apply(events, None)
    assert window.column("event").tolist() == everything.column("event")[(pt < cut).all(axis=0)].tolist()
    eta = np.abs([everything.column(name) for name in ("eta", *(f"{name}_eta" for name in LOWER))])
    central = Pairs(dr=1.0, pt=(500, None), abs_eta=1.0, min_constituents=1).apply(events, None)
    assert central.column("event").tolist() == everything.column("event")[(eta < 1).all(axis=0)].tolist()
    counts = everything.collection("constituents").counts
    many = Pairs(dr=1.0, pt=(500, None), abs_eta=5, min_constituents=36).apply(events, None)
    assert many.column("event").tolist() == everything.column("event")[counts >= 36].tolist()


def test_two_jets_of_an_event() -> None:
    pairs = Pairs(jets=2, pt=(500, None), abs_eta=2.5).apply(events_of(20), None)
    assert pairs.column("jet").tolist()[:4] == [0, 1, 0, 1]
    assert len(pairs) > 30
    assert set(pairs.column("weight")) == {0.5}
    for name in LOWER:
        assert pairs.column(f"{name}_dr").max() < 0.1


@pytest.mark.parametrize("n", [0, 1, 3])
def test_events_without_particles(n: int) -> None:
    empty = {name: np.zeros(0) for name in ("pt", "y", "phi")}
    events = Sample({"event": np.arange(n), "weight": np.ones(n)}, {"cells": Ragged(np.zeros(n + 1, int), empty)})
    pairs = Pairs().apply(events, None)
    assert len(pairs) == 0
    assert set(pairs.collections) == {"constituents", *LOWER}


def test_contract() -> None:
    check_step(Pairs(), events_of(12))
    check_step(Pairs(factors=(3,), jets=2, pt=(300, None), grid=Grid.model_validate(
        {"eta": (-3, 3), "phi": (-math.pi, math.pi), "shape": (120, 129)}
    )), events_of(6))  # fmt: skip


@pytest.mark.parametrize("merge", [2, 3, 4])
def test_cells_on_corners_of_the_grid_are_refused(merge: int) -> None:
    """Rounding to single precision would choose the row and the column of a cell that is merged from 2 x 2."""
    events = events_of(4)
    sample = Sample(events.columns, {"particles": events.collection("cells")})
    shape = (480, 516) if merge == 3 else (480, 512)
    grid = {"eta": (-3, 3), "phi": (-math.pi, math.pi), "shape": shape}
    merged = Calorimeter.model_validate({"grid": grid, "electromagnetic": {"merge": merge}}).apply(sample, None)
    pairs = Pairs.model_validate({"grid": grid, "factors": (2,), "min_constituents": 1})
    if merge % 2 == 0:
        with pytest.raises(DataError, match=r"step pairs: \d+ of cells lie on corners of the grid"):
            pairs.apply(merged, None)
        return
    found, cells = pairs.apply(merged, None), merged.collection("cells")
    rows = np.round((cells["y"] + 3) / 0.0125 - 0.5).astype(int)
    assert set((rows % 3).tolist()) == {1}, "centres of merged cells are centres of cells"
    assert len(found) > 0


def test_padding_on_a_corner_and_a_few_particles_there_are_not_refused() -> None:
    events = events_of(2)
    cells = events.collection("cells")
    y, phi, pt = (cells[name].copy() for name in ("y", "phi", "pt"))
    y[:50], phi[:50], pt[:48] = 0, 0, 0  # padding, and two particles
    Pairs().apply(changed(events, y=y, phi=phi, pt=pt), None)


def test_garbage_is_refused_before_fastjet_sees_it() -> None:
    events = events_of(2)
    pt = events.collection("cells")["pt"].copy()
    pt[100] = np.nan
    with pytest.raises(DataError, match=r"cells\[20\]: pt = nan"):
        Pairs().apply(changed(events, pt=pt), None)


@pytest.mark.parametrize(
    "options",
    [
        {"factors": ()},
        {"factors": (1, 2)},
        {"factors": (4, 2)},
        {"factors": (2, 3)},
        {"factors": (32,), "grid": {"eta": (-3, 3), "phi": (-math.pi, math.pi), "shape": (48, 512)}},
        {"grid": {"eta": (-3, 0, 1), "phi": (-math.pi, 0, math.pi)}, "factors": (2,)},
        {"pt": (600, 500)},
    ],
)
def test_wrong_options(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Pairs.model_validate(options)
