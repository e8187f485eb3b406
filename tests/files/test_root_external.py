"""CMS's and Delphes' own values, from files that nobody here wrote."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from hepimg.observables import compute
from hepimg.sample import Sample
from hepimg.shards import checksum
from hepimg.testing import check_source
from hepimg_files.tables.delphes import Delphes, DelphesJets
from hepimg_files.tables.nanoaod import NanoAOD, NanoAODJets
from hepimg_jets.soft_drop import SoftDrop

NANO = ("pfnano.root", "pfnano_rntuple.root")

CMS = {
    **{name: f"FatJet_{name}" for name in ("tau1", "tau2", "tau3", "n2b1")},
    "cms_pt": "FatJet_pt",
    "raw_factor": "FatJet_rawFactor",
    "subjet1": "FatJet_subJetIdx1",
    "subjet2": "FatJet_subJetIdx2",
}

TAU = {n: f"tau{n}[axes=onepass_kt,beta=1,r0=0.8]" for n in (1, 2, 3)}


@cache
def cms_jets(path: Path) -> Sample:
    return NanoAODJets(files=str(path), columns=CMS).read(path, 0, 10)


@cache
def delphes_jets(path: Path, jets: str, constituents: str) -> Sample:
    columns = {"pt_delphes": f"{jets}.PT", "mass_delphes": f"{jets}.Mass"}
    source = DelphesJets(files=str(path), jets=jets, constituents=constituents, drop_invalid=True, columns=columns)  # type: ignore[arg-type]
    return source.read(path, 0, 25)


def sums(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """pT and mass of the constituents' sum, in double precision."""
    particles = sample.collection("constituents")
    pt, y, phi, mass = (particles[name].astype(float) for name in ("pt", "y", "phi", "mass"))
    row, mt = np.repeat(np.arange(len(sample)), particles.counts), np.hypot(pt, mass)
    terms = (pt * np.cos(phi), pt * np.sin(phi), mt * np.sinh(y), mt * np.cosh(y))
    px, py, pz, energy = (np.bincount(row, term, len(sample)) for term in terms)
    return np.hypot(px, py), np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0))


@pytest.mark.parametrize("name", NANO)
def test_cms_nsubjettiness(external: Path, name: str) -> None:
    sample = cms_jets(external / "files" / name)
    found = compute([*TAU.values()], sample.collection("constituents").particles())
    for n, observable in TAU.items():
        ratio = found[observable] / sample.column(f"tau{n}")
        assert abs(np.median(ratio) - 1) < 0.002, n


@pytest.mark.parametrize("name", NANO)
def test_cms_n2_and_soft_drop_mass(external: Path, name: str) -> None:
    sample = cms_jets(external / "files" / name)
    groomed = SoftDrop().apply(sample, None).collection("groomed")
    found = compute(["n2[beta=1]", "mass"], groomed.particles())
    given = sample.column("n2b1")  # of the groomed jet; -99 below CMS's pT threshold
    assert np.sum(given > 0) >= 20
    assert abs(np.median((found["n2[beta=1]"] / given)[given > 0]) - 1) < 0.002
    mass = uncorrected_soft_drop_mass(external / "files/pfnano.root", sample)
    assert np.sum(mass > 1) >= 20
    ratio = found["mass"][mass > 1] / mass[mass > 1]
    assert abs(np.median(ratio) - 1) < 0.002
    assert np.abs(ratio - 1).max() < 0.3


def uncorrected_soft_drop_mass(path: Path, sample: Sample) -> np.ndarray:
    """The mass of both subjets without their energy correction, jet by jet."""
    with uproot.open(path) as file:
        events = file["Events"].arrays([f"SubJet_{name}" for name in ("pt", "eta", "phi", "mass", "rawFactor")])
    masses = []
    for event, *numbers in zip(*(sample.column(name) for name in ("event", "subjet1", "subjet2")), strict=True):
        total = np.zeros(4)
        for k in (k for k in numbers if k >= 0):
            subjet = events[int(event)]
            pt, mass = ((1 - subjet.SubJet_rawFactor[k]) * subjet[f"SubJet_{name}"][k] for name in ("pt", "mass"))
            phi, pz = subjet.SubJet_phi[k], pt * np.sinh(subjet.SubJet_eta[k])
            total += [pt * np.cos(phi), pt * np.sin(phi), pz, np.sqrt(pt**2 + pz**2 + mass**2)]
        masses.append(np.sqrt(max(0.0, total[3] ** 2 - total[:3] @ total[:3])))
    return np.array(masses)


def test_puppi_candidates_add_up_to_the_uncorrected_jets(external: Path) -> None:
    sample = cms_jets(external / "files/pfnano.root")
    ratio = sample.column("pt") / sample.column("cms_pt") / (1 - sample.column("raw_factor"))
    assert np.abs(ratio - 1).max() < 0.01


def test_ttree_and_rntuple_hold_the_same(external: Path) -> None:
    one, other = (external / "files" / name for name in NANO)
    assert checksum(cms_jets(one)) == checksum(cms_jets(other))
    events = [NanoAOD(files=str(path), puppi=False).read(path, 3, 7) for path in (one, other)]
    assert checksum(events[0]) == checksum(events[1])
    assert len(cms_jets(one)) == 24
    assert NanoAOD(files=str(one), puppi=False).read(one, 0, 10).collection("particles").offsets[-1] == 18_197


@pytest.mark.parametrize("jets", ["CaloJet02", "CaloJet04", "CaloJet08", "CaloJet15"])
def test_delphes_calorimeter_jets_are_the_sums_of_their_towers(external: Path, jets: str) -> None:
    sample = delphes_jets(external / "files/delphes.root", jets, "towers")
    ratio = sums(sample)[0] / sample.column("pt_delphes")
    assert np.median(np.abs(ratio - 1)) < 5e-8
    assert np.abs(ratio - 1).max() < 2e-7  # the file keeps single precision


@pytest.mark.parametrize("jets", ["Jet", "ParticleFlowJet04", "ParticleFlowJet08", "ParticleFlowJet15"])
def test_delphes_particle_flow_jets_are_the_sums_of_their_constituents(external: Path, jets: str) -> None:
    path = external / "files/delphes.root"
    sample = delphes_jets(path, jets, "eflow")
    pt, mass = sums(sample)
    np.testing.assert_allclose(pt, sample.column("pt_delphes"), rtol=1e-5)
    # A dropped track is at rest: it adds its mass to the energy. And the mass of a single photon is all rounding.
    with uproot.open(path) as file:
        given = ak.flatten(ak.num(file[f"Delphes/{jets}/{jets}.Constituents"].array().refs, axis=2)).to_numpy()
    counts = sample.collection("constituents").counts
    whole = (counts == given) & (counts > 1)
    assert whole.mean() > 0.85
    np.testing.assert_allclose(mass[whole], sample.column("mass_delphes")[whole], rtol=1e-5)


@pytest.mark.parametrize(("jets", "constituents"), [("GenJet08", "gen"), ("TrackJet08", "tracks")])
def test_other_delphes_jets(external: Path, jets: str, constituents: str) -> None:
    sample = delphes_jets(external / "files/delphes.root", jets, constituents)
    pt, mass = sums(sample)
    np.testing.assert_allclose(pt, sample.column("pt_delphes"), rtol=1e-5)
    massive = sample.collection("constituents").counts > 1
    np.testing.assert_allclose(mass[massive], sample.column("mass_delphes")[massive], rtol=1e-4)


@pytest.mark.parametrize("particles", ["eflow", "towers", "tracks", "gen"])
def test_delphes_events(external: Path, particles: str) -> None:
    path = external / "files/delphes.root"
    source = Delphes(files=str(path), particles=particles, drop_invalid=particles == "eflow")  # type: ignore[arg-type]
    sample = source.read(path, 0, 25)
    assert source.facts() == ({"invalid_dropped": 14} if particles == "eflow" else {})
    partons = sample.collection("partons")
    assert set(np.abs(partons["pdg_id"])) <= {1, 2, 3, 4, 5, 6, 21, 22, 23, 24, 25, 11, 12, 13, 14, 15, 16}
    assert partons.counts.min() >= 2


def test_gen_particles_balance(external: Path) -> None:
    """Visible particles of an event add up to little transverse momentum: neutrinos and the beams' ends are missing."""
    path = external / "files/delphes.root"
    particles = Delphes(files=str(path), particles="gen").read(path, 0, 25).collection("particles")
    row = np.repeat(np.arange(25), particles.counts)
    pt, phi = particles["pt"].astype(float), particles["phi"].astype(float)
    px, scalar = np.bincount(row, pt * np.cos(phi)), np.bincount(row, pt)
    assert np.median(np.abs(px) / scalar) < 0.02


def test_sources_of_real_files_keep_their_contract(external: Path) -> None:
    files = external / "files"
    check_source(Delphes(files=str(files / "delphes.root"), drop_invalid=True))
    check_source(
        NanoAODJets(files=str(files / "pfnano.root"), jets="Jet", puppi=False, columns={"n": "Jet_nConstituents"})
    )
    check_source(DelphesJets(files=str(files / "delphes.root"), drop_invalid=True, columns={"flavor": "Jet.Flavor"}))
