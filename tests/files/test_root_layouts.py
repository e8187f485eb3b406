"""JetClass, NanoAOD and plain trees as the tests write them, exactly after the published layouts."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot
from root_layouts import (
    cartesian,
    jagged,
    jetclass_branches,
    momenta,
    nano_branches,
    write_jetclass,
    write_nano,
    write_plain_parquet,
    write_tree,
)

from hepimg.components import Shard
from hepimg.errors import DataError
from hepimg.sample import Ragged, Sample
from hepimg.shards import checksum
from hepimg.testing import check_component, check_source
from hepimg_files.tables.delphes import Delphes, DelphesJets
from hepimg_files.tables.entries import joined
from hepimg_files.tables.jetclass import JetClass
from hepimg_files.tables.nanoaod import NanoAOD, NanoAODJets
from hepimg_files.tables.plain import PlainSource
from hepimg_files.tables.plain_parquet import Parquet, ParquetEvents
from hepimg_files.tables.plain_root import Root, RootEvents
from hepimg_files.tables.root import open_root
from hepimg_files.tables.source import TableSource

SOURCES = (JetClass, NanoAOD, NanoAODJets, Delphes, DelphesJets, Root, RootEvents, Parquet, ParquetEvents)


def rows(source: TableSource) -> Sample:
    """All rows of all parts."""
    batches = [b for k, part in enumerate(source.parts()) for b in source.batches(Shard(k, None, 1, part))]
    return Sample.concatenate(batches)


@pytest.mark.parametrize("source", SOURCES)
def test_each_source_keeps_the_contract_of_a_component(source: type[TableSource]) -> None:
    check_component(source)


def test_jetclass_gives_particles_labels_and_jets(tmp_path: Path) -> None:
    source = JetClass(files=str(write_jetclass(tmp_path / "a.root", 20)), chunk=6, columns={"sdmass": "jet_sdmass"})
    check_source(source)
    written, sample = jetclass_branches(20), rows(source)
    assert len(sample) == 20
    np.testing.assert_allclose(sample.column("pt"), written["jet_pt"], rtol=1e-5)
    np.testing.assert_allclose(sample.column("eta"), written["jet_eta"], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(sample.column("sdmass"), written["jet_sdmass"])
    particles = sample.collection("constituents")
    np.testing.assert_array_equal(particles.offsets, momenta(20)[0])
    np.testing.assert_allclose(particles["pt"], momenta(20)[1]["pt"], rtol=1e-6)
    np.testing.assert_array_equal(particles["d0_error"], ak.flatten(written["part_d0err"]).to_numpy())
    for k in range(3):  # a slow reference for the kinds
        flags = {name: bool(ak.flatten(written[f"part_is{name}"])[k]) for name in ("Photon", "Electron", "Muon")}
        charge = float(ak.flatten(written["part_charge"])[k])
        expected = {"Photon": 22, "Electron": -11 * charge, "Muon": -13 * charge}
        for name, is_it in flags.items():
            assert not is_it or particles["pdg_id"][k] == expected[name]
    assert {int(x) for x in np.unique(np.abs(particles["pdg_id"]))} == {11, 13, 22, 130, 211}
    for name in ("QCD", "Tbl"):
        np.testing.assert_array_equal(sample.column(f"label_{name}"), np.asarray(written[f"label_{name}"], np.int8))


def test_jetclass_rows_can_be_chosen_by_their_label(tmp_path: Path) -> None:
    path = write_jetclass(tmp_path / "a.root", 40)
    sample = rows(JetClass(files=str(path), select={"label_QCD": 1}))
    assert 0 < len(sample) == int(np.sum(jetclass_branches(40)["label_QCD"]))


def test_nanoaod_weights_candidates_by_puppi_and_leaves_out_those_of_weight_zero(tmp_path: Path) -> None:
    path, written = write_nano(tmp_path / "a.root", 12), nano_branches(12)
    for source in (NanoAOD(files=str(path), chunk=5), NanoAOD(files=str(path), puppi=False)):
        check_source(source)
    weight = ak.flatten(written["PFCands_puppiWeight"]).to_numpy()
    pt = ak.flatten(written["PFCands_pt"]).to_numpy()
    weighted = rows(NanoAOD(files=str(path), chunk=5, weight="genWeight"))
    np.testing.assert_allclose(weighted.collection("particles")["pt"], (pt * weight)[weight > 0], rtol=1e-6)
    assert set(weighted.column("weight")) == {2.5}
    plain = rows(NanoAOD(files=str(path), puppi=False)).collection("particles")
    np.testing.assert_array_equal(plain["pt"], pt)
    np.testing.assert_allclose(plain["mass"], 0.1396, rtol=1e-6)


def test_nanoaod_jets_follow_the_links(tmp_path: Path) -> None:
    """Two jets in each event; candidates alternate between them, and the last belongs to none."""
    offsets, _ = momenta(9)
    index = (np.arange(offsets[-1]) - np.repeat(offsets[:-1], np.diff(offsets))).astype(np.int32)
    owner = (index % 2).astype(np.int32)
    owner[offsets[1:] - 1] = -1
    path = write_nano(
        tmp_path / "a.root",
        9,
        FatJet_pt=jagged(np.arange(0, 20, 2), np.arange(18, dtype=np.float32)),
        FatJet_rawFactor=None,
        FatJetPFCands_jetIdx=jagged(offsets, owner),
    )
    source = NanoAODJets(files=str(path), puppi=False, chunk=4, columns={"cms_pt": "FatJet_pt", "w": "genWeight"})
    check_source(source)
    sample = rows(source)
    np.testing.assert_array_equal(sample.column("cms_pt"), np.arange(18))
    np.testing.assert_array_equal(sample.column("jet"), np.arange(18) % 2)
    np.testing.assert_array_equal(sample.column("w"), np.full(18, 2.5))
    pt = ak.flatten(nano_branches(9)["PFCands_pt"]).to_numpy()
    particles = sample.collection("constituents")
    for event in range(9):
        inside = np.arange(offsets[event], offsets[event + 1])
        for jet in (0, 1):
            expected = pt[inside[owner[inside] == jet]]
            found = particles.take(2 * event + jet)
            np.testing.assert_array_equal(found["pt"], expected)


@pytest.mark.parametrize(("jets", "puppi"), [("FatJet", True), ("Jet", False)])
def test_candidates_are_weighted_as_the_jets_were_made(jets: str, puppi: bool, tmp_path: Path) -> None:
    """PUPPI candidates make FatJet, unweighted ones Jet; the other choice does not add up, and says so."""
    path = write_nano(tmp_path / "a.root", 9, jets=jets)
    source = NanoAODJets(files=str(path), jets=jets, columns={"given": f"{jets}_pt", "raw": f"{jets}_rawFactor"})  # type: ignore[arg-type]
    check_source(source)
    sample = rows(source)
    np.testing.assert_allclose(sample.column("pt"), sample.column("given") * (1 - sample.column("raw")), rtol=1e-5)
    chosen = NanoAODJets(files=str(path), jets=jets, puppi=puppi)  # type: ignore[arg-type]
    assert checksum(rows(chosen)) == checksum(rows(source.model_copy(update={"columns": {}})))
    wrong = NanoAODJets(files=str(path), jets=jets, puppi=not puppi)  # type: ignore[arg-type]
    said = (
        rf"puppi: {str(not puppi).lower()}, the candidates add up to .* of {jets}_pt .* Try puppi: {str(puppi).lower()}"
    )
    with pytest.raises(DataError, match=said) as caught:
        rows(wrong)
    assert f"{path}, entries 0 to 9" in str(caught.value)


@pytest.mark.parametrize("suffix", ["root", "parquet"])
@pytest.mark.parametrize("unit", ["GeV", "MeV", "TeV"])
def test_plain_files_of_any_unit_give_the_same_jets(tmp_path: Path, suffix: str, unit: str) -> None:
    offsets, fields = momenta(10)
    scale = np.float32({"GeV": 1, "MeV": 1000, "TeV": 0.001}[unit])
    scaled = {name: v * scale if name in ("pt", "mass") else v for name, v in fields.items()}
    path = tmp_path / f"a.{suffix}"
    branches = {f"part_{name}": jagged(offsets, v) for name, v in scaled.items()}
    options = {"fields": {name: f"part_{name}" for name in fields}, "unit": unit, "chunk": 4}
    if suffix == "root":
        source: TableSource = Root(files=str(write_tree(path, "t", branches)), **options)  # type: ignore[arg-type]
    else:
        ak.to_parquet(ak.Array(branches), path)
        source = Parquet(files=str(path), **options)  # type: ignore[arg-type]
    check_source(source)
    sample = rows(source)
    np.testing.assert_allclose(sample.collection("constituents")["pt"], fields["pt"], rtol=1e-6)
    four = cartesian(fields)
    row = np.repeat(np.arange(10), np.diff(offsets))
    px, py = (np.bincount(row, four[name]) for name in ("px", "py"))
    np.testing.assert_allclose(sample.column("pt"), np.hypot(px, py), rtol=1e-5)


def test_cartesian_events_and_records_in_parquet(tmp_path: Path) -> None:
    offsets, fields = momenta(10)
    branches = {name: jagged(offsets, values) for name, values in cartesian(fields).items()}
    path = write_tree(tmp_path / "a.root", "t", branches)
    events = RootEvents(files=str(path), fields={name: name for name in branches}, chunk=3)
    check_source(events)
    found = rows(events).collection("particles")
    np.testing.assert_allclose(found["pt"], fields["pt"], rtol=1e-6)
    np.testing.assert_allclose(np.hypot(found["mass"], 0), fields["mass"], atol=0.5)  # of E - p in single precision
    write_plain_parquet(tmp_path / "a.parquet", 10)
    lists, records = (
        rows(Parquet(files=str(tmp_path / "a.parquet"), fields={k: f"{p}{k}" for k in fields}, chunk=3))
        for p in ("part_", "parts.")
    )
    assert checksum(lists) == checksum(records)


def test_an_rntuple_reads_as_the_tree_it_was_made_from(tmp_path: Path) -> None:
    branches = nano_branches(10)
    with uproot.recreate(tmp_path / "n.root") as file:
        file.mkrntuple("Events", ak.Array(branches))
    write_nano(tmp_path / "t.root", 10)
    one, other = (rows(NanoAODJets(files=str(tmp_path / name), chunk=4)) for name in ("n.root", "t.root"))
    assert checksum(one.with_columns(event=other.column("event"))) == checksum(other)


def test_fields_of_an_rntuple_are_found_below_the_collections_of_the_importer(tmp_path: Path) -> None:
    branches = nano_branches(10)
    groups: dict[str, dict[str, ak.Array]] = {}
    for name, values in branches.items():
        groups.setdefault(name.partition("_")[0], {})[name] = values
    made = {f"_collection{k}": ak.zip(group) for k, group in enumerate(groups.values()) if "genWeight" not in group}
    with uproot.recreate(tmp_path / "n.root") as file:
        file.mkrntuple("Events", ak.Array({**made, "genWeight": branches["genWeight"]}))
    write_nano(tmp_path / "t.root", 10)
    options = {"weight": "genWeight", "columns": {"given": "FatJet_pt"}}
    one, other = (rows(NanoAODJets(files=str(tmp_path / name), **options)) for name in ("n.root", "t.root"))  # type: ignore[arg-type]
    assert checksum(one.with_columns(event=other.column("event"))) == checksum(other)


def test_records_of_an_rntuple_have_branches_of_their_own(tmp_path: Path) -> None:
    """As ``file["t"] = {"part": ak.zip(...)}`` of uproot writes them, and a record of lists beside it."""
    offsets, fields = momenta(10)
    four = {name: jagged(offsets, values) for name, values in cartesian(fields).items()}
    flat = write_tree(tmp_path / "flat.root", "t", four)
    made = {"part": ak.zip(four), "lists": ak.zip(four, depth_limit=1), "label": np.arange(10)}
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mkrntuple("t", ak.zip(made, depth_limit=1))
    with open_root(tmp_path / "a.root") as table:
        assert {*table.names} == {"label", *(f"{kind}.{name}" for kind in ("part", "lists") for name in four)}
    expected = checksum(rows(RootEvents(files=str(flat), fields={name: name for name in four})))
    for kind in ("part", "lists"):
        source = RootEvents(files=str(tmp_path / "a.root"), fields={k: f"{kind}.{k}" for k in four}, chunk=3)
        check_source(source)
        found = rows(source)
        event = rows(RootEvents(files=str(flat), fields={name: name for name in four})).column("event")
        assert checksum(found.with_columns(event=event)) == expected
    with pytest.raises(DataError, match=r"it has label, lists.energy, .* part.px"):
        Root(files=str(tmp_path / "a.root")).writes()
    with pytest.raises(DataError, match=r"no branch 'part'; did you mean 'part.p"):
        rows(RootEvents(files=str(tmp_path / "a.root"), fields={**source.fields, "px": "part"}))


@pytest.mark.parametrize("spelling", ["E", "e", "Energy", "energy"])
@pytest.mark.parametrize("source", [Root, Parquet])
def test_the_energy_goes_by_several_names(source: type[PlainSource], spelling: str) -> None:
    fields = {"px": "a", "py": "b", "pz": "c", spelling: "d", "Charge": "e"}
    assert source(files="a", fields=fields).fields == {"px": "a", "py": "b", "pz": "c", "energy": "d", "Charge": "e"}
    with pytest.raises(ValueError, match="once; found px, py, pz, E, energy"):
        source(files="a", fields={"px": "a", "py": "b", "pz": "c", "E": "d", "energy": "d"})


def test_any_chunks_give_the_same_rows(tmp_path: Path) -> None:
    path = write_plain_parquet(tmp_path / "a.parquet", 23, groups=5)
    options = {"fields": {"pt": "part_pt", "eta": "part_eta", "phi": "part_phi"}, "columns": {"label": "is_signal"}}
    whole = rows(Parquet(files=str(path), **options))  # type: ignore[arg-type]
    for chunk in (1, 4, 5, 7, 23, 100):
        parts = rows(Parquet(files=str(path), chunk=chunk, **options))  # type: ignore[arg-type]
        event = whole.column("event")
        assert checksum(parts.with_columns(event=event)) == checksum(whole)


def test_collections_are_joined_row_by_row() -> None:
    one = Ragged(np.array([0, 2, 2, 3]), {"pt": np.array([1.0, 2.0, 3.0])})
    two = Ragged(np.array([0, 1, 2, 2]), {"pt": np.array([4.0, 5.0])})
    both = joined([one, two])
    assert both.offsets.tolist() == [0, 3, 4, 5]
    assert both["pt"].tolist() == [1, 2, 4, 5, 3]


def test_files_are_recognised_by_what_they_hold(tmp_path: Path) -> None:
    paths = [write_jetclass(tmp_path / "jetclass.root", 3), write_nano(tmp_path / "nano.root", 3)]
    paths.append(write_plain_parquet(tmp_path / "plain.parquet", 3))
    found = [[source.name for source in SOURCES if source.recognise(path) is not None] for path in paths]
    assert found == [["jetclass", "root"], ["nanoaod", "nanoaod_jets", "root"], ["parquet"]]
