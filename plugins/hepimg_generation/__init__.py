"""Generation of jet images from nothing but their class and transverse momentum."""

from __future__ import annotations

from hepimg.components import Task
from hepimg.hooks import hookimpl


@hookimpl
def hepimg_tasks() -> list[type[Task]]:
    """The task ``generator``."""
    from hepimg_generation.generator import Generator

    return [Generator]
