"""The contracts of steps, sources, tasks and metrics."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from hepimg.components import Metric, Model, Run, Shard, Source, State, Step, Task
from hepimg.dataset import Dataset
from hepimg.flow import ports_of
from hepimg.sample import Sample
from hepimg.shards import checksum
from hepimg.testing.options import check_options
from hepimg.testing.promises import check_predictions, check_reads, check_rest, check_written, require
from hepimg.testing.rows import datasets, make_run


def check_step(step: Step, sample: Sample, pools: Mapping[str, Sequence[Sample]] | None = None) -> None:
    """Check a step on rows that hold what it reads.

    It writes what ``writes()`` promises and touches nothing else, never changes its input, takes empty and one-row
    batches, and gives a row the same result whatever stands beside it, random or not.

    Args:
        step: with its options.
        sample: some tens of rows, such as :func:`toy_jets` makes.
        pools: events of the pools that it draws from, shard by shard.

    Example::

        check_step(Smear(resolution=0.1), toy_jets(50))
    """
    check_options(step)
    if step.pools():
        step.open_pools(pools or {})
    if step.is_random and "row" not in sample.columns:
        sample = sample.with_columns(row=np.arange(len(sample)))
    seed = 1 if step.is_random else None
    ports = ports_of(sample)
    check_reads(step, ports)
    promised = step.writes(ports)
    before = checksum(sample)
    whole = step.apply(sample, seed)
    require(checksum(sample) == before, step.name, "apply changes its input")
    for some in (whole, step.apply(sample[:1], seed), step.apply(sample[:0], seed)):
        check_written(step, promised, some)
        for name, values in some.columns.items():
            require(values.dtype == whole.columns[name].dtype, step.name, f"the dtype of {name} depends on the rows")
    if step.rows_in == step.rows_out and not step.drops_rows:
        check_rest(step, promised, sample, whole)
        chosen = np.arange(len(sample))[::-2]
        parts, expected = step.apply(sample[chosen], seed), whole[chosen]
    else:
        there = set(ports) if step.rows_in == step.rows_out else set()
        wanted = there | {port.name for port in promised}
        require(set(ports_of(whole)) == wanted, step.name, f"it left {list(whole.columns)}")
        middle = len(sample) // 2
        halves = [step.apply(rows, seed) for rows in (sample[:middle], sample[middle:])]
        parts, expected = Sample.concatenate(halves), whole
    require(checksum(parts) == checksum(expected), step.name, "a row's result depends on the rest of the batch")
    if step.is_random:
        require(checksum(step.apply(sample, 2)) != checksum(whole), step.name, "random, but the same for another seed")


def check_source(source: Source, rows: int = 100) -> None:
    """Check a source: the same shard gives the same rows, from a copy too; what it promises is there, and believable.

    Args:
        source: with its options.
        rows: to ask for, where the source has no end; else its first part is read.

    Raises:
        AssertionError: it breaks its contract.
        DataError: a value is not finite, or absurd.

    Example::

        check_source(Gun(energy=10.0), rows=50)
    """
    from hepimg.generate import collect

    check_options(source)
    parts = source.parts()
    shard = Shard(0, rows, 1) if parts is None else Shard(0, None, 1, parts[0])
    first, _ = collect(source, (), shard, f"source {source.name}")
    again, _ = collect(pickle.loads(pickle.dumps(source)), (), shard, f"source {source.name}")
    require(checksum(first) == checksum(again), source.name, "the same shard came out differently")
    require(len(first) == rows or parts is not None, source.name, f"it ended after {len(first)} rows")
    check_written(source, source.writes(), first)
    promised = {port.name for port in source.writes()} | {"event", "weight"}
    given = set(ports_of(first))
    require(given == promised, source.name, f"it gave {sorted(given)}, promised {sorted(promised)}")
    require(first.column("event").dtype == np.int64, source.name, "the column event is int64")
    require(first.column("weight").dtype.kind == "f", source.name, "the column weight is a floating-point number")
    facts = dict(source.facts())
    require(json.loads(json.dumps(facts)) == facts, source.name, f"facts are numbers and texts, not {facts}")
    if parts is None:
        other, _ = collect(source, (), Shard(1, rows, 2), f"source {source.name}")
        common = np.intersect1d(first.column("event"), other.column("event"))
        require(not len(common), source.name, f"two shards number an event {common[:1]}; start at shard.index << 32")
        same = checksum(other.select([*promised]).with_columns(event=first.column("event"))) == checksum(first)
        require(not same, source.name, "another seed gave the same rows")


def check_task(task: Task, samples: Mapping[str, Sample], models: Mapping[str, Model] | None = None) -> None:
    """Check a task by training it twice and predicting.

    It learns named arrays, the same for the same rows and seed, that survive being written and read.  Its predictions
    are what ``writes()`` promises, for many rows, one and none; a row's do not depend on the others (to one in ten
    thousand).  It changes neither the datasets nor the sample.

    Args:
        task: with its options; make it quick.
        samples: name -> rows that hold what the task reads; three fifths are for training.
        models: frozen networks of other tasks, where it asks for them.

    Example::

        check_task(Fisher(signal="two"), {"one": toy_jets(200), "two": toy_jets(200, prongs=2)})
    """
    check_options(task)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        train, valid, test = datasets(samples, folder)
        rows = test.load()
        check_reads(task, ports_of(rows))
        before = checksum(train.load()), checksum(valid.load()), checksum(rows)
        state = _learn_twice(task, train, valid, folder, models)
        _predict_some(task, state, rows, make_run(folder / "predict", models))
        after = checksum(train.load()), checksum(valid.load()), checksum(rows)
        require(before == after, task.name, "it changes the rows that it is given")


def _learn_twice(task: Task, train: Dataset, valid: Dataset, folder: Path, models: Mapping[str, Model] | None) -> State:
    """The state, as it comes back from disk."""
    from hepimg.states import read_state, write_state

    first, second = (
        {name: np.asarray(array) for name, array in task.fit(train, valid, make_run(folder / name, models)).items()}
        for name in ("first", "second")
    )
    require(set(first) == set(second), task.name, f"a second training gave other arrays: {sorted(second)}")
    for name, array in first.items():
        require(array.dtype.kind in "biuf", task.name, f"{name} of the state is no array of numbers")
        same = np.array_equal(array, second[name], equal_nan=array.dtype.kind == "f")
        require(same, task.name, f"{name} of the state differs after the same training")
    write_state(folder / "state.safetensors", first)
    return read_state(folder / "state.safetensors")


def _predict_some(task: Task, state: State, rows: Sample, run: Run) -> None:
    """Predict all rows, none, one, and every second from the end."""
    whole = task.predict(state, rows, run)
    check_predictions(task, rows, whole)
    for chosen in (slice(0, 0), slice(0, 1), np.arange(len(rows))[::-2]):
        said = task.predict(state, rows[chosen], run)
        check_predictions(task, rows[chosen], said)
        for name in said:
            alike = _alike(said[name], whole[name][chosen])
            require(alike, task.name, f"{name} of a row depends on the other rows")


def check_metric(metric: Metric, test: Sample) -> None:
    """Check a metric: the same finite numbers for the same rows, which it does not change; figures with data.

    Args:
        metric: with its options.
        test: rows with the predictions it reads as columns, ``tag.score``, made by :func:`merge`.

    Example::

        jets = merge({"one": toy_jets(100), "two": toy_jets(100, prongs=2)})
        check_metric(Brier(score="tag.score"), jets.with_columns(**{"tag.score": jets.column("mass") / 200}))
    """
    check_options(metric)
    check_reads(metric, ports_of(test))
    before = checksum(test)
    evaluation = metric.evaluate(test, 1)
    require(checksum(test) == before, metric.name, "evaluate changes its input")
    for name, estimate in evaluation.numbers.items():
        error = 0.0 if estimate.error is None else estimate.error
        require(math.isfinite(estimate.value) and error >= 0, metric.name, f"{name} is {estimate}")
    names = [figure.name for figure in evaluation.figures]
    require(len(set(names)) == len(names), metric.name, f"two figures have one name: {names}")
    for figure in evaluation.figures:
        require(bool(figure.title and figure.caption), metric.name, f"figure {figure.name} lacks title or caption")
        require(all(len(np.shape(values)) for values in figure.data.values()), metric.name, "data are arrays")
    require(metric.evaluate(test, 1).numbers == evaluation.numbers, metric.name, "other numbers for the same seed")


def _alike(some: Any, others: Any) -> bool:
    if isinstance(some, np.ndarray):
        return bool(np.allclose(some, others, rtol=1e-4, atol=1e-5))
    same = np.array_equal(some.offsets, others.offsets) and np.array_equal(some.cells, others.cells)
    return same and bool(np.allclose(some.values, others.values, rtol=1e-4, atol=1e-5))
