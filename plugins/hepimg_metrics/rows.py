"""What metrics that look at test rows class by class have in common."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Collection
from hepimg.errors import DataError
from hepimg.observables import parse
from hepimg.sample import Sample


def rows_of_classes(test: Sample, metric: str) -> dict[str, NDArray[np.bool_]]:
    """(n_rows,) which test rows are of each class, for the classes that have any.

    Raises:
        DataError: there are no test rows.
    """
    rows = {name: test.is_from(name) for name in test.classes}
    rows = {name: chosen for name, chosen in rows.items() if chosen.any()}
    if not rows:
        raise DataError("no test rows", where=f"metric {metric}", fix="Raise data.rows.")
    return rows


def particles_for(names: Iterable[str], collection: str) -> Collection:
    """What is read of a collection for these observables: their charge too where one asks for it."""
    charge = {"charge": "e"} if any(parse(name).name == "jet_charge" for name in names) else {}
    return Collection(collection, {"pt": "GeV", "phi": "rad", **charge})
