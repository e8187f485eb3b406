"""HDF5 read without trust: no other file is opened, and nothing unpacks to more than it declares."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hepimg.errors import DataError, did_you_mean
from hepimg_files.hdf5.filters import check_chunks
from hepimg_files.hdf5.heaps import find_endless_heap
from hepimg_files.source import FileSource

if TYPE_CHECKING:
    from hepimg.sample import Sample

MAX_READ = 2 * 2**30
"""Bytes that are read at a time."""

MAX_EXPANSION = 1100
"""Numbers take at most so many times the bytes of their file: gzip reaches 1032 on zeros (zlib's documentation)."""

DEPTH = 4
"""Levels of groups that are looked through: a group may hold itself."""

MAX_TEXT = 2**16
"""Characters of an attribute."""

SHOWN, VISITED = 20, 1000
"""Datasets that a message lists, and names that are looked at for it."""


class Hdf5Source(FileSource):
    """Rows of HDF5 files; a layout writes ``belongs``, ``names``, ``read_rows`` and ``writes``."""

    suffixes: ClassVar[tuple[str, ...]] = (".h5", ".hdf5", ".hdf")

    @classmethod
    def belongs(cls, file: Hdf5) -> bool:
        """Whether the file is of this layout, told by the names in it."""
        raise NotImplementedError

    @classmethod
    def looks_alike(cls, path: Path) -> bool:
        """Whether the file is of this layout."""
        with open_hdf5(path) as file:
            return cls.belongs(file)

    def names(self, file: Hdf5) -> Sequence[str]:
        """The datasets with one entry for each row; their length is the number of rows."""
        raise NotImplementedError

    def read_rows(self, file: Hdf5, first: int, last: int) -> Sample:
        """The rows of the entries ``first:last``; the column ``event`` holds the number of the entry in the file."""
        raise NotImplementedError

    def count(self, path: Path) -> int:
        """The entries of a file: the common length of its datasets."""
        with open_hdf5(path) as file:
            return file.length(self.names(file))

    def read(self, path: Path, first: int, last: int) -> Sample:
        """The rows of the entries ``first:last``."""
        with open_hdf5(path) as file:
            return self.read_rows(file, first, last)


@contextmanager
def open_hdf5(path: Path) -> Iterator[Hdf5]:
    """An HDF5 file, open for reading.

    Raises:
        DataError: it is none.
    """
    import h5py

    with path.open("rb") as raw:
        start = raw.read(16)
    if not h5py.is_hdf5(path):
        found = f"it starts with {start!r}" if start else "it is empty"
        raise DataError(f"not an HDF5 file: {found}", where=str(path), needed="HDF5", fix="Copy it anew.")
    with h5py.File(path, "r") as file:
        yield Hdf5(file, path)


class Hdf5:
    """The datasets of an open file, each checked before it is read."""

    def __init__(self, file: Any, path: Path) -> None:
        self._file, self._path, self._size = file, path, path.stat().st_size

    def __contains__(self, name: str) -> bool:
        """Whether the file has something of this name."""
        group, _, last = name.rpartition("/")
        if group and not (group in self and self.is_group(group)):
            return False
        node = self._node(group)  # kept: the links of a group that nobody holds are gone
        return bool(node.id.links.exists(last.encode()))

    def members(self, group: str = "") -> list[str]:
        """Names in a group."""
        return list(islice(self._node(group), 10_000))

    def is_group(self, name: str) -> bool:
        """Whether a name stands for a group."""
        import h5py

        return isinstance(self._node(name), h5py.Group)

    def holds_numbers(self, name: str) -> bool:
        """Whether a name stands for an array of numbers in this file."""
        import h5py

        if not self._is_here(name):
            return False
        node = self._node(name)
        return isinstance(node, h5py.Dataset) and node.dtype.kind in "fiub" and bool(node.shape)

    def list_datasets(self) -> str:
        """The first datasets and their shapes, also those in groups, for messages."""
        import h5py

        found: list[str] = []
        groups, left = deque([""]), VISITED
        while groups and left and len(found) < SHOWN:
            group = groups.popleft()
            for name in islice(self._node(group), left):
                left -= 1
                path = f"{group}/{name}" if group else name
                if self._is_here(path) and isinstance(node := self._node(path), h5py.Dataset):
                    found.append(f"{path} {node.shape}")
                elif path.count("/") < DEPTH and self._is_here(path) and self.is_group(path):
                    groups.append(path)
        return ", ".join(found[:SHOWN]) + (", ..." if len(found) > SHOWN or groups else "") or "none"

    def dataset(self, name: str) -> Any:
        """A dataset of numbers that lie in this file.

        Raises:
            DataError: there is none; the message lists near names.
        """
        import h5py

        dataset = self._node(name)
        if not isinstance(dataset, h5py.Dataset):
            raise DataError(f"{name} is no dataset", needed="an array of numbers")
        self._check_storage(name, dataset)
        self._check_size(name, dataset)
        return dataset

    def length(self, names: Sequence[str]) -> int:
        """The common length of datasets.

        Raises:
            DataError: they differ.
        """
        lengths = {name: int(self.dataset(name).shape[0]) for name in names}
        for name, length in lengths.items():
            if length != lengths[names[0]]:
                raise DataError(f"{name} has {length} rows, {names[0]} has {lengths[names[0]]}", needed="as many")
        return lengths[names[0]]

    def rows(self, name: str, first: int, last: int, shape: tuple[int | None, ...] = ()) -> NDArray[Any]:
        """The rows ``first:last`` of a dataset.

        Args:
            name: of the dataset.
            first: the first row.
            last: the row after the last.
            shape: of one row; None for any length.

        Returns:
            (last - first, *shape) in the machine's byte order.

        Raises:
            DataError: it has another shape, is too large to be read at once, or its compression is a trap.
        """
        dataset = self.dataset(name)
        fits = len(dataset.shape) == len(shape) + 1 and all(
            want in (None, have) for want, have in zip(shape, dataset.shape[1:], strict=True)
        )
        if not fits:
            needed = ", ".join(["n", *("any" if length is None else str(length) for length in shape)])
            raise DataError(f"{name} has shape {dataset.shape}", needed=f"({needed})")
        if last > len(dataset):
            raise DataError(f"{name} has {len(dataset)} rows", needed=f"at least {last}")
        size = (last - first) * prod(dataset.shape[1:]) * dataset.dtype.itemsize
        if size > MAX_READ:
            raise DataError(
                f"{last - first} rows of {name} take {size / 2**30:.1f} GiB",
                needed=f"at most {MAX_READ / 2**30:g} GiB at a time",
                fix=f"Give a smaller chunk, such as chunk: {max(1, (last - first) * MAX_READ // size // 2)}.",
            )
        check_chunks(name, dataset, first, last)
        values = np.asarray(dataset[first:last])
        return values.astype(values.dtype.newbyteorder("="), copy=False)

    def numbers(self, name: str, first: int, last: int, shape: tuple[int | None, ...] = ()) -> NDArray[Any]:
        """As :meth:`rows`, all finite.

        Raises:
            DataError: one is not; the message names its row.
        """
        values = self.rows(name, first, last, shape)
        check_finite(name, values, first)
        return values

    def text(self, name: str, attribute: str) -> str | None:
        """A text attribute of a dataset or group (``""``: of the file); None where there is none.

        Raises:
            DataError: it is no text.
        """
        import h5py

        attributes = self._node(name).attrs
        if attribute not in attributes:
            return None
        stored = attributes.get_id(attribute)
        string = h5py.check_string_dtype(stored.dtype)
        if string is None or stored.shape not in ((), (1,)):
            raise DataError(f"the attribute {attribute} of {name or 'the file'} is no text", needed="one text")
        if string.length is None:
            place = find_endless_heap(self._path, self._size, self._path.stat().st_mtime_ns)
            if place is not None:
                raise DataError(f"a damaged heap of texts at byte {place}", needed="an undamaged file")
        value = np.asarray(attributes[attribute]).reshape(-1)[0]
        text = value.decode() if isinstance(value, bytes) else str(value)
        if len(text) > MAX_TEXT:
            raise DataError(f"the attribute {attribute} of {name or 'the file'} has {len(text)} characters")
        return text

    def _node(self, name: str) -> Any:
        """The group or dataset of a name, reached by hard links alone: another link may lead into another file."""
        import h5py

        node = self._file
        for part in filter(None, name.split("/")):
            if not isinstance(node, h5py.Group) or not node.id.links.exists(part.encode()):
                known = islice(node, 10_000) if isinstance(node, h5py.Group) else ()
                raise DataError(f"no dataset {name!r}; {did_you_mean(part, known)}")
            if node.id.links.get_info(part.encode()).type != h5py.h5l.TYPE_HARD:
                raise DataError(f"{name} is a link to another place or file", needed="a dataset of this file")
            node = node[part]
        return node

    def _is_here(self, name: str) -> bool:
        """Whether a name is a hard link, which leads to no other file."""
        import h5py

        group, _, last = name.rpartition("/")
        node = self._node(group)  # kept: the links of a group that nobody holds are gone
        return bool(node.id.links.get_info(last.encode()).type == h5py.h5l.TYPE_HARD)

    def _check_storage(self, name: str, dataset: Any) -> None:
        if dataset.is_virtual or dataset.id.get_create_plist().get_external_count():
            raise DataError(f"the numbers of {name} lie in other files", needed="a dataset of this file")
        fields = [dataset.dtype[k] for k in range(len(dataset.dtype))] or [dataset.dtype]
        if any(field.base.kind not in "fiub" or field.base.itemsize > 8 for field in fields):
            raise DataError(f"{name} holds {dataset.dtype}", needed="numbers of at most 64 bits")
        if not dataset.shape:
            raise DataError(f"{name} is a single value", needed="one entry for each row")

    def _check_size(self, name: str, dataset: Any) -> None:
        claimed = prod(dataset.shape) * dataset.dtype.itemsize
        if claimed > MAX_EXPANSION * self._size + 2**26:
            raise DataError(
                f"{name} claims {dataset.shape[0]} rows, {claimed / 2**30:.3g} GiB, in a file of {self._size} bytes",
                needed="an undamaged file",
            )


def check_finite(name: str, values: NDArray[Any], first: int) -> None:
    """All values of (n, ...) rows are finite.

    Args:
        name: for the message.
        values: of the rows.
        first: number of the first row in the file.

    Raises:
        DataError: one is not.
    """
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return
    row = int(np.argmax(~np.isfinite(values.reshape(len(values), -1)).all(axis=1)))
    bad = values[row][~np.isfinite(values[row])] if values.ndim > 1 else values[row : row + 1]
    raise DataError(
        f"{name} = {bad[0]:g} in row {first + row}", needed="finite numbers", fix="Correct or drop these rows."
    )
