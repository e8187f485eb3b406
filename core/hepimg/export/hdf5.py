"""Samples as plain HDF5: padded arrays with their column names beside them, which any tool reads.

Columns are datasets with an attribute ``unit``.  A collection is a dataset (n, maximum, fields), padded with zeros,
whose attributes ``columns``, ``units`` and ``dtypes`` describe the fields and whose ``counts`` names the dataset of the
entries of each row (``n`` for ``constituents``).  An image is a group ``images/<name>`` of ``offsets``, ``cells`` and
``values``, with its ``grid`` and ``channels`` as JSON.  Every piece has a checksum.  The source ``hdf5`` reads it back
exactly.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepimg.errors import DataError
from hepimg.sample import Ragged, Sample
from hepimg.store import installed_version, writing

LAYOUT = "hepimg 1"
"""The attribute ``layout`` of a file that was written here."""

CHUNK = 2**18
"""Bytes of a compressed piece of a dataset."""

SLAB = 2**26
"""Bytes of padded numbers that are held at a time."""

EXACT = 2**53
"""Whole numbers up to here survive as float64."""


MAX_TEXT = 60_000
"""Bytes of an attribute; HDF5 itself takes 64 kB."""


@dataclass
class Plan:
    """What all shards have, and how much of it."""

    first: Sample
    rows: int = 0
    longest: dict[str, int] = field(default_factory=dict)
    active: dict[str, int] = field(default_factory=dict)


def write_hdf5(path: Path, shards: Callable[[], Iterator[Sample]]) -> None:
    """Write samples, shard by shard, into one file.

    Args:
        path: of the file; written under a temporary name and renamed.
        shards: called twice, each time for all shards from the first on: the lengths must be known before the writing.

    Raises:
        DataError: the shards differ, hold what HDF5 cannot keep exactly, or the disk is full.
    """
    import h5py

    plan = _plan(shards())
    with writing(path) as temporary, h5py.File(temporary, "w") as file:
        _describe(file, creator=f"hepimg {installed_version('hepimg')}", layout=LAYOUT)
        _create(file, plan)
        row, cells = 0, dict.fromkeys(plan.active, 0)
        for sample in shards():
            _fill(file, sample, row, cells)
            row += len(sample)


def counts_name(collection: str, taken: Iterable[str]) -> str:
    """The dataset of the entries of each row of a collection, beside other datasets."""
    name = "n" if collection == "constituents" else f"n_{collection}"
    while name in taken:
        name += "_"
    return name


def _plan(shards: Iterator[Sample]) -> Plan:
    plan = None
    for sample in shards:
        plan = plan or Plan(sample)
        if _described(sample) != _described(plan.first):
            raise DataError("shards with other columns, collections or images than the first")
        _check_whole_numbers(sample)
        plan.rows += len(sample)
        for name, ragged in sample.collections.items():
            plan.longest[name] = max(1, plan.longest.get(name, 0), *ragged.counts.tolist())
        for name, images in sample.images.items():
            plan.active[name] = plan.active.get(name, 0) + len(images.cells)
    if plan is None:
        raise DataError("no rows to write")
    _check_names(plan.first)
    return plan


def _described(sample: Sample) -> Any:
    """What must be alike in all shards."""
    return (
        {name: (values.dtype, values.shape[1:]) for name, values in sample.columns.items()},
        {name: {key: v.dtype for key, v in ragged.fields.items()} for name, ragged in sample.collections.items()},
        {name: (images.grid, images.channels) for name, images in sample.images.items()},
    )


def _check_names(sample: Sample) -> None:
    names = [*sample.columns, *sample.collections]
    for name in [*names, *sample.images]:
        if not name or set(name) & set("/\0") or name in (".", "images"):
            raise DataError(f"{name!r} cannot be a name in HDF5", needed="a name without /, other than images")
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"{name} is both a column and a collection", needed="different names")
    for name, ragged in sample.collections.items():
        units = [ragged.units.get(key, "") for key in ragged.fields]
        if not ragged.fields or any("," in text for text in (*ragged.fields, *units)):
            raise DataError(f"{name} has no fields, or a comma in their names or units")
    arrays = {**sample.columns, **{f"{n}.{k}": v for n, r in sample.collections.items() for k, v in r.fields.items()}}
    for name, values in arrays.items():
        if values.dtype.kind not in "biuf" or values.dtype.itemsize > 8:
            raise DataError(f"{name} holds {values.dtype}", needed="numbers of at most 64 bits")


def _check_whole_numbers(sample: Sample) -> None:
    """The fields of a collection share one type, which must keep each exactly."""
    for name, ragged in sample.collections.items():
        if _common(ragged.fields).kind != "f":
            continue
        for key, values in ragged.fields.items():
            if values.dtype.kind in "iu" and len(values) and max(-int(values.min()), int(values.max())) > EXACT:
                raise DataError(f"{name}.{key} has whole numbers beyond 2^53", fix="Export to Parquet instead.")


def _common(fields: Mapping[str, NDArray[Any]]) -> np.dtype[Any]:
    return np.result_type(*(values.dtype for values in fields.values()))


def _create(file: Any, plan: Plan) -> None:
    """All datasets, with their attributes."""
    sample = plan.first
    for name, values in sample.columns.items():
        dataset = _dataset(file, name, (plan.rows, *values.shape[1:]), values.dtype)
        _describe(dataset, unit=sample.units.get(name, ""))
    for name, ragged in sample.collections.items():
        dtype = _common(ragged.fields)
        dataset = _dataset(file, name, (plan.rows, plan.longest[name], len(ragged.fields)), dtype)
        counts = counts_name(name, {*sample.columns, *sample.collections, *file})
        _describe(
            dataset,
            columns=",".join(ragged.fields),
            units=",".join(ragged.units.get(key, "") for key in ragged.fields),
            dtypes=",".join(values.dtype.name for values in ragged.fields.values()),
            counts=counts,
        )
        _dataset(file, counts, (plan.rows,), np.dtype(np.int32))
    for name, images in sample.images.items():
        group = file.create_group(f"images/{name}")
        channels = json.dumps([astuple(channel) for channel in images.channels])
        _describe(group, grid=images.grid.model_dump_json(), channels=channels)
        active = plan.active[name]
        _dataset(group, "offsets", (plan.rows + 1,), np.dtype(np.int64))
        _dataset(group, "cells", (active,), np.dtype(np.int32))
        _dataset(group, "values", (active, len(images.channels)), np.dtype(np.float32))


def _describe(node: Any, **texts: str) -> None:
    """Attributes of fixed length, which need no heap; an empty text needs none at all.

    Raises:
        DataError: a text is longer than HDF5 takes.
    """
    for name, text in texts.items():
        if len(text.encode()) > MAX_TEXT:
            raise DataError(f"the {name} of {node.name} takes {len(text)} characters", fix="Export to Parquet instead.")
        if text:
            node.attrs[name] = np.bytes_(text.encode())


def _dataset(group: Any, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    if not prod(shape):
        return group.create_dataset(name, shape, dtype)
    rows = max(1, min(shape[0], CHUNK // (prod(shape[1:]) * dtype.itemsize)))
    packing = {"compression": "gzip", "compression_opts": 1, "shuffle": True, "fletcher32": True}
    return group.create_dataset(name, shape, dtype, chunks=(rows, *shape[1:]), **packing)


def _fill(file: Any, sample: Sample, row: int, cells: dict[str, int]) -> None:
    """Write one shard at ``row``, and its active cells at ``cells``, which advance."""
    rows = slice(row, row + len(sample))
    for name, values in sample.columns.items():
        file[name][rows] = values
    for name, ragged in sample.collections.items():
        dataset = file[name]
        file[dataset.attrs["counts"].decode()][rows] = ragged.counts
        step = max(1, SLAB // (prod(dataset.shape[1:]) * dataset.dtype.itemsize))
        for first in range(0, len(sample), step):
            some = ragged.take(slice(first, first + step))
            dataset[row + first : row + first + len(some)] = _padded(some, dataset.shape[1], dataset.dtype)
    for name, images in sample.images.items():
        group, start = file["images"][name], cells[name]
        cells[name] += len(images.cells)
        group["offsets"][row : row + len(sample) + 1] = images.offsets + start
        group["cells"][start : cells[name]] = images.cells
        group["values"][start : cells[name]] = images.values


def _padded(ragged: Ragged, maximum: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """(n_rows, maximum, n_fields) with zeros after the entries of each row."""
    padded = np.zeros((len(ragged), maximum, len(ragged.fields)), dtype)
    is_there = np.arange(maximum) < ragged.counts[:, None]
    padded[is_there] = np.stack([values.astype(dtype) for values in ragged.fields.values()], axis=1)
    return padded
