"""Jets of a few particles, or of one cell, for tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from hepimg.components import Collection, Column, Grid, Image, Port
from hepimg.images import PT, SparseImages
from hepimg.sample import Ragged, Sample
from hepimg.testing import toy_jets
from hepimg_preprocess.pixelate import Pixelate

Jet = list[tuple[float, float, float]]

GRID = {"eta": [-1, 1], "phi": [-1, 1], "shape": [20, 20]}
UNITS = {"pt": "GeV", "y": "", "phi": "rad", "charge": "e"}

particle = st.tuples(st.floats(0.5, 500, width=32), st.floats(-2, 2, width=32), st.floats(-3.125, 3.125, width=32))
some_jets = st.lists(st.lists(particle, max_size=6), max_size=5)
few = settings(max_examples=25, deadline=None)


def sample_of(jets: list[Jet], first_row: int = 0) -> Sample:
    """Jets of (pt, y, phi), frozen so that no step can change them; charges alternate."""
    flat = np.array([p for jet in jets for p in jet], np.float32).reshape(-1, 3)
    fields = {name: flat[:, k].copy() for k, name in enumerate(("pt", "y", "phi"))}
    fields["charge"] = (np.arange(len(flat)) % 3 - 1).astype(np.float32)
    rows = np.arange(len(jets)) + first_row
    columns = {
        "event": rows,
        "row": rows,
        "weight": np.ones(len(jets)),
        "y": rows * 0.1,
        "phi": np.full(len(jets), 3.1),
    }
    for values in [*fields.values(), *columns.values()]:
        values.flags.writeable = False
    offsets = np.cumsum([0, *map(len, jets)])
    return Sample(columns, {"constituents": Ragged(offsets, fields, {k: u for k, u in UNITS.items() if u})})


def with_image(sample: Sample, grid: Any = GRID, *channels: Any) -> Sample:
    pixelated = Pixelate.model_validate({"grid": grid, "channels": channels or ["pt"]}).apply(sample, None)
    for name in ("offsets", "cells", "values"):
        getattr(pixelated.image("image"), name).flags.writeable = False
    return pixelated


def ports_of(sample: Sample) -> dict[str, Port]:
    collections = {name: Collection(name, dict(UNITS)) for name in sample.collections}
    images = {name: Image(name, i.grid, i.channels) for name, i in sample.images.items()}
    return {**{name: Column(name) for name in sample.columns}, **collections, **images}


def corners(*cells: int, rows: int = 200) -> Sample:
    """Images of 8 x 8 cells with all energy in one cell, any of those given, and an empty image at the end."""
    random = np.random.default_rng(1)
    grid = Grid.model_validate({"eta": [-1, 1], "phi": [-1, 1], "shape": [8, 8]})
    chosen, energy = random.choice(cells, rows).astype(np.int32), random.uniform(100, 200, (rows, 1))
    offsets = np.append(np.arange(rows + 1), rows)
    return toy_jets(rows + 1).with_images(image=SparseImages(grid, (PT,), offsets, chosen, energy))
