"""Expand and split: every active cell becomes four half as wide, some of them empty, which share its energy exactly.

A likelihood model of fine images given coarse ones, by stages of a factor two, made of sparse layers only.
Super-resolution starts from the cells of a coarse jet image, generation from a single cell.

Only the options are imported here; what needs torch is imported from its module where it is used.
"""

from hepimg.expansion.options import ExpansionFit, ExpansionOptions

__all__ = ["ExpansionFit", "ExpansionOptions"]
