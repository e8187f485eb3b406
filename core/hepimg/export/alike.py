"""All shards of one file hold the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hepimg.errors import DataError


def require_alike(schema: Any, first: Any, path: Path) -> None:
    """Raise where a shard holds something else than the first one.

    Args:
        schema: of the shard, as :func:`hepimg.shards.to_arrow` makes it: names, types, units, grids, channels.
        first: of the first shard.
        path: the file that they are written to.

    Raises:
        DataError: names what differs.
    """
    if schema.equals(first, check_metadata=True):
        return
    here, there = ({field.name: field.type for field in each} for each in (schema, first))
    other = sorted(name for name in {*here, *there} if here.get(name) != there.get(name))
    said = [f"{name} ({here.get(name, 'none')}, {there.get(name, 'none')} in the first)" for name in other]
    raise DataError(
        f"a shard that differs from the first in {', '.join(said) or 'units, shapes, grids or channels'}",
        where=str(path),
        needed="the same columns, collections and images in all files of a sample",
        fix="Name the files that differ as another sample.",
    )
