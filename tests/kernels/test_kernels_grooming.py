"""Soft drop, trimming and subjets: against a plain clustering, FastJet, and numbers printed with fastjet-contrib."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import Jets, batches, make_jets

from hepimg.kernels.grooming import soft_drop, trim
from hepimg.kernels.subjets import find_subjets

RANDOM = make_jets(np.random.default_rng(3).integers(1, 60, 150), 4)


class Pseudojet:
    """A sum of particles, and the two pseudojets it is made of."""

    def __init__(self, momentum: Any, members: list[int], parts: tuple[Any, ...] = ()) -> None:
        self.momentum, self.members, self.parts = np.asarray(momentum), members, parts
        energy, px, py, pz = self.momentum
        self.pt, self.phi, self.y = (
            math.hypot(px, py),
            math.atan2(py, px),
            0.5 * math.log((energy + pz) / (energy - pz)),
        )
        self.mass = math.sqrt(max(energy**2 - px**2 - py**2 - pz**2, 0))

    def distance(self, other: Pseudojet) -> float:
        return math.hypot(self.y - other.y, math.remainder(self.phi - other.phi, 2 * math.pi))


def momenta(jet: Jets) -> np.ndarray:
    """E, px, py, pz of each particle."""
    mt = np.hypot(jet.pt, jet.mass)
    return np.stack([mt * np.cosh(jet.y), jet.pt * np.cos(jet.phi), jet.pt * np.sin(jet.phi), mt * np.sinh(jet.y)], 1)


def plain_clustering(jet: Jets, power: int, radius: float) -> list[Pseudojet]:
    """Inclusive jets by looking at all distances before each merging: kt (power 1) or C/A (power 0)."""
    left = [Pseudojet(momentum, [i]) for i, momentum in enumerate(momenta(jet))]
    done = []
    while left:
        to_beam = [(a.pt ** (2 * power), i, None) for i, a in enumerate(left)]
        pairs = [
            (min(a.pt, b.pt) ** (2 * power) * (a.distance(b) / radius) ** 2, i, j)
            for i, a in enumerate(left)
            for j, b in enumerate(left[:i])
        ]
        _, i, j = min(to_beam + pairs, key=lambda entry: entry[0])
        one = left.pop(i)
        if j is None:
            done.append(one)
            continue
        two = left.pop(j)
        left.append(Pseudojet(one.momentum + two.momentum, one.members + two.members, (one, two)))
    return done


def plain_soft_drop(jet: Jets, z_cut: float, beta: float, r0: float) -> tuple[list[int], list[float]]:
    (node,) = plain_clustering(jet, 0, 1e6)
    while node.parts:
        one, two = sorted(node.parts, key=lambda part: part.pt)
        z, distance = one.pt / (one.pt + two.pt), one.distance(two)
        if z > z_cut * (distance / r0) ** beta:
            mu = max(one.mass, two.mass) / node.mass
            return sorted(node.members), [z, distance, mu]
        node = two
    return node.members, [0, 0, 0]


@settings(max_examples=30, deadline=None)
@given(batches, st.sampled_from([0.0, 1.0, 2.0, -1.0]), st.floats(0.02, 0.4))
def test_soft_drop_is_what_a_plain_clustering_gives(jets: Jets, beta: float, z_cut: float) -> None:
    keep, splittings = soft_drop(*jets, z_cut=z_cut, beta=beta, r0=0.8)
    for jet, start, splitting in zip(jets.rows(), jets.offsets, splittings, strict=False):
        if len(jet.pt):
            members, expected = plain_soft_drop(jet, z_cut, beta, 0.8)
            assert np.flatnonzero(keep[start : start + len(jet.pt)]).tolist() == members
            np.testing.assert_allclose(splitting[:2], expected[:2], rtol=1e-6)
            assert splitting[2] == pytest.approx(expected[2], abs=1e-4)  # the mass of a massless branch is rounding
        else:
            assert not splitting.any()


@settings(max_examples=30, deadline=None)
@given(batches, st.booleans(), st.floats(0.05, 1), st.floats(0, 0.5))
def test_trimming_is_what_a_plain_clustering_gives(jets: Jets, by_pt: bool, radius: float, fraction: float) -> None:
    keep = trim(*jets, radius=radius, fraction=fraction, by_pt=by_pt)
    for jet, start in zip(jets.rows(), jets.offsets, strict=False):
        total = math.hypot(*momenta(jet).sum(axis=0)[1:3])
        subjets = plain_clustering(jet, int(by_pt), radius)
        members = [i for subjet in subjets if subjet.pt >= fraction * total for i in subjet.members]
        assert np.flatnonzero(keep[start : start + len(jet.pt)]).tolist() == sorted(members)


@settings(max_examples=30, deadline=None)
@given(batches, st.booleans(), st.floats(0.05, 1))
def test_subjets_are_what_a_plain_clustering_gives(jets: Jets, by_pt: bool, radius: float) -> None:
    offsets, subjets = find_subjets(*jets, radius=radius, by_pt=by_pt)
    for jet, a, b in zip(jets.rows(), offsets, offsets[1:], strict=False):
        expected = sorted(plain_clustering(jet, int(by_pt), radius), key=lambda subjet: -subjet.pt)
        assert b - a == len(expected)
        for ours, theirs in zip(subjets[a:b], expected, strict=True):
            np.testing.assert_allclose(ours, theirs.momentum, rtol=1e-9, atol=1e-9)


def pseudojets(jet: Jets) -> list[Any]:
    """FastJet's particles, numbered."""
    import fastjet

    made = [fastjet.PseudoJet(px, py, pz, energy) for energy, px, py, pz in momenta(jet).tolist()]
    for number, pseudojet in enumerate(made):
        pseudojet.set_user_index(number)
    return made


def found_by_fastjet(particles: list[Any], algorithm: str, radius: float) -> tuple[Any, list[Any]]:
    """The sequence, which must outlive its jets, and the jets by falling pT."""
    import fastjet
    from fastjet._swig import ClusterSequence, sorted_by_pt

    ClusterSequence.set_fastjet_banner_stream(None)
    sequence = ClusterSequence(particles, fastjet.JetDefinition(getattr(fastjet, f"{algorithm}_algorithm"), radius))
    return sequence, list(sorted_by_pt(sequence.inclusive_jets(20.0)))


@pytest.mark.parametrize(("beta", "z_cut"), [(0.0, 0.1), (1.0, 0.2), (2.0, 0.1)])
def test_soft_drop_is_fastjets(beta: float, z_cut: float) -> None:
    import awkward as ak
    import fastjet

    found_by_fastjet([], "antikt", 1.0)
    energy, px, py, pz = momenta(RANDOM).T
    particles = ak.zip({"px": px, "py": py, "pz": pz, "E": energy}, with_name="Momentum4D")
    jets = ak.unflatten(particles, np.diff(RANDOM.offsets))
    sequence = fastjet.ClusterSequence(jets, fastjet.JetDefinition(fastjet.cambridge_algorithm, 10.0))
    theirs = sequence.exclusive_jets_softdrop_grooming(1, beta, z_cut, "scalar_z", 0.8)
    keep, (z, distance, _) = (part.T for part in soft_drop(*RANDOM, z_cut=z_cut, beta=beta, r0=0.8))
    np.testing.assert_array_equal(np.add.reduceat(keep, RANDOM.offsets[:-1]), ak.num(theirs["constituents"]))
    sums = np.add.reduceat(momenta(RANDOM) * keep[:, np.newaxis], RANDOM.offsets[:-1])
    np.testing.assert_allclose(np.hypot(sums[:, 1], sums[:, 2]), theirs["ptsoftdrop"], rtol=1e-9)
    np.testing.assert_allclose(sums[:, 0], theirs["Esoftdrop"], rtol=1e-9)
    found = np.asarray(theirs["deltaRsoftdrop"]) > 0
    assert 100 < found.sum() < 150
    np.testing.assert_allclose(distance[found], theirs["deltaRsoftdrop"][found], rtol=1e-8)
    np.testing.assert_allclose(z[found], theirs["symmetrysoftdrop"][found], rtol=1e-9)
    assert not z[~found].any()
    assert not distance[~found].any()


@pytest.mark.parametrize("algorithm", ["kt", "cambridge"])
def test_trimming_is_fastjets_filter(algorithm: str) -> None:
    import fastjet
    from fastjet._swig import Filter, SelectorPtFractionMin

    definition = fastjet.JetDefinition(getattr(fastjet, f"{algorithm}_algorithm"), 0.25)
    trimmer = Filter(definition, SelectorPtFractionMin(0.05))
    keep = trim(*RANDOM, radius=0.25, fraction=0.05, by_pt=algorithm == "kt")
    for jet, start in zip(RANDOM.rows(), RANDOM.offsets, strict=False):
        sequence, whole = found_by_fastjet(pseudojets(jet), "antikt", 10.0)
        if whole:
            members = sorted(particle.user_index() for particle in trimmer.result(whole[0]).constituents())
            assert np.flatnonzero(keep[start : start + len(jet.pt)]).tolist() == members
        del whole, sequence


@pytest.mark.parametrize("algorithm", ["kt", "cambridge"])
def test_subjets_are_fastjets(algorithm: str) -> None:
    offsets, subjets = find_subjets(*RANDOM, radius=0.3, by_pt=algorithm == "kt")
    hard = np.hypot(subjets[:, 1], subjets[:, 2]) > 20.0
    checked = 0
    for jet, a, b in zip(RANDOM.rows(), offsets, offsets[1:], strict=False):
        sequence, theirs = found_by_fastjet(pseudojets(jet), algorithm, 0.3)
        expected = np.array([(one.E(), one.px(), one.py(), one.pz()) for one in theirs]).reshape(-1, 4)
        np.testing.assert_allclose(subjets[a:b][hard[a:b]], expected, rtol=1e-9, atol=1e-9)
        checked += len(theirs)
        del theirs, sequence
    assert checked > 200


@pytest.mark.parametrize(
    ("reference", "algorithm", "beta", "left"),
    [("example_softdrop", "antikt", 2.0, "SoftDropped jet"), ("example_mmdt", "cambridge", 0.0, "tagged   jet")],
)
def test_soft_drop_as_printed_with_fastjet_contrib(
    external: Path, reference: str, algorithm: str, beta: float, left: str
) -> None:
    import fastjet

    particles = [fastjet.PseudoJet(*row[:4].tolist()) for row in np.loadtxt(external / "fastjet/single-event.dat")]
    text = (external / f"fastjet/RecursiveTools.{reference}.ref").read_text()
    sequence, jets = found_by_fastjet(particles, algorithm, 1.0)
    blocks = re.split(r"original +jet: ", text)[1:]
    assert len(jets) == len(blocks) == 3
    for jet, block in zip(jets, blocks, strict=True):
        parts = jet.constituents()
        pt, y, phi, mass = (np.array([getattr(part, name)() for part in parts]) for name in ("pt", "rap", "phi", "m"))
        keep, ((z, distance, mu),) = soft_drop(
            np.array([0, len(parts)]), pt, y, phi, np.maximum(mass, 0), z_cut=0.1, beta=beta, r0=1.0
        )
        left_over = np.array([[part.E(), part.px(), part.py(), part.pz()] for part in parts])[keep]
        one = Pseudojet(left_over.sum(axis=0), [])
        assert numbers(block.splitlines()[0]) == printed(jet.pt(), jet.m(), jet.rap(), jet.phi())
        (line,) = re.findall(rf"{left}: (.*)", block)
        assert numbers(line) == printed(one.pt, one.mass, one.y, one.phi % (2 * math.pi))
        for label, value in (("delta_R between subjets", distance), ("measure\\(z\\)", z), ("drop\\(mu\\)", mu)):
            (line,) = re.findall(rf"{label}:(.*)", block)
            assert numbers(line) == printed(value)
    del sequence


def numbers(line: str) -> list[str]:
    return re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", line)


def printed(*values: float) -> list[str]:
    """As C++ prints them: six digits."""
    return [f"{value:.6g}" for value in values]


def groom(name: str, jets: Jets) -> np.ndarray:
    return soft_drop(*jets)[0] if name == "soft_drop" else trim(*jets)


@pytest.mark.parametrize("name", ["soft_drop", "trim"])
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-10, 10))
def test_grooming_knows_no_order_and_no_azimuth(name: str, seed: int, angle: float) -> None:
    jet = make_jets([25], seed)
    keep = groom(name, jet)
    turned = jet._replace(phi=jet.phi + angle)
    np.testing.assert_array_equal(groom(name, turned), keep)
    order = np.random.default_rng(seed).permutation(25)
    shuffled = Jets(jet.offsets, *(field[order] for field in jet[1:]))
    np.testing.assert_array_equal(groom(name, shuffled), keep[order])


@pytest.mark.parametrize("name", ["soft_drop", "trim"])
def test_infinitely_soft_particles_do_not_matter(name: str) -> None:
    jet, soft = make_jets([30], 1), make_jets([20], 2)
    both = Jets(np.array([0, 50]), *(np.concatenate(pair) for pair in zip(jet[1:], soft[1:], strict=True)))
    both.pt[30:], both.mass[30:] = 1e-15, 0
    np.testing.assert_array_equal(groom(name, both)[:30], groom(name, jet))
    both.pt[30:] = 0
    keep = groom(name, both)
    np.testing.assert_array_equal(keep[:30], groom(name, jet))
    assert not keep[30:].any()


def test_inputs_may_be_read_only_and_of_any_precision() -> None:
    jets = make_jets([0, 1, 20], 5, np.float32)
    for field in jets:
        field.flags.writeable = False
    keep, splittings = soft_drop(*jets)
    assert keep.shape == (21,)
    assert keep[0]
    assert splittings.shape == (3, 3)
    assert trim(*jets).shape == (21,)
