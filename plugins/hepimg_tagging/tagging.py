"""The task ``tagging``: a sparse residual network on jet images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import ConfigDict, model_validator

from hepimg.components import Column, Field, Image, Options, Port, Ports, Predictions, Run, State, Task
from hepimg.training.options import FitOptions
from hepimg_tagging.classes import check_two_classes

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hepimg.dataset import Dataset
    from hepimg.sample import Sample
    from hepimg.sparse import SparseTensor
    from hepimg_tagging.pixels import PixelFeatures

FEATURES = "features"
"""Entry of the state that says, as JSON, which features the network was trained on."""

ROWS_AT_ONCE = 1024


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


class Tagging(Task):
    """Tags jets by their images: the probability of signal, were the classes as frequent as in training.

    Trained with binary cross-entropy; each jet counts with its weight.  Random steps (rotation, flip) matter more than
    the size of the network; with ``test_draws`` the score is the mean probability over the draws (as good as the mean
    logit: over 8 draws of 5k jets, the same AUC to 5e-5).
    """

    # A task has a method fit, so the option of that name is another field's alias.
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    name: ClassVar[str] = "tagging"
    version: ClassVar[int] = 2
    libraries: ClassVar[tuple[str, ...]] = ("lightning",)

    image: str = Field("image", description="image with a channel pt; count, and mean positions y and phi, help")
    signal: str = Field(description="sample that is the signal; all others are background")
    network: Network = Field(Network(), description="size of the network")
    training: FitOptions = Field(FitOptions(), alias="fit", description="how it is trained")

    def reads(self) -> Sequence[Port]:
        """The image."""
        return (Image(self.image),)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The score.

        Raises:
            ValueError: the image has no channel pt.
        """
        image = ports.get(self.image)
        if isinstance(image, Image) and image.channels and "pt" not in [channel.name for channel in image.channels]:
            raise ValueError(f"tagging needs an image with a channel pt; {self.image} has none")
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
        from hepimg.training.state import array_of_text, state_of

        check_two_classes(train, self.signal)
        features = self._features(train, run)

        def prepare(sample: Sample) -> tuple[SparseTensor, Tensor, Tensor]:
            import torch

            is_signal = torch.from_numpy(sample.is_from(self.signal).astype(np.float32))
            weight = torch.from_numpy(sample.column("weight").astype(np.float32))
            return self._tensor(features, sample), is_signal, weight

        network = fit(lambda: self.network.build(features.size), _loss, train, valid, self.training, run, prepare)
        return {FEATURES: array_of_text(features.model_dump_json()), **state_of(network)}

    def predict(self, state: State, sample: Sample, run: Run) -> Predictions:
        """``score``: (n_rows,) float32 in [0, 1].

        Raises:
            DataError: the images are on another grid or lack a channel, or the state is of another network.
        """
        import torch

        from hepimg.training.state import load_state, text_of_array
        from hepimg_tagging.pixels import PixelFeatures

        features = PixelFeatures.model_validate_json(text_of_array(state[FEATURES]))
        network = self.network.build(features.size)
        load_state(network, {name: array for name, array in state.items() if name != FEATURES})
        network.to(run.device).eval()
        score = np.empty(len(sample), np.float32)
        with torch.no_grad():
            for first in range(0, len(sample), ROWS_AT_ONCE):
                tensor = self._tensor(features, sample[first : first + ROWS_AT_ONCE]).to(run.device)
                score[first : first + ROWS_AT_ONCE] = network(tensor).squeeze(1).sigmoid().cpu().numpy()
        return {"score": score}

    def _features(self, train: Dataset, run: Run) -> PixelFeatures:
        """The features that the first rows of the training set allow."""
        from hepimg_tagging.pixels import PixelFeatures

        first = next(train.batches(ROWS_AT_ONCE, run.seed, 0))
        return PixelFeatures.measured(first.image(self.image))

    def _tensor(self, features: PixelFeatures, sample: Sample) -> SparseTensor:
        import torch

        from hepimg.sparse import SparseTensor

        images = sample.image(self.image)
        return SparseTensor.from_images(images, torch.from_numpy(features.of(images)))


def _loss(network: nn.Module, inputs: Any) -> Tensor:
    """Binary cross-entropy, the mean over the weights of the jets."""
    from torch.nn.functional import binary_cross_entropy_with_logits

    tensor, is_signal, weight = inputs
    total = binary_cross_entropy_with_logits(network(tensor).squeeze(1), is_signal, weight, reduction="sum")
    mean: Tensor = total / weight.sum()
    return mean
