"""Several tensors over different cells of the same images, put side by side."""

from collections.abc import Sequence

import torch
from torch import Tensor

from hepimg.sparse.rules import RuleCache
from hepimg.sparse.support import support_from_keys
from hepimg.sparse.tensor import SparseTensor


def join(tensors: Sequence[SparseTensor]) -> tuple[SparseTensor, list[Tensor]]:
    """Features side by side on the union of the sites; zero where a tensor has no site.

    Args:
        tensors: of the same images: batch size, shape and periodic axes agree.

    Returns:
        The tensor of (n_union, sum of the channels), and for each given one (n_sites,) int64: where its sites are.

    Raises:
        ValueError: there are none, or they are of different images.
    """
    if not tensors:
        raise ValueError("no tensors to join")
    first = tensors[0]
    for other in tensors[1:]:
        if (other.batch_size, other.shape, other.periodic) != (first.batch_size, first.shape, first.periodic):
            raise ValueError(f"{other} is not of the images of {first}")
    keys, places = torch.unique(torch.cat([tensor.support.keys for tensor in tensors]), return_inverse=True)
    index = list(places.split([len(tensor) for tensor in tensors]))
    columns = [
        tensor.features.new_zeros(len(keys), tensor.channels).index_copy(0, where, tensor.features)
        for tensor, where in zip(tensors, index, strict=True)
    ]
    support = support_from_keys(keys, first.batch_size, first.shape, first.periodic)
    return SparseTensor.on(RuleCache(support), torch.cat(columns, dim=1)), index
