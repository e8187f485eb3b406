"""From events to jets: detectors, pileup, clustering, grooming."""

from __future__ import annotations

from hepimg.components import Step
from hepimg.hooks import hookimpl


@hookimpl
def hepimg_steps() -> list[type[Step]]:
    """Event steps, and the jet steps that groom."""
    from hepimg_jets.calorimeter import Calorimeter
    from hepimg_jets.cluster import Cluster
    from hepimg_jets.pairs import Pairs

    return [Calorimeter, Cluster, Pairs]
