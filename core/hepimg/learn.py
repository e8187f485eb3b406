"""Learning: each task's training and predictions, as units of work under content keys."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hepimg.analysis import Analysis, TaskEntry
from hepimg.components import Column, Model, Port, Predictions, Progress, Run, State, Step
from hepimg.dataset import Dataset
from hepimg.draws import Mean
from hepimg.engine import describe_engine
from hepimg.errors import DataError, blame
from hepimg.flow import depends_on, known_ports, needed_steps, sample_ports
from hepimg.logs import logging_to
from hepimg.orders import StoredSample
from hepimg.random import derive_seed
from hepimg.sample import Sample
from hepimg.saved import STATE, SavedModel
from hepimg.shards import write_shard
from hepimg.splits import Splits
from hepimg.states import describe_model, read_state, write_state
from hepimg.store import Cache, Unit, content_key, describe, installed_version
from hepimg.variants import tasks_behind

log = logging.getLogger("hepimg")


@dataclass
class Learner:
    """Trains and applies the tasks of one analysis.

    Args:
        analysis: the analysis.
        stored: its samples on disk.
        cache: where units of work live.
        progress: bars.
    """

    analysis: Analysis
    stored: Mapping[str, StoredSample]
    cache: Cache
    progress: Progress
    seconds: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names that the column ``sample`` counts."""
        return tuple(self.analysis.samples)

    @cached_property
    def splits(self) -> Splits:
        """Which rows are for training, validation and test."""
        return Splits(self.stored, self.classes, self.analysis.options.data.split, self.analysis.options.seed)

    @cached_property
    def ports(self) -> dict[str, Port]:
        """What stored rows come with."""
        return sample_ports(next(iter(self.analysis.samples.values())))

    @cached_property
    def known(self) -> dict[str, Port]:
        """What there is to read after preprocessing, the predictions of all tasks included."""
        return known_ports(self.analysis)

    def steps_for(self, wanted: Iterable[Port]) -> tuple[Step, ...]:
        """The jet steps that the wanted ports depend on."""
        return needed_steps(self.analysis.preprocess, wanted, self.ports)

    def dataset(self, samples: Sequence[str], split: str, wanted: Sequence[Port], rows: int | None = None) -> Dataset:
        """Rows of one split, with the predictions among what is wanted joined.

        Args:
            samples: their names.
            split: ``train``, ``valid`` or ``test``.
            wanted: what is to be read.
            rows: how many rows, drawn from all samples alike; None: all.
        """
        said = tasks_behind(port.name for port in wanted)
        parts = []
        for name, left in self.splits.shares(samples, split, rows).items():
            for part in self.splits.parts(name, split, left):
                files = (self._prediction_path(self.analysis.tasks[task], name, split, part.path) for task in said)
                part = replace(part, joined=tuple(zip(said, files, strict=True)))
                if left is not None and left < len(part.rows):
                    part = part.take(np.arange(left))
                left = None if left is None else left - len(part.rows)
                parts.append(part)
        seed, steps = derive_seed(self.analysis.options.seed, "preprocess"), self.steps_for(wanted)
        names = {port.name for port in (*wanted, *(port for step in steps for port in step.reads()))}
        return Dataset(tuple(parts), self.classes, steps, seed, tuple(sorted(names)))

    def fit_key(self, entry: TaskEntry) -> str:
        """What decides a task's state."""
        options = self.analysis.options
        learned: dict[str, Any] = {
            "data": [[name, self.stored[name].key, self.stored[name].rows] for name in entry.train],
            "classes": self.classes,
            "rows": entry.train_rows,
            "split": options.data.split,
        }
        if entry.saved:
            learned = {"saved": entry.saved.checksum}
        return content_key(
            task=describe(entry.task, without=entry.task.prediction_options),
            seed=[options.seed, entry.group, entry.seed],
            threads=options.threads,
            device=options.device,
            engine=describe_engine(self.analysis.engine),
            steps=[describe(step) for step in self.steps_for(entry.task.reads())],
            upstream={name: self._said_key(self.analysis.tasks[name]) for name in depends_on(entry)},
            libraries=describe_libraries(),
            **learned,
        )

    def _said_key(self, entry: TaskEntry) -> list[Any]:
        """What decides a task's predictions, whatever they are for."""
        options = entry.task.model_dump(mode="json", include=set(entry.task.prediction_options))
        return [self.fit_key(entry), entry.test_draws, options]

    def predict_key(self, entry: TaskEntry, sample: str) -> str:
        """What decides a task's predictions for a sample."""
        stored = self.stored[sample]
        return content_key(
            said=self._said_key(entry),
            data=[sample, stored.key, stored.rows],
        )

    def _prediction_path(self, entry: TaskEntry, sample: str, split: str, shard: Path) -> Path:
        return self.cache.unit("predict", self.predict_key(entry, sample)).folder / f"{split}-{shard.name}"

    def folder(self, entry: TaskEntry) -> Path:
        """Where a task's state and logs are."""
        return entry.saved.folder if entry.saved else self.cache.unit("fit", self.fit_key(entry)).folder

    def run_of(self, entry: TaskEntry) -> Run:
        """What the task may use."""
        options = self.analysis.options
        models = {
            name: Model(self.analysis.tasks[name].task, read_state(self.folder(self.analysis.tasks[name]) / STATE))
            for name in entry.task.models()
        }
        seed = derive_seed(options.seed, "task", entry.group, entry.seed)
        logger = logging.getLogger(f"hepimg.task.{entry.name}")
        folder = self.cache.unit("fit", self.fit_key(entry)).folder
        return Run(seed, options.threads, options.device, folder, logger, self.progress, models)

    def fit(self, entry: TaskEntry) -> State:
        """Train a task, or reuse its state.

        Raises:
            PluginError: the task failed; its checkpoints are kept.
            DataError: a saved model has learned from what are test rows here.
        """
        if entry.saved:
            self._check_unseen(entry, entry.saved)
            return read_state(entry.saved.folder / STATE)
        unit = self.cache.unit("fit", self.fit_key(entry))
        with unit.lock():
            if not unit.is_finished:
                self._train(entry, unit)
        return read_state(unit.folder / STATE)

    def _check_unseen(self, entry: TaskEntry, saved: SavedModel) -> None:
        seen = saved.has_learned_from({name: self.stored[name].key for name in entry.apply}, self._split)
        if seen:
            raise DataError(
                f"{saved.folder} has learned from rows of {', '.join(seen)} that may be test rows here",
                where=f"task {entry.name}",
                needed=f"the split that it was trained with: {saved.description['split']}, here {self._split}",
                fix="Set data.split and seed as there, or apply it to other samples.",
            )

    @property
    def _split(self) -> dict[str, Any]:
        """What decides which rows are for training."""
        return {"fractions": list(self.analysis.options.data.split), "seed": self.analysis.options.seed}

    def _train(self, entry: TaskEntry, unit: Unit) -> None:
        started = time.perf_counter()
        wanted = entry.task.learns_from()
        train = self.dataset(entry.train, "train", wanted, entry.train_rows)
        valid = self.dataset(entry.train, "valid", wanted)
        with blame(entry.task, f"task {entry.name}, training"), logging_to(unit.folder / "log.txt"):
            state = entry.task.fit(train, valid, self.run_of(entry))
            state = {name: np.asarray(array) for name, array in state.items()}
        write_state(unit.folder / STATE, state)
        self.seconds.setdefault(entry.name, {})["fit"] = round(time.perf_counter() - started, 3)
        unit.finish(
            {
                "task": entry.name,
                "rows": {"train": len(train), "valid": len(valid)},
                "seconds": self.seconds[entry.name]["fit"],
            }
        )
        for checkpoint in unit.folder.glob("checkpoint*"):
            checkpoint.unlink()
        self._tell_observers(entry, state)

    def _tell_observers(self, entry: TaskEntry, state: State) -> None:
        """Call ``hepimg_after_task``; the training is safe by then, and a failing observer is only reported."""
        try:
            self.analysis.registry.hook.hepimg_after_task(name=entry.name, task=entry.task, outputs=state)
        except Exception:
            log.exception("an observer (hepimg_after_task) of task %s failed", entry.name)

    def describe(self, entry: TaskEntry, state: State) -> dict[str, Any]:
        """``model.json``: what a saved state needs to be used again."""
        if entry.saved:
            return dict(entry.saved.description)
        return {
            **describe_model(entry.task, state, self.steps_for(entry.task.reads()), self.known),
            "plugin": self.analysis.registry.plugin_of(entry.task),
            "seed": entry.seed,
            "classes": self.classes,
            "trained_on": {name: self.stored[name].key for name in entry.train},
            "split": self._split,
        }

    def predict(self, entry: TaskEntry, state: State) -> None:
        """Predict the test rows of the samples that the task applies to, and the rows that other tasks learn from.

        What is there is reused.
        """
        started = time.perf_counter()
        for sample in entry.apply:
            unit = self.cache.unit("predict", self.predict_key(entry, sample))
            with unit.lock():
                for split, rows in self._read_of(entry, sample).items():
                    self._predict(entry, state, sample, split, rows)
                unit.finish({"task": entry.name, "sample": sample})
        self.seconds.setdefault(entry.name, {})["predict"] = round(time.perf_counter() - started, 3)

    def _read_of(self, entry: TaskEntry, sample: str) -> dict[str, int | None]:
        """Which splits of a sample are to be predicted, and how many rows of each; None: all."""
        rows: list[int | None] = []
        for reader in self.analysis.tasks.values():
            of_all, of_learned = (
                tasks_behind(port.name for port in ports) for ports in (reader.task.reads(), reader.task.learns_from())
            )
            if entry.name in of_all:
                if sample in reader.train and entry.name in of_learned:
                    rows.append(self.splits.shares(reader.train, "train", reader.train_rows)[sample])
                if "train" in (read := self._read_of(reader, sample)):
                    rows.append(read["train"])
        if not rows:
            return {"test": None}
        most = None if None in rows else max(number for number in rows if number is not None)
        return {"train": most, "valid": None, "test": None}

    def _predict(self, entry: TaskEntry, state: State, sample: str, split: str, rows: int | None) -> None:
        dataset = self.dataset([sample], split, entry.task.reads())
        wanted = {part.path for part in self.splits.parts(sample, split, rows)}
        todo = [
            part
            for part in dataset.parts
            if part.path in wanted and not self._prediction_path(entry, sample, split, part.path).exists()
        ]
        if not todo:
            return
        run = self.run_of(entry)
        promised = entry.task.writes(self.known)
        units = {port.name: port.unit for port in promised if isinstance(port, Column) and port.unit}
        draws = max(entry.test_draws, 1) if any(step.is_random for step in dataset.steps) else 1
        self.progress.start(f"{entry.name} predicts {sample} ({split})", len(todo) * draws)
        for part in todo:
            raw = part.read(self.classes, dataset.names)
            with blame(entry.task, f"task {entry.name}, predicting {sample}, shard {part.path.name}"):
                total = Mean()
                for draw in range(draws):
                    prepared = dataset.preprocess(raw, ("draw", draw) if entry.test_draws else None)
                    total.add(self.checked(entry, entry.task.predict(state, prepared, run), len(prepared)))
                    self.progress.advance()
            columns, images = total.result()
            kept = {name: raw.column(name) for name in ("event", "weight")}
            said = Sample({**kept, **columns}, images=images, units=units)
            write_shard(self._prediction_path(entry, sample, split, part.path), said)
        self.progress.stop()

    def checked(self, entry: TaskEntry, said: Predictions, rows: int) -> Predictions:
        """The predictions, if they are what the task promised."""
        promised = {port.name: port for port in entry.task.writes(self.known)}
        if set(said) != set(promised):
            raise ValueError(f"predict returned {sorted(said)}, but writes() promised {sorted(promised)}")
        for name, values in said.items():
            if len(values) != rows:
                raise ValueError(f"predict returned {len(values)} rows of {name} for {rows} rows")
            if isinstance(promised[name], Column) and not np.isfinite(np.asarray(values)).all():
                raise ValueError(f"predict returned a {name} that is not finite")
        return said


def describe_libraries() -> dict[str, str]:
    """Versions that change the bytes of any training."""
    return {name: installed_version(name) for name in ("numpy", "numba", "torch")}
