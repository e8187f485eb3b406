"""Analysis: the options of an analysis file, and what became of them once every name in it was found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from hepimg.components import Component, Metric, Source, Step, Task
from hepimg.engine import EngineName, resolve_engine
from hepimg.options import Options
from hepimg.registry import Kind, Registry
from hepimg.saved import SavedModel
from hepimg.variants import task_of
from hepimg.yaml_lines import Document, Place

Rows = Annotated[int | None, Field(gt=0, description="rows (jets) of each sample; none given: all that the files hold")]
Values = Annotated[list[Any], Field(min_length=1)]
Split = Annotated[
    tuple[float, float, float], Field(description="fractions for train, valid, test; rows of one event stay together")
]


class DataOptions(Options):
    """The key ``data``."""

    source: Any = Field(description="a source's name, or {source: name, option: value ...}")
    steps: list[Any] = Field([], description="event steps, in order")
    pools: dict[str, dict[str, Any]] = Field(
        {}, description="events that steps draw from (pileup ...): name -> {source: name, option: value, rows, steps}"
    )
    rows: Rows = None
    split: Split = (0.7, 0.1, 0.2)
    shard: int = Field(2000, gt=0, description="rows of one shard: one worker makes it, one file holds it")

    @model_validator(mode="after")
    def _check(self) -> DataOptions:
        if abs(sum(self.split) - 1) > 1e-9 or min(self.split) < 0:
            raise ValueError(f"split must be three fractions that sum to 1, found {list(self.split)}")
        return self


class AnalysisOptions(Options):
    """The keys of an analysis file."""

    title: str = Field(description="heading of the report")
    seed: int = Field(1, ge=0, description="of everything random: data, order, networks, bootstrap")
    threads: int = Field(2, gt=0, description="CPU threads of a task; results are the same bytes for the same number")
    device: Literal["cpu", "cuda"] = Field("cpu", description="where networks are trained")
    engine: EngineName = Field(
        "auto", description="what computes sparse convolutions; auto: spconv on CUDA where it is installed, or native"
    )
    data: DataOptions
    samples: dict[str, dict[str, Any]] = Field(
        min_length=1, description="name -> options of the source, or {of: [names]}"
    )
    preprocess: list[Any] = Field([], description="jet steps, in order, run on each batch")
    tasks: dict[str, dict[str, Any]] = Field({}, description="name -> {task: name, option: value ...}")
    evaluate: list[Any] = Field([], description="metrics: {metric: name, option: value ...}")
    quick: dict[str, Any] = Field({}, description="place -> value, set by --quick")


class TaskOptions(Options):
    """What every task of an analysis may say besides its own options."""

    task: str = Field(description="the task's name")
    train: list[str] = Field([], description="samples to learn from; none: all")
    apply: list[str] = Field([], description="samples to predict; none: all")
    saved: str | None = Field(
        None,
        description="folder of a finished task, results/NAME/tasks/TASK, whose model is used as it is: nothing is "
        "trained, and train and train_rows have no effect; options left out are those of the model, others must be the "
        "same here, and so must the jet steps, but for options that only predictions depend on",
    )
    train_rows: int | None = Field(
        None, gt=0, description="rows to learn from, drawn from these samples alike; none: all of the training split"
    )
    seeds: int = Field(1, gt=0, description="train this many times, with seeds of its own each")
    scan: dict[str, Values] = Field({}, description="option -> values; one training for each combination")
    test_draws: int = Field(
        0, ge=0, description="predict the mean over this many draws of the random steps; 0: they rest"
    )


class MetricOptions(Options):
    """What every metric of an analysis may say besides its own options."""

    metric: str = Field(description="the metric's name")
    label: str = Field(
        "",
        pattern=r"^\w*$",
        description="tells its numbers and figures from those of another metric of the same predictions: tag.auc:LABEL",
    )


@dataclass(frozen=True)
class SampleEntry:
    """One sample or pool: its source, the event steps, how many rows (None: all that there are)."""

    name: str
    source: Source
    steps: tuple[Step, ...]
    rows: int | None
    place: Place
    step_place: Place


@dataclass(frozen=True)
class TaskEntry:
    """One task of the analysis: a training, after seeds and scans are expanded, or a saved model."""

    name: str
    group: str
    seed: int
    task: Task
    train: tuple[str, ...]
    apply: tuple[str, ...]
    saved: SavedModel | None
    train_rows: int | None
    test_draws: int
    place: Place


@dataclass(frozen=True)
class MetricEntry:
    """One metric of the analysis, and what tells it from others of its kind."""

    metric: Metric
    label: str
    place: Place


@dataclass
class Analysis:
    """An analysis file whose every name and option has been found."""

    name: str
    quick: bool
    options: AnalysisOptions
    document: Document
    registry: Registry
    pools: dict[str, SampleEntry] = field(default_factory=dict)
    samples: dict[str, SampleEntry] = field(default_factory=dict)
    preprocess: tuple[Step, ...] = ()
    tasks: dict[str, TaskEntry] = field(default_factory=dict)
    evaluate: tuple[MetricEntry, ...] = ()

    @property
    def engine(self) -> EngineName:
        """The engine of the sparse convolutions; ``auto`` is resolved."""
        return resolve_engine(self.options.engine, self.options.device)

    def samples_of(self, metric: Metric) -> list[str]:
        """The samples that a metric looks at: those for which all predictions that it reads are made."""
        read = [self.tasks[task] for port in metric.reads() if (task := task_of(port.name)) in self.tasks]
        return [name for name in self.samples if all(name in task.apply for task in read)]

    def resolved(self) -> dict[str, Any]:
        """The analysis with every default written out."""

        def named(kind: Kind, component: Component) -> dict[str, Any]:
            return {kind: component.name, **component.model_dump(mode="json")}

        def made(entry: SampleEntry) -> dict[str, Any]:
            steps = [named("step", step) for step in entry.steps]
            return {"source": named("source", entry.source), "steps": steps, "rows": entry.rows}

        return {
            **self.options.model_dump(mode="json", include={"title", "seed", "threads", "device"}),
            "engine": self.engine,
            "quick": self.quick,
            "data": self.options.data.model_dump(mode="json", include={"rows", "split", "shard"}),
            "pools": {entry.name: made(entry) for entry in self.pools.values()},
            "samples": {entry.name: made(entry) for entry in self.samples.values()},
            "preprocess": [named("step", step) for step in self.preprocess],
            "tasks": {
                entry.name: {
                    **named("task", entry.task),
                    "train": entry.train,
                    "apply": entry.apply,
                    "saved": str(entry.saved.folder) if entry.saved else None,
                    "train_rows": entry.train_rows,
                    "test_draws": entry.test_draws,
                }
                for entry in self.tasks.values()
            },
            "evaluate": [{**named("metric", entry.metric), "label": entry.label} for entry in self.evaluate],
        }
