"""Adversarial training: networks that generate images, networks that judge them, and the game they play.

Only the options are imported here; what needs torch is imported from its module where it is used.
"""

from hepimg.adversarial.options import GameOptions

__all__ = ["GameOptions"]
