"""FitOptions: how a network is trained; the field ``fit`` of tasks."""

from __future__ import annotations

import math

from pydantic import Field

from hepimg.options import Options

START = 1 / 25
"""Learning rate of the first step, as a fraction of the largest."""

END = START / 100
"""Learning rate of the last step, as a fraction of the largest."""

MOMENTUM = (0.85, 0.95)
"""AdamW's beta_1 while the learning rate is at its largest, and at both ends."""


class FitOptions(Options):
    """AdamW with one cycle of the learning rate, clipped gradients, and averaged weights."""

    epochs: int = Field(default=14, ge=1, description="passes over the training rows")
    batch_size: int = Field(default=256, ge=2, description="rows of a step")
    learning_rate: float = Field(default=4e-3, gt=0, description="largest learning rate of the cycle")
    weight_decay: float = Field(
        default=0.05, ge=0, description="decay of matrices and kernels; biases and norms have none"
    )
    warm_up: float = Field(
        default=0.25, ge=0, le=1, description="fraction of the steps in which the learning rate rises"
    )
    clip: float | None = Field(default=1.0, gt=0, description="largest norm of the gradient; null: any")
    ema: float = Field(
        default=0.998,
        ge=0,
        lt=1,
        description="memory of the moving average of weights, which the model keeps; 0: the last",
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        description="epochs without a better validation loss after which training stops; null: never",
    )

    def cycle(self, step: int, steps: int) -> tuple[float, float]:
        """Learning rate and beta_1 of one step of ``steps``: one cycle (Smith and Topin, arXiv:1708.07120).

        Two half cosines: up in the warm-up, then down; beta_1 goes the other way.
        """
        peak = self.warm_up * steps - 1
        if step < peak:
            height = _half_cosine(step / peak)
            fraction = START + (1 - START) * height
        else:
            height = _half_cosine((steps - 1 - step) / (steps - 1 - peak)) if steps - 1 > peak else 1.0
            fraction = END + (1 - END) * height
        low, high = MOMENTUM
        return self.learning_rate * fraction, high - (high - low) * height

    def memory(self, step: int) -> float:
        """Weight of the former average at one step: short at first, so that the random start is soon forgotten."""
        return min(self.ema, (1 + step) / (10 + step))


def _half_cosine(part: float) -> float:
    """From 0 at 0 to 1 at 1."""
    return (1 - math.cos(math.pi * part)) / 2
