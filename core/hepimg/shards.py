"""Shards: a :class:`~hepimg.sample.Sample` as one Arrow IPC file, memory-mapped and read without a copy.

Columns are Arrow columns; collections and images are lists of records, so that every data tool reads them.  Units,
grids and channels stand in the schema's metadata under ``hepimg``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepimg.errors import DataError
from hepimg.grid import Grid
from hepimg.images import Channel, SparseImages
from hepimg.sample import Ragged, Sample
from hepimg.store import writing

FIX = "The file is damaged: remove its folder (hepimg cache clean) and run again."


def write_shard(path: Path, sample: Sample) -> None:
    """Write a sample in one piece; nothing is left behind if that fails.

    Raises:
        DataError: the disk is full or read-only.
    """
    import pyarrow as pa

    table = to_arrow(sample)
    with (
        writing(path) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as file,
    ):
        file.write_table(table)


def read_shard(path: Path, names: Iterable[str] | None = None) -> Sample:
    """Read a shard; arrays are views of the mapped file.

    Args:
        path: the file.
        names: columns, collections and images to read; None: all.

    Raises:
        DataError: the file is missing, truncated, or no shard of hepimg.
    """
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
            table = file.read_all()
    except FileNotFoundError as error:
        raise DataError("no such file", where=str(path)) from error
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"a truncated or foreign file ({error})", where=str(path), needed="Arrow IPC", fix=FIX
        ) from error
    return from_arrow(table, names, where=str(path))


def read_rows(path: Path) -> Sample:
    """Read a shard, or all shards of a folder.

    Raises:
        DataError: there is none.
    """
    if not path.is_dir():
        return read_shard(path)
    shards = sorted(path.glob("*.arrow"))
    if not shards:
        raise DataError(
            "no shards (*.arrow) in this folder", where=str(path), fix="hepimg data FILE tells where they are."
        )
    return Sample.concatenate([read_shard(shard) for shard in shards])


def to_arrow(sample: Sample) -> Any:
    """The sample as a pyarrow.Table of one chunk."""
    import pyarrow as pa

    arrays: dict[str, Any] = {}
    for name, values in sample.columns.items():
        if values.ndim == 1:
            arrays[name] = pa.array(values)
        else:
            flat = pa.array(np.ascontiguousarray(values).reshape(-1))
            arrays[name] = pa.FixedSizeListArray.from_arrays(flat, int(np.prod(values.shape[1:])))
    for name, ragged in sample.collections.items():
        arrays[name] = _list_of_records(ragged.offsets, ragged.fields)
    for name, images in sample.images.items():
        channels = {channel.name: images.values[:, k] for k, channel in enumerate(images.channels)}
        arrays[name] = _list_of_records(images.offsets, {"cell": images.cells, **channels})
    described = {
        "units": dict(sample.units),
        "classes": list(sample.classes),
        "shapes": {name: values.shape[1:] for name, values in sample.columns.items() if values.ndim > 2},
        "collections": {name: dict(ragged.units) for name, ragged in sample.collections.items()},
        "images": {
            name: {
                "grid": images.grid.model_dump(mode="json"),
                "channels": [list(astuple(channel)) for channel in images.channels],
            }
            for name, images in sample.images.items()
        },
    }
    return pa.table(arrays).replace_schema_metadata({"hepimg": json.dumps(described, sort_keys=True)})


def _list_of_records(offsets: NDArray[np.int64], fields: Mapping[str, NDArray[Any]]) -> Any:
    import pyarrow as pa

    arrays = [pa.array(np.ascontiguousarray(values)) for values in fields.values()]
    return pa.LargeListArray.from_arrays(pa.array(offsets), pa.StructArray.from_arrays(arrays, list(fields)))


def from_arrow(table: Any, names: Iterable[str] | None = None, where: str = "") -> Sample:
    """The inverse of :func:`to_arrow`.

    Raises:
        DataError: the table was not written by hepimg.
    """
    metadata = (table.schema.metadata or {}).get(b"hepimg")
    if metadata is None:
        raise DataError("an Arrow file without hepimg's metadata", where=where, needed="a shard written by hepimg")
    described = json.loads(metadata)
    keep = set(table.column_names) if names is None else {*names, "event", "weight"} & set(table.column_names)
    columns: dict[str, NDArray[Any]] = {}
    collections: dict[str, Ragged] = {}
    images: dict[str, SparseImages] = {}
    for name in (name for name in table.column_names if name in keep):
        array = _one_chunk(table.column(name))
        if name in described["collections"]:
            collections[name] = Ragged(*_records(array), units=described["collections"][name])
        elif name in described["images"]:
            images[name] = _images(described["images"][name], *_records(array))
        else:
            columns[name] = _column(array, described["shapes"].get(name))
    units = {name: unit for name, unit in described["units"].items() if name in columns}
    return Sample(columns, collections, images, units, tuple(described["classes"]))


def _one_chunk(column: Any) -> Any:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _column(array: Any, shape: list[int] | None) -> NDArray[Any]:
    import pyarrow as pa

    if pa.types.is_fixed_size_list(array.type):
        return np.asarray(array.flatten().to_numpy(zero_copy_only=False)).reshape(
            len(array), *(shape or [array.type.list_size])
        )
    return np.asarray(array.to_numpy(zero_copy_only=False))


def _records(array: Any) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]]]:
    offsets = array.offsets.to_numpy()
    records = array.values.slice(offsets[0], offsets[-1] - offsets[0])
    names = [field.name for field in records.type]
    return offsets - offsets[0], {name: records.field(name).to_numpy(zero_copy_only=False) for name in names}


def _images(described: Mapping[str, Any], offsets: NDArray[np.int64], fields: dict[str, NDArray[Any]]) -> SparseImages:
    channels = tuple(Channel(*channel) for channel in described["channels"])
    values = np.stack([fields[channel.name] for channel in channels], axis=1)
    return SparseImages(Grid.model_validate(described["grid"]), channels, offsets, fields["cell"], values)


def checksum(sample: Sample) -> str:
    """The SHA-256 of the logical arrays, in the order of their names: equal for equal content, however it is stored."""
    digest = hashlib.sha256()

    def take(name: str, array: NDArray[Any]) -> None:
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())

    for name in sorted(sample.columns):
        take(name, sample.columns[name])
    for name in sorted(sample.collections):
        ragged = sample.collections[name]
        take(name, ragged.offsets)
        for key in sorted(ragged.fields):
            take(f"{name}.{key}", ragged.fields[key])
    for name in sorted(sample.images):
        for key in ("offsets", "cells", "values"):
            take(f"{name}.{key}", getattr(sample.images[name], key))
    return digest.hexdigest()
