"""Moves of particles, moments and correlators against plain NumPy, jet by jet."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import Jets, batches, distance, make_jets

from hepimg.kernels import correlators, moments
from hepimg.kernels import particle_transform as transform
from hepimg.kernels.power import raise_to

angles = st.floats(-20, 20)


def plane(jets: Jets):
    return jets.offsets, jets.pt, jets.y, jets.phi


@given(batches, angles)
@settings(max_examples=25, deadline=None)
def test_points_do_not_depend_on_where_phi_starts(jets, shift):
    for find in (transform.centroid, transform.hardest):
        y, phi = find(*plane(jets))
        moved_y, moved_phi = find(jets.offsets, jets.pt, jets.y, jets.phi + shift)
        np.testing.assert_allclose(moved_y, y, atol=1e-9)
        filled = np.diff(jets.offsets) > 0
        np.testing.assert_allclose(transform.wrap(moved_phi - phi - shift)[filled], 0, atol=1e-9)
    np.testing.assert_allclose(
        np.cos(transform.principal_angle(jets.offsets, jets.pt, jets.y, jets.phi + shift)),
        np.cos(transform.principal_angle(*plane(jets))),
        atol=1e-6,
    )


def test_centroid_and_hardest_of_a_jet_across_the_seam():
    offsets, pt = np.array([0, 0, 2]), np.array([3.0, 1.0])
    y, phi = np.array([0.1, 0.5]), np.array([3.1, -3.1])
    centre_y, centre_phi = transform.centroid(offsets, pt, y, phi)
    np.testing.assert_allclose(centre_y, [0, 0.2])
    np.testing.assert_allclose(centre_phi, [0, 3.1 + (2 * np.pi - 6.2) / 4])
    np.testing.assert_array_equal(transform.hardest(offsets, pt, y, phi), [[0, 0.1], [0, 3.1]])
    moved_y, moved_phi = transform.translate(offsets, y, phi, *transform.hardest(offsets, pt, y, phi))
    np.testing.assert_allclose(moved_y, [0, 0.4])
    np.testing.assert_allclose(moved_phi, [0, 2 * np.pi - 6.2])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_wrap_stays_below_pi_and_keeps_the_dtype(dtype):
    phi = np.array([np.pi, -np.pi, 3 * np.pi, 0.1, -7, 1e4], dtype=dtype)
    wrapped = transform.wrap(phi)
    assert wrapped.dtype == dtype
    assert ((wrapped >= dtype(-np.pi)) & (wrapped <= dtype(np.pi))).all()
    np.testing.assert_allclose(np.cos(wrapped.astype(float)), np.cos(phi.astype(float)), atol=1e-6)


def test_principal_axis_is_the_eigenvector_of_the_far_side():
    jets = make_jets([40] * 20, seed=3)
    found = transform.principal_angle(*plane(jets))
    for jet, angle in zip(jets.rows(), found, strict=True):
        dphi = (jet.phi - jet.phi[0] + np.pi) % (2 * np.pi) - np.pi
        points = np.stack([jet.y, dphi]) - np.average([jet.y, dphi], axis=1, weights=jet.pt)[:, np.newaxis]
        _, vectors = np.linalg.eigh(np.cov(points, aweights=jet.pt))
        direction = np.array([np.cos(angle), np.sin(angle)])
        assert abs(direction @ vectors[:, 1]) == pytest.approx(1, abs=1e-9)
        assert np.sum(jet.pt * (direction @ points) ** 3) > 0


@given(batches, angles)
@settings(max_examples=20, deadline=None)
def test_rotations_undo_each_other_and_flips_too(jets, angle):
    turn = np.full(len(jets.offsets) - 1, angle)
    y, phi = transform.rotate(jets.offsets, jets.y, jets.phi, turn)
    np.testing.assert_allclose(np.hypot(y, phi), np.hypot(jets.y, jets.phi), atol=1e-9)
    # rotation is about a plane without seam: stay near the origin to return
    small = transform.rotate(jets.offsets, 0.1 * jets.y, 0.1 * jets.phi, turn)
    np.testing.assert_allclose(transform.rotate(jets.offsets, *small, -turn), [0.1 * jets.y, 0.1 * jets.phi], atol=1e-9)
    flips = np.tile([True, False], (len(turn), 1))
    np.testing.assert_array_equal(transform.flip(jets.offsets, jets.y, jets.phi, flips), [-jets.y, jets.phi])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moves_equal_the_formulas_particle_by_particle(dtype):
    jets = make_jets([0, 7, 0, 30, 1], seed=8, dtype=dtype)
    rng = np.random.default_rng(8)
    origin_y, origin_phi, angles = rng.uniform(-4, 4, (3, 5))
    flips = rng.random((5, 2)) < 0.5
    jet_of = np.repeat(np.arange(5), np.diff(jets.offsets))
    y, phi = jets.y.astype(float), jets.phi.astype(float)
    cosine, sine = np.cos(angles)[jet_of], np.sin(angles)[jet_of]
    sign_y, sign_phi = np.where(flips, -1, 1)[jet_of].T
    for moved, expected in (
        (
            transform.translate(jets.offsets, jets.y, jets.phi, origin_y, origin_phi),
            (y - origin_y[jet_of], transform.wrap(phi - origin_phi[jet_of])),
        ),
        (
            transform.rotate(jets.offsets, jets.y, jets.phi, angles),
            (cosine * y - sine * phi, sine * y + cosine * phi),
        ),
        (transform.flip(jets.offsets, jets.y, jets.phi, flips), (sign_y * y, sign_phi * phi)),
    ):
        for field, wanted in zip(moved, expected, strict=True):
            assert field.dtype == dtype
            np.testing.assert_array_equal(field, wanted.astype(dtype))


def test_rotation_goes_from_y_towards_phi():
    y, phi = transform.rotate(np.array([0, 1]), np.array([0.5]), np.array([0.0]), np.array([np.pi / 2]))
    np.testing.assert_allclose([y[0], phi[0]], [0, 0.5], atol=1e-12)


@given(batches)
@settings(max_examples=25, deadline=None)
def test_four_momenta_add_up(jets):
    found = moments.four_momentum(*plane(jets), jets.mass)
    expected = np.zeros_like(found)
    for row, jet in zip(expected, jets.rows(), strict=True):
        mt = np.hypot(jet.pt, jet.mass)
        components = mt * np.cosh(jet.y), jet.pt * np.cos(jet.phi), jet.pt * np.sin(jet.phi), mt * np.sinh(jet.y)
        row[:] = np.sum(components, axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_coordinates_of_a_momentum():
    jets = make_jets([1] * 50, seed=4)
    momentum = moments.four_momentum(*plane(jets), jets.mass)
    np.testing.assert_allclose(moments.transverse_momentum(momentum), jets.pt, rtol=1e-12)
    np.testing.assert_allclose(moments.rapidity(momentum), jets.y, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(moments.azimuth(momentum), jets.phi, rtol=1e-12)
    massive = jets.mass > 0
    np.testing.assert_allclose(moments.invariant_mass(momentum)[massive], jets.mass[massive], rtol=1e-6)
    massless = moments.four_momentum(*plane(jets))
    np.testing.assert_allclose(moments.pseudorapidity(massless), jets.y, rtol=1e-9, atol=1e-12)
    nothing = np.zeros((1, 4))
    for coordinate in (moments.rapidity, moments.pseudorapidity, moments.invariant_mass, moments.azimuth):
        assert coordinate(nothing) == 0


@given(batches, st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_nth_hardest_is_the_sorted_one(jets, n):
    expected = [sorted(jet.pt, reverse=True)[n - 1] if len(jet.pt) >= n else 0 for jet in jets.rows()]
    np.testing.assert_array_equal(moments.nth_hardest(jets.offsets, jets.pt, n), expected)


def test_girth_and_charge():
    offsets, pt = np.array([0, 2, 2]), np.array([3.0, 1.0])
    girth = moments.girth(offsets, pt, np.array([0.0, 0.3]), np.array([3.0, -3.0]), np.zeros(2), np.full(2, 3.0))
    np.testing.assert_allclose(girth, [np.hypot(0.3, 2 * np.pi - 6) / 4, 0])
    charge = moments.jet_charge(offsets, pt, np.array([1, -1]), kappa=0.5)
    np.testing.assert_allclose(charge, [(np.sqrt(3) - 1) / 2, 0])
    with pytest.raises(ValueError, match="from 1"):
        moments.nth_hardest(offsets, pt, 0)


@pytest.mark.parametrize("beta", [0.2, 0.5, 1.0, 1.5, 2.0])
def test_correlators_equal_the_sums_over_pairs_and_triples(beta):
    jets = make_jets([0, 1, 2, 3, 8, 9, 14, 17], seed=5)
    found = correlators.three_point(*plane(jets), beta)
    for jet, values in zip(jets.rows(), found, strict=True):
        z, e2, e3, two_e3 = jet.pt / jet.pt.sum() if len(jet.pt) else jet.pt, 0.0, 0.0, 0.0
        for i, j in combinations(range(len(z)), 2):
            e2 += z[i] * z[j] * distance(jet, i, j) ** beta
        for i, j, k in combinations(range(len(z)), 3):
            sides = np.sort([distance(jet, i, j), distance(jet, i, k), distance(jet, j, k)]) ** beta
            e3 += z[i] * z[j] * z[k] * sides.prod()
            two_e3 += z[i] * z[j] * z[k] * sides[0] * sides[1]
        np.testing.assert_allclose(values, [e2, e3, two_e3], rtol=1e-10)
    np.testing.assert_array_equal(correlators.two_point(*plane(jets), beta), found[:, 0])


@pytest.mark.parametrize("power", [1e-3, 0.1, 0.5, 0.75, 1.0, 1.5])
def test_powers_are_those_of_the_mathematical_library(power):
    numbers = np.concatenate([[0.0, 1e-310, np.inf, np.nan, 1.0, 2.0, 0.5], np.logspace(-200, 200, 4000)])
    numbers = np.concatenate([numbers, np.nextafter(1, [0, 2]), np.nextafter(2**0.5, [0, 2])])
    expected = np.where(numbers < 1e-300, 0, numbers) ** power
    expected[3] = np.inf
    raised, scratch = numbers.copy(), np.empty_like(numbers)
    raise_to(power, len(raised), raised, raised.view(np.uint64), scratch, scratch.view(np.uint64))
    np.testing.assert_allclose(raised, expected, rtol=1e-12)
    ordinary = (numbers > 1e-10) & (numbers < 1e10)
    np.testing.assert_allclose(raised[ordinary], expected[ordinary], rtol=3e-14)


def test_particles_at_one_place_have_no_correlation():
    offsets, pt, place = np.array([0, 11]), np.ones(11), np.full(11, 0.3)
    for beta in (0.2, 0.5, 1.0, 2.0):
        assert correlators.two_point(offsets, pt, place, place, beta) == 0


@given(batches, angles)
@settings(max_examples=20, deadline=None)
def test_correlators_do_not_change_with_phi_or_order(jets, shift):
    before = correlators.three_point(*plane(jets), 1.0)
    after = correlators.three_point(jets.offsets, jets.pt, jets.y, jets.phi + shift, 1.0)
    np.testing.assert_allclose(after, before, rtol=1e-6, atol=1e-12)
    order = np.concatenate(
        [np.arange(a, b)[::-1] for a, b in zip(jets.offsets, jets.offsets[1:], strict=False)] or [[]]
    )
    order = order.astype(int)
    reversed_ = correlators.three_point(jets.offsets, jets.pt[order], jets.y[order], jets.phi[order], 1.0)
    np.testing.assert_allclose(reversed_, before, rtol=1e-9, atol=1e-15)


def test_inputs_are_never_changed():
    jets = make_jets([5, 0, 30], seed=6)
    for field in jets:
        field.flags.writeable = False
    transform.centroid(*plane(jets))
    transform.rotate(jets.offsets, jets.y, jets.phi, np.ones(3))
    moments.four_momentum(*plane(jets), jets.mass)
    correlators.three_point(*plane(jets), 1.0)
