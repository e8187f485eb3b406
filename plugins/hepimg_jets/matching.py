"""Which parton a jet comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hepimg.options import Options
from hepimg.sample import Ragged

UNMATCHED = -1


class Match(Options):
    """Keep jets near a parton of given kinds: the nearest of its event, within a distance."""

    pdg_id: tuple[int, ...] = Field(
        min_length=1, description="kinds of parton as PDG numbers; each stands for its antiparticle too"
    )
    dr: float = Field(0.8, gt=0, description="largest distance, in (rapidity, azimuth)")


def nearest_partons(
    event: NDArray[np.int64], y: NDArray[Any], phi: NDArray[Any], partons: Ragged, kinds: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each jet the nearest parton of its event.

    Args:
        event: (n_jets,) row of the jet's event.
        y: (n_jets,) rapidity of the jet.
        phi: (n_jets,) its azimuth.
        partons: of all events, with pdg_id, y and phi.
        kinds: PDG numbers; the sign does not matter.

    Returns:
        (n_jets,) number of the parton in the collection, :data:`UNMATCHED` where the event has none of these kinds;
        (n_jets,) distance sqrt(dy^2 + dphi^2), infinite there.
    """
    wanted = np.flatnonzero(np.isin(np.abs(partons["pdg_id"]), np.abs(kinds)))
    owner = np.searchsorted(partons.offsets, wanted, side="right") - 1
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(partons)))])
    # every pair of a jet and a wanted parton of its event
    counts = np.diff(offsets)[event]
    jet = np.repeat(np.arange(len(event)), counts)
    within = np.arange(len(jet)) - np.repeat(np.cumsum(counts) - counts, counts)
    parton = wanted[offsets[event][jet] + within]
    dphi = np.remainder(phi[jet] - partons["phi"][parton].astype(np.float64) + np.pi, 2 * np.pi) - np.pi
    distance = np.hypot(y[jet] - partons["y"][parton].astype(np.float64), dphi)
    best = np.lexsort((distance, jet))
    first = best[np.searchsorted(jet[best], np.flatnonzero(counts))]
    chosen, nearest = np.full(len(event), UNMATCHED), np.full(len(event), np.inf)
    chosen[counts > 0], nearest[counts > 0] = parton[first], distance[first]
    return chosen, nearest


def truth_columns(
    partons: Ragged, chosen: NDArray[np.int64], distance: NDArray[np.float64]
) -> Mapping[str, NDArray[Any]]:
    """What is kept of the matched parton of each jet: pdg_id, distance, pT."""
    return {
        "truth_pdg_id": partons["pdg_id"][chosen],
        "truth_dr": distance.astype(np.float32),
        "truth_pt": partons["pt"][chosen],
    }
