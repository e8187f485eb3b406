"""Looking into files: what a shard or a results folder holds, and tables of observables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hepimg.components import Shard, Source
from hepimg.errors import ConfigError, DataError, Problem
from hepimg.sample import Sample
from hepimg.shards import read_rows
from hepimg.store import writing


def describe_path(path: Path, rows: int) -> str:
    """A few lines on a shard, a folder of shards, a results folder, or a file that some source reads.

    Raises:
        DataError: it is neither.
    """
    if path.is_dir() and not list(path.glob("*.arrow")):
        from hepimg.results import load

        return repr(load(path))
    if path.is_file() and path.suffix != ".arrow":
        return describe_file(path, rows)
    return describe_sample(read_rows(path), rows)


def describe_file(path: Path, rows: int) -> str:
    """Which sources read a file, the line of YAML for each, and the first of its entries.

    Raises:
        DataError: none does, or the file is damaged.
    """
    from hepimg.registry import load_registry

    told, failures = [], []
    for source in load_registry().usable("source"):
        try:
            if issubclass(source, Source) and (options := source.recognise(path)) is not None:
                told.append(_read_by(source, options, rows))
        except DataError as error:
            failures.append(error)
    if not told and failures:
        raise failures[0]
    if not told:
        raise DataError(
            "no installed source recognises this file", where=str(path), fix="hepimg plugins lists the sources."
        )
    return "\n\n".join(told)


def _read_by(source: type[Source], options: Mapping[str, Any], rows: int) -> str:
    """How a source reads a file, and the first of what it gives."""
    given = ", ".join(f"{name}: {json.dumps(value)}" for name, value in options.items())
    line = f"source: {{source: {source.name}, {given}}}"
    missing = [name for name, field in source.model_fields.items() if field.is_required() and name not in options]
    if missing:
        return f"{line}\n  needs also: {', '.join(missing)} (hepimg schema source {source.name})"
    component = source.model_validate(options)
    parts = component.parts() or ()
    shards = (Shard(k, None, 0, part) for k, part in enumerate(parts))
    first = next((batch for shard in shards for batch in component.batches(shard) if len(batch)), None)
    return f"{line}\n{len(parts)} chunks; of the first, " + (
        describe_sample(first, rows) if first is not None else "no rows"
    )


def describe_sample(sample: Sample, rows: int) -> str:
    """Columns, collections and images with units and ranges, then the first rows."""
    lines = [f"{len(sample)} rows"]
    for name, values in sample.columns.items():
        unit = f" [{sample.units[name]}]" if name in sample.units else ""
        span = f"{_written(values.min())} ... {_written(values.max())}" if len(values) else "empty"
        lines.append(f"  {name}{unit}: {values.dtype}, {span}")
    for name, ragged in sample.collections.items():
        fields = ", ".join(f"{key} [{ragged.units[key]}]" if ragged.units.get(key) else key for key in ragged.fields)
        mean = ragged.counts.mean() if len(sample) else 0.0
        lines.append(f"  {name}: {mean:.1f} per row; {fields}")
    lines += [f"  {name}: {images!r}" for name, images in sample.images.items()]
    for row in range(min(rows, len(sample))):
        values_of_row = (
            f"{name}={_written(values[row])}" for name, values in sample.columns.items() if values.ndim == 1
        )
        lines.append(f"row {row}: {', '.join(values_of_row)}")
    return "\n".join(lines)


def _written(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, np.floating) else str(value)


def observables_table(file: Path, names: str, out: Path, of: str) -> str:
    """Write a Parquet table of named observables; one line on what was done.

    Args:
        file: a shard of jets, or a folder of shards.
        names: comma-separated names; a comma inside ``[...]`` belongs to the name.
        out: the table; columns carry their unit in the field's metadata.
        of: a collection of particles, or an image.

    Raises:
        ConfigError: an unknown observable.
        DataError: the file has no such collection or image.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from hepimg.observables import compute, parse

    wanted = split_names(names)
    try:
        units = {name: parse(name).unit for name in wanted}
    except ValueError as error:
        raise ConfigError([Problem(0, "", str(error), "--names")]) from error
    sample = read_rows(file)
    if of in sample.images:
        particles = sample.image(of).particles()
    elif of in sample.collections:
        particles = sample.collection(of).particles()
    else:
        raise DataError(
            f"no collection or image {of!r}",
            where=str(file),
            needed=f"one of {', '.join([*sample.collections, *sample.images])}",
        )
    try:
        rows = {name: sample.columns[name] for name in ("event", "jet", "weight") if name in sample.columns}
        table = {**rows, **compute(wanted, particles)}
    except ValueError as error:
        raise ConfigError([Problem(0, "", str(error), "--names")]) from error
    fields = [
        pa.field(name, pa.array(values[:0]).type, metadata={"unit": units.get(name, "")})
        for name, values in table.items()
    ]
    with writing(out) as temporary:
        pq.write_table(
            pa.table([pa.array(np.asarray(values)) for values in table.values()], schema=pa.schema(fields)), temporary
        )
    return (
        f"{out}: {len(sample)} rows, {', '.join(f'{name} [{unit}]' if unit else name for name, unit in units.items())}"
    )


def split_names(text: str) -> list[str]:
    """Names at the commas outside brackets.

    >>> split_names("mass,tau21[axes=kt,beta=2]")
    ['mass', 'tau21[axes=kt,beta=2]']
    """
    names, depth = [""], 0
    for letter in text:
        depth += (letter == "[") - (letter == "]")
        if letter == "," and depth == 0:
            names.append("")
        else:
            names[-1] += letter
    return [name.strip() for name in names if name.strip()]
