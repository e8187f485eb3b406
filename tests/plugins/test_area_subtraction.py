"""Area subtraction: circles by an integral, four-vectors by hand, an even background that comes off."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from hepimg.sample import Sample
from hepimg.testing import check_component, check_step, ports_of
from hepimg_jets.area_subtraction import AreaSubtraction, circle
from hepimg_jets.finding import momenta


@pytest.mark.parametrize("radius", [0.4, 1.0])
def test_circle_is_an_integral(radius: float) -> None:
    grid = (np.arange(2000) + 0.5) / 1000 - 1
    y, phi = np.meshgrid(grid * radius, grid * radius)
    inside = y**2 + phi**2 < radius**2
    expected = [(function[inside]).sum() * (radius / 1000) ** 2 for function in (np.cos(phi), np.cosh(y))]
    np.testing.assert_allclose(circle(radius), expected, rtol=1e-4)


def jet_rows(**columns: Any) -> Sample:
    n = len(columns["pt"])
    values = {name: np.array(column, np.float32) for name, column in columns.items()}
    units = {"pt": "GeV", "phi": "rad", "mass": "GeV", "rho": "GeV", "rho_m": "GeV"}
    return Sample({"event": np.arange(n), "weight": np.ones(n), **values}, units=units)


def test_area_subtraction() -> None:
    jet = {"pt": [500, 500, 20, 30], "y": [0.5, -1, 2, 0], "phi": [0, 3, -2, 1], "mass": [80, 250, 20, 1]}
    jets = jet_rows(**jet, rho=[0, 30, 30, 10], rho_m=[0, 1, 1, 5])
    step = AreaSubtraction(radius=0.8)
    check_component(AreaSubtraction)
    check_step(step, jets)
    found = {name: step.apply(jets, None).column(f"subtracted_{name}") for name in ("pt", "eta", "y", "phi", "mass")}
    np.testing.assert_array_equal(found["y"], jets.column("y"))
    np.testing.assert_array_equal(found["phi"], jets.column("phi"))
    # without background nothing changes; more background than jet leaves nothing; a square below 0 leaves no mass
    assert [found["pt"][0], found["mass"][0]] == pytest.approx([500, 80], rel=1e-5)
    assert [found["pt"][2], found["mass"][2]] == [0, 0]
    assert found["pt"][3] > 0
    assert found["mass"][3] == 0
    # four-vectors
    transverse, longitudinal = circle(0.8)
    px, py, pz, energy = momenta(*(np.array([value]) for value in (500.0, -1.0, 3.0, 250.0)))[0]
    px, py = px - 30 * transverse * math.cos(3), py - 30 * transverse * math.sin(3)
    pz, energy = pz - 31 * longitudinal * math.sinh(-1), energy - 31 * longitudinal * math.cosh(-1)
    pt = math.hypot(px, py)
    assert found["pt"][1] == pytest.approx(pt, rel=1e-6)
    assert found["mass"][1] == pytest.approx(math.sqrt(energy**2 - pt**2 - pz**2), rel=1e-5)
    assert found["eta"][1] == pytest.approx(math.asinh(pz / pt), rel=1e-6)


def test_area_subtraction_replaces_no_column() -> None:
    ports = ports_of(jet_rows(pt=[500], y=[0], phi=[0], mass=[50], rho=[1], rho_m=[0]))
    for start in ("subtracted", "groomed"):
        there = {**ports, f"{start}_mass": ports["mass"]}
        with pytest.raises(ValueError, match=f"into: {start} would replace {start}_mass, already there"):
            AreaSubtraction(into=start).writes(there)
    once = {port.name: port for port in AreaSubtraction().writes(ports)}
    with pytest.raises(ValueError, match="into: subtracted would replace subtracted_pt, subtracted_eta"):
        AreaSubtraction(radius=0.4).writes({**ports, **once})
    assert set(once) == {f"subtracted_{name}" for name in ("pt", "eta", "y", "phi", "mass")}


def test_uniform_background_is_subtracted_from_pt_and_mass() -> None:
    """A jet on a fine, even background of massive particles comes back."""
    side = 0.02
    y, phi = (axis.ravel() for axis in np.meshgrid(np.arange(-1.2, 1.2, side), np.arange(-1.2, 1.2, side)))
    inside = y**2 + phi**2 < 0.64
    pt, mass = np.full(inside.sum(), 20 * side**2), np.full(inside.sum(), 5 * side**2)
    hard = momenta(np.array([200.0, 100.0]), np.array([-0.1, 0.2]), np.array([0.1, -0.2]), np.zeros(2)).sum(axis=0)
    both = hard + momenta(pt, y[inside], phi[inside], mass).sum(axis=0)
    columns = {"rho": [pt.sum() / (math.pi * 0.64)], "rho_m": [(np.hypot(pt, mass) - pt).sum() / (math.pi * 0.64)]}
    kinematics = {}
    for name, (px, py, pz, energy) in (("hard", hard), ("both", both)):
        mass_squared = energy**2 - px**2 - py**2 - pz**2
        kinematics[name] = [math.hypot(px, py), math.atanh(pz / energy), math.atan2(py, px), math.sqrt(mass_squared)]
    jet = {name: [value] for name, value in zip(("pt", "y", "phi", "mass"), kinematics["both"], strict=True)}
    found = AreaSubtraction(radius=0.8).apply(jet_rows(**jet, **columns), None)
    assert kinematics["both"][3] > kinematics["hard"][3] + 10
    assert found.column("subtracted_pt")[0] == pytest.approx(kinematics["hard"][0], rel=5e-3)
    assert found.column("subtracted_mass")[0] == pytest.approx(kinematics["hard"][3], rel=5e-3)
