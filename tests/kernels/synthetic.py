"""Jets made up for tests: a few prongs, massive particles, any azimuth."""

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

Array = NDArray[np.floating]


class Jets(NamedTuple):
    offsets: NDArray[np.int64]
    pt: Array
    y: Array
    phi: Array
    mass: Array

    def rows(self) -> list["Jets"]:
        """Each jet by itself."""
        return [
            Jets(np.array([0, b - a]), self.pt[a:b], self.y[a:b], self.phi[a:b], self.mass[a:b])
            for a, b in zip(self.offsets[:-1], self.offsets[1:], strict=True)
        ]


def make_jets(counts: NDArray[np.int64] | list[int], seed: int, dtype: type = np.float64) -> Jets:
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    n, jet_of = offsets[-1], np.repeat(np.arange(len(counts)), counts)
    axes = rng.normal(0, 0.3, (len(counts), 3, 2))[jet_of, rng.integers(0, 3, n)]
    y, phi = (axes + rng.normal(0, 0.1, (n, 2))).T
    phi = (phi + rng.uniform(-np.pi, np.pi, len(counts))[jet_of] + np.pi) % (2 * np.pi) - np.pi
    pt, mass = rng.exponential(1, n) ** 3 * 3 + 0.05, rng.choice([0.0, 0.14, 0.5], n)
    return Jets(offsets, *(field.astype(dtype) for field in (pt, y, phi, mass)))


batches = st.builds(make_jets, st.lists(st.integers(0, 12), max_size=6), st.integers(0, 2**32 - 1))
"""Hypothesis: batches of 0 to 6 jets of 0 to 12 particles."""


def distance(jet: Jets, i: int, j: int) -> float:
    dphi = abs(jet.phi[i] - jet.phi[j]) % (2 * np.pi)
    return float(np.hypot(jet.y[i] - jet.y[j], min(dphi, 2 * np.pi - dphi)))
