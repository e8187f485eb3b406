"""Steering: hundreds of small decisions bring about one mass together.

True jets move towards the peaks of the mass when they are sharpened, and no site can bring this about alone: where the
peak is narrow it has to know what the others have done, and how much is left to do.  So in each stage the network names
for each image by how much the logarithm of its second moment should grow, and within what variance, and tells each site
how much of that is still missing after the decisions before it.  The aim is learned from the likelihood of the sites
alone: whatever helps to say what they do.

To first order, children whose centroid lies off the middle by d = |o| c let the logarithm grow by lever . c, with
lever = 2 z |o| (x - sum_D z d) / J_D.  Were what the sites after it do Gaussian, with variance V together with the
aim's, the logarithm of the likelihood of c would be

    pull . c - (lever . c)^2 / 2V + constant,    pull = missing lever / V,

so each site is told what is missing, its lever, and asinh of its pull and of |lever|^2 / V, which may be large.
"""

import torch
from torch import Tensor, nn

from hepimg.expansion.bodies import SITES
from hepimg.expansion.course import Course
from hepimg.expansion.shares import LEAST
from hepimg.sparse.reduce import sum_over
from hepimg.sparse.tensor import SparseTensor

HIDDEN = 96
"""Features in the hidden layers that name the aim."""

WAVES = 6
"""Waves in which the logarithm of the mass is told: periods from 2 to 1/16, so that 1 % can be seen."""

NARROWEST, WIDEST = -4.0, 4.0
"""Range of the logarithm of an aim's width."""

SCALE = 10.0
"""Brings growths of the logarithm to the size of one."""

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
        self.aims = nn.Sequential(
            nn.Linear(2 * channels + 2 * WAVES + 2, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Linear(HIDDEN, 2),
        )
        self.steer = nn.Linear(TOLD, channels, bias=False)

    def aim(self, tensor: SparseTensor, course: Course) -> Tensor:
        """(n_images, 2) float32 growth of the logarithm of the second moment that each image aims at, and its variance.

        Args:
            tensor: features of the sites.
            course: of the same sites.
        """
        images = tensor.support.images
        said = self.say(tensor.features).relu_()
        weight = (course.leeway / course.leeway_of_all[course.image]).to(said.dtype)
        mass = course.total.clamp(min=LEAST).log() + course.start.log() / 2
        phases = mass[:, None] * torch.pi * 2.0 ** torch.arange(WAVES, device=mass.device)
        # What random decisions change is the unit of the aim; those of a blank image, nothing.
        random = (course.leeway_of_all.sqrt() / course.start).clamp(min=1e-3)
        numbers = torch.cat([phases.sin(), phases.cos(), mass[:, None], random.log()[:, None]], 1)
        sums = [sum_over(said, images) / SITES, sum_over(said * weight[:, None], images)]
        growth, width = self.aims(torch.cat([*sums, numbers.to(said.dtype)], 1)).float().unbind(1)
        unit = random.float()
        return torch.stack([growth * unit, (width.clamp(NARROWEST, WIDEST).exp() * unit).square()], 1)

    def forward(self, aim: Tensor, course: Course, done: Tensor, sites: Tensor | slice = slice(None)) -> Tensor:
        """(n, channels) what some sites are told.

        Args:
            aim: (n_images, 2).
            course: of all sites.
            done: (n, 5) sums of the moves that were made before, in the image of each.
            sites: which; all by default.
        """
        image = course.image[sites]
        now = course.now(done, image)
        undecided = (course.leeway_of_all[image] - done[:, 3] - course.leeway[sites]).clamp(min=0) / now.square()
        step = 2 * course.size.sqrt() * course.fraction[sites] / now
        lever = (step[:, None] * (course.place[sites] - done[:, 1:3])).float()
        growth, variance = aim.index_select(0, image).unbind(1)
        missing = (growth - (now / course.start[image]).log().float())[:, None]
        variance = (variance + undecided.float())[:, None]
        pull = torch.asinh(missing * lever / variance)
        stiffness = torch.asinh(lever.square().sum(1, keepdim=True) / variance)
        told: Tensor = self.steer(torch.cat([SCALE * missing, SCALE * lever, pull, stiffness], 1))
        return told
