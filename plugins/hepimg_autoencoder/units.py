"""Units of what is computed from all channels of an image."""

from __future__ import annotations

import re

from hepimg.components import Image, Port


def common_unit(image: Port | None) -> str:
    """The unit of the channels, empty where they have several."""
    units = {channel.unit for channel in image.channels} if isinstance(image, Image) else set()
    return units.pop() if len(units) == 1 else ""


def squared(unit: str) -> str:
    """The square of a unit.

    >>> squared("GeV"), squared("GeV^0.5"), squared("")
    ('GeV^2', '(GeV^0.5)^2', '')
    """
    if not unit:
        return ""
    return f"{unit}^2" if re.fullmatch(r"\w+", unit) else f"({unit})^2"
