"""The Frechet distance between two samples, as it would be with infinitely many rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Batches = NDArray[np.bool_]
"""(batches, blocks) which blocks are in each batch."""


LEAST = 4
"""Rows of a batch for each feature: with fewer, what is expected of N rows is no line in 1 / N."""


@dataclass(frozen=True)
class Moments:
    """Sums over the rows of each block.

    Args:
        weight: (blocks,) sum of the weights.
        squares: (blocks,) sum of their squares.
        first: (blocks, features) sum of weight times value.
        second: (blocks, features, features) sum of weight times the product of two values.
    """

    weight: Floats
    squares: Floats
    first: Floats
    second: Floats

    @classmethod
    def of(cls, values: Floats, weights: Floats, block: NDArray[np.int64], blocks: int) -> Moments:
        """Sum up.

        Args:
            values: (n, features).
            weights: (n,).
            block: (n,) which block each row is in.
            blocks: how many there are.
        """
        parts = [np.flatnonzero(block == k) for k in range(blocks)]
        weighted = values * weights[:, None]
        return cls(
            np.array([weights[rows].sum() for rows in parts]),
            np.array([np.sum(weights[rows] ** 2) for rows in parts]),
            np.array([weighted[rows].sum(axis=0) for rows in parts]),
            np.array([weighted[rows].T @ values[rows] for rows in parts]),
        )

    def __getitem__(self, some: slice) -> Moments:
        return Moments(self.weight[some], self.squares[some], self.first[some], self.second[some])

    def rows(self, batches: Batches) -> Floats:
        """(batches,) effective number of rows, (sum w)^2 / sum w^2."""
        squares = batches @ self.squares
        return np.divide((batches @ self.weight) ** 2, squares, out=np.zeros(len(batches)), where=squares > 0)

    def gaussians(self, batches: Batches) -> tuple[Floats, Floats]:
        """(batches, features) means and (batches, features, features) unbiased covariances."""
        weight = batches @ self.weight
        mean = batches @ self.first / weight[:, None]
        second = np.einsum("gb,bij->gij", batches.astype(np.float64), self.second) / weight[:, None, None]
        covariance = second - mean[:, :, None] * mean[:, None, :]
        return mean, covariance / (1 - 1 / self.rows(batches))[:, None, None]


def frechet(first: tuple[Floats, Floats], second: tuple[Floats, Floats]) -> Floats:
    """|mu_1 - mu_2|^2 + Tr(S_1 + S_2 - 2 (S_1 S_2)^(1/2)), for pairs of Gaussians.

    The eigenvalues of S_1 S_2 are those of the symmetric S_1^(1/2) S_2 S_1^(1/2).

    Args:
        first: (pairs, features) means, (pairs, features, features) covariances.
        second: the same.
    """
    (mean_1, cov_1), (mean_2, cov_2) = first, second
    values, vectors = np.linalg.eigh(cov_1)
    root = vectors * np.sqrt(np.maximum(values, 0))[:, None, :] @ np.swapaxes(vectors, 1, 2)
    overlap = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_2 @ root), 0)).sum(axis=1)
    traces = np.trace(cov_1 + cov_2, axis1=1, axis2=2)
    return np.asarray(np.sum((mean_1 - mean_2) ** 2, axis=1) + traces - 2 * overlap)


def extrapolated(first: Moments, second: Moments) -> tuple[float, float] | None:
    """The distance for infinitely many rows, and its error.

    Finite samples differ by chance, by an amount that falls as 1 / N.  The distance is taken between batches of some
    blocks of each sample, from few rows to all of them, each block in one batch of each size, and a line in 1 / N is
    carried on to zero (M. Chong, D. Forsyth, arXiv:1911.07023).  The error is the jackknife's over the blocks:
    right for distances well above zero, up to twice too large at zero.

    Args:
        first: of one sample.
        second: of another one with as many blocks.

    Returns:
        None where the rows do not make batches of two sizes, each with :data:`LEAST` times as many rows as features.
    """
    blocks = len(first.weight)
    batches = _batches(blocks)
    rows = np.minimum(first.rows(batches), second.rows(batches))
    batches = batches[rows >= LEAST * first.first.shape[1]]
    if len(set(batches.sum(axis=1))) < 2:
        return None
    left_out = [_intercept(first, second, batches & (np.arange(blocks) != k)) for k in range(blocks)]
    error = np.sqrt((blocks - 1) / blocks * np.sum((np.array(left_out) - np.mean(left_out)) ** 2))
    return _intercept(first, second, batches), float(error)


def _intercept(first: Moments, second: Moments, batches: Batches) -> float:
    """At 1 / N = 0, of the line through the distances of all batches; each size counts the same."""
    batches = batches[batches.any(axis=1)]
    inverse = (1 / first.rows(batches) + 1 / second.rows(batches)) / 2
    found = frechet(first.gaussians(batches), second.gaussians(batches))
    return float(np.polyfit(inverse, found, 1, w=np.sqrt(batches.sum(axis=1)))[1])


def _batches(blocks: int) -> Batches:
    """Each number that divides the blocks is the size of as many batches as hold them all."""
    sizes = [size for size in range(1, blocks + 1) if blocks % size == 0]
    return np.concatenate([np.kron(np.eye(blocks // size), np.ones(size)).astype(bool) for size in sizes])
