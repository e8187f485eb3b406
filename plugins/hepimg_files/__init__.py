"""Files as physicists have them: HDF5, ROOT, Parquet and HepMC, each layout a source."""

from __future__ import annotations

from hepimg.components import Source
from hepimg.hooks import hookimpl


@hookimpl
def hepimg_sources() -> list[type[Source]]:
    """One source for each layout."""
    return []
