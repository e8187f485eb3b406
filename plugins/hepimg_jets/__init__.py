"""From events to jets."""

from __future__ import annotations

from hepimg.components import Step
from hepimg.hooks import hookimpl


@hookimpl
def hepimg_steps() -> list[type[Step]]:
    """The step ``cluster``."""
    from hepimg_jets.cluster import Cluster

    return [Cluster]
