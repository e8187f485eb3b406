"""What metrics that look at test rows class by class have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from hepimg.errors import DataError
from hepimg.sample import Sample


def rows_of_classes(test: Sample, metric: str) -> dict[str, NDArray[np.bool_]]:
    """(n_rows,) which test rows are of each class, for the classes that have any.

    Raises:
        DataError: there are no test rows, or those of a class have no weight.
    """
    rows = {name: test.is_from(name) for name in test.classes}
    rows = {name: chosen for name, chosen in rows.items() if chosen.any()}
    if not rows:
        raise DataError("no test rows", where=f"metric {metric}", fix="Raise data.rows.")
    for name, chosen in rows.items():
        if not test.column("weight")[chosen].sum() > 0:
            raise DataError(
                f"test rows of {name} without weight", where=f"metric {metric}", needed="weights with a positive sum"
            )
    return rows


def rows_against(test: Sample, signal: str, background: Sequence[str], metric: str) -> Sample:
    """The test rows of a signal and its backgrounds; none named: all other classes.

    Raises:
        DataError: those of either have no weight.
    """
    backgrounds = background or [name for name in test.classes if name != signal]
    wanted = np.logical_or.reduce([test.is_from(name) for name in (signal, *backgrounds)])
    rows = test[np.flatnonzero(wanted)]
    is_signal = rows.is_from(signal)
    for name, chosen in ((signal, is_signal), (" + ".join(backgrounds) or "background", ~is_signal)):
        if not rows.column("weight")[chosen].sum() > 0:
            raise DataError(
                f"no test rows of {name}",
                where=f"metric {metric}",
                needed="weights with a positive sum",
                fix="Raise data.rows.",
            )
    return rows


def check_finite(test: Sample, columns: Iterable[str], metric: str) -> None:
    """Raise DataError where a column that a metric reads is not finite, or has several numbers for each row."""
    for name in columns:
        if test.column(name).ndim != 1:
            raise DataError(f"{name} has several numbers for each row", where=f"metric {metric}", needed="one")
        missing = int(np.sum(~np.isfinite(test.column(name))))
        if missing:
            raise DataError(f"{name} is not finite for {missing} of {len(test)} test rows", where=f"metric {metric}")


def undotted(name: str) -> str:
    """A name within a number's name, where a dot outside brackets would end the task's part.

    >>> undotted("tag[strength=0.1].score")
    'tag[strength=0.1]_score'
    """
    return re.sub(r"\.(?![^\[]*\])", "_", name)
