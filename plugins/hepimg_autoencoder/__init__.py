"""Anomalies among jets: what a model of ordinary jets does not know."""

from __future__ import annotations

from hepimg.components import Task
from hepimg.hooks import hookimpl


@hookimpl
def hepimg_tasks() -> list[type[Task]]:
    """Autoencoders, other measures of how far a jet is from ordinary ones, and the score of several of them."""
    from hepimg_autoencoder.anomaly import Anomaly
    from hepimg_autoencoder.autoencoder import Autoencoder
    from hepimg_autoencoder.neighbours import Neighbours
    from hepimg_autoencoder.pca import Pca
    from hepimg_autoencoder.sparse_autoencoder import SparseAutoencoder

    return [Autoencoder, SparseAutoencoder, Pca, Neighbours, Anomaly]
