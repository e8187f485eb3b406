"""Components that fail when they are used, each in its own way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from hepimg_toys import ToyJets

from hepimg.components import Column, Port, Ports, Predictions, Run, Shard, Source, State, Step, Task
from hepimg.hooks import hookimpl

if TYPE_CHECKING:
    from hepimg.dataset import Dataset
    from hepimg.sample import Sample


class ToyNaN(ToyJets):
    """Toy jets; the pt of the fourth of each batch is not a number."""

    name: ClassVar[str] = "toy_nan"

    def batches(self, shard: Shard) -> Iterator[Sample]:
        """Jets with a fault."""
        for sample in super().batches(shard):
            pt = sample.column("pt").copy()
            pt[3] = np.nan
            yield sample.with_columns(pt=pt)


class ToyStepRaises(Step):
    """A step that always raises."""

    name: ClassVar[str] = "toy_step_raises"

    def writes(self, ports: Ports) -> Sequence[Port]:
        """A column that never comes."""
        return [Column("never")]

    def apply(self, sample: Sample, seed: int | None) -> Sample:
        """Raise."""
        raise RuntimeError("toy_step_raises always raises")


class ToyFitRaises(Task):
    """A task that always raises while it learns."""

    name: ClassVar[str] = "toy_fit_raises"

    def writes(self, ports: Ports) -> Sequence[Port]:
        """A score that never comes."""
        return [Column("score")]

    def fit(self, train: Dataset, valid: Dataset, run: Run) -> State:
        """Raise."""
        raise RuntimeError("toy_fit_raises always raises")

    def predict(self, state: State, sample: Sample, run: Run) -> Predictions:
        """Zeros."""
        return {"score": np.zeros(len(sample))}


@hookimpl
def hepimg_sources() -> Iterable[type[Source]]:
    """The source ``toy_nan``."""
    return [ToyNaN]


@hookimpl
def hepimg_steps() -> Iterable[type[Step]]:
    """The step ``toy_step_raises``."""
    return [ToyStepRaises]


@hookimpl
def hepimg_tasks() -> Iterable[type[Task]]:
    """The task ``toy_fit_raises``."""
    return [ToyFitRaises]
