"""The classes that a generator is asked for: which it has learned, and which of them each row is of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hepimg.components import State
from hepimg.errors import DataError

if TYPE_CHECKING:
    from hepimg.dataset import Dataset
    from hepimg.sample import Sample

CLASSES = "classes"
"""Entry of a state: the names of the classes that were learned, one a line."""


def classes_in(train: Dataset) -> list[str]:
    """The names of the samples that there are rows of, in the order of the dataset."""
    return [train.classes[k] for k in dict.fromkeys(part.sample for part in train.parts)]


def one_hot(sample: Sample, classes: Sequence[str], where: str) -> NDArray[np.float32]:
    """(n_rows, n_classes) one for the class of the row, zero for the others.

    Args:
        sample: the rows.
        classes: those that were learned.
        where: the task that asks.

    Raises:
        DataError: a row is of another class.
    """
    known: NDArray[np.float32] = np.stack(
        [sample.is_from(name) if name in sample.classes else np.zeros(len(sample), bool) for name in classes], axis=1
    ).astype(np.float32)
    if len(known) and not known.any(axis=1).all():
        raise DataError(f"rows of a class that was not learned; learned: {', '.join(classes)}", where=where)
    return known


def with_classes(classes: Sequence[str], state: State) -> State:
    """A state that knows its classes."""
    from hepimg.training.state import array_of_text

    return {CLASSES: array_of_text("\n".join(classes)), **state}


def split_classes(state: State) -> tuple[list[str], State]:
    """The classes, and the state without them: the inverse of :func:`with_classes`."""
    from hepimg.training.state import text_of_array

    rest = {name: array for name, array in state.items() if name != CLASSES}
    return text_of_array(state[CLASSES]).split("\n"), rest
