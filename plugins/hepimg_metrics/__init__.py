"""Metrics: ROC curves, images, observables, one resolution against another, generated images against true ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from hepimg.hooks import hookimpl

if TYPE_CHECKING:
    from hepimg.components import Metric


@hookimpl
def hepimg_metrics() -> Iterable[type[Metric]]:
    """Everything that judges predictions, or shows what the data are."""
    from hepimg_metrics.closure.closure import Closure
    from hepimg_metrics.confusion import Confusion
    from hepimg_metrics.distances.distances import Distances
    from hepimg_metrics.extremes import Extremes
    from hepimg_metrics.images import Images
    from hepimg_metrics.observables import Observables
    from hepimg_metrics.plane import Plane
    from hepimg_metrics.profile import Profile
    from hepimg_metrics.quantile import Quantile
    from hepimg_metrics.resolution import Resolution
    from hepimg_metrics.roc import Roc
    from hepimg_metrics.scatter import Scatter

    return [
        Closure,
        Distances,
        Plane,
        Quantile,
        Roc,
        Confusion,
        Images,
        Extremes,
        Observables,
        Profile,
        Resolution,
        Scatter,
    ]
