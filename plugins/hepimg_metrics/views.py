"""Views: where a metric finds a jet, and its observables there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hepimg.components import Column, Image, Options, Port
from hepimg.observables import ObservableName, compute, parse
from hepimg.observables.ports import particles_for
from hepimg.particles import Particles
from hepimg.sample import Sample

Floats = NDArray[np.float64]


class View(Options):
    """A jet: all particles of some collections and all cells of some images; or some observables of it, as columns.

    A jet whose tracks are known and whose neutral cells were predicted is ``{collections: [tracks], images:
    [unet.neutral]}``; one that is known by its momentum only is ``{columns: {pt: subtracted_pt}}``.
    """

    collections: tuple[str, ...] = Field((), description="collections, such as [tracks]")
    images: tuple[str, ...] = Field((), description="images, such as [unet.neutral]")
    columns: dict[ObservableName, str] = Field(
        {},
        description="observables that columns hold, such as {pt: subtracted_pt}; others are then not known",
    )

    @model_validator(mode="after")
    def _check(self) -> View:
        parts = [*self.collections, *self.images]
        if bool(parts) == bool(self.columns):
            raise ValueError("a jet is made of collections and images, or known by columns: give either")
        if len(set(parts)) < len(parts):
            raise ValueError(f"a part of the jet is named twice: {parts}")
        return self

    def known(self, names: Sequence[str]) -> list[str]:
        """Those of the observables that it has."""
        return [name for name in names if not self.columns or name in self.columns]

    def reads(self, names: Sequence[str]) -> list[Port]:
        """What these observables are computed from."""
        columns = [Column(self.columns[name], parse(name).unit) for name in names if name in self.columns]
        collections = [particles_for(names, name) for name in self.collections]
        return [*columns, *collections, *map(Image, self.images)]

    def observables(self, names: Sequence[str], test: Sample) -> dict[str, Floats]:
        """(n_rows,) each of the observables that it has, by name."""
        if self.columns:
            return {name: test.column(self.columns[name]).astype(np.float64) for name in self.known(names)}
        parts = [test.collection(name).particles() for name in self.collections]
        parts += [test.image(name).particles() for name in self.images]
        return compute(names, Particles.together(parts))
