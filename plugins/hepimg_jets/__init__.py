"""From events to jets: detectors, pileup and what removes it, clustering, grooming."""

from __future__ import annotations

from hepimg.components import Step
from hepimg.hooks import hookimpl


@hookimpl
def hepimg_steps() -> list[type[Step]]:
    """Event steps, and the jet steps that choose jets, groom, subtract, or look for subjets."""
    from hepimg_jets.area_subtraction import AreaSubtraction
    from hepimg_jets.background import Background
    from hepimg_jets.calorimeter import Calorimeter
    from hepimg_jets.cluster import Cluster
    from hepimg_jets.constituent_subtraction import ConstituentSubtraction
    from hepimg_jets.overlay import Overlay
    from hepimg_jets.pairs import Pairs
    from hepimg_jets.puppi import Puppi
    from hepimg_jets.select import Select
    from hepimg_jets.soft_drop import SoftDrop
    from hepimg_jets.softkiller import SoftKiller
    from hepimg_jets.subjets import Subjets
    from hepimg_jets.towers import Towers
    from hepimg_jets.trim import Trim

    return [
        *(Overlay, Calorimeter, Towers, SoftKiller, ConstituentSubtraction, Puppi, Background),
        *(Cluster, Pairs, Select, SoftDrop, Trim, Subjets, AreaSubtraction),
    ]
