"""The task ``tagging``: a sparse residual network on jet images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import ConfigDict

from hepimg.components import Column, Field, Image, Port, Ports, Predictions, Run, State, Task
from hepimg.training.options import FitOptions
from hepimg_tagging.classes import check_two_classes
from hepimg_tagging.mirror import check_mirror, mirrored
from hepimg_tagging.network import Network

if TYPE_CHECKING:
    from torch import Tensor

    from hepimg.dataset import Dataset
    from hepimg.sample import Sample
    from hepimg.sparse import SparseTensor
    from hepimg_tagging.pixels import PixelFeatures

FIRST_ROWS = 1024
"""Rows on which the features are measured."""


class Tagging(Task):
    """Tags jets by their images: the probability of signal, were the classes as frequent as in training.

    Trained with binary cross-entropy; each jet counts with its weight.  Random steps (rotation, flip) matter more than
    the size of the network; with ``test_draws`` the score is the mean probability over the draws (as good as the mean
    logit: over 8 draws of 5k jets, the same AUC to 5e-5).

    With ``learn_from`` it learns from another image of the same rows than it is applied to, such as a generated one:
    does what is generated teach the same as the truth?  Random steps do not move what another task has generated;
    ``mirror`` does.
    """

    # A task has a method fit, so the option of that name is another field's alias.
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    name: ClassVar[str] = "tagging"
    version: ClassVar[int] = 2
    libraries: ClassVar[tuple[str, ...]] = ("lightning",)

    image: str = Field("image", description="image with a channel pt; count, and mean positions y and phi, help")
    signal: str = Field(description="sample that is the signal; all others are background")
    learn_from: str = Field(
        "", description="image to learn from, such as grow.image: same grid, same channels; empty: the same image"
    )
    mirror: bool = Field(False, description="mirror images at random in training, along each axis")
    network: Network = Field(Network(), description="size of the network")
    training: FitOptions = Field(FitOptions(), alias="fit", description="how it is trained")

    @property
    def learned(self) -> str:
        """Name of the image that it learns from."""
        return self.learn_from or self.image

    def reads(self) -> Sequence[Port]:
        """The images."""
        return [Image(name) for name in dict.fromkeys((self.image, self.learned))]

    def learns_from(self) -> Sequence[Port]:
        """One image."""
        return (Image(self.learned),)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The score.

        Raises:
            ValueError: no channel pt, different grids or channels of the two images, or a mirror image would be wrong.
        """
        images = [port for name in (self.image, self.learned) if isinstance(port := ports.get(name), Image)]
        for image in images:
            if image.channels and "pt" not in [channel.name for channel in image.channels]:
                raise ValueError(f"tagging needs an image with a channel pt; {image.name} has none")
            if self.mirror:
                check_mirror(image)
        if len({image.grid for image in images} - {None}) > 1:
            raise ValueError(f"{self.image} and {self.learned} are on different grids; needed: the same")
        channels = {tuple(channel.name for channel in image.channels) for image in images if image.channels}
        if len(channels) > 1:
            names = " and ".join(", ".join(some) for some in sorted(channels))
            raise ValueError(f"{self.image} and {self.learned} have different channels, {names}; needed: the same")
        return (Column("score"),)

    def samples(self) -> Sequence[str]:
        """The signal."""
        return (self.signal,)

    def fit(self, train: Dataset, valid: Dataset, run: Run) -> State:
        """Train the network.

        Raises:
            DataError: one class only, no rows, only empty images, or a loss that is not finite.
        """
        from hepimg.training.loop import fit
        from hepimg_tagging.scoring import saved, tensor_of, weighted_loss

        check_two_classes(train, self.signal)
        features = self._features(train, run)

        def prepare(sample: Sample) -> tuple[SparseTensor, Tensor, Tensor]:
            import torch

            is_signal = torch.from_numpy(sample.is_from(self.signal).astype(np.float32))
            weight = torch.from_numpy(sample.column("weight").astype(np.float32))
            images = sample.image(self.learned)
            return tensor_of(features, mirrored(images) if self.mirror else images), is_signal, weight

        build = partial(self.network.build, features.size)
        return saved(features, fit(build, weighted_loss, train, valid, self.training, run, prepare))

    def predict(self, state: State, sample: Sample, run: Run) -> Predictions:
        """``score``: (n_rows,) float32 in [0, 1].

        Raises:
            DataError: the images are on another grid or lack a channel, or the state is of another network.
        """
        from hepimg_tagging.scoring import Scorer

        return {"score": Scorer(self.network, state, run.device).scores(sample.image(self.image))}

    def _features(self, train: Dataset, run: Run) -> PixelFeatures:
        """The features that the first rows of the training set allow."""
        from hepimg_tagging.pixels import PixelFeatures

        first = next(train.batches(FIRST_ROWS, run.seed, 0))
        return PixelFeatures.measured(first.image(self.learned))
