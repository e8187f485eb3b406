"""What is read of a collection to compute observables of it."""

from __future__ import annotations

from collections.abc import Iterable

from hepimg.components import Collection
from hepimg.observables.names import parse


def particles_for(names: Iterable[str], collection: str) -> Collection:
    """The fields that these observables need: the charge, too, where one asks for it."""
    charge = {"charge": "e"} if any(parse(name).name == "jet_charge" for name in names) else {}
    return Collection(collection, {"pt": "GeV", "phi": "rad", **charge})
