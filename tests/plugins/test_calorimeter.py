"""The step ``calorimeter`` against loops, formulas and symmetries."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hepimg.errors import DataError
from hepimg.sample import Ragged, Sample
from hepimg.testing import check_step, ports_of
from hepimg_jets.calorimeter import Calorimeter, energies
from hepimg_jets.cells import DETECTOR

GRID = {"eta": (-2.0, 2.0), "phi": (-math.pi, math.pi), "shape": (40, 64)}
SMEARING = {"stochastic": 0.5, "noise": 0.3, "constant": 0.05}
PION, PHOTON, MUON, NEUTRON = 211, 22, -13, 2112


def events_of(counts: list[int], seed: int = 1) -> Sample:
    """Particles of all kinds, some outside the calorimeter."""
    random = np.random.default_rng(seed)
    n, offsets = sum(counts), np.cumsum([0, *counts])
    fields = {
        "pt": random.exponential(3, n),
        "y": random.normal(0, 1.2, n),
        "phi": random.uniform(-math.pi, math.pi, n),
        "mass": random.choice([0.0, 0.14, 0.94], n),
    }
    named: dict[str, Any] = {name: values.astype(np.float32) for name, values in fields.items()}
    named["pdg_id"] = random.choice([PION, PHOTON, -11, 111, MUON, 14, NEUTRON], n).astype(np.int32)
    units = {"pt": "GeV", "phi": "rad", "mass": "GeV"}
    columns = {"event": np.arange(len(counts)) + 1000, "weight": np.ones(len(counts))}
    return Sample(columns, {"particles": Ragged(offsets, named, units)})


def one(pt: float, y: float, phi: float, copies: int = 1, **fields: float) -> Sample:
    """The same particle in each of several events."""
    values = {"pt": pt, "y": y, "phi": phi, **fields}
    columns = {"event": np.arange(copies), "weight": np.ones(copies)}
    ragged = Ragged(np.arange(copies + 1), {name: np.full(copies, value) for name, value in values.items()})
    return Sample(columns, {"particles": ragged})


def expected_cells(sample: Sample, row: int) -> dict[tuple[int, int], float]:
    """The energy in each cell of one event, particle by particle."""
    cells: dict[tuple[int, int], float] = defaultdict(float)
    some = sample.collection("particles").take(row)
    for pt, y, phi, mass, kind in zip(*(some[name].tolist() for name in some.fields), strict=True):
        if abs(kind) in (12, 13, 14, 16):
            continue
        pz = math.sqrt(pt**2 + mass**2) * math.sinh(y)
        eta = math.asinh(pz / pt)
        if -2 <= eta < 2:
            cells[math.floor((eta + 2) / 0.1), math.floor((phi + math.pi) / (2 * math.pi / 64)) % 64] += math.sqrt(
                (pt * math.cosh(eta)) ** 2 + mass**2
            )
    return dict(cells)


def cells_of(sample: Sample, row: int) -> dict[tuple[int, int], float]:
    found = sample.collection("cells").take(row)
    rows, columns = (found["y"] + 2) / 0.1 - 0.5, (found["phi"] + math.pi) / (2 * math.pi / 64) - 0.5
    np.testing.assert_allclose([rows, columns], np.round([rows, columns]), atol=1e-4)  # centres
    keys = zip(np.round(rows).astype(int).tolist(), np.round(columns).astype(int).tolist(), strict=True)
    return dict(zip(keys, found["energy"].tolist(), strict=True))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 30), max_size=5), st.integers(0, 1000))
def test_energies_add_up_in_each_cell(counts: list[int], seed: int) -> None:
    events = events_of(counts, seed)
    measured = Calorimeter.model_validate({"grid": GRID}).apply(events, None)
    for row in range(len(counts)):
        assert cells_of(measured, row) == pytest.approx(expected_cells(events, row), rel=1e-4)
    cells = measured.collection("cells")
    np.testing.assert_allclose(cells["pt"] * np.cosh(cells["y"]), cells["energy"], rtol=1e-5)
    assert not cells["mass"].any()


def test_the_energy_is_that_of_the_four_vector() -> None:
    import vector

    particles = events_of([200]).collection("particles")
    pt, y, phi, mass = (particles[name].astype(float) for name in ("pt", "y", "phi", "mass"))
    exact = vector.array({"pt": pt, "phi": phi, "pz": np.hypot(pt, mass) * np.sinh(y), "mass": mass})
    energy, eta = energies(particles)
    np.testing.assert_allclose(energy, exact.energy)
    np.testing.assert_allclose(eta, exact.eta)


@pytest.mark.parametrize("energy", [4.0, 100.0])
def test_the_resolution_is_the_formula(energy: float) -> None:
    events = one(energy / math.cosh(0.55), 0.55, 1.0, copies=20_000)
    measured = Calorimeter.model_validate({"grid": GRID, "electromagnetic": SMEARING}).apply(events, 5)
    found = measured.collection("cells")["energy"].astype(float)
    sigma = energy * math.sqrt(0.5**2 / energy + 0.3**2 / energy**2 + 0.05**2)
    assert len(found) > 19_900
    assert found.mean() == pytest.approx(energy, abs=5 * sigma / math.sqrt(20_000))
    assert found.std() == pytest.approx(sigma, rel=0.03)


def test_no_energy_is_negative_and_small_ones_are_cut() -> None:
    events = one(1.0, 0.05, 0.1, copies=2000)
    noisy = Calorimeter.model_validate({"grid": GRID, "electromagnetic": {"noise": 2.0}}).apply(events, 3)
    assert 1000 < len(noisy.collection("cells")["energy"]) < 1600  # P(E > -E / sigma) = .69
    assert noisy.collection("cells")["energy"].min() > 0
    for cut, least in (({"threshold": 1.5}, 1.5), ({"significance": 2.0}, 4.0)):
        step = Calorimeter.model_validate({"grid": GRID, "electromagnetic": {"noise": 2.0, **cut}})
        energy = noisy.collection("cells")["energy"]
        np.testing.assert_array_equal(
            step.apply(events, 3).collection("cells")["energy"], energy[energy >= least], strict=True
        )


def test_layers_stand_beside_each_other() -> None:
    events = events_of([60, 0, 40])
    two = Calorimeter.model_validate({"grid": GRID, "hadronic": {"merge": 4}}).apply(events, None).collection("cells")
    together = Calorimeter.model_validate({"grid": GRID}).apply(events, None).collection("cells")
    assert two["layer"].dtype == np.int8
    assert two["energy"].sum() == pytest.approx(together["energy"].sum(), rel=1e-5)
    kind = events.collection("particles")["pdg_id"]
    only = events.with_collection("particles", events.collection("particles").where(np.isin(kind, [22, -11, 111])))
    photons = Calorimeter.model_validate({"grid": GRID}).apply(only, None).collection("cells")
    np.testing.assert_array_equal(two["energy"][two["layer"] == 0], photons["energy"])
    hadronic = two["y"][two["layer"] == 1]
    np.testing.assert_allclose(np.round(hadronic / 0.4 - 0.5), hadronic / 0.4 - 0.5, atol=1e-5)
    counts = two.counts.tolist()
    assert counts[1] == 0
    assert np.diff(two["layer"][: counts[0]]).min() >= 0  # each event has its two layers one after the other


def test_layers_fluctuate_independently() -> None:
    events = one(50, 0, 0, copies=2000, pdg_id=22)
    both = Ragged(
        2 * np.arange(2001), {name: np.repeat(x, 2) for name, x in events.collection("particles").fields.items()}
    )
    both = both.with_fields(pdg_id=np.tile([22, 211], 2000))
    step = Calorimeter.model_validate({"grid": GRID, "electromagnetic": SMEARING, "hadronic": SMEARING})
    energy = step.apply(events.with_collection("particles", both), 1).collection("cells")["energy"]
    assert len(energy) == 4000
    assert abs(np.corrcoef(energy[::2], energy[1::2])[0, 1]) < 0.1


def test_muons_leave_nothing() -> None:
    for kind, n in ((13, 0), (-14, 0), (211, 1)):
        cells = Calorimeter().apply(one(50, 0, 0, pdg_id=kind), None).collection("cells")
        assert len(cells["pt"]) == n


@pytest.mark.parametrize("phi", [math.pi, -math.pi, math.nextafter(math.pi, 0), 3 * math.pi])
def test_the_seam_in_azimuth(phi: float) -> None:
    cells = Calorimeter().apply(one(50, 0.3, phi), None).collection("cells")
    assert abs(cells["phi"][0]) == pytest.approx(math.pi - math.pi / 512, rel=1e-6)
    assert cells["energy"][0] == pytest.approx(50 * math.cosh(0.3))


def test_a_rotation_by_whole_cells_turns_the_cells() -> None:
    events = events_of([50, 50])
    step = Calorimeter.model_validate({"grid": GRID})
    turned = events.collection("particles")["phi"].astype(float) + 7 * 2 * math.pi / 64
    rotated = events.with_collection("particles", events.collection("particles").with_fields(phi=turned))
    for row in range(2):
        before, after = cells_of(step.apply(events, None), row), cells_of(step.apply(rotated, None), row)
        assert after == pytest.approx({(r, (c + 7) % 64): energy for (r, c), energy in before.items()}, rel=1e-5)


def test_the_order_of_particles_does_not_matter() -> None:
    events = events_of([40])
    shuffled = np.random.default_rng(2).permutation(40)
    fields = {name: values[shuffled] for name, values in events.collection("particles").fields.items()}
    other = events.with_collection("particles", Ragged(np.array([0, 40]), fields))
    step = Calorimeter.model_validate({"grid": GRID, "electromagnetic": SMEARING})
    one, two = (step.apply(sample, 1).collection("cells") for sample in (events, other))
    for name in one.fields:
        np.testing.assert_allclose(one[name], two[name], rtol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    "options",
    [{}, {"electromagnetic": SMEARING}, {"electromagnetic": SMEARING, "hadronic": {**SMEARING, "merge": 2}}],
)
def test_contract(options: dict[str, Any]) -> None:
    check_step(Calorimeter.model_validate(options | {"grid": GRID}), events_of([10, 0, 25, 3, 12]))


def test_what_is_outside_or_padding_is_left_out() -> None:
    for pt, y in ((50, 3.2), (50, -9), (0, 0)):
        assert not Calorimeter().apply(one(pt, y, 0), None).collection("cells").counts.any()


@pytest.mark.parametrize(("field", "value"), [("pt", np.nan), ("y", np.inf), ("pt", -3.0), ("phi", 180.0)])
def test_garbage_is_refused(field: str, value: float) -> None:
    with pytest.raises(DataError, match=rf"calorimeter, row 0 .*{field} = "):
        Calorimeter().apply(one(**{"pt": 50, "y": 0, "phi": 0} | {field: value}), None)


@pytest.mark.parametrize(
    "options",
    [
        {"hadronic": {"merge": 7}},
        {"electromagnetic": {"noise": -1}},
        {"grid": {"eta": (-2, 2), "phi": (-1, 1), "shape": (4, 4)}},
        {"grid": {"phi": (-math.pi, math.pi), "eta": (-2, 2), "shape": (4, 4)}},
    ],
)
def test_wrong_options(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Calorimeter.model_validate(options)


def test_another_collection_is_not_replaced() -> None:
    ports = ports_of(events_of([3]))
    with pytest.raises(ValueError, match="into: cells would replace cells, already there"):
        Calorimeter().writes({**ports, "cells": ports["particles"]})
    assert [port.name for port in Calorimeter(into="particles").writes(ports)] == ["particles"]


def test_the_default_cells() -> None:
    assert DETECTOR.rows.all_edges[1] - DETECTOR.rows.all_edges[0] == pytest.approx(0.0125)
    assert DETECTOR.periodic == (False, True)
