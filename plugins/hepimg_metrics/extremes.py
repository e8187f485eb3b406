"""The metric ``extremes``: the images with the smallest and the largest values of a column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hepimg.components import Column, Evaluation, Figure, Image, Metric, Port
from hepimg.sample import Sample
from hepimg_metrics.rows import check_finite, rows_of_classes, undotted

PANEL = 2.6
"""Side of one panel, in inches."""


class Extremes(Metric):
    """Draws, for each class, the jets with the smallest and the largest values of a column, such as a loss."""

    name: ClassVar[str] = "extremes"

    of: str = Field(description="column or prediction, such as ae.loss")
    images: list[str] = Field(min_length=1, description="images drawn of each jet, such as [image, ae.image]")
    number: int = Field(1, ge=1, le=6, description="jets at either end")

    def reads(self) -> Sequence[Port]:
        """The column and the images."""
        return [Column(self.of), *map(Image, self.images)]

    def evaluate(self, test: Sample, seed: int) -> Evaluation:
        """A figure of each class: a row for each image, the smallest values to the left.

        Raises:
            DataError: no rows, or a value that is not finite.
        """
        check_finite(test, [self.of], self.name)
        classes = rows_of_classes(test, self.name)
        return Evaluation({}, [self._figure(label, test[np.flatnonzero(rows)]) for label, rows in classes.items()])

    def _figure(self, label: str, rows: Sample) -> Figure:
        from hepimg import figures

        values = rows.column(self.of).astype(np.float64)
        order = np.argsort(values, kind="stable")
        jets = order if len(order) <= 2 * self.number else np.concatenate([order[: self.number], order[-self.number :]])
        data: dict[str, NDArray[np.generic]] = {self.of: values[jets]}
        unit = rows.units.get(self.of, "")
        with figures.style():
            size = PANEL * len(jets) + 0.6, PANEL * len(self.images) + 0.4
            drawing, panels = figures.subplots(len(self.images), len(jets), size)
            for row, name in enumerate(self.images):
                images = rows.image(name)
                dense = images[jets].dense()[:, 0].astype(np.float64)
                data[name] = dense
                signed = images.channels[0].signed and bool((dense < 0).any())
                for column, (jet, axes) in enumerate(zip(jets, panels[row * len(jets) :], strict=False)):
                    limits = figures.image_limits([dense[column]], signed=signed, decades=3)
                    figures.draw_image(axes, dense[column], images.grid, signed=signed, limits=limits, colour_bar=False)
                    axes.set_title(f"{values[jet]:.3g} {unit}".rstrip() if row == 0 else "")
                    axes.annotate(name, (0.05, 0.95), xycoords="axes fraction", va="top", fontsize=9)
                    axes.label_outer()
        caption = (
            f"{label}: the test jets with the smallest and the largest {self.of}, which stands above each; every image "
            "has a colour scale of its own."
        )
        file = f"extremes-{figures.file_name(undotted(self.of))}-{label}"
        return Figure(file, f"{label}: smallest and largest {self.of}", caption, drawing, data)
