"""The task ``neighbours``: how far a jet lies from the ordinary jets most like it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from hepimg.components import Column, Field, Port, Ports, Predictions, Run, State, Task
from hepimg.errors import DataError
from hepimg.weights import check_equal_weights

Floats = NDArray[np.float64]

MOST_IN_TREE = 10
"""Numbers of a jet up to which a tree is faster; beyond, it would look at nearly all jets, one by one."""

AT_ONCE = 4_000_000
"""Distances that are measured at a time beyond."""

if TYPE_CHECKING:
    from hepimg.dataset import Dataset
    from hepimg.sample import Sample


class Neighbours(Task):
    """The mean distance to the nearest training jets in some standardised columns: large where they are rare.

    Of a column with several numbers for each jet, such as ``pca.latent``, each is one of them.  A jet that was learned
    from is its own neighbour; judge other ones.
    """

    name: ClassVar[str] = "neighbours"
    version: ClassVar[int] = 2
    libraries: ClassVar[tuple[str, ...]] = ("scipy",)

    columns: tuple[str, ...] = Field(min_length=1, description="columns, such as the step measure makes")
    log: tuple[str, ...] = Field(
        (), description="those of them, positive, that are taken as logarithms; 0 counts as the least that was learned"
    )
    neighbours: int = Field(20, ge=1, description="nearest jets whose mean distance is taken")

    @model_validator(mode="after")
    def _check(self) -> Neighbours:
        if other := sorted({*self.log} - {*self.columns}):
            raise ValueError(f"log names {', '.join(other)}, not among the columns")
        return self

    def reads(self) -> Sequence[Port]:
        """The columns."""
        return [Column(name) for name in self.columns]

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The distance."""
        return (Column("distance"),)

    def fit(self, train: Dataset, valid: Dataset, run: Run) -> State:
        """Keep the training jets.

        Raises:
            DataError: fewer jets than neighbours, unequal weights, or a column that never varies, is not finite, or is
                not positive where its logarithm is taken.
        """
        if len(train) < self.neighbours:
            raise DataError(f"{len(train)} training rows", where="neighbours", needed=f"at least {self.neighbours}")
        check_equal_weights(train)
        samples = [sample.select(self.columns) for _, sample in train.samples()]
        least = np.array([self._least(name, samples) for name in self.columns])
        table = np.concatenate([self._table(sample, least) for sample in samples])
        mean, spread = table.mean(axis=0), table.std(axis=0)
        owner = [name for name in self.columns for _ in range(math.prod(samples[0].column(name).shape[1:]))]
        if same := dict.fromkeys(name for name, width in zip(owner, np.ptp(table, axis=0), strict=True) if width == 0):
            raise DataError(f"the columns {', '.join(same)} are the same for all jets", fix="Leave them out.")
        return {"mean": mean, "spread": spread, "least": least, "jets": (table - mean) / spread}

    def predict(self, state: State, sample: Sample, run: Run) -> Predictions:
        """``distance``: (n_rows,) in standard deviations."""
        jets, mean, spread, least = (np.asarray(state[name]) for name in ("jets", "mean", "spread", "least"))
        asked = (self._table(sample, least) - mean) / spread
        if not len(asked):
            return {"distance": np.zeros(0)}
        measure = self._in_tree if jets.shape[1] <= MOST_IN_TREE else self._among_all
        return {"distance": measure(asked, jets)}

    def _in_tree(self, asked: Floats, jets: Floats) -> Floats:
        """(n,) mean distance of (n, numbers) rows to their nearest among (n_jets, numbers)."""
        from scipy.spatial import KDTree

        return np.asarray(KDTree(jets).query(asked, k=range(1, self.neighbours + 1))[0].mean(axis=1))

    def _among_all(self, asked: Floats, jets: Floats) -> Floats:
        """The same; all distances are measured, as products of matrices."""
        squares = np.square(jets).sum(axis=1)
        found = []
        for some in np.array_split(asked, math.ceil(len(asked) * len(jets) / AT_ONCE)):
            distances = np.square(some).sum(axis=1)[:, None] - 2 * (some @ jets.T) + squares
            found.append(np.partition(distances, self.neighbours - 1, axis=1)[:, : self.neighbours])
        return np.asarray(np.sqrt(np.maximum(np.concatenate(found), 0)).mean(axis=1))

    def _least(self, name: str, samples: Sequence[Sample]) -> float:
        """The smallest positive value of a column that is taken as its logarithm; 0 for others.

        Raises:
            DataError: none is positive.
        """
        if name not in self.log:
            return 0.0
        values = np.concatenate([sample.column(name) for sample in samples])
        if not (values > 0).any():
            raise DataError(f"the column {name} has no positive value", where="neighbours", fix="Leave it out of log.")
        return float(values[values > 0].min())

    def _table(self, sample: Sample, least: Floats) -> Floats:
        """(n_rows, numbers).

        Raises:
            DataError: a number is not finite, or negative where its logarithm is taken.
        """
        columns = []
        for name, smallest in zip(self.columns, least, strict=True):
            column = sample.column(name).astype(np.float64)
            values = column.reshape(len(sample), math.prod(column.shape[1:]))
            if not np.isfinite(values).all():
                raise DataError(f"{name} is not finite for all jets", where="neighbours")
            if name in self.log:
                if (values < 0).any():
                    raise DataError(f"{name} has negative values", where="neighbours", fix="Leave it out of log.")
                values = np.log(np.maximum(values, smallest))
            columns.append(values)
        return np.concatenate(columns, axis=1)
