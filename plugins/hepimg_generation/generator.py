"""The task ``generator``: sparse jet images grown from a single cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import ConfigDict, PositiveInt

from hepimg.components import Field, Grid, Image, Port, Ports, Predictions, Run, State, Task
from hepimg.errors import DataError
from hepimg.expansion import ExpansionFit, ExpansionOptions
from hepimg.expansion.options import Order
from hepimg.expansion.single import check_energies, single_cells, stages_of
from hepimg.weights import mean_weight
from hepimg_generation.classes import classes_in, one_hot, split_classes, with_classes

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hepimg.dataset import Dataset
    from hepimg.expansion.network import Expansion
    from hepimg.expansion.pyramid import Pyramid
    from hepimg.sample import Sample

AT_ONCE = 512
"""Images that are grown at a time."""


class Network(ExpansionOptions):
    """The network of all stages."""

    blocks: tuple[PositiveInt, ...] = Field(
        (2, 2, 3, 3, 2),
        min_length=1,
        description="residual blocks of each stage; the last number also for all further ones",
    )
    order: tuple[Order, ...] = Field(
        ("sites", "sites", "sites", "sites", "colours"),
        min_length=1,
        description="how the sites of each stage are decided, the last also for all further ones: sites: one after the "
        "other, the hardest first, each knowing those before it; colours: in four groups; none: independently",
    )


class Generator(Task):
    """Draws jets of a class and a total energy: one cell becomes four, and so on down to the image's own cells.

    The likelihood is that of super-resolution, from an image of one cell upwards.  In prediction each row gives its
    class and its total energy, and nothing else: what is generated is another jet of both.  Jets should lie on their
    axis (step ``center``): the network is told how far the centroid is from the middle.
    """

    # A task has a method fit, so the option of that name is another field's alias.
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    name: ClassVar[str] = "generator"
    version: ClassVar[int] = 2
    libraries: ClassVar[tuple[str, ...]] = ("lightning",)
    only_learned: ClassVar[bool] = True

    image: str = Field("image", description="image to learn, of 2, 4, 8 ... cells along both axes; its first channel")
    threshold: float = Field(
        0.0, ge=0, description="least energy of an active cell (GeV), as the step threshold left it"
    )
    network: Network = Field(Network(), description="the network")
    training: ExpansionFit = Field(ExpansionFit(), alias="fit", description="how it is trained")

    def reads(self) -> Sequence[Port]:
        """The image."""
        return (Image(self.image),)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """A generated image.

        Raises:
            ValueError: the image does not shrink to one cell by halving.
        """
        image = ports.get(self.image)
        if not isinstance(image, Image) or image.grid is None:
            raise ValueError(f"{self.image} is no image on a known grid")
        stages_of(image.grid)
        return (replace(image, name="image", channels=image.channels[:1]),)

    def fit(self, train: Dataset, valid: Dataset, run: Run) -> State:
        """Train the network.

        Raises:
            DataError: no rows, negative weights, cells below the threshold, or a loss that is not finite.
        """
        from hepimg.training.loop import NO_ROWS, fit
        from hepimg.training.state import state_of

        if not len(train):
            raise DataError("no rows to train on", fix=NO_ROWS)
        classes = classes_in(train)
        mean, stages = mean_weight(train, valid), stages_of(train.load([self.image], 1).image(self.image).grid)

        def prepare(sample: Sample) -> tuple[Pyramid, Tensor, Tensor]:
            import torch

            from hepimg.expansion.pyramid import Pyramid

            images = sample.image(self.image)
            check_energies(images, self.image, self.threshold)
            weight = torch.from_numpy((sample.column("weight") / mean).astype(np.float32))
            condition = torch.from_numpy(one_hot(sample, classes, self.name))
            return Pyramid.of(images, stages), weight, condition

        def loss(network: nn.Module, batch: tuple[Pyramid, Tensor, Tensor]) -> Tensor:
            value: Tensor = network(*batch)
            return value

        network = fit(lambda: self._build(stages, len(classes)), loss, train, valid, self.training, run, prepare)
        return with_classes(classes, state_of(network))

    def predict(self, state: State, sample: Sample, run: Run) -> Predictions:
        """``image``: for each row another jet of its class and total energy; empty where its own image is.

        Raises:
            DataError: a row is of a class that was not learned, a cell below the threshold, or the state is of another
                network.
        """
        import torch

        from hepimg.images import SparseImages

        images = sample.image(self.image)
        check_energies(images, self.image, self.threshold)
        classes, network = self.restored(state, images.grid)
        network.to(run.device)
        single, rows = single_cells(images), sample.column("row")
        condition = torch.from_numpy(one_hot(sample, classes, self.name)).to(run.device)
        parts = [slice(first, first + AT_ONCE) for first in range(0, max(len(images), 1), AT_ONCE)]
        drawn = [network.sample(single[p], images.grid, rows[p], run.seed, 0, condition[p]) for p in parts]
        return {"image": SparseImages.concatenate(drawn)}

    def restored(self, state: State, grid: Grid) -> tuple[list[str], Expansion]:
        """The classes and the network that were learned, ready to draw from.

        Raises:
            DataError: the state is of another network.
        """
        from hepimg.training.state import load_state

        classes, weights = split_classes(state)
        network = self._build(stages_of(grid), len(classes))
        load_state(network, weights)
        return classes, network.eval()

    def _build(self, stages: int, classes: int) -> Expansion:
        from hepimg.expansion.network import Expansion
        from hepimg.expansion.shares import Bounds

        bounds = Bounds(self.threshold, math.inf)
        return Expansion(stages, bounds=bounds, conditions=classes, centred=True, **dict(self.network))
