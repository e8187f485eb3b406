"""The source ``hepmc``: against pyhepmc particle by particle, in chunks, in every unit, and with damaged files."""

from __future__ import annotations

import gzip
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hepmc_layouts import FOOTER, HEADER, event_text, hepmc_text, toy_event, write_hepmc, zstandard

from hepimg.components import Shard
from hepimg.errors import DataError
from hepimg.sample import Sample
from hepimg.shards import checksum
from hepimg.testing import check_component, check_source
from hepimg_files.hepmc import stream as hepmc_stream
from hepimg_files.hepmc.charges import charges_of
from hepimg_files.hepmc.source import HepMC


def read(path: Path, **options: Any) -> Sample:
    source = HepMC(files=str(path), **options)
    batches = [batch for k, part in enumerate(source.parts()) for batch in source.batches(Shard(k, None, 1, part))]
    return Sample.concatenate(batches)


def kinematics(particle: Any) -> tuple[float, float, float, float]:
    momentum, mass = particle.momentum, particle.generated_mass
    pt = math.hypot(momentum.px, momentum.py)
    y = math.asinh(momentum.pz / math.hypot(pt, mass)) if pt or mass else 0.0
    return pt, y, math.atan2(momentum.py, momentum.px), mass


def expected_particles(event: Any) -> list[tuple[float, ...]]:
    """pt, y, phi, mass, PDG number of the visible final particles, one by one."""
    found: list[tuple[float, ...]] = []
    for particle in event.particles:
        pt, y, phi, mass = kinematics(particle)
        far = pt == 0 or abs(math.asinh(particle.momentum.pz / pt)) >= 10
        if particle.status == 1 and abs(particle.pid) not in (12, 14, 16) and not far:
            found.append((pt, y, phi, mass, float(particle.pid)))
    return found


def expected_partons(event: Any) -> list[tuple[float, ...]]:
    found: list[tuple[float, ...]] = []
    for particle in event.particles:
        if particle.status not in (22, 23):
            continue
        last = particle
        while particle.status == 22:
            same = [child for child in last.children if child.pid == last.pid]
            if len(same) != 1:
                break
            last = same[0]
        found.append((*kinematics(last), float(last.pid)))
    return found


@pytest.mark.parametrize("name", ["sk_example_HS", "sk_example_PU"])
def test_every_particle_as_pyhepmc_reads_it(external: Path, name: str) -> None:
    import pyhepmc

    path = external / "hepmc" / f"{name}.hepmc.zst"
    sample = read(path)
    with pyhepmc.open(str(path)) as file:
        events = [*file]
    assert len(sample) == len(events) == {"sk_example_HS": 25, "sk_example_PU": 100}[name]
    expectations = {"particles": expected_particles, "partons": expected_partons}
    for collection, expected in expectations.items():
        found = sample.collection(collection)
        for row, event in enumerate(events):
            one = found.take(row)
            wanted = np.array(expected(event)).reshape(-1, 5)
            values = np.stack([one[field] for field in ("pt", "y", "phi", "mass", "pdg_id")], axis=1)
            np.testing.assert_allclose(values, wanted, rtol=1e-6, atol=1e-7)
    assert (sample.column("weight") == 1).all()


def test_the_electrons_of_a_z_sum_to_its_last_copy(tmp_path: Path) -> None:
    sample = read(write_hepmc(tmp_path / "a.hepmc", hepmc_text(3)))
    partons, particles = sample.collection("partons"), sample.collection("particles")
    assert partons["pdg_id"].tolist() == [23, 21] * 3
    assert (particles["pdg_id"] != -14).all()
    assert (particles["pdg_id"] != 2112).all()  # |eta| > 10
    assert particles.counts.tolist() == [7, 7, 7]
    assert particles["charge"][:7].tolist() == [-1, 1, 1, -1, 0, 1, -1]


@pytest.mark.parametrize("ending", ["hepmc", "hepmc.gz", "hepmc3.zst", "gz", "zst"])
def test_compressed_or_not_whatever_the_name(tmp_path: Path, ending: str) -> None:
    path = write_hepmc(tmp_path / f"a.{ending}", hepmc_text(9)).rename(tmp_path / "odd_name")
    plain = write_hepmc(tmp_path / "b.hepmc", hepmc_text(9))
    expected = checksum(read(plain).with_columns(event=np.arange(9)))
    assert checksum(read(path).with_columns(event=np.arange(9))) == expected
    assert checksum(read(path, chunk=4)) == checksum(read(path))
    assert HepMC.looks_alike(path)


@pytest.mark.parametrize("block", [1, 7, 100, 5000])
def test_any_range_of_events_wherever_blocks_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    path = write_hepmc(tmp_path / "a.hepmc", hepmc_text(6))
    texts = [toy_event(number).encode() for number in range(6)]
    monkeypatch.setattr(hepmc_stream, "BLOCK", block)
    assert hepmc_stream.count_events(path) == 6
    for first in range(6):
        for last in range(first + 1, 7):
            assert [*hepmc_stream.event_texts(path, first, last)] == texts[first:last]


def test_units_are_converted(tmp_path: Path) -> None:
    units = HEADER + toy_event(3, "GEV") + toy_event(3, "MEV") + FOOTER
    particles = read(write_hepmc(tmp_path / "a.hepmc", units)).collection("particles")
    for name in particles.fields:
        first, second = particles.take(0)[name], particles.take(1)[name]
        np.testing.assert_allclose(first, second, rtol=2e-6, atol=1e-7)


def test_the_first_weight_counts(tmp_path: Path) -> None:
    text = HEADER + toy_event(0, weights=(2.5, 7.0)) + toy_event(1, weights=()) + toy_event(2, weights=(-0.5,)) + FOOTER
    assert read(write_hepmc(tmp_path / "a.hepmc", text)).column("weight").tolist() == [2.5, 1.0, -0.5]


def test_empty_events_and_foreign_status_codes(tmp_path: Path) -> None:
    herwig = toy_event(1).replace(" 22\n", " 11\n").replace(" 23\n", " 11\n")
    text = HEADER + event_text(0, [], {}) + herwig + event_text(2, [(0, 21, 0.0, 0.0, 5.0, 0.0, 4)], {}) + FOOTER
    sample = read(write_hepmc(tmp_path / "a.hepmc", text))
    assert sample.collection("particles").counts.tolist() == [0, 7, 0]
    assert sample.collection("partons").counts.tolist() == [0, 0, 0]


def test_further_invisible_particles(tmp_path: Path) -> None:
    path = write_hepmc(tmp_path / "a.hepmc", hepmc_text(2))
    ids = read(path, invisible=(-11, 111)).collection("particles")["pdg_id"]
    assert set(ids.tolist()) == {211, -211}


def test_a_file_without_its_last_line(tmp_path: Path) -> None:
    text = hepmc_text(3).removesuffix(FOOTER)
    assert len(read(write_hepmc(tmp_path / "a.hepmc", text))) == 3


def test_the_contract_of_sources(tmp_path: Path) -> None:
    check_component(HepMC)
    path = write_hepmc(tmp_path / "a.hepmc.zst", hepmc_text(5))
    check_source(HepMC(files=str(path), chunk=4))


def test_charges_of_all_hadrons_and_the_rest() -> None:
    import pythia8mc

    data = pythia8mc.Pythia("", False).particleData
    ids, number = [], 1
    while number := data.nextId(number):
        if number <= 40 or data.isHadron(number) or data.isDiquark(number):
            ids.append(number)
    ids += [1000011, 2000002, 1000022, 1000024, 1000037]
    assert len(ids) > 300
    expected = np.array([data.charge(number) for number in ids])
    found = charges_of(np.array(ids))
    wrong = [(number, a, b) for number, a, b in zip(ids, found, expected, strict=True) if abs(a - b) > 1e-6]
    assert not wrong
    assert np.array_equal(charges_of(-np.array(ids)), -found)
    assert charges_of(np.array([1000822080, -1000020040, 0])).tolist() == [82, -2, 0]


def bad_files() -> dict[str, tuple[str, str | bytes, str]]:
    """Case -> ending, content, and what the error says."""
    text, event = hepmc_text(3), toy_event(1)
    packed = {"gz": gzip.compress(text.encode()), "zst": zstandard().compress(text.encode())}
    line = next(line for line in event.splitlines() if line.startswith("P 8 "))
    words = line.split()

    def one(old: str, new: str) -> str:
        assert old in event
        return HEADER + toy_event(0) + event.replace(old, new, 1) + FOOTER

    def changed(place: int, value: str) -> str:
        return one(line, " ".join([*words[:place], value, *words[place + 1 :]]))

    return {
        "empty": ("hepmc", "", "an empty file"),
        "only a header": ("hepmc", HEADER + FOOTER, "hold no entry"),
        "no HepMC": ("hepmc", "hello\n", "it begins with b'hello"),
        "a binary file": ("hepmc", bytes(range(256)) * 100, "it begins with"),
        "HepMC 2": ("hepmc", "\nHepMC::Version 2.06.09\nHepMC::IO_GenEvent-START_EVENT_LISTING\n", "a file of HepMC 2"),
        "cut in an event": ("hepmc", text[:-700], "cut in event 2"),
        "cut in a line": ("hepmc", text.removesuffix(FOOTER)[:-3], "cut in event 2"),
        "no event, no end": ("hepmc", HEADER, "cut before the first event"),
        "two files": ("hepmc", text + text, "text after HepMC3's last line"),
        "cut gz": ("gz", packed["gz"][:-50], "damaged, or not of this layout"),
        "cut zst": ("zst", packed["zst"][:-50], "damaged, or not of this layout"),
        "spoiled gz": ("gz", packed["gz"][:300] + b"\0" * 40 + packed["gz"][340:], "damaged, or not of this layout"),
        "no unit": ("hepmc", one("U GEV MM\n", ""), "event 1: an event begins with"),
        "an unknown unit": ("hepmc", one("U GEV", "U TEV"), "event 1: an event begins with"),
        "terabytes": ("hepmc", one("E 1 4 14", "E 1 4 999999999"), "14 particles, where 999999999 are announced"),
        "too many vertices": ("hepmc", one("E 1 4 14", "E 1 999999999 14"), "refer to what is not there"),
        "negative counts": ("hepmc", one("E 1 4 14", "E 1 4 -14"), "an event begins with"),
        "an event without counts": ("hepmc", one("E 1 4 14", "E 1"), "an event begins with"),
        "a vertex of nobody": ("hepmc", one("[1,2]", "[1,67]"), "refer to what is not there"),
        "an unknown mother": ("hepmc", changed(2, "99"), "refer to what is not there"),
        "an unknown vertex": ("hepmc", changed(2, "-3"), "refer to what is not there"),
        "its own mother": ("hepmc", changed(2, "8"), "refer to what is not there"),
        "a particle twice": ("hepmc", changed(1, "7"), "refer to what is not there"),
        "NaN": ("hepmc", changed(4, "nan"), "no line of HepMC3: b'P 8"),
        "infinity": ("hepmc", changed(4, "1e999"), "event 1: particle 8 has a momentum that is not finite"),
        "huge": ("hepmc", changed(4, "1e30"), "event 1: particle 8: E = "),
        "energy against mass": ("hepmc", changed(8, "5.0"), "but sqrt(p^2 + m^2) ="),
        "a missing column": ("hepmc", one(line, " ".join(words[:-1])), "no line of HepMC3"),
        "a word": ("hepmc", changed(5, "hello"), "no line of HepMC3"),
        "garbage": ("hepmc", one(line, "???"), "no line of HepMC3"),
        "a missing particle": ("hepmc", one(line + "\n", ""), "13 particles, where 14 are announced"),
    }


BAD_FILES = bad_files()


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_one_clear_error(tmp_path: Path, case: str, capfd: pytest.CaptureFixture[str]) -> None:
    ending, content, says = BAD_FILES[case]
    path = tmp_path / f"bad.{ending}"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError) as caught:
        read(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("ending", "piece"), [("gz", b"A 0 x 1\n"), ("zst", b"A 0 x 1\n"), ("zst", b"A"), ("gz", b"A")]
)
def test_bombs_go_off_in_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, piece: bytes
) -> None:
    monkeypatch.setattr(hepmc_stream, "MAX_EVENT", 4 << 20)
    data = (HEADER + toy_event(0)).encode() + piece * (30 << 20)
    path = write_hepmc(tmp_path / f"bomb.{ending}", data[: 60 << 20])
    assert path.stat().st_size < 100_000
    with pytest.raises(DataError, match=r"of more than \d MiB"):
        read(path)
