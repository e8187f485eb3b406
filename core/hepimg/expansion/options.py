"""Options of an expansion and of its training."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from hepimg.options import Options
from hepimg.training.options import FitOptions

Order = Literal["sites", "colours", "none"]
"""``sites``: one after the other; ``colours``: in four groups, by the parities of row and column; ``none``: at once."""


class ExpansionOptions(Options):
    """The network of all stages."""

    channels: int = Field(48, ge=1, description="features of each site")
    blocks: tuple[PositiveInt, ...] = Field(
        (5, 2, 2), min_length=1, description="residual blocks of each stage; the last number also for all further ones"
    )
    kernel: int = Field(5, ge=1, description="size of the convolutions, odd; the first one of all is 5 x 5 in any case")
    order: tuple[Order, ...] = Field(
        ("sites", "colours"),
        min_length=1,
        description="how the sites of each stage are decided, the last also for all further ones: sites: one after the "
        "other, the hardest first, each knowing those before it; colours: in four groups; none: independently",
    )
    emphasis: float = Field(
        20.0,
        ge=0,
        description="how much more hard cells count in training: by 1 + emphasis x sqrt(E / E of the jet)",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, found {self.kernel}")
        return self


class ExpansionFit(FitOptions):
    """A training of the sum over the sites of a jet: its gradients are larger than those of a mean."""

    epochs: int = Field(default=10, ge=1, description="passes over the training rows")
    batch_size: int = Field(default=128, ge=2, description="rows of a step")
    learning_rate: float = Field(default=4e-3, gt=0, description="largest learning rate of the cycle")
    weight_decay: float = Field(default=0.01, ge=0, description="decay of matrices and kernels")
    warm_up: float = Field(
        default=0.15, ge=0, le=1, description="fraction of the steps in which the learning rate rises"
    )
    clip: float | None = Field(default=20.0, gt=0, description="largest norm of the gradient; null: any")
