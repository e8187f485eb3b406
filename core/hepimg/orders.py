"""Orders: which shards a sample is made of, under which key, and which of them are still wanted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hepimg.analysis import Analysis, SampleEntry
from hepimg.components import Shard, Source, Step
from hepimg.errors import DataError
from hepimg.random import derive_seed
from hepimg.store import Cache, Unit, content_key, describe, read_json


@dataclass(frozen=True)
class StoredSample:
    """A sample on disk."""

    name: str
    key: str
    shards: tuple[tuple[Path, int], ...]
    manifests: tuple[Mapping[str, Any], ...] = field(repr=False, default=())

    @property
    def rows(self) -> int:
        """Rows of all shards that the analysis uses."""
        return sum(rows for _, rows in self.shards)


Parts = Sequence[Mapping[str, Any]] | None

Pools = Mapping[str, tuple[tuple[Path, int], ...]]
"""Where the events of each pool are: files, and how many rows of each."""


@dataclass(frozen=True)
class Order:
    """What a worker is asked: one shard of one sample, into one folder."""

    sample: str
    folder: Path
    shard: Shard
    source: Source
    steps: tuple[Step, ...]
    pools: Pools = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The shard's file."""
        return self.folder / f"{self.shard.index:05d}.arrow"

    @property
    def manifest(self) -> Path:
        """The shard's manifest, written after the file."""
        return self.path.with_suffix(".json")

    def rows_made(self) -> int | None:
        """How many rows are there; None: the shard has to be made, or made longer.

        Raises:
            DataError: its file is not as long as it was when it was written.
        """
        if not self.manifest.exists():
            return None
        written = read_json(self.manifest)
        size = self.path.stat().st_size if self.path.exists() else 0
        if size != written["bytes"]:
            raise DataError(
                f"a truncated shard of {size} bytes",
                where=str(self.path),
                needed=f"{written['bytes']} bytes, as its manifest says",
                fix=f"Remove {self.manifest} and run again: the shard is made anew.",
            )
        rows: int = written["rows"]
        enough = written["complete"] or (self.shard.rows is not None and rows >= self.shard.rows)
        return rows if enough else None


@dataclass(frozen=True)
class Plan:
    """The shards of a sample, or of all samples that have the same options.

    Args:
        entry: the one of them that asks for the most rows.
        key: hash of what decides their rows.
        unit: where its shards are.
        orders: all shards that there can be, in order; the rows are taken in this order.
        is_finite: whether the source has an end, so that nobody knows beforehand how many rows a shard will have.
    """

    entry: SampleEntry
    key: str
    unit: Unit
    orders: tuple[Order, ...]
    is_finite: bool

    def made(self) -> dict[Path, int]:
        """Rows of the shards that are there."""
        return {order.path: rows for order in self.orders if (rows := order.rows_made()) is not None}

    @property
    def is_made(self) -> bool:
        """Whether no shard is wanted any more."""
        return self.unit.is_finished and not self.wanted(self.made(), 1)

    def wanted(self, made: Mapping[Path, int], window: int) -> list[Order]:
        """The shards to make next.

        Args:
            made: rows of the shards that are there.
            window: shards that are made at a time where it is not known how many will be needed.
        """
        missing: list[Order] = []
        left = self.entry.rows
        for order in self.orders:
            if left is not None and left <= 0:
                break
            if order.path not in made:
                missing.append(order)
            elif left is not None:
                left -= made[order.path]
        return missing[:window] if self.is_limited else missing

    @property
    def is_limited(self) -> bool:
        """Whether only time tells how many shards are needed."""
        return self.is_finite and self.entry.rows is not None


def make_plans(
    analysis: Analysis, entries: Sequence[SampleEntry], cache: Cache, pools: Mapping[str, StoredSample]
) -> dict[str, Plan]:
    """The plan of each sample by name; samples of the same options share one.

    Args:
        analysis: for seed and shard size.
        entries: samples, or pools.
        cache: where the shards are.
        pools: those that the event steps draw from.

    Raises:
        DataError: a source of files finds none, or cannot read it.
    """
    of_key: dict[str, list[SampleEntry]] = {}
    parts = {entry.name: entry.source.parts() for entry in entries}
    for entry in entries:
        of_key.setdefault(_sample_key(analysis, entry, parts[entry.name], pools), []).append(entry)
    plans: dict[str, Plan] = {}
    for key, alike in sorted(of_key.items()):
        longest = max(alike, key=lambda entry: math.inf if entry.rows is None else entry.rows)
        plan = _plan(analysis, longest, parts[longest.name], key, cache, pools)
        plans |= {entry.name: plan for entry in alike}
    return plans


def _sample_key(analysis: Analysis, entry: SampleEntry, parts: Parts, pools: Mapping[str, StoredSample]) -> str:
    """What decides a sample's rows; not how many there are, so that a longer run goes on where a shorter one ended."""
    drawn = {name: [pools[name].key, pools[name].rows] for step in entry.steps for name in step.pools()}
    return content_key(
        source=describe(entry.source),
        steps=[describe(step) for step in entry.steps],
        parts=parts,
        seed=analysis.options.seed,
        shard=analysis.options.data.shard if parts is None else None,
        **({"pools": drawn} if drawn else {}),
    )


def _plan(
    analysis: Analysis, entry: SampleEntry, parts: Parts, key: str, cache: Cache, pools: Mapping[str, StoredSample]
) -> Plan:
    unit = cache.unit("data", key)
    pieces: list[tuple[int | None, Mapping[str, Any]]]
    if parts is not None:
        pieces = [(entry.rows, part) for part in parts]
    elif entry.rows is not None:
        size = analysis.options.data.shard
        pieces = [(min(size, entry.rows - first), {}) for first in range(0, entry.rows, size)]
    else:
        raise DataError("no rows asked for", where=f"sample {entry.name}", fix="Give rows: the source has no end.")
    drawn = {name: pools[name].shards for step in entry.steps for name in step.pools()}
    # A file that was copied, or stands among others, gives the same numbers: its key is not in them.
    seeds = [
        derive_seed(analysis.options.seed, "events") if entry.source.names_events else derive_seed(key, k)
        for k in range(len(pieces))
    ]
    orders = [
        Order(entry.name, unit.folder, Shard(k, rows, seeds[k], part), entry.source, entry.steps, drawn)
        for k, (rows, part) in enumerate(pieces)
    ]
    return Plan(entry, key, unit, tuple(orders), parts is not None)


def stored_sample(name: str, rows: int | None, plan: Plan) -> StoredSample:
    """The first ``rows`` rows (None: all) of what a plan has made.

    Raises:
        DataError: there is none.
    """
    shards, manifests, left = [], [], rows
    for order in plan.orders:
        if left is not None and left <= 0:
            break
        manifest = read_json(order.manifest)
        taken = manifest["rows"] if left is None else min(manifest["rows"], left)
        if taken:
            shards.append((order.path, taken))
            manifests.append(manifest)
        left = None if left is None else left - taken
    if not shards:
        raise DataError("no rows", where=f"sample {name}", fix="Loosen the selection of its steps or its source.")
    return StoredSample(name, plan.key, tuple(shards), tuple(manifests))
