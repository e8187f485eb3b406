"""Bad ROOT files, each with one clear error that names the file."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
from root_layouts import (
    jagged,
    jetclass_branches,
    momenta,
    nano_branches,
    write_jetclass,
    write_nano,
    write_tree,
)

from hepimg.components import Shard
from hepimg.errors import DataError
from hepimg.export.root import write_root
from hepimg_files.tables import table
from hepimg_files.tables.delphes import Delphes, DelphesJets
from hepimg_files.tables.jetclass import JetClass
from hepimg_files.tables.nanoaod import NanoAOD, NanoAODJets
from hepimg_files.tables.plain_root import Root
from hepimg_files.tables.root import RootTable
from hepimg_files.tables.source import TableSource
from rows import make_sample

N = 6

FIELDS = {"pt": "pt", "eta": "eta", "phi": "phi"}


def read_everything(source: TableSource) -> None:
    source.writes()
    for k, part in enumerate(source.parts()):
        list(source.batches(Shard(k, None, 1, part)))


def replaced(name: str, change: Callable[[np.ndarray], Any]) -> Callable[[Path], Path]:
    """JetClass with a changed branch."""
    return lambda path: write_jetclass(path, N, **{name: change(jetclass_branches(N)[name])})


def spoilt(name: str, value: float) -> Callable[[Path], Path]:
    """JetClass with one bad element."""

    def change(values: Any) -> Any:
        counts, flat = ak.num(values), ak.flatten(values).to_numpy().copy()
        flat[3] = value
        return ak.unflatten(flat, counts)

    return replaced(name, change)


def late(path: Path) -> Path:
    """JetClass whose fifth jet begins with a space-like particle."""
    energy = jetclass_branches(N)["part_energy"]
    flat = ak.flatten(energy).to_numpy().copy()
    flat[momenta(N)[0][4]] = 0.5
    return write_jetclass(path, N, part_energy=ak.unflatten(flat, ak.num(energy)))


def cut(end: float, middle: float | None = None) -> Callable[[Path], Path]:
    """JetClass without its end, or with zeros from the middle on."""

    def make(path: Path) -> Path:
        content = write_jetclass(path, 200).read_bytes()
        kept = content[: int(len(content) * end)]
        path.write_bytes(kept if middle is None else kept[: int(len(kept) * middle)].ljust(len(kept), b"\0"))
        return path

    return make


def written(content: bytes) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        path.write_bytes(content)
        return path

    return make


def plain(**other: Any) -> Callable[[Path], Path]:
    offsets, fields = momenta(N)
    branches = {name: jagged(offsets, values) for name, values in fields.items()} | other
    return lambda path: write_tree(path, "t", branches)


def strings(path: Path) -> Path:
    return write_tree(path, "t", {"eta": np.ones(3), "phi": np.ones(3), "pt": ak.Array(["one", "two", "three"])})


def own(path: Path, **description: Any) -> Path:
    """An export of hepimg whose description is damaged."""
    write_root(path, lambda: iter([make_sample(3)]))
    with uproot.update(path) as file:
        file["hepimg"] = "{not JSON"
    return path


def link(value: int) -> Callable[[Path], Path]:
    """PFNano whose first link points elsewhere."""

    def make(path: Path) -> Path:
        values = nano_branches(N)["FatJetPFCands_pFCandsIdx"]
        flat = ak.flatten(values).to_numpy().copy()
        flat[0] = value
        return write_nano(path, N, FatJetPFCands_pFCandsIdx=ak.unflatten(flat, ak.num(values)))

    return make


def jetclass(files: str) -> TableSource:
    return JetClass(files=files)


def nano(files: str) -> TableSource:
    return NanoAOD(files=files)


def nano_jets(files: str) -> TableSource:
    return NanoAODJets(files=files)


def root(files: str) -> TableSource:
    return Root(files=files, fields=FIELDS)


def columns(**names: str) -> Callable[[str], TableSource]:
    return lambda files: NanoAODJets(files=files, columns=names)


OFFSETS, PARTICLES = momenta(N)

BAD: dict[str, tuple[Callable[[Path], Path], Callable[[str], TableSource], str]] = {
    "empty": (written(b""), jetclass, "not a ROOT file: it is empty"),
    "one byte": (written(b"r"), jetclass, "damaged, or not of this layout"),
    "text": (written(b"pt,eta,phi\n1,2,3\n" * 100), jetclass, "not a ROOT file|damaged"),
    "only the magic word": (written(b"root" + bytes(500)), jetclass, "damaged|no tree"),
    "no end": (cut(0.99), jetclass, r"truncated: \d+ of \d+ bytes"),
    "half": (cut(0.5), jetclass, "truncated|damaged"),
    "zeros in the middle": (cut(1.0, 0.5), jetclass, "damaged|no tree"),
    "no tree": (lambda path: write_tree(path, "other", {"x": np.ones(3)}), jetclass, "no tree 'tree'; there are other"),
    "no entry": (lambda path: write_jetclass(path, 0), jetclass, "hold no entry"),
    "a missing branch": (replaced("part_px", lambda _: None), jetclass, "no branch 'part_px'; did you mean 'part_p"),
    "a missing label": (replaced("label_Tbl", lambda _: None), jetclass, "no branch 'label_Tbl'; did you mean"),
    "a flat branch": (replaced("part_py", lambda v: ak.num(v).to_numpy()), jetclass, "'part_py' holds one number"),
    "a jagged branch": (replaced("jet_pt", lambda _: jetclass_branches(N)["part_px"]), jetclass, "'jet_pt' holds a li"),
    "other lengths": (replaced("part_pz", lambda v: v[:, :-1]), jetclass, "lists of other lengths"),
    "MeV against GeV": (replaced("part_px", lambda v: v * 1000), jetclass, "smaller than|add up to"),
    "jet_pt in MeV": (replaced("jet_pt", lambda v: v * 1000), jetclass, "add up to 0.001 of jet_pt"),
    "energy and pz exchanged": (
        lambda path: write_jetclass(
            path, N, part_energy=jetclass_branches(N)["part_pz"], part_pz=jetclass_branches(N)["part_energy"]
        ),
        jetclass,
        "smaller than .p. = ",
    ),
    "two labels": (replaced("label_Hbb", lambda v: np.ones(N, bool)), jetclass, "has 2 labels; needed: one"),
    "NaN": (spoilt("part_px", np.nan), jetclass, r"entry 0, constituents\[3\]: px = nan"),
    "space-like": (spoilt("part_energy", 0.5), jetclass, r"entry 0, constituents\[3\]: E = 0.5 is smaller than .p. = "),
    "space-like in a later row": (late, jetclass, r"entry 4, constituents\[0\]: E = 0.5 is smaller than .p. = "),
    "infinite": (spoilt("part_pz", np.inf), jetclass, r"constituents\[3\]: pz = inf"),
    "absurd impact parameter": (spoilt("part_d0val", np.nan), jetclass, "d0 = nan"),
    "strings": (strings, root, "'pt' holds string"),
    "degrees": (plain(phi=jagged(OFFSETS, PARTICLES["phi"] * 57)), root, "azimuth in radians"),
    "an absurd pseudorapidity": (
        plain(eta=jagged(OFFSETS, np.full(OFFSETS[-1], 999.9, np.float32))),
        root,
        r"entry 0, constituents\[0\]: eta = 999.9",
    ),
    "MeV taken as GeV": (plain(pt=jagged(OFFSETS, PARTICLES["pt"] * 1000)), root, "look like MeV"),
    "negative pt": (plain(pt=jagged(OFFSETS, -PARTICLES["pt"])), root, "pt = -"),
    "several trees": (
        lambda path: [write_tree(path, "t", {"x": np.ones(2)}), uproot.update(path).mktree("u", {"y": "f4"})] and path,
        root,
        "holds 2 trees: t, u",
    ),
    "no description": (plain(), lambda files: Root(files=files), "not written by hepimg"),
    "a damaged description": (own, lambda files: Root(files=files), "damaged, or not of this layout .JSONDecodeError"),
    "an export with columns": (
        lambda path: [write_root(path, lambda: iter([make_sample(3)]))] and path,
        lambda files: Root(files=files, columns={"m": "mass"}),
        "it says itself what it holds",
    ),
    "no candidates": (
        lambda path: write_tree(path, "Events", {"Jet_pt": jagged(OFFSETS, PARTICLES["pt"]), "run": np.ones(N)}),
        nano,
        r"no particle-flow candidates \(PFCands_pt\); there are Jet",
    ),
    "a link beyond the event": (link(99), nano_jets, "event 0: a link to particle 99 of"),
    "a negative link": (link(-7), nano_jets, "event 0: a link to particle -7 of"),
    "a column with near names": (write_nano, columns(t="FatJet_ptt"), "no branch 'FatJet_ptt'; did you mean 'FatJ"),
    "a column of particles": (write_nano, columns(t="PFCands_eta"), "lists of other lengths than the jets"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_each_bad_file_gives_one_clear_error(case: str, tmp_path: Path) -> None:
    make, source, message = BAD[case]
    path = tmp_path / "bad.root"
    make(path, N) if make is write_nano else make(path)  # type: ignore[call-arg]
    with pytest.raises(DataError, match=message) as caught:
        read_everything(source(str(path)))
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 2


def test_entries_beyond_the_file_are_refused(tmp_path: Path) -> None:
    """The number of entries of a tree, raised to two to the forty."""
    path = tmp_path / "bad.root"
    write_tree(path, "tree", jetclass_branches(77), compression=None)
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack(">q", 77), struct.pack(">q", 1 << 40)))
    with pytest.raises(DataError, match=r"claims 1099511627776 entries|damaged") as caught:
        read_everything(JetClass(files=str(path)))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kind", ["TTree", "RNTuple"])
def test_a_file_of_constants_is_refused_before_it_is_unpacked(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight entries of a million zeros in three branches: the keys of the baskets, or the lists of pages, say so."""
    path, zeros = tmp_path / "bomb.root", ak.Array(ak.contents.ListOffsetArray(*one_list(2**20)))
    with uproot.recreate(path, compression=uproot.LZMA(1)) as file:
        jets = ak.Array(dict.fromkeys(FIELDS.values(), zeros))
        make = file.mktree if kind == "TTree" else file.mkrntuple
        rows = make("t", dict.fromkeys(FIELDS.values(), zeros.type.content) if kind == "TTree" else jets[:0])
        for _ in range(8):
            rows.extend({name: jets[name] for name in jets.fields} if kind == "TTree" else jets)
    assert path.stat().st_size < 2**20
    monkeypatch.setattr(uproot.TBranch, "array", None)
    monkeypatch.setattr(RootTable, "_layout", None)
    with pytest.raises(DataError, match=r"pt, eta, phi in entries 0 to 8 unpack to \d+ bytes, in a file of") as caught:
        read_everything(root(str(path)))
    assert str(path) in str(caught.value)


def one_list(elements: int) -> tuple[Any, Any]:
    return ak.index.Index64(np.array([0, elements])), ak.contents.NumpyArray(np.zeros(elements))


@pytest.mark.parametrize("kind", ["TTree", "RNTuple"])
def test_too_much_at_a_time(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five baskets, or clusters, of twenty entries."""
    path, (offsets, fields) = tmp_path / "a.root", momenta(100)
    jets = ak.Array({name: jagged(offsets, values) for name, values in fields.items()})
    with uproot.recreate(path) as file:
        if kind == "TTree":
            rows = file.mktree("t", {name: jets[name].type.content for name in fields})
        else:
            rows = file.mkrntuple("t", jets[:0])
        for first in range(0, 100, 20):
            some = jets[first : first + 20]
            rows.extend({name: some[name] for name in fields} if kind == "TTree" else some)
    monkeypatch.setattr(table, "MAX_READ", 5_000)
    with pytest.raises(DataError, match=r"entries 0 to 100 take \d+ bytes, .* such as chunk: \d\d") as caught:
        read_everything(root(str(path)))
    assert str(path) in str(caught.value)
    read_everything(Root(files=str(path), fields=FIELDS, chunk=20))


@pytest.mark.parametrize("name", ["event", "row", "jet", "pt", "label_QCD", "label_Tbl"])
def test_columns_with_a_meaning_of_their_own_are_not_replaced(name: str) -> None:
    with pytest.raises(ValueError, match=f"the column {name} has a meaning of its own"):
        JetClass(files="a.root", columns={name: "jet_sdmass"})


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("bad_delphes.root", Delphes, "no tree 'Delphes'"),
        ("bad_delphes.root", DelphesJets, "no tree 'Delphes'"),
        ("pfnano.root", Delphes, "no tree 'Delphes'; there are Events"),
        ("delphes.root", NanoAOD, "no tree 'Events'; there are Delphes"),
        ("delphes.root", JetClass, "no tree 'tree'; there are Delphes"),
        ("delphes.root", Delphes, r"entry 3, eflow\[6\]: eta = 999.9 with pt = 0; .* drop_invalid: true"),
        ("delphes.root", DelphesJets, r"entry 3, eflow\[6\]: eta = 999.9 with pt = 0; .* drop_invalid: true"),
    ],
)
def test_bad_real_files(external: Path, name: str, source: type[TableSource], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_everything(source(files=str(external / "files" / name)))
    assert name in str(caught.value)


def test_jets_of_other_objects_say_which(external: Path) -> None:
    path = str(external / "files/delphes.root")
    with pytest.raises(DataError, match=r"of CaloJet08 are no eflow.*constituents: towers"):
        read_everything(DelphesJets(files=path, jets="CaloJet08", drop_invalid=True))
    with pytest.raises(DataError, match=r"no branch 'CaloJt08.Constituents'; did you mean 'CaloJet08.Constituents'"):
        read_everything(DelphesJets(files=path, jets="CaloJt08"))
