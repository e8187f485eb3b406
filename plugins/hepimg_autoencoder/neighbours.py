"""The task ``neighbours``: how far a jet lies from the ordinary jets most like it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Column, Field, Port, Ports, Predictions, Run, State, Task
from hepimg.errors import DataError
from hepimg.weights import check_equal_weights

if TYPE_CHECKING:
    from hepimg.dataset import Dataset
    from hepimg.sample import Sample


class Neighbours(Task):
    """The mean distance to the nearest training jets in a few standardised columns: large where they are rare.

    A jet that was learned from is its own neighbour; judge other ones.
    """

    name: ClassVar[str] = "neighbours"
    libraries: ClassVar[tuple[str, ...]] = ("scipy",)

    columns: tuple[str, ...] = Field(min_length=1, description="columns, such as the step measure makes")
    neighbours: int = Field(20, ge=1, description="nearest jets whose mean distance is taken")

    def reads(self) -> Sequence[Port]:
        """The columns."""
        return [Column(name) for name in self.columns]

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The distance."""
        return (Column("distance"),)

    def fit(self, train: Dataset, valid: Dataset, run: Run) -> State:
        """Keep the training jets.

        Raises:
            DataError: fewer jets than neighbours, unequal weights, or a column that never varies or is not finite.
        """
        if len(train) < self.neighbours:
            raise DataError(f"{len(train)} training rows", where="neighbours", needed=f"at least {self.neighbours}")
        check_equal_weights(train)
        table = np.concatenate([self._table(sample) for _, sample in train.samples()])
        mean, spread = table.mean(axis=0), table.std(axis=0)
        if constant := [name for name, width in zip(self.columns, np.ptp(table, axis=0), strict=True) if width == 0]:
            raise DataError(f"the columns {', '.join(constant)} are the same for all jets", fix="Leave them out.")
        return {"mean": mean, "spread": spread, "jets": (table - mean) / spread}

    def predict(self, state: State, sample: Sample, run: Run) -> Predictions:
        """``distance``: (n_rows,) in standard deviations."""
        from scipy.spatial import KDTree

        if not len(sample):
            return {"distance": np.zeros(0)}
        tree = KDTree(np.asarray(state["jets"]))
        asked = (self._table(sample) - state["mean"]) / state["spread"]
        distances, _ = tree.query(asked, k=range(1, self.neighbours + 1), workers=run.threads)
        return {"distance": distances.mean(axis=1)}

    def _table(self, sample: Sample) -> NDArray[np.float64]:
        for name in self.columns:
            if sample.column(name).ndim != 1:
                raise DataError(f"the column {name} has several numbers for each jet", needed="one")
        table = np.stack([sample.column(name).astype(np.float64) for name in self.columns], axis=1)
        if not np.isfinite(table).all():
            raise DataError(f"one of {', '.join(self.columns)} is not finite for all jets", where="neighbours")
        return table
