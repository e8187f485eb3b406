"""Data: shards made by workers, each from its own seed, so that any number of workers makes the same bytes."""

from __future__ import annotations

import queue
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import BrokenExecutor, Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from hepimg.analysis import Analysis, SampleEntry
from hepimg.checks import check_sample
from hepimg.components import Progress, Shard, Source, Step
from hepimg.errors import DataError, PluginError, blame
from hepimg.random import derive_seed
from hepimg.sample import Sample
from hepimg.shards import checksum, read_shard, write_shard
from hepimg.store import Cache, Unit, content_key, describe, read_json, write_json
from hepimg.workers import report_rows, start_workers

BARREN_BATCHES = 100
"""Batches in a row without one row before a selection is called impossible."""


@dataclass(frozen=True)
class Order:
    """What a worker is asked: one shard of one sample, into one folder."""

    sample: str
    folder: Path
    shard: Shard
    source: Source
    steps: tuple[Step, ...]

    @property
    def path(self) -> Path:
        """The shard's file."""
        return self.folder / f"{self.shard.index:05d}.arrow"

    @property
    def manifest(self) -> Path:
        """The shard's manifest, written after the file."""
        return self.path.with_suffix(".json")

    def is_done(self) -> bool:
        """Whether the shard is there with at least the rows asked for.

        Raises:
            DataError: its file is not as long as it was when it was written.
        """
        if not self.manifest.exists():
            return False
        written = read_json(self.manifest)
        size = self.path.stat().st_size if self.path.exists() else 0
        if size != written["bytes"]:
            raise DataError(
                f"a truncated shard of {size} bytes",
                where=str(self.path),
                needed=f"{written['bytes']} bytes, as its manifest says",
                fix=f"Remove {self.manifest} and run again: the shard is made anew.",
            )
        return bool(written["complete"] or (self.shard.rows is not None and written["rows"] >= self.shard.rows))


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


def make_data(
    analysis: Analysis, cache: Cache, progress: Progress, jobs: int, scheduler: str | None = None
) -> dict[str, StoredSample]:
    """Make every sample of an analysis, or reuse what the cache holds.

    Raises:
        DataError: the data are wrong.
        PluginError: a source or a step failed; finished shards are kept.
    """
    entries = analysis.samples.values()
    keys = {entry.name: sample_key(analysis, entry) for entry in entries}
    units = {key: cache.unit("data", key) for key in sorted(set(keys.values()))}
    orders = {entry.name: make_orders(analysis, entry, units[keys[entry.name]], keys[entry.name]) for entry in entries}
    with ExitStack() as locks:
        for unit in units.values():
            locks.enter_context(unit.lock())
            for stale in unit.folder.glob(".*.tmp"):
                stale.unlink()
        # Samples of the same options share their shards: the longest order of each decides.
        longest = {
            order.path: order for order in sorted(chain(*orders.values()), key=lambda order: order.shard.rows or 0)
        }
        todo = [order for order in longest.values() if not order.is_done()]
        if todo:
            _make(sorted(todo, key=lambda order: (order.sample, order.shard.index)), progress, jobs, scheduler)
        for entry in entries:
            unit = units[keys[entry.name]]
            if not unit.is_finished:
                unit.finish({"source": describe(entry.source), "steps": [describe(step) for step in entry.steps]})
    return {entry.name: _stored(entry, keys[entry.name], orders[entry.name]) for entry in entries}


def verify_data(stored: Mapping[str, StoredSample], progress: Progress) -> None:
    """Read every shard again and compare its logical arrays with the checksum of its manifest.

    Raises:
        DataError: they differ.
    """
    for sample in stored.values():
        progress.start(f"verify {sample.name}", len(sample.shards))
        for (path, _), manifest in zip(sample.shards, sample.manifests, strict=True):
            if checksum(read_shard(path)) != manifest["checksum"]:
                raise DataError(
                    "a damaged shard: its checksum is wrong",
                    where=str(path),
                    fix=f"Remove {path.with_suffix('.json')} and run again: the shard is made anew.",
                )
            progress.advance()
        progress.stop()


def sample_key(analysis: Analysis, entry: SampleEntry) -> str:
    """What decides a sample's rows; not how many there are, so that a longer run goes on where a shorter one ended."""
    return content_key(
        source=describe(entry.source),
        steps=[describe(step) for step in entry.steps],
        parts=entry.source.parts(),
        seed=analysis.options.seed,
        shard=analysis.options.data.shard,
    )


def make_orders(analysis: Analysis, entry: SampleEntry, unit: Unit, key: str) -> list[Order]:
    """The shards of a sample."""
    parts = entry.source.parts()
    if parts is None:
        size = analysis.options.data.shard
        pieces: list[tuple[int | None, dict[str, Any]]] = [
            (min(size, entry.rows - first), {}) for first in range(0, entry.rows, size)
        ]
    else:
        pieces = [(None, dict(part)) for part in parts]
    shards = [Shard(index, rows, derive_seed(key, index), part) for index, (rows, part) in enumerate(pieces)]
    return [Order(entry.name, unit.folder, shard, entry.source, entry.steps) for shard in shards]


def _stored(entry: SampleEntry, key: str, orders: Sequence[Order]) -> StoredSample:
    shards, manifests, left = [], [], entry.rows
    for order in orders:
        manifest = read_json(order.manifest)
        rows = min(manifest["rows"], left)
        if rows:
            shards.append((order.path, rows))
            manifests.append(manifest)
        left -= rows
    if not shards:
        raise DataError("no rows", where=f"sample {entry.name}", fix="Loosen the selection of its steps.")
    return StoredSample(entry.name, key, tuple(shards), tuple(manifests))


def _make(todo: Sequence[Order], progress: Progress, jobs: int, scheduler: str | None) -> None:
    total = sum(order.shard.rows for order in todo) if all(order.shard.rows for order in todo) else None  # type: ignore[misc]
    names = ", ".join(dict.fromkeys(order.sample for order in todo))
    kind = (todo[0].steps[-1] if todo[0].steps else todo[0].source).rows_out
    progress.start(f"data {names}", total, f"{kind}s")
    with start_workers(min(jobs, len(todo)), scheduler) as (executor, made):
        futures = [executor.submit(make_shard, order) for order in todo]
        try:
            _wait(futures, made, progress)
        except BrokenExecutor as error:
            message = (
                "a worker process died: out of memory, a crash in compiled code, or a script that calls hepimg.run"
            )
            raise PluginError(f"{message} without if __name__ == '__main__'", where=f"data {names}") from error
    progress.stop()


def _wait(futures: Sequence[Future[None]], made: Any, progress: Progress) -> None:
    """Wait for all shards, moving the bar; the first failure is raised."""
    waiting = list(futures)
    while waiting:
        for future in [future for future in waiting if future.done()]:
            future.result()
            waiting.remove(future)
        try:
            while True:
                progress.advance(made.get(timeout=0.1 if waiting else 0))
        except queue.Empty:
            continue


def make_shard(order: Order) -> None:
    """Make one shard and write it with its manifest.

    Raises:
        PluginError: a component failed; it names plugin, sample and shard.
    """
    where = f"sample {order.sample}, shard {order.shard.index}"
    started = time.perf_counter()
    with blame(order.source, where):
        sample = collect(order.source, order.steps, order.shard, where)
    write_shard(order.path, sample)
    write_json(
        order.manifest,
        {
            "rows": len(sample),
            "complete": order.shard.rows is None,
            "bytes": order.path.stat().st_size,
            "checksum": checksum(sample),
            "facts": dict(order.source.facts()),
            "seed": order.shard.seed,
            "seconds": round(time.perf_counter() - started, 3),
        },
    )


def collect(source: Source, steps: Sequence[Step], shard: Shard, where: str) -> Sample:
    """The rows of one shard: batches of the source through the event steps, until there are enough."""
    collected: list[Sample] = []
    rows = barren = 0
    for number, batch in enumerate(source.batches(shard)):
        sample = check_sample(batch, where)
        for k, step in enumerate(steps):
            with blame(step, where):
                sample = step.apply(sample, derive_seed(shard.seed, k, number))
        collected.append(sample)
        rows, barren = rows + len(sample), 0 if len(sample) else barren + 1
        report_rows(len(sample) if shard.rows is None else max(0, min(len(sample), shard.rows - rows + len(sample))))
        if shard.rows is not None and rows >= shard.rows:
            break
        if barren >= BARREN_BATCHES:
            raise DataError(
                f"{barren} batches of events without one row that passes",
                where=where,
                fix="Check pT window, |eta| and matching against the generator's pt_hat.",
            )
    if not collected:
        raise DataError("the source has no events", where=where)
    return Sample.concatenate(collected)[: shard.rows]
