"""HDF5 compression without traps: what a stored chunk unpacks to is known before HDF5 unpacks it.

HDF5 lets gzip grow its buffer for as long as the stream asks, whatever size the chunk declares.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from itertools import product
from math import prod
from typing import Any

from hepimg.errors import DataError

SHUFFLE, CHECKSUM, DEFLATE, LZF, BLOSC = 2, 3, 1, 32000, 32001

COMPRESSIONS = {DEFLATE: "gzip", LZF: "lzf", BLOSC: "blosc"}
"""Those whose unpacked size can be bounded beforehand."""

BEST_RATIO = {DEFLATE: 1032, LZF: 88}
"""What the best compressed byte unpacks to: 258 bytes take two bits in gzip, 264 take three bytes in lzf."""

MAX_CHUNK = 2**29
"""Bytes of one chunk: HDF5 unpacks it whole."""

HARMLESS = 2**28
"""Bytes that a chunk may unpack to without a closer look."""

MAX_CHUNKS = 1_000_000
"""Chunks that are read at a time."""


def check_chunks(name: str, dataset: Any, first: int, last: int) -> None:
    """The rows ``first:last`` were written, and unpack to what they declare.

    Raises:
        DataError: a chunk is too large, was never written, is compressed in an unknown way or twice, or is a trap.
    """
    if first >= last or not dataset.size:
        return
    if dataset.chunks is None:
        if dataset.id.get_create_plist().get_layout() == _contiguous() and dataset.id.get_offset() is None:
            raise DataError(f"{name} was never written: it declares {dataset.shape[0]} rows without a byte")
        return
    declared = prod(dataset.chunks) * dataset.dtype.itemsize
    if declared > MAX_CHUNK:
        raise DataError(
            f"{name} has chunks of {declared / 2**20:.0f} MiB", needed=f"at most {MAX_CHUNK >> 20}", fix=_repack(name)
        )
    position, code = _compression(name, dataset)
    for row, band in _bands(name, dataset, first, last):
        stored = [info for info in map(dataset.id.get_chunk_info_by_coord, band) if info.byte_offset is not None]
        if not stored:
            raise DataError(f"{name}: the rows from {row} on were never written", needed="a complete file")
        for info in stored:
            is_packed = code and not info.filter_mask >> position & 1
            _check_chunk(name, dataset, info, declared, code if is_packed else 0)


def _bands(name: str, dataset: Any, first: int, last: int) -> Iterator[tuple[int, Iterator[tuple[int, ...]]]]:
    """The first row of each row of chunks, and the places of its chunks."""
    rows, *rest = dataset.chunks
    spans = [range(0, length, step) for length, step in zip(dataset.shape[1:], rest, strict=True)]
    starts = range(first - first % rows, last, rows)
    if len(starts) * prod(map(len, spans)) > MAX_CHUNKS:
        raise DataError(f"{name} is cut into chunks of {dataset.chunks}: too many to be read", fix=_repack(name))
    for row in starts:
        yield row, product((row,), *spans)


def _compression(name: str, dataset: Any) -> tuple[int, int]:
    """Place and code of the one compression of a dataset; code 0: none."""
    plist = dataset.id.get_create_plist()
    codes = [int(plist.get_filter(k)[0]) for k in range(plist.get_nfilters())]
    packers = [(k, code) for k, code in enumerate(codes) if code not in (SHUFFLE, CHECKSUM)]
    if len(packers) > 1:
        raise DataError(f"{name} is compressed {len(packers)} times over", needed="one compression", fix=_repack(name))
    if not packers:
        return 0, 0
    code = packers[0][1]
    if code not in COMPRESSIONS:
        known = ", ".join(COMPRESSIONS.values())
        raise DataError(f"{name} is compressed by HDF5's filter {code}", needed=known, fix=_repack(name))
    _require_filter(name, code, COMPRESSIONS[code])
    return packers[0]


def _require_filter(name: str, code: int, title: str) -> None:
    """A compression is there.

    Raises:
        DataError: it is not; the message says what to install.
    """
    import h5py

    if not h5py.h5z.filter_avail(code):
        with suppress(ImportError):
            import_module("hdf5plugin")
    if not h5py.h5z.filter_avail(code):
        raise DataError(f"{name} is compressed by {title}, which h5py lacks", fix="pip install hdf5plugin")


def _check_chunk(name: str, dataset: Any, info: Any, declared: int, code: int) -> None:
    """One stored chunk is not longer than what it declares, and unpacks to no more."""
    unpacked = int(info.size)
    if info.size <= declared + declared // 64 + 4096 and code:
        if code == BLOSC:
            unpacked = _blosc_size(dataset.id.read_direct_chunk(info.chunk_offset)[1])
        elif info.size * BEST_RATIO[code] > max(declared, HARMLESS):
            raw = dataset.id.read_direct_chunk(info.chunk_offset)[1]
            unpacked = _deflate_size(raw, declared) if code == DEFLATE else info.size * BEST_RATIO[code]
        else:
            unpacked = declared
    if unpacked > declared + declared // 64 + 4096:
        raise DataError(
            f"{name}: a chunk of {declared} bytes unpacks to {unpacked} or more",
            needed="an honest file",
            fix=_repack(name),
        )


def _deflate_size(raw: bytes, declared: int) -> int:
    """What a gzip stream unpacks to, counted no further than just beyond what is declared."""
    unpacker, size = zlib.decompressobj(), 0
    while not unpacker.eof and size <= 2 * declared + 2**16:
        size += len(unpacker.decompress(raw, 2**20))
        if raw == unpacker.unconsumed_tail and not unpacker.eof:
            break
        raw = unpacker.unconsumed_tail
    return size


def _blosc_size(raw: bytes) -> int:
    """The unpacked size in the header of a Blosc buffer (c-blosc, README_CHUNK_FORMAT)."""
    return int.from_bytes(raw[4:8], "little")


def _contiguous() -> int:
    import h5py

    return int(h5py.h5d.CONTIGUOUS)


def _repack(name: str) -> str:
    return f"h5repack -l {name}:CHUNK=... -f {name}:GZIP=1 rewrites it, if you trust it."
