"""The step ``cluster``: against FastJet event by event, against loops, and with garbage."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hepimg.components import Collection, Shard
from hepimg.errors import DataError
from hepimg.flow import ports_of
from hepimg.sample import Ragged, Sample
from hepimg_jets.cluster import Cluster
from hepimg_jets.finding import momenta
from hepimg_jets.matching import UNMATCHED, nearest_partons
from hepimg_pythia.source import Pythia

RECIPE: dict[str, Any] = {"radius": 0.8, "pt": (550, 650), "abs_eta": 2.0}


def generated(process: str, batches: int) -> Sample:
    source = Pythia.model_validate({"process": process, "pt_hat": (530, 720)})
    stream = source.batches(Shard(0, None, 7))
    return Sample.concatenate([next(stream) for _ in range(batches)])


@pytest.fixture(scope="module")
def tops() -> Sample:
    return generated("ttbar_hadronic", 3)


@pytest.fixture(scope="module")
def dijets() -> Sample:
    return generated("dijet", 3)


def events_of(*events: list[tuple[float, float, float]], **fields: list[float]) -> Sample:
    """Massless particles, (pt, y, phi) each."""
    flat = np.array([particle for event in events for particle in event], np.float32).reshape(-1, 3)
    offsets = np.cumsum([0, *map(len, events)])
    named = {name: flat[:, k] for k, name in enumerate(("pt", "y", "phi"))}
    named |= {name: np.array(values, np.float32) for name, values in fields.items()}
    columns = {"event": np.arange(len(events)) + 100, "weight": np.full(len(events), 0.5)}
    return Sample(columns, {"particles": Ragged(offsets, named)})


def test_top_jets_peak_at_the_top_mass_and_qcd_jets_fall(tops: Sample, dijets: Sample) -> None:
    matched = Cluster.model_validate(RECIPE | {"match": {"pdg_id": [6], "dr": 0.6}}).apply(tops, None)
    assert len(matched) > 100
    assert set(np.unique(matched.column("truth_pdg_id"))) == {-6, 6}
    mass = matched.column("mass")
    assert np.median(mass) == pytest.approx(173, abs=12)
    assert np.mean(np.abs(mass - 173) < 30) > 0.5
    qcd = Cluster.model_validate(RECIPE).apply(dijets, None).column("mass")
    low, middle, high = np.histogram(qcd, [50, 110, 170, 230])[0]
    assert low > 1.5 * middle > 1.5 * high
    assert np.mean(np.abs(qcd - 173) < 30) < 0.25


@pytest.mark.parametrize("algorithm", ["antikt", "cambridge", "kt"])
def test_fastjet_event_by_event(tops: Sample, algorithm: str) -> None:
    import fastjet

    events = tops[:5]
    step = Cluster(algorithm=algorithm, radius=0.6, pt=(30, None), abs_eta=3.0)
    found = step.apply(events, None)
    definition = fastjet.JetDefinition(getattr(fastjet, f"{algorithm}_algorithm"), 0.6)
    expected = []
    for row in range(len(events)):
        particles = events.collection("particles").take(row)
        fields = (particles[name].astype(float) for name in ("pt", "y", "phi", "mass"))
        inputs = []
        for index, momentum in enumerate(momenta(*fields)):
            pseudojet = fastjet.PseudoJet(*momentum.tolist())
            pseudojet.set_user_index(index)
            if abs(pseudojet.eta()) < 5:
                inputs.append(pseudojet)
        sequence = fastjet._swig.ClusterSequence(inputs, definition)
        jets = fastjet.sorted_by_pt(sequence.inclusive_jets(30.0))
        for rank, jet in enumerate(jet for jet in jets if abs(jet.eta()) < 3):
            members = sorted(c.user_index() for c in jet.constituents())
            kinematics = (jet.pt(), jet.eta(), jet.rap(), jet.phi_std(), jet.m())
            expected.append((row, rank, kinematics, particles["pt"][members]))
    assert len(found) == len(expected) > 15
    constituents = found.collection("constituents")
    for k, (row, rank, kinematics, pt) in enumerate(expected):
        assert found.column("event")[k] == events.column("event")[row]
        assert found.column("jet")[k] == rank
        values = [found.column(name)[k] for name in ("pt", "eta", "y", "phi", "mass")]
        np.testing.assert_allclose(values, kinematics, rtol=1e-5, atol=1e-4)
        np.testing.assert_array_equal(constituents.take(k)["pt"], np.sort(pt)[::-1])


def test_jets_do_not_depend_on_the_batch(tops: Sample) -> None:
    step = Cluster(radius=0.4, pt=(40, None), abs_eta=2.0, min_constituents=3)
    events = tops[:40]
    whole = step.apply(events, None)
    pieces = Sample.concatenate([step.apply(events[first : first + 7], None) for first in range(0, 40, 7)])
    assert len(whole) > 40
    for name in whole.columns:
        assert whole.column(name).tobytes() == pieces.column(name).tobytes()
    for name, values in whole.collection("constituents").fields.items():
        assert values.tobytes() == pieces.collection("constituents")[name].tobytes()


def test_selection(dijets: Sample) -> None:
    everything = Cluster(radius=0.8, pt=(20, None), abs_eta=2.0).apply(dijets, None)
    event, rank, pt = (everything.column(name) for name in ("event", "jet", "pt"))
    for number in np.unique(event):
        assert rank[event == number].tolist() == list(range(np.sum(event == number)))
        assert (np.diff(pt[event == number]) <= 0).all()
    window = Cluster.model_validate(RECIPE).apply(dijets, None)
    expected = (pt >= 550) & (pt < 650)
    np.testing.assert_array_equal(window.column("mass"), everything.column("mass")[expected])
    leading = Cluster.model_validate(RECIPE | {"jets": "leading"}).apply(dijets, None)
    np.testing.assert_array_equal(leading.column("mass"), everything.column("mass")[expected & (rank == 0)])
    two = Cluster(radius=0.8, pt=(20, None), abs_eta=2.0, jets=2).apply(dijets, None)
    np.testing.assert_array_equal(two.column("mass"), everything.column("mass")[rank < 2])
    many = Cluster(radius=0.8, pt=(20, None), abs_eta=2.0, min_constituents=30).apply(dijets, None)
    counts = everything.collection("constituents").counts
    np.testing.assert_array_equal(many.column("mass"), everything.column("mass")[counts >= 30])


def test_what_is_written_is_what_was_promised(tops: Sample) -> None:
    step = Cluster.model_validate(RECIPE | {"match": {"pdg_id": [6]}})
    tops = tops.with_columns(mu=np.arange(len(tops), dtype=np.float32))
    written = {port.name: port for port in step.writes(ports_of(tops))}
    jets = step.apply(tops, None)
    assert set(jets.column("mu")) <= set(tops.column("mu")), "jets carry the columns of their event"
    assert set(written) == {*jets.columns, *jets.collections}
    constituents = written["constituents"]
    assert isinstance(constituents, Collection)
    assert list(constituents.fields) == list(jets.collection("constituents").fields)
    units = {name: getattr(port, "unit", "") for name, port in written.items()}
    assert jets.units == {name: unit for name, unit in units.items() if unit}
    assert {port.name for port in step.reads()} == {"particles", "partons"}


def test_further_fields_are_carried_and_massless_particles_do() -> None:
    events = events_of([(10, 0, 3.1), (30, 0.1, -3.1), (5, 4, 0)], vertex=[7, 8, 9])
    jets = Cluster(pt=(20, None), radius=0.4).apply(events, None)
    assert len(jets) == 1
    assert jets.column("pt")[0] == pytest.approx(40, rel=0.01)
    assert abs(jets.column("phi")[0]) > 3.1
    assert jets.column("weight").tolist() == [0.5]
    assert jets.collection("constituents")["vertex"].tolist() == [8, 7]


@pytest.mark.parametrize("events", [[], [[]], [[], []], [[(1, 0, 0)]], [[], [(50, 0, 0)], []]])
def test_empty_events_and_batches(events: list[list[tuple[float, float, float]]]) -> None:
    jets = Cluster().apply(events_of(*events), None)
    assert jets.column("event").tolist() == [100 + i for i, event in enumerate(events) if event and event[0][0] > 20]
    assert jets.collection("constituents").offsets.tolist() == list(range(len(jets) + 1))


def test_padding_is_left_out() -> None:
    jets = Cluster().apply(events_of([(50, 0, 0), (0, 0, 0), (0, 0, 0)]), None)
    assert jets.collection("constituents").counts.tolist() == [1]


@pytest.mark.parametrize(
    ("field", "value"),
    [("pt", np.nan), ("pt", -1), ("pt", np.inf), ("pt", 1e7), ("y", np.nan), ("y", -np.inf), ("y", 30), ("phi", 180)],
)
def test_garbage_is_refused_before_fastjet_sees_it(field: str, value: float) -> None:
    events = events_of([(50, 0, 0)], [(50, 0, 0), (60, 1, 1), (70, -1, 2)])
    values = events.collection("particles")[field].copy()
    values[2] = value
    broken = events.with_collection("particles", events.collection("particles").with_fields(**{field: values}))
    with pytest.raises(DataError, match=rf"particles\[1\]: {field} = .*needed: finite"):
        Cluster().apply(broken, None)


def test_input_is_never_changed(tops: Sample) -> None:
    events = tops[:3]
    before = {name: values.tobytes() for name, values in events.collection("particles").fields.items()}
    for values in events.collection("particles").fields.values():
        values.flags.writeable = False
    Cluster().apply(events, None)
    assert before == {name: values.tobytes() for name, values in events.collection("particles").fields.items()}


def test_fastjet_prints_no_banner() -> None:
    import subprocess
    import sys

    program = """
import numpy as np
from hepimg_jets.cluster import Cluster
from hepimg.sample import Ragged, Sample
fields = {name: np.array([value]) for name, value in (("pt", 50.0), ("y", 0.0), ("phi", 0.0))}
Cluster().apply(Sample({"event": np.zeros(1, int), "weight": np.ones(1)}, {"particles": Ragged([0, 1], fields)}), None)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""


coordinate = st.tuples(st.floats(-3, 3), st.floats(-np.pi, np.pi))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(coordinate, max_size=3),
            st.lists(st.tuples(coordinate, st.sampled_from([6, -6, 5, 21])), max_size=4),
        ),
        max_size=4,
    )
)
def test_matching_is_a_loop(
    events: list[tuple[list[tuple[float, float]], list[tuple[tuple[float, float], int]]]],
) -> None:
    jets = [(row, y, phi) for row, (jets, _) in enumerate(events) for y, phi in jets]
    flat = [(y, phi, kind) for _, partons in events for (y, phi), kind in partons]
    fields = {name: np.array([parton[k] for parton in flat]) for k, name in enumerate(("y", "phi", "pdg_id"))}
    partons = Ragged(np.cumsum([0, *(len(partons) for _, partons in events)]), fields)
    event = np.array([jet[0] for jet in jets], np.int64)
    y, phi = (np.array([jet[k] for jet in jets], np.float64) for k in (1, 2))
    chosen, distance = nearest_partons(event, y, phi, partons, [6])
    for k, (row, jet_y, jet_phi) in enumerate(jets):
        best, nearest = UNMATCHED, np.inf
        for number in range(partons.offsets[row], partons.offsets[row + 1]):
            parton_y, parton_phi, kind = flat[number]
            dphi = abs(jet_phi - parton_phi)
            dr = np.hypot(jet_y - parton_y, min(dphi, 2 * np.pi - dphi))
            if abs(kind) == 6 and dr < nearest - 1e-9:
                best, nearest = number, dr
        assert distance[k] == pytest.approx(nearest, abs=1e-9)
        assert (chosen[k] == UNMATCHED) == (best == UNMATCHED)


@pytest.mark.parametrize(
    "options", [{"pt": (50, 20)}, {"radius": 0}, {"jets": 0}, {"algorithm": "anti-kt"}, {"match": {"pdg_id": []}}]
)
def test_wrong_options(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Cluster.model_validate(options)
