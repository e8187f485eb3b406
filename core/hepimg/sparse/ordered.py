"""Convolution in an order: each site hears only from sites that come before it."""

from torch import Tensor

from hepimg.sparse.conv import SubmanifoldConv2d
from hepimg.sparse.tensor import SparseTensor


class OrderedConv2d(SubmanifoldConv2d):
    """Submanifold convolution over the neighbours that come earlier in a given order.

    Where sites are decided one after the other, each may depend on those before it: a masked convolution (van den
    Oord et al., arXiv:1601.06759), in any order, another one for each image if need be.  Arguments as there.
    """

    def forward(  # type: ignore[override]
        self, tensor: SparseTensor, order: Tensor, now: int | None = None
    ) -> SparseTensor:
        """(n_sites, in_channels) -> (n_sites, out_channels) on the same sites.

        Args:
            tensor: what is convolved.
            order: (n_sites,) int64; sites of equal rank do not hear each other.
            now: compute the sites of this rank only; the others get the bias alone.
        """
        rules = tensor.cache.rules(self.geometry, tensor.support)
        giver, taker = order[rules.inputs.index], order[rules.outputs.index]
        earlier = giver < taker
        if now is not None:
            earlier &= taker == now
        return tensor.replace(self._apply_rules(tensor, rules.only(earlier)))
