"""The jets of one class, or of all, what is seen of them in one image, and how a number gets its error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Estimate
from hepimg.images import SparseImages
from hepimg.observables import compute, parse
from hepimg.sample import Sample
from hepimg_metrics.bootstrap import halves, spread

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Jets:
    """The test rows of one class, or of all, and how much each of them counts.

    Args:
        label: name of the class.
        rows: the rows.
        every: (1 + replicas, n) weights: first the rows' own, then those of each replica of the bootstrap.
    """

    label: str
    rows: Sample
    every: Floats

    def __len__(self) -> int:
        return len(self.rows)

    def halves(self, number: int, seed: int) -> NDArray[np.bool_]:
        """(number, n) which jets are in the first of two random halves; (0, n) where there are none."""
        found = list(halves(self.rows.column("sample"), self.rows.column("event"), number, seed))
        return np.array(found, bool).reshape(-1, len(self))

    def estimate(self, values: Floats, unit: str = "") -> Estimate | None:
        """A number with its error.

        Args:
            values: (1 + replicas,) the number, then what each replica gives; the error is their standard deviation.
            unit: of the number.

        Returns:
            None where the number does not exist (a ratio to nothing); replicas in which it does not are left out.
        """
        if not np.isfinite(values[0]):
            return None
        return Estimate(float(values[0]), spread(values[1:]), len(self), unit=unit)

    def ratio(self, above: Floats, below: Floats) -> Estimate | None:
        """The sum over the jets of ``above`` (n,) divided by that of ``below`` (n,)."""
        return self.estimate(quotient(self.every @ above, self.every @ below))


def quotient(above: Floats, below: Floats) -> Floats:
    """``above / below``, not-a-number where that is a division by zero."""
    result = np.full(np.broadcast(above, below).shape, np.nan)
    np.divide(above, below, out=result, where=below != 0)
    return result


def known(numbers: Mapping[str, Estimate | None]) -> dict[str, Estimate]:
    """The numbers that exist."""
    return {name: number for name, number in numbers.items() if number is not None}


@dataclass(frozen=True)
class Seen:
    """One image of the jets of a class, with the observables of its pixels.

    Args:
        images: n of them; the first channel is looked at.
        values: observable -> (n,).
    """

    images: SparseImages
    values: Mapping[str, Floats]

    @classmethod
    def of(cls, images: SparseImages, names: Sequence[str]) -> Seen:
        """Compute the observables."""
        return cls(images, compute(names, images.particles(images.channels[0].name)))

    @property
    def energy(self) -> Floats:
        """(n_active,) values of the first channel."""
        return self.images.values[:, 0].astype(np.float64)

    def unit(self, name: str) -> str:
        """Unit of an observable; where the cells hold something else than pT in GeV, theirs instead."""
        unit = parse(name).unit
        return self.images.channels[0].unit if unit == "GeV" else unit
