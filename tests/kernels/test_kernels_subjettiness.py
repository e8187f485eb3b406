"""N-subjettiness against FastJet's own, and against a plain clustering."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import Jets, batches, make_jets

from hepimg.kernels import SUBJETTINESS_AXES, threads
from hepimg.kernels.subjettiness import subjettiness

FASTJET_NAMES = {
    "kt": "KT_Axes",
    "wta_kt": "WTA_KT_Axes",
    "onepass_kt": "OnePass_KT_Axes",
    "onepass_wta_kt": "OnePass_WTA_KT_Axes",
}


def fastjet_taus(jets: Jets, axes: str, beta: float) -> np.ndarray:
    """The original C++, R0 = 0.8; every jet must have a particle."""
    ak, fastjet = pytest.importorskip("awkward"), pytest.importorskip("fastjet")
    mt = np.hypot(jets.pt, jets.mass)
    momenta = {
        "px": jets.pt * np.cos(jets.phi),
        "py": jets.pt * np.sin(jets.phi),
        "pz": mt * np.sinh(jets.y),
        "E": mt * np.cosh(jets.y),
    }
    events = ak.unflatten(ak.zip(momenta, with_name="Momentum4D"), np.diff(jets.offsets))
    everything = fastjet.JetDefinition(fastjet.kt_algorithm, 100.0)
    taus = fastjet.ClusterSequence(events, everything).njettiness(
        axes_definition=FASTJET_NAMES[axes], njets=[1, 2, 3, 4], beta=beta, R0=0.8
    )
    return np.asarray(taus).reshape(-1, 4)


@pytest.mark.parametrize("axes", SUBJETTINESS_AXES)
@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_equals_fastjet(axes, beta):
    jets = make_jets(np.random.default_rng(1).integers(1, 60, 100), seed=1)
    taus = subjettiness(*jets, axes=axes, beta=beta, r0=0.8)
    expected = fastjet_taus(jets, axes, beta)
    # an axis on top of a particle: dR = 1e-16 of rounding becomes 1e-8 under a root
    differs = ~np.isclose(taus, expected, rtol=1e-6, atol=1e-12 if beta >= 1 else 1e-7).all(axis=1)
    # the minimisation stops at a threshold that rounding may cross one step earlier or later
    assert differs.sum() <= (1 if axes.startswith("onepass") else 0)


def plain_kt_taus(jet: Jets, winner_takes_all: bool) -> np.ndarray:
    """Exclusive kt by looking at all pairs, and tau by its definition (beta = 1)."""
    mt = np.hypot(jet.pt, jet.mass)
    four = mt * np.cosh(jet.y), jet.pt * np.cos(jet.phi), jet.pt * np.sin(jet.phi), mt * np.sinh(jet.y)
    momenta = list(np.stack([jet.pt, jet.y, jet.phi] if winner_takes_all else four, axis=1))

    def place(p):
        if winner_takes_all:
            return p
        return np.array([np.hypot(p[1], p[2]), np.arctanh(p[3] / p[0]), np.arctan2(p[2], p[1])])

    def gap(a, b):
        return np.hypot(a[1] - b[1], (a[2] - b[2] + np.pi) % (2 * np.pi) - np.pi)

    taus = np.zeros(4)
    while len(momenta) > 1:
        places = [place(p) for p in momenta]
        pairs = [(i, j) for j in range(len(places)) for i in range(j)]
        i, j = min(pairs, key=lambda p: min(places[p[0]][0], places[p[1]][0]) * gap(places[p[0]], places[p[1]]))
        one, other = momenta[i], momenta.pop(j)
        if winner_takes_all:
            harder = one if one[0] > other[0] else other
            momenta[i] = np.array([one[0] + other[0], harder[1], harder[2]])
        else:
            momenta[i] = one + other
        if len(momenta) <= 4:
            axes = [place(p) for p in momenta]
            particles = np.stack([jet.pt, jet.y, jet.phi], axis=1)
            taus[len(momenta) - 1] = sum(p[0] * min(gap(p, axis) for axis in axes) for p in particles)
    return taus


@pytest.mark.parametrize("axes", ["kt", "wta_kt"])
def test_equals_a_plain_clustering(axes):
    jets = make_jets([0, 1, 2, 3, 4, 5, 6, 12, 20], seed=7)
    expected = [plain_kt_taus(jet, axes == "wta_kt") for jet in jets.rows()]
    np.testing.assert_allclose(subjettiness(*jets, axes=axes), expected, rtol=1e-9, atol=1e-9)


def test_minimisation_lowers_tau():
    jets = make_jets([30] * 60, seed=8)
    for start in ("kt", "wta_kt"):
        before, after = (subjettiness(*jets, axes=axes, r0=0.8) for axes in (start, f"onepass_{start}"))
        assert (after <= before + 1e-4).all()
        assert after.mean() < 0.97 * before.mean()


def test_normalisation():
    jets = make_jets([30] * 3, seed=9)
    scale = np.array([jet.pt.sum() for jet in jets.rows()])[:, np.newaxis]
    for beta in (1.0, 2.0):
        plain, normalised = subjettiness(*jets, beta=beta), subjettiness(*jets, beta=beta, r0=0.4)
        np.testing.assert_allclose(normalised, plain / (0.4**beta * scale), rtol=1e-12)


@given(batches, st.floats(-20, 20), st.sampled_from(SUBJETTINESS_AXES))
@settings(max_examples=20, deadline=None)
def test_phi_has_no_origin(jets, shift, axes):
    moved = jets._replace(phi=jets.phi + shift)
    # two orders of merging may tie to rounding, and the minimisation may end a step earlier: those are rare
    np.testing.assert_allclose(subjettiness(*moved, axes=axes), subjettiness(*jets, axes=axes), rtol=1e-3, atol=1e-6)


def test_few_particles_massless_jets_and_threads():
    jets = make_jets([0, 1, 2, 4], seed=10)
    taus = subjettiness(*jets, axes="kt")
    assert not taus[:2].any()
    assert taus[2, 0] > 0
    assert not taus[2, 1:].any()
    assert taus[3, 2] > 0
    assert taus[3, 3] == 0
    massless = jets._replace(mass=np.zeros_like(jets.mass))
    np.testing.assert_array_equal(subjettiness(*jets[:4], axes="kt"), subjettiness(*massless, axes="kt"))
    assert subjettiness(*make_jets([], seed=0)).shape == (0, 4)
    many, used = make_jets([6] * 130, seed=11), threads.get_threads()
    try:
        threads.set_threads(1)
        single = subjettiness(*many)
        threads.set_threads(3)
        assert subjettiness(*many).tobytes() == single.tobytes()
    finally:
        threads.set_threads(used)
    with pytest.raises(ValueError, match="not known"):
        subjettiness(*jets, axes="ca")


def test_coinciding_particles_do_not_break_the_clustering():
    jet = Jets(np.array([0, 6]), np.ones(6), np.zeros(6), np.full(6, 3.1), np.zeros(6))
    for axes in SUBJETTINESS_AXES:
        np.testing.assert_allclose(subjettiness(*jet, axes=axes), 0, atol=1e-12)
