"""The steps ``soft_drop``, ``trim`` and ``subjets``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from hepimg.components import Collection, Column, Step
from hepimg.kernels.moments import four_momentum
from hepimg.sample import Ragged, Sample
from hepimg.testing import check_component, check_step, ports_of, toy_jets
from hepimg_jets.soft_drop import SoftDrop
from hepimg_jets.subjets import Subjets
from hepimg_jets.trim import Trim

KINEMATICS = ("pt", "eta", "y", "phi", "mass")

STEPS = [
    SoftDrop(),
    SoftDrop(beta=1.0, z_cut=0.2, into="constituents"),
    Trim(),
    Trim(algorithm="cambridge", radius=0.2),
    Subjets(),
    Subjets(algorithm="cambridge", radius=0.2, into="prongs"),
]


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_contract(step: Step) -> None:
    check_component(type(step))
    check_step(step, toy_jets(40, 2))
    massless = toy_jets(5)
    particles = massless.collection("constituents")
    fields = {name: particles[name] for name in ("pt", "y", "phi")}
    check_step(step, massless.with_collection("constituents", Ragged(particles.offsets, fields, {"pt": "GeV"})))


def test_columns_are_the_sum_of_what_is_left() -> None:
    jets = toy_jets(60, 2)
    for step, into in ((SoftDrop(), "groomed"), (Trim(fraction=0.2), "trimmed")):
        groomed = step.apply(jets, None)
        left = groomed.collection(into)
        assert 0.2 < left.counts.sum() / jets.collection("constituents").counts.sum() < 1
        assert set(left.fields) == set(jets.collection("constituents").fields)
        pt, y, phi, mass = (left[name].astype(float) for name in ("pt", "y", "phi", "mass"))
        mt, row = np.hypot(pt, mass), np.repeat(np.arange(60), left.counts)
        px, py, pz, energy = (
            np.bincount(row, part) for part in (pt * np.cos(phi), pt * np.sin(phi), mt * np.sinh(y), mt * np.cosh(y))
        )
        expected = {
            "pt": np.hypot(px, py),
            "eta": np.arcsinh(pz / np.hypot(px, py)),
            "y": np.arctanh(pz / energy),
            "phi": np.arctan2(py, px),
            "mass": np.sqrt(energy**2 - px**2 - py**2 - pz**2),
        }
        for name, values in expected.items():
            np.testing.assert_allclose(groomed.column(f"{into}_{name}"), values, rtol=1e-4, atol=1e-4)


def test_two_prongs_are_found() -> None:
    groomed = SoftDrop().apply(toy_jets(300, 2), None)
    single = SoftDrop().apply(toy_jets(300, 1), None)
    assert np.median(groomed.column("groomed_rg")) == pytest.approx(0.45, abs=0.08)
    assert np.median(single.column("groomed_rg")) < 0.25
    assert ((groomed.column("groomed_zg") > 0.1) & (groomed.column("groomed_zg") <= 0.5)).mean() > 0.95


def test_subjets_add_up_to_the_jet_and_the_hardest_stands_first() -> None:
    jets = toy_jets(60, 2)
    found = Subjets().apply(jets, None).collection("subjets")
    np.testing.assert_allclose(_four(found), _four(jets.collection("constituents")), rtol=1e-4)
    rows = [found.take(row)["pt"] for row in range(60)]
    assert all((np.diff(pt) <= 0).all() for pt in rows)
    assert np.mean([pt[:2].sum() / pt.sum() for pt in rows]) > 0.8
    with pytest.raises(ValueError, match="into: constituents would replace"):
        Subjets(into="constituents").writes(ports_of(jets))


def _four(jets: Ragged) -> Any:
    return four_momentum(jets.offsets, jets["pt"], jets["y"], jets["phi"], jets["mass"])


def test_moving_the_jet_moves_what_is_left() -> None:
    jets = toy_jets(40, 2)
    particles = jets.collection("constituents")
    moved = jets.with_collection(
        "constituents", particles.with_fields(y=particles["y"] + np.float32(0.5), phi=particles["phi"] + np.float32(1))
    )
    for step, into in ((SoftDrop(), "groomed"), (Trim(), "trimmed")):
        before, after = step.apply(jets, None), step.apply(moved, None)
        np.testing.assert_array_equal(before.collection(into)["pt"], after.collection(into)["pt"])
        for name, difference in (("pt", 0), ("mass", 0), ("y", 0.5), ("phi", 1)):
            old, new = before.column(f"{into}_{name}"), after.column(f"{into}_{name}")
            change = new - old if name != "phi" else np.remainder(new - old, 2 * np.pi)
            np.testing.assert_allclose(change, difference, atol=2e-3 if name == "mass" else 2e-4)


def test_empty_jets_and_jets_of_one() -> None:
    fields = {name: np.array([value], np.float32) for name, value in (("pt", 30), ("y", 1), ("phi", 3), ("mass", 0))}
    columns: dict[str, Any] = {"event": np.arange(2), "weight": np.ones(2)}
    jets = Sample(columns, {"constituents": Ragged(np.array([0, 0, 1]), fields)})
    for step, into in ((SoftDrop(), "groomed"), (Trim(), "trimmed")):
        groomed = step.apply(jets, None)
        assert groomed.collection(into).counts.tolist() == [0, 1]
        for name, value in zip(KINEMATICS, (30, 1, 1, 3, 0), strict=True):
            np.testing.assert_allclose(groomed.column(f"{into}_{name}"), [0, value], atol=1e-5)
    assert not SoftDrop().apply(jets, None).column("groomed_zg").any()


def test_what_is_promised() -> None:
    ports = {port.name: port for port in SoftDrop(into="mmdt").writes(ports_of(toy_jets(1)))}
    assert ports["mmdt_mass"] == Column("mmdt_mass", "GeV")
    assert {"mmdt_zg", "mmdt_rg", "mmdt_mu"} < set(ports)
    assert isinstance(ports["mmdt"], Collection)
    with pytest.raises(ValueError, match="jets is no collection"):
        Trim(collection="jets").writes({})


def test_nothing_is_replaced_unseen() -> None:
    ports = ports_of(toy_jets(1))
    once = {**ports, **{port.name: port for port in SoftDrop().writes(ports)}}
    with pytest.raises(ValueError, match=r"into: groomed would replace groomed_pt, .*groomed, already there"):
        SoftDrop(z_cut=0.2).writes(once)
    with pytest.raises(ValueError, match="into: pixels would replace pixels"):
        Trim(into="pixels").writes({**ports, "pixels": ports["constituents"]})
    again = Trim(collection="groomed", into="trimmed").writes(once)
    assert "trimmed_mass" in {port.name for port in again}
    assert SoftDrop(into="constituents").writes(ports), "the collection that is groomed may be replaced"


@pytest.mark.parametrize(
    "options",
    [{"z_cut": 0.6}, {"z_cut": 0}, {"r0": 0}, {"beta": float("nan")}, {"fraction": 1}, {"algorithm": "antikt"}],
)
def test_bad_options(options: dict[str, Any]) -> None:
    step = Trim if "fraction" in options or "algorithm" in options else SoftDrop
    with pytest.raises(ValidationError):
        step.model_validate(options)
