"""Each HDF5 layout, read back against the numbers that its file was made of."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import hdf5_layouts as layouts
import numpy as np
import pytest
import vector

from hepimg.components import Shard
from hepimg.errors import DataError
from hepimg.sample import Sample
from hepimg.shards import checksum
from hepimg.show import describe_file
from hepimg.testing import check_component, check_source
from hepimg_files.hdf5.calochallenge import CaloChallenge
from hepimg_files.hdf5.calogan import CaloGan
from hepimg_files.hdf5.jetnet import JetNet
from hepimg_files.hdf5.lagan import Lagan
from hepimg_files.hdf5.plain import Hdf5Events, PlainHdf5
from hepimg_files.hdf5.top_tagging import TopTagging
from hepimg_files.source import FileSource

SOURCES: dict[str, type[FileSource]] = {
    "top_tagging": TopTagging,
    "lagan": Lagan,
    "jetnet": JetNet,
    "plain": PlainHdf5,
    "exported": PlainHdf5,
    "calochallenge": CaloChallenge,
    "calogan": CaloGan,
}


def made(layout: str, folder: Path, n: int = 50, **options: Any) -> FileSource:
    """The source of a layout, with a file of its own."""
    path = folder / f"{layout}.h5"
    if layout == "calochallenge":
        layouts.write_calochallenge(path, folder / "binning.xml", n)
        options |= {"binning": str(folder / "binning.xml"), "particle": "photon"}
    else:
        getattr(layouts, f"write_{layout}")(path, n)
    return SOURCES[layout](files=str(path), **options)


def load(source: FileSource) -> Sample:
    """All rows of a source."""
    shards = [Shard(k, None, 1, part) for k, part in enumerate(source.parts())]
    return Sample.concatenate([batch for shard in shards for batch in source.batches(shard)])


def summed(jets: np.ndarray[Any, Any]) -> Any:
    """The sums of (n, maximum, 4) pt, eta, phi, mass, by vector."""
    pt, eta, phi, mass = np.moveaxis(jets.astype(np.float64), -1, 0)
    return vector.array({"pt": pt, "eta": eta, "phi": phi, "mass": mass}).sum(axis=1)


@pytest.mark.parametrize("layout", SOURCES)
def test_sources_keep_the_contract(layout: str, tmp_path: Path) -> None:
    check_component(SOURCES[layout])
    check_source(made(layout, tmp_path, chunk=20))


@pytest.mark.parametrize("layout", SOURCES)
def test_chunks_make_no_difference(layout: str, tmp_path: Path) -> None:
    whole, pieces = (load(made(layout, tmp_path, chunk=chunk)) for chunk in (100, 7))
    for name in (name for name in whole.columns if name != "event"):
        np.testing.assert_array_equal(whole.column(name), pieces.column(name))
    for name, ragged in whole.collections.items():
        np.testing.assert_array_equal(ragged["pt"], pieces.collection(name)["pt"])
    assert dict(whole.images) == dict(pieces.images)


@pytest.mark.parametrize("form", ["table", "fixed"])
def test_top_tagging(form: str, tmp_path: Path) -> None:
    layouts.write_top_tagging(tmp_path / "a.h5", 30, form=form)
    sample = load(TopTagging(files=str(tmp_path / "a.h5")))
    counts, jets = layouts.random_jets(30, 1, 200)
    np.testing.assert_array_equal(sample.collection("constituents").counts, counts)
    expected = summed(jets)
    for name in ("pt", "eta", "phi", "mass"):
        np.testing.assert_allclose(sample.column(name), getattr(expected, name), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(sample.collection("constituents")["pt"], jets[jets[..., 0] > 0][:, 0], rtol=1e-5)
    np.testing.assert_array_equal(sample.column("is_signal"), np.arange(30) % 2)
    np.testing.assert_allclose(sample.column("truth_mass"), 173 * (np.arange(30) % 2), rtol=1e-4)


def test_lagan(tmp_path: Path) -> None:
    sample = load(made("lagan", tmp_path))
    with h5py.File(tmp_path / "lagan.h5") as file:
        dense, pt = file["image"][:], file["jet_pt"][:]
    image = sample.image("image")
    np.testing.assert_array_equal(sample.column("pt"), pt)
    assert image.values.min() >= 1e-3
    # The authors' own coordinates: eta grows with the column, phi falls with the row.
    centres = np.linspace(-1.2, 1.2, 25)
    kept = np.where(dense >= 1e-3, dense, 0)
    eta, phi = image.grid.centres(image.cells)
    row = np.repeat(np.arange(50), image.counts)
    for there, here in ((centres, eta), (centres[::-1, None], phi)):
        found = np.bincount(row, image.values[:, 0] * here, 50)
        np.testing.assert_allclose(found, (kept * there).sum(axis=(1, 2)), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("with_type", [False, True])
def test_jetnet(with_type: bool, tmp_path: Path) -> None:
    layouts.write_jetnet(tmp_path / "a.h5", with_type=with_type)
    sample = load(JetNet(files=str(tmp_path / "a.h5")))
    with h5py.File(tmp_path / "a.h5") as file:
        particles, jets = file["particle_features"][:], file["jet_features"][:, -4:]
    constituents = sample.collection("constituents")
    assert ("type" in sample.columns) == with_type
    np.testing.assert_array_equal(constituents.counts, jets[:, 3])
    np.testing.assert_array_equal(sample.column("mass"), jets[:, 2])
    first = constituents.offsets[:-1]
    np.testing.assert_allclose(constituents["pt"][first], particles[:, 0, 2] * jets[:, 0], rtol=1e-6)
    np.testing.assert_allclose(constituents["y"][first], particles[:, 0, 0] + jets[:, 1], atol=1e-6)
    np.testing.assert_allclose(constituents["phi"][first], particles[:, 0, 1], atol=1e-6)
    expected = vector.array({"pt": jets[:, 0], "eta": jets[:, 1], "phi": jets[:, 0] * 0, "mass": jets[:, 2]})
    np.testing.assert_allclose(sample.column("y"), expected.rapidity, atol=1e-5)


@pytest.mark.parametrize("columns", ["pt,eta,phi,mass", "E,px,py,pz", "pt,y,phi"])
@pytest.mark.parametrize("unit", ["GeV", "MeV"])
def test_plain_takes_any_convention(columns: str, unit: str, tmp_path: Path) -> None:
    counts, jets = layouts.random_jets(20, 3)
    if columns == "pt,y,phi":
        jets[..., 3] = 0
    stored = {"E,px,py,pz": layouts.cartesian(jets), "pt,y,phi": jets[..., :3].copy()}.get(columns, jets.copy())
    for k, name in enumerate(columns.split(",")):
        stored[..., k] *= 1 if name in ("eta", "y", "phi") else {"GeV": 1, "MeV": 1000}[unit]
    stored[np.arange(stored.shape[1]) >= counts[:, None]] = np.nan  # entries from n[i] on are ignored
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["jets"], file["n"] = stored, counts
    source = PlainHdf5(files=str(tmp_path / "a.h5"), constituents="jets", columns=tuple(columns.split(",")), unit=unit)  # type: ignore[arg-type]
    sample = load(source)
    expected = summed(jets)
    for name in ("pt", "eta", "phi", "mass"):
        np.testing.assert_allclose(sample.column(name), getattr(expected, name), rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("columns", ["pt,eta,phi,mass", "energy,px,py,pz", "pt,y,phi"])
def test_without_counts_entries_without_momentum_are_padding(columns: str, tmp_path: Path) -> None:
    """The same jets as with counts, also where padding stands between the particles, and in a group of the file."""
    counts, jets = layouts.random_jets(20, 3)
    jets[..., 3] *= columns != "pt,y,phi"
    stored = layouts.cartesian(jets) if "energy" in columns else jets[..., : columns.count(",") + 1].copy()
    if "pt" in columns:
        stored[np.arange(stored.shape[1]) >= counts[:, None], 1] = 0.7  # a direction of nothing
    names = tuple(columns.split(","))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["jets"], file["n"] = stored, counts
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["all/jets"] = stored[:, np.arange(80) // 2] * (np.arange(80) % 2)[:, None]
        file["all/jets"].attrs["columns"] = columns
    told = load(PlainHdf5(files=str(tmp_path / "a.h5"), constituents="jets", columns=names))
    found = PlainHdf5(files=str(tmp_path / "b.h5"), constituents="all/jets", chunk=7)
    check_source(found)
    sample = load(found)
    np.testing.assert_array_equal(sample.collection("constituents").counts, counts)
    assert checksum(sample.with_columns(event=told.column("event"))) == checksum(told)


def test_any_file_that_no_layout_claims_is_taken_for_plain_jets(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["pflow"] = layouts.random_jets(5, 1)[1]
        file["link"] = h5py.ExternalLink("other.h5", "/x")
    recognised = [kind.name for kind in (*SOURCES.values(), Hdf5Events) if kind.recognise(tmp_path / "a.h5")]
    assert set(recognised) == {"hdf5"}
    with pytest.raises(
        DataError, match=r"there are pflow \(5, 40, 4\); .* constituents: NAME, columns: \[pt, eta, phi\]"
    ):
        describe_file(tmp_path / "a.h5", 2)
    layouts.write_plain(tmp_path / "b.h5", 5)
    with h5py.File(tmp_path / "b.h5", "r+") as file:
        del file["n"]
    assert "source: hdf5" in describe_file(tmp_path / "b.h5", 2)


def test_plain_columns_and_collections(tmp_path: Path) -> None:
    layouts.write_plain(tmp_path / "a.h5", 10)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["weight"], file["mass"] = np.full(10, 0.5), np.full(10, 80_000.0)
        file["mass"].attrs["unit"] = "MeV"
        file["name"] = np.array(["text"] * 10, "S4")
        tracks = file.create_dataset("tracks", data=np.ones((10, 2, 2)))
        tracks.attrs.update({"columns": "d0,charge", "units": "mm,e"})
        file["n_tracks"] = np.ones(10, int)
        file["event"] = np.arange(10) // 2 + 1_000_000
    source = PlainHdf5(files=str(tmp_path / "a.h5"))
    check_source(source)
    sample = load(source)
    assert set(sample.columns) == {"event", "weight", "label", "pt", "eta", "y", "phi", "mass"}
    assert set(sample.column("weight")) == {0.5}
    np.testing.assert_allclose(sample.column("mass"), 80)
    assert sample.units["mass"] == "GeV"
    assert sample.collection("tracks").units == {"d0": "mm", "charge": "e"}
    first, second = sample.column("event").reshape(5, 2).T
    np.testing.assert_array_equal(first, second)
    assert len(np.unique(first)) == 5


@pytest.mark.parametrize("stored", ["eta", "y"])
def test_directions_that_are_not_stored_agree_with_those_that_are(stored: str, tmp_path: Path) -> None:
    """Constituents relative to the jet say nothing about where it is."""
    layouts.write_plain(tmp_path / "a.h5", 10)
    given = {"pt": np.full(10, 500.0), "eta": np.linspace(-2, 2, 10), "phi": np.zeros(10), "mass": np.full(10, 80.0)}
    jets = vector.array(given)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["pt"], file["phi"], file["mass"] = jets.pt, jets.phi, jets.mass
        file[stored] = jets.eta if stored == "eta" else jets.rapidity
        file["constituents"][..., 1] = 0
    sample = load(PlainHdf5(files=str(tmp_path / "a.h5")))
    np.testing.assert_allclose(sample.column("y"), jets.rapidity, rtol=1e-5)
    np.testing.assert_allclose(sample.column("eta"), jets.eta, rtol=1e-5)


def test_plain_events(tmp_path: Path) -> None:
    layouts.write_plain(tmp_path / "a.h5", 10)
    source = Hdf5Events(files=str(tmp_path / "a.h5"))
    check_source(source)
    sample = load(source)
    assert (source.rows_out, set(sample.columns)) == ("event", {"event", "weight", "label"})
    np.testing.assert_array_equal(sample.collection("particles").counts, layouts.random_jets(10, 1)[0])


def test_plain_files_must_be_alike(tmp_path: Path) -> None:
    layouts.write_plain(tmp_path / "a.h5", 10)
    layouts.write_plain(tmp_path / "b.h5", 10)
    with h5py.File(tmp_path / "b.h5", "r+") as file:
        del file["label"]
    with pytest.raises(DataError, match=r"b\.h5: columns: none; needed: label, alike, as in .*a\.h5"):
        load(PlainHdf5(files=str(tmp_path / "*.h5")))


def test_calochallenge(tmp_path: Path) -> None:
    sample = load(made("calochallenge", tmp_path))
    with h5py.File(tmp_path / "calochallenge.h5") as file:
        showers, energies = file["showers"][:], file["incident_energies"][:, 0]
    assert list(sample.images) == ["layer_0", "layer_1", "layer_2", "layer_12"]
    np.testing.assert_allclose(sample.column("energy"), energies / 1000, rtol=1e-6)
    layer = sample.image("layer_1")
    assert layer.grid.shape == (10, 4)
    assert layer.grid.periodic == (True, False)
    # Radius first, then angle, then layer: voxel 3 + 4 a + r.
    assert layer.dense()[7, 0, 6, 3] == pytest.approx(showers[7, 3 + 4 * 6 + 3] / 1000)
    total = np.sum([image.sum()[:, 0] for image in sample.images.values()], axis=0)
    np.testing.assert_allclose(total, showers.sum(axis=1) / 1000, rtol=1e-5)


def test_calogan(tmp_path: Path) -> None:
    sample = load(made("calogan", tmp_path))
    with h5py.File(tmp_path / "calogan.h5") as file:
        for name in ("layer_0", "layer_1", "layer_2"):
            np.testing.assert_allclose(sample.image(name).dense()[:, 0], file[name][:] / 1000, rtol=1e-5)
        np.testing.assert_allclose(sample.column("energy"), file["energy"][:, 0], rtol=1e-6)
    layer = sample.image("layer_0").grid
    assert np.diff(layer.rows.all_edges) == pytest.approx(160)
    assert np.diff(layer.columns.all_edges) == pytest.approx(5)


@pytest.mark.parametrize(("name", "rows"), [("qcd", 766), ("top", 646)])
def test_pythia6(name: str, rows: int) -> None:
    folder = os.environ.get("HEPIMG_TEST_DATA")
    if not folder:
        pytest.skip("HEPIMG_TEST_DATA is not set: external test data are not here")
    sample = load(PlainHdf5(files=f"{folder}/pythia6/{name}.h5", chunk=300))
    assert len(sample) == rows
    assert sample.column("pt").min() > 399.9
    if name == "top":
        mass = sample.column("mass")
        counts, edges = np.histogram(mass, np.arange(100, 300, 6.0))
        peak = float(edges[np.argmax(counts)]) + 3
        assert 173 <= peak <= 185
        assert float(np.median(mass[np.abs(mass - peak) < 20])) == pytest.approx(176, abs=4)
