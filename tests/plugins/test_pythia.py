"""The source ``pythia``: physics at small scale, reproducible bytes, and refusals that say why."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from pydantic import ValidationError

from hepimg.components import Collection, Shard
from hepimg.errors import DataError
from hepimg.kernels.moments import four_momentum
from hepimg.sample import Sample
from hepimg_pythia.processes import PROCESSES, ProcessName
from hepimg_pythia.source import BATCH, Pythia

PT_HAT = (530, 720)


def first_batch(source: Pythia, seed: int = 11, index: int = 0) -> Sample:
    return next(source.batches(Shard(index, None, seed)))


@pytest.fixture(scope="module")
def tops() -> Sample:
    return first_batch(Pythia(process="ttbar_hadronic", pt_hat=PT_HAT), index=3)


def test_every_process_has_a_name_an_option_and_a_sentence() -> None:
    assert tuple(PROCESSES) == get_args(ProcessName)
    for name, process in PROCESSES.items():
        assert process.description.endswith(".")
        assert Pythia(process=name).lines()[1:] == list(process.lines)


def test_dark_showers_end_in_ordinary_particles() -> None:
    sample = first_batch(Pythia(process="dark_shower"))
    particles = sample.collection("particles")
    assert np.abs(particles["pdg_id"]).max() < 4_900_000
    momentum = four_momentum(particles.offsets, particles["pt"], particles["y"], particles["phi"], particles["mass"])
    assert np.median(momentum[:, 0] - np.abs(momentum[:, 3])) > 1000  # most of the resonance can be seen


def test_the_sample_has_what_the_source_promises(tops: Sample) -> None:
    ports = {port.name: port for port in Pythia(process="dijet").writes()}
    assert set(ports) == {*tops.columns, *tops.collections}
    for name, collection in tops.collections.items():
        port = ports[name]
        assert isinstance(port, Collection)
        assert {field: unit for field, unit in port.fields.items() if unit} == collection.units
        assert list(port.fields) == list(collection.fields)
    assert tops.column("event").tolist() == [(3 << 32) + i for i in range(len(tops))]
    assert (tops.column("weight") == 1).all()


def test_particles_are_final_visible_and_in_range(tops: Sample) -> None:
    particles = tops.collection("particles")
    assert {name: values.dtype.name for name, values in particles.fields.items()} == {
        "pt": "float32", "y": "float32", "phi": "float32", "mass": "float32", "pdg_id": "int32", "charge": "float32",
    }  # fmt: skip
    kinds = np.unique(np.abs(particles["pdg_id"]))
    assert not np.isin([12, 14, 16, 6, 24, 21], kinds).any()
    assert np.isin([11, 22, 130, 211, 321, 2112, 2212], kinds).all()
    assert (particles["pt"] > 0).all()
    assert (np.abs(particles["phi"]) <= np.float32(np.pi)).all()
    assert (particles["mass"] >= 0).all()


@pytest.mark.parametrize(("pdg_id", "charge"), [(211, 1), (-211, -1), (11, -1), (-11, 1), (22, 0), (2212, 1)])
def test_charges(tops: Sample, pdg_id: int, charge: float) -> None:
    particles = tops.collection("particles")
    assert np.all(particles["charge"][particles["pdg_id"] == pdg_id] == charge)


def test_resonances_are_taken_as_they_decay(tops: Sample) -> None:
    """Only the last copy of a W, after all recoils, is the sum of its two quarks as the decay made them."""
    partons = tops.collection("partons")
    kind = np.abs(partons["pdg_id"])
    pt, phi, y, mass = (partons[name].astype(float) for name in ("pt", "phi", "y", "mass"))
    momentum = np.stack([pt * np.cos(phi), pt * np.sin(phi), np.hypot(pt, mass) * np.sinh(y)], axis=1)
    row = np.repeat(np.arange(len(tops)), partons.counts)
    plain = np.bincount(row[kind == 5], minlength=len(tops)) == 2  # but for t -> W s and W -> c b
    assert plain.mean() > 0.9
    for number in np.flatnonzero(plain)[:50]:
        here = row == number
        bosons, quarks = (momentum[here & chosen].sum(axis=0) for chosen in (kind == 24, kind < 5))
        np.testing.assert_allclose(bosons, quarks, atol=0.01)
    assert np.median(mass[kind == 24]) == pytest.approx(80.4, abs=1)
    assert np.median(mass[kind == 6]) == pytest.approx(172.5, abs=1)


def test_a_higgs_alone() -> None:
    partons = first_batch(Pythia(process="zh_bb", pt_hat=(300, None))).collection("partons")
    counts = dict(zip(*np.unique(partons["pdg_id"], return_counts=True), strict=True))
    assert counts[25] == counts[23] == counts[5] == counts[-5] == BATCH
    assert set(counts) <= {25, 23, 5, -5, 12, -12, 14, -14, 16, -16}


@pytest.mark.parametrize(("process", "kinds"), [("quark_dijet", range(1, 6)), ("gluon_dijet", [21])])
def test_flavours_of_dijets(process: ProcessName, kinds: list[int]) -> None:
    partons = first_batch(Pythia(process=process, pt_hat=PT_HAT, hadronisation=False, mpi=False)).collection("partons")
    assert np.isin(np.abs(partons["pdg_id"]), list(kinds)).all()
    assert (partons.counts == 2).all()
    assert (partons["pt"] >= 529).all()
    assert (partons["pt"] <= 721).all()


def test_the_same_shard_gives_the_same_bytes_and_another_seed_does_not() -> None:
    source = Pythia(process="dijet", pt_hat=PT_HAT, hadronisation=False, mpi=False)
    one, same, other = (first_batch(source, seed).collection("particles") for seed in (1 << 62, 1 << 62, 5))
    assert one.offsets.tobytes() == same.offsets.tobytes()
    assert all(one[name].tobytes() == same[name].tobytes() for name in one.fields)
    assert not np.array_equal(one["pt"], other["pt"])


def test_switches_change_the_number_of_particles() -> None:
    def mean_count(**options: bool) -> float:
        source = Pythia(process="dijet", pt_hat=PT_HAT, **options)
        return float(first_batch(source).collection("particles").counts.mean())

    everything = mean_count()
    assert mean_count(mpi=False) < 0.8 * everything
    assert mean_count(hadronisation=False) < 0.8 * everything


def test_scales_are_squared_and_relative_to_the_shower() -> None:
    assert Pythia(process="dijet").scales() == []
    assert Pythia(process="dijet", fsr_scale=2).scales() == [("TimeShower:renormMultFac", 4)]
    vincia = Pythia(process="dijet", isr_scale=0.5, shower="vincia").scales()
    assert [factor for _, factor in vincia] == [0.25] * 3
    assert all(setting.endswith("I") for setting, _ in vincia)


def test_vincia_runs_silently(capfd: pytest.CaptureFixture[str]) -> None:
    source = Pythia(process="dijet", pt_hat=PT_HAT, shower="vincia", fsr_scale=2, hadronisation=False, mpi=False)
    assert len(first_batch(source)) > 0.9 * BATCH
    out, err = capfd.readouterr()
    assert out == err == ""


def test_failed_events_are_left_out_silently(capfd: pytest.CaptureFixture[str]) -> None:
    """With an absurd demand on energy conservation Pythia throws about half of the events away."""
    lines = ("Check:epTolErr = 1e-12",)
    source = Pythia(process="dijet", pt_hat=PT_HAT, settings=lines, hadronisation=False, mpi=False)
    batches = source.batches(Shard(0, None, 3))
    one, two = next(batches), next(batches)
    assert 0 < len(one) < BATCH
    assert (one.collection("particles").counts > 10).all()
    events = Sample.concatenate([one, two]).column("event")
    assert events.tolist() == list(range(len(one) + len(two)))
    assert source.facts()["events"] == len(events)
    assert capfd.readouterr().out == ""


def test_biased_events_have_their_weights_or_are_refused() -> None:
    """Pythia 8.317.0 loses these weights on the way to Python, 8.317.2 does not."""
    biased = Pythia(process="dijet", pt_hat=(500.0, None), settings=("PhaseSpace:bias2Selection = on",))
    weight, refusal = np.ones(1), ""
    try:
        weight = first_batch(biased).column("weight")
    except DataError as error:
        refusal = str(error)
    assert "weighs an event" in refusal or weight.max() > 2 * weight.min() > 0


def test_facts(tops: Sample) -> None:
    source = Pythia(process="ttbar_hadronic", pt_hat=PT_HAT, hadronisation=False, mpi=False)
    assert source.facts() == {}
    batches = source.batches(Shard(0, None, 2))
    next(batches)
    next(batches)
    facts = source.facts()
    assert facts["events"] == 2 * BATCH
    assert facts["cross_section_pb"] == pytest.approx(0.4, rel=0.3)
    assert 0 < float(facts["cross_section_pb_error"]) < 0.1
    assert str(facts["pythia"]).startswith("8.3")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "give a process"),
        ({"process": "djet"}, "dijet"),
        ({"settings": ["HardQCD"]}, "no line of Pythia's"),
        ({"process": "dijet", "settings": ["Random:seed = 3"]}, "seed"),
        ({"process": "dijet", "pt_hat": [700, 500]}, "min < max"),
    ],
)
def test_wrong_options(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Pythia.model_validate(options)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"settings": ["HardQDC:all = on"]}, "HardQDC:all = on.*not found in settings"),
        ({"settings": ["TimeShower:alphaSvalue = 99"]}, "alphaSvalue = 99.*out of range"),
        ({"pt_hat": [9000, None]}, "cannot start.*vanishing cross sections"),
    ],
)
def test_refusals_of_pythia(options: dict[str, object], complaint: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match=complaint):
        first_batch(Pythia.model_validate({"process": "dijet"} | options))
    assert capfd.readouterr().out == ""
