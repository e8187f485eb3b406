"""Table: a file of named columns, flat or jagged, whatever library reads it (a TTree, an RNTuple, Parquet)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hepimg.errors import DataError

if TYPE_CHECKING:
    from hepimg.sample import Ragged

Array = NDArray[Any]

SHOWN = 12
"""Names listed where none is near the one that is missing: a NanoAOD file has thousands."""

ENTRIES_PER_BYTE = 1000
"""Compression packs constants densely, but a file that claims more entries than this is damaged."""

MAX_READ = 2 * 2**30
"""Bytes that are read at a time."""

MAX_EXPANSION = 100
"""Numbers take at most so many times the bytes of their file: among momenta, even constants do not reach it."""

SMALL = 2**26
"""Bytes that any file may unpack to."""


@dataclass(frozen=True)
class Branch:
    """Values of consecutive entries.

    Args:
        values: (n_entries, ...) of a flat branch, (n_elements,) of a jagged one.
        offsets: (n_entries + 1,) int64 where it is jagged: entry ``i`` owns ``offsets[i]:offsets[i + 1]``.
    """

    values: Array
    offsets: NDArray[np.int64] | None = None


class Table(ABC):
    """Named branches of one open file.

    Args:
        path: the file, for messages.
        entries: how many entries each branch has.
        kind: what its columns are called in messages.
    """

    def __init__(self, path: Path, entries: int, kind: str) -> None:
        self.path, self.entries, self.kind = path, entries, kind

    @property
    @abstractmethod
    def names(self) -> Collection[str]:
        """The branches that there are."""

    @abstractmethod
    def read(self, names: Iterable[str], first: int, last: int) -> dict[str, Branch]:
        """The entries ``first:last`` of some branches; all of them exist."""

    def check_entries(self) -> int:
        """The number of entries.

        Raises:
            DataError: there cannot be so many in a file of this size.
        """
        size = self.path.stat().st_size
        if not 0 <= self.entries <= ENTRIES_PER_BYTE * size:
            raise DataError(f"claims {self.entries} entries in {size} bytes", needed="an undamaged file")
        return self.entries

    def check_size(self, unpacked: int, names: Iterable[str], first: int, last: int, share: float = 1.0) -> None:
        """The entries ``first:last`` of some branches fit into memory, known before they are read.

        Args:
            unpacked: bytes that are unpacked for them.
            names: of the branches.
            first: entry.
            last: entry, not included.
            share: how much of what is unpacked belongs to these entries; the rest is not kept.

        Raises:
            DataError: they do not, or the file is too small to hold so much.
        """
        size, shown = self.path.stat().st_size, [*names]
        what = f"{', '.join(shown[:3])}{' ...' if len(shown) > 3 else ''} in entries {first} to {last}"
        kept = int(unpacked * share)
        if unpacked > MAX_EXPANSION * size + SMALL:
            raise DataError(
                f"{what} unpack to {unpacked} bytes, in a file of {size}",
                where=str(self.path),
                needed=f"an undamaged file: at most {MAX_EXPANSION} times its bytes, and {SMALL >> 20} MiB",
                fix="If you trust it, give a smaller chunk, or write its rows in smaller groups.",
            )
        if kept > MAX_READ:
            chunk = max(1, (last - first) * MAX_READ // kept // 2)
            raise DataError(
                f"{what} take {kept} bytes, {kept / 2**30:.1f} GiB",
                where=str(self.path),
                needed=f"at most {MAX_READ / 2**30:g} GiB at a time",
                fix=f"Give a smaller chunk, such as chunk: {chunk}.",
            )

    def require(self, names: Iterable[str]) -> None:
        """Raise unless these branches exist.

        Raises:
            DataError: names the missing ones, and what is near.
        """
        missing = [name for name in names if name not in self.names]
        if missing:
            raise DataError(
                f"no {self.kind} {', '.join(map(repr, missing[:SHOWN]))}; {near(missing[0], self.names)}",
                where=str(self.path),
            )

    def columns(self, names: Sequence[str], first: int, last: int) -> dict[str, Array]:
        """Name -> (last - first, ...) values of flat branches.

        Raises:
            DataError: one is missing, is jagged, or holds no numbers.
        """
        self.require(names)
        branches = self.read(names, first, last)
        for name, branch in branches.items():
            if branch.offsets is not None:
                raise self._wrong(name, "a list for each entry", "one number for each entry")
            if len(branch.values) != last - first:
                raise self._wrong(name, f"{len(branch.values)} values", f"{last - first}, one for each entry")
        return {name: branches[name].values for name in names}

    def ragged(self, fields: Mapping[str, str], first: int, last: int) -> Ragged:
        """Jagged branches as one collection.

        Args:
            fields: name of each field -> its branch.
            first: entry.
            last: entry, not included.

        Raises:
            DataError: a branch is missing, is not jagged, holds no numbers, or has other lengths than the rest.
        """
        from hepimg.sample import Ragged

        self.require(fields.values())
        branches = self.read(fields.values(), first, last)
        offsets: NDArray[np.int64] | None = None
        for name, branch in branches.items():
            if branch.offsets is None:
                raise self._wrong(name, "one number for each entry", "a list for each entry")
            if branch.values.ndim != 1:
                raise self._wrong(name, f"lists of arrays of shape {branch.values.shape[1:]}", "lists of numbers")
            if len(branch.offsets) != last - first + 1:
                raise self._wrong(name, f"{len(branch.offsets) - 1} entries", f"{last - first}")
            if offsets is not None and not np.array_equal(branch.offsets, offsets):
                raise self._wrong(name, "lists of other lengths", f"as long as those of {next(iter(branches))!r}")
            offsets = branch.offsets
        assert offsets is not None, "a collection has a field"
        return Ragged(offsets, {field: branches[name].values for field, name in fields.items()})

    def _wrong(self, name: str, found: str, needed: str) -> DataError:
        return DataError(f"{self.kind} {name!r} holds {found}", where=str(self.path), needed=needed)


def near(name: str, known: Collection[str]) -> str:
    """A clause that names the nearest names, or the first few where none is near."""
    close = get_close_matches(name, known, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    shown = sorted(known)[:SHOWN]
    rest = f" and {len(known) - len(shown)} more" if len(known) > len(shown) else ""
    return f"there are {', '.join(shown)}{rest}" if shown else "there is none"


def require_content(path: Path, kind: str) -> None:
    """Raise where a file has no byte: libraries say of it what only their authors understand.

    Raises:
        DataError: it has none.
    """
    if not path.stat().st_size:
        raise DataError(f"not a {kind} file: it is empty", where=str(path), needed=kind, fix="Copy it anew.")


def numbers(values: Array, name: str, where: str) -> Array:
    """The values in this machine's byte order.

    Raises:
        DataError: they are no numbers.
    """
    if values.dtype.kind not in "biuf":
        raise DataError(f"{name!r} holds {values.dtype}, no numbers", where=where)
    return np.asarray(values, values.dtype.newbyteorder("="))
