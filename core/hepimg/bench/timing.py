"""Times of several works taken in turn, A B A B, so that whatever else the machine does falls on all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepimg.process import keep_freed_memory, use_threads

Work = Callable[[], object]

TURN = 0.1
"""Seconds after which a turn of a quick work ends."""

LEAST_CALLS, CALLS = 2, 5
"""Calls in a turn: the quickest counts, so not the first, for which another work has emptied the caches."""


@dataclass(frozen=True)
class Timings:
    """Seconds of each work in each round.

    Args:
        seconds: name -> (n_rounds,) seconds of one call.
    """

    seconds: Mapping[str, NDArray[np.float64]]

    def __contains__(self, name: str) -> bool:
        return name in self.seconds

    def median(self, name: str) -> float:
        """Median of the rounds, in seconds."""
        return float(np.median(self.seconds[name]))

    def quartiles(self, name: str) -> tuple[float, float]:
        """Between which the middle half of the rounds lies, in seconds."""
        low, high = np.percentile(self.seconds[name], [25, 75])
        return float(low), float(high)

    def ratio(self, name: str, to: str) -> float:
        """How much longer ``name`` takes than ``to``: the median over rounds of the ratio within a round."""
        return float(np.median(self.seconds[name] / self.seconds[to]))

    def best(self, *names: str) -> str:
        """The work with the lowest median."""
        return min(names, key=self.median)


def take_turns(works: Mapping[str, Work], rounds: int, threads: Mapping[str, int] | None = None) -> Timings:
    """Time works in turn; each is called twice before, which does not count (compilation, first pages of memory).

    Args:
        works: name -> what to call.
        rounds: how often each has its turn of two to five calls; the quickest of these is the time of the round.
        threads: name -> threads to use in its turn; None: as they are set, in all of them.
    """
    keep_freed_memory()  # in training it is kept as well; for all works alike
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            if threads is not None:
                use_threads(threads[name])
            if number:
                seconds[name].append(_turn(work))
            else:
                work()
                work()
    return Timings({name: np.array(times) for name, times in seconds.items()})


def _turn(work: Work) -> float:
    calls: list[float] = []
    while len(calls) < LEAST_CALLS or (len(calls) < CALLS and sum(calls) < TURN):
        started = time.perf_counter()
        work()
        calls.append(time.perf_counter() - started)
    return min(calls)
