"""Anomalies among jets: what a model of ordinary jets does not know."""

from __future__ import annotations

from hepimg.components import Task
from hepimg.hooks import hookimpl


@hookimpl
def hepimg_tasks() -> list[type[Task]]:
    """The tasks ``autoencoder``, ``pca``, ``neighbours`` and ``anomaly``."""
    from hepimg_autoencoder.anomaly import Anomaly
    from hepimg_autoencoder.autoencoder import Autoencoder
    from hepimg_autoencoder.neighbours import Neighbours
    from hepimg_autoencoder.pca import Pca

    return [Autoencoder, Pca, Neighbours, Anomaly]
