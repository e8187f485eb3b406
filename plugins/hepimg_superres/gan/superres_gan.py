"""The task ``superres_gan``: super-resolution by adversarial networks, dense as published, or sparse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import ConfigDict

from hepimg.adversarial.options import GameOptions
from hepimg.components import Field, Grid, Image, Port, Ports, Predictions, Run, State, Task
from hepimg.errors import DataError
from hepimg.weights import check_equal_weights
from hepimg_superres.gan.options import GanLosses, GanNetworks, Merit
from hepimg_superres.resolutions import doublings

if TYPE_CHECKING:
    from hepimg.dataset import Dataset
    from hepimg.images import SparseImages
    from hepimg.sample import Sample


class SuperresGan(Task):
    """The generative adversarial networks of Keilbach's thesis on super-resolution of jet images.

    Options and losses follow the thesis, unless their description says otherwise.  Nothing forces the energy of a
    coarse cell to be kept, and there is no noise: a coarse image has one fine image.  With ``sparse``, the same game is
    played by the same networks on active cells only.
    """

    # A task has a method fit, so the option of that name is another field's alias.
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    name: ClassVar[str] = "superres_gan"
    needs_validation: ClassVar[bool] = True
    libraries: ClassVar[tuple[str, ...]] = ("lightning",)

    high: str = Field("hr", description="fine image to learn from, with one channel; its grid is what comes out")
    low: str = Field("lr", description="coarse image")
    networks: GanNetworks = Field(GanNetworks(), description="sizes of generator and discriminators")
    losses: GanLosses = Field(GanLosses(), description="weights of the losses")
    sparse: bool = Field(False, description="networks on active cells only; generated cells below the threshold vanish")
    merits: tuple[Merit, ...] = Field(
        ("hr_spectra", "patch", "lr_spectra"),
        min_length=1,
        description="figures of merit whose mean decides which generator is kept: spectra of the n-th hardest pixels, "
        "patch image, spectra of the pooled images",
    )
    training: GameOptions = Field(GameOptions(), alias="fit", description="how it is trained")

    def reads(self) -> Sequence[Port]:
        """Both images."""
        return Image(self.high), Image(self.low)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The fine image.

        Raises:
            ValueError: the grids do not fit to the stages of upsampling, or an image has not one unsigned channel.
        """
        high, low = ports.get(self.high), ports.get(self.low)
        if not isinstance(high, Image) or not isinstance(low, Image):
            return (Image("image"),)
        if high.grid and low.grid:
            self._check_factor(high.grid, low.grid)
        for port in (high, low):
            if port.channels and (len(port.channels) > 1 or port.channels[0].signed):
                raise ValueError(f"{port.name} needs one channel that is never negative, as pt; found {port.channels}")
        return (Image("image", high.grid, high.channels),)

    def fit(self, train: Dataset, valid: Dataset, run: Run) -> State:
        """Play the game.

        Raises:
            DataError: no rows, grids that do not fit to the stages of upsampling, rows of different weights, or a loss
                that is not finite.
        """
        from hepimg.adversarial.game import play
        from hepimg.sparse import use_engine
        from hepimg.training.state import state_of
        from hepimg_superres.gan.game import Batch, SuperresGame, as_tensor

        def build() -> SuperresGame:
            return SuperresGame(self.networks, self.losses, self.high, self.low, self.merits, sparse=self.sparse)

        def prepare(sample: Sample) -> Batch:
            high, low = self._images(sample)
            return as_tensor(high), as_tensor(low)

        check_equal_weights(train, valid)
        with use_engine("native"):  # the only one that is twice differentiable, which the penalty needs
            return state_of(play(build, train, valid, self.training, run, prepare))

    def predict(self, state: State, sample: Sample, run: Run) -> Predictions:
        """``image``: fine images, with the grid and the channel of ``high``.

        Raises:
            DataError: grids that do not fit to the stages of upsampling, or the state is of another network.
        """
        from hepimg.training.state import load_state
        from hepimg_superres.gan.game import layers_of, sharpened

        high, low = self._images(sample)
        generator = self.networks.build_generator(layers_of(sparse=self.sparse))
        load_state(generator, state)
        return {"image": sharpened(generator.to(run.device).eval(), self.losses, low, high)}

    def _images(self, sample: Sample) -> tuple[SparseImages, SparseImages]:
        high, low = sample.image(self.high), sample.image(self.low)
        try:
            self._check_factor(high.grid, low.grid)
        except ValueError as error:
            raise DataError(str(error)) from error
        return high, low

    def _check_factor(self, high: Grid, low: Grid) -> None:
        factor = 1 << doublings(high, low)
        if factor != self.networks.factor:
            raise ValueError(
                f"{self.high} has {factor} times the cells of {self.low} along each axis, networks.upsampling makes "
                f"{self.networks.factor} times as many: one stage for each factor of two"
            )
