"""Events from Pythia 8."""

from __future__ import annotations

from hepimg.components import Source
from hepimg.hooks import hookimpl


@hookimpl
def hepimg_sources() -> list[type[Source]]:
    """The source ``pythia``."""
    from hepimg_pythia.source import Pythia

    return [Pythia]
