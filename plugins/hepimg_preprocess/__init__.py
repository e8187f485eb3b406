"""Steps on jets: moves of particles and cells, pixelation, pooling, thresholds, and maps of cell values."""

from __future__ import annotations

from hepimg.components import Step
from hepimg.hooks import hookimpl


@hookimpl
def hepimg_steps() -> list[type[Step]]:
    """Moves of a jet's content, then images of it, then maps of images, then numbers."""
    from hepimg_preprocess.center import Center
    from hepimg_preprocess.copy import Copy
    from hepimg_preprocess.flip import Flip
    from hepimg_preprocess.measure import Measure
    from hepimg_preprocess.pixelate import Pixelate
    from hepimg_preprocess.regrid import Crop, Pool
    from hepimg_preprocess.rotate import Rotate
    from hepimg_preprocess.threshold import Threshold
    from hepimg_preprocess.translate import Translate
    from hepimg_preprocess.values import Normalise, Power

    return [Copy, Center, Rotate, Flip, Translate, Pixelate, Pool, Crop, Normalise, Power, Threshold, Measure]
