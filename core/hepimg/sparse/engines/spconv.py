"""The spconv engine: for CUDA, and on the CPU a cross-check of the forward pass.

Measured with spconv 2.3.8: its CPU forward is right with one thread only, its CPU backward needs CUDA, and it is not
twice differentiable.
"""

import torch
from torch import Tensor

from hepimg.sparse.rules import Rules


def convolve(features: Tensor, kernel: Tensor, rules: Rules) -> Tensor:
    """See :class:`hepimg.sparse.engines.Engine`.

    Raises:
        ImportError: spconv is not installed.
        RuntimeError: on the CPU with several threads, where spconv silently returns wrong numbers.
    """
    try:
        from spconv.core import ConvAlgo
        from spconv.pytorch.functional import indice_conv
    except ImportError as error:
        message = "the spconv engine needs the package spconv: pip install 'hepimg[spconv]', or use the native engine"
        raise ImportError(message) from error
    if not features.is_cuda and torch.get_num_threads() > 1:
        raise RuntimeError(
            f"spconv is wrong on the CPU with several threads, and torch uses {torch.get_num_threads()}; "
            "call torch.set_num_threads(1), or use the native engine"
        )
    if not rules.starts[-1]:
        return features.new_zeros(rules.outputs.n_sites, kernel.shape[2])
    height, width = rules.geometry.kernel
    filters = kernel.view(height, width, *kernel.shape[1:]).permute(3, 0, 1, 2).contiguous()
    numbers = torch.tensor(rules.counts, dtype=torch.int32, device=features.device)
    result: Tensor = indice_conv(
        features.contiguous(), filters, _spconv_pairs(rules), numbers, rules.outputs.n_sites, ConvAlgo.Native
    )
    return result


def _spconv_pairs(rules: Rules) -> Tensor:
    """Pairs as spconv wants them: (2, taps, most pairs of a tap), filled up with -1."""
    counts = rules.counts
    table = rules.inputs.index.new_full((2, len(counts), max(counts)), -1)
    for tap, (first, count) in enumerate(zip(rules.starts, counts, strict=False)):
        table[0, tap, :count] = rules.inputs.index[first : first + count]
        table[1, tap, :count] = rules.outputs.index[first : first + count]
    return table
