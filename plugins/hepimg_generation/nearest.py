"""The task ``nearest``: how near generated images are to those that their generator has learned from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Column, Field, Image, Port, Ports, Predictions, Run, State, Task
from hepimg.errors import DataError
from hepimg_generation.classes import classes_in, one_hot, split_classes, with_classes

if TYPE_CHECKING:
    from torch import Tensor

    from hepimg.dataset import Dataset
    from hepimg.images import SparseImages
    from hepimg.sample import Sample

QUERIES, KNOWN = 1024, 8192
"""Images that are compared with as many others at a time: 32 MiB of distances."""


class Nearest(Task):
    """The distance of each generated image to the nearest training image of its class, beside that of the true one.

    Two fine images of the same jet, moved by one cell, have nothing in common.  So images are pooled first, and
    divided by the root of the sum of their squares: the distance sqrt(2 - 2 cos) is 0 for copies, whatever their
    energy, and sqrt(2) for images without a cell in common.  Copies are nearer than true test images are, which the
    generator has not seen: the metric ``quantile`` counts them.  Mirror images and turned ones count as other ones, and
    random steps rest: what a generator has learned turned at random cannot be found here.
    """

    name: ClassVar[str] = "nearest"
    only_learned: ClassVar[bool] = True

    image: str = Field("image", description="true image, its first channel: what is learned from, and distance_true")
    generated: str = Field(description="generated image, such as grow.image, on the same grid")
    pool: int = Field(4, ge=1, description="cells of the image in one that is compared, along each axis")

    def reads(self) -> Sequence[Port]:
        """Both images."""
        return (Image(self.image), Image(self.generated))

    def learns_from(self) -> Sequence[Port]:
        """The true image."""
        return (Image(self.image),)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """Both distances, pure numbers.

        Raises:
            ValueError: the images are on different grids.
        """
        image, generated = ports.get(self.image), ports.get(self.generated)
        grids = {port.grid for port in (image, generated) if isinstance(port, Image) and port.grid is not None}
        if len(grids) > 1:
            raise ValueError(f"{self.image} and {self.generated} are on different grids: {grids}; needed: the same")
        return (Column("distance"), Column("distance_true"))

    def fit(self, train: Dataset, valid: Dataset, run: Run) -> State:
        """Keep the training images, pooled.

        Raises:
            DataError: no rows.
        """
        from hepimg.images import SparseImages
        from hepimg.training.loop import NO_ROWS

        if not len(train):
            raise DataError("no rows to learn from", fix=NO_ROWS)
        classes = classes_in(train)
        kept, labels = [], []
        for _, sample in train.samples():
            kept.append(self._pooled(sample.image(self.image)))
            labels.append(one_hot(sample, classes, self.name).argmax(axis=1))
        images = SparseImages.concatenate(kept)
        arrays: dict[str, NDArray[Any]] = {name: getattr(images, name) for name in ("offsets", "cells", "values")}
        return with_classes(classes, {**arrays, "class": np.concatenate(labels)})

    def predict(self, state: State, sample: Sample, run: Run) -> Predictions:
        """``distance`` and ``distance_true``: (n_rows,) of the generated and of the true image, from 0 to sqrt(2).

        Blank images are at distance 1 from all others, and at 0 from blank ones.

        Raises:
            DataError: a row is of a class that was not learned.
        """
        from hepimg.images import SparseImages

        classes, arrays = split_classes(state)
        label = one_hot(sample, classes, self.name).argmax(axis=1)
        found = {}
        for name, image in (("distance", self.generated), ("distance_true", self.image)):
            images = self._pooled(sample.image(image))
            known = SparseImages(images.grid, images.channels, arrays["offsets"], arrays["cells"], arrays["values"])
            distances = np.zeros(len(sample))
            for number in np.unique(label):
                rows = np.flatnonzero(label == number)
                distances[rows] = nearest(images[rows], known[np.flatnonzero(arrays["class"] == number)])
            found[name] = distances
        return found

    def _pooled(self, images: SparseImages) -> SparseImages:
        """The first channel, pooled."""
        from hepimg.images import SparseImages
        from hepimg.kernels.pool import pool

        parts = images.offsets, images.cells, images.values[:, :1], images.grid.shape
        return SparseImages(images.grid.pooled(self.pool), images.channels[:1], *pool(*parts, (self.pool,) * 2))


def nearest(images: SparseImages, known: SparseImages) -> NDArray[np.float64]:
    """(n,) distance of each image to the nearest of the known ones, all divided by the root of their squares' sum.

    The nearest is found by products of matrices in float32, its distance then taken anew: 0 for a copy.

    Args:
        images: n of them, with one channel.
        known: others on the same grid, at least one.
    """
    import torch

    found = np.zeros(len(images))
    for first in range(0, len(images), QUERIES):
        asked = _unit(images[first : first + QUERIES])
        best, at = torch.full((len(asked),), torch.inf), torch.zeros(len(asked), dtype=torch.int64)
        for start in range(0, len(known), KNOWN):
            others = _unit(known[start : start + KNOWN])
            # |a - b|^2 less |a|^2, which is the same for all b
            least, place = torch.addmm(others.square().sum(1)[None], asked, others.T, alpha=-2).min(1)
            at = torch.where(least < best, place + start, at)
            best = torch.minimum(least, best)
        difference = asked.double() - _unit(known[at.numpy()]).double()
        found[first : first + QUERIES] = difference.square().sum(1).sqrt().numpy()
    return found


def _unit(images: SparseImages) -> Tensor:
    """(n, cells) of length 1, blank ones of 0."""
    import torch

    dense = torch.from_numpy(images.dense()).flatten(1)
    return torch.nn.functional.normalize(dense)
