"""What of a jet's neutral energy is pileup, told by its tracks: dense and sparse networks."""

from __future__ import annotations

from hepimg.components import Task
from hepimg.hooks import hookimpl


@hookimpl
def hepimg_tasks() -> list[type[Task]]:
    """The published dense network, and a sparse one."""
    from hepimg_pileup.pileup_unet import PileupUNet
    from hepimg_pileup.pumml import Pumml

    return [Pumml, PileupUNet]
