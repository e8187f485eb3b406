"""Named observables of jets, the same for constituents and for the pixels of an image.

A name is ``mass``, or carries options: ``tau21[axes=wta_kt]``, ``c2[beta=2]``.  Every observable of a jet without
particles is 0, and a ratio 0/0 counts as 0, so that no NaN reaches a histogram or a network.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hepimg.observables.names import Observable, ObservableName, available, parse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hepimg.particles import Particles

__all__ = ["Observable", "ObservableName", "available", "compute", "parse"]


def compute(names: Sequence[str], particles: "Particles") -> "dict[str, NDArray[np.float64]]":
    """Observables of each jet.

    Args:
        names: observables as :func:`parse` reads them.
        particles: constituents (``sample.collection("constituents").particles()``) or pixels (``images.particles()``).

    Returns:
        For each name an array of shape (n_jets,), in the unit of the observable.

    Raises:
        ValueError: a name is wrong, or ``jet_charge`` is asked for and the particles have no charge.
    """
    # The kernels behind load Numba: only where something is computed.
    from hepimg.observables.evaluate import evaluate

    return evaluate(names, particles)
