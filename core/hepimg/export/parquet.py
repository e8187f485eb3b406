"""Parquet: a row group for each shard, lists of records for collections and images, checksums on every page.

The schema's metadata hold, under ``hepimg``, what :func:`hepimg.shards.to_arrow` says of units, grids and channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from hepimg.errors import DataError
from hepimg.export.alike import require_alike
from hepimg.sample import Sample
from hepimg.shards import to_arrow
from hepimg.store import writing


def write_parquet(path: Path, shards: Callable[[], Iterator[Sample]]) -> None:
    """Write samples of the same columns into one file, one after another; never more than one is in memory.

    Raises:
        DataError: there is none, they differ, or the disk is full.
    """
    import pyarrow.parquet as pq

    with writing(path) as temporary:
        writer = None
        try:
            for sample in shards():
                table = to_arrow(sample)
                if writer is None:
                    writer = pq.ParquetWriter(temporary, table.schema, compression="zstd", write_page_checksum=True)
                require_alike(table.schema, writer.schema, path)
                writer.write_table(table)
        finally:
            if writer is not None:
                writer.close()
        if writer is None:
            raise DataError("no rows to write", where=str(path))
