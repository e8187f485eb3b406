"""The step ``overlay``: truth and four-momentum against files read by pyhepmc, and properties on invented events."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from hepimg.components import Collection, Shard
from hepimg.errors import DataError
from hepimg.flow import ports_of
from hepimg.rows import offsets_of
from hepimg.sample import Ragged, Sample
from hepimg.shards import checksum, read_shard, write_shard
from hepimg.testing import check_step
from hepimg_files.hepmc.source import HepMC
from hepimg_jets.crossings import poisson
from hepimg_jets.overlay import Overlay

UNITS = {"pt": "GeV", "phi": "rad", "mass": "GeV", "charge": "e"}


def events_of(counts: Sequence[int], seed: int = 1, weights: Sequence[float] | None = None, first: int = 0) -> Sample:
    """Events with so many invented particles each; pT tells them all apart."""
    rng, n = np.random.default_rng(seed), sum(counts)
    fields = {
        "pt": rng.exponential(1.0, n),
        "y": rng.uniform(-5, 5, n),
        "phi": rng.uniform(-math.pi, math.pi, n),
        "mass": np.full(n, 0.14),
        "charge": rng.integers(-1, 2, n),
    }
    particles = {name: values.astype(np.float32) for name, values in fields.items()}
    particles["pdg_id"] = rng.choice(np.array([211, -211, 22], np.int32), n)
    columns: dict[str, NDArray[Any]] = {"event": first + np.arange(len(counts)), "weight": np.ones(len(counts))}
    if weights is not None:
        columns["weight"] = np.array(weights)
    return Sample(columns, {"particles": Ragged(offsets_of(np.array(counts, np.int64)), particles, UNITS)})


POOL = [events_of([3, 0, 5, 2], 11), events_of([], 12), events_of([4, 1], 13)]


def opened(mu: Any, pool: Sequence[Sample] = POOL, **options: Any) -> Overlay:
    step = Overlay.model_validate({"pool": "soft", "mu": mu, **options})
    step.open_pools({"soft": pool})
    return step


def four_momenta(particles: Ragged) -> NDArray[np.float64]:
    """(n_rows, 4) E, px, py, pz of the sum of each row."""
    pt, y, phi, mass = (particles[name].astype(np.float64) for name in ("pt", "y", "phi", "mass"))
    transverse = np.hypot(pt, mass)
    parts = np.stack([transverse * np.cosh(y), pt * np.cos(phi), pt * np.sin(phi), transverse * np.sinh(y)], axis=1)
    return np.array(
        [parts[a:b].sum(axis=0) for a, b in zip(particles.offsets[:-1], particles.offsets[1:], strict=True)]
    )


def same_particles(one: Ragged, other: Ragged) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in ("pt", "y", "phi", "mass", "pdg_id", "charge"))


def pool_event(vertex: Ragged, pool: Ragged) -> int:
    """The number of the event of a pool whose particles these are."""
    found = [k for k in range(len(pool)) if same_particles(pool.take(k), vertex)]
    assert found
    return found[0]


def from_file(path: Path, index: int) -> Sample:
    source = HepMC(files=str(path))
    (part,) = source.parts()
    return Sample.concatenate([*source.batches(Shard(index, None, 1, part))])


def momenta_by_pyhepmc(path: Path) -> NDArray[np.float64]:
    """(n_events, 4) E, px, py, pz of the visible final particles, particle by particle."""
    import pyhepmc

    sums = []
    with pyhepmc.open(str(path)) as file:
        for event in file:
            total = np.zeros(4)
            for particle in event.particles:
                p = particle.momentum
                seen = particle.status == 1 and abs(particle.pid) not in (12, 14, 16)
                if seen and abs(p.pz) < math.sinh(10) * math.hypot(p.px, p.py):
                    total += (p.e, p.px, p.py, p.pz)
            sums.append(total)
    return np.array(sums)


def test_truth_and_four_momentum_of_simulated_events(external: Path) -> None:
    hard_path, soft_path = (external / "hepmc" / f"sk_example_{name}.hepmc.zst" for name in ("HS", "PU"))
    hard, soft = from_file(hard_path, 0), from_file(soft_path, 1)
    step = opened(20.0, [soft[:37], soft[37:]], rotate=False)
    result = step.apply(hard, 5)
    particles = result.collection("particles")
    expected, pileup = momenta_by_pyhepmc(hard_path), momenta_by_pyhepmc(soft_path)
    for row in range(len(hard)):
        one = particles.take(row)
        vertex = one["vertex"]
        assert (np.diff(vertex) >= 0).all()
        assert same_particles(vertex_of(one, 0), hard.collection("particles").take(row))
        assert vertex.max() <= result.column("n_pileup")[row]
        for number in range(1, 1 + result.column("n_pileup")[row]):
            expected[row] += pileup[pool_event(vertex_of(one, number), soft.collection("particles"))]
    difference = np.abs(four_momenta(particles) - expected)
    assert (difference < 1e-7 * expected[:, :1]).all(), "of the energy: beams cancel, and fields are float32"


def vertex_of(particles: Ragged, number: int) -> Ragged:
    """The particles of one collision of one event."""
    chosen = particles["vertex"] == number
    return Ragged(np.array([0, chosen.sum()]), {name: values[chosen] for name, values in particles.fields.items()})


@settings(max_examples=25, deadline=None)
@given(
    counts=st.lists(st.integers(0, 6), max_size=6),
    mu=st.one_of(st.floats(0, 30), st.builds(lambda n: {"fixed": n}, st.integers(0, 9)), st.just({"uniform": (0, 9)})),
    seed=st.integers(0, 2**40),
    rotate=st.booleans(),
)
def test_hard_particles_first_then_whole_pool_events(counts: list[int], mu: Any, seed: int, rotate: bool) -> None:
    events, pool = events_of(counts, 3), Sample.concatenate(POOL).collection("particles")
    before, soft = checksum(events), checksum(Sample.concatenate(POOL))
    result = opened(mu, rotate=rotate).apply(events, seed)
    assert (checksum(events), checksum(Sample.concatenate(POOL))) == (before, soft)
    particles, n_pileup = result.collection("particles"), result.column("n_pileup")
    assert particles["vertex"].dtype == np.int16
    assert n_pileup.dtype == np.int32
    assert result.column("mu").dtype == np.float32
    assert (np.abs(particles["phi"]) <= np.float32(np.pi)).all()
    for row in range(len(events)):
        one = particles.take(row)
        assert (np.diff(one["vertex"]) >= 0).all()
        assert same_particles(vertex_of(one, 0), events.collection("particles").take(row))
        for number in range(1, 1 + n_pileup[row]):
            collision = vertex_of(one, number)
            if not rotate:
                pool_event(collision, pool)
                continue
            (match,) = [k for k in range(len(pool)) if np.array_equal(pool.take(k)["pt"], collision["pt"])]
            turn = np.remainder(collision["phi"].astype(float) - pool.take(match)["phi"] + 1, 2 * np.pi)
            assert np.ptp(turn) < 1e-5 or np.ptp(np.remainder(turn + np.pi, 2 * np.pi)) < 1e-5 if len(turn) else True


@pytest.mark.parametrize("mu", [8.0, {"fixed": 3}, {"uniform": (0, 20)}, {"values": (2, 9), "weights": (1, 3)}])
def test_the_contract_of_steps(mu: Any) -> None:
    step = Overlay.model_validate({"pool": "soft", "mu": mu})
    check_step(step, events_of([4, 0, 7, 1, 3, 3, 0, 9], 2, first=50), {"soft": POOL})


@pytest.mark.parametrize("mu", [0, 0.0, {"fixed": 0}, {"uniform": (0, 0)}])
def test_without_pileup_particles_stay(mu: Any) -> None:
    events = events_of([2, 0, 3])
    result = opened(mu).apply(events, 3)
    fields = dict(result.collection("particles").fields)
    assert (fields.pop("vertex") == 0).all()
    same = result.with_collection("particles", Ragged(events.collection("particles").offsets, fields, UNITS))
    assert checksum(same.select(["particles"])) == checksum(events)
    assert result.column("n_pileup").tolist() == [0, 0, 0]


def test_rotation_changes_azimuths_only() -> None:
    events = events_of([5] * 4)
    turned, straight = (opened(6.0, rotate=rotate).apply(events, 9).collection("particles") for rotate in (True, False))
    for name in ("pt", "y", "mass", "charge", "pdg_id", "vertex"):
        assert np.array_equal(turned[name], straight[name])
    pileup = turned["vertex"] > 0
    assert np.array_equal(turned["phi"][~pileup], straight["phi"][~pileup])
    assert (turned["phi"][pileup] != straight["phi"][pileup]).mean() > 0.9
    np.testing.assert_allclose(four_momenta(turned)[:, [0, 3]], four_momenta(straight)[:, [0, 3]], rtol=1e-6)


def test_numbers_follow_poisson() -> None:
    events = events_of([0] * 4000)
    for mu in (0.3, 4.0, 140.0):
        n_pileup = opened(mu, [events_of([0])]).apply(events, 1).column("n_pileup")
        assert n_pileup.mean() == pytest.approx(mu, abs=4 * math.sqrt(mu / 4000))
        assert n_pileup.var() == pytest.approx(mu, rel=4 * math.sqrt((2 + 1 / mu) / 4000))


@pytest.mark.parametrize("mu", [0.0, 1e-3, 0.7, 30.0, 400.0, 1000.0])
def test_poisson_is_the_inverse_of_its_sum(mu: float) -> None:
    quantiles = np.concatenate([[0.0], np.random.default_rng(1).random(200), [1 - 2**-53]])
    found = poisson(np.full(len(quantiles), mu), quantiles)
    steps = np.array([math.exp(k * math.log(mu) - mu - math.lgamma(k + 1)) if mu else 0.0 for k in range(2000)])
    cumulative = np.array([math.fsum(steps[: k + 1]) for k in range(2000)]) if mu else np.ones(2000)
    np.testing.assert_array_equal(found[:-1], np.searchsorted(cumulative, quantiles[:-1], side="right"))
    assert mu <= found[-1] <= mu + 12 * math.sqrt(mu) + 31


def test_distributions_of_the_mean() -> None:
    events = events_of([0] * 5000)
    uniform = opened({"uniform": (10, 50)}, [events_of([0])]).apply(events, 1).column("mu")
    assert (uniform.min() >= 10) & (uniform.max() <= 50)
    assert uniform.mean() == pytest.approx(30, abs=0.7)
    result = opened({"values": (5, 0, 40), "weights": (1, 0, 3)}, [events_of([0])]).apply(events, 1)
    values, counts = np.unique(result.column("mu"), return_counts=True)
    assert values.tolist() == [5, 40]
    assert counts[1] / 5000 == pytest.approx(0.75, abs=0.03)
    assert result.column("n_pileup")[result.column("mu") == 40].mean() == pytest.approx(40, abs=0.5)


def test_pool_events_are_drawn_by_their_weights() -> None:
    pool = [events_of([1, 2], weights=[1.0, 0.0]), events_of([3, 4], weights=[0.5, 1.5])]
    particles = opened({"fixed": 1}, pool).apply(events_of([0] * 6000), 4).collection("particles")
    share = np.bincount(particles.counts, minlength=5) / 6000
    np.testing.assert_allclose(share, [0, 1 / 3, 0, 1 / 6, 1 / 2], atol=0.03)
    assert share[2] == 0


def test_collisions_of_an_event_are_not_alike() -> None:
    pool = [events_of([1] * 1000)]
    particles = opened({"fixed": 50}, pool).apply(events_of([0] * 20), 4).collection("particles")
    assert len(np.unique(particles["pt"])) > 600  # of 1000 drawn from 1000: 632


def test_a_pool_mapped_from_disk(tmp_path: Path) -> None:
    for k, shard in enumerate(POOL):
        write_shard(tmp_path / f"{k}.arrow", shard)
    mapped = [read_shard(tmp_path / f"{k}.arrow") for k in range(len(POOL))]
    events = events_of([3, 2])
    assert checksum(opened(9.0, mapped).apply(events, 1)) == checksum(opened(9.0).apply(events, 1))


def test_pools_that_cannot_be_drawn_from() -> None:
    with pytest.raises(DataError, match="pool soft: it has no events"):
        opened(1.0, [events_of([])])
    for weights in ([0.0, 0.0], [1.0, -1.0], [math.nan, 1.0]):
        with pytest.raises(DataError, match="pool soft: its weights are no probabilities"):
            opened(1.0, [events_of([1, 1], weights=weights)])
    poor = events_of([1])
    fields = {name: poor.collection("particles")[name] for name in ("pt", "y", "phi", "mass")}
    with pytest.raises(DataError, match=r"have charge, pdg_id, those of the pool soft have not: pt, y, phi, mass"):
        opened(1.0, [poor.with_collection("particles", Ragged(np.array([0, 1]), fields))]).apply(events_of([2]), 1)
    with pytest.raises(DataError, match="no collection 'towers'"):
        opened(1.0, particles="towers")
    with pytest.raises(ValueError, match="needs its pool"):
        Overlay(pool="soft", mu=1.0).apply(events_of([2]), 1)


def test_pileup_is_not_added_twice() -> None:
    once = opened(2.0).apply(events_of([3]), 1)
    with pytest.raises(ValueError, match="particles know their vertex already"):
        opened(2.0).writes(ports_of(once))
    (particles, *_) = opened(2.0).writes(ports_of(events_of([3])))
    assert isinstance(particles, Collection)
    assert particles.fields["vertex"] == ""


@pytest.mark.parametrize(
    "mu",
    [-1, 1e6, "many", math.nan, {"fixed": -1}, {"uniform": (5, 1)}, {"uniform": (0, 1), "fixed": 1},
     {"values": (1,), "weights": (1, 2)}, {"values": (1, 2), "weights": (0, 0)}, {"values": (-1,), "weights": (1,)}],
)  # fmt: skip
def test_impossible_numbers_of_collisions(mu: Any) -> None:
    with pytest.raises(ValidationError):
        Overlay.model_validate({"pool": "soft", "mu": mu})
