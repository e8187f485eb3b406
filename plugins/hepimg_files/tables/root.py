"""Trees of ROOT files, TTree and RNTuple, by uproot: branches by name, read by ranges of entries."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepimg.errors import DataError
from hepimg_files.tables.table import Branch, Table, near, numbers, require_content

UNIQUE_ID = 0xFFFFFF
"""The bits of TObject::fUniqueID that count objects; those above tell the process (ROOT's TProcessID)."""

MAX_EXPANSION, HARMLESS = 1100, 1 << 26
"""A basket unpacks to at most so many times its bytes (gzip reaches 1032), and to 64 MiB without a closer look."""

RNTUPLE_WIDTH = 8
"""Bytes of the widest numbers of an RNTuple."""

RECORD = 2
"""The structural role of a field of an RNTuple that has fields of its own (ROOT's RNTuple specification)."""

_IMPORTED = re.compile(r"_collection\d+\.")
_LENGTH = re.compile(r"(\[\d+\])+$")


class RootTable(Table):
    """A TTree or an RNTuple.

    Branches go by their last name: ``Jet.PT`` for ``Jet/Jet.PT`` of a TTree, ``Jet.Tau`` for ``Jet.Tau[5]``, and
    ``PFCands_pt`` for the field ``_collection23.PFCands_pt`` that ROOT's importer makes of a TTree's branch.  Other
    fields of records in an RNTuple go by their whole name, ``part.px``.
    """

    def __init__(self, path: Path, tree: Any) -> None:
        super().__init__(path, int(tree.num_entries), "branch")
        self._tree = tree
        self._keys = _fields_of(tree) if tree.classname == "ROOT::RNTuple" else _branches_of(tree)

    @property
    def names(self) -> Collection[str]:
        """The branches that there are."""
        return self._keys.keys()

    def read(self, names: Iterable[str], first: int, last: int) -> dict[str, Branch]:
        """The entries ``first:last`` of some branches."""
        wanted = [*dict.fromkeys(names)]
        self.check_size(sum(self._unpacked(name, first, last) for name in wanted), wanted, first, last)
        return {name: self._branch(name, self._layout(name, first, last)) for name in wanted}

    def references(self, name: str, first: int, last: int) -> tuple[Branch, Branch]:
        """A jagged branch of TRefArray, such as the constituents of each jet of each event.

        Returns:
            Jagged entries, whose values count the elements; jagged elements, whose values are the low 24 bits of the
            ``fUniqueID`` of what they refer to.

        Raises:
            DataError: the branch is missing, takes more than memory has, or is something else.
        """
        self.require([name])
        self.check_size(self._unpacked(name, first, last), [name], first, last)
        layout = self._layout(name, first, last)
        if not layout.is_list or "refs" not in layout.content.fields:
            raise self._wrong(name, "no TRefArray", "references to other objects of the event")
        inner = self._branch(name, layout.content.content("refs").to_packed())
        assert inner.offsets is not None
        outer = np.asarray(layout.offsets.data, np.int64)
        return Branch(np.diff(inner.offsets), outer), Branch(inner.values & UNIQUE_ID, inner.offsets)

    def _unpacked(self, name: str, first: int, last: int) -> int:
        """Bytes that a branch unpacks to: whole baskets, or whole clusters of an RNTuple."""
        branch = self._tree[self._keys[name]]
        if self._tree.classname == "ROOT::RNTuple":
            return _unpacked_field(self._tree, branch.field_id, first, last)
        size = 0
        for part in (branch, *branch.values(recursive=True)):
            starts = np.asarray(part.entry_offsets)
            baskets = np.flatnonzero((starts[:-1] < last) & (starts[1:] > first)).tolist()
            size += sum(part.basket_uncompressed_bytes(basket) for basket in baskets)
        return size

    def _layout(self, name: str, first: int, last: int) -> Any:
        import awkward as ak

        branch = self._tree[self._keys[name]]
        if getattr(branch, "num_entries", self.entries) != self.entries:
            raise self._wrong(name, f"{branch.num_entries} entries", f"{self.entries}, as the tree has")
        if self._tree.classname != "ROOT::RNTuple":
            self._check_baskets(name, branch, first, last)
        layout = ak.to_packed(branch.array(entry_start=first, entry_stop=last), highlevel=False)
        if layout.is_unknown:  # no entry at all
            raise self._wrong(name, "nothing of a known type", "numbers")
        return layout

    def _check_baskets(self, name: str, branch: Any, first: int, last: int) -> None:
        """No basket of a TTree claims more than its bytes unpack to: uproot reserves what is claimed."""
        for each in (branch, branch.count_branch):
            for number in range(each.num_baskets - len(each.embedded_baskets) if each is not None else 0):
                start, stop = each.basket_entry_start_stop(number)
                if start >= last or stop <= first:
                    continue
                key = each.basket_key(number)
                claimed, stored = key.data_uncompressed_bytes, key.data_compressed_bytes
                if claimed > MAX_EXPANSION * stored + HARMLESS:
                    raise self._wrong(name, f"a basket of {claimed >> 20} MiB in {stored} bytes", "an undamaged file")

    def _branch(self, name: str, layout: Any) -> Branch:
        import awkward as ak

        text = layout.parameter("__array__") in ("string", "bytestring")
        jagged = layout.is_list and not layout.is_regular
        content = layout.content if jagged else layout
        if text or content.is_record or (content.is_list and not content.is_regular) or content.is_option:
            raise self._wrong(name, str(layout.form.type), "numbers, or lists of numbers")
        values = numbers(np.asarray(ak.to_numpy(content)), name, str(self.path))
        if not jagged:
            return Branch(values)
        return Branch(values, _checked(np.asarray(layout.offsets.data, np.int64), len(values), name, self.path))


def _branches_of(tree: Any) -> dict[str, str]:
    """Last name -> key; where two have one name, the first."""
    keys: dict[str, str] = {}
    for key in tree.keys():  # noqa: SIM118  (a TTree iterates over itself otherwise)
        keys.setdefault(_LENGTH.sub("", key.rpartition("/")[2]), key)
    return keys


def _fields_of(tree: Any) -> dict[str, str]:
    """Name -> key, out of the header: uproot's own ``keys()`` takes 10 s for the 3,000 fields of NanoAOD."""
    records = tree.header.field_records
    paths: list[str] = []
    for k, record in enumerate(records):  # parents come before their children
        parent = record.parent_field_id
        if parent == k:
            paths.append(record.field_name)
        elif records[parent].struct_role == RECORD:
            paths.append(f"{paths[parent]}.{record.field_name}")
        else:
            paths.append(paths[parent])  # the elements of a list have no name of their own
    holders = {path for path, record in zip(paths, records, strict=True) if record.struct_role == RECORD}
    fields = [path for path in dict.fromkeys(paths) if path not in holders]
    keys = {path: path for path in fields if not _IMPORTED.match(path)}
    for path in fields:
        keys.setdefault(_IMPORTED.sub("", path), path)
    return keys


def _unpacked_field(tree: Any, field: int, first: int, last: int) -> int:
    """Bytes that a field of an RNTuple unpacks to, with the lengths of the lists that it stands in."""
    parents = {k: record.parent_field_id for k, record in enumerate(tree.header.field_records)}

    def line(k: int) -> list[int]:
        """A field and those above it; one at the top is its own parent."""
        return [k] if parents[k] == k else [k, *line(parents[k])]

    columns = [k for k, column in enumerate(tree.column_records) if field in line(column.field_id)]
    columns += [k for k, column in enumerate(tree.column_records) if column.field_id in line(field)[1:]]
    clusters = [
        k
        for k, cluster in enumerate(tree.cluster_summaries)
        if cluster.num_first_entry < last and cluster.num_first_entry + cluster.num_entries > first
    ]
    pages = (page for k in clusters for column in columns for page in tree.page_link_list[k][column].pages)
    return RNTUPLE_WIDTH * sum(int(page.num_elements) for page in pages)


def _checked(offsets: NDArray[np.int64], elements: int, name: str, path: Path) -> NDArray[np.int64]:
    if not len(offsets) or offsets[0] != 0 or offsets[-1] != elements or np.any(np.diff(offsets) < 0):
        raise DataError(f"branch {name!r} counts more elements than it holds", where=str(path), needed="a sound file")
    return offsets


@contextmanager
def open_root(path: Path, tree: str | None = None) -> Iterator[RootTable]:
    """A tree of a ROOT file.

    Args:
        path: the file.
        tree: its name, with the folders it stands in; None: the only one.

    Raises:
        DataError: there is no such tree, or there are several.
    """
    with _opened(path) as file:
        trees = _trees(file)
        if tree is None and len(trees) != 1:
            raise DataError(
                f"holds {len(trees)} trees: {', '.join(trees) or 'none'}",
                where=str(path),
                needed="one, or the option tree",
            )
        name = trees[0] if tree is None else tree
        if name not in trees:
            raise DataError(f"no tree {name!r}; {near(name, trees)}", where=str(path))
        yield RootTable(path, file[name])


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file, mapped into memory; without uproot's caches, which take a changed copy for the file itself.

    Raises:
        DataError: it is empty, or its end is missing.
    """
    import uproot

    require_content(path, "ROOT")
    handler = uproot.source.file.MemmapSource
    with uproot.open({str(path): None}, object_cache=None, array_cache=None, handler=handler) as file:
        size = path.stat().st_size
        if file.file.fEND > size:
            raise DataError(f"truncated: {size} of {file.file.fEND} bytes", where=str(path), needed="a complete file")
        yield file


def trees_of(path: Path) -> list[str]:
    """The names of the trees of a ROOT file."""
    with _opened(path) as file:
        return _trees(file)


def _trees(file: Any) -> list[str]:
    classes = {key.rpartition(";")[0]: name for key, name in file.classnames().items()}
    return [key for key, name in classes.items() if name in ("TTree", "ROOT::RNTuple", "TNtuple", "TNtupleD")]


def read_text(path: Path, name: str) -> str | None:
    """A TObjString of a ROOT file; None where there is none of this name."""
    with _opened(path) as file:
        return str(file[name]) if file.classnames().get(f"{name};1") == "TObjString" else None
