"""Stage: one doubling of the resolution."""

import torch
from torch import Tensor, nn

from hepimg.expansion.balance import Balance
from hepimg.expansion.bodies import Body, State
from hepimg.expansion.course import Course
from hepimg.expansion.heads import Joined, PatternHead, ShareHead, choose
from hepimg.expansion.pyramid import CHILDREN, Level
from hepimg.expansion.shares import Bounds, pattern_of
from hepimg.expansion.steering import Steering
from hepimg.sparse.ordered import OrderedConv2d
from hepimg.sparse.tensor import SparseTensor

REVEALED = 5.0
"""Brings the logarithm of a fraction to the size of one."""


class Stage(nn.Module):
    """Says of each site which of its children are active and what share of its energy each gets.

    Sites are decided in an order, each knowing its neighbours' features, what became of those before it, and what all
    decisions before it have done to the second moment of its image, and to its centroid.

    Args:
        body: from what is known of the sites to ``channels`` features of each.
        channels: features per site.
        bounds: of the energy of an active cell, GeV.
        kernel: size of the neighbourhood whose decisions a site knows; 0: decisions are independent.
        centred: whether the middle of the images is where the centroid of the finest ones is.
    """

    def __init__(self, body: Body, channels: int, bounds: Bounds, kernel: int, centred: bool = False) -> None:
        super().__init__()
        self.body = body
        self.pattern = PatternHead(channels, bounds)
        self.shares = ShareHead(channels, bounds)
        self.is_ordered = kernel > 0
        if self.is_ordered:
            self.reveal = Joined(channels, 2 * CHILDREN, channels)
            self.earlier = OrderedConv2d(channels, channels, kernel, bias=False)
            self.steering = Steering(channels)
            self.balance = Balance(channels) if centred else None
            self.hear, self.mix = nn.Linear(channels, channels), nn.Linear(channels, channels)

    def forward(self, known: SparseTensor, coarser: State | None) -> tuple[SparseTensor, State]:
        """(n_sites, channels) features of the sites, and what the next stage expands.

        Args:
            known: what is known of the sites.
            coarser: what the stage before has left.
        """
        features, state = self.body(known, coarser)
        return known.replace(features), state

    def nll(self, tensor: SparseTensor, level: Level, course: Course, order: Tensor) -> Tensor:
        """(n_sites, 2) negative log-likelihood of the pattern and of the shares of each site.

        Args:
            tensor: features from :meth:`forward`.
            level: the sites with their true children.
            course: of the same sites.
            order: (n_sites,) when each site is decided.
        """
        pattern = pattern_of(level.children)
        features = tensor.features
        if self.is_ordered:
            told = tensor.replace(self._told(features, pattern, level.children, level.energy))
            done = course.done_before(course.moves(level.children), order)
            steered = self._steered(self.steering.aim(tensor, course), course, done)
            features = self._mixed(features, self.earlier(told, order).features + steered)
        chosen = self.pattern(features, level.energy).gather(1, pattern[:, None]).squeeze(1)
        return torch.stack([-chosen, self.shares.nll(features, pattern, level.children)], 1)

    @torch.no_grad()
    def sample(self, tensor: SparseTensor, level: Level, course: Course, order: Tensor, numbers: Tensor) -> Tensor:
        """(n_sites, 4) float64 energies of the children, drawn site by site in order.

        Args:
            tensor: features from :meth:`forward`.
            level: the sites.
            course: of the same sites.
            order: (n_sites,) when each site is decided.
            numbers: (n_sites, 7) float64 uniform random numbers.
        """
        if not self.is_ordered:
            return self._draw(tensor.features, level.energy, numbers)[1]
        told = torch.zeros_like(tensor.features)
        energy = level.energy
        children = energy.new_zeros(len(energy), CHILDREN)
        aim, done = self.steering.aim(tensor, course), course.nothing()
        for now in range(int(order.max()) + 1 if len(order) else 0):
            sites = (order == now).nonzero().squeeze(1)
            image = course.image[sites]
            heard = self.earlier(tensor.replace(told), order, now).features[sites]
            steered = self._steered(aim, course, done[image], sites)
            features = self._mixed(tensor.features[sites], heard + steered)
            pattern, children[sites] = self._draw(features, energy[sites], numbers[sites])
            told[sites] = self._told(tensor.features[sites], pattern, children[sites], energy[sites])
            done = done.index_add(0, image, course.moves(children[sites], sites))
        return children

    def _steered(self, aim: Tensor, course: Course, done: Tensor, sites: Tensor | slice = slice(None)) -> Tensor:
        """(n, channels) what some sites are told of what all decisions before them have done."""
        steered: Tensor = self.steering(aim, course, done, sites)
        return steered if self.balance is None else steered + self.balance(course, done, sites)

    def _draw(self, features: Tensor, energy: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        pattern = choose(self.pattern(features, energy), numbers[:, 0])
        return pattern, self.shares.sample(features, pattern, energy, numbers[:, 1:].reshape(-1, 3, 2))

    def _told(self, features: Tensor, pattern: Tensor, children: Tensor, energy: Tensor) -> Tensor:
        """(n, channels) what a decided site tells those after it."""
        fractions = (children / energy[:, None]).to(features.dtype)
        logarithms = fractions.clamp(min=1e-6).log() / REVEALED
        told: Tensor = self.reveal((features, pattern, torch.cat([fractions, logarithms], 1)))
        return told

    def _mixed(self, features: Tensor, heard: Tensor) -> Tensor:
        """(n, channels) features of sites, and what they heard of those decided before."""
        mixed: Tensor = (features + self.mix((self.hear(features) + heard).relu_())).relu_()
        return mixed
