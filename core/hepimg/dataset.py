"""Dataset: the rows of many shards, read lazily, with the jet steps run on what is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Step
from hepimg.errors import DataError, blame
from hepimg.random import derive_seed, uniform
from hepimg.sample import Sample
from hepimg.shards import read_shard

WINDOW = 1 << 18
"""Rows that are shuffled together: all of them where there are fewer."""

SAMPLE_SHIFT = 40
"""``row`` is (number of the sample << SAMPLE_SHIFT) + position in the sample."""


@dataclass(frozen=True)
class Part:
    """Some rows of one shard.

    Args:
        sample: number of the sample among the dataset's ``classes``.
        path: the shard.
        first: position of the shard's first row in its sample.
        rows: (n,) which rows of the shard.
        joined: predictions of other tasks: (task, file).
        joined_rows: (n,) which rows of these files; None: they hold exactly these rows.
    """

    sample: int
    path: Path
    first: int
    rows: NDArray[np.int64]
    joined: tuple[tuple[str, Path], ...] = ()
    joined_rows: NDArray[np.int64] | None = None

    @property
    def numbers(self) -> NDArray[np.int64]:
        """(n,) what the column ``row`` holds."""
        return (np.int64(self.sample) << SAMPLE_SHIFT) + self.first + self.rows

    def take(self, chosen: NDArray[np.int64]) -> Part:
        """Some of the rows, by their positions."""
        joined_rows = chosen if self.joined_rows is None else self.joined_rows[chosen]
        return replace(self, rows=self.rows[chosen], joined_rows=joined_rows)

    def read(self, classes: tuple[str, ...], names: tuple[str, ...] | None = None) -> Sample:
        """The rows, with the columns ``sample`` and ``row``, and the joined predictions as ``task.name``."""
        sample = read_shard(self.path, names)[self.rows]
        row = self.numbers
        sample = sample.with_columns(sample=np.full(len(row), self.sample, np.int16), row=row)
        for task, path in self.joined:
            said = read_shard(path)
            said = said if self.joined_rows is None else said[self.joined_rows]
            columns = {f"{task}.{name}": said.columns[name] for name in said.columns if name not in ("event", "weight")}
            units = {f"{task}.{name}": unit for name, unit in said.units.items()}
            sample = sample.with_columns(units, **columns)
            sample = sample.with_images(**{f"{task}.{name}": images for name, images in said.images.items()})
        return replace(sample, classes=classes)


@dataclass(frozen=True)
class Dataset:
    """Rows on disk.

    Args:
        parts: where they are.
        classes: names of the samples.
        steps: jet steps, run on every batch that is read.
        seed: of the random steps.
        names: columns, collections and images that are read of each shard; None: all.
        at_rest: random steps rest in training too.
    """

    parts: tuple[Part, ...]
    classes: tuple[str, ...]
    steps: tuple[Step, ...] = ()
    seed: int = 0
    names: tuple[str, ...] | None = None
    at_rest: bool = False
    _memory: dict[tuple[int, ...], Sample] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return sum(len(part.rows) for part in self.parts)

    def resting(self) -> Dataset:
        """The same rows, whose random steps rest.

        For tasks that compare what a row holds with what another task said of it: the other task saw it at rest.
        """
        return replace(self, at_rest=True)

    def load(self, names: Iterable[str] | None = None, limit: int | None = None) -> Sample:
        """All rows (or the first ``limit``) in memory, preprocessed; random steps rest.

        Args:
            names: columns, collections and images to keep; None: all.
            limit: a number of rows.

        Raises:
            DataError: there is none.
        """
        keep = None if names is None else list(names)
        loaded, rows = [], 0
        for part in self.parts:
            if limit is not None and rows >= limit:
                break
            sample = self.preprocess(part.read(self.classes, self.names))
            loaded.append(sample if keep is None else sample.select(keep))
            rows += len(sample)
        if not loaded:
            raise DataError("no rows", fix="Look at data.split, data.rows, and the samples that the tasks apply to.")
        whole = Sample.concatenate(loaded)
        return whole if limit is None else whole[:limit]

    def samples(self, draw: int | None = None) -> Iterator[tuple[Part, Sample]]:
        """Each part's rows in order, preprocessed; ``draw`` numbers the draw of the random steps, None: they rest."""
        for part in self.parts:
            yield part, self.preprocess(part.read(self.classes, self.names), None if draw is None else ("draw", draw))

    def batches(self, size: int, seed: int, epoch: int) -> Iterator[Sample]:
        """Shuffled batches for training, with random steps, new for every epoch.

        Shards are shuffled, then the rows of each window of consecutive shards.  The last, smaller batch of an epoch is
        left out unless it is the only one.

        Args:
            size: rows in a batch.
            seed: of the order and of the random steps.
            epoch: its number.
        """
        whole = max(len(self) // size, 1)
        number, rest = 0, None
        for window in self._windows(derive_seed(seed, "shards", epoch)):
            rows = self._read(window)
            order = np.argsort(uniform(rows.column("row"), seed, "rows", epoch), kind="stable")
            shuffled = order if rest is None else np.concatenate([np.arange(len(rest)), len(rest) + order])
            rows = rows if rest is None else Sample.concatenate([rest, rows])
            first = 0
            while len(shuffled) - first >= size and number < whole:
                yield self.preprocess(rows[shuffled[first : first + size]], (seed, epoch))
                number, first = number + 1, first + size
            rest = rows[shuffled[first:]]
        if number == 0 and rest is not None and len(rest):
            yield self.preprocess(rest, (seed, epoch))

    def n_batches(self, size: int) -> int:
        """How many batches :meth:`batches` gives in an epoch."""
        return max(len(self) // size, 1) if len(self) else 0

    def preprocess(self, sample: Sample, key: tuple[int | str, ...] | None = None) -> Sample:
        """Run the steps; ``key`` seeds the random ones, None: they rest."""
        for number, step in enumerate(self.steps):
            seed = None if key is None or self.at_rest or not step.is_random else derive_seed(self.seed, number, *key)
            with blame(step, "preprocess"):
                sample = step.apply(sample, seed)
        return sample

    def _windows(self, seed: int) -> Iterator[tuple[int, ...]]:
        order = np.argsort(uniform(np.arange(len(self.parts)), seed), kind="stable")
        if len(self) <= WINDOW:
            order = np.sort(order)
        window: list[int] = []
        rows = 0
        for number in order.tolist():
            if window and rows + len(self.parts[number].rows) > WINDOW:
                yield tuple(window)
                window, rows = [], 0
            window.append(number)
            rows += len(self.parts[number].rows)
        if window:
            yield tuple(window)

    def _read(self, window: Sequence[int]) -> Sample:
        """The raw rows of some parts; what fits into one window is read once and kept."""
        key = tuple(window)
        if key not in self._memory:
            self._memory.clear()
            parts = [self.parts[number].read(self.classes, self.names) for number in window]
            self._memory[key] = Sample.concatenate(parts)
        return self._memory[key]
