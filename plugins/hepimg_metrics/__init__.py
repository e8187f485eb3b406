"""Metrics: ROC curves, mean images, observables, one resolution against another, generated images against true ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from hepimg.hooks import hookimpl

if TYPE_CHECKING:
    from hepimg.components import Metric


@hookimpl
def hepimg_metrics() -> Iterable[type[Metric]]:
    """Offer ``closure``, ``roc``, ``images``, ``observables``, ``profile``, ``resolution`` and ``scatter``."""
    from hepimg_metrics.closure.closure import Closure
    from hepimg_metrics.images import Images
    from hepimg_metrics.observables import Observables
    from hepimg_metrics.profile import Profile
    from hepimg_metrics.resolution import Resolution
    from hepimg_metrics.roc import Roc
    from hepimg_metrics.scatter import Scatter

    return [Closure, Roc, Images, Observables, Profile, Resolution, Scatter]
