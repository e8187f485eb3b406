"""The step ``towers`` against a loop over particles, and what it must conserve."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepimg.components import Collection
from hepimg.errors import DataError
from hepimg.sample import Ragged, Sample
from hepimg.testing import check_component, check_step, ports_of
from hepimg_jets.towers import Towers

GRID = {"eta": (-2.0, 2.0), "phi": (-math.pi, math.pi), "shape": (40, 64)}
PION, PHOTON, MUON, NEUTRINO = 211, 22, 13, 12


def events_of(counts: list[int], seed: int = 1, **fields: np.ndarray) -> Sample:
    """Particles of several collisions, some beyond towers and tracker."""
    random = np.random.default_rng(seed)
    n, offsets = sum(counts), np.cumsum([0, *counts])
    named = {
        "pt": random.exponential(1.5, n),
        "y": random.normal(0, 1.2, n),
        "phi": random.uniform(-math.pi, math.pi, n),
        "mass": random.choice([0.0, 0.14, 0.94], n),
        "charge": random.choice([-1.0, 0.0, 1.0], n),
    }
    values = {name: array.astype(np.float32) for name, array in named.items()}
    values["vertex"] = random.integers(0, 4, n).astype(np.int16)
    values["pdg_id"] = random.choice([PION, PHOTON, MUON, NEUTRINO], n).astype(np.int32)
    columns = {"event": np.arange(len(counts)), "weight": np.ones(len(counts))}
    units = {"pt": "GeV", "phi": "rad", "mass": "GeV", "charge": "e"}
    return Sample(columns, {"particles": Ragged(offsets, {**values, **fields}, units)})


def expected(sample: Sample, row: int) -> tuple[list[float], dict[tuple[int, int], list[float]]]:
    """The pT of the tracks of one event in order, and the energy and hard energy of its towers, one by one."""
    tracks, towers = list[float](), defaultdict[tuple[int, int], list[float]](lambda: [0.0, 0.0])
    some = sample.collection("particles").take(row)
    for pt, y, phi, mass, charge, vertex, kind in zip(*(some[name].tolist() for name in some.fields), strict=True):
        mt = math.hypot(pt, mass)
        eta = math.asinh(mt * math.sinh(y) / pt)
        if charge and pt >= 0.5 and abs(eta) < 1.5:
            tracks.append(pt)
        elif kind not in (MUON, NEUTRINO) and -2 <= eta < 2:
            cell = towers[int((eta + 2) / 0.1), int((phi + math.pi) / (2 * math.pi / 64))]
            cell[0] += mt * math.cosh(y)
            cell[1] += mt * math.cosh(y) * (vertex == 0)
    return tracks, towers


@pytest.mark.parametrize("counts", [[], [0], [30], [0, 200, 1, 80]])
def test_towers_are_those_of_a_loop(counts: list[int]) -> None:
    sample = events_of(counts)
    step = Towers.model_validate({"grid": GRID, "tracks": {"abs_eta": 1.5}, "into": "seen"})
    seen = step.apply(sample, None).collection("seen")
    assert len(seen) == len(counts)
    for row in range(len(counts)):
        tracks, towers = expected(sample, row)
        found = seen.take(row)
        is_track = found["charge"] != 0
        np.testing.assert_allclose(found["pt"][is_track], tracks, rtol=1e-6)
        cells = dict(sorted(towers.items()))
        centres = -1.95 + 0.1 * np.array([eta for eta, _ in cells])
        assert (~is_track).sum() == len(cells)
        for name, which in (("pt", 0), ("hard_pt", 1)):
            energies = np.array([sums[which] for sums in cells.values()])
            np.testing.assert_allclose(found[name][~is_track], energies / np.cosh(centres), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found["y"][~is_track], centres, atol=1e-6)
        assert not found["mass"][~is_track].any()
        assert (found["vertex"][~is_track] == -1).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_nothing_is_lost_and_the_truth_is_a_part(seed: int) -> None:
    """At y = 0 of massless particles, pT is energy: tracks and towers have all of it, and hard_pt all that is hard."""
    n = 100
    still = {"y": np.zeros(n, np.float32), "mass": np.zeros(n, np.float32), "pdg_id": np.full(n, PION, np.int32)}
    sample = events_of([60, 40], seed, **still)
    particles, seen = sample.collection("particles"), Towers().apply(sample, None).collection("particles")
    hard = particles["vertex"] == 0
    assert seen["pt"].sum() * math.cosh(0.05) == pytest.approx(particles["pt"].sum(), rel=2e-3)
    assert seen["hard_pt"].sum() == pytest.approx(particles["pt"][hard].sum(), rel=2e-3)
    assert (seen["hard_pt"] <= seen["pt"] * (1 + 1e-6)).all()
    tracks = seen["charge"] != 0
    np.testing.assert_array_equal(seen["hard_pt"][tracks], np.where(seen["vertex"] == 0, seen["pt"], 0)[tracks])


def test_it_keeps_the_contract() -> None:
    check_component(Towers)
    sample = events_of([0, 50, 20])
    check_step(Towers(), sample)
    (port,) = Towers(into="seen").writes(ports_of(sample))
    assert isinstance(port, Collection)
    assert (port.name, port.fields["hard_pt"]) == ("seen", "GeV")
    with pytest.raises(ValueError, match="into: seen would replace"):
        Towers(into="seen").writes(ports_of(sample.with_collection("seen", sample.collection("particles"))))
    with pytest.raises(DataError, match="pt = nan"):
        Towers().apply(events_of([3], pt=np.full(3, np.nan, np.float32)), None)
