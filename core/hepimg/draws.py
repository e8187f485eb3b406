"""Draws: the mean of predictions over several draws of the random steps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Predictions
from hepimg.images import SparseImages


class Mean:
    """The mean of predictions over the draws of the random steps, in double precision."""

    def __init__(self) -> None:
        self._sums: dict[str, NDArray[Any]] = {}
        self._kinds: dict[str, np.dtype[Any]] = {}
        self._images: dict[str, SparseImages] = {}
        self._draws = 0

    def add(self, said: Predictions) -> None:
        """Take in one draw."""
        self._draws += 1
        for name, values in said.items():
            if isinstance(values, SparseImages):
                if self._draws > 1:
                    raise ValueError("test_draws averages columns; images have no mean over draws")
                self._images[name] = values
                continue
            array = np.asarray(values)
            self._kinds[name] = array.dtype
            self._sums[name] = self._sums.get(name, 0) + array.astype(np.float64)

    def result(self) -> tuple[dict[str, NDArray[Any]], dict[str, SparseImages]]:
        """Mean columns, and the images."""
        means = {name: (total / self._draws).astype(self._kinds[name]) for name, total in self._sums.items()}
        return means, self._images
