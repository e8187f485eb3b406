"""SoftKiller, constituent subtraction, PUPPI, the background: printed references, FastJet, plain loops."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hepimg.components import Step
from hepimg.errors import DataError
from hepimg.sample import Ragged, Sample
from hepimg.testing import check_component, check_step, ports_of
from hepimg_jets.area_subtraction import circle
from hepimg_jets.background import Background
from hepimg_jets.constituent_subtraction import ConstituentSubtraction
from hepimg_jets.finding import find_jets, momenta
from hepimg_jets.mitigation import Mitigation, Tracks
from hepimg_jets.puppi import Puppi
from hepimg_jets.softkiller import SoftKiller
from hepimg_jets.tiles import Tiles

UNITS = {"pt": "GeV", "phi": "rad", "mass": "GeV", "charge": "e"}
PARTICLES = ("pt", "y", "phi", "mass")

STEPS: list[Mitigation] = [
    SoftKiller(),
    SoftKiller(abs_y=2.5, tracks=Tracks()),
    ConstituentSubtraction(into="clean"),
    ConstituentSubtraction(max_pt=5.0, masses="scale", tracks=Tracks()),
    Puppi(),
    Puppi(exponent=2.0, min_weight=0.0),
]


def make_events(rows: int, seed: int = 1, pileup: int = 15) -> Sample:
    """A narrow jet of 60 particles from vertex 0 and 40 particles from each of some pileup vertices, |y| < 4."""
    rng = np.random.default_rng(seed)
    soft = rng.poisson(40 * pileup, rows)
    n, counts = int(np.sum(60 + soft)), 60 + soft
    offsets = np.concatenate([[0], np.cumsum(counts)])
    row, place = np.repeat(np.arange(rows), counts), np.arange(n) - np.repeat(offsets[:-1], counts)
    hard = place < 60
    axis_y, axis_phi = rng.uniform(-2, 2, rows)[row], rng.uniform(-3, 3, rows)[row]
    y = np.where(hard, axis_y + rng.normal(0, 0.1, n), rng.uniform(-4, 4, n))
    phi = np.where(hard, axis_phi + rng.normal(0, 0.1, n), rng.uniform(-math.pi, math.pi, n))
    fields = {
        "pt": np.where(hard, rng.exponential(5, n), rng.gamma(2, 0.4, n)) + 0.1,
        "y": y,
        "phi": np.remainder(phi + math.pi, 2 * math.pi) - math.pi,
        "mass": rng.choice([0.0, 0.14], n),
        "charge": rng.choice([-1.0, 0.0, 1.0], n),
    }
    fields = {name: values.astype(np.float32) for name, values in fields.items()}
    vertex = np.where(hard, 0, rng.integers(1, max(pileup, 1) + 1, n)).astype(np.int32)
    return events_of(offsets, fields | {"vertex": vertex})


def events_of(offsets: np.ndarray, fields: dict[str, np.ndarray]) -> Sample:
    rows = len(offsets) - 1
    particles = Ragged(offsets, fields, {name: unit for name, unit in UNITS.items() if name in fields})
    return Sample({"event": np.arange(rows), "weight": np.ones(rows)}, {"particles": particles})


def changed(sample: Sample, **fields: np.ndarray) -> Sample:
    return sample.with_collection("particles", sample.collection("particles").with_fields(**fields))


def left(step: Mitigation, sample: Sample) -> Ragged:
    return step.apply(sample, None).collection(step.into or step.particles)


def pseudojets(particles: Ragged) -> list[Any]:
    import fastjet

    return [fastjet.PseudoJet(*p) for p in momenta(*(particles[name].astype(float) for name in PARTICLES)).tolist()]


@pytest.mark.parametrize("step", [*STEPS, Background()], ids=str)
def test_contract(step: Step) -> None:
    check_component(type(step))
    check_step(step, make_events(8))


# the event of fastjet-contrib's examples


@pytest.fixture(scope="module")
def contrib() -> Path:
    folder = os.environ.get("HEPIMG_FASTJET_SOURCE")
    if not folder:
        pytest.skip(
            "HEPIMG_FASTJET_SOURCE is not set: pip download fastjet==3.5.2.0 --no-binary :all: --no-deps, unpack it"
        )
    return Path(folder) / "extern/fastjet-contrib"


@pytest.fixture(scope="module")
def mixed(contrib: Path) -> Sample:
    """A hard event under 20 pileup events, in double precision."""
    import fastjet

    text = (contrib / "data/Pythia-Zp2jets-lhc-pileup-1ev.dat").read_text().split("#END")[0]
    rows = [
        [float(number) for number in line.split()[:6]] + [vertex]
        for vertex, event in enumerate(text.split("#SUBSTART")[1:])
        for line in event.splitlines()
        if line and not line.startswith("#")
    ]
    made = [fastjet.PseudoJet(*row[:4]) for row in rows]
    names = {"pt": "pt", "y": "rap", "phi": "phi_std", "mass": "m", "eta": "eta"}
    fields = {name: np.array([getattr(p, method)() for p in made]) for name, method in names.items()}
    fields["mass"] = np.maximum(fields["mass"], 0)
    return events_of(np.array([0, len(rows)]), fields | {"vertex": np.array([row[6] for row in rows])})


def within(sample: Sample, name: str, limit: float) -> Sample:
    particles = sample.collection("particles")
    inside = np.abs(particles[name]) < limit
    return events_of(np.array([0, inside.sum()]), {key: values[inside] for key, values in particles.fields.items()})


def jets_as_printed(particles: Ragged, radius: float, coordinate: str, number: int) -> list[str]:
    momentum = momenta(*(particles[name] for name in PARTICLES))
    jets = find_jets(particles.offsets, momentum, particles["pt"], "antikt", radius, 0.0)
    chosen = np.flatnonzero(np.abs(getattr(jets, coordinate)) < 3)[:number]
    return [f"pt = {jets.pt[k]:.4g}, rap = {jets.y[k]:.4g}, mass = {jets.mass[k]:.4g}" for k in chosen]


def printed_jets(text: str, title: str) -> list[str]:
    return re.findall(r"pt = \S+, rap = \S+, mass = [^\s,]+", text.split(title)[1].split("#")[0])


def test_softkiller_as_printed(contrib: Path, mixed: Sample) -> None:
    text = (contrib / "SoftKiller/example.ref").read_text()
    event = within(mixed, "y", 5)
    step = SoftKiller(abs_y=5, size=0.4)
    assert f"cell size drap x dphi = {10 / 25:g} x {2 * math.pi / 16:g}\n" in text
    assert Tiles(5, 0.4).shape == (25, 16)
    assert f"pt threshold of {step.cut(event.collection('particles'))[0]:.4g}\n" in text
    full = jets_as_printed(event.collection("particles"), 0.4, "y", 2)
    assert sorted(full) == sorted(printed_jets(text, "# original full jets"))
    killed = jets_as_printed(left(step, event), 0.4, "y", 2)
    assert sorted(killed) == sorted(printed_jets(text, "# jets after applying the soft killer"))


def test_constituent_subtraction_as_printed(contrib: Path, mixed: Sample) -> None:
    text = (contrib / "ConstituentSubtractor/example_event_wide.ref").read_text()
    event = within(mixed, "eta", 4)
    step = ConstituentSubtraction(abs_y=4, size=0.5, max_distance=0.3, alpha=1, ghost_area=0.01, max_pt=15)
    corrected = left(step, event)
    table = text.split("Corrected particles in the whole event:")[1].split("#")[0]
    lines = [[float(number) for number in re.findall(r"= (\S+?)(?:,|$)", line)] for line in table.split("\n") if line]
    expected = np.array([line for line in lines if line])
    found = np.stack([corrected["pt"], corrected["phi"] % (2 * math.pi), corrected["y"], corrected["mass"]], axis=1)
    assert len(found) == len(expected) == 347
    # by what does not change: phi, rapidity
    found = found[np.lexsort(np.round(found[:, 1:3], 4).T)]
    expected = expected[np.lexsort(expected[:, 1:3].T)]
    np.testing.assert_allclose(found, expected, atol=0.5001e-4)
    jets = jets_as_printed(corrected, 0.7, "eta", 3)
    assert sorted(jets) == sorted(printed_jets(text, "# subtracted full jets"))


# FastJet


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.floats(1, 5), st.floats(0.2, 1.5))
def test_background_is_fastjets(seed: int, abs_y: float, size: float) -> None:
    from fastjet._swig import GridMedianBackgroundEstimator

    events = make_events(2, seed)
    found = Background(abs_y=abs_y, size=size).apply(events, None)
    for row in range(2):
        estimator = GridMedianBackgroundEstimator(abs_y, size)
        estimator.set_particles(pseudojets(events.collection("particles").take(row)))
        for name, expected in (("rho", estimator.rho()), ("rho_m", estimator.rho_m())):
            assert found.column(name)[row] == pytest.approx(expected, rel=1e-6, abs=1e-8)


def test_circles_are_the_areas_of_hard_jets() -> None:
    """Jets that no harder jet has bitten into: their active area, as a four-vector, is that of the circle."""
    import fastjet
    from fastjet import _swig

    _swig.ClusterSequence.set_fastjet_banner_stream(None)
    area = _swig.AreaDefinition(_swig.active_area_explicit_ghosts, _swig.GhostedAreaSpec(5.0, 1, 0.01))
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, 0.8)
    ratios = []
    events = make_events(12).collection("particles")
    for row in range(12):
        sequence = _swig.ClusterSequenceArea(pseudojets(events.take(row)), definition, area)
        jet = _swig.sorted_by_pt(sequence.inclusive_jets(100.0))[0]
        vector, (transverse, longitudinal) = jet.area_4vector(), circle(0.8)
        ratios.append([vector.pt() / transverse, vector.mt() / longitudinal])
        del jet, sequence
    np.testing.assert_allclose(np.mean(ratios, axis=0), 1, atol=0.02)
    np.testing.assert_allclose(ratios, 1, atol=0.06)


# PUPPI


def plain_puppi(particles: Ragged, radius: float = 0.3, nearest: float = 0.02) -> np.ndarray:
    """Weights of one event by loops, after the paper."""
    pt, y, phi, mass, charge = (particles[name].astype(float) for name in (*PARTICLES, "charge"))
    eta = np.arcsinh(np.hypot(pt, mass) * np.sinh(y) / pt)
    central, vertex = np.abs(eta) < 2.5, particles["vertex"]
    track = central & (charge != 0) & (pt >= 0.5)
    n_vertices = len(set(vertex[track & (vertex > 0)].tolist()))

    def alpha(i: int, among: np.ndarray) -> float:
        distance = np.hypot(y[i] - y, np.abs((phi[i] - phi + math.pi) % (2 * math.pi) - math.pi))
        near = among & (distance >= nearest) & (distance <= radius)
        return math.log(np.sum(pt[near] / distance[near])) if near.any() else -math.inf

    weights = np.zeros(len(pt))
    for region, among in ((central, track & (vertex == 0)), (~central, np.ones(len(pt), bool))):
        reference = [alpha(i, among) for i in np.flatnonzero(track & (vertex > 0))]
        reference = [value for value in reference if value > -math.inf]
        middle = np.median(reference)
        rms = math.sqrt(np.mean([(value - middle) ** 2 for value in reference if value < middle]))
        for i in np.flatnonzero(region & ~track):
            rise = alpha(i, among) - middle
            weight = math.erf(rise / rms / math.sqrt(2)) if rise > 0 else 0
            weights[i] = weight * (weight >= 0.1) * (weight * pt[i] >= 0.1 + 0.007 * n_vertices)
    weights[track & (vertex == 0)] = 1
    return weights


def test_puppi_by_loops() -> None:
    events = make_events(3, 7)
    weights, _ = Puppi().weights(events.collection("particles"))
    expected = np.concatenate([plain_puppi(events.collection("particles").take(row)) for row in range(3)])
    np.testing.assert_allclose(weights, expected, atol=1e-9)
    assert ((expected > 0) & (expected < 1)).sum() > 20


def test_puppi_leaves_events_without_pileup_as_they_are() -> None:
    events = make_events(5, pileup=0)
    cleaned = left(Puppi(), events)
    for name, values in events.collection("particles").fields.items():
        np.testing.assert_array_equal(cleaned[name], values)


def test_puppi_where_no_pileup_track_has_a_neighbour() -> None:
    """A neutral of pileup far from the hard scatter goes, one close to it stays: event by event as the limit says."""
    kinds = {  # y, charge, vertex of each particle of an event, in two events with and without a track of pileup
        "hard track": (0.0, 1, 0),
        "hard neutral": (0.1, 0, 0),
        "pileup track": (-1.0, 1, 1),
        "pileup neutral": (1.5, 0, 1),
        "forward neutral": (3.0, 0, 1),
        "forward pair": (3.9, 0, 1),
        "forward partner": (4.0, 0, 1),
    }
    rows = [kinds, {name: kind for name, kind in kinds.items() if name != "pileup track"}]
    values = np.array([kind for row in rows for kind in row.values()])
    fields = {"pt": np.full(13, 5.0), "y": values[:, 0], "phi": np.zeros(13), "mass": np.zeros(13)}
    events = events_of(np.array([0, 7, 13]), {**fields, "charge": values[:, 1], "vertex": values[:, 2].astype(int)})
    weights, _ = Puppi().weights(events.collection("particles"))
    with_track = dict(zip(kinds, weights.tolist(), strict=False))
    assert [name for name, weight in with_track.items() if weight == 1] == [
        "hard track", "hard neutral", "forward pair", "forward partner"
    ]  # fmt: skip
    assert set(with_track.values()) == {0, 1}
    assert weights[7:].tolist() == [1] * 6, "no track of pileup: the event stays as it is"


@pytest.mark.parametrize("step", [SoftKiller(into="clean"), ConstituentSubtraction(into="clean"), Puppi(into="clean")])
def test_another_collection_is_not_replaced(step: Mitigation) -> None:
    ports = ports_of(make_events(1))
    with pytest.raises(ValueError, match="into: clean would replace clean, already there"):
        step.writes({**ports, "clean": ports["particles"]})


# what holds for all


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_most_pileup_goes_and_most_of_the_jet_stays(step: Mitigation) -> None:
    events = make_events(10, pileup=60)
    before, after = events.collection("particles"), left(step, events)
    sums = [
        [float(particles["pt"][(particles["vertex"] == 0) == hard].sum()) for hard in (True, False)]
        for particles in (before, after)
    ]
    assert sums[1][0] > 0.75 * sums[0][0]
    assert sums[1][1] < 0.35 * sums[0][1]
    assert (after["pt"] > 0).all()


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_no_order_and_no_azimuth(step: Mitigation) -> None:
    events = make_events(1)
    particles = events.collection("particles")
    order = np.random.default_rng(1).permutation(len(particles["pt"]))
    shuffled = changed(events, **{name: values[order] for name, values in particles.fields.items()})
    # a turn by half: every grid with an even number of columns is the same after it
    half = changed(events, phi=np.where(particles["phi"] > 0, particles["phi"] - np.pi, particles["phi"] + np.pi))
    pt = np.sort(left(step, events)["pt"])
    np.testing.assert_allclose(np.sort(left(step, shuffled)["pt"]), pt, rtol=1e-4, atol=1e-5)
    if not isinstance(step, ConstituentSubtraction):  # 63 columns of ghosts; the kernel's test turns by whole columns
        np.testing.assert_allclose(np.sort(left(step, half)["pt"]), pt, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("step", [step for step in STEPS if step.tracks], ids=str)
def test_tracks_stay_or_go_by_their_vertex(step: Mitigation) -> None:
    assert step.tracks is not None
    events = make_events(3)
    before, after = events.collection("particles"), left(step, events)
    hard = step.tracks.known(before) & (before["vertex"] == 0)
    kept = step.tracks.known(after) & (after["vertex"] == 0)
    for name in PARTICLES:
        assert set(before[name][hard].tolist()) <= set(after[name].tolist())
    assert kept.sum() >= hard.sum()
    gone = before["pt"][step.tracks.known(before) & (before["vertex"] > 0)]
    assert not set(gone.tolist()) & set(after["pt"][(after["charge"] != 0) & (after["vertex"] > 0)].tolist())


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_infinitely_soft_particles_go_or_do_not_matter(step: Mitigation) -> None:
    events = make_events(1, pileup=60)  # every track has neighbours: log alpha of one in empty space is not safe
    particles = events.collection("particles")
    fields = {name: np.concatenate([values, values[:50]]) for name, values in particles.fields.items()}
    fields["pt"][-50:], fields["mass"][-50:], fields["y"][-50:] = 1e-15, 0, 1 + np.linspace(0, 1, 50)
    more = events_of(np.array([0, len(fields["pt"])]), fields)
    pt = left(step, more)["pt"]
    np.testing.assert_allclose(np.sort(pt[pt > 1e-10]), np.sort(left(step, events)["pt"]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_what_is_left_may_become_a_field(step: Mitigation) -> None:
    """Particles stay as they are, and the field is the pT of those that would be left."""
    events = make_events(3)
    marked = step.model_copy(update={"field": "left_pt", "into": None})
    check_step(marked, events)
    before, after = events.collection("particles"), marked.apply(events, None).collection("particles")
    for name in before.fields:
        np.testing.assert_array_equal(before[name], after[name])
    np.testing.assert_array_equal(after["left_pt"][after["left_pt"] > 0], left(step, events)["pt"])
    assert after.units["left_pt"] == "GeV"


def test_a_field_replaces_nothing() -> None:
    with pytest.raises(ValueError, match="particles have a field pt already"):
        SoftKiller(field="pt").writes(ports_of(make_events(1)))
    with pytest.raises(ValidationError, match="into or field, not both"):
        SoftKiller(field="left_pt", into="clean")


@pytest.mark.parametrize("step", [*STEPS, Background()], ids=str)
def test_absurd_particles_are_refused(step: Step) -> None:
    for name, value in (("pt", np.nan), ("y", np.inf), ("phi", 1e9)):
        events = make_events(1)
        values = events.collection("particles")[name].copy()
        values[3] = value
        with pytest.raises(DataError, match=rf"{name} = "):
            step.apply(changed(events, **{name: values}), None)


@pytest.mark.parametrize(
    ("step", "options"),
    [
        (SoftKiller, {"size": 0}),
        (ConstituentSubtraction, {"ghost_area": 0}),
        (ConstituentSubtraction, {"max_distance": 4}),
        (ConstituentSubtraction, {"masses": "keep"}),
        (Puppi, {"tracks": None}),
        (Puppi, {"tracks": {"eta": 2.5}}),
    ],
)
def test_bad_options(step: type[Mitigation], options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        step.model_validate(options)
