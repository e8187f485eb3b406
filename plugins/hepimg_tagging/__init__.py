"""Tagging: is a jet from the signal or from the background?"""

from __future__ import annotations

from hepimg.components import Task
from hepimg.hooks import hookimpl


@hookimpl
def hepimg_tasks() -> list[type[Task]]:
    """The tasks ``tagging``, ``trees`` and ``fisher``."""
    from hepimg_tagging.fisher import Fisher
    from hepimg_tagging.tagging import Tagging
    from hepimg_tagging.trees import Trees

    return [Tagging, Trees, Fisher]
