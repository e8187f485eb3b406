"""What moves the weights, and the average that follows them."""

from __future__ import annotations

import copy

import torch
from torch import nn

from hepimg.training.options import FitOptions


def adamw(module: nn.Module, options: FitOptions) -> torch.optim.Optimizer:
    """AdamW (arXiv:1711.05101) that lets matrices and kernels decay, but not biases and norms."""
    trained = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=options.learning_rate, fused=True)


class MovingAverage:
    """A copy of a module whose weights, and running means of norms, are exponential moving averages of the module's."""

    def __init__(self, module: nn.Module) -> None:
        self.module = copy.deepcopy(module).requires_grad_(False)
        self._pairs = list(zip(self.module.state_dict().values(), module.state_dict().values(), strict=True))

    @torch.no_grad()
    def update(self, memory: float) -> None:
        """Keep the fraction ``memory`` of the former average; counters are copied."""
        for average, current in self._pairs:
            if average.is_floating_point():
                average.lerp_(current, 1 - memory)
            else:
                average.copy_(current)
