"""Heads: what a site's features say of its children, as probabilities to learn from and to draw from."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from hepimg.expansion.pyramid import CHILDREN
from hepimg.expansion.shares import (
    IS_SPLIT,
    MASKS,
    PATTERNS,
    SIDES,
    SPLITS,
    Bounds,
    divide,
    encode,
    log_energy,
    split_energies,
)

HIDDEN = 96
"""Features in the hidden layers of a mixture."""

NARROWEST, WIDEST = -6.0, 3.0
"""Range of the logarithm of a logistic's width."""

SLACK = 1e-5
"""Relative rounding that is forgiven where a cell has just the energy that its children need."""

Given = tuple[Tensor, Tensor, Tensor]
"""What is known of n sites: (n, channels) features, (n,) patterns of children, (n, numbers) numbers more."""


class Joined(nn.Module):
    """A linear layer and ReLU on features, a one-hot pattern and some numbers side by side, without putting them there.

    Args:
        channels: features per site.
        numbers: how many numbers more.
        outputs: results of the layer.
    """

    def __init__(self, channels: int, numbers: int, outputs: int) -> None:
        super().__init__()
        self.features = nn.Linear(channels, outputs)
        self.pattern = nn.Embedding(PATTERNS, outputs)
        self.numbers = nn.Linear(numbers, outputs, bias=False)
        scale = 1 / math.sqrt(channels)
        nn.init.normal_(self.pattern.weight, std=scale)
        nn.init.normal_(self.numbers.weight, std=scale)

    def forward(self, given: Given) -> Tensor:
        """(n, outputs)."""
        features, pattern, numbers = given
        joined: Tensor = torch.addmm(self.pattern(pattern), numbers, self.numbers.weight.t())
        return joined.add_(self.features(features)).relu_()


class PatternHead(nn.Module):
    """Which children are active: one of fifteen patterns.

    Args:
        channels: features per site.
        bounds: of the energy of an active child; patterns that need more than there is, or cannot hold it, are left
            out.
    """

    def __init__(self, channels: int, bounds: Bounds) -> None:
        super().__init__()
        self.bounds = bounds
        self.layers = nn.Sequential(nn.Linear(channels, channels), nn.ReLU(inplace=True), nn.Linear(channels, PATTERNS))

    def forward(self, features: Tensor, energy: Tensor) -> Tensor:
        """(n, channels) features and (n,) energies -> (n, 15) logarithms of probabilities."""
        count = MASKS.to(features.device).sum(1)
        too_many = (energy[:, None] < count * (self.bounds.threshold * (1 - SLACK))) & (count > 1)
        too_few = (energy[:, None] > count * (self.bounds.ceiling * (1 + SLACK))) & (count < CHILDREN)
        impossible = too_many | too_few
        return torch.log_softmax(self.layers(features).masked_fill(impossible, -torch.inf), 1)


class LogisticMixture(nn.Module):
    """The density of one number given what is known of a site: a mixture of logistic distributions.

    Args:
        first: from whatever is known to ``hidden`` features.
        hidden: width of its hidden layers, the first among them.
        components: logistics.
    """

    def __init__(self, first: nn.Module, hidden: int = HIDDEN, components: int = 8) -> None:
        super().__init__()
        self.first = first
        last = nn.Linear(hidden, 3 * components)
        self.layers = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(inplace=True), last)
        with torch.no_grad():  # side by side at first, so that they do not all learn the same
            last.weight.mul_(0.3)
            last.bias.copy_(
                torch.cat(
                    [torch.zeros(components), torch.linspace(-1.5, 1.5, components), torch.full((components,), -1.0)]
                )
            )

    def forward(self, given: Tensor | Given) -> tuple[Tensor, Tensor, Tensor]:
        """(n, components) logarithms of weights, means, logarithms of widths."""
        weight, mean, width = self.layers(self.first(given)).chunk(3, dim=1)
        return torch.log_softmax(weight, 1), mean, width.clamp(NARROWEST, WIDEST)

    def nll(self, given: Tensor | Given, u: Tensor) -> Tensor:
        """(n,) negative logarithm of the density of ``u``, (n,)."""
        weight, mean, width = self(given)
        distance = ((u[:, None] - mean) * torch.exp(-width)).abs()
        density: Tensor = torch.logsumexp(weight - distance - 2 * functional.softplus(-distance) - width, 1)
        return -density

    def sample(self, given: Tensor | Given, numbers: Tensor) -> Tensor:
        """(n,) float64 draws, from (n, 2) float64 uniform random numbers."""
        weight, mean, width = self(given)
        chosen = choose(weight, numbers[:, 0])[:, None]
        centre, size = mean.gather(1, chosen).squeeze(1), width.gather(1, chosen).squeeze(1).exp()
        drawn: Tensor = centre.double() + size.double() * torch.logit(numbers[:, 1], eps=1e-9)
        return drawn


class ShareHead(nn.Module):
    """How the energy is divided among the active children, split after split, each knowing those before it."""

    def __init__(self, channels: int, bounds: Bounds) -> None:
        super().__init__()
        self.bounds = bounds
        # The two rows of children share a network, which is told which row it is: the second knows the first's split.
        self.rows = LogisticMixture(Joined(channels, 1, HIDDEN))
        self.within = LogisticMixture(Joined(channels, 4, HIDDEN))

    def nll(self, features: Tensor, pattern: Tensor, children: Tensor) -> Tensor:
        """(n,) negative logarithms of the densities of all splits of a site, added up.

        Args:
            features: (n, channels).
            pattern: (n,).
            children: (n, 4) float64 energies.
        """
        u = encode(children, pattern, self.bounds).to(features.dtype)
        energy = log_energy(split_energies(children)).to(features.dtype)
        where = [IS_SPLIT.to(u.device)[pattern, split].nonzero().squeeze(1) for split in range(SPLITS)]
        rows = where[0]
        of_rows = self.rows.nll((features.index_select(0, rows), pattern[rows], energy[rows, :1]), u[rows, 0])
        both = torch.cat(where[1:])
        lower = torch.cat([torch.zeros_like(where[1]), torch.ones_like(where[2])])
        told = self._told(energy[both, 1 + lower], u[both, 0], lower, u[both, 1])
        within = self.within.nll((features.index_select(0, both), pattern[both], told), u[both, 1 + lower])
        return features.new_zeros(len(features)).index_add(0, rows, of_rows).index_add(0, both, within)

    def sample(self, features: Tensor, pattern: Tensor, energy: Tensor, numbers: Tensor) -> Tensor:
        """(n, 4) float64 energies of the children, which add up to ``energy``.

        Args:
            features: (n, channels).
            pattern: (n,).
            energy: (n,) float64.
            numbers: (n, 3, 2) float64 uniform random numbers.
        """
        u = energy.new_zeros(len(energy), SPLITS)
        parts = energy[:, None]
        children = []
        for split in range(SPLITS):
            whole = energy if split == 0 else parts[:, split - 1]
            sites = IS_SPLIT.to(u.device)[pattern, split].nonzero().squeeze(1)
            logarithm = log_energy(whole[sites]).to(features.dtype)
            if split == 0:
                network, told = self.rows, logarithm[:, None]
            else:
                lower = torch.full_like(sites, split - 1)
                network, told = self.within, self._told(logarithm, u[sites, 0], lower, u[sites, 1])
            u[sites, split] = network.sample((features[sites], pattern[sites], told), numbers[sites, split])
            sides = SIDES.first.to(u.device)[pattern, split], SIDES.second.to(u.device)[pattern, split]
            divided = torch.stack(divide(whole, u[:, split], *sides, self.bounds), 1)
            if split == 0:
                parts = divided
            else:
                children.append(divided)
        return torch.cat(children, 1)

    @staticmethod
    def _told(energy: Tensor, rows: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
        """(n, 4) what the network of a row is told beside features and pattern; the upper row knows no other."""
        lower = lower.to(energy.dtype)
        return torch.stack([energy, rows.to(energy.dtype), lower, upper.to(energy.dtype) * lower], 1)


def choose(logarithms: Tensor, numbers: Tensor) -> Tensor:
    """(n,) which of k cases, drawn by (n,) uniform random numbers from (n, k) logarithms of probabilities."""
    edges = logarithms.double().exp().cumsum(1)
    edges = edges / edges[:, -1:]
    return (numbers[:, None] >= edges).sum(1).clamp(max=logarithms.shape[1] - 1)
