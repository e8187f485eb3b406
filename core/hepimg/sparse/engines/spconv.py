"""The spconv engine: for CUDA, and on the CPU a cross-check of the forward pass.

Measured with spconv 2.3.8: its CPU forward is right with one thread only, its CPU backward asks for a CUDA stream, and
its own autograd function silently drops second derivatives; so its two passes are called directly, and a second
derivative is an error.
"""

from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.autograd import Function

from hepimg.sparse.rules import Rules


def convolve(features: Tensor, kernel: Tensor, rules: Rules, onto: Tensor | None = None) -> Tensor:
    """See :class:`hepimg.sparse.engines.Engine`.

    Raises:
        ImportError: spconv is not installed.
        RuntimeError: on the CPU with several threads, where spconv silently returns wrong numbers; or when a second
            derivative is asked for.
        TypeError: bfloat16, which spconv does not know.
    """
    import_spconv()
    if not features.is_cuda and torch.get_num_threads() > 1:
        raise RuntimeError(
            f"spconv is wrong on the CPU with several threads, and torch uses {torch.get_num_threads()}; "
            "call torch.set_num_threads(1), or use the native engine"
        )
    if features.dtype == torch.bfloat16:
        raise TypeError("spconv does not know bfloat16; use float16, or the native engine")
    height, width = rules.geometry.kernel
    filters = kernel.view(height, width, *kernel.shape[1:]).permute(3, 0, 1, 2)
    numbers = torch.tensor(rules.counts, dtype=torch.int32, device=features.device)
    result: Tensor = _Convolution.apply(  # type: ignore[no-untyped-call]
        features.contiguous(), filters.contiguous(), _spconv_pairs(rules), numbers, rules.outputs.n_sites
    )
    return result if onto is None else result + onto


def import_spconv() -> Any:
    """The module ``spconv.pytorch``.

    Raises:
        ImportError: it is not installed; the message says how to get it.
    """
    try:
        from spconv import pytorch
    except ImportError as error:
        message = "the package spconv is needed: pip install 'hepimg[spconv]', or 'hepimg[cuda]' where a GPU is"
        raise ImportError(message) from error
    return pytorch


class _Convolution(Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, filters: Tensor, pairs: Tensor, numbers: Tensor, n_outputs: int) -> Tensor:
        from spconv.core import ConvAlgo
        from spconv.pytorch.ops import indice_conv

        ctx.save_for_backward(features, filters, pairs, numbers)
        if not pairs.shape[2]:
            return features.new_zeros(n_outputs, len(filters))
        result: Tensor = indice_conv(features, filters, pairs, numbers, n_outputs, algo=ConvAlgo.Native)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        features, filters, pairs, numbers = ctx.saved_tensors
        grads = _Gradients.apply(features, filters, gradient, pairs, numbers)  # type: ignore[no-untyped-call]
        return *grads, None, None, None


class _Gradients(Function):
    """The backward pass of spconv; itself an autograd function, so that its own derivative can be refused."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, filters: Tensor, gradient: Tensor, pairs: Tensor, numbers: Tensor
    ) -> tuple[Tensor, Tensor]:
        from spconv.core import ConvAlgo
        from spconv.pytorch.ops import indice_conv_backward

        if not pairs.shape[2]:
            return torch.zeros_like(features), torch.zeros_like(filters)
        grads: tuple[Tensor, Tensor] = indice_conv_backward(
            features, filters, gradient.contiguous(), pairs, numbers, algo=ConvAlgo.Native
        )
        return grads

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> NoReturn:
        raise RuntimeError(
            "spconv has no second derivative, which a gradient penalty needs; choose engine: native, or "
            "hepimg.sparse.use_engine('native')"
        )


def _spconv_pairs(rules: Rules) -> Tensor:
    """Pairs as spconv wants them: (2, taps, most pairs of a tap), filled up with -1."""
    counts = rules.counts
    table = rules.inputs.index.new_full((2, len(counts), max(counts)), -1)
    for tap, (first, count) in enumerate(zip(rules.starts, counts, strict=False)):
        table[0, tap, :count] = rules.inputs.index[first : first + count]
        table[1, tap, :count] = rules.outputs.index[first : first + count]
    return table
