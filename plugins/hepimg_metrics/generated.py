"""What metrics that hold generated images against true ones have in common."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, model_validator

from hepimg.components import Image, Metric
from hepimg_metrics.closure.models import models_of


class OfGenerated(Metric):
    """Compares the distributions of generated images with that of the true one."""

    truth: str = Field(description="the true image")
    generated: list[str] = Field(
        description="generated images of the same rows, one of each task: grow.image ...", min_length=1
    )

    @model_validator(mode="after")
    def _check_images(self) -> OfGenerated:
        if self.truth in self.generated:
            raise ValueError(f"truth and generated are both {self.truth}")
        models_of(self.generated, ())
        return self

    def reads(self) -> Sequence[Image]:
        """All images."""
        return [Image(name) for name in (self.truth, *self.generated)]
