"""The game of LAGAN: an auxiliary-classifier GAN (arXiv:1610.09585) on jet images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from hepimg.components import Grid
from hepimg.images import Channel, SparseImages
from hepimg.sample import Sample
from hepimg_generation.classes import one_hot
from hepimg_generation.lagan.generator import LaganGenerator
from hepimg_generation.lagan.merits import distances
from hepimg_generation.lagan.options import LaganLosses, LaganNetworks

Batch = tuple[Tensor, Tensor]
"""(batch, 1, rows, columns) true images over the scale, and (batch, classes) a one for the class of each."""


class LaganGame:
    """See :class:`hepimg.adversarial.game.Game`.

    True and generated images go through the discriminator one after the other: its norms and its minibatch
    discrimination look at whole batches.

    Args:
        networks: their sizes.
        losses: their weights.
        image: name of the image.
        shape: its rows and columns.
        classes: names of the classes.
        scale: energy that the networks call 1, GeV.
        threshold: least energy of an active cell, GeV.
    """

    def __init__(
        self,
        networks: LaganNetworks,
        losses: LaganLosses,
        image: str,
        shape: tuple[int, int],
        classes: Sequence[str],
        scale: float,
        threshold: float,
    ) -> None:
        self.losses, self.image, self.classes = losses, image, classes
        self.scale, self.threshold = scale, threshold
        self.generator: nn.Module = networks.build_generator(shape, len(classes))
        self.discriminators: nn.Module = networks.build_discriminator(shape, len(classes))

    def generate(self, batch: Batch) -> Tensor:
        """(batch, 1, rows, columns) images of the classes of the batch."""
        assert isinstance(self.generator, LaganGenerator)
        return self.generator.draw(batch[1])

    def discriminator_terms(self, batch: Batch, generated: Tensor) -> Mapping[str, Tensor]:
        """Cross-entropies of true or not, and of the class, on true and on generated images."""
        images, classes = batch
        flips, weight = self.losses.flips, self.losses.class_weight
        truth, truth_class = self.discriminators(images)
        made, made_class = self.discriminators(generated)
        return {
            "truth": _binary(truth, 1.0, flips),
            "generated": _binary(made, 0.0, flips),
            "truth_class": weight * cross_entropy(truth_class, classes.argmax(1)),
            "generated_class": weight * cross_entropy(made_class, _other_classes(classes, flips)),
        }

    def generator_terms(self, batch: Batch, generated: Tensor) -> Mapping[str, Tensor]:
        """To be taken for true, and for the class that was asked for."""
        made, made_class = self.discriminators(generated)
        asked = _other_classes(batch[1], self.losses.generator_flips)
        return {
            "trick": _binary(made, 1.0, 0.0),
            "class": self.losses.class_weight * cross_entropy(made_class, asked),
        }

    def renew(self, step: int) -> Iterable[nn.Parameter]:
        """Nothing is drawn anew."""
        return []

    def merits(self, valid: Sample) -> Mapping[str, float]:
        """Distances of the classes that there are validation rows of."""
        truth = valid.image(self.image)
        asked = torch.from_numpy(one_hot(valid, self.classes, "lagan")).to(next(self.generator.parameters()).device)
        assert isinstance(self.generator, LaganGenerator)
        made = as_images(self.generator.draw(asked) * self.scale, self.threshold, truth.grid, truth.channels)
        rows = {name: valid.is_from(name).nonzero()[0] for name in self.classes if valid.is_from(name).any()}
        return distances(*({name: images[chosen] for name, chosen in rows.items()} for images in (truth, made)))


def as_images(made: Tensor, threshold: float, grid: Grid, channels: Sequence[Channel]) -> SparseImages:
    """(n, 1, rows, columns) energies in GeV as images; what is below the threshold is empty."""
    return SparseImages.from_dense(torch.where(made < threshold, 0, made).cpu().numpy(), grid, channels)


def _binary(logits: Tensor, answer: float, flips: float) -> Tensor:
    """Cross-entropy against one answer, some of it the other one."""
    answers = torch.full_like(logits, answer)
    flipped = torch.rand_like(logits) < flips
    return binary_cross_entropy_with_logits(logits, torch.where(flipped, 1 - answers, answers))


def _other_classes(classes: Tensor, flips: float) -> Tensor:
    """(batch,) numbers of the classes; a share of them is another one, drawn evenly from the others."""
    number, count = classes.argmax(1), classes.shape[1]
    if count == 1:
        return number
    steps = torch.randint(1, count, number.shape, device=number.device)
    flipped = torch.rand(number.shape, device=number.device) < flips
    return torch.where(flipped, (number + steps) % count, number)
