"""IDX files as MNIST is published, written byte by byte."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


def pictures(n: int, rows: int = 6, columns: int = 4) -> Bytes:
    """(n, rows, columns) with many zeros."""
    rng = np.random.default_rng(2)
    return (rng.integers(0, 256, (n, rows, columns)) * (rng.random((n, rows, columns)) < 0.4)).astype(np.uint8)


def labels(n: int) -> Bytes:
    """(n,) 0, 1 ... 9, 0 ..."""
    return (np.arange(n) % 10).astype(np.uint8)


def write_images(path: Path, images: Bytes) -> None:
    _write(path, struct.pack(">IIII", 2051, *images.shape) + images.tobytes())


def write_labels(path: Path, values: Bytes) -> None:
    _write(path, struct.pack(">II", 2049, len(values)) + values.tobytes())


def _write(path: Path, content: bytes) -> None:
    """Packed where the name says so."""
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
