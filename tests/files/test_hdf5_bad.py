"""Bad HDF5 files: each gives one clear error that names the file."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import hdf5_layouts as layouts
import numpy as np
import pytest
from test_hdf5_layouts import made

from hepimg.components import Shard
from hepimg.errors import DataError
from hepimg_files.hdf5 import file as hdf5

Spoil = Callable[[h5py.File, Path], object]


def replaced(name: str, values: Any, **attributes: str) -> Spoil:
    """Another dataset in its place."""

    def spoil(file: h5py.File, folder: Path) -> None:
        del file[name]
        file.create_dataset(name, data=values).attrs.update(attributes)

    return spoil


def put(name: str, place: Any, value: float) -> Spoil:
    """Another value at a place."""

    def spoil(file: h5py.File, folder: Path) -> None:
        values = file[name][:]
        values[place] = value
        file[name][:] = values

    return spoil


def scaled(name: str, factor: Any) -> Spoil:
    """The same numbers in another unit."""

    def spoil(file: h5py.File, folder: Path) -> None:
        file[name][:] = file[name][:] * factor

    return spoil


def linked(link: Any) -> Spoil:
    """A link in place of the constituents."""

    def spoil(file: h5py.File, folder: Path) -> None:
        file.move("constituents", "elsewhere")
        file["constituents"] = link

    return spoil


def virtual(file: h5py.File, folder: Path) -> None:
    """A virtual dataset over another file."""
    layout = h5py.VirtualLayout((50, 40, 4), "f4")
    layout[:] = h5py.VirtualSource(folder / "other.h5", "x", (50, 40, 4))
    del file["constituents"]
    file.create_virtual_dataset("constituents", layout).attrs["columns"] = "pt,eta,phi,mass"


def external(file: h5py.File, folder: Path) -> None:
    """Numbers that lie in another file."""
    del file["constituents"]
    (folder / "raw").write_bytes(bytes(32_000))
    stored = file.create_dataset("constituents", (50, 40, 4), "f4", external=[(folder / "raw", 0, 32_000)])
    stored.attrs["columns"] = "pt,eta,phi,mass"


def created(shape: tuple[int, ...], filters: Callable[[Any], object] = id, **options: Any) -> Spoil:
    """Another dataset of constituents, with filters set by h5py's lower level; nothing is written to it."""

    def spoil(file: h5py.File, folder: Path) -> None:
        del file["constituents"]
        if filters is id:
            stored = file.create_dataset("constituents", shape, "f4", **options)
        else:
            plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plist.set_chunk(shape)
            filters(plist)
            space = h5py.h5s.create_simple(shape)
            stored = h5py.Dataset(h5py.h5d.create(file.id, b"constituents", h5py.h5t.IEEE_F32LE, space, plist))
            stored[:] = 1
        stored.attrs["columns"] = "pt,eta,phi,mass"

    return spoil


def bomb(rows: int, size: int) -> Spoil:
    """A chunk of gzip that unpacks to ``size`` bytes of zeros, in place of the constituents."""

    def spoil(file: h5py.File, folder: Path) -> None:
        del file["constituents"]
        n = len(file["n"])
        chunks = {"chunks": (rows, 40, 4), "maxshape": (None, 40, 4), "compression": "gzip"}
        stored = file.create_dataset("constituents", (n, 40, 4), "f4", **chunks)
        stored.attrs["columns"] = "pt,eta,phi,mass"
        packer = zlib.compressobj(9)
        packed = b"".join(packer.compress(bytes(2**20)) for _ in range(size >> 20)) + packer.flush()
        for row in range(0, n, rows):
            stored.id.write_direct_chunk((row, 0, 0), packed)

    return spoil


def twice(plist: Any) -> None:
    plist.set_deflate(9)
    plist.set_deflate(9)


def table(width: int, labels: int = 1) -> Spoil:
    """A table of another width, or with other labels."""

    def spoil(file: h5py.File, folder: Path) -> None:
        del file["table/table"]
        kinds = [("index", "i8"), ("values_block_0", "f4", (width,)), ("values_block_1", "i8", (2,))]
        rows = np.zeros(50, kinds)
        rows["values_block_1"] = labels
        file["table/table"] = rows

    return spoil


def binning(text: str) -> Spoil:
    def spoil(file: h5py.File, folder: Path) -> None:
        (folder / "binning.xml").write_text(text)

    return spoil


def event(name: str, values: Any) -> Spoil:
    """An image group beside the constituents."""

    def spoil(file: h5py.File, folder: Path) -> None:
        group = file.create_group("images/a")
        group.attrs["grid"] = '{"eta": [-1, 1], "phi": [-1, 1], "shape": [2, 2]}'
        group.attrs["channels"] = '[["pt", "GeV", false, ""]]'
        content = {"offsets": np.arange(51), "cells": np.zeros(50, "i4"), "values": np.ones((50, 1), "f4")}
        for key, array in (content | {name: values}).items():
            group[key] = array

    return spoil


def late(file: h5py.File, folder: Path) -> None:
    """A space-like particle, the fifth of row 37."""
    stored = file["constituents"]
    four = layouts.cartesian(stored[:])
    four[37, 4, 0] = 0.5
    stored[:] = four
    stored.attrs.modify("columns", "E,px,py,pz")


def tracks(file: h5py.File, folder: Path) -> None:
    """A collection of no particles: nothing tells which of its entries are padding."""
    file.create_dataset("tracks", data=np.ones((50, 2, 2))).attrs["columns"] = "d0,charge"


def truth(file: h5py.File, folder: Path) -> None:
    """A space-like parton in row 7."""
    rows = file["table/table"][:]
    rows["values_block_0"][7, 800] = 0.5
    file["table/table"][:] = rows


PT = (3, 0, 0)
OFFSETS = np.arange(51)[::-1].copy()
ENTITIES = '<!DOCTYPE a [<!ENTITY b "bb">]><Bins><Bin name="photon"/></Bins>'

BAD: dict[str, tuple[str, Spoil, str]] = {
    "missing dataset": ("lagan", lambda f, _: f.move("signal", "x"), "no dataset 'signal'; known: image, jet_delta_R"),
    "missing counts": ("plain", tracks, "no dataset 'n_tracks'; needed: how many entries of tracks each row has"),
    "counts that are stated": (
        "plain", lambda f, _: f["constituents"].attrs.__setitem__("counts", "number"), "no dataset 'number'; needed"
    ),
    "misspelt dataset": (
        "plain", lambda f, _: f.move("constituents", "pflow"),
        r"no dataset 'constituents'; there are label \(50,\), n \(50,\), pflow \(50, 40, 4\); needed: padded .*: NAME",
    ),
    "a dataset of events, no constituents": (
        "plain", lambda f, _: f.move("n", "event") or f.move("constituents", "events/pflow"),
        r"there are event \(50,\), label \(50,\), events/pflow \(50, 40, 4\); needed",
    ),
    "groups within themselves": (
        "plain", lambda f, _: f.pop("constituents") and f.create_group("g").__setitem__("again", f["g"]),
        r"there are label \(50,\), n \(50,\)",
    ),
    "a table": ("plain", replaced("constituents", np.zeros((50, 9), [("pt", "f4")]), columns="pt"), "holds .*'pt'"),
    "one column twice": (
        "plain", lambda f, _: f["constituents"].attrs.modify("columns", "pt,eta,phi,Phi"), "one column twice among pt"
    ),
    "soft link": ("plain", linked(h5py.SoftLink("/elsewhere")), "is a link to another place or file"),
    "external link": ("plain", linked(h5py.ExternalLink("other.h5", "/x")), "is a link to another place or file"),
    "virtual dataset": ("plain", virtual, "lie in other files"),
    "external storage": ("plain", external, "lie in other files"),
    "group for a dataset": ("lagan", lambda f, _: (f.pop("signal"), f.create_group("signal")), "signal is no dataset"),
    "text": ("lagan", replaced("jet_pt", np.array(["one"] * 50, "S3")), r"jet_pt holds \|S3"),
    "variable length": (
        "lagan", lambda f, _: (f.pop("jet_pt"), f.create_dataset("jet_pt", (50,), h5py.vlen_dtype(float))),
        "jet_pt holds object",
    ),
    "references": (
        "lagan", lambda f, _: (f.pop("jet_pt"), f.create_dataset("jet_pt", (50,), h5py.ref_dtype)),
        "jet_pt holds object",
    ),
    "single value": ("lagan", replaced("jet_pt", 1.0), "jet_pt is a single value"),
    "wrong shape": ("lagan", replaced("image", np.ones((50, 24, 25))), r"shape \(50, 24, 25\); needed: \(n, 25, 25\)"),
    "other lengths": ("lagan", replaced("signal", np.ones(49)), "signal has 49 rows, image has 50"),
    "negative n": ("plain", put("n", 3, -1), "n = -1 in row 3; needed: 0 ... 40"),
    "absurd n": ("plain", put("n", 7, 2_000_000_000), "n = 2000000000 in row 7; needed: 0 ... 40"),
    "fractional n": ("plain", replaced("n", np.full(50, 1.5)), "n holds float64; needed: whole numbers"),
    "NaN": ("plain", put("constituents", PT, np.nan), "pt = nan, row 3|row 3 .*pt = nan"),
    "infinity": ("plain", put("constituents", PT, np.inf), "row 3 .*pt = inf"),
    "eta of 999.9": ("plain", put("constituents", (3, 0, 1), 999.9), r"entry 3, .*\[0\]: eta = 999.9; needed"),
    "negative pt": ("plain", put("constituents", PT, -5), "pt = -5; needed: finite, not negative"),
    "degrees": ("plain", put("constituents", (3, 0, 2), 120), "phi. = 120; needed: an azimuth in radians"),
    "MeV": ("plain", scaled("constituents", np.array([1000.0, 1, 1, 1])), "these look like MeV"),
    "no names": ("plain", lambda f, _: f["constituents"].attrs.pop("columns"), "no attribute columns"),
    "too few names": (
        "plain", lambda f, _: f["constituents"].attrs.modify("columns", "pt,eta"), r"for the columns pt,eta"
    ),
    "names without eta": (
        "plain", lambda f, _: f["constituents"].attrs.modify("columns", "pt,a,phi,mass"), "no column eta"
    ),
    "names that are numbers": (
        "plain", lambda f, _: f["constituents"].attrs.__setitem__("columns", 4), "columns of constituents is no text"
    ),
    "odd types": (
        "plain", lambda f, _: f["constituents"].attrs.modify("dtypes", "O,O,O,O"), "attribute dtypes of constituents"
    ),
    "space-like": (
        "plain", lambda f, _: f["constituents"].attrs.modify("columns", "E,px,py,pz"), "E = .* is smaller than .p."
    ),
    "space-like in a later row": ("plain", late, r"entry 37, particles\[4\]: E = 0.5 is smaller than .p. = "),
    "space-like truth": ("top_tagging", truth, r"entry 7, truth: E = 0.5 is smaller than .p. = "),
    "a dataset row": ("plain", lambda f, _: f.create_dataset("row", data=np.arange(50)), "a dataset row, a name that"),
    "a dataset sample": ("plain", lambda f, _: f.move("label", "sample"), "a dataset sample, .*needed: another name"),
    "petabytes unwritten": ("plain", created((10**12, 40, 4), chunks=(1, 40, 4)), "claims 1000000000000 rows"),
    "never written": ("plain", created((50, 40, 4)), "constituents was never written"),
    "chunks never written": ("plain", created((50, 40, 4), chunks=(9, 40, 4)), "rows from 0 on were never written"),
    "huge chunks": (
        "plain", created((50, 4000, 4), chunks=(50_000, 4000, 4), maxshape=(None, 4000, 4)), "has chunks of 3052 MiB"
    ),
    "gzip bomb": ("plain", bomb(1, 2**24), "a chunk of 640 bytes unpacks to"),
    "large gzip bomb": ("plain", bomb(2000, 2**28 + 2**25), "a chunk of 1280000 bytes unpacks to"),
    "gzip twice": ("plain", created((50, 40, 4), twice), "compressed 2 times over"),
    "other filter": (
        "plain", created((50, 40, 4), lambda plist: plist.set_scaleoffset(2, 0)), "by HDF5's filter 6; needed: gzip"
    ),
    "falling offsets": ("plain", event("offsets", OFFSETS), "images/a/offsets do not ascend"),
    "cells off the grid": ("plain", event("cells", np.full(50, 4, "i4")), "a cell number outside 0 ... 3"),
    "wide cells": ("plain", event("cells", np.zeros(50, "i8")), "cells holds int64"),
    "normalised images": ("lagan", scaled("image", 1e-3), "sum to .* times its jet_pt"),
    "labels beyond 1": ("lagan", put("signal", 4, 2), "signal = 2 in row 4"),
    "NaN in an image": ("lagan", put("image", (5, 3, 3), np.nan), "image = nan in row 5"),
    "fractional mask": ("jetnet", put("particle_features", (6, 0, 3), 0.5), "a mask of 0.5 in row 6"),
    "momenta not relative": (
        "jetnet", scaled("particle_features", np.array([1.0, 1, 1000, 1])), "ptrel of a median jet sum to 980"
    ),
    "jet features": ("jetnet", replaced("jet_features", np.ones((50, 3))), r"jet_features has shape \(50, 3\)"),
    "table without truth": ("top_tagging", table(802), r"blocks of \[802, 2\] columns"),
    "odd labels": ("top_tagging", table(804, 7), "labels beyond 0, 1, 2"),
    "another key": ("top_tagging", lambda f, _: f.move("table", "tables"), "did you mean 'tables'"),
    "other binning": ("calochallenge", replaced("showers", np.ones((50, 53))), "the binning of photon has 54 voxels"),
    "GeV in showers": ("calochallenge", scaled("showers", 1e-3), "a median shower deposits 0.0009"),
    "no energy": ("calochallenge", put("incident_energies", 9, 0), "incident_energies = 0 in row 9"),
    "entities": ("calochallenge", binning(ENTITIES), "with entities"),
    "broken XML": ("calochallenge", binning("<Bins>"), r"binning\.xml: no XML"),
    "no such particle": ("calochallenge", binning('<Bins><Bin name="photons"/></Bins>'), "did you mean 'photons'"),
    "falling radii": (
        "calochallenge", binning('<Bins><Bin name="photon"><Layer id="0" r_edges="5,0" n_bin_alpha="1"/></Bin></Bins>'),
        "layer 0: .*edges must ascend",
    ),
    "negative deposit": ("calogan", put("layer_1", (2, 3, 4), -1), "image 2 has a negative value"),
    "energy in MeV": ("calogan", scaled("energy", 1000), "a median shower deposits"),
}  # fmt: skip


def load(source: Any) -> None:
    """Read everything, as ``hepimg data`` does: what it promises first."""
    source.writes()
    for k, part in enumerate(source.parts()):
        list(source.batches(Shard(k, None, 1, part)))


@pytest.mark.parametrize("case", BAD)
def test_bad_content(case: str, tmp_path: Path) -> None:
    layout, spoil, message = BAD[case]
    source = made(layout, tmp_path)
    with h5py.File(tmp_path / f"{layout}.h5", "r+") as file:
        spoil(file, tmp_path)
    with pytest.raises(DataError, match=message) as raised:
        load(source)
    assert str(tmp_path) in raised.value.where


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda whole: b"", "not an HDF5 file: it is empty"),
        (lambda whole: b"<!DOCTYPE html><html>not found", "it starts with b'<!DOCTYPE html>"),
        (lambda whole: whole[: len(whole) // 2], "truncated file"),
        (lambda whole: whole[:100], "damaged, or not of this layout"),
        (lambda whole: whole[:600] + bytes(200) + whole[800:], "damaged, or not of this layout"),
    ],
)
def test_damaged_files(content: Callable[[bytes], bytes], message: str, tmp_path: Path) -> None:
    source = made("plain", tmp_path)
    path = tmp_path / "plain.h5"
    path.write_bytes(content(path.read_bytes()))
    with pytest.raises(DataError, match=message) as raised:
        load(source)
    assert raised.value.where == str(path)


def test_a_heap_that_never_ends(tmp_path: Path) -> None:
    """The length of what is free in the heap of texts is 0: libhdf5 2.0.0 would look for its end for ever."""
    source = made("plain", tmp_path)
    content = bytearray((tmp_path / "plain.h5").read_bytes())
    text = content.index(b"pt,eta,phi,mass\0")
    assert content[text + 16 : text + 18] == b"\0\0"  # object 0
    content[text + 24 : text + 32] = bytes(8)
    (tmp_path / "plain.h5").write_bytes(content)
    with pytest.raises(DataError, match="a damaged heap of texts"):
        load(source)


def test_too_much_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5, "MAX_READ", 10_000)
    with pytest.raises(DataError, match=r"50 rows of constituents take .* smaller chunk, such as chunk: 7"):
        load(made("plain", tmp_path))
    load(made("plain", tmp_path, chunk=7))


def test_blosc_needs_its_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = pytest.importorskip("hdf5plugin", reason="hdf5plugin is not installed: h5py has no blosc")
    source = made("plain", tmp_path)
    with h5py.File(tmp_path / "plain.h5", "r+") as file:
        jets = file["constituents"][:]
        del file["constituents"]
        stored = file.create_dataset("constituents", data=jets, chunks=(20, 40, 4), **plugin.Blosc())
        stored.attrs["columns"] = "pt,eta,phi,mass"
    load(source)
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda code: False)
    with pytest.raises(DataError, match=r"compressed by blosc, which h5py lacks\. pip install hdf5plugin"):
        load(source)


def test_a_blosc_buffer_that_claims_more_than_its_chunk(tmp_path: Path) -> None:
    plugin = pytest.importorskip("hdf5plugin", reason="hdf5plugin is not installed: h5py has no blosc")
    source = made("plain", tmp_path)
    with h5py.File(tmp_path / "plain.h5", "r+") as file:
        del file["constituents"]
        stored = file.create_dataset("constituents", (50, 40, 4), "f4", chunks=(50, 40, 4), **plugin.Blosc())
        stored.attrs["columns"] = "pt,eta,phi,mass"
        stored[:] = 1
        raw = bytearray(stored.id.read_direct_chunk((0, 0, 0))[1])
        raw[4:8] = (2**31).to_bytes(4, "little")
        stored.id.write_direct_chunk((0, 0, 0), bytes(raw))
    with pytest.raises(DataError, match="unpacks to 2147483648 or more"):
        load(source)


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    layouts.write_top_tagging(tmp_path / "a.h5", 5)
    assert b"cos\n_exit" in (tmp_path / "a.h5").read_bytes()
    load(made("top_tagging", tmp_path))
