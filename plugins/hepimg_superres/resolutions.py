"""The two resolutions of a super-resolution task, and the images that it writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hepimg.components import Grid, Image, Ports


def resolutions(ports: Ports, high: str, low: str) -> tuple[Image, Image]:
    """The ports of both images.

    Raises:
        ValueError: the grid of the low one is not that of the high one, halved once or more.
    """
    images, grids = [], []
    for name in (high, low):
        port = ports.get(name)
        if not isinstance(port, Image) or port.grid is None:
            raise ValueError(f"{name} is no image on a known grid")
        images.append(port)
        grids.append(port.grid)
    doublings(*grids)
    return images[0], images[1]


def doublings(fine: Grid, coarse: Grid) -> int:
    """How often the coarse grid is to be doubled to give the fine one.

    Raises:
        ValueError: it never does.
    """
    factor = fine.shape[0] // coarse.shape[0]
    # A grid that is pooled by what does not divide it has a narrower cell at the end.
    is_whole = fine.shape == (factor * coarse.shape[0], factor * coarse.shape[1])
    if factor < 2 or factor & (factor - 1) or not is_whole or fine.pooled(factor) != coarse:
        raise ValueError(f"{coarse} is not {fine} pooled by 2, 4, 8 ...: make it with the step pool")
    return factor.bit_length() - 1


def draw_names(draws: int) -> list[str]:
    """image, draw2, draw3 ..."""
    return ["image", *(f"draw{k}" for k in range(2, draws + 1))]


def drawn_images(high: Image, draws: int) -> Sequence[Image]:
    """What a task with so many draws writes: images like the high one, with its first channel."""
    return [replace(high, name=name, channels=high.channels[:1]) for name in draw_names(draws)]
