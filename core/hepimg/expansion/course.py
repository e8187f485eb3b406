"""Course: where the energy of an image is, and how its second moment changes while its sites are decided.

With fractions z of the energy at places x, measured from their centroid, and children at distances o from the middle of
their parent, all of the same length,

    I = sum z |x|^2,    m = E sqrt(I)  for small angles,    J = I + |o|^2,

where J is the second moment of the finer image if each site gives all its children the same.  Once the sites of a set D
have been decided, the centroids of their children lie off the middle by d, and the others give their children the same,
it is

    J_D = J + 2 sum_D z d . x - |sum_D z d|^2;

when all are decided, J_D is the second moment of the finer image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from hepimg.expansion.pyramid import CHILDREN, Level

MOVES = 5
"""Numbers that a decision adds to those before: z d . x, both of z d, the leeway that is used up, and z^2."""


@dataclass(frozen=True, eq=False)
class Course:
    """Where the energy of the images of a level is, and what each site can do to the second moment of its image.

    Places are in half heights and half widths of the image; on a grid that wraps they do not.  For axes of the same
    range the second moment tells the mass, up to a factor.

    Attributes:
        image: (n_sites,) int64.
        total: (n_images,) float64 energies.
        fraction: (n_sites,) float64, z.
        place: (n_sites, 2) float64, x.
        centroid: (n_images, 2) float64, of the energy, from the middle of the image.
        offsets: (4, 2) float64, o.
        size: () float64, |o|^2.
        start: (n_images,) float64, J + |o|^2.  J_D is 0 if all energy is in one fine cell; with |o|^2 more it has a
            logarithm.
        leeway: (n_sites,) float64, the variance of what each adds to J if, with equal chances, it gives all its
            children the same or everything to any one of them.
        leeway_of_all: (n_images,) float64, sums of it.
        squares: (n_images,) float64, sums of z^2.
    """

    image: Tensor
    total: Tensor
    fraction: Tensor
    place: Tensor
    centroid: Tensor
    offsets: Tensor
    size: Tensor
    start: Tensor
    leeway: Tensor
    leeway_of_all: Tensor
    squares: Tensor

    @classmethod
    def of(cls, level: Level) -> "Course":
        """Of the sites of a level, none of which is decided."""
        support, energy = level.support, level.energy
        image = support.images.index.long()
        none = energy.new_zeros(support.batch_size)
        total = none.index_add(0, image, energy)
        fraction = energy / total[image]
        half = energy.new_tensor(support.shape) / 2
        place = (support.sites[:, 1:] + 0.5) / half
        centroid = none.new_zeros(len(none), 2).index_add(0, image, fraction[:, None] * place)
        place = place - centroid[image]
        child = torch.arange(CHILDREN, device=energy.device)
        offsets = (torch.stack([child // 2, child % 2], 1) - 0.5) / 2 / half
        size = offsets[0].square().sum()
        start = none.index_add(0, image, fraction * place.square().sum(1)) + 2 * size
        along = (place * offsets[0]).square().sum(1)
        leeway = fraction.square() * (2 * along + fraction.square() * size.square() / 4)
        of_all, squares = (none.index_add(0, image, part) for part in (leeway, fraction.square()))
        return cls(image, total, fraction, place, centroid - 1, offsets, size, start, leeway, of_all, squares)

    def moves(self, children: Tensor, sites: Tensor | slice = slice(None)) -> Tensor:
        """(n, 5) what the decisions of some sites add, which are (n, 4) float64 energies of their children."""
        moved = (children @ self.offsets) / self.total[self.image[sites], None]
        along = (moved * self.place[sites]).sum(1, keepdim=True)
        used = torch.stack([self.leeway[sites], self.fraction[sites].square()], 1)
        return torch.cat([along, moved, used], 1)

    def nothing(self) -> Tensor:
        """(n_images, 5) what has been done when no site is decided."""
        return self.total.new_zeros(len(self.total), MOVES)

    def done_before(self, moves: Tensor, order: Tensor) -> Tensor:
        """(n_sites, 5) sums of the moves of those sites of the same image that are decided before each.

        Args:
            moves: (n_sites, 5) of all sites.
            order: (n_sites,) when each is decided.
        """
        ranks = int(order.max()) + 2 if len(order) else 1
        slot = self.image * ranks + order
        sums = moves.new_zeros(len(self.total) * ranks, MOVES).index_add(0, slot + 1, moves)
        return sums.view(-1, ranks, MOVES).cumsum(1).view(-1, MOVES)[slot]

    def now(self, done: Tensor, image: Tensor) -> Tensor:
        """(n,) J_D + |o|^2 of some images in which (n, 5) moves have been made."""
        moved = self.start[image] + 2 * done[:, 0] - done[:, 1:3].square().sum(1)
        return torch.maximum(moved, self.size)
