"""Toy jets, so that the tests of the pipeline need no generator."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, ClassVar, Literal

from hepimg.components import Collection, Column, Field, Port, RowKind, Shard, Source
from hepimg.hooks import hookimpl

if TYPE_CHECKING:
    from hepimg.sample import Sample

BATCH = 250


class ToyJets(Source):
    """Jets of about 20 pions with one or two prongs."""

    name: ClassVar[str] = "toy_jets"
    rows_out: ClassVar[RowKind] = "jet"

    prongs: Literal[1, 2] = Field(1, description="prongs of each jet")
    pause: float = Field(0.0, ge=0, description="seconds to wait before each batch, so that a test can interrupt it")

    def writes(self) -> Sequence[Port]:
        """Jets with constituents."""
        units = {"event": "", "weight": "", "pt": "GeV", "eta": "", "y": "", "phi": "rad", "mass": "GeV"}
        particles = {"pt": "GeV", "y": "", "phi": "rad", "mass": "GeV", "charge": "e"}
        return [*(Column(name, unit) for name, unit in units.items()), Collection("constituents", particles)]

    def batches(self, shard: Shard) -> Iterator[Sample]:
        """Jets without an end, 250 at a time."""
        from hepimg.random import derive_seed
        from hepimg.testing import toy_jets

        for number in count():
            time.sleep(self.pause)
            seed, first = derive_seed(shard.seed, number), (shard.index << 32) + number * BATCH
            yield toy_jets(BATCH, self.prongs, seed, first)


@hookimpl
def hepimg_sources() -> Iterable[type[Source]]:
    """The source ``toy_jets``."""
    return [ToyJets]
