"""Rows ranked by a score, and what passes a cut on it: exact for ties and for weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Passing:
    """The efficiencies of every possible cut, from none passing to all.

    Args:
        signal: (cuts + 1,) from 0 to 1.
        background: (cuts + 1,) from 0 to 1.
    """

    signal: Floats
    background: Floats

    @property
    def auc(self) -> float:
        """The area under the curve: the chance that signal scores above background, a tie counting half."""
        return float(np.sum(np.diff(self.background) * (self.signal[1:] + self.signal[:-1])) / 2)

    def cuts(self, efficiencies: Floats) -> NDArray[np.intp]:
        """(n,) the tightest cut that reaches each signal efficiency; rows with one score pass together."""
        # Running sums of negative weights may fall; the first cut that reaches an efficiency counts.
        reached = np.maximum.accumulate(self.signal)
        return np.minimum(np.searchsorted(reached, efficiencies - 1e-12), len(reached) - 1)

    def signal_at(self, background: Floats) -> Floats:
        """(n,) signal efficiency of the loosest cut that lets no more than each fraction of the background pass."""
        passed = np.maximum.accumulate(self.background)
        return self.signal[np.searchsorted(passed, background + 1e-12, side="right") - 1]


class Ranking:
    """The order of rows by descending score: sorted once, then used with many weights.

    Args:
        score: (n,) finite scores, high for signal.
        is_signal: (n,) which rows are signal; the others are background.
    """

    def __init__(self, score: Floats, is_signal: NDArray[np.bool_]) -> None:
        self.order = np.argsort(-score, kind="stable")
        self.is_signal = is_signal[self.order]
        ranked = score[self.order]
        self.last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)

    def passing(self, weights: Floats) -> Passing:
        """The efficiencies, with (n,) weights of the rows."""
        weights = weights[self.order]
        signal = np.cumsum(np.where(self.is_signal, weights, 0.0))[self.last]
        background = np.cumsum(np.where(self.is_signal, 0.0, weights))[self.last]
        return Passing(
            signal=np.concatenate([[0.0], signal / signal[-1]]),
            background=np.concatenate([[0.0], background / background[-1]]),
        )

    def background_rows(self, cuts: NDArray[np.intp]) -> NDArray[np.int64]:
        """(n,) how many background rows pass each cut, whatever their weights."""
        rows = np.concatenate([[0], np.cumsum(~self.is_signal)[self.last]])
        return np.asarray(rows[cuts], np.int64)
