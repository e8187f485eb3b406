"""Shares: the energy of a cell divided among its active children by up to three binary splits.

First between the two rows of children, then within the upper row, then within the lower.  A split of the energy E
between n1 and n2 active children, each of which holds at least a threshold t and at most a ceiling c, is the number

    u = log((E1 - low) / (high - E1)) / SCALE,    low = max(n1 t, E - n2 c),    high = min(E - n2 t, n1 c),

which is free to take any value; and E1 + E2 = E whatever it is.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from hepimg.expansion.pyramid import CHILDREN

SCALE = 3.0
"""Brings u to the size of one."""

PATTERNS = 2**CHILDREN - 1
"""Ways to be active for the children of an active cell; pattern p has child k active where bit k of p + 1 is set."""

SPLITS = 3

MASKS = ((torch.arange(1, PATTERNS + 1)[:, None] >> torch.arange(CHILDREN)) & 1).bool()
"""(patterns, 4): which children are active."""

_BITS = torch.tensor([1, 2, 4, 8])
LEAST = 1e-25
"""GeV: what is left of a child whose share has been rounded to nothing."""

LOG_SCALE = 3.0
"""Brings the logarithm of an energy in GeV to the size of one."""


class Bounds(NamedTuple):
    """The least and the largest energy of an active cell."""

    threshold: float = 0.0
    ceiling: float = math.inf

    @property
    def least(self) -> float:
        """The least difference to a bound that is told from none."""
        scale = self.ceiling if math.isfinite(self.ceiling) else self.threshold
        return max(1e-6 * scale, LEAST)


class Sides(NamedTuple):
    """Active children on both sides of each split of each pattern: (patterns, 3) each."""

    first: Tensor
    second: Tensor


def _sides() -> Sides:
    count = MASKS.long()
    rows = count[:, :2].sum(1), count[:, 2:].sum(1)
    return Sides(
        torch.stack([rows[0], count[:, 0], count[:, 2]], 1), torch.stack([rows[1], count[:, 1], count[:, 3]], 1)
    )


SIDES = _sides()
IS_SPLIT = (SIDES.first > 0) & (SIDES.second > 0)
"""(patterns, 3): whether there is something on both sides."""


def pattern_of(children: Tensor) -> Tensor:
    """(n,) int64 patterns of (n, 4) energies of children."""
    return ((children > 0) * _BITS.to(children.device)).sum(1) - 1


def log_energy(energy: Tensor) -> Tensor:
    """The logarithm of an energy in GeV, in units of :data:`LOG_SCALE`."""
    return energy.clamp(min=LEAST).log() / LOG_SCALE


def split_energies(children: Tensor) -> Tensor:
    """(n, 3) the energy that each split divides, from (n, 4) energies of children."""
    rows = children.view(-1, 2, 2).sum(2)
    return torch.cat([rows.sum(1, keepdim=True), rows], 1)


def encode(children: Tensor, pattern: Tensor, bounds: Bounds) -> Tensor:
    """(n, 3) float64 values u of the splits; 0 where there is no split.

    Args:
        children: (n, 4) float64 energies.
        pattern: (n,) their patterns.
        bounds: of the energy of a child.
    """
    rows = children.view(-1, 2, 2).sum(2)
    first = torch.stack([rows[:, 0], children[:, 0], children[:, 2]], 1)
    second = torch.stack([rows[:, 1], children[:, 1], children[:, 3]], 1)
    threshold, ceiling = bounds
    counts = [side.to(pattern.device)[pattern] for side in SIDES]
    # Each is the distance to the nearer of two bounds: of this side's own children, or of those on the other.
    above = torch.minimum(first - counts[0] * threshold, counts[1] * ceiling - second).clamp(min=bounds.least)
    below = torch.minimum(second - counts[1] * threshold, counts[0] * ceiling - first).clamp(min=bounds.least)
    return torch.where(IS_SPLIT.to(pattern.device)[pattern], (above / below).log() / SCALE, 0.0)


def divide(energy: Tensor, u: Tensor, first: Tensor, second: Tensor, bounds: Bounds) -> tuple[Tensor, Tensor]:
    """Both sides of one split: the inverse of :func:`encode`.

    Args:
        energy: (n,) float64, what is divided.
        u: (n,) the split.
        first: (n,) active children on the first side; where there are none it gets nothing.
        second: (n,) those on the second.
        bounds: of the energy of a child; a cell with less than its children need, or more than they can hold, gives
            each the same.
    """
    threshold, ceiling = bounds
    mean = energy / (first + second).clamp(min=1)
    low, high = mean.clamp(max=threshold), mean.clamp(min=ceiling)
    free = (energy - (first + second) * low).clamp(min=0)
    room = torch.minimum(first, second) * (high - low), (first + second) * high - energy
    free = torch.minimum(free, torch.minimum(*room).clamp(min=0))
    one = torch.maximum(first * low, energy - second * high) + free * torch.sigmoid(u * SCALE)
    other = torch.maximum(second * low, energy - first * high) + free * torch.sigmoid(-u * SCALE)
    nothing = torch.zeros_like(energy)
    one = torch.where(second == 0, energy, one.clamp(min=LEAST))
    other = torch.where(first == 0, energy, other.clamp(min=LEAST))
    return torch.where(first > 0, one, nothing), torch.where(second > 0, other, nothing)
