"""Metrics: receiver operating characteristics, mean images, observables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from hepimg.hooks import hookimpl

if TYPE_CHECKING:
    from hepimg.components import Metric


@hookimpl
def hepimg_metrics() -> Iterable[type[Metric]]:
    """Offer ``roc``, ``images`` and ``observables``."""
    from hepimg_metrics.images import Images
    from hepimg_metrics.observables import Observables
    from hepimg_metrics.roc import Roc

    return [Roc, Images, Observables]
