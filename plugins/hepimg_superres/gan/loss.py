"""Losses of the super-resolution game that compare images: equations 4.2, 4.3 and 4.5 of the thesis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import avg_pool2d, l1_loss, mse_loss, pixel_unshuffle

from hepimg.adversarial.losses import soft_occupancy
from hepimg_superres.gan.options import GanLosses

SMALLEST = 1e-3
"""GeV, added before a power below one is taken of what is learned: at zero its gradient is infinite."""


@dataclass(frozen=True)
class View:
    """What a set of losses looks at: the images as they are (``std``), or to the power p (``pow``).

    Args:
        name: ``std`` or ``pow``.
        weight: lambda_s.
        threshold: of an active cell, in this view's unit.
        hr: (batch, 1, rows, columns) truth.
        sr: the same, generated.
        lr: (batch, 1, coarse rows, coarse columns) input.
        lr_gen: the same, pooled from what was generated.
    """

    name: str
    weight: float
    threshold: float
    hr: Tensor
    sr: Tensor
    lr: Tensor
    lr_gen: Tensor


def views(losses: GanLosses, hr: Tensor, lr: Tensor, generated: Tensor) -> tuple[View, View]:
    """Standard and power view of a batch.

    The power view's pooled image is (pooled SR)^p, as in the published code: the pooled SR^p, as one may read the
    thesis, could not be compared with LR^p, since the sum of powers is not the power of the sum.

    Args:
        losses: powers, weights and threshold.
        hr: (batch, 1, rows, columns) truth in GeV.
        lr: (batch, 1, coarse rows, coarse columns) input in GeV.
        generated: (batch, 1, rows, columns) what the generator made, in GeV^p.
    """
    p = losses.power
    sr = generated.pow(1 / p)
    lr_gen = sum_pooled(sr, hr.shape[-1] // lr.shape[-1])
    coarse = [(image + SMALLEST).pow(p) - SMALLEST**p for image in (lr, lr_gen)]
    return (
        View("std", losses.lambda_std, losses.threshold, hr, sr, lr, lr_gen),
        View("pow", losses.lambda_pow, losses.threshold**p, hr.pow(p), generated, *coarse),
    )


def image_terms(losses: GanLosses, view: View) -> Iterator[tuple[str, Tensor]]:
    """The terms of one view that need no discriminator, by their names and with their weights."""
    terms = (
        ("hr", losses.lambda_hr, _hr_loss),
        ("lr", losses.lambda_lr, _lr_loss),
        ("patch", losses.lambda_patch, _patch_loss),
    )
    for name, weight, loss in terms:
        if weight * view.weight:
            yield f"{name}_{view.name}", view.weight * weight * loss(losses, view)


def sum_pooled(images: Tensor, factor: int) -> Tensor:
    """(batch, 1, rows, columns) -> (batch, 1, rows / factor, columns / factor): sums over blocks."""
    return avg_pool2d(images, factor, divisor_override=1)


def soft_patch_image(images: Tensor, threshold: float, factor: int) -> Tensor:
    """(factor, factor) soft number of active cells at each position in blocks: sums over blocks, mean over images."""
    occupancy = soft_occupancy(images, threshold)
    return pixel_unshuffle(occupancy, factor).sum((2, 3)).mean(0).view(factor, factor)


def _hr_loss(losses: GanLosses, view: View) -> Tensor:
    """L1 per pixel (thesis, 4.2), or of the images' means over the batch (published code)."""
    if losses.hr_loss == "mean":
        return l1_loss(view.sr.mean(0), view.hr.mean(0))
    return l1_loss(view.sr, view.hr)


def _lr_loss(losses: GanLosses, view: View) -> Tensor:
    """L1 per coarse pixel between LR_gen and LR; the thesis's 4.3 prints SR for LR."""
    return l1_loss(view.lr_gen, view.lr)


def _patch_loss(losses: GanLosses, view: View) -> Tensor:
    """L2 between the soft patch images of the batch, as in the published code.

    The thesis (4.5) counts non-zero pixels, which has no gradient, and does not say whether of each image.
    """
    factor = view.hr.shape[-1] // view.lr.shape[-1]
    truth, generated = (soft_patch_image(images, view.threshold, factor) for images in (view.hr, view.sr))
    return mse_loss(generated, truth)
