"""Options of the task ``lagan``: its networks, its losses and its training, with the published values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from hepimg.adversarial.options import GameOptions, Memory
from hepimg.options import Options

if TYPE_CHECKING:
    from hepimg_generation.lagan.discriminator import LaganDiscriminator
    from hepimg_generation.lagan.generator import LaganGenerator


class LaganNetworks(Options):
    """Generator and discriminator."""

    latent: int = Field(200, ge=1, description="normal random numbers that an image is made from")
    dense: int = Field(128, ge=1, description="channels of the generator's first, dense layer")
    convolution: int = Field(64, ge=1, description="channels of the generator's convolution")
    local: int = Field(6, ge=1, description="channels of the generator's locally connected layers")
    discriminator_convolution: int = Field(32, ge=1, description="channels of the discriminator's convolution")
    discriminator_local: int = Field(8, ge=1, description="channels of its locally connected layers")
    kernels: int = Field(20, ge=1, description="kernels of its minibatch discrimination")
    kernel_width: int = Field(10, ge=1, description="numbers that each of these compares")
    dropout: float = Field(0.2, ge=0, lt=1, description="chance that the discriminator leaves out a number")

    def build_generator(self, shape: tuple[int, int], classes: int) -> LaganGenerator:
        """The generator, its weights from torch's global generator of random numbers."""
        from hepimg_generation.lagan.generator import LaganGenerator

        return LaganGenerator(shape, classes, self.latent, self.dense, self.convolution, self.local)

    def build_discriminator(self, shape: tuple[int, int], classes: int) -> LaganDiscriminator:
        """The discriminator, likewise."""
        from hepimg_generation.lagan.discriminator import LaganDiscriminator

        return LaganDiscriminator(
            shape,
            classes,
            self.discriminator_convolution,
            self.discriminator_local,
            self.kernels,
            self.kernel_width,
            self.dropout,
        )


class LaganLosses(Options):
    """Cross-entropies of both questions, with some answers turned into wrong ones, so that no side gets too sure."""

    class_weight: float = Field(1.0, ge=0, description="weight of the question for the class, of both sides")
    flips: float = Field(
        0.05,
        ge=0,
        lt=0.5,
        description="share of wrong answers that the discriminator learns: whether an image is true, and the class of "
        "a generated one",
    )
    generator_flips: float = Field(
        0.09, ge=0, lt=0.5, description="share of wrong classes that the generator is asked for"
    )


class LaganFit(GameOptions):
    """Alternating steps of Adam; the generator with the best figures of merit is kept."""

    steps: int = Field(
        default=40_000, ge=1, description="batches: with each, one step of the discriminator, then one of the generator"
    )
    batch_size: int = Field(default=100, ge=2, description="rows of a batch")
    learning_rate: float = Field(default=2e-4, gt=0, description="of Adam")
    betas: tuple[Memory, Memory] = Field(
        default=(0.5, 0.999), description="memories of Adam: of the gradient and of its square"
    )
