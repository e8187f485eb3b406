"""Tasks that sharpen jet images: from few large cells to many small ones, and what they are compared with."""

from __future__ import annotations

from hepimg.components import Source, Task
from hepimg.hooks import hookimpl


@hookimpl
def hepimg_tasks() -> list[type[Task]]:
    """The sparse likelihood model, the adversarial networks it is measured against, and simple baselines."""
    from hepimg_superres.baselines.superres_baseline import SuperresBaseline
    from hepimg_superres.gan.superres_gan import SuperresGan
    from hepimg_superres.super_resolution import SuperResolution

    return [SuperResolution, SuperresBaseline, SuperresGan]


@hookimpl
def hepimg_sources() -> list[type[Source]]:
    """Jets that are no jets, to see what a model makes up."""
    from hepimg_superres.noise import Noise

    return [Noise]
