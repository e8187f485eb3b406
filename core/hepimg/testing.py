"""Contract checks for components, for the tests of any plugin; each raises AssertionError and says what is wrong.

Example::

    from hepimg.testing import check_component, check_step, toy_jets

    def test_smear():
        check_component(Smear)
        check_step(Smear(resolution=0.1), toy_jets(50))
"""

from __future__ import annotations

import json
import logging
import math
import pickle
import re
import typing
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from hepimg.components import (
    Collection,
    Column,
    Component,
    Image,
    Metric,
    Model,
    Port,
    Predictions,
    Run,
    Shard,
    Source,
    Step,
    Task,
)
from hepimg.dataset import Dataset, Part
from hepimg.random import derive_seed
from hepimg.sample import Ragged, Sample
from hepimg.shards import checksum, write_shard

PION_MASS = 0.13957
"""GeV."""

REQUIRED: Mapping[type[Component], tuple[str, ...]] = {
    Source: ("writes", "batches"),
    Step: ("writes", "apply"),
    Task: ("writes", "fit", "predict"),
    Metric: ("evaluate",),
}
"""The methods that a component of each kind must write itself."""


def check_component(component: type[Component]) -> None:
    """Check a component's class: it is frozen, strict, described, named, versioned, and found by worker processes.

    Example::

        check_component(Smear)
    """
    name = getattr(component, "name", None)
    _require(isinstance(name, str), component.__qualname__, 'write name: ClassVar[str] = "..." in it')
    _require(bool(re.fullmatch(r"[a-z][a-z0-9_]*", component.name)), name, "a name is made of a-z, 0-9 and _")
    kinds = [kind for kind in REQUIRED if issubclass(component, kind)]
    _require(len(kinds) == 1, name, "a component is a Source, a Step, a Task or a Metric")
    for method in REQUIRED[kinds[0]]:
        _require(getattr(component, method) is not getattr(kinds[0], method), name, f"it has no method {method}")
    _require(type(component.version) is int and component.version > 0, name, "version is a positive whole number")
    _require(all(isinstance(library, str) for library in component.libraries), name, "libraries are names")
    _require(bool(component.__doc__), name, "it has no docstring")
    _check_model(component, name)
    _require(pickle.loads(pickle.dumps(component)) is component, name, "a worker process would find another class")
    if not any(field.is_required() for field in component.model_fields.values()):
        _check_options(component())


def check_step(step: Step, sample: Sample) -> None:
    """Check a step on rows that hold what it reads.

    It writes what ``writes()`` promises and touches nothing else, never changes its input, takes empty and one-row
    batches, and gives a row the same result whatever stands beside it, random or not.

    Args:
        step: with its options.
        sample: some tens of rows, such as :func:`toy_jets` makes.

    Example::

        check_step(Smear(resolution=0.1), toy_jets(50))
    """
    _check_options(step)
    if step.is_random and "row" not in sample.columns:
        sample = sample.with_columns(row=np.arange(len(sample)))
    seed = 1 if step.is_random else None
    ports = ports_of(sample)
    _check_reads(step, ports)
    promised = step.writes(ports)
    before = checksum(sample)
    whole = step.apply(sample, seed)
    _require(checksum(sample) == before, step.name, "apply changes its input")
    for some in (whole, step.apply(sample[:1], seed), step.apply(sample[:0], seed)):
        _check_written(step, promised, some)
        for name, values in some.columns.items():
            _require(values.dtype == whole.columns[name].dtype, step.name, f"the dtype of {name} depends on the rows")
    if step.rows_in == step.rows_out:
        _check_rest(step, promised, sample, whole)
        chosen = np.arange(len(sample))[::-2]
        parts, expected = step.apply(sample[chosen], seed), whole[chosen]
    else:
        _require(set(ports_of(whole)) == {port.name for port in promised}, step.name, f"it left {list(whole.columns)}")
        middle = len(sample) // 2
        parts, expected = (
            Sample.concatenate([step.apply(rows, seed) for rows in (sample[:middle], sample[middle:])]),
            whole,
        )
    _require(checksum(parts) == checksum(expected), step.name, "a row's result depends on the rest of the batch")
    if step.is_random:
        _require(checksum(step.apply(sample, 2)) != checksum(whole), step.name, "random, but the same for another seed")


def check_source(source: Source, rows: int = 100) -> None:
    """Check a source: same shard, same rows, in another process too; what it promises is there, and believable.

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

    _check_options(source)
    parts = source.parts()
    shard = Shard(0, rows, 1) if parts is None else Shard(0, None, 1, parts[0])
    first = collect(source, (), shard, f"source {source.name}")
    again = collect(pickle.loads(pickle.dumps(source)), (), shard, f"source {source.name}")
    _require(checksum(first) == checksum(again), source.name, "the same shard came out differently")
    _require(len(first) == rows or parts is not None, source.name, f"it ended after {len(first)} rows")
    _check_written(source, source.writes(), first)
    promised = {port.name for port in source.writes()} | {"event", "weight"}
    _require(set(ports_of(first)) == promised, source.name, f"it gave {sorted(ports_of(first))}, not {sorted(promised)}")
    _require(first.column("event").dtype == np.int64, source.name, "the column event is int64")
    _require(first.column("weight").dtype.kind == "f", source.name, "the column weight is a floating-point number")
    facts = dict(source.facts())
    _require(json.loads(json.dumps(facts)) == facts, source.name, f"facts are numbers and texts, not {facts}")
    if parts is None:
        other = collect(source, (), Shard(1, rows, 2), f"source {source.name}")
        common = np.intersect1d(first.column("event"), other.column("event"))
        _require(not len(common), source.name, f"two shards number an event {common[:1]}; start at shard.index << 32")
        same = checksum(other.select([*promised]).with_columns(event=first.column("event"))) == checksum(first)
        _require(not same, source.name, "another seed gave the same rows")


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
    from hepimg.states import read_state, write_state

    _check_options(task)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        train, valid, test = (split.load() if k == 2 else split for k, split in enumerate(datasets(samples, folder)))
        assert isinstance(train, Dataset) and isinstance(valid, Dataset) and isinstance(test, Sample)
        _check_reads(task, ports_of(test))
        before = checksum(train.load()), checksum(valid.load()), checksum(test)
        states = []
        for number in range(2):
            run = make_run(folder / f"run{number}", models)
            states.append({name: np.asarray(array) for name, array in task.fit(train, valid, run).items()})
        for name, array in states[0].items():
            _require(array.dtype.kind in "biuf", task.name, f"{name} of the state is no array of numbers")
            same = name in states[1] and np.array_equal(array, states[1][name], equal_nan=array.dtype.kind == "f")
            _require(same, task.name, f"{name} of the state differs after the same training")
        write_state(folder / "state.safetensors", states[0])
        state = read_state(folder / "state.safetensors")
        whole = task.predict(state, test, run)
        _check_predictions(task, test, whole)
        for chosen in (slice(0, 0), slice(0, 1), np.arange(len(test))[::-2]):
            said = task.predict(state, test[chosen], run)
            _check_predictions(task, test[chosen], said)
            for name in said:
                _require(
                    _alike(said[name], whole[name][chosen]), task.name, f"{name} of a row depends on the other rows"
                )
        after = checksum(train.load()), checksum(valid.load()), checksum(test)
        _require(before == after, task.name, "it changes the rows that it is given")


def check_metric(metric: Metric, test: Sample) -> None:
    """Check a metric: the same finite numbers for the same rows, which it does not change; figures with data.

    Args:
        metric: with its options.
        test: rows with the predictions it reads as columns, ``tag.score``, made by :func:`merge`.

    Example::

        jets = merge({"one": toy_jets(100), "two": toy_jets(100, prongs=2)})
        check_metric(Brier(score="tag.score"), jets.with_columns(**{"tag.score": jets.column("mass") / 200}))
    """
    _check_options(metric)
    _check_reads(metric, ports_of(test))
    before = checksum(test)
    evaluation = metric.evaluate(test, 1)
    _require(checksum(test) == before, metric.name, "evaluate changes its input")
    for name, estimate in evaluation.numbers.items():
        error = 0.0 if estimate.error is None else estimate.error
        _require(math.isfinite(estimate.value) and error >= 0, metric.name, f"{name} is {estimate}")
    names = [figure.name for figure in evaluation.figures]
    _require(len(set(names)) == len(names), metric.name, f"two figures have one name: {names}")
    for figure in evaluation.figures:
        _require(bool(figure.title and figure.caption), metric.name, f"figure {figure.name} lacks title or caption")
        _require(all(len(np.shape(values)) for values in figure.data.values()), metric.name, "data are arrays")
    _require(metric.evaluate(test, 1).numbers == evaluation.numbers, metric.name, "other numbers for the same seed")


def toy_jets(rows: int, prongs: int = 1, seed: int = 1, first_event: int = 0) -> Sample:
    """Invented jets of about 20 pions, for tests: pt 500 to 600 GeV, |y| < 1, with one or two prongs.

    Args:
        rows: how many, one in each event.
        prongs: 2 for jets with two prongs, 0.3 to 0.6 apart.
        seed: of all random numbers.
        first_event: number of the first event.

    Returns:
        Columns ``event``, ``weight``, ``pt``, ``eta``, ``y``, ``phi``, ``mass``; the collection ``constituents`` with
        ``pt``, ``y``, ``phi``, ``mass``, ``charge``.
    """
    rng = np.random.default_rng(seed)
    counts = 10 + rng.poisson(10, rows)
    row = np.repeat(np.arange(rows), counts)
    jet_pt, jet_y, jet_phi, angle = (rng.uniform(*span, rows) for span in ((500, 600), (-1, 1), (-math.pi, math.pi), (0, math.pi)))
    share, distance = rng.uniform(0.3, 0.5, rows), rng.uniform(0.3, 0.6, rows) * (prongs == 2)
    along = distance[row] * ((rng.random(len(row)) < share[row]) - share[row])
    width = 0.06 if prongs == 2 else 0.12
    energy = rng.exponential(size=len(row))
    fields = {
        "pt": jet_pt[row] * energy / np.bincount(row, energy, rows)[row],
        "y": jet_y[row] + along * np.cos(angle)[row] + rng.normal(0, width, len(row)),
        "phi": _wrapped(jet_phi[row] + along * np.sin(angle)[row] + rng.normal(0, width, len(row))),
        "mass": np.full(len(row), PION_MASS),
        "charge": rng.integers(-1, 2, len(row)),
    }
    fields = {name: values.astype(np.float32) for name, values in fields.items()}
    jets = _four_momenta(row, rows, fields)
    columns = {"event": first_event + np.arange(rows), "weight": np.ones(rows, np.float32)}
    offsets = np.concatenate([[0], np.cumsum(counts)])
    constituents = Ragged(offsets, fields, {"pt": "GeV", "phi": "rad", "mass": "GeV", "charge": "e"})
    return Sample(columns | jets, {"constituents": constituents}, units={"pt": "GeV", "phi": "rad", "mass": "GeV"})


def merge(samples: Mapping[str, Sample]) -> Sample:
    """Rows of several samples together, with the columns ``sample`` and ``row`` that tell them apart."""
    parts = [
        part.with_columns(sample=np.full(len(part), k, np.int16), row=(k << 40) + np.arange(len(part)))
        for k, part in enumerate(samples.values())
    ]
    return replace(Sample.concatenate(parts), classes=tuple(samples))


def datasets(samples: Mapping[str, Sample], folder: Path) -> tuple[Dataset, Dataset, Dataset]:
    """Samples written to a folder, as datasets of three fifths, one fifth and one fifth of their rows.

    Args:
        samples: name -> rows.
        folder: where to write them.
    """
    parts: tuple[list[Part], ...] = ([], [], [])
    for k, (name, sample) in enumerate(samples.items()):
        write_shard(folder / f"{name}.arrow", sample)
        rows = np.arange(len(sample))
        for split, chosen in zip(parts, (rows % 5 < 3, rows % 5 == 3, rows % 5 == 4), strict=True):
            split.append(Part(k, folder / f"{name}.arrow", 0, rows[chosen]))
    train, valid, test = (Dataset(tuple(split), tuple(samples)) for split in parts)
    return train, valid, test


def make_run(folder: Path, models: Mapping[str, Model] | None = None) -> Run:
    """What a task may use: one thread of the CPU, an own folder, and a bar that nobody sees."""
    folder.mkdir(parents=True, exist_ok=True)
    return Run(derive_seed("testing"), 1, "cpu", folder, logging.getLogger("hepimg.testing"), _NoBar(), models or {})


def ports_of(sample: Sample) -> dict[str, Port]:
    """What a sample comes with, by name."""
    columns = {name: Column(name, sample.units.get(name, "")) for name in sample.columns}
    collections = {
        name: Collection(name, {key: ragged.units.get(key, "") for key in ragged.fields})
        for name, ragged in sample.collections.items()
    }
    images = {name: Image(name, batch.grid, batch.channels) for name, batch in sample.images.items()}
    return {**columns, **collections, **images}


class _NoBar:
    def start(self, label: str, total: int | None, unit: str = "") -> None:
        """Nothing."""

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""


def _require(holds: bool, who: str, message: str) -> None:
    if not holds:
        raise AssertionError(f"{who}: {message}")


def _check_model(model: type[BaseModel], who: str) -> None:
    """Frozen, strict and described, down to the models in its fields."""
    _require(model.model_config.get("frozen") is True, who, f"{model.__name__} is not frozen")
    _require(model.model_config.get("extra") == "forbid", who, f"{model.__name__} takes unknown options")
    for name, field in model.model_fields.items():
        for inner in _models_in(field.annotation):
            if not inner.__module__.startswith("hepimg."):
                _check_model(inner, who)
        _require(bool(field.description), who, f"Field(description=...) of {model.__name__}.{name} is missing")


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in typing.get_args(annotation) for model in _models_in(argument)]


def _check_options(component: Component) -> None:
    """Options survive the way through a file: results are kept under them."""
    text = component.model_dump_json()
    again = type(component).model_validate_json(text, strict=True)
    _require(again == component, component.name, f"options come back from JSON as {again!r}")


def _check_reads(component: Step | Task | Metric, ports: Mapping[str, Port]) -> None:
    for needed in component.reads():
        there = ports.get(needed.name)
        _require(type(there) is type(needed), component.name, f"the check's sample lacks what it reads: {needed}")
        if isinstance(needed, Collection) and isinstance(there, Collection):
            missing = [name for name in needed.fields if name not in there.fields]
            _require(not missing, component.name, f"the check's sample lacks the fields {missing} of {needed.name}")


def _check_written(component: Component, promised: Iterable[Port], sample: Sample) -> None:
    found = ports_of(sample)
    for port in promised:
        there = found.get(port.name)
        _require(_keeps(port, there), component.name, f"writes() promised {port}; found {there}")


def _keeps(promised: Port, there: Port | None) -> bool:
    """Whether what is there is what was promised: kind, unit, fields, grid and channels."""
    if isinstance(promised, Image) and isinstance(there, Image):
        grids = promised.grid in (None, there.grid)
        return grids and (not promised.channels or promised.channels == there.channels)
    if isinstance(promised, Collection) and isinstance(there, Collection):
        return dict(promised.fields) == dict(there.fields)
    return promised == there


def _check_rest(step: Step, promised: Iterable[Port], before: Sample, after: Sample) -> None:
    """Rows stay, and what was not promised is neither added, lost nor changed."""
    _require(len(after) == len(before), step.name, f"{len(before)} rows became {len(after)}; {step.rows_in}s stay")
    written = {port.name for port in promised}
    rest = [name for name in ports_of(before) if name not in written]
    extra = set(ports_of(after)) - {*rest, *written}
    _require(not extra, step.name, f"it wrote {sorted(extra)}, which writes() does not name")
    for name in rest:
        kept = name in ports_of(after) and checksum(before.select([name])) == checksum(after.select([name]))
        _require(kept, step.name, f"it changed {name}, which writes() does not name")


def _check_predictions(task: Task, sample: Sample, said: Predictions) -> None:
    promised = {port.name: port for port in task.writes(ports_of(sample))}
    _require(set(said) == set(promised), task.name, f"predict gave {sorted(said)}, promised {sorted(promised)}")
    for name, values in said.items():
        _require(len(values) == len(sample), task.name, f"{len(values)} rows of {name} for {len(sample)} rows")
        if isinstance(values, np.ndarray):
            _require(isinstance(promised[name], Column), task.name, f"{name} is a column, promised: {promised[name]}")
            _require(bool(np.isfinite(values).all()), task.name, f"{name} is not finite")
        else:
            there = Image(name, values.grid, values.channels)
            _require(_keeps(promised[name], there), task.name, f"promised {promised[name]}, found {there}")


def _alike(some: Any, others: Any) -> bool:
    if isinstance(some, np.ndarray):
        return bool(np.allclose(some, others, rtol=1e-4, atol=1e-5))
    same = np.array_equal(some.offsets, others.offsets) and np.array_equal(some.cells, others.cells)
    return same and bool(np.allclose(some.values, others.values, rtol=1e-4, atol=1e-5))


def _wrapped(phi: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) angles in [-pi, pi)."""
    return np.asarray((phi + math.pi) % (2 * math.pi) - math.pi)


def _four_momenta(row: NDArray[np.int64], rows: int, fields: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The columns of jets that are the sums of their particles."""
    pt, y, phi, mass = (fields[name].astype(np.float64) for name in ("pt", "y", "phi", "mass"))
    transverse = np.hypot(pt, mass)
    parts = (transverse * np.cosh(y), pt * np.cos(phi), pt * np.sin(phi), transverse * np.sinh(y))
    e, px, py, pz = (np.bincount(row, part, rows) for part in parts)
    jet_pt = np.hypot(px, py)
    jets = {
        "pt": jet_pt,
        "eta": np.arcsinh(pz / jet_pt),
        "y": np.arctanh(pz / e),
        "phi": np.arctan2(py, px),
        "mass": np.sqrt(np.maximum(e**2 - jet_pt**2 - pz**2, 0)),
    }
    return {name: values.astype(np.float32) for name, values in jets.items()}
