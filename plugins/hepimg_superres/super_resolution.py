"""The task ``super_resolution``: sparse maximum likelihood in stages of a factor two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import ConfigDict, model_validator

from hepimg.components import Field, Image, Options, Port, Ports, Predictions, Run, State, Task
from hepimg.errors import DataError
from hepimg.training.options import FitOptions
from hepimg_superres.resolutions import doublings, draw_names, drawn_images, resolutions

if TYPE_CHECKING:
    from torch import Tensor

    from hepimg.dataset import Dataset
    from hepimg.expansion import Expansion, Pyramid
    from hepimg.images import SparseImages
    from hepimg.sample import Sample

ROWS_AT_ONCE = 512

ROUNDING = 1e-5


class Network(Options):
    """The network of all stages."""

    channels: int = Field(48, ge=1, description="features of each site")
    blocks: tuple[int, ...] = Field(
        (3, 2, 2), min_length=1, description="residual blocks of each stage; the last number also for all further ones"
    )
    kernel: int = Field(5, ge=1, description="size of the convolutions, odd")
    order: Literal["colours", "none"] = Field(
        "colours",
        description="colours: sites are decided in four groups, each knowing those before it; none: independently",
    )
    emphasis: float = Field(
        0.0,
        ge=0,
        description="how much more hard cells count in training: by 1 + emphasis x sqrt(E / E of the jet)",
    )

    @model_validator(mode="after")
    def _check(self) -> Network:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, found {self.kernel}")
        if min(self.blocks) < 0:
            raise ValueError("blocks must not be negative")
        return self


class SuperResolution(Task):
    """Sharpens jet images: each active cell becomes smaller ones, drawn from what they may have been.

    In stages of a factor two every site says which of its four children are active and how its energy is shared;
    trained by maximum likelihood on pooled true images.  Pooling what it predicts gives back the low image, empty
    regions stay empty, and other draws are other possible truths.
    """

    # A task has a method fit, so the option of that name is another field's alias.
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    name: ClassVar[str] = "super_resolution"
    libraries: ClassVar[tuple[str, ...]] = ("lightning",)

    high: str = Field("hr", description="image at high resolution, to learn from; its first channel is the energy")
    low: str = Field("lr", description="image at low resolution, to sharpen: the high one pooled by 2, 4, 8 ...")
    threshold: float = Field(
        0.0, ge=0, description="least energy of an active cell of the high image (GeV), as the step threshold left it"
    )
    draws: int = Field(1, ge=1, description="draws of each jet: image, draw2, draw3 ...")
    network: Network = Field(Network(), description="the network")
    training: FitOptions = Field(
        FitOptions(epochs=12, batch_size=128, learning_rate=2.5e-3, weight_decay=0.01, warm_up=0.15, clip=20.0),
        alias="fit",
        description="how it is trained",
    )

    def reads(self) -> Sequence[Port]:
        """The image at both resolutions."""
        return Image(self.high), Image(self.low)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The sharpened images.

        Raises:
            ValueError: the grid of one is not that of the other, halved.
        """
        high, _ = resolutions(ports, self.high, self.low)
        return drawn_images(high, self.draws)

    def fit(self, train: Dataset, valid: Dataset, run: Run) -> State:
        """Train the network.

        Raises:
            DataError: no rows, cells below the threshold, or a loss that is not finite.
        """
        from hepimg.expansion import Pyramid
        from hepimg.training.loop import fit
        from hepimg.training.state import state_of

        port = next(train.batches(self.training.batch_size, run.seed, 0), None)
        stages = 0 if port is None else doublings(port.image(self.high).grid, port.image(self.low).grid)

        def prepare(sample: Sample) -> Pyramid:
            images = sample.image(self.high)
            self._check_threshold(images)
            return Pyramid.of(images, stages)

        return state_of(fit(lambda: self._build(stages), _loss, train, valid, self.training, run, prepare))

    def predict(self, state: State, sample: Sample, run: Run) -> Predictions:
        """``image``, ``draw2`` ...: images at high resolution."""
        from hepimg.images import SparseImages
        from hepimg.training.state import load_state

        grid, low = sample.image(self.high).grid, sample.image(self.low)
        network = self._build(doublings(grid, low.grid))
        load_state(network, state)
        network.to(run.device).eval()
        rows = sample.column("row")
        return {
            name: SparseImages.concatenate(
                [
                    network.sample(
                        low[first : first + ROWS_AT_ONCE], grid, rows[first : first + ROWS_AT_ONCE], run.seed, k
                    )
                    for first in range(0, max(len(sample), 1), ROWS_AT_ONCE)
                ]
            )
            for k, name in enumerate(draw_names(self.draws))
        }

    def _check_threshold(self, images: SparseImages) -> None:
        least = float(images.values[:, 0].min(initial=math.inf))
        if least < self.threshold * (1 - ROUNDING):
            raise DataError(
                f"an active cell of {self.high} with {least:g}, below the threshold of {self.threshold:g}",
                fix=f"Put the step threshold after the one that makes {self.high}, or lower the option threshold.",
            )

    def _build(self, stages: int) -> Expansion:
        from hepimg.expansion import Expansion

        options = self.network
        return Expansion(
            stages, options.channels, options.blocks, options.kernel, self.threshold, options.order, options.emphasis
        )


def _loss(network: Any, pyramid: Pyramid) -> Tensor:
    loss: Tensor = network(pyramid)
    return loss
