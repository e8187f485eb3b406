"""The task ``anomaly``: one score of several losses and distances, by how rare each is among ordinary jets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from hepimg.components import Column, Field, Options, Port, Ports, Predictions, Run, State, Task
from hepimg.errors import DataError

if TYPE_CHECKING:
    from hepimg.dataset import Dataset
    from hepimg.sample import Sample

Floats = NDArray[np.float64]

ROUNDING = 1e-9
"""Spread, relative to the mean, of a column that is the same for all rows."""

TINY = 1e-12
"""What a logarithm is taken of instead of less."""

NAMES = ("scale", "fitted", "median", "rows", "unusual", "above")
"""What is learned of each part."""

MOST_TERMS = 0.1
"""Of a fit: so many terms for each row, at most."""


class Part(Options):
    """One loss, distance or column, and what is unusual in it."""

    of: str = Field(description="prediction or column, positive: pca.loss, near.distance, mass ...")
    log: bool = Field(True, description="whether its logarithm is taken; false: it is one, as a likelihood's loss is")
    side: Literal["high", "low", "both"] = Field(
        "high", description="what is unusual: high values; low ones; or both, by the distance from the median logarithm"
    )
    given: tuple[str, ...] = Field(
        (),
        description="columns that say how complex a jet is: the logarithm is taken relative to a quadratic of theirs, "
        "so that a simple jet is not ordinary only because it is simple",
    )


class Anomaly(Task):
    """Says how unusual a jet is: -sum of ln p over the parts, where p is the share of ordinary jets as unusual.

    Fisher's combination (Statistical Methods for Research Workers, 1932, section 21.1); the parts are not independent,
    so that only the order of the scores has a meaning.  Ordinary are the *validation* rows of the samples in ``train``,
    which the parts' own tasks have not learned from.
    """

    name: ClassVar[str] = "anomaly"
    needs_validation: ClassVar[bool] = True

    parts: tuple[Part, ...] = Field(min_length=1, description="what is combined")

    @model_validator(mode="after")
    def _check(self) -> Anomaly:
        if len(set(self.parts)) < len(self.parts):
            raise ValueError("a part stands twice")
        return self

    def reads(self) -> Sequence[Port]:
        """The columns of all parts."""
        return [Column(name) for name in dict.fromkeys(name for part in self.parts for name in (part.of, *part.given))]

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The score."""
        return (Column("score"),)

    def fit(self, train: Dataset, valid: Dataset, run: Run) -> State:
        """Learn what is ordinary from the validation rows.

        Raises:
            DataError: there are none, or too few for the columns of ``given``; negative weights.
        """
        if not len(valid):
            raise DataError(
                "no validation rows, which say what is ordinary",
                where="anomaly",
                fix="Give validation a part in data.split.",
            )
        sample = valid.resting().load([port.name for port in self.reads()])
        weight = sample.column("weight").astype(np.float64)
        if weight.min() < 0 or not weight.sum() > 0:
            raise DataError("validation rows with negative weights, or with none", where="anomaly")
        state: dict[str, NDArray[np.float64]] = {}
        for k, part in enumerate(self.parts):
            state |= {f"{k}.{name}": array for name, array in _learned(part, sample, weight).items()}
        return state

    def predict(self, state: State, sample: Sample, run: Run) -> Predictions:
        """``score``: (n_rows,) float64, 0 for the most ordinary."""
        score = np.zeros(len(sample))
        for k, part in enumerate(self.parts):
            learned = {name: np.asarray(state[f"{k}.{name}"]) for name in NAMES}
            terms, _ = _terms(part, sample, learned["scale"])
            rest = _values(part, sample) - terms @ learned["fitted"] - learned["median"]
            place = np.searchsorted(learned["unusual"], _unusual(part, rest))
            share = np.append(learned["above"], 0.0)[place]
            # The row itself counts as one of the ordinary: the share is never 0.
            score -= np.log((learned["rows"] * share + 1) / (learned["rows"] + 1))
        return {"score": score}


def _learned(part: Part, sample: Sample, weight: Floats) -> dict[str, Floats]:
    """What ordinary rows tell of one part.

    Raises:
        DataError: too few rows for the columns of ``given``, or a column that is not positive.
    """
    terms, scale = _terms(part, sample, None)
    count = int(np.sum(weight > 0))
    if terms.shape[1] > 1 + MOST_TERMS * count:
        raise DataError(f"{count} validation rows", where="anomaly", needed=f"more, to fit {part.given}")
    values, root = _values(part, sample), np.sqrt(weight)
    fitted = np.linalg.lstsq(terms * root[:, None], values * root, rcond=None)[0]
    rest = values - terms @ fitted
    median = _median(rest, weight)
    unusual = _unusual(part, rest - median)
    order = np.argsort(unusual)
    above = np.cumsum(weight[order][::-1])[::-1] / weight.sum()
    rows = weight.sum() ** 2 / np.square(weight).sum()  # as many rows of one weight know as much
    found = (scale, fitted, np.array([median]), np.array([rows]), unusual[order], above)
    return dict(zip(NAMES, found, strict=True))


def _values(part: Part, sample: Sample) -> Floats:
    """(n_rows,) the part's column, or its logarithm."""
    return _logarithm(sample, part.of) if part.log else _column(sample, part.of)


def _logarithm(sample: Sample, name: str) -> Floats:
    """(n_rows,) of a column.

    Raises:
        DataError: it is negative.
    """
    values = _column(sample, name)
    if (values < 0).any():
        raise DataError(
            f"{name} has negative values",
            where="anomaly",
            needed="positive numbers",
            fix="Set log: false where it is a logarithm already.",
        )
    return np.log(np.maximum(values, TINY))


def _column(sample: Sample, name: str) -> Floats:
    """(n_rows,) a column.

    Raises:
        DataError: it is not finite, or has more than one number for each row.
    """
    values = sample.column(name).astype(np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise DataError(f"{name} is not finite, or has several numbers for each jet", where="anomaly", needed="one")
    return values


def _terms(part: Part, sample: Sample, scale: Floats | None) -> tuple[Floats, Floats]:
    """(n_rows, n_terms) 1, the standardised logarithms of ``given``, their squares and products; (2, n) the scale."""
    columns = np.stack([np.zeros(len(sample)), *(_logarithm(sample, name) for name in part.given)], axis=1)[:, 1:]
    if scale is None:
        spread = columns.std(axis=0)
        mean = columns.mean(axis=0)
        scale = np.stack([mean, np.where(spread > ROUNDING * np.abs(mean), spread, 1.0)])
    x = (columns - scale[0]) / scale[1]
    n = x.shape[1]
    products = [x[:, i] * x[:, j] for i in range(n) for j in range(i, n)]
    return np.stack([np.ones(len(x)), *x.T, *products], axis=1), scale


def _unusual(part: Part, rest: Floats) -> Floats:
    """(n_rows,) what is large for unusual rows."""
    return {"high": rest, "low": -rest, "both": np.abs(rest)}[part.side]


def _median(values: Floats, weight: Floats) -> float:
    order = np.argsort(values)
    total = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])
