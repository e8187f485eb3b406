"""Options of the task ``superres_gan``: its networks and its losses, with the thesis's final values (table 7.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from hepimg.options import Options

if TYPE_CHECKING:
    from torch import nn

    from hepimg.adversarial.layers import Layers
    from hepimg_superres.gan.generator import Generator

Merit = Literal["hr_spectra", "patch", "lr_spectra"]


class GanNetworks(Options):
    """Generator and discriminators; sparse ones have the same layers as dense ones, on active cells only."""

    rrdb: int = Field(10, ge=0, description="residual in residual dense blocks of the generator")
    filters: int = Field(64, ge=1, description="channels of the generator")
    beta: float = Field(0.1, gt=0, description="residual scale of the blocks")
    upsampling: tuple[Literal["ps", "tc"], ...] = Field(
        ("ps", "tc", "ps"),
        min_length=1,
        description="a stage of twice the resolution each: pixel shuffle, or transposed convolution",
    )
    rrdb_after: int = Field(0, ge=0, description="blocks after upsampling; dear, and worse in the thesis")
    bias: bool = Field(
        True,
        description="whether the generator's convolutions have biases, as in the thesis; without, blank dense images "
        "stay exactly blank (sparse ones always do)",
    )
    discriminator_filters: int = Field(64, ge=1, description="channels of a discriminator's first block; they double")
    discriminator_blocks: int = Field(4, ge=1, description="blocks of a discriminator; each halves the resolution")
    reset: int | None = Field(
        20_000,
        ge=1,
        description="batches after which the second discriminators, whose answers are averaged with the first, are "
        "drawn anew; null: no second ones",
    )

    @property
    def factor(self) -> int:
        """Fine cells for a coarse one, along each axis."""
        return 1 << len(self.upsampling)

    def build_generator(self, layers: Layers) -> Generator:
        """The generator, its weights from torch's global generator of random numbers."""
        from hepimg_superres.gan.generator import Generator

        return Generator(
            layers, self.rrdb, self.filters, self.beta, self.upsampling, after=self.rrdb_after, bias=self.bias
        )

    def build_discriminator(self, layers: Layers) -> nn.Module:
        """One discriminator; with a second, both averaged."""
        from hepimg.adversarial.patch_discriminator import Averaged, PatchDiscriminator

        def one() -> nn.Module:
            return PatchDiscriminator(layers, self.discriminator_filters, self.discriminator_blocks)

        return one() if self.reset is None else Averaged(one(), one())


class GanLosses(Options):
    """The loss of equation 4.10, in GeV and in GeV to the power ``power``, and the gradient penalty of 4.8."""

    power: float = Field(0.3, gt=0, le=1, description="p: the generator sees and makes images to this power")
    lambda_std: float = Field(0.2, ge=0, description="weight of all that is about standard images")
    lambda_pow: float = Field(1.0, ge=0, description="weight of all that is about images to the power p")
    lambda_hr: float = Field(1.0, ge=0, description="weight of L1 at high resolution")
    lambda_lr: float = Field(0.1, ge=0, description="weight of L1 between the pooled result and the input")
    lambda_adv: float = Field(0.01, ge=0, description="weight of the relativistic average loss")
    lambda_patch: float = Field(
        0.1, ge=0, description="weight of the soft patch image's L2; the thesis has 0 at x2 and x4"
    )
    lambda_reg: float = Field(0.001, ge=0, description="weight of the discriminators' gradient penalty")
    hr_loss: Literal["pixel", "mean"] = Field(
        "pixel",
        description="L1 at high resolution: pixel, of each image, as in the thesis; mean, of the means over the batch, "
        "as in the published code",
    )
    threshold: float = Field(
        0.1, gt=0, description="GeV; below it, a cell of a generated image is empty; the middle of the soft occupancy"
    )

    @model_validator(mode="after")
    def _check(self) -> GanLosses:
        if not self.lambda_std and not self.lambda_pow:
            raise ValueError("lambda_std and lambda_pow are both 0: there is nothing to learn")
        if not (self.lambda_hr or self.lambda_lr or self.lambda_adv or self.lambda_patch):
            raise ValueError("lambda_hr, lambda_lr, lambda_adv and lambda_patch are all 0: there is nothing to learn")
        return self
