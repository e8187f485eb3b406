"""Steering: hundreds of small decisions bring about one mass together.

True jets move towards the peaks of the mass when they are sharpened, and no site can bring this about alone: where the
peak is narrow it has to know what the others have done, and how much is left to do.  So the network names an aim for
each image, the growth of its second moment, and a width, and tells each site how far the decisions before it have come.
The aim is learned from the likelihood of the sites alone: whatever helps to say what they do.
"""

import torch
from torch import Tensor, nn

from hepimg.expansion.course import Course
from hepimg.expansion.shares import LEAST
from hepimg.sparse.reduce import sum_over
from hepimg.sparse.tensor import SparseTensor

HIDDEN = 96
"""Features in the hidden layers that name the aim."""

WAVES = 6
"""Waves in which the logarithm of the mass is told: periods from 2 to 1/16, so that 1 % can be seen."""

SITES = 20.0
"""Active cells of a jet, roughly: brings a sum over them to the size of one."""

SCALE = 10.0
"""Brings growths of the second moment to the size of one."""

TOLD = 6
"""Numbers that a site is told."""


class Steering(nn.Module):
    """What each site is told of the second moment of its image.

    Args:
        channels: features per site.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.say = nn.Linear(channels, channels)
        self.name = nn.Sequential(
            nn.Linear(2 * channels + 2 * WAVES + 2, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Linear(HIDDEN, 2),
        )
        self.steer = nn.Linear(TOLD, channels, bias=False)

    def aim(self, tensor: SparseTensor, course: Course) -> Tensor:
        """(n_images, 2) growth of the logarithm of the second moment that each image aims at, and its variance.

        Args:
            tensor: features of the sites.
            course: of the same sites.
        """
        images = tensor.support.images
        said = self.say(tensor.features).relu_()
        weight = (course.levers / course.leverage.clamp(min=LEAST)[course.image]).to(said.dtype)
        mass = course.energy.clamp(min=LEAST).log() + course.moment.log() / 2
        phases = mass[:, None] * torch.pi * 2.0 ** torch.arange(WAVES, device=mass.device)
        reach = (course.leverage.sqrt() / (course.moment + course.size)).clamp(min=1e-3)
        numbers = torch.cat([phases.sin(), phases.cos(), mass[:, None], reach.log()[:, None]], 1)
        sums = [sum_over(said, images) / SITES, sum_over(said * weight[:, None], images)]
        growth, width = self.name(torch.cat([*sums, numbers.to(said.dtype)], 1)).unbind(1)
        reach = reach.to(said.dtype)  # what the sites of an image can do together is the unit
        return torch.stack([growth * reach, (width.clamp(-4, 4).exp() * reach).square()], 1)

    def forward(self, aim: Tensor, course: Course, moves: Tensor, sites: Tensor | slice = slice(None)) -> Tensor:
        """(n, channels) what some sites are told: the growth that is needed yet, how much each can do, and their ratio.

        Args:
            aim: (n_images, 2).
            course: of all sites.
            moves: (n, 4) sums of those that were made in each one's image before.
            sites: which; all by default.
        """
        image = course.image[sites]
        start = course.moment[image] + course.size
        step = 2 * course.size.sqrt() * course.fraction[sites] / start
        lever = (step[:, None] * (course.place[sites] - moves[:, 1:3])).to(aim.dtype)
        later = (course.leverage[image] - moves[:, 3] - course.levers[sites]).clamp(min=0) / start.square()
        growth, variance = aim.index_select(0, image).chunk(2, 1)
        need = growth - course.growth(moves, image)[:, None].to(aim.dtype)
        variance = variance + later[:, None].to(aim.dtype)
        pull = torch.asinh(need * lever / variance)
        stiffness = torch.asinh(lever.square().sum(1, keepdim=True) / variance)
        steered: Tensor = self.steer(torch.cat([SCALE * need, SCALE * lever, pull, stiffness], 1))
        return steered
