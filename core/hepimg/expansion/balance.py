"""Balance: the centroid of a jet that was centred on its axis is the middle of its image.

Fine cells show it, coarse ones only to within a cell, so that it is brought about stage by stage, by all decisions
together.  Each site is told how far the decisions before it have left the centroid from the middle, and what it can do
about it.  With centroid c and children whose centroid lies off the middle of site i by d, what is missing is

    missing = -(c + sum_D z d),

and were what the sites after it and all finer levels do Gaussian, with the variance V of children drawn with equal
chances along each axis, the logarithm of the likelihood of d = |o| e would be

    pull . e - lever^2 |e|^2 / 2V + constant,    lever = z |o|,    pull = missing lever / V.

Symbols are those of :mod:`hepimg.expansion.course`.
"""

import torch
from torch import Tensor, nn

from hepimg.expansion.course import Course

FINER = 1 / 3
"""What all finer levels move, over what this one does, in variance: 1/4 + 1/16 + ..."""

SCALE = 10.0
"""Brings distances from the middle to the size of one."""

TOLD = 5
"""Numbers that a site is told."""


class Balance(nn.Module):
    """What each site is told of the centroid of its image.

    Args:
        channels: features per site.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.tell = nn.Linear(TOLD, channels, bias=False)

    def forward(self, course: Course, done: Tensor, sites: Tensor | slice = slice(None)) -> Tensor:
        """(n, channels) what some sites are told.

        Args:
            course: of all sites.
            done: (n, 5) sums of the moves that were made before, in the image of each.
            sites: which; all by default.
        """
        image, z = course.image[sites], course.fraction[sites, None]
        missing = -(course.centroid[image] + done[:, 1:3])
        squares = course.squares[image, None]
        undecided = (squares - done[:, 4:] - z.square()).clamp(min=0) + FINER * squares
        variance = undecided * course.size / 2
        lever = z * course.size.sqrt()
        pull = torch.asinh(missing * lever / variance)
        stiffness = torch.asinh(lever.square() / variance)
        told: Tensor = self.tell(torch.cat([SCALE * missing, pull, stiffness], 1).float())
        return told
