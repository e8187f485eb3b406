"""Images mirrored at random, for training on images that no step can move any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hepimg.components import Image
    from hepimg.images import SparseImages


def check_mirror(image: Image) -> None:
    """Raise ValueError where a mirror image would be wrong: signed channels, or cells of different widths."""
    if any(channel.signed for channel in image.channels):
        raise ValueError(f"mirror turns cells, not what is signed in them; {image.name} has signed channels")
    if image.grid and not (image.grid.rows.is_symmetric and image.grid.columns.is_symmetric):
        raise ValueError(f"the cells of {image.name} are not symmetric, so that it cannot be mirrored")


def mirrored(images: SparseImages, sets: int = 1) -> SparseImages:
    """Each image mirrored along each axis or not, by torch's global generator of random numbers.

    Args:
        images: ``sets`` times as many as there are rows, set after set.
        sets: of images, in which those of one row are mirrored alike.
    """
    import torch

    from hepimg.images import SparseImages
    from hepimg.kernels.image_transform import flip_cells

    flips = torch.rand(len(images) // sets, 2).lt(0.5).repeat(sets, 1).numpy()
    moved = flip_cells(images.offsets, images.cells, images.values, images.grid.shape, flips)
    return SparseImages(images.grid, images.channels, *moved)
