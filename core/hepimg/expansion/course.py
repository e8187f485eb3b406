"""Course: the second moment of an image, that is, a jet's mass, while its sites are decided one after the other.

With fractions z of the energy at places x, measured from their centroid, and children at distances o from the middle of
their parent, all of the same length,

    I = sum z |x|^2,    m = E sqrt(I)  for small angles,    J = I + |o|^2,

where J is the second moment of the finer image if each site of the coarser one gives all its children the same.  Once
the sites of a set D have been decided, and the centroids of their children lie off the middle by d, it is

    J_D = J + 2 sum_D z d . x - |sum_D z d|^2;

when all are decided, J_D is the second moment of the finer image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from hepimg.expansion.pyramid import CHILDREN
from hepimg.sparse.support import Support

MOVES = 4
"""Numbers that a decision adds: z d . x, both of z d, and the square of the lever that is spent."""


@dataclass(frozen=True, eq=False)
class Course:
    """What each site of a level can do to the second moment of its image, and what the decided ones have done.

    Places are in half widths of the image.

    Attributes:
        image: (n_sites,) int64.
        fraction: (n_sites,) float64, z.
        place: (n_sites, 2) float64, x.
        offsets: (4, 2) float64, o.
        levers: (n_sites,) float64, squares of 2 z |x| |o|: of the most that each can do.
        energy: (n_images,) float64.
        moment: (n_images,) float64, J.
        leverage: (n_images,) float64, sums of the levers.
    """

    image: Tensor
    fraction: Tensor
    place: Tensor
    offsets: Tensor
    levers: Tensor
    energy: Tensor
    moment: Tensor
    leverage: Tensor

    @classmethod
    def of(cls, support: Support, energy: Tensor) -> "Course":
        """Before any decision.

        Args:
            support: the sites.
            energy: (n_sites,) float64.
        """
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
        distance = place.square().sum(1)
        moment = none.index_add(0, image, fraction * distance) + size
        levers = 4 * fraction.square() * distance * size
        return cls(image, fraction, place, offsets, levers, total, moment, none.index_add(0, image, levers))

    @property
    def size(self) -> Tensor:
        """|o|^2.  It is added to second moments before their logarithm is taken: an image of one cell has none."""
        return self.offsets[0].square().sum()

    def moves(self, children: Tensor, sites: Tensor | slice = slice(None)) -> Tensor:
        """(n, 4) what some sites add by their decisions, which are (n, 4) energies of their children."""
        moved = (children @ self.offsets) / self.energy[self.image[sites], None]
        along = (moved * self.place[sites]).sum(1, keepdim=True)
        return torch.cat([along, moved, self.levers[sites, None]], 1)

    def start(self) -> Tensor:
        """(n_images, 4) moves, when nothing is decided."""
        return self.energy.new_zeros(len(self.energy), MOVES)

    def before(self, moves: Tensor, order: Tensor) -> Tensor:
        """(n_sites, 4) sums of the moves of those sites of the same image that are decided before each.

        Args:
            moves: (n_sites, 4) of all sites.
            order: (n_sites,) when each is decided.
        """
        ranks = int(order.max()) + 2 if len(order) else 1
        slot = self.image * ranks + order
        sums = moves.new_zeros(len(self.energy) * ranks, MOVES).index_add(0, slot + 1, moves)
        return sums.view(-1, ranks, MOVES).cumsum(1).view(-1, MOVES)[slot]

    def growth(self, moves: Tensor, image: Tensor) -> Tensor:
        """(n,) by how much the logarithm of the second moments of some images has grown by (n, 4) moves."""
        start = self.moment[image] + self.size
        now = start + 2 * moves[:, 0] - moves[:, 1:3].square().sum(1)
        return (now.clamp(min=self.size.item()) / start).log()
