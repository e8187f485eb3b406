"""Splits: which rows are for training, validation and test, and which of them a task learns from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hepimg.dataset import Part
from hepimg.orders import StoredSample
from hepimg.random import uniform
from hepimg.shards import read_shard

SPLITS = ("train", "valid", "test")


def split_of(event: NDArray[np.int64], fractions: Sequence[float], seed: int) -> NDArray[np.int8]:
    """Which split each row belongs to, as an index into :data:`SPLITS`, decided by its event alone.

    Args:
        event: (n,) numbers of events; rows of one event stay together.
        fractions: of train, valid, test; they sum to 1.
        seed: of the analysis.
    """
    edges = np.cumsum(fractions)[:-1]
    return np.searchsorted(edges, uniform(event, seed, "split"), side="right").astype(np.int8)


@dataclass(frozen=True)
class Splits:
    """The splits of samples on disk.

    Args:
        stored: the samples.
        classes: the names that the column ``sample`` counts.
        fractions: of train, valid, test; they sum to 1.
        seed: of the analysis.
    """

    stored: Mapping[str, StoredSample]
    classes: tuple[str, ...]
    fractions: Sequence[float]
    seed: int
    _known: dict[str, list[NDArray[np.int8]]] = field(default_factory=dict, repr=False, compare=False)

    def parts(self, sample: str, split: str, rows: int | None = None) -> list[Part]:
        """The rows of one split, shard by shard.

        Args:
            sample: its name.
            split: one of :data:`SPLITS`.
            rows: keep of the shards, in a random order, as many as hold this number of rows; None: all, in order.  The
                shards for fewer rows are the first of those for more.
        """
        parts, first = [], 0
        for (path, stored), split_of_row in zip(self.stored[sample].shards, self._of(sample), strict=True):
            chosen = np.flatnonzero(split_of_row == SPLITS.index(split))
            if len(chosen):
                parts.append(Part(self.classes.index(sample), path, first, chosen))
            first += stored
        if rows is None:
            return parts
        order = np.argsort(uniform(np.arange(len(parts)), self.seed, "rows"))
        held = np.cumsum([len(parts[k].rows) for k in order])
        return [parts[k] for k in order[: np.searchsorted(held, rows) + 1]]

    def shares(self, samples: Sequence[str], split: str, rows: int | None) -> dict[str, int | None]:
        """How many of ``rows`` come from each sample, in proportion to what it has, rounded up; None: all."""
        if rows is None:
            return dict.fromkeys(samples)
        held = {name: int(sum((of == SPLITS.index(split)).sum() for of in self._of(name))) for name in samples}
        total = max(sum(held.values()), 1)
        return {name: math.ceil(rows * n / total) for name, n in held.items()}

    def _of(self, sample: str) -> list[NDArray[np.int8]]:
        """Of each shard, the split of each row."""
        if sample not in self._known:
            events = [read_shard(path, ["event"]).column("event")[:rows] for path, rows in self.stored[sample].shards]
            self._known[sample] = [split_of(event, self.fractions, self.seed) for event in events]
        return self._known[sample]
