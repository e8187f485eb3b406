"""The task ``fisher``: Fisher's linear discriminant."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Field, Predictions, Run, State
from hepimg.dataset import Dataset
from hepimg.errors import DataError
from hepimg.sample import Sample
from hepimg_tagging.table import OnObservables


class Fisher(OnObservables):
    """The direction along which signal and background are the most standard deviations apart, in closed form.

    With standardised observables: w = ((1 - s) S + s 1)^-1 (m_signal - m_background), where m are the means, S the mean
    of the two classes' covariances, and s the shrinkage (Fisher, Annals of Eugenics 7 (1936) 179).  The score is the
    projection on w, 0 halfway between the means, in units in which the classes' mean standard deviation is 1.
    """

    name: ClassVar[str] = "fisher"

    shrinkage: float = Field(1e-6, ge=0, le=1, description="from the covariance, 0, to independent observables, 1")

    def fit(self, train: Dataset, valid: Dataset, run: Run) -> State:
        """Solve for the direction.

        Raises:
            DataError: one class only, no rows, an observable that is not finite, or linearly dependent observables.
        """
        table = self.training_table(train)
        self._refuse_gaps(table.values)
        mean = table.values.mean(axis=0)
        width = table.values.std(axis=0)
        # A constant observable tells nothing; 1 keeps it at 0.
        width = np.where(width > 1e-12 * np.abs(mean), width, 1.0)
        x = (table.values - mean) / width
        signal = _moments(x[table.is_signal], table.weight[table.is_signal])
        background = _moments(x[~table.is_signal], table.weight[~table.is_signal])
        covariance = (1 - self.shrinkage) * (signal[1] + background[1]) / 2 + self.shrinkage * np.eye(x.shape[1])
        try:
            direction = np.linalg.solve(covariance, signal[0] - background[0])
        except np.linalg.LinAlgError as error:
            raise DataError("the observables depend on each other linearly", fix="Set shrinkage above 0.") from error
        spread = float(np.sqrt(direction @ covariance @ direction))
        direction = direction / (spread or 1.0)
        shown = ", ".join(f"{name} {part:+.3g}" for name, part in zip(self.inputs, direction, strict=True))
        run.logger.info("direction: %s", shown)
        middle = direction @ (signal[0] + background[0]) / 2
        return {"mean": mean, "width": width, "direction": direction, "middle": np.asarray(middle)}

    def predict(self, state: State, sample: Sample, run: Run) -> Predictions:
        """``score``: (n_rows,) float64.

        Raises:
            DataError: an observable is not finite.
        """
        values = self.values(sample)
        self._refuse_gaps(values)
        return {"score": (values - state["mean"]) / state["width"] @ state["direction"] - state["middle"]}

    def _refuse_gaps(self, values: NDArray[np.float64]) -> None:
        gaps = ~np.isfinite(values)
        if gaps.any():
            k = int(np.argmax(gaps.any(axis=0)))
            raise DataError(
                f"{self.inputs[k]} is not finite for {gaps[:, k].sum()} of {len(values)} jets",
                where=f"row {np.argmax(gaps[:, k])}",
                fix="Leave it out, or use the task trees, which takes gaps.",
            )


def _moments(x: NDArray[np.float64], weight: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted mean (n,) and covariance (n, n)."""
    if not weight.sum() > 0:
        raise DataError("the weights of a class do not add up to a positive number")
    mean = np.average(x, axis=0, weights=weight)
    centred = x - mean
    return mean, (centred * weight[:, None]).T @ centred / weight.sum()
