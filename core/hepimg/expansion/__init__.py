"""Expand and split: every active cell becomes four half as wide, some of them empty, which share its energy exactly.

A likelihood model of fine images given coarse ones, by stages of a factor two, made of sparse layers only.
Super-resolution starts from the cells of a coarse jet image.
"""

from hepimg.expansion.network import Expansion
from hepimg.expansion.pyramid import Pyramid
from hepimg.expansion.shares import Bounds

__all__ = ["Bounds", "Expansion", "Pyramid"]
