"""The task ``pca``: the directions in which ordinary images differ most, and how far an image lies from all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Column, Field, Image, Port, Ports, Predictions, Run, State, Task
from hepimg.errors import DataError
from hepimg.weights import mean_weight
from hepimg_autoencoder.units import common_unit, squared

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from hepimg.dataset import Dataset
    from hepimg.images import SparseImages
    from hepimg.sample import Sample

Floats = NDArray[np.float64]

MOST = 10_000
"""Numbers of an image, at most: the covariance of so many takes .8 GB, and its eigenvectors a quarter of an hour."""

NOTHING = 1e-12
"""Variance, relative to the largest, below which a direction is rounding."""


class Pca(Task):
    """Principal components of images: a linear autoencoder, in closed form.

    ``loss`` is the mean squared difference of the image and its projection, ``mahalanobis`` the sum of the squared
    components over their variances.  Images are read by their active cells; the covariance is of all pairs of cells.
    """

    name: ClassVar[str] = "pca"
    libraries: ClassVar[tuple[str, ...]] = ("scipy",)

    image: str = Field("image", description="image, all channels of it")
    components: int = Field(32, ge=1, description="directions that are kept")

    def reads(self) -> Sequence[Port]:
        """The image."""
        return (Image(self.image),)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The loss, the distance and the components.

        Raises:
            ValueError: the image has too many cells.
        """
        image = ports.get(self.image)
        if isinstance(image, Image) and image.grid is not None:
            numbers = image.grid.size * max(len(image.channels), 1)
            if numbers > MOST:
                raise ValueError(f"{self.image} has {numbers} numbers, pca takes {MOST} at most: pool or crop it")
        unit = common_unit(image)
        return (Column("loss", squared(unit)), Column("mahalanobis"), Column("latent", unit))

    def fit(self, train: Dataset, valid: Dataset, run: Run) -> State:
        """Find the directions.

        Raises:
            DataError: no rows, negative weights, or fewer directions in which images differ than components.
        """
        if not len(train):
            raise DataError("no rows to learn from", fix="Make more rows, or a larger part of them for training.")
        mean_weight(train)  # refuses negative weights
        first, second, weights = 0.0, 0.0, 0.0
        run.progress.start("reading images", len(train), "jets")
        for _, sample in train.samples():
            cells, weight = _cells(sample.image(self.image)), sample.column("weight").astype(np.float64)
            weighted = cells.multiply(weight[:, None]).tocsr()
            first, second = first + weighted.sum(axis=0), second + (weighted.T @ cells).toarray()
            weights += float(weight.sum())
            run.progress.advance(len(sample))
        run.progress.stop()
        mean = np.asarray(first) / weights
        variances, directions = np.linalg.eigh(np.asarray(second) / weights - np.outer(mean, mean))
        variances, directions = variances[::-1], directions[:, ::-1]
        found = int(np.sum(variances > NOTHING * variances[0])) if variances[0] > 0 else 0
        if found < self.components:
            raise DataError(
                f"images differ in {found} directions", where="pca", needed=f"at least components: {self.components}"
            )
        run.logger.info("%.4f of the variance kept", variances[: self.components].sum() / variances.sum())
        kept = slice(self.components)
        return {"mean": mean, "directions": directions[:, kept].T.copy(), "variances": variances[kept].copy()}

    def predict(self, state: State, sample: Sample, run: Run) -> Predictions:
        """``loss`` (n_rows,), square of the image's unit; ``mahalanobis`` (n_rows,); ``latent`` (n_rows, components).

        Raises:
            DataError: the state is of other images.
        """
        mean, directions, variances = (np.asarray(state[name]) for name in ("mean", "directions", "variances"))
        cells = _cells(sample.image(self.image))
        if cells.shape[1] != len(mean):
            raise DataError(f"images of {cells.shape[1]} numbers", needed=f"{len(mean)}, as those learned from")
        latent = cells @ directions.T - directions @ mean
        distance = np.asarray(cells.power(2).sum(axis=1)) - 2 * (cells @ mean) + mean @ mean
        loss = np.maximum(distance - np.square(latent).sum(axis=1), 0) / len(mean)
        return {"loss": loss, "mahalanobis": (np.square(latent) / variances).sum(axis=1), "latent": latent}


def _cells(images: SparseImages) -> csr_array:
    """(n_images, cells x channels) in double precision, zeros not stored."""
    from scipy.sparse import csr_array

    channels = len(images.channels)
    columns = images.cells[:, None].astype(np.int64) * channels + np.arange(channels)
    shape = (len(images), images.grid.size * channels)
    return csr_array(
        (images.values.astype(np.float64).ravel(), columns.ravel(), images.offsets * channels), shape=shape
    )
