"""Named observables of jets as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from hepimg.components import Collection, Column, Field, Port, Ports, Task
from hepimg.dataset import Dataset
from hepimg.errors import DataError
from hepimg.observables import ObservableName, compute, parse
from hepimg.sample import Sample
from hepimg_tagging.classes import check_two_classes

CONSTITUENTS = "constituents"


@dataclass(frozen=True)
class Table:
    """Observables of the jets of a dataset.

    Args:
        values: (n_rows, n_observables) float64.
        is_signal: (n_rows,) bool.
        weight: (n_rows,) float64.
    """

    values: NDArray[np.float64]
    is_signal: NDArray[np.bool_]
    weight: NDArray[np.float64]


class OnObservables(Task):
    """The base of taggers that see a jet as a few numbers."""

    signal: str = Field(description="sample that is the signal; all others are background")
    observables: tuple[ObservableName, ...] = Field(
        ("mass", "pt", "tau1", "tau2", "tau3", "tau4", "n_active"),
        description="observables of the constituents, such as mass, tau21[axes=wta_kt], correlator[beta=1]",
    )
    columns: tuple[str, ...] = Field((), description="columns of the jets to use too, such as another task's score")

    @model_validator(mode="after")
    def _check(self) -> OnObservables:
        names = self.inputs
        if not names:
            raise ValueError("give observables, columns, or both")
        if len(set(names)) < len(names):
            raise ValueError(f"an input is named twice: {list(names)}")
        return self

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the columns of the table."""
        return (*self.observables, *self.columns)

    def reads(self) -> Sequence[Port]:
        """The constituents, and the columns."""
        fields = {"pt": "GeV", "y": "", "phi": "rad"}
        if "jet_charge" in [parse(name).name for name in self.observables]:
            fields["charge"] = "e"
        constituents = [Collection(CONSTITUENTS, fields)] if self.observables else []
        return (*constituents, *map(Column, self.columns))

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The score."""
        return (Column("score"),)

    def samples(self) -> Sequence[str]:
        """The signal."""
        return (self.signal,)

    def values(self, sample: Sample) -> NDArray[np.float64]:
        """(n_rows, n_inputs) the inputs of each jet.

        Raises:
            DataError: a column is not there, or has more than one number for each jet; or the charge is not known.
        """
        table = np.empty((len(sample), len(self.inputs)))
        if self.observables:
            try:
                found = compute(self.observables, sample.collection(CONSTITUENTS).particles())
            except ValueError as error:
                raise DataError(str(error), where="observables") from error
            for k, name in enumerate(self.observables):
                table[:, k] = found[name]
        for k, name in enumerate(self.columns, start=len(self.observables)):
            column = sample.column(name)
            if column.ndim != 1:
                raise DataError(f"the column {name} has {column.shape[1:]} numbers for each jet", needed="one")
            table[:, k] = column
        return table

    def table(self, dataset: Dataset) -> Table:
        """The inputs of all rows of a dataset; random steps rest."""
        parts = [
            Table(self.values(sample), sample.is_from(self.signal), sample.column("weight").astype(np.float64))
            for _, sample in dataset.samples()
        ]
        if not parts:
            return Table(np.empty((0, len(self.inputs))), np.empty(0, bool), np.empty(0))
        return Table(
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.is_signal for part in parts]),
            np.concatenate([part.weight for part in parts]),
        )

    def training_table(self, train: Dataset) -> Table:
        """The table of a training set.

        Raises:
            DataError: it has no rows, or rows of one class only.
        """
        check_two_classes(train, self.signal)
        return self.table(train)
