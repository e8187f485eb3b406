"""Generation of jet images from nothing but their class, and what tells whether they are new."""

from __future__ import annotations

from hepimg.components import Task
from hepimg.hooks import hookimpl


@hookimpl
def hepimg_tasks() -> list[type[Task]]:
    """Generators, and the search for what they have copied."""
    from hepimg_generation.generator import Generator
    from hepimg_generation.lagan.lagan import Lagan
    from hepimg_generation.nearest import Nearest

    return [Generator, Lagan, Nearest]
