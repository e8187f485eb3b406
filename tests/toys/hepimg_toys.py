"""Toy jets, so that the tests of the pipeline need no generator."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import PrivateAttr

from hepimg.components import Collection, Column, Field, Port, Ports, RowKind, Shard, Source, Step
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


class ToyFile(Source):
    """Jets that end: as a file of some parts would give them, every second part empty where ``holes`` is set."""

    name: ClassVar[str] = "toy_file"
    rows_out: ClassVar[RowKind] = "jet"

    parts_there: int = Field(5, ge=1, description="parts of 40 jets")
    holes: bool = Field(False, description="whether every second part is empty")

    def writes(self) -> Sequence[Port]:
        """Jets with constituents."""
        return ToyJets().writes()

    def parts(self) -> Sequence[Mapping[str, Any]]:
        """Forty jets each."""
        return [{"part": number} for number in range(self.parts_there)]

    def batches(self, shard: Shard) -> Iterator[Sample]:
        """One batch."""
        from hepimg.testing import toy_jets

        rows = 0 if self.holes and shard.index % 2 == 0 else 40
        yield toy_jets(rows, 1, shard.index, shard.index << 32)


class ToyEvents(Source):
    """Events of ten particles."""

    name: ClassVar[str] = "toy_events"

    def writes(self) -> Sequence[Port]:
        """Particles."""
        return [Collection("particles", {"pt": "GeV", "y": "", "phi": "rad", "mass": "GeV", "charge": "e"})]

    def batches(self, shard: Shard) -> Iterator[Sample]:
        """Events without an end, ten at a time."""
        from hepimg.random import derive_seed
        from hepimg.sample import Sample
        from hepimg.testing import toy_jets

        for number in count():
            jets = toy_jets(10, 1, derive_seed(shard.seed, number), (shard.index << 32) + 10 * number)
            columns = {name: jets.column(name) for name in ("event", "weight")}
            yield Sample(columns, {"particles": jets.collection("constituents")})


class ToyMix(Step):
    """To each event the number of particles of an event of a pool."""

    name: ClassVar[str] = "toy_mix"
    rows_in: ClassVar[RowKind] = "event"
    rows_out: ClassVar[RowKind] = "event"

    pool: str = Field(description="the pool")
    _sizes: list[int] = PrivateAttr(default_factory=list)

    def pools(self) -> Sequence[str]:
        """The pool."""
        return (self.pool,)

    def open_pools(self, pools: Mapping[str, Sequence[Sample]]) -> None:
        """Count."""
        self._sizes[:] = [int(n) for shard in pools[self.pool] for n in shard.collection("particles").counts]

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The number, and how many events the pool has."""
        return [Column("mixed"), Column("pool_size")]

    @property
    def is_random(self) -> bool:
        """It draws an event of the pool."""
        return True

    def apply(self, sample: Sample, seed: int | None) -> Sample:
        """Draw."""
        import numpy as np

        from hepimg.random import uniform

        drawn = (uniform(sample.column("event"), str(seed)) * len(self._sizes)).astype(int)
        size = np.full(len(sample), len(self._sizes), np.int32)
        return sample.with_columns(mixed=np.array(self._sizes, np.int32)[drawn], pool_size=size)


@hookimpl
def hepimg_sources() -> Iterable[type[Source]]:
    """Toy jets and events."""
    return [ToyJets, ToyFile, ToyEvents]


@hookimpl
def hepimg_steps() -> Iterable[type[Step]]:
    """The step ``toy_mix``."""
    return [ToyMix]
