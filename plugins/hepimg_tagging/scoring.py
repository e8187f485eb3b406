"""Networks that score images one by one: what the tasks ``tagging`` and ``two_sample`` share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from hepimg.components import State
from hepimg.images import SparseImages
from hepimg.sparse import SparseTensor
from hepimg.training.state import array_of_text, load_state, state_of, text_of_array
from hepimg_tagging.pixels import PixelFeatures

if TYPE_CHECKING:
    from hepimg_tagging.network import Network

FEATURES = "features"
"""Entry of the state that says, as JSON, which features the network was trained on."""

IMAGES_AT_ONCE = 1024


def tensor_of(features: PixelFeatures, images: SparseImages) -> SparseTensor:
    """The active cells of images, with what the network is told of each."""
    return SparseTensor.from_images(images, torch.from_numpy(features.of(images)))


def weighted_loss(network: nn.Module, inputs: tuple[SparseTensor, Tensor, Tensor]) -> Tensor:
    """Binary cross-entropy, the mean over the weights: of images, (n,) whether each is signal, (n,) weights."""
    tensor, is_signal, weight = inputs
    total = binary_cross_entropy_with_logits(network(tensor).squeeze(1), is_signal, weight, reduction="sum")
    mean: Tensor = total / weight.sum()
    return mean


def saved(features: PixelFeatures, network: nn.Module) -> State:
    """The state of a trained network."""
    return {FEATURES: array_of_text(features.model_dump_json()), **state_of(network)}


class Scorer:
    """A trained network.

    Args:
        network: its options.
        state: what :func:`saved` made.
        device: where it computes.

    Raises:
        DataError: the state is of another network.
    """

    def __init__(self, network: Network, state: State, device: str) -> None:
        self.features = PixelFeatures.model_validate_json(text_of_array(state[FEATURES]))
        self.device, self.module = device, network.build(self.features.size)
        load_state(self.module, {name: array for name, array in state.items() if name != FEATURES})
        self.module.to(device).eval()

    def scores(self, images: SparseImages) -> NDArray[np.float32]:
        """(n_images,) scores in [0, 1]; each image's depends on no other.

        Raises:
            DataError: the images are on another grid or lack a channel.
        """
        found = np.empty(len(images), np.float32)
        with torch.no_grad():
            for first in range(0, len(images), IMAGES_AT_ONCE):
                some = slice(first, first + IMAGES_AT_ONCE)
                tensor = tensor_of(self.features, images[some]).to(self.device)
                found[some] = self.module(tensor).squeeze(1).sigmoid().cpu().numpy()
        return found
