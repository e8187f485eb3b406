"""Expansion: the network of all stages, as a likelihood to train with and as a generator."""

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hepimg.expansion.bodies import DenseBody, SparseBody, State
from hepimg.expansion.course import Course
from hepimg.expansion.options import Order
from hepimg.expansion.order import ranks_of
from hepimg.expansion.pyramid import CHILDREN, Level, Pyramid, born
from hepimg.expansion.shares import Bounds, log_energy
from hepimg.expansion.stage import Stage
from hepimg.grid import Grid
from hepimg.images import SparseImages
from hepimg.random import entries_of, uniform
from hepimg.sparse.rules import RuleCache
from hepimg.sparse.tensor import SparseTensor

NO_BOUNDS = Bounds()

KNOWN = 9
"""Numbers that are known of a site before any network."""

NUMBERS = 7
"""Random numbers of a site: one for the pattern, two for each split."""


class Expansion(nn.Module):
    """The likelihood of fine images given coarse ones, in stages of a factor two, and draws from it.

    p(fine | coarse) = product over stages and sites of p(pattern of children) p(shares of energy | pattern), each given
    the coarser levels and the sites decided before.  Trained with true parents; pooling what is drawn gives back the
    coarse image.

    Args:
        stages: doublings of the resolution.
        channels: features per site.
        blocks: residual blocks of each stage, the last also for all further ones.
        kernel: size of the convolutions, odd.
        bounds: of the energy of an active fine cell, GeV.
        order: of each stage, in which its sites are decided; the last also for all further ones.
        emphasis: how much more the likelihood of hard cells counts, see :meth:`weights`.
        dense: convolve over all cells, empty ones included; slow, for comparison.
        conditions: further numbers that are known of each image, such as its class.
        centred: whether the middle of the images is where the centroid of the finest ones is: the jet's axis.
    """

    def __init__(
        self,
        stages: int,
        channels: int,
        blocks: Sequence[int],
        kernel: int,
        bounds: Bounds = NO_BOUNDS,
        order: Sequence[Order] = ("sites", "colours"),
        emphasis: float = 0.0,
        dense: bool = False,
        conditions: int = 0,
        centred: bool = False,
    ) -> None:
        super().__init__()
        self.emphasis, self.centred = emphasis, centred
        self.orders = [order[min(number, len(order) - 1)] for number in range(stages)]
        self.stages = nn.ModuleList()
        make_body = DenseBody if dense else SparseBody
        for number in range(stages):
            count = blocks[min(number, len(blocks) - 1)]
            body = make_body(KNOWN + 2 * centred + conditions, channels, count, kernel, first=number == 0)
            held = bounds._replace(ceiling=bounds.ceiling * CHILDREN ** (stages - 1 - number))
            reach = kernel if self.orders[number] != "none" else 0
            self.stages.append(Stage(body, channels, held, reach, centred))

    @property
    def _stages(self) -> list[Stage]:
        return cast("list[Stage]", list(self.stages))

    def nll(self, pyramid: Pyramid, condition: Tensor | None = None) -> Iterator[tuple[Course, Tensor]]:
        """Of each stage the course, and (n_sites, 2) negative log-likelihoods, of patterns and of shares.

        Args:
            pyramid: the images.
            condition: (n_images, conditions) float32, where the network has any.
        """
        state: State | None = None
        parent: Level | None = None
        for stage, level, order in zip(self._stages, pyramid.levels, self.orders, strict=False):
            course = Course.of(level)
            tensor, state = stage(describe(level, parent, course, self._known(course, condition)), state)
            yield course, stage.nll(tensor, level, course, ranks_of(order, level.support, level.energy))
            parent = level

    def _known(self, course: Course, condition: Tensor | None) -> Tensor | None:
        """(n_images, m) float32 what is known of each image."""
        known = [course.centroid.float()] if self.centred else []
        known += [] if condition is None else [condition]
        return torch.cat(known, 1) if known else None

    def forward(self, pyramid: Pyramid, weight: Tensor, condition: Tensor | None = None) -> Tensor:
        """The mean over images of the weighted negative log-likelihood, times their (n_images,) float32 weights."""
        parts = [
            ((self.weights(course) * weight[course.image])[:, None] * nll).sum()
            for course, nll in self.nll(pyramid, condition)
        ]
        return torch.stack(parts).sum() / len(weight)

    def weights(self, course: Course) -> Tensor:
        """(n_sites,) how much the likelihood of each site counts: 1 + emphasis * sqrt(E / E of the image).

        A few hard cells decide mass and subjettiness, but there are ten times as many soft ones.  Since the weights
        depend only on what is given, the best model stays the true one.
        """
        return 1 + self.emphasis * course.fraction.float().sqrt()

    @torch.no_grad()
    def sample(
        self,
        images: SparseImages,
        grid: Grid,
        rows: NDArray[np.int64],
        seed: int,
        draw: int,
        condition: Tensor | None = None,
    ) -> SparseImages:
        """Fine images whose pooled images are ``images``.

        Args:
            images: coarse ones, of any resolution between those of the first stage and of ``grid``; the first channel
                is the energy.
            grid: of the fine ones, as they come out of the last stage.
            rows: (n_images,) identifiers: the random numbers belong to (seed, row, cell, draw).
            seed: of the task.
            draw: number of the draw.
            condition: (n_images, conditions) float32, where the network has any.

        Returns:
            Images on ``grid`` with the first channel of ``images``.
        """
        device = next(self.parameters()).device
        given = len(self.stages) - (grid.shape[0] // images.grid.shape[0]).bit_length() + 1
        levels = Pyramid.of(images, given).to(device).levels
        level = levels[0]
        state: State | None = None
        parent: Level | None = None
        for number, stage in enumerate(self._stages):
            course = Course.of(level)
            tensor, state = stage(describe(level, parent, course, self._known(course, condition)), state)
            if number < given:
                parent, level = level, levels[number + 1]
                continue
            key = (seed, draw, number)
            sites = level.support.to("cpu")
            entries = entries_of(rows[sites.images.index.numpy()], sites.cells.numpy())
            order = ranks_of(self.orders[number], level.support, level.energy)
            numbers = torch.from_numpy(np.stack([uniform(entries, *key, k) for k in range(NUMBERS)], 1)).to(device)
            children = stage.sample(tensor, level, course, order, numbers)
            parent, level = level, born(level.support, children)
        support = level.support.to("cpu")
        values = level.energy.cpu().numpy().astype(np.float32)[:, None]
        return SparseImages(grid, images.channels[:1], support.offsets.numpy(), support.cells.numpy(), values)


def describe(level: Level, parent: Level | None, course: Course, condition: Tensor | None = None) -> SparseTensor:
    """What is known of each site: energies, absolute and relative to parent and image, and where it is.

    Places are measured from the centroid of the energy, in half widths of the image: it is known better at every stage.

    Args:
        level: the sites.
        parent: the level before; None at the coarsest.
        course: of the sites.
        condition: (n_images, conditions) float32, told to all sites of an image.
    """
    energy, fraction = level.energy, course.fraction
    of_parent = torch.ones_like(energy) if parent is None else energy / parent.energy[level.parents]
    y, x = course.place.unbind(1)
    r = torch.hypot(y, x)
    energies = [log_energy(energy), fraction**0.3, fraction.sqrt(), of_parent, of_parent.log()]
    places = [y, x, r, (r + 0.02).log() / 2]
    known = torch.stack(energies + places, 1).float()
    if condition is not None:
        known = torch.cat([known, condition[course.image]], 1)
    return SparseTensor.on(RuleCache(level.support), known)
