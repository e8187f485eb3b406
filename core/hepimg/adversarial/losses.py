"""Losses of adversarial training."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import softplus

TINY = 1e-12
"""Added to squared norms: the root has no gradient at zero, where an image is empty."""


def relativistic_generator_loss(truth: Tensor, generated: Tensor) -> Tensor:
    """Relativistic average loss of the generator (arXiv:1807.00734; Keilbach, equation 4.4).

    -<log D_G> - <log(1 - D_T)> with D_T = sigma(C_T - <C_G>) and D_G = sigma(C_G - <C_T>); the means are over all
    patches of the batch.

    Args:
        truth: (n,) logits C_T of true images.
        generated: (m,) logits C_G of generated ones.

    Returns:
        A number; 0 from means over no patches.
    """
    return _mean(softplus(_mean(truth) - generated)) + _mean(softplus(truth - _mean(generated)))


def relativistic_discriminator_loss(truth: Tensor, generated: Tensor) -> Tensor:
    """Relativistic average loss of the discriminator: the generator's with the labels switched (equation 4.7)."""
    return relativistic_generator_loss(generated, truth)


def gradient_penalty(critic: Callable[[Tensor], Tensor], truth: Tensor, generated: Tensor) -> Tensor:
    """< (|grad C(X)|_2 - 1)^2 > at random points X between true and generated images (arXiv:1704.00028; equation 4.8).

    It holds the norm of the gradient at 1.  Where the critic says a number for each patch, C is their sum.  For a
    sparse critic, the gradient is over the union of the supports of both images.

    Args:
        critic: (batch, 1, rows, columns) -> logits.
        truth: (batch, 1, rows, columns).
        generated: the same shape; a constant here.
    """
    mix = torch.rand(len(truth), 1, 1, 1, dtype=truth.dtype, device=truth.device)
    between = (mix * truth + (1 - mix) * generated).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    norm = (gradient.flatten(1).square().sum(1) + TINY).sqrt()
    return _mean((norm - 1).square())


def soft_occupancy(images: Tensor, threshold: float, sharpness: float = 5.0) -> Tensor:
    """A count of active cells with a gradient: about 0 below the threshold, about 1 above.

    sigma(sharpness (x / threshold - 1)), less its value at x = 0, so that empty cells count nothing.

    Args:
        images: any shape, not negative.
        threshold: where it is one half, in the unit of the images.
        sharpness: of the step.
    """
    empty = torch.sigmoid(images.new_tensor(-sharpness))
    return torch.sigmoid(sharpness * (images / threshold - 1)) - empty


def _mean(values: Tensor) -> Tensor:
    """The mean; 0 of none."""
    return values.sum() / max(values.numel(), 1)
