"""What a plugin can offer: sources of events, steps on events or jets, tasks that learn, metrics that judge.

A component is a frozen pydantic model whose fields are its YAML options.  It says what it reads and what it writes, so
that a whole analysis is verified before anything runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from pydantic import Field

from hepimg.grid import Axis, Grid
from hepimg.options import Options

if TYPE_CHECKING:
    import logging
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from hepimg.dataset import Dataset
    from hepimg.images import Channel, SparseImages
    from hepimg.sample import Sample

__all__ = [
    "Axis", "Collection", "Column", "Component", "Estimate", "Evaluation", "Field", "Figure", "Grid", "Image", "Metric",
    "Model", "Options", "Port", "Ports", "Predictions", "Run", "Shard", "Source", "State", "Step", "Task",
]  # fmt: skip

RowKind = Literal["event", "jet"]

State = Mapping[str, "NDArray[Any]"]
"""What a task has learned: named arrays."""

Predictions = Mapping[str, "NDArray[Any] | SparseImages"]
"""What a task says of each row: named columns, (n_rows, ...), or images."""


@dataclass(frozen=True)
class Column:
    """A column, one value (or array) per row."""

    name: str
    unit: str = ""


@dataclass(frozen=True)
class Collection:
    """A ragged collection and its fields: name -> unit.  When it is read, the fields that are needed."""

    name: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Image:
    """An image; ``grid`` None: any grid; no channels: any channels."""

    name: str
    grid: Grid | None = None
    channels: tuple[Channel, ...] = ()


Port = Column | Collection | Image
Ports = Mapping[str, Port]
"""What is known at one point of an analysis, by name."""


class Component(Options):
    """The base of everything a plugin offers.

    Class variables: ``name``, what YAML calls it; ``version``, raised when the same options give other results (results
    of the former version are then made again); ``libraries``, distributions whose version changes results too.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ()

    def reads(self) -> Sequence[Port]:
        """What must be there."""
        return ()


@dataclass(frozen=True)
class Shard:
    """A piece of a sample: made by one worker, stored in one file.

    Args:
        index: its number within the sample; it decides ``seed`` and the numbers of its events.
        rows: how many rows to make, or fewer where its part of a file holds no more; None: all that it holds.
        seed: for every random number in it.
        part: what a source of files put here in :meth:`Source.parts`: which file, which entries.
    """

    index: int
    rows: int | None
    seed: int
    part: Mapping[str, Any] = field(default_factory=dict)


class Source(Component):
    """Makes or reads events.

    A source without an end (a generator) only writes :meth:`batches`; the run asks for batches until a shard is full.
    """

    rows_out: ClassVar[RowKind] = "event"
    names_events: ClassVar[bool] = False
    """Whether ``event`` says which event of the world a row is, wherever it is read, so that it decides all random
    numbers that belong to it; else they belong to the shard, too."""

    @classmethod
    def recognise(cls, path: Path) -> Mapping[str, Any] | None:
        """Options with which it reads a file of the user's, so that ``hepimg show`` can; None: not of its layout."""
        return None

    def writes(self) -> Sequence[Port]:
        """What each row comes with."""
        raise NotImplementedError

    def parts(self) -> Sequence[Mapping[str, Any]] | None:
        """How its input is divided into shards; None: without an end, any number of shards of any size."""
        return None

    def batches(self, shard: Shard) -> Iterator[Sample]:
        """Events of one shard, a few hundred at a time; always the same ones for the same shard."""
        raise NotImplementedError

    def facts(self) -> Mapping[str, float | str]:
        """What is known after the last batch of a shard (a cross-section ...); kept in the shard's manifest."""
        return {}


class Step(Component):
    """Turns rows into rows: events into jets (``rows_in``, ``rows_out``), or a jet's columns, collections, images."""

    rows_in: ClassVar[RowKind] = "jet"
    rows_out: ClassVar[RowKind] = "jet"
    drops_rows: ClassVar[bool] = False
    """Whether some rows do not go on: then it belongs to ``data.steps``, before rows are counted and split."""

    def writes(self, ports: Ports) -> Sequence[Port]:
        """What it adds or replaces, given what is there; all that is left, if it changes the kind of row."""
        raise NotImplementedError

    def pools(self) -> Sequence[str]:
        """Pools of events (``data.pools`` of the analysis) that an event step draws from."""
        return ()

    def reads_of_pool(self, pool: str, ports: Ports) -> Sequence[Port]:
        """What the events of a pool must have, given what the rows have."""
        return ()

    def open_pools(self, pools: Mapping[str, Sequence[Sample]]) -> None:
        """Take hold of the events of each pool, shard by shard, mapped from disk; called before the first ``apply``."""

    @property
    def is_random(self) -> bool:
        """Whether it draws random numbers: then it acts in training, and in prediction with ``test_draws``."""
        return False

    def apply(self, sample: Sample, seed: int | None) -> Sample:
        """The sample with what :meth:`writes` promised.

        Args:
            sample: rows; never changed.
            seed: for ``hepimg.random.uniform(sample.column("row"), seed)`` in a jet step, or ``column("event")`` in an
                event step, which has no rows yet; None where a random jet step rests: it must then still write what it
                promised.
        """
        raise NotImplementedError


class Progress(Protocol):
    """A bar that grows."""

    def start(self, label: str, total: int | None, unit: str = "") -> None:
        """Show a bar of ``total`` units."""

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Move it; ``note`` replaces what stands beside it (a loss, say)."""

    def stop(self) -> None:
        """Take it away."""


@dataclass(frozen=True)
class Model:
    """Another task's frozen network: its component, and what it learned."""

    task: Task
    state: State


@dataclass(frozen=True)
class Run:
    """What a task may use while it works.

    Args:
        seed: of this task; everything random derives from it.
        threads: how many CPU threads it may use; results are the same bytes for the same number.
        device: ``cpu`` or ``cuda``.
        folder: its own; checkpoints live there while it learns.
        logger: goes to ``log.txt`` of the task.
        progress: a bar on the terminal.
        models: frozen networks of the tasks named in :meth:`Task.models`.
    """

    seed: int
    threads: int
    device: str
    folder: Path
    logger: logging.Logger
    progress: Progress
    models: Mapping[str, Model] = field(default_factory=dict)

    def model(self, name: str) -> Model:
        """Another task's frozen network."""
        return self.models[name]


class Task(Component):
    """Learns from rows and says something of rows.

    Class variables: ``prediction_options``, names of options that only :meth:`predict` reads; when one of them changes,
    what was learned stays.  ``only_learned``: it says nothing of samples that it has not learned from.
    ``needs_validation``: it learns from validation rows, too.
    """

    prediction_options: ClassVar[tuple[str, ...]] = ()
    only_learned: ClassVar[bool] = False
    needs_validation: ClassVar[bool] = False

    def learns_from(self) -> Sequence[Port]:
        """What :meth:`fit` needs of all that is read; predictions that it does not need are not made for its rows."""
        return self.reads()

    def writes(self, ports: Ports) -> Sequence[Port]:
        """What :meth:`predict` returns; the analysis calls it ``<task>.<name>``."""
        raise NotImplementedError

    def models(self) -> Sequence[str]:
        """Tasks whose frozen networks are asked for by ``run.model(name)``."""
        return ()

    def samples(self) -> Sequence[str]:
        """Samples that an option names (a signal ...); each must exist."""
        return ()

    def fit(self, train: Dataset, valid: Dataset, run: Run) -> State:
        """Learn; called again with the same arguments after an interrupt, it goes on from what ``run.folder`` holds."""
        raise NotImplementedError

    def predict(self, state: State, sample: Sample, run: Run) -> Predictions:
        """What :meth:`writes` promised, for these rows; the sample is never changed."""
        raise NotImplementedError


@dataclass(frozen=True)
class Estimate:
    """A number, its statistical error, the number of rows behind it; ``limit``: it is only a lower limit."""

    value: float
    error: float | None = None
    n: int | None = None
    limit: bool = False
    unit: str = ""


@dataclass(frozen=True)
class Figure:
    """A figure of the report: a title, a caption, the matplotlib figure, and the numbers behind it."""

    name: str
    title: str
    caption: str
    draw: Any
    data: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """What a metric found: named numbers (``tag.auc``, ``tag.rejection@0.5``) and figures."""

    numbers: Mapping[str, Estimate]
    figures: Sequence[Figure] = ()


class Metric(Component):
    """Judges predictions on the test rows."""

    def samples(self) -> Sequence[str]:
        """Samples that an option names; each must exist."""
        return ()

    def check(self, ports: Ports) -> None:
        """Raise ValueError where what is read does not fit together; asked before anything runs."""

    def evaluate(self, test: Sample, seed: int) -> Evaluation:
        """Numbers and figures from the test rows, whose columns include the predictions read (``tag.score``)."""
        raise NotImplementedError
