"""What the steps ask of an analysis before anything runs."""

from __future__ import annotations

from hepimg.components import Collection, Grid, Image, Ports


def collection_port(ports: Ports, name: str) -> Collection:
    """The collection of that name.

    Raises:
        ValueError: there is none, or the name is that of something else.
    """
    port = ports.get(name)
    if not isinstance(port, Collection):
        raise ValueError(f"{name} is no collection")
    return port


def image_port(ports: Ports, name: str) -> tuple[Image, Grid]:
    """The image of that name, and its grid.

    Raises:
        ValueError: there is none, its grid is not known, or the name is that of something else.
    """
    port = ports.get(name)
    if not isinstance(port, Image):
        raise ValueError(f"{name} is no image")
    if port.grid is None:
        raise ValueError(f"the grid of the image {name} is not known")
    return port, port.grid
