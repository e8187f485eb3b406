"""Named observables: grammar, sharing, empty jets, and agreement with the kernels they name."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepimg import observables
from hepimg.kernels import correlators, moments
from hepimg.kernels.subjettiness import subjettiness
from hepimg.observables import evaluate
from hepimg.particles import Particles

WITHOUT_CHARGE = [name for name in observables.available() if name != "jet_charge"]


def make_particles(counts, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    n = offsets[-1]
    phi = rng.normal(0, 0.3, n) + np.repeat(rng.uniform(-3, 3, len(counts)), counts)
    return Particles(
        offsets,
        rng.exponential(10, n).astype(dtype) + dtype(0.1),
        rng.normal(0, 0.3, n).astype(dtype),
        phi.astype(dtype),
        rng.choice([0.0, 0.14], n).astype(dtype),
    )


@pytest.fixture
def particles():
    return make_particles([0, 1, 2, 5, 40])


def test_every_observable_is_finite_and_has_a_unit_and_a_description(particles):
    values = observables.compute(observables.available(), replace(particles, charge=np.ones(len(particles.pt))))
    for name, value in values.items():
        assert value.shape == (5,)
        assert value.dtype == np.float64
        assert np.isfinite(value).all()
        assert value[0] == 0, f"{name} of a jet without particles"
        assert observables.parse(name).description
        assert observables.parse(name).unit in ("", "GeV", "e")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_are_those_of_the_kernels(dtype):
    particles = make_particles([3, 30], seed=2, dtype=dtype)
    plane = particles.offsets, particles.pt, particles.y, particles.phi
    e2, e3, two_e3 = correlators.three_point(*plane, 2.0).T
    taus = subjettiness(*plane, particles.mass, axes="wta_kt", beta=2.0, r0=0.4)
    momentum = moments.four_momentum(*plane, particles.mass)
    options = "[axes=wta_kt,beta=2,r0=0.4]"
    expected = {
        "c2[beta=2]": e3 / e2**2,
        "d2[beta=2]": e3 / e2**3,
        "n2[beta=2.0]": two_e3 / e2**2,
        "correlator[beta=2]": e2,
        "correlator": correlators.two_point(*plane, 0.2),
        f"tau2{options}": taus[:, 1],
        f"tau32{options}": np.divide(taus[:, 2], taus[:, 1]),
        "tau1": subjettiness(*plane, particles.mass, r0=0.8)[:, 0],
        "nth_hardest[n=3]": [np.sort(particles.pt[:3])[0], np.sort(particles.pt[3:])[-3]],
        "mean_pt": [particles.pt[:3].mean(dtype=float), particles.pt[3:].mean(dtype=float)],
        "pt_dispersion": [np.linalg.norm(pt) / pt.sum() for pt in np.split(particles.pt.astype(float), [3])],
        "relative_mass": moments.invariant_mass(momentum) / moments.transverse_momentum(momentum),
        "n_active": [3, 30],
        "mass": moments.invariant_mass(momentum),
    }
    for name, value in observables.compute(list(expected), particles).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-6, err_msg=name)


def test_two_back_to_back_particles():
    """Mass, pT and girth that can be worked out by hand."""
    pair = Particles(np.array([0, 2]), np.full(2, 50.0), np.zeros(2), np.array([3.0, -3.0]))
    opening = 2 * np.pi - 6
    values = observables.compute(["mass", "pt", "girth", "correlator[beta=1]"], pair)
    assert values["mass"][0] == pytest.approx(100 * np.sin(opening / 2))
    assert values["pt"][0] == pytest.approx(100 * np.cos(opening / 2))
    assert values["girth"][0] == pytest.approx(opening / 2)
    assert values["correlator[beta=1]"][0] == pytest.approx(opening / 4)


@given(st.floats(-10, 10), st.integers(0, 100))
@settings(max_examples=10, deadline=None)
def test_shifting_all_phi_changes_nothing(shift, seed):
    jets = make_particles([8, 3, 20], seed)
    moved = Particles(jets.offsets, jets.pt, jets.y, jets.phi + shift, jets.mass)
    before, after = (observables.compute(WITHOUT_CHARGE, each) for each in (jets, moved))
    for name in WITHOUT_CHARGE:
        # the minimisation of tau may end a step earlier
        np.testing.assert_allclose(after[name], before[name], rtol=1e-3 if "tau" in name else 1e-7, err_msg=name)


def test_work_is_shared(particles, monkeypatch):
    calls = []

    def counted(name, function):
        return lambda *args, **kwargs: calls.append(name) or function(*args, **kwargs)

    monkeypatch.setattr(evaluate, "subjettiness", counted("tau", subjettiness))
    monkeypatch.setattr(correlators, "three_point", counted("three", correlators.three_point))
    monkeypatch.setattr(correlators, "two_point", counted("two", correlators.two_point))
    names = ["correlator[beta=1]", "c2", "d2", "n2", "tau1", "tau2", "tau43", "tau21[beta=2]", "correlator"]
    observables.compute(names, particles)
    assert sorted(calls) == ["tau", "tau", "three", "two"]


def test_names_and_options():
    assert str(observables.parse("mass")) == "mass"
    parsed = observables.parse(" tau21[ axes = wta_kt ,beta=2] ")
    assert dict(parsed.options) == {"axes": "wta_kt", "beta": 2.0, "r0": 0.8}
    assert observables.parse(str(parsed)) == parsed
    assert observables.parse("nth_hardest[n=3]").options == (("n", 3),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tau12", "tau12.*did you mean.*tau1"),
        ("zzz", "no observable is called 'zzz'; known: c2, correlator"),
        ("c2[bta=2]", "no option 'bta'; did you mean 'beta'"),
        ("mass[beta=2]", "no option 'beta'; none is known"),
        ("c2[beta=2", "closing"),
        ("c2[beta]", "option=value"),
        ("c2[beta=two]", "must be a number, not 'two'"),
        ("c2[beta=-1]", "must be positive"),
        ("nth_hardest[n=1.5]", "must be a number"),
        ("tau21[axes=wta]", "no axes 'wta'; did you mean 'wta_kt'"),
    ],
)
def test_wrong_names_say_what_is_right(text, message):
    with pytest.raises(ValueError, match=message):
        observables.parse(text)


def test_charge_is_asked_for(particles):
    with pytest.raises(ValueError, match="charge of each particle"):
        observables.compute(["jet_charge"], particles)


def test_particles_can_be_chosen_by_row(particles):
    rows = np.array([4, 0, 3])
    whole = observables.compute(["mass", "n_active"], particles)
    for choice in (
        slice(1, 4),
        slice(None),
        slice(3, 1),
        slice(None, None, 2),
        rows,
        whole["n_active"] > 2,
        slice(5, 9),
    ):
        chosen = observables.compute(["mass", "n_active"], particles[choice])
        for name in chosen:
            np.testing.assert_array_equal(chosen[name], whole[name][choice])
    assert len(particles[rows]) == 3
    assert np.shares_memory(particles[1:4].pt, particles.pt)


def test_shapes_of_particles_are_checked(particles):
    with pytest.raises(ValueError, match=r"y has shape \(2,\)"):
        Particles(particles.offsets, particles.pt, np.zeros(2), particles.phi)
    with pytest.raises(ValueError, match="start with 0"):
        Particles(particles.offsets[2:], particles.pt, particles.y, particles.phi)
    massless = Particles(particles.offsets, particles.pt, particles.y, particles.phi)
    assert massless[1:3].mass is None
