"""Data: shards made by workers, each from its own seed, so that any number of workers makes the same bytes."""

from __future__ import annotations

import queue
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hepimg.analysis import Analysis, SampleEntry
from hepimg.checks import check_sample
from hepimg.components import Progress, Shard, Source, Step
from hepimg.errors import DataError, PluginError, blame
from hepimg.orders import Order, Plan, StoredSample, make_plans, stored_sample
from hepimg.random import derive_seed
from hepimg.sample import Sample
from hepimg.shards import checksum, read_shard, write_shard
from hepimg.store import Cache, describe, write_json
from hepimg.workers import report_rows, start_workers

BARREN_BATCHES = 100
"""Batches in a row without one row before the selection of a source without an end is called impossible."""


def make_data(
    analysis: Analysis, cache: Cache, progress: Progress, jobs: int, scheduler: str | None = None
) -> dict[str, StoredSample]:
    """Make every sample of an analysis, or reuse what the cache holds; first the pools that its steps draw from.

    Raises:
        DataError: the data are wrong.
        PluginError: a source or a step failed; finished shards are kept.
    """
    drawn = {name for entry in analysis.samples.values() for step in entry.steps for name in step.pools()}
    pools = [entry for entry in analysis.pools.values() if entry.name in drawn]
    stored = _make_all(analysis, pools, {}, cache, progress, jobs, scheduler) if pools else {}
    return _make_all(analysis, [*analysis.samples.values()], stored, cache, progress, jobs, scheduler)


def _make_all(
    analysis: Analysis,
    entries: Sequence[SampleEntry],
    pools: Mapping[str, StoredSample],
    cache: Cache,
    progress: Progress,
    jobs: int,
    scheduler: str | None,
) -> dict[str, StoredSample]:
    plan_of = make_plans(analysis, entries, cache, pools)
    plans = {plan.key: plan for plan in plan_of.values()}
    with ExitStack() as locks:
        unmade = []
        for plan in plans.values():
            lock = locks.enter_context(ExitStack())
            lock.enter_context(plan.unit.lock())
            if plan.is_made:
                lock.close()  # another process that uses it need not wait for the other samples
                continue
            unmade.append(plan)
            for stale in plan.unit.folder.glob(".*.tmp"):
                stale.unlink()
        _make(unmade, progress, jobs, scheduler)
        for plan in unmade:
            if not plan.unit.is_finished:
                steps = [describe(step) for step in plan.entry.steps]
                plan.unit.finish({"source": describe(plan.entry.source), "steps": steps})
    return {entry.name: stored_sample(entry.name, entry.rows, plan_of[entry.name]) for entry in entries}


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


def _make(plans: Sequence[Plan], progress: Progress, jobs: int, scheduler: str | None) -> None:
    """Make the shards that are missing."""
    made = {path: rows for plan in plans for path, rows in plan.made().items()}
    todo = _wanted(plans, made, jobs)
    if not todo:
        return
    names = ", ".join(dict.fromkeys(order.sample for order in todo))
    last = (todo[0].steps or (todo[0].source,))[-1]
    progress.start(f"data {names}", _rows_to_make(plans, todo), f"{last.rows_out}s")
    with start_workers(min(jobs, len(todo)), scheduler) as (executor, told):
        _work(plans, made, jobs, executor, told, progress)
    progress.stop()


def _wanted(plans: Sequence[Plan], made: Mapping[Path, int], jobs: int) -> list[Order]:
    todo = [order for plan in plans for order in plan.wanted(made, jobs)]
    return sorted(todo, key=lambda order: (order.sample, order.shard.index))


def _rows_to_make(plans: Sequence[Plan], todo: Sequence[Order]) -> int | None:
    """How many rows there will be, where that is known."""
    if any(plan.is_finite for plan in plans):
        return None
    return sum(order.shard.rows or 0 for order in todo)


def _work(
    plans: Sequence[Plan], made: dict[Path, int], jobs: int, executor: Executor, told: Any, progress: Progress
) -> None:
    """Hand out shards until none is wanted, moving the bar; a failure is raised."""
    flying: dict[Path, tuple[Order, Future[int]]] = {}
    failures: dict[Path, Exception] = {}
    while True:
        for plan in sorted(plans, key=lambda plan: plan.entry.name):
            _raise_first(plan, made, failures)
        for order in _wanted(plans, made, jobs):
            if order.path not in flying and order.path not in failures:
                flying[order.path] = order, executor.submit(make_shard, order)
        if not flying:
            return
        for path, (_, future) in [*flying.items()]:
            if future.done():
                try:
                    made[path] = future.result()
                except BrokenExecutor as error:
                    raise _died([order for order, _ in flying.values()][:jobs]) from error
                except Exception as error:
                    failures[path] = error
                del flying[path]
        try:
            while True:
                progress.advance(told.get(timeout=0.1 if flying else 0))
        except queue.Empty:
            continue


def _raise_first(plan: Plan, made: Mapping[Path, int], failures: Mapping[Path, Exception]) -> None:
    """Raise a failure, but not one of a shard that may turn out not to be needed: jobs would decide the outcome."""
    missing = [order.path for order in plan.wanted(made, len(plan.orders))]
    if plan.is_limited:
        missing = missing[:1]
    for path in missing:
        if path in failures:
            raise failures[path]


def _died(at_work: Sequence[Order]) -> PluginError:
    """What to say when a worker was killed; shards are handed out in order, so that one of the first was its."""
    places = [f"sample {o.sample}, shard {o.shard.index} {o.shard.part.get('file', '')}".rstrip() for o in at_work]
    message = "a worker process died: out of memory, a crash in compiled code, or a script that calls hepimg.run"
    return PluginError(f"{message} without if __name__ == '__main__'", where=" or ".join(places))


def make_shard(order: Order) -> int:
    """Make one shard and write it with its manifest; the number of its rows.

    Raises:
        PluginError: a component failed; it names plugin, sample and shard.
    """
    where = f"sample {order.sample}, shard {order.shard.index}"
    started = time.perf_counter()
    for step in order.steps:
        with blame(step, where):
            _open_pools(step, order)
    with blame(order.source, where):
        sample, complete = collect(order.source, order.steps, order.shard, where)
    write_shard(order.path, sample)
    write_json(
        order.manifest,
        {
            "rows": len(sample),
            "complete": complete,
            "bytes": order.path.stat().st_size,
            "checksum": checksum(sample),
            "facts": dict(order.source.facts()),
            "seed": order.shard.seed,
            "seconds": round(time.perf_counter() - started, 3),
        },
    )
    return len(sample)


def _open_pools(step: Step, order: Order) -> None:
    if step.pools():
        pools = {name: order.pools[name] for name in step.pools()}
        step.open_pools({name: [read_shard(path)[:rows] for path, rows in pool] for name, pool in pools.items()})


def collect(source: Source, steps: Sequence[Step], shard: Shard, where: str) -> tuple[Sample, bool]:
    """The rows of one shard: batches of the source through the event steps, until there are enough.

    Returns:
        The rows, and whether they are all that the source has for this shard.
    """
    collected: list[Sample] = []
    rows = barren = 0
    complete = True
    for batch in source.batches(shard):
        sample = check_sample(batch, where)
        for k, step in enumerate(steps):
            with blame(step, where):
                sample = step.apply(sample, derive_seed(shard.seed, k))
        collected.append(sample)
        rows, barren = rows + len(sample), 0 if len(sample) else barren + 1
        report_rows(len(sample) if shard.rows is None else max(0, min(len(sample), shard.rows - rows + len(sample))))
        if shard.rows is not None and rows >= shard.rows:
            complete = False
            break
        if barren >= BARREN_BATCHES and not shard.part:
            raise DataError(
                f"{barren} batches of events without one row that passes",
                where=where,
                fix="Check pT window, |eta| and matching against the generator's pt_hat.",
            )
    if not collected:
        raise DataError("the source has no events", where=where)
    return Sample.concatenate(collected)[: shard.rows], complete
