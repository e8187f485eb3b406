"""Moves of particles in the (y, phi) plane, jet by jet, phi wrapped to [-pi, pi).

The moves keep the dtype of their input; what they are steered by is float64, one value per jet.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from hepimg.kernels.arrays import Array, Floats, common_float, frozen, frozen_offsets
from hepimg.kernels.threads import LIGHT_ROWS, compiled, over_rows

TWO_PI = 2 * math.pi


def wrap(phi: Array) -> Array:
    """Azimuthal angles brought to [-pi, pi); same shape and dtype."""
    angle = np.asarray(phi, dtype=np.float64)
    wrapped = angle - TWO_PI * np.floor(angle / TWO_PI + 0.5)
    # rounding may reach pi itself
    return np.where(wrapped >= math.pi, -math.pi, wrapped).astype(np.asarray(phi).dtype)


def hardest(offsets: Array, pt: Array, y: Array, phi: Array) -> tuple[Floats, Floats]:
    """Position (y, phi) of the hardest particle of each jet, shape (n_jets,) each; 0 for jets without particles."""
    return _points(offsets, pt, y, phi, with_angle=False)[2:4]


def centroid(offsets: Array, pt: Array, y: Array, phi: Array) -> tuple[Floats, Floats]:
    """pT-weighted mean y and phi of each jet, shape (n_jets,); phi differences are taken from the hardest particle."""
    return _points(offsets, pt, y, phi, with_angle=False)[:2]


def principal_angle(offsets: Array, pt: Array, y: Array, phi: Array) -> Floats:
    """Direction of the principal axis of each jet's pT pattern about its centroid, in radians.

    The axis is the eigenvector of the pT-weighted covariance of (y, phi) with the larger eigenvalue.  Of its two senses
    the one is taken along which the third moment of pT is positive: the side that reaches farther.  Rotating the
    centred particles by minus this angle lays the axis along y.

    Returns:
        Angles from y towards phi, shape (n_jets,), in (-pi, pi]; 0 for jets without extent.
    """
    return _points(offsets, pt, y, phi, with_angle=True)[4]


def second_angle(offsets: Array, pt: Array, y: Array, phi: Array) -> Floats:
    """Direction from the hardest to the second hardest particle (or subjet) of each jet, in radians.

    Returns:
        Angles from y towards phi, shape (n_jets,), in [-pi, pi]; 0 for jets of fewer than two with transverse momentum.
    """
    offsets = frozen_offsets(offsets)
    angles = np.zeros(len(offsets) - 1)
    fields = (frozen(field, np.float64) for field in (pt, y, phi))
    over_rows(_find_second, len(angles), offsets, *fields, angles, least=LIGHT_ROWS)
    return angles


def translate(offsets: Array, y: Array, phi: Array, origin_y: Array, origin_phi: Array) -> tuple[Array, Array]:
    """Move the point (``origin_y``, ``origin_phi``) of each jet, shape (n_jets,), to (0, 0)."""
    return _carried(offsets, y, phi, origin_y, origin_phi, 1.0, 0.0, 0.0, 1.0)


def rotate(offsets: Array, y: Array, phi: Array, angles: Array) -> tuple[Array, Array]:
    """Rotate each jet about (0, 0) by its angle (n_jets,), from y towards phi.

    Centre the jets first.  The plane is the tangent plane of the cylinder at the origin, so phi is not wrapped again
    after the rotation: distances to the origin are conserved.
    """
    cosine, sine = np.cos(angles), np.sin(angles)
    return _carried(offsets, y, phi, 0.0, 0.0, cosine, -sine, sine, cosine)


def flip(offsets: Array, y: Array, phi: Array, flips: Array) -> tuple[Array, Array]:
    """Mirror jets about the origin: ``flips`` (n_jets, 2), True to change the sign of y, of phi."""
    signs = np.where(flips, -1.0, 1.0)
    return _carried(offsets, y, phi, 0.0, 0.0, signs[:, 0], 0.0, 0.0, signs[:, 1])


def _carried(offsets: Array, y: Array, phi: Array, *steering: ArrayLike) -> tuple[Array, Array]:
    """Coordinates ``matrix @ (particle - origin)``, the difference in phi wrapped.

    ``steering`` holds y and phi of the origin and the four elements of the matrix, each a number or one for each jet.
    """
    offsets, y, phi = frozen_offsets(offsets), np.asarray(y), np.asarray(phi)
    dtype = common_float(y, phi)
    affine = np.empty((len(offsets) - 1, 6))
    for column, number in enumerate(steering):
        affine[:, column] = number
    moved_y, moved_phi = np.empty(len(y), dtype), np.empty(len(phi), dtype)
    fields = frozen(y, dtype), frozen(phi, dtype), frozen(affine, np.float64)
    over_rows(_carry, len(affine), offsets, *fields, moved_y, moved_phi, least=LIGHT_ROWS)
    return moved_y.astype(y.dtype, copy=False), moved_phi.astype(phi.dtype, copy=False)


def _points(
    offsets: Array, pt: Array, y: Array, phi: Array, *, with_angle: bool
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """The centroid, the hardest particle, and the principal angle (0 where it is not asked for) of each jet."""
    offsets = frozen_offsets(offsets)
    n_jets = len(offsets) - 1
    points = np.zeros((5, n_jets))
    fields = (frozen(field, np.float64) for field in (pt, y, phi))
    over_rows(_find_points, n_jets, offsets, *fields, with_angle, points, least=LIGHT_ROWS)
    return points[0], points[1], points[2], points[3], points[4]


@compiled
def _carry(
    first: int, last: int, offsets: Array, y: Array, phi: Array, affine: Array, moved_y: Array, moved_phi: Array
) -> None:
    for jet in range(first, last):
        origin_y, origin_phi, a, b, c, d = affine[jet]
        for i in range(np.uint64(offsets[jet]), np.uint64(offsets[jet + 1])):
            u, v = y[i] - origin_y, _difference(phi[i], origin_phi)
            # rounding may reach pi itself
            v = -math.pi if v >= math.pi else v
            moved_y[i] = a * u + b * v
            moved_phi[i] = c * u + d * v


@compiled
def _find_points(
    first: int, last: int, offsets: Array, pt: Array, y: Array, phi: Array, with_angle: bool, points: Array
) -> None:
    for jet in range(first, last):
        start, stop = offsets[jet], offsets[jet + 1]
        if start == stop:
            continue
        top = start
        for i in range(start, stop):
            if pt[i] > pt[top]:
                top = i
        total = sum_y = sum_phi = 0.0
        for i in range(start, stop):
            total += pt[i]
            sum_y += pt[i] * (y[i] - y[top])
            sum_phi += pt[i] * _difference(phi[i], phi[top])
        points[2, jet] = y[top]
        points[3, jet] = phi[top]
        centre_y, centre_phi = y[top], phi[top]
        if total > 0:
            centre_y += sum_y / total
            centre_phi = _difference(phi[top] + sum_phi / total, 0.0)
        points[0, jet] = centre_y
        points[1, jet] = centre_phi
        if not with_angle:
            continue
        yy = yp = pp = 0.0
        for i in range(start, stop):
            dy, dphi = y[i] - centre_y, _difference(phi[i], centre_phi)
            yy += pt[i] * dy * dy
            yp += pt[i] * dy * dphi
            pp += pt[i] * dphi * dphi
        angle = 0.5 * math.atan2(2 * yp, yy - pp)
        cosine, sine = math.cos(angle), math.sin(angle)
        skew = 0.0
        for i in range(start, stop):
            along = cosine * (y[i] - centre_y) + sine * _difference(phi[i], centre_phi)
            skew += pt[i] * along * along * along
        points[4, jet] = angle if skew >= 0 else _difference(angle + math.pi, 0.0)


@compiled
def _find_second(first: int, last: int, offsets: Array, pt: Array, y: Array, phi: Array, angles: Array) -> None:
    for jet in range(first, last):
        top, second = -1, -1
        for i in range(offsets[jet], offsets[jet + 1]):
            if pt[i] <= 0:
                continue  # padding has no place
            if top < 0 or pt[i] > pt[top]:
                top, second = i, top
            elif second < 0 or pt[i] > pt[second]:
                second = i
        if second >= 0:
            angles[jet] = math.atan2(_difference(phi[second], phi[top]), y[second] - y[top])


@compiled
def _difference(phi: float, origin: float) -> float:
    distance = phi - origin
    return distance - TWO_PI * math.floor(distance / TWO_PI + 0.5)
