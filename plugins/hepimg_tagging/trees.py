"""The task ``trees``: boosted decision trees, by LightGBM."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hepimg.components import Field, Predictions, Run, State
from hepimg.dataset import Dataset
from hepimg.errors import DataError
from hepimg.sample import Sample
from hepimg.store import writing
from hepimg.training.state import array_of_text, text_of_array
from hepimg_tagging.table import OnObservables, Table

if TYPE_CHECKING:
    from lightgbm import Booster
    from lightgbm.callback import CallbackEnv

STATE = "trees"
"""The one entry of the state: LightGBM's text."""


class Trees(OnObservables):
    """Boosted decision trees on observables: the probability of signal, were the classes as frequent as in training.

    Each jet counts with its weight; an observable that is not a number is a gap, for which trees learn a side.
    """

    name: ClassVar[str] = "trees"
    libraries: ClassVar[tuple[str, ...]] = ("lightgbm",)

    rounds: int = Field(600, ge=1, description="most trees")
    learning_rate: float = Field(0.05, gt=0, le=1, description="share of each tree")
    leaves: int = Field(31, ge=2, description="leaves of a tree")
    jets_per_leaf: int = Field(50, ge=1, description="fewest jets of a leaf")
    bagging: float = Field(0.8, gt=0, le=1, description="fraction of the rows, drawn anew for each tree")
    patience: int | None = Field(50, ge=1, description="trees without a better validation loss that end it; null: none")

    def fit(self, train: Dataset, valid: Dataset, run: Run) -> State:
        """Grow the trees.

        Raises:
            DataError: one class only, no rows, or patience without validation rows.
        """
        table, held_out = self.training_table(train), self.table(valid)
        if self.patience is not None and not len(held_out.values):
            raise DataError("patience needs validation rows", fix="Set data.split, or patience to null.")
        booster = self._grow(table, held_out, run)
        return {STATE: array_of_text(booster.model_to_string(num_iteration=booster.best_iteration))}

    def _grow(self, table: Table, held_out: Table, run: Run) -> Booster:
        import lightgbm

        names = [f"x{k}" for k in range(len(self.inputs))]  # LightGBM forbids brackets in names
        data = lightgbm.Dataset(table.values, table.is_signal, weight=table.weight, feature_name=names)
        sets = {"train": data}
        if len(held_out.values):
            sets["valid"] = data.create_valid(held_out.values, held_out.is_signal, weight=held_out.weight)
        log = _Log(run)
        callbacks: list[Any] = [log]
        if self.patience is not None:
            callbacks.append(lightgbm.early_stopping(self.patience, verbose=False))
        run.progress.start("growing trees", self.rounds, "trees")
        try:
            booster = lightgbm.train(
                self._parameters(run), data, self.rounds, list(sets.values()), list(sets), callbacks=callbacks
            )
        finally:
            run.progress.stop()
        log.write()
        run.logger.info("%d trees", booster.best_iteration if booster.best_iteration > 0 else booster.num_trees())
        return booster

    def _parameters(self, run: Run) -> dict[str, Any]:
        return {
            "objective": "binary",
            "metric": "binary_logloss",
            "learning_rate": self.learning_rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": self.jets_per_leaf,
            "num_threads": run.threads,
            "seed": run.seed % 2**31,
            "bagging_fraction": self.bagging,
            "bagging_freq": 1,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }

    def predict(self, state: State, sample: Sample, run: Run) -> Predictions:
        """``score``: (n_rows,) float64 in [0, 1]."""
        import lightgbm

        try:
            booster = lightgbm.Booster(model_str=text_of_array(state[STATE]))
        except (KeyError, UnicodeDecodeError, lightgbm.basic.LightGBMError) as error:
            raise DataError(f"the state holds no trees ({error})", fix="Train again.") from error
        if booster.num_feature() != len(self.inputs):
            raise DataError(f"trees on {booster.num_feature()} inputs", needed=f"{len(self.inputs)}: {self.inputs}")
        if not len(sample):
            return {"score": np.zeros(0)}
        return {"score": np.asarray(booster.predict(self.values(sample), num_threads=run.threads))}


class _Log:
    """Follows LightGBM: progress, and the losses after each tree for ``log.csv``."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.rows: list[dict[str, float]] = []

    def __call__(self, round_: CallbackEnv) -> None:
        losses = {f"{name}_loss": value for name, _, value, _ in round_.evaluation_result_list}
        self.rows.append({"trees": round_.iteration + 1, **losses})
        self.run.progress.advance(1, f"loss {losses['train_loss']:.4f}")

    def write(self) -> None:
        with writing(self.run.folder / "log.csv") as temporary, temporary.open("w", newline="") as file:
            rows = csv.DictWriter(file, list(self.rows[0]), lineterminator="\n")
            rows.writeheader()
            rows.writerows(self.rows)
