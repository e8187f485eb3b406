"""What the pages of a Parquet file unpack to, told by their headers before anything is unpacked.

A constant takes no room in Parquet: a page of a few bytes holds as many values as its header says.  The counts in the
file's footer are claims, and reading them with pyarrow (26) aborts at damaged statistics; so the headers are read here
(github.com/apache/parquet-format, parquet.thrift), in Thrift's compact protocol.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

Struct = Mapping[int, Any]
"""Values by the number of their field."""


@dataclass(frozen=True)
class Chunk:
    """One column of one row group.

    Args:
        column: name of the column of the table; lists and records are several of these.
        values: how many there are, as the footer claims.
        start: byte of the first page.
        stored: bytes of the pages.
    """

    column: str
    values: int
    start: int
    stored: int


@lru_cache(maxsize=64)
def chunks_of(path: Path, size: int, modified: int) -> Sequence[Sequence[Chunk]]:
    """The chunks of each row group.

    Args:
        path: the file.
        size: of the file; with ``modified``, it tells whether it is still the one that was read.
        modified: when it was changed, in ns.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        footer = _Compact(content, size - 8 - int.from_bytes(content[size - 8 : size - 4], "little")).struct()
    return [[_chunk(column[3]) for column in group[1]] for group in footer[4]]


def _chunk(said: Struct) -> Chunk:
    """From ColumnMetaData; a dictionary stands before the data."""
    start = min(said[9], said[11]) if said.get(11) else said[9]
    return Chunk(said[3][0].decode(), said[5], start, said[7])


def unpacked_size(path: Path, chunks: Sequence[tuple[Chunk, int]]) -> int:
    """Bytes that the pages of some chunks take in memory.

    Args:
        path: the file.
        chunks: each with the bytes of one value.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return sum(max(values * width, size) for chunk, width in chunks for values, size in _pages(content, chunk))


def _pages(content: mmap.mmap, chunk: Chunk) -> Iterator[tuple[int, int]]:
    """Values and unpacked bytes of each page, up to the values that the footer claims, as pyarrow reads them."""
    position, seen = chunk.start, 0
    while seen < chunk.values and position < chunk.start + chunk.stored:
        reader = _Compact(content, position)
        header = reader.struct()
        data = header.get(5) or header.get(8)
        values = (data or header.get(7) or {1: 0})[1]
        if min(values, header[2], header[3]) < 0:
            raise ValueError("a page of negative size")
        yield values, header[2]
        position = reader.position + header[3]
        seen += values if data else 0


class _Compact:
    """Reads Thrift's compact protocol (github.com/apache/thrift, doc/specs/thrift-compact-protocol.md)."""

    def __init__(self, content: mmap.mmap, position: int) -> None:
        self.content, self.position = content, position

    def struct(self) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            kind = head & 15
            fields[number] = kind == 1 if kind in (1, 2) else self._value(kind)
        return fields

    def _value(self, kind: int) -> Any:
        if kind in (1, 2, 3):
            return self._byte()
        if kind in (4, 5, 6):
            return self._integer()
        if kind in (7, 8):
            return self._bytes(8 if kind == 7 else self._unsigned())
        if kind in (9, 10):
            head = self._byte()
            return [self._value(head & 15) for _ in range(head >> 4 if head >> 4 < 15 else self._unsigned())]
        if kind == 12:
            return self.struct()
        raise ValueError(f"type {kind} in a header of Parquet")

    def _byte(self) -> int:
        self.position += 1
        return self.content[self.position - 1]

    def _bytes(self, length: int) -> bytes:
        start, self.position = self.position, self.position + length
        if self.position > len(self.content):
            raise ValueError("a text beyond the end of the file")
        return self.content[start : self.position]

    def _unsigned(self) -> int:
        number = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            number |= (byte & 127) << shift
            if byte < 128:
                return number
        raise ValueError("an integer of more than 64 bits")

    def _integer(self) -> int:
        """Zigzag: 0, -1, 1, -2 ..."""
        number = self._unsigned()
        return number >> 1 if number % 2 == 0 else -(number >> 1) - 1
