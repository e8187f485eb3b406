"""The source ``idx``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import PrivateAttr

from hepimg.components import Column, Field, Image, Port, RowKind
from hepimg.errors import DataError
from hepimg_files.source import FileSource, reading

if TYPE_CHECKING:
    from hepimg.sample import Sample

MAX_SIDE = 4096
"""Pixels along a side of a believable picture."""


class Idx(FileSource):
    """Pictures in IDX files, as MNIST comes (Y. LeCun, C. Cortes, C. Burges): unsigned bytes, plain or gz.

    A file of images begins with 00 00 08 03 and its number of images, rows and columns, a file of labels with
    00 00 08 01 and its number of labels, all as big-endian 32-bit numbers; the bytes follow.
    """

    name: ClassVar[str] = "idx"
    rows_out: ClassVar[RowKind] = "jet"
    suffixes: ClassVar[tuple[str, ...]] = ("idx3-ubyte", "idx3-ubyte.gz", ".idx", ".idx.gz")

    into: str = Field("hr", description="name of the image")
    labels: str | tuple[str, ...] = Field(
        (), description="files of labels, one for each file of images, in the same order; none: no column label"
    )

    _shape: list[tuple[int, int]] = PrivateAttr(default_factory=list)
    _labels: dict[Path, Path] = PrivateAttr(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the pictures in the first file."""
        if not self._shape:
            path = self.first_file()
            with reading(path):
                self._shape.append(_sizes(path)[1:])
        return self._shape[0]

    @classmethod
    def looks_alike(cls, path: Path) -> bool:
        """Whether it begins as images do."""
        from hepimg_files.pictures.idx_format import IMAGES, beginning

        return beginning(path) == IMAGES

    def writes(self) -> Sequence[Port]:
        """The image, and the label where labels are given."""
        from hepimg_files.pictures.picture import BRIGHTNESS, picture_grid

        image = Image(self.into, picture_grid(*self.shape), (BRIGHTNESS,))
        return (Column("label"), image) if self.labels else (image,)

    def parts(self) -> Sequence[Mapping[str, Any]]:
        """Chunks of all files; other labels make other rows.

        Raises:
            DataError: labels are missing, or there are more or fewer than images.
        """
        if not self.labels:
            return super().parts()
        self._pair()
        parts = []
        for part in super().parts():
            status = self._labels[Path(part["file"])].stat()
            parts.append({**part, "labels_bytes": status.st_size, "labels_modified": status.st_mtime_ns})
        return parts

    def count(self, path: Path) -> int:
        """The images of a file, once it is sure that all of them and their labels are there."""
        from hepimg_files.pictures.idx_format import LABELS, check_length, sizes

        number, *shape = _sizes(path)
        if tuple(shape) != self.shape:
            raise DataError(
                f"images of {shape[0]} x {shape[1]} pixels",
                needed=f"{self.shape[0]} x {self.shape[1]}, as in {self.first_file()}",
            )
        check_length(path)
        if self.labels:
            labels = self._labels[path.resolve()]
            with reading(labels):
                if sizes(labels, LABELS) != (number,):
                    raise DataError(f"{sizes(labels, LABELS)[0]} labels for {number} images in {path}")
                check_length(labels)
        return number

    def read(self, path: Path, first: int, last: int) -> Sample:
        """The images ``first:last``."""
        from hepimg_files.pictures.idx_format import read_entries
        from hepimg_files.pictures.picture import picture_sample

        columns: dict[str, np.ndarray[Any, Any]] = {
            "event": np.arange(first, last),
            "weight": np.ones(last - first, np.float32),
        }
        if self.labels:
            labels = self._labels[path]
            with reading(labels):
                columns["label"] = read_entries(labels, first, last).astype(np.int16)
        return picture_sample(self.into, read_entries(path, first, last), columns)

    def _pair(self) -> None:
        """Find the labels of each file of images."""
        images, names = self.paths(), [self.labels] if isinstance(self.labels, str) else self.labels
        if len(images) != len(names):
            raise DataError(
                f"{len(names)} files of labels for {len(images)} of images",
                where="source idx",
                needed="labels for each, in the order of the files",
            )
        for path, name in zip(images, names, strict=True):
            labels = Path(name).expanduser().resolve()
            with reading(labels):
                labels.stat()
            self._labels[path.resolve()] = labels


def _sizes(path: Path) -> tuple[int, int, int]:
    """Images, rows and columns that a file announces.

    Raises:
        DataError: it is no file of images, or they are absurdly large.
    """
    from hepimg_files.pictures.idx_format import IMAGES, sizes

    number, rows, columns = sizes(path, IMAGES)
    if not (0 < rows <= MAX_SIDE and 0 < columns <= MAX_SIDE):
        raise DataError(f"images of {rows} x {columns} pixels", needed=f"between 1 and {MAX_SIDE} along each side")
    return number, rows, columns
