"""Network: the size of a sparse residual network, as an option."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import model_validator

from hepimg.components import Field, Options

if TYPE_CHECKING:
    from torch import nn


class Network(Options):
    """A residual submanifold network: levels of half the resolution each, sum and maximum over the cells at the end."""

    widths: tuple[int, ...] = Field(default=(32, 48, 64), min_length=1, description="channels of each level")
    blocks: tuple[int, ...] = Field(default=(1, 1, 1), description="residual blocks of each level")
    kernel: int = Field(default=3, ge=1, description="size of the convolutions, odd")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="fraction of features dropped in training")

    @model_validator(mode="after")
    def _check(self) -> Network:
        if len(self.blocks) != len(self.widths):
            raise ValueError(f"one number of blocks for each width is needed, found {self.widths} and {self.blocks}")
        if min(self.widths) < 1 or min(self.blocks) < 0:
            raise ValueError("widths must be positive, and blocks not negative")
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, found {self.kernel}")
        return self

    def build(self, features: int) -> nn.Module:
        """The network, its weights from torch's global generator."""
        from hepimg.sparse import SparseClassifier, SparseResNet

        backbone = SparseResNet(features, self.widths, self.blocks, self.kernel, self.dropout)
        return SparseClassifier(backbone, dropout=self.dropout)
