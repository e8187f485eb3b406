"""The game of super-resolution: a generator, and discriminators of standard and of power images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from hepimg.adversarial.layers import DenseLayers, Layers, SparseLayers
from hepimg.adversarial.losses import gradient_penalty, relativistic_discriminator_loss, relativistic_generator_loss
from hepimg.adversarial.patch_discriminator import Averaged
from hepimg.images import SparseImages
from hepimg.sample import Sample
from hepimg_superres.gan.loss import View, image_terms, views
from hepimg_superres.gan.merits import figures_of_merit
from hepimg_superres.gan.options import GanLosses, GanNetworks, Merit

ROWS_AT_ONCE = 32

Batch = tuple[Tensor, Tensor]
"""(batch, 1, rows, columns) true images at high resolution, and (batch, 1, coarse rows, coarse columns); in GeV."""


def layers_of(*, sparse: bool) -> Layers:
    """The kind of layers."""
    return SparseLayers() if sparse else DenseLayers()


class SuperresGame:
    """See :class:`hepimg.adversarial.game.Game`.

    Args:
        networks: their sizes.
        losses: their weights.
        high: name of the fine image.
        low: name of the coarse image.
        merits: names of figures of merit.
        sparse: whether the networks are.
    """

    def __init__(
        self, networks: GanNetworks, losses: GanLosses, high: str, low: str, merits: Sequence[Merit], *, sparse: bool
    ) -> None:
        self.networks, self.losses, self.high, self.low, self.names = networks, losses, high, low, merits
        self.layers, self.sparse = layers_of(sparse=sparse), sparse
        self.generator: nn.Module = networks.build_generator(self.layers)
        self.discriminators: nn.Module = nn.ModuleDict(
            {name: networks.build_discriminator(self.layers) for name in ("std", "pow")}
        )

    def generate(self, batch: Batch) -> Tensor:
        """(batch, 1, rows, columns) power images."""
        generated: Tensor = self.generator(batch[1].pow(self.losses.power))
        return generated

    def discriminator_terms(self, batch: Batch, generated: Tensor) -> Mapping[str, Tensor]:
        """Relativistic losses and gradient penalties (4.7, 4.8) of the views whose judgement the generator minds."""
        terms = {}
        for view in views(self.losses, *batch, generated):
            if not view.weight * self.losses.lambda_adv:
                continue
            judge = self._judge(view)
            terms[f"adv_{view.name}"] = relativistic_discriminator_loss(judge(view.hr), judge(view.sr))
            if self.losses.lambda_reg:
                terms[f"reg_{view.name}"] = self.losses.lambda_reg * gradient_penalty(judge, view.hr, view.sr)
        return terms

    def generator_terms(self, batch: Batch, generated: Tensor) -> Mapping[str, Tensor]:
        """The terms of equation 4.10."""
        terms = {}
        for view in views(self.losses, *batch, generated):
            if weight := view.weight * self.losses.lambda_adv:
                judge = self._judge(view)
                with torch.no_grad():
                    truth = judge(view.hr)
                terms[f"adv_{view.name}"] = weight * relativistic_generator_loss(truth, judge(view.sr))
            terms |= dict(image_terms(self.losses, view))
        return terms

    def renew(self, step: int) -> Iterable[nn.Parameter]:
        """The second discriminators, every ``reset`` batches."""
        if self.networks.reset is None or step == 0 or step % self.networks.reset:
            return []
        renewed: list[nn.Parameter] = []
        for averaged in self.discriminators.children():
            assert isinstance(averaged, Averaged)
            fresh = self.networks.build_discriminator(self.layers)
            assert isinstance(fresh, Averaged)
            averaged.members[1].load_state_dict(fresh.members[1].state_dict())
            renewed += averaged.members[1].parameters()
        return renewed

    def merits(self, valid: Sample) -> Mapping[str, float]:
        """Distances between true and generated images."""
        truth, low = valid.image(self.high), valid.image(self.low)
        generated = sharpened(self.generator, self.losses, low, truth)
        return figures_of_merit(self.names, truth, generated, low)

    def _judge(self, view: View) -> Callable[[Tensor], Tensor]:
        """The discriminator of a view.

        A sparse one sees the cells that are active in either image of a pair, in both.  Did it see each image's own
        cells only, its gradient would never ask for a cell that is missing, and it would win in a few hundred steps.
        """
        assert isinstance(self.discriminators, nn.ModuleDict)
        active = (view.hr > 0) | (view.sr >= view.threshold) if self.sparse else None
        return partial(self.discriminators[view.name], active=active)


def as_tensor(images: SparseImages) -> Tensor:
    """(n_images, 1, rows, columns) the only channel, in GeV."""
    return torch.from_numpy(images.dense())


@torch.no_grad()
def sharpened(generator: nn.Module, losses: GanLosses, low: SparseImages, like: SparseImages) -> SparseImages:
    """Coarse images made fine; cells below the threshold are empty.

    Args:
        generator: in evaluation mode.
        losses: power and threshold.
        low: coarse images.
        like: fine images, for their grid and channel.
    """
    device = next(generator.parameters()).device
    made = [SparseImages.empty(0, like.grid, like.channels)]
    for first in range(0, len(low), ROWS_AT_ONCE):
        images = as_tensor(low[first : first + ROWS_AT_ONCE]).to(device)
        fine = generator(images.pow(losses.power)).pow(1 / losses.power)
        fine = torch.where(fine < losses.threshold, 0, fine).cpu().numpy()  # what is no number stays, and is refused
        made.append(SparseImages.from_dense(fine, like.grid, like.channels))
    return SparseImages.concatenate(made)
