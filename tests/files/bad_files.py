"""Bad files of every source: each a good file of ``examples`` with one damage, and what the error says."""

from __future__ import annotations

import gzip
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import awkward as ak
import examples
import h5py
import hdf5_layouts as hdf5
import hepmc_layouts as hepmc
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import root_layouts as root
import test_hdf5_bad as hdf5_bad
import uproot

Damage = Callable[[Path], object]


@dataclass(frozen=True)
class Bad:
    """A file that is damaged, and what the error says.

    Args:
        source: the reader.
        damage: done to a good file.
        says: pattern of the words that matter.
        options: of the source.
        only_bad: options of the bad sample alone.
    """

    source: str
    damage: Damage
    says: str
    options: Mapping[str, Any] = field(default_factory=dict)
    only_bad: Mapping[str, Any] = field(default_factory=dict)


def edited(change: Callable[[bytes], bytes]) -> Damage:
    """Other bytes."""
    return lambda path: path.write_bytes(change(path.read_bytes()))


def holding(content: bytes) -> Damage:
    return lambda path: path.write_bytes(content)


def cut(share: float) -> Damage:
    return edited(lambda content: content[: int(len(content) * share)])


def flipped(place: int) -> Damage:
    """One bit."""
    return edited(lambda content: content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])


def in_hdf5(spoil: hdf5_bad.Spoil) -> Damage:
    def damage(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            spoil(file, path.parent)

    return damage


def without(name: str) -> Damage:
    """A dataset less."""
    return in_hdf5(lambda file, _: file.pop(name))


def table_with(place: tuple[int, ...], factor: float) -> Damage:
    """Some numbers of the top-tagging table, multiplied."""

    def spoil(file: h5py.File, _: Path) -> None:
        rows = file["table/table"][:]
        rows["values_block_0"][place] *= factor
        file["table/table"][:] = rows

    return in_hdf5(spoil)


def endless_heap(content: bytes) -> bytes:
    """The length of what is free in the heap of texts is 0: libhdf5 2.0.0 would look for its end for ever."""
    free = content.index(b"pt,eta,phi,mass\0") + 24
    return content[:free] + bytes(8) + content[free + 8 :]


def binning(text: str) -> Damage:
    return lambda path: path.with_name("binning.xml").write_text(text)


def jetclass(name: str, change: Callable[[Any], Any]) -> Damage:
    """Another branch in its place; None: it is missing."""
    return lambda path: root.write_jetclass(
        path, examples.ROWS, **{name: change(root.jetclass_branches(examples.ROWS)[name])}
    )


def nano(name: str, change: Callable[[Any], Any]) -> Damage:
    return lambda path: root.write_nano(path, examples.ROWS, **{name: change(root.nano_branches(examples.ROWS)[name])})


def third(value: float) -> Callable[[Any], Any]:
    """Another value for the third entry of a jagged branch."""

    def change(values: Any) -> Any:
        flat = ak.flatten(values).to_numpy().copy()
        flat[2] = value
        return ak.unflatten(flat, ak.num(values))

    return change


def claims_entries(path: Path) -> None:
    """Two to the forty entries."""
    root.write_tree(path, "tree", root.jetclass_branches(77), compression=None)
    path.write_bytes(path.read_bytes().replace(struct.pack(">q", 77), struct.pack(">q", 1 << 40)))


def description(path: Path) -> None:
    """hepimg's own description of an export, cut."""
    with uproot.update(path) as file:
        file["hepimg"] = '{"columns":'


def other_tree(path: Path) -> None:
    root.write_tree(path, "Jets", {"x": np.ones(3)})


def parquet(**columns: Callable[[pa.Table], Any]) -> Damage:
    """Other columns in their place."""

    def damage(path: Path) -> None:
        table = pq.read_table(path)
        for name, values in columns.items():
            table = table.set_column(table.column_names.index(name), name, values(table))
        pq.write_table(table, path, row_group_size=4)

    return damage


def part(name: str, place: int, value: float | None) -> Callable[[pa.Table], Any]:
    """One other particle."""

    def change(table: pa.Table) -> Any:
        lists = table[name].combine_chunks()
        values = lists.values.to_pylist()
        values[place] = value
        return pa.ListArray.from_arrays(lists.offsets, pa.array(values, pa.float32()))

    return change


def event(old: str, new: str) -> Damage:
    """Other words in a HepMC file, where the pattern first matches."""

    def change(content: bytes) -> bytes:
        changed, matches = re.subn(old.encode(), new.encode(), content, count=1)
        assert matches
        return changed

    return edited(change)


def packed(text: Callable[[], bytes]) -> Damage:
    """A HepMC file in gzip, whatever its name."""
    return lambda path: hepmc.write_hepmc(path.with_suffix(".gz"), text()).replace(path)


HTML = b"<!DOCTYPE html><html><body>404 Not Found</body></html>"
ENTITIES = '<!DOCTYPE a [<!ENTITY b "bb">]><Bins><Bin name="photon"/></Bins>'
PX = r"(P 6 5 11 )\S+"
FIELDS = {"fields": {name: f"part_{name}" for name in ("pt", "eta", "phi", "mass")}}
CARTESIAN = {"fields": {name: f"part_{name}" for name in ("px", "py", "pz", "energy")}}
CALO = {"binning": "binning.xml", "particle": "photon"}
DROP = {"drop_invalid": True}
KEEP = {"drop_invalid": False}

BAD: dict[str, Bad] = {
    "idx, truncated": Bad("idx", cut(0.7), r"cut: \d+ of 960 bytes"),
    "idx, cut in its sizes": Bad("idx", cut(0.01), "cut within its sizes"),
    "idx, labels": Bad("idx", edited(lambda c: c[:3] + b"\x01" + c[4:]), "a file of labels; needed: images"),
    "idx, floats": Bad("idx", edited(lambda c: c[:2] + b"\x0d" + c[3:]), "no IDX of unsigned bytes"),
    "idx, fewer images announced": Bad("idx", edited(lambda c: c[:7] + b"\x05" + c[8:]), "bytes after the last of 120"),
    "idx, absurd size": Bad("idx", edited(lambda c: c[:8] + b"\xff" + c[9:]), "images of 4278190086 x 4 pixels"),
    "idx, damaged gz": Bad("idx", edited(lambda c: gzip.compress(c)[:-9]), "damaged.*EOFError"),
    "idx, gz with a wrong checksum": Bad("idx", edited(lambda c: gzip.compress(c)[:-8] + bytes(8)), "damaged.*CRC"),
    "idx, a web page": Bad("idx", holding(HTML), "it begins with b'<!DO'"),
    "top_tagging, empty": Bad("top_tagging", holding(b""), "not an HDF5 file: it is empty"),
    "top_tagging, truncated": Bad("top_tagging", cut(0.5), "truncated file"),
    "top_tagging, no table": Bad("top_tagging", without("table/table"), "no dataset 'table/table'"),
    "top_tagging, NaN": Bad("top_tagging", table_with((7, 4), np.nan), "= nan in row 7"),
    "top_tagging, MeV": Bad("top_tagging", table_with((), 1000), "look like MeV"),
    "top_tagging, other columns": Bad("top_tagging", in_hdf5(hdf5_bad.table(802)), r"blocks of \[802, 2\] columns"),
    "lagan, a web page": Bad("lagan", holding(HTML), "it starts with b'<!DOCTYPE html>"),
    "lagan, missing dataset": Bad("lagan", without("jet_pt"), "no dataset 'jet_pt'; did you mean 'jet_"),
    "lagan, normalised": Bad("lagan", in_hdf5(hdf5_bad.scaled("image", 1e-3)), "sum to .* times its jet_pt"),
    "lagan, NaN": Bad("lagan", in_hdf5(hdf5_bad.put("image", (5, 3, 3), np.nan)), "image = nan in row 5"),
    "lagan, zeros inside": Bad("lagan", edited(lambda c: c[:600] + bytes(400) + c[1000:]), "damaged|no dataset"),
    "jetnet, truncated": Bad("jetnet", cut(0.9), "truncated file"),
    "jetnet, missing dataset": Bad("jetnet", without("jet_features"), "no dataset 'jet_features'"),
    "jetnet, GeV": Bad(
        "jetnet", in_hdf5(hdf5_bad.scaled("particle_features", np.array([1.0, 1, 1000, 1]))), "ptrel of a median jet"
    ),
    "jetnet, infinity": Bad(
        "jetnet", in_hdf5(hdf5_bad.put("particle_features", (2, 0, 0), np.inf)), "particle_features = inf in row 2"
    ),
    "hdf5, only the signature": Bad("hdf5", cut(0.001), "damaged, or not of this layout"),
    "hdf5, absurd n": Bad("hdf5", in_hdf5(hdf5_bad.put("n", 7, 2e9)), "n = 2000000000 in row 7; needed: 0 ... 40"),
    "hdf5, petabytes": Bad(
        "hdf5", in_hdf5(hdf5_bad.created((10**12, 40, 4), chunks=(1, 40, 4))), "claims 1000000000000 rows"
    ),
    "hdf5, gzip bomb": Bad("hdf5", in_hdf5(hdf5_bad.bomb(1, 2**24)), "a chunk of 640 bytes unpacks to"),
    "hdf5, gzip twice": Bad("hdf5", in_hdf5(hdf5_bad.created((40, 40, 4), hdf5_bad.twice)), "compressed 2 times over"),
    "hdf5, external link": Bad(
        "hdf5", in_hdf5(hdf5_bad.linked(h5py.ExternalLink("other.h5", "/x"))), "a link to another place or file"
    ),
    "hdf5, endless heap": Bad("hdf5", edited(endless_heap), "a damaged heap of texts"),
    "hdf5, eta = 999.9": Bad(
        "hdf5", in_hdf5(hdf5_bad.put("constituents", (3, 0, 1), 999.9)), r"entry 3, particles\[0\]: eta = 999.9"
    ),
    "hdf5, MeV": Bad("hdf5", in_hdf5(hdf5_bad.scaled("constituents", np.array([1e3, 1, 1, 1]))), "look like MeV"),
    "hdf5, no rows": Bad("hdf5", lambda path: hdf5.write_plain(path, 0), "hold no entry"),
    "hdf5_events, no label": Bad("hdf5_events", without("n_particles"), "no dataset 'n_particles'"),
    "calochallenge, missing dataset": Bad("calochallenge", without("showers"), "no dataset 'showers'", CALO),
    "calochallenge, GeV": Bad(
        "calochallenge", in_hdf5(hdf5_bad.scaled("showers", 1e-3)), "a median shower deposits 0.0009", CALO
    ),
    "calochallenge, NaN": Bad(
        "calochallenge", in_hdf5(hdf5_bad.put("showers", (9, 9), np.nan)), "showers = nan in row 9", CALO
    ),
    "calochallenge, no XML": Bad("calochallenge", binning("<Bins>"), r"binning\.xml: no XML", CALO),
    "calochallenge, entities": Bad("calochallenge", binning(ENTITIES), r"binning\.xml: .*entities", CALO),
    "calogan, missing layer": Bad("calogan", without("layer_2"), "no dataset 'layer_2'; did you mean 'layer_"),
    "calogan, MeV": Bad("calogan", in_hdf5(hdf5_bad.scaled("energy", 1000)), "a median shower deposits"),
    "calogan, negative": Bad("calogan", in_hdf5(hdf5_bad.put("layer_1", (2, 3, 4), -1)), "image 2 has a negative"),
    "jetclass, empty": Bad("jetclass", holding(b""), "not a ROOT file: it is empty"),
    "jetclass, text": Bad("jetclass", holding(b"pt,eta,phi\n1,2,3\n" * 100), "damaged, or not of this layout"),
    "jetclass, truncated": Bad("jetclass", cut(0.99), r"truncated: \d+ of \d+ bytes"),
    "jetclass, missing branch": Bad(
        "jetclass", jetclass("part_px", lambda _: None), "no branch 'part_px'; did you mean 'part_p"
    ),
    "jetclass, MeV": Bad("jetclass", jetclass("jet_pt", lambda v: v * 1000), "add up to 0.001 of jet_pt"),
    "jetclass, NaN": Bad("jetclass", jetclass("part_px", third(np.nan)), r"entry 0, constituents\[2\]: px = nan"),
    "jetclass, absurd length": Bad("jetclass", claims_entries, "claims 1099511627776 entries|damaged"),
    "nanoaod, no candidates": Bad("nanoaod", nano("PFCands_pt", lambda _: None), "no particle-flow candidates"),
    "nanoaod, another tree": Bad("nanoaod", other_tree, "no tree 'Events'; did you mean 'Jets'"),
    "nanoaod, degrees": Bad("nanoaod", nano("PFCands_phi", lambda v: v * 57.3), "azimuth in radians"),
    "nanoaod, eta = 999.9": Bad("nanoaod", nano("PFCands_eta", third(999.9)), "eta = 999.9"),
    "nanoaod_jets, missing branch": Bad(
        "nanoaod_jets", nano("FatJetPFCands_jetIdx", lambda _: None), "no branch 'FatJetPFCands_jetIdx'"
    ),
    "nanoaod_jets, a link beyond": Bad(
        "nanoaod_jets", nano("FatJetPFCands_pFCandsIdx", third(99)), "a link to particle 99 of"
    ),
    "nanoaod_jets, no events": Bad("nanoaod_jets", lambda path: root.write_nano(path, 0), "hold no entry"),
    "root, truncated": Bad("root", cut(0.7), "truncated|damaged"),
    "root, its description cut": Bad("root", description, "damaged, or not of this layout .JSONDecodeError"),
    "root, not written by hepimg": Bad("root", lambda path: root.write_jetclass(path, 9), "not written by hepimg"),
    "root, exchanged columns": Bad(
        "root", jetclass("part_energy", lambda v: v * 0.5), r"E = .* is smaller than .p. = ", CARTESIAN
    ),
    "root_events, zeros inside": Bad(
        "root_events", edited(lambda c: c[: len(c) // 4] + bytes(len(c) // 4) + c[len(c) // 4 * 2 :]), "damaged"
    ),
    "parquet, empty": Bad("parquet", holding(b""), "not a Parquet file: it is empty"),
    "parquet, truncated": Bad("parquet", cut(0.9), "damaged, or not of this layout"),
    "parquet, a footer of absurd length": Bad(
        "parquet", edited(lambda c: c[:-8] + b"\xff\xff\xff\x7fPAR1"), "damaged, or not of this layout"
    ),
    "parquet, a bit": Bad("parquet", flipped(60), "damaged.*(CRC|crc|checksum|ZSTD)"),
    "parquet, missing column": Bad(
        "parquet", lambda p: pq.write_table(pq.read_table(p).drop(["part_eta"]), p), "no column 'part_eta'", FIELDS
    ),
    "parquet, NaN": Bad("parquet", parquet(part_pt=part("part_pt", 5, np.nan)), "pt = nan", FIELDS),
    "parquet, a missing value": Bad("parquet", parquet(part_pt=part("part_pt", 5, None)), "1 missing values", FIELDS),
    "parquet_events, half": Bad("parquet_events", cut(0.5), "damaged, or not of this layout"),
    "hepmc, empty": Bad("hepmc", holding(b""), "an empty file"),
    "hepmc, truncated": Bad("hepmc", cut(0.9), "cut in event 3"),
    "hepmc, HepMC 2": Bad("hepmc", holding(b"\nHepMC::Version 2.06.09\nHepMC::IO_GenEvent-START"), "a file of HepMC 2"),
    "hepmc, an unknown unit": Bad("hepmc", event("U GEV", "U TEV"), "event 0: an event begins with"),
    "hepmc, NaN": Bad("hepmc", event(PX, r"\1nan"), "no line of HepMC3: b'P 6"),
    "hepmc, infinity": Bad("hepmc", event(PX, r"\g<1>1e999"), "particle 6 has a momentum that is not finite"),
    "hepmc, absurd counts": Bad("hepmc", event("E 0 4 14", "E 0 4 999999999"), "where 999999999 are announced"),
    "hepmc, truncated gzip": Bad(
        "hepmc", lambda p: (packed(lambda: hepmc.hepmc_text(9).encode())(p), cut(0.8)(p)), "damaged, or not of this"
    ),
    "hepmc, gzip bomb": Bad(
        "hepmc", packed(lambda: hepmc.HEADER.encode() + b"A 0 x 1\n" * (2 << 20)), r"more than \d+ MiB"
    ),
    "delphes, eta = 999.9": Bad(
        "delphes", lambda _: None, r"entry 3, eflow\[6\]: eta = 999.9.*drop_invalid", DROP, KEEP
    ),
    "delphes, truncated": Bad("delphes", cut(0.8), "damaged.*needed: a complete file", DROP),
    "delphes_jets, eta = 999.9": Bad(
        "delphes_jets", lambda _: None, r"entry 3, eflow\[6\]: eta = 999.9.*drop_invalid", DROP, KEEP
    ),
    "delphes_jets, zeros inside": Bad(
        "delphes_jets", edited(lambda c: c[:1_000_000] + bytes(3_000_000) + c[4_000_000:]), "damaged", DROP
    ),
}  # fmt: skip
