"""The ways on which a convolution can be computed, in one place: what must hold for all of them is tested on each."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from hepimg.sparse import pairing, support, use_engine
from hepimg.sparse.engines import compiled_products, native, torch_products
from hepimg.sparse.rules import Rules

PATHS = ("compiled products", "as on CUDA", "dense")
"""The native engine as it computes float32 on the CPU; the same with all that it does on CUDA: rules by sort and
search, products by torch's operators; and torch's dense convolution.  All promise to be right with any number of
threads, and twice differentiable."""


@contextmanager
def computed_by(path: str) -> Iterator[None]:
    """Compute all sparse convolutions of a block on one of :data:`PATHS`, their derivatives included."""
    with pytest.MonkeyPatch.context() as patch, use_engine("dense" if path == "dense" else "native"):
        if path == "compiled products":
            patch.setattr(native, "_products", lambda _: compiled_products)
            patch.setattr(native, "convolve", _rounded(native.convolve))
            patch.setattr(pairing, "SITES_OF_BLOCK", 2)  # several blocks, and so several threads, for few sites too
        if path == "as on CUDA":
            patch.setattr(native, "_products", lambda _: torch_products)
            patch.setattr(pairing, "pairs_by_table", pairing.pairs_by_search)
            patch.setattr(pairing, "reached_by_table", _reached_by_sort)
            patch.setattr(support, "group_by_counting", _group_by_sort)
        yield


def _rounded(convolve):
    """The same convolution in float32, with results in the type of the features."""

    def in_float32(features: Tensor, kernel: Tensor, rules: Rules, onto: Tensor | None = None) -> Tensor:
        onto = None if onto is None else onto.float()
        return convolve(features.float(), kernel.float(), rules, onto).to(features.dtype)

    return in_float32


def _reached_by_sort(source, rows, columns):
    keys = pairing.reached_by_sort(source, rows, columns)
    shape = rows.n_outputs, columns.n_outputs
    reached = support.support_from_keys(keys, source.batch_size, shape, (False, False))
    return reached.offsets, reached.cells


def _group_by_sort(index, n_sites):
    return tuple(part.numpy() for part in pairing.group_by_sort(torch.from_numpy(index), n_sites))


def assert_equal(ours: Tensor, exact: Tensor, dtype: torch.dtype) -> None:
    """Equal up to the rounding of a computation in ``dtype``, of numbers as large as the largest."""
    assert ours.shape == exact.shape
    if exact.numel():
        error = (ours - exact).abs().max() / exact.abs().max().clamp(min=1.0)
        assert error < {torch.float64: 1e-12, torch.float32: 4e-6}[dtype]
