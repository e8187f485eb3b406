"""Tagging: is a jet from the signal or from the background, is an image true or generated?"""

from __future__ import annotations

from hepimg.components import Task
from hepimg.hooks import hookimpl


@hookimpl
def hepimg_tasks() -> list[type[Task]]:
    """The tasks ``tagging``, ``trees``, ``fisher`` and ``two_sample``."""
    from hepimg_tagging.fisher import Fisher
    from hepimg_tagging.tagging import Tagging
    from hepimg_tagging.trees import Trees
    from hepimg_tagging.two_sample import TwoSample

    return [Tagging, Trees, Fisher, TwoSample]
