"""Parquet files by pyarrow: columns by name, read by ranges of rows without reading the rest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hepimg.errors import DataError
from hepimg_files.tables.parquet_pages import chunks_of, unpacked_size
from hepimg_files.tables.table import Branch, Table, numbers, require_content

BATCH = 10_000
"""Rows decoded at a time: a row group may be larger than memory."""

BATCH_BYTES = 2**28
"""Bytes decoded at a time, of rows of a mean size."""

WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 12}
"""Bytes of a value in memory."""


class ParquetTable(Table):
    """A Parquet file; a column of lists of records has the branches ``column.field``."""

    def __init__(self, path: Path, file: Any) -> None:
        import pyarrow as pa

        super().__init__(path, int(file.metadata.num_rows), "column")
        self._file = file
        self._branches: dict[str, tuple[str, str]] = {}
        for field in file.schema_arrow:
            inner = field.type.value_type if _is_list(field.type) else None
            if inner is not None and pa.types.is_struct(inner):
                self._branches |= {f"{field.name}.{part.name}": (field.name, part.name) for part in inner}
            else:
                self._branches[field.name] = (field.name, "")

    @property
    def names(self) -> Collection[str]:
        """The branches that there are."""
        return self._branches.keys()

    @property
    def description(self) -> bytes | None:
        """What hepimg wrote of the columns, in the schema's metadata; None: another tool wrote the file."""
        found: bytes | None = (self._file.schema_arrow.metadata or {}).get(b"hepimg")
        return found

    def check_entries(self) -> int:
        """The number of rows, as the row groups have them.

        Raises:
            DataError: they do not add up, or there cannot be so many in a file of this size.
        """
        # Not compared with the columns' own counts: at damaged statistics, row_group(k).column(j) of pyarrow 26 aborts.
        metadata = self._file.metadata
        groups = [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)]
        if sum(groups) != self.entries or any(rows < 0 for rows in groups):
            raise DataError(f"row groups do not add up to {self.entries} rows", where=str(self.path))
        return super().check_entries()

    def read(self, names: Iterable[str], first: int, last: int) -> dict[str, Branch]:
        """The rows ``first:last`` of some branches."""
        wanted = list(dict.fromkeys(names))
        table = self.rows(first, last, sorted({self._branches[name][0] for name in wanted}))
        return {name: self._branch(name, table) for name in wanted}

    def rows(self, first: int, last: int, columns: list[str] | None = None) -> Any:
        """The rows ``first:last`` as a pyarrow.Table; only the row groups that hold them are read.

        Raises:
            DataError: there are fewer, they take more than memory has, or a column holds strings.
        """
        import pyarrow as pa

        metadata = self._file.metadata
        ends = np.cumsum([metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)], dtype=np.int64)
        starts = ends - np.diff(ends, prepend=0)
        groups = np.flatnonzero((starts < last) & (ends > first)).tolist() if first < last else []
        size = self._rows_at_a_time(groups, columns or self._file.schema_arrow.names, first, last) if groups else 0
        batches, position = [], int(starts[groups[0]]) if groups else last
        for batch in self._file.iter_batches(size, groups, columns, use_threads=False) if groups else ():
            low, high = max(first - position, 0), min(last - position, batch.num_rows)
            if low < high:
                batches.append(batch.slice(low, high - low))
            position += batch.num_rows
            if position >= last:
                break
        if position < last:
            raise DataError(f"ends after {position} of {self.entries} rows", where=str(self.path))
        schema = self._file.schema_arrow
        if columns is not None:
            schema = pa.schema([schema.field(name) for name in columns])
        return pa.Table.from_batches(batches, schema)

    def _rows_at_a_time(self, groups: list[int], columns: list[str], first: int, last: int) -> int:
        """How many rows are decoded at a time.

        Raises:
            DataError: the rows take more than memory has, or a column holds strings.
        """
        rows = sum(self._file.metadata.row_group(group).num_rows for group in groups)
        unpacked = self._unpacked(groups, columns)
        self.check_size(unpacked, columns, first, last, (last - first) / rows)
        return max(1, min(last - first, BATCH, BATCH_BYTES * int(rows) // max(unpacked, 1)))

    def _unpacked(self, groups: list[int], columns: list[str]) -> int:
        """Bytes that some columns of some row groups take in memory."""
        status, schema, wanted = self.path.stat(), self._file.schema, []
        chunks = chunks_of(self.path, status.st_size, status.st_mtime_ns)
        for group in groups:
            for number, chunk in enumerate(chunks[group]):
                if chunk.column in columns:
                    leaf = schema.column(number)
                    if leaf.physical_type == "BYTE_ARRAY":
                        raise self._wrong(chunk.column, "strings", "numbers, or lists of numbers")
                    wanted.append((chunk, WIDTHS.get(leaf.physical_type, leaf.length)))
        return unpacked_size(self.path, wanted)

    def _branch(self, name: str, table: Any) -> Branch:
        column, field = self._branches[name]
        array = table.column(column).combine_chunks()
        self._refuse_missing(name, array)
        if not _is_list(array.type):
            return Branch(self._numbers(name, array))
        content = array.flatten()
        self._refuse_missing(name, content)
        if field:
            content = content.field(field)
        lengths = array.value_lengths().to_numpy(zero_copy_only=False)
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        return Branch(self._numbers(name, content), offsets.astype(np.int64))

    def _numbers(self, name: str, array: Any) -> Any:
        import pyarrow as pa

        self._refuse_missing(name, array)
        shape: tuple[int, ...] = (len(array),)
        if pa.types.is_fixed_size_list(array.type):
            shape, array = (len(array), array.type.list_size), array.flatten()
        kind = array.type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
            raise self._wrong(name, str(kind), "numbers, or lists of numbers")
        return numbers(array.to_numpy(zero_copy_only=False), name, str(self.path)).reshape(shape)

    def _refuse_missing(self, name: str, array: Any) -> None:
        if array.null_count:
            raise self._wrong(name, f"{array.null_count} missing values (null)", "a number everywhere")


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


@contextmanager
def open_parquet(path: Path) -> Iterator[ParquetTable]:
    """A Parquet file; pages with a checksum are verified.

    Raises:
        DataError: it is empty.
    """
    import pyarrow.parquet as pq

    require_content(path, "Parquet")
    with pq.ParquetFile(str(path), page_checksum_verification=True) as file:
        yield ParquetTable(path, file)
