"""Jets of noise: as many particles as asked for, where and as hard as asked for, or none."""

from __future__ import annotations

import numpy as np
import pytest

from hepimg.components import Shard
from hepimg.sample import Sample
from hepimg.testing import check_component, check_source
from hepimg_superres.noise import BATCH, Noise


def jets(source: Noise, index: int = 0) -> Sample:
    return next(source.batches(Shard(index, BATCH, seed=7 + index)))


def test_particles_are_uniform_in_the_window_and_half_normal_in_pt() -> None:
    sample = jets(Noise(particles=150, sigma=2.0, window=(1.0, 0.5)))
    particles = sample.collection("constituents")
    assert particles.counts.tolist() == [150] * BATCH
    n = 150 * BATCH
    for name, width in (("y", 1.0), ("phi", 0.5)):
        counts = np.histogram(particles[name], 10, (-width, width))[0]
        assert counts.sum() == n
        np.testing.assert_allclose(counts, n / 10, atol=5 * np.sqrt(n / 10))
    assert abs(np.corrcoef(particles["y"], particles["phi"])[0, 1]) < 5 / np.sqrt(n)
    pt = particles["pt"].astype(float)
    assert pt.min() >= 0
    assert pt.mean() == pytest.approx(2 * np.sqrt(2 / np.pi), abs=5 * 2 * np.sqrt((1 - 2 / np.pi) / n))
    assert np.mean(pt**2) == pytest.approx(4, abs=5 * 4 * np.sqrt(2 / n))
    assert len(np.unique(sample.column("pt"))) == BATCH


def test_the_columns_are_the_sums_of_the_particles() -> None:
    sample = jets(Noise(particles=20))
    particles = sample.collection("constituents")
    pt, y, phi = (particles[name].reshape(BATCH, 20).astype(float) for name in ("pt", "y", "phi"))
    px, py = (pt * np.cos(phi)).sum(1), (pt * np.sin(phi)).sum(1)
    np.testing.assert_allclose(sample.column("pt"), np.hypot(px, py), rtol=1e-5)
    np.testing.assert_allclose(sample.column("phi"), np.arctan2(py, px), atol=1e-5)
    rapidity = np.arctanh((pt * np.sinh(y)).sum(1) / (pt * np.cosh(y)).sum(1))
    np.testing.assert_allclose(sample.column("y"), rapidity, atol=1e-5)


def test_blank_jets() -> None:
    blank = Noise(particles=0)
    check_component(Noise)
    sample = jets(blank)
    assert sample.collection("constituents").counts.sum() == 0
    assert not sample.column("pt").any()
    assert not np.intersect1d(sample.column("event"), jets(blank, 1).column("event")).size


def test_it_keeps_the_contract_of_sources() -> None:
    check_source(Noise(particles=5), rows=BATCH + 3)
