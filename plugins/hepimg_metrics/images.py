"""The metric ``images``: what the images of each class look like, on average and one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hepimg.components import Estimate, Evaluation, Figure, Image, Metric
from hepimg.errors import DataError, did_you_mean
from hepimg.images import SparseImages
from hepimg.sample import Sample
from hepimg_metrics.rows import rows_of_classes

Floats = NDArray[np.float64]


class Images(Metric):
    """Mean image of each class, differences between the means, examples, and the mean number of active cells."""

    name: ClassVar[str] = "images"

    image: str = Field(description="image to look at")
    channel: str = Field("", description="its channel; empty: the first")
    examples: int = Field(4, ge=0, le=12, description="single images drawn of each class")

    def reads(self) -> Sequence[Image]:
        """The image."""
        return [Image(self.image)]

    def evaluate(self, test: Sample, seed: int) -> Evaluation:
        """Numbers ``<image>.active@<class>``; figures of means, differences and examples."""
        rows = rows_of_classes(test, self.name)
        images = {name: test.image(self.image)[chosen] for name, chosen in rows.items()}
        weights = {name: test.column("weight")[chosen].astype(np.float64) for name, chosen in rows.items()}
        channel = self._channel(test.image(self.image))
        means = {name: images[name].mean_image(weights[name])[channel] for name in images}
        numbers = {f"{self.image}.active@{name}": active_cells(images[name], weights[name]) for name in images}
        return Evaluation(numbers, self._figures(images, means, channel))

    def _channel(self, images: SparseImages) -> int:
        names = [channel.name for channel in images.channels]
        if self.channel and self.channel not in names:
            raise DataError(f"no channel {self.channel!r}; {did_you_mean(self.channel, names)}", where="metric images")
        return names.index(self.channel) if self.channel else 0

    def _figures(self, images: dict[str, SparseImages], means: dict[str, Floats], channel: int) -> list[Figure]:
        from hepimg_metrics.image_figures import draw_differences, draw_examples, draw_means

        first = next(iter(images.values()))
        figures = [draw_means(self.image, means, first.grid, first.channels[channel])]
        if len(means) > 1:
            figures.append(draw_differences(self.image, means, first.grid, first.channels[channel]))
        if self.examples:
            chosen = {name: some[: self.examples] for name, some in images.items()}
            figures.append(draw_examples(self.image, chosen, channel))
        return figures


def active_cells(images: SparseImages, weights: Floats) -> Estimate:
    """The weighted mean number of active cells, with the error of a mean."""
    mean = float(np.average(images.counts, weights=weights))
    error = float(np.sqrt(np.sum((weights * (images.counts - mean)) ** 2)) / weights.sum())
    return Estimate(mean, error, len(images))
