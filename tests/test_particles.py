"""Particles of several parts of the same jets, taken together."""

from __future__ import annotations

import numpy as np
import pytest

from hepimg.particles import Particles


def part(counts: list[int], first: float, **fields: np.ndarray) -> Particles:
    offsets = np.cumsum([0, *counts])
    pt = first + np.arange(offsets[-1], dtype=float)
    return Particles(offsets, pt, pt / 10, pt / 100, **fields)


def test_parts_follow_each_other_in_every_jet() -> None:
    one, two = part([2, 0, 1], 1), part([1, 0, 2], 10, mass=np.array([0.1, 0.2, 0.3]))
    both = Particles.together([one, two])
    assert both.counts.tolist() == [3, 0, 3]
    assert both.pt.tolist() == [1, 2, 10, 3, 11, 12]
    assert both.phi.tolist() == [pt / 100 for pt in both.pt]
    assert both.mass is not None
    assert both.mass.tolist() == [0, 0, 0.1, 0, 0.2, 0.3]
    assert both.charge is None
    assert Particles.together([one]) is one
    assert len(Particles.together([part([], 1), part([], 1)])) == 0


def test_charges_are_known_if_all_parts_know_them() -> None:
    one = part([1, 1], 1, charge=np.array([1.0, -1.0]))
    both = Particles.together([one, one])
    assert both.charge is not None
    assert both.charge.tolist() == [1, 1, -1, -1]


def test_parts_are_of_the_same_jets() -> None:
    with pytest.raises(ValueError, match=r"parts of \[2, 3\] jets"):
        Particles.together([part([1, 1], 1), part([1, 1, 1], 1)])
