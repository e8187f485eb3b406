"""What the figures show of the jets of one class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hepimg.figures.style import COLOURS
from hepimg_metrics.closure.jets import Floats, Jets, Seen


@dataclass(frozen=True)
class Shown:
    """The images of a class that figures compare; its dictionaries grow as models are compared.

    Args:
        jets: the rows.
        truth: the true image.
        low: the low-resolution image, if there is one.
        models: the generated images, by model.
        pooled: these at low resolution, with their spectra only; empty where there is no low-resolution image.
        shares: for the models with several draws: (1 + replicas, draws + 1) fraction of jets with each rank of the
            truth, by observable.
    """

    jets: Jets
    truth: Seen
    low: Seen | None
    models: dict[str, Seen]
    pooled: dict[str, Seen]
    shares: dict[str, Mapping[str, Floats]]

    @property
    def label(self) -> str:
        """The class."""
        return self.jets.label

    @property
    def colours(self) -> dict[str, str]:
        """A colour for each model."""
        return dict(zip(self.models, COLOURS, strict=False))

    def figure_name(self, what: str) -> str:
        """``closure-spectra-top``."""
        return f"closure-{what}-{self.label}"


def is_spectrum(name: str) -> bool:
    """Whether an observable is the spectrum of the n-th hardest pixel."""
    return name.startswith("nth_hardest")
