"""Observables against the values that fastjet-contrib prints for its own test event, to every printed digit.

Needs the folder HEPIMG_TEST_DATA with fastjet/single-event.dat and the .ref files of the official examples.
"""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from hepimg import observables
from hepimg.kernels.subjettiness import subjettiness
from hepimg.particles import Particles

SUBJETTINESS_AXES = {"KT": "kt", "WTA KT": "wta_kt", "OnePass KT": "onepass_kt", "OnePass WTA KT": "onepass_wta_kt"}


@pytest.fixture(scope="module")
def folder() -> Path:
    if "HEPIMG_TEST_DATA" not in os.environ:
        pytest.skip("HEPIMG_TEST_DATA is not set")
    return Path(os.environ["HEPIMG_TEST_DATA"]) / "fastjet"


@pytest.fixture(scope="module")
def jets(folder: Path) -> Particles:
    """The two hardest anti-kt jets of radius 1, as the examples cluster them; hardest first."""
    ak, fastjet = pytest.importorskip("awkward"), pytest.importorskip("fastjet")
    pytest.importorskip("vector").register_awkward()
    momenta = np.loadtxt(folder / "single-event.dat")
    event = ak.zip(dict(zip(("px", "py", "pz", "E"), momenta.T, strict=True)), with_name="Momentum4D")
    clusters = fastjet.ClusterSequence(event, fastjet.JetDefinition(fastjet.antikt_algorithm, 1.0))
    pt = ak.with_name(clusters.inclusive_jets(min_pt=500), "Momentum4D").pt
    constituents = ak.with_name(clusters.constituents(min_pt=500), "Momentum4D")[np.argsort(-np.asarray(pt))]
    flat = ak.flatten(constituents)
    fields = (np.asarray(field) for field in (flat.pt, flat.rapidity, flat.phi, np.maximum(flat.mass, 0)))
    return Particles(np.concatenate([[0], np.cumsum(np.asarray(ak.num(constituents)))]), *fields)


def table(text: str, title: str) -> np.ndarray:
    """The first table of numbers under a title."""
    body = text.split(title)[1].split("\n-----")[1]
    return np.array([[float(x) for x in line.split()] for line in body.splitlines() if re.match(r"\s*\d", line)])


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("correlator", "EnergyCorrelatorC1:  C_1^(beta) = ECF(2,beta)/ECF(1,beta)^2 with pt_R"),
        ("c2", "EnergyCorrelatorC2:  C_2^(beta) = ECF(3,beta)*ECF(1,beta)/ECF(2,beta)^2 with pt_R"),
        ("d2", "EnergyCorrelatorD2:  D_2^(beta) = ECF(3,beta)*ECF(1,beta)^3/ECF(2,beta)^3 with pt_R"),
        ("n2", "EnergyCorrelatorN2:  N2(beta) = ECFG(3, 2, beta)/ECFG(2, 1, beta)^2 with pt_R"),
    ],
)
def test_energy_correlators(folder: Path, jets: Particles, name: str, title: str) -> None:
    printed = table((folder / "EnergyCorrelator.example.ref").read_text(), title)
    assert len(printed) == 6
    for beta, expected in printed:
        (found,) = observables.compute([f"{name}[beta={beta}]"], jets[:1]).values()
        assert f"{found[0]:.6f}" == f"{expected:.6f}"


@pytest.mark.parametrize("jet", [0, 1])
@pytest.mark.parametrize("beta", [1.0, 2.0])
@pytest.mark.parametrize("normalised", [True, False])
def test_subjettiness(folder: Path, jets: Particles, jet: int, beta: float, normalised: bool) -> None:
    text = (folder / "Nsubjettiness.example_advanced_usage.ref").read_text()
    text = text.split("\nOutputting N-subjettiness Values\n")[jet + 1]
    unit = "R0 = 1.00" if normalised else "in GeV"
    title = f"{'Normalized' if normalised else 'Unnormalized'} Measure (beta = {beta:.2f}, {unit})"
    block = text.split("\n" + title)[1].split("-----")[0]
    for printed_name, axes in SUBJETTINESS_AXES.items():
        (line,) = re.findall(rf"^ *{printed_name}: (.*)$", block, re.MULTILINE)
        one = jets[jet : jet + 1]
        # the minimised axes were printed at this accuracy, not at the 1e-4 of FastJet's Python interface
        options = {"axes": axes, "beta": beta, "r0": 1.0 if normalised else None, "accuracy": 1e-5}
        found = subjettiness(one.offsets, one.pt, one.y, one.phi, one.mass, **options)[0]
        ratios = found[1] / found[0], found[2] / found[1]
        assert [f"{value:.6f}" for value in (*found[:3], *ratios)] == line.split(), axes


def test_jet_momentum(jets: Particles) -> None:
    """The values above the subjets in the basic example: pT and mass of the two jets."""
    values = observables.compute(["pt", "mass", "n_active"], jets)
    assert [f"{value:.4f}" for value in values["pt"]] == ["983.3873", "908.0979"]
    assert [f"{value:.4f}" for value in values["mass"]] == ["39.9912", "87.7124"]
    np.testing.assert_array_equal(values["n_active"], [35, 47])


def test_energyflow_differs_by_its_convention(jets: Particles) -> None:
    """EnergyFlow's C2 sums over unordered and ordered tuples alike: another convention, a fixed factor 3/2 and 3/4."""
    energyflow = pytest.importorskip("energyflow")
    one = jets[:1]
    constituents = np.stack([one.pt, one.y, one.phi, one.mass], axis=1)
    values = observables.compute(["c2", "d2"], one)
    for name, factor in (("C2", 3 / 2), ("D2", 3 / 4)):
        theirs = getattr(energyflow, name)(measure="hadr", beta=1, strassen=False, coords="ptyphim").compute(
            constituents
        )
        assert theirs / values[name.lower()][0] == pytest.approx(factor, rel=1e-6)
