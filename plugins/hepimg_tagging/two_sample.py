"""The task ``two_sample``: can a network tell generated images from true ones?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import ConfigDict

from hepimg.components import Column, Field, Image, Port, Ports, Predictions, Run, State, Task
from hepimg.errors import DataError
from hepimg.training.options import FitOptions
from hepimg_tagging.mirror import check_mirror, mirrored
from hepimg_tagging.network import Network

if TYPE_CHECKING:
    from torch import Tensor

    from hepimg.dataset import Dataset
    from hepimg.images import SparseImages
    from hepimg.sample import Sample
    from hepimg.sparse import SparseTensor


class FineNetwork(Network):
    """A network for images of 160 x 160 cells."""

    widths: tuple[int, ...] = Field(default=(32, 48, 64, 96), min_length=1, description="channels of each level")
    blocks: tuple[int, ...] = Field(default=(1, 1, 1, 1), description="residual blocks of each level")
    kernel: int = Field(default=5, ge=1, description="size of the convolutions, odd")


class QuickFit(FitOptions):
    """A training of small batches on few rows."""

    epochs: int = Field(default=8, ge=1, description="passes over the training rows")
    batch_size: int = Field(default=64, ge=2, description="rows of a step, of two images each")
    learning_rate: float = Field(default=2e-3, gt=0, description="largest learning rate of the cycle")


class TwoSample(Task):
    """Tells true from generated images: a classifier two-sample test (Lopez-Paz and Oquab, arXiv:1610.06545).

    Each row holds one true and one generated image.  The network sees one image at a time, never which two belong
    together, and the two of a row lie in the same batch: what they have in common (the jet that both show, their mirror
    image) can then not tell them apart by chance, so that fewer rows suffice.  Both halves of a batch go through the
    network at once; a batch of true images and one of generated images would each be normalised by itself, and that
    hides differences.  In prediction an image's score depends on no other image.

    Random steps rest, in training too: the generated images are of jets at rest.  Only the rows that it learns from
    (``train_rows``) have to be generated, besides those of the test.  What made the images has often learned from these
    rows: a model that knows them by heart looks better to this test than it is, unless it can leave them out (as the
    nearest patches of ``superres_baseline`` do).
    """

    # A task has a method fit, so the option of that name is another field's alias.
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    name: ClassVar[str] = "two_sample"
    libraries: ClassVar[tuple[str, ...]] = ("lightning",)

    truth: str = Field("hr", description="the true image, with a channel pt")
    generated: str = Field(description="the generated image, such as sharpen.image: same grid, same channels")
    network: FineNetwork = Field(FineNetwork(), description="size of the network")
    mirror: bool = Field(
        True,
        description="mirror rows at random in training, along each axis: fewer rows suffice, but what differs between "
        "left and right only is then not seen",
    )
    training: QuickFit = Field(QuickFit(), alias="fit", description="how it is trained")

    def reads(self) -> Sequence[Port]:
        """Both images."""
        return (Image(self.truth), Image(self.generated))

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The scores of both images of a row: how likely each is generated.

        Raises:
            ValueError: the images are on different grids or have different channels, no channel pt, or a mirror
                image would be wrong.
        """
        truth, generated = ports.get(self.truth), ports.get(self.generated)
        if isinstance(truth, Image) and isinstance(generated, Image):
            if self.mirror:
                check_mirror(truth)
            if None not in (truth.grid, generated.grid) and truth.grid != generated.grid:
                raise ValueError(
                    f"{self.truth} is on {truth.grid}, {self.generated} on {generated.grid}; needed: the same"
                )
            channels = [[channel.name for channel in image.channels] for image in (truth, generated)]
            if all(channels) and channels[0] != channels[1]:
                names = " and ".join(", ".join(some) for some in channels)
                raise ValueError(f"{self.truth} and {self.generated} have the channels {names}; needed: the same")
            if channels[0] and "pt" not in channels[0]:
                raise ValueError(f"two_sample needs images with a channel pt; {self.truth} has none")
        return (Column("truth"), Column("generated"))

    def fit(self, train: Dataset, valid: Dataset, run: Run) -> State:
        """Train the network.

        Raises:
            DataError: no rows, only empty images, different grids or channels, or a loss that is not finite.
        """
        from hepimg.training.loop import NO_ROWS, fit
        from hepimg_tagging.pixels import PixelFeatures
        from hepimg_tagging.scoring import saved, tensor_of, weighted_loss

        if not len(train):
            raise DataError("no rows to train on", fix=NO_ROWS)
        train, valid = train.resting(), valid.resting()
        features = PixelFeatures.measured(train.load([self.truth], limit=1024).image(self.truth))

        def prepare(sample: Sample) -> tuple[SparseTensor, Tensor, Tensor]:
            import torch

            is_generated = torch.tensor([0.0, 1.0]).repeat_interleave(len(sample))
            weight = torch.from_numpy(sample.column("weight").astype(np.float32)).repeat(2)
            return tensor_of(features, self._both(sample)), is_generated, weight

        build = partial(self.network.build, features.size)
        return saved(features, fit(build, weighted_loss, train, valid, self.training, run, prepare))

    def predict(self, state: State, sample: Sample, run: Run) -> Predictions:
        """``truth`` and ``generated``: (n_rows,) float32 in [0, 1], the scores of the two images.

        Raises:
            DataError: the images are on another grid or lack a channel, or the state is of another network.
        """
        from hepimg_tagging.scoring import Scorer

        scorer = Scorer(self.network, state, run.device)
        return {
            "truth": scorer.scores(sample.image(self.truth)),
            "generated": scorer.scores(sample.image(self.generated)),
        }

    def _both(self, sample: Sample) -> SparseImages:
        """The true images, then the generated ones; the two of a row are mirrored alike."""
        from hepimg.images import SparseImages

        images = SparseImages.concatenate([sample.image(self.truth), sample.image(self.generated)])
        return mirrored(images, 2) if self.mirror else images
