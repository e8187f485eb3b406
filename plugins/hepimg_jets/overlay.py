"""The step ``overlay``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import PrivateAttr

from hepimg.components import Collection, Column, Field, Port, Ports, RowKind, Step
from hepimg.errors import DataError
from hepimg_jets.crossings import MAX_MU, Fixed, Histogram, Uniform, draw_crossings

if TYPE_CHECKING:
    from hepimg.sample import Ragged, Sample

Numbers = NDArray[np.int64]


class Overlay(Step):
    """Overlay pileup: the particles of minimum-bias events, drawn from a pool, follow those of each event.

    Each particle knows its collision, ``vertex``: 0 is the event's own, 1, 2, ... are pileup.  The columns ``mu`` and
    ``n_pileup`` hold the mean and the number of pileup collisions.

    Pool events are drawn with replacement, in proportion to their weights.  A pool is reused (events x mu / pool) times
    on the average, so one that is a few hundred times larger than mu gives nearly independent pileup; that holds all
    the more since each use is rotated by a random azimuth, which minimum-bias collisions do not prefer.
    """

    name: ClassVar[str] = "overlay"
    rows_in: ClassVar[RowKind] = "event"
    rows_out: ClassVar[RowKind] = "event"

    pool: str = Field(description="minimum-bias events, by their name under data.pools")
    mu: Annotated[float, Field(ge=0, le=MAX_MU)] | Uniform | Histogram | Fixed = Field(
        description="mean number of pileup collisions; each event has a number of Poisson's distribution about it; or "
        "a distribution of the mean: {uniform: [0, 200]}, {values: [20, 40], weights: [1, 3]}; or {fixed: 60}: exactly "
        "that many"
    )
    particles: str = Field("particles", description="collection of the event, and of the pool, that pileup is added to")
    rotate: bool = Field(
        True, description="turn each pileup collision by a random azimuth; false: particles are those of the pool"
    )

    _pool: Pool | None = PrivateAttr(None)

    @property
    def is_random(self) -> bool:
        """It draws from the pool."""
        return True

    def reads(self) -> Sequence[Port]:
        """Particles; all their fields must be in the pool too."""
        return (Collection(self.particles, {"phi": "rad"}),)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The particles with ``vertex``, and the columns ``mu`` and ``n_pileup``."""
        particles = ports[self.particles]
        if not isinstance(particles, Collection):
            raise ValueError(f"{self.particles} is no collection")
        if "vertex" in particles.fields:
            raise ValueError(f"{self.particles} know their vertex already: they hold pileup")
        fields = {**particles.fields, "vertex": ""}
        return Collection(self.particles, fields), Column("mu"), Column("n_pileup")

    def pools(self) -> Sequence[str]:
        """The pool of minimum-bias events."""
        return (self.pool,)

    def reads_of_pool(self, pool: str, ports: Ports) -> Sequence[Port]:
        """All fields of the particles."""
        particles = ports.get(self.particles)
        return (particles,) if isinstance(particles, Collection) else ()

    def open_pools(self, pools: Mapping[str, Sequence[Sample]]) -> None:
        """Take hold of the pool's particles, which stay on disk.

        Raises:
            DataError: the pool has no events, or their weights are no probabilities.
        """
        where = f"pool {self.pool}"
        shards = [shard for shard in pools[self.pool] if len(shard)]
        if not shards:
            raise DataError("it has no events", where=where, needed="at least one minimum-bias event")
        weights = np.concatenate([shard.column("weight") for shard in shards]).astype(np.float64)
        total = weights.sum()
        if not (np.isfinite(weights).all() and weights.min() >= 0 and total > 0):
            raise DataError("its weights are no probabilities", where=where, needed="weights that are not negative")
        particles = [shard.collection(self.particles) for shard in shards]
        self._pool = Pool.of(particles, np.cumsum(weights) / total)

    def apply(self, sample: Sample, seed: int | None) -> Sample:
        """The events with pileup.

        Raises:
            DataError: the pool lacks a field that the particles have.
        """
        if self._pool is None or seed is None:
            raise ValueError("overlay needs its pool (open_pools) and a seed")
        hard = sample.collection(self.particles)
        missing = [name for name in hard.fields if name not in self._pool.particles[0]]
        if missing:
            raise DataError(
                f"the particles have {', '.join(missing)}, those of the pool {self.pool} have not: "
                f"{', '.join(self._pool.particles[0].fields)}",
                where="step overlay",
                needed="the same fields",
            )
        mean, number = draw_crossings(self.mu, sample.column("event"), seed)
        pileup = self._drawn(sample.column("event"), number, seed)
        overlaid = _interleaved(hard, number, self._pool, pileup)
        columns = {"mu": mean.astype(np.float32), "n_pileup": number.astype(np.int32)}
        return sample.with_collection(self.particles, overlaid).with_columns(**columns)

    def _drawn(self, event: Numbers, number: Numbers, seed: int) -> Drawn:
        """Which pool events the pileup collisions of all events are, one event after another."""
        from hepimg.random import entries_of, uniform

        assert self._pool is not None
        vertex = 1 + np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
        collision = entries_of(np.repeat(event, number), vertex)
        chosen = np.searchsorted(self._pool.cumulative, uniform(collision, seed, "collision"), side="right")
        chosen = np.minimum(chosen, len(self._pool.cumulative) - 1)
        turns = uniform(collision, seed, "azimuth") if self.rotate else np.zeros(len(collision))
        return Drawn(vertex, chosen, 2 * np.pi * turns)


@dataclass(frozen=True)
class Pool:
    """Minimum-bias events.

    Args:
        particles: of each shard.
        shard: (n_events,) which shard an event is in.
        first: (n_events,) where its particles begin in the shard.
        last: (n_events,) where they end.
        cumulative: (n_events,) running sum of the probabilities to be drawn.
    """

    particles: Sequence[Ragged]
    shard: Numbers
    first: Numbers
    last: Numbers
    cumulative: NDArray[np.float64]

    @classmethod
    def of(cls, particles: Sequence[Ragged], cumulative: NDArray[np.float64]) -> Pool:
        """The events of all shards."""
        shard = np.repeat(np.arange(len(particles)), [len(ragged) for ragged in particles])
        first, last = (np.concatenate([r.offsets[side] for r in particles]) for side in (np.s_[:-1], np.s_[1:]))
        return cls(particles, shard, first, last, cumulative)


@dataclass(frozen=True)
class Drawn:
    """Pileup collisions: (n,) their numbers within the event, the pool events that they are, and their azimuths."""

    vertex: Numbers
    chosen: Numbers
    azimuth: NDArray[np.float64]


def _interleaved(hard: Ragged, number: Numbers, pool: Pool, pileup: Drawn) -> Ragged:
    """The particles of each event, then those of its pileup collisions.

    Whole collisions are copied, each a slice of one array: 200 particles at a time.
    """
    from hepimg.rows import offsets_of
    from hepimg.sample import Ragged

    starts = offsets_of(1 + number)  # where the collisions of each event begin: its own, then pileup
    own = np.zeros(starts[-1], bool)
    own[starts[:-1]] = True
    source, first, last, vertex = (np.zeros(starts[-1], np.int64) for _ in range(4))
    first[own], last[own] = hard.offsets[:-1], hard.offsets[1:]
    source[~own] = 1 + pool.shard[pileup.chosen]
    first[~own], last[~own] = pool.first[pileup.chosen], pool.last[pileup.chosen]
    vertex[~own] = pileup.vertex
    offsets = offsets_of(last - first)
    slices = [*zip(source.tolist(), map(slice, first.tolist(), last.tolist()), strict=True)]
    fields: dict[str, NDArray[Any]] = {}
    for name, values in hard.fields.items():
        arrays = [values, *(ragged[name] for ragged in pool.particles)]
        pieces = [arrays[where][entries] for where, entries in slices]
        fields[name] = np.concatenate([values[:0], *pieces], dtype=values.dtype, casting="same_kind")
    if pileup.azimuth.any():
        azimuth = np.zeros(starts[-1])
        azimuth[~own] = pileup.azimuth
        fields["phi"] = _turned(fields["phi"], np.repeat(azimuth, last - first))
    fields["vertex"] = np.repeat(vertex.astype(np.int16), last - first)
    return Ragged(offsets[starts], fields, hard.units)


def _turned(phi: NDArray[Any], azimuth: NDArray[np.float64]) -> NDArray[Any]:
    """Azimuths in (-pi, pi] after a turn by less than 2 pi; those that are not turned keep every digit."""
    turned = phi + azimuth
    turned[turned > np.pi] -= 2 * np.pi
    return np.where(azimuth == 0, phi, turned).astype(phi.dtype)
