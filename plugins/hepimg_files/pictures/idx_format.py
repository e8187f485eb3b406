"""IDX: a magic number, the sizes, and the bytes of an array."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from hepimg.errors import DataError

IMAGES, LABELS = b"\x00\x00\x08\x03", b"\x00\x00\x08\x01"
"""Two zeros, the type (8: unsigned bytes), the number of dimensions."""

KINDS = {IMAGES: "images", LABELS: "labels"}

GZIP = b"\x1f\x8b"

BLOCK = 1 << 20
"""Bytes that are decompressed at a time."""


def beginning(path: Path) -> bytes:
    """The first four bytes."""
    with _opened(path) as file:
        return file.read(4)


def sizes(path: Path, magic: bytes) -> tuple[int, ...]:
    """The sizes of the array in a file that begins with ``magic``.

    Raises:
        DataError: it begins otherwise, or ends at once.
    """
    with _opened(path) as file:
        return _header(file, magic)


def check_length(path: Path) -> None:
    """As many bytes follow as the sizes announce; never more than these are decompressed.

    Raises:
        DataError: fewer, or more.
    """
    with _opened(path) as file:
        wanted = math.prod(_header(file))
        rest = wanted
        while rest and (block := file.read(min(BLOCK, rest))):
            rest -= len(block)
        if rest:
            raise DataError(f"cut: {wanted - rest} of {wanted} bytes", needed="a complete file", fix="Copy it anew.")
        if file.read(1):
            raise DataError(f"bytes after the last of {wanted}", needed="one IDX file, as long as it announces")


def read_entries(path: Path, first: int, last: int) -> NDArray[np.uint8]:
    """(last - first, ...) the entries of the first dimension.

    Raises:
        DataError: they are not all there.
    """
    with _opened(path) as file:
        shape = _header(file)[1:]
        size = math.prod(shape)
        file.seek(first * size, 1)
        content = file.read((last - first) * size)
    if len(content) < (last - first) * size:
        raise DataError(f"cut before entry {last}", needed="a complete file", fix="Copy it anew.")
    return np.frombuffer(content, np.uint8).reshape(last - first, *shape)


def _header(file: IO[bytes], magic: bytes = b"") -> tuple[int, ...]:
    begin = file.read(4)
    if begin not in KINDS or (magic and begin != magic):
        wanted = magic or IMAGES
        raise DataError(
            f"a file of {KINDS[begin]}" if begin in KINDS else f"no IDX of unsigned bytes: it begins with {begin!r}",
            needed=f"{KINDS[wanted]}, which begin with {wanted!r}",
        )
    content = file.read(4 * begin[3])
    if len(content) < 4 * begin[3]:
        raise DataError("cut within its sizes", needed="a complete file", fix="Copy it anew.")
    return struct.unpack(f">{begin[3]}I", content)


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        packed = file.read(2) == GZIP
    return cast("IO[bytes]", gzip.open(path)) if packed else path.open("rb")
