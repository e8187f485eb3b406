"""Rows to test on: invented jets, datasets in a folder, and what a task may use."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Model, Run
from hepimg.dataset import SAMPLE_SHIFT, Dataset, Part
from hepimg.random import derive_seed
from hepimg.sample import Ragged, Sample
from hepimg.shards import write_shard

PION_MASS = 0.13957
"""GeV."""


def toy_jets(rows: int, prongs: int = 1, seed: int = 1, first_event: int = 0) -> Sample:
    """Invented jets of about 20 pions, for tests: pt 500 to 600 GeV, |y| < 1, with one or two prongs.

    Args:
        rows: how many, one in each event.
        prongs: 2 for jets with two prongs, 0.3 to 0.6 apart.
        seed: of all random numbers.
        first_event: number of the first event.

    Returns:
        Columns ``event``, ``weight``, ``pt``, ``eta``, ``y``, ``phi``, ``mass``; the collection ``constituents`` with
        ``pt``, ``y``, ``phi``, ``mass``, ``charge``.
    """
    rng = np.random.default_rng(seed)
    counts = 10 + rng.poisson(10, rows)
    row = np.repeat(np.arange(rows), counts)
    spans = (500, 600), (-1, 1), (-math.pi, math.pi), (0, math.pi)
    jet_pt, jet_y, jet_phi, angle = (rng.uniform(low, high, rows) for low, high in spans)
    share, distance = rng.uniform(0.3, 0.5, rows), rng.uniform(0.3, 0.6, rows) * (prongs == 2)
    along = distance[row] * ((rng.random(len(row)) < share[row]) - share[row])
    width = 0.06 if prongs == 2 else 0.12
    energy = rng.exponential(size=len(row))
    fields = {
        "pt": jet_pt[row] * energy / np.bincount(row, energy, rows)[row],
        "y": jet_y[row] + along * np.cos(angle)[row] + rng.normal(0, width, len(row)),
        "phi": _wrapped(jet_phi[row] + along * np.sin(angle)[row] + rng.normal(0, width, len(row))),
        "mass": np.full(len(row), PION_MASS),
        "charge": rng.integers(-1, 2, len(row)),
    }
    fields = {name: values.astype(np.float32) for name, values in fields.items()}
    jets = _four_momenta(row, rows, fields)
    columns: dict[str, NDArray[Any]] = {"event": first_event + np.arange(rows), "weight": np.ones(rows, np.float32)}
    offsets = np.concatenate([[0], np.cumsum(counts)])
    constituents = Ragged(offsets, fields, {"pt": "GeV", "phi": "rad", "mass": "GeV", "charge": "e"})
    return Sample(columns | jets, {"constituents": constituents}, units={"pt": "GeV", "phi": "rad", "mass": "GeV"})


def merge(samples: Mapping[str, Sample]) -> Sample:
    """Rows of several samples together, with the columns ``sample`` and ``row`` that tell them apart."""
    parts = [
        part.with_columns(sample=np.full(len(part), k, np.int16), row=(k << SAMPLE_SHIFT) + np.arange(len(part)))
        for k, part in enumerate(samples.values())
    ]
    return replace(Sample.concatenate(parts), classes=tuple(samples))


def datasets(samples: Mapping[str, Sample], folder: Path) -> tuple[Dataset, Dataset, Dataset]:
    """Samples written to a folder, as datasets of three fifths, one fifth and one fifth of their rows.

    Args:
        samples: name -> rows.
        folder: where to write them.
    """
    parts: tuple[list[Part], ...] = ([], [], [])
    for k, (name, sample) in enumerate(samples.items()):
        write_shard(folder / f"{name}.arrow", sample)
        rows = np.arange(len(sample))
        for split, chosen in zip(parts, (rows % 5 < 3, rows % 5 == 3, rows % 5 == 4), strict=True):
            split.append(Part(k, folder / f"{name}.arrow", 0, rows[chosen]))
    train, valid, test = (Dataset(tuple(split), tuple(samples)) for split in parts)
    return train, valid, test


def make_run(folder: Path, models: Mapping[str, Model] | None = None) -> Run:
    """What a task may use: one thread of the CPU, an own folder, and a bar that nobody sees."""
    folder.mkdir(parents=True, exist_ok=True)
    return Run(derive_seed("testing"), 1, "cpu", folder, logging.getLogger("hepimg.testing"), _NoBar(), models or {})


class _NoBar:
    def start(self, label: str, total: int | None, unit: str = "") -> None:
        """Nothing."""

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""


def _wrapped(phi: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) angles in [-pi, pi)."""
    return np.asarray((phi + math.pi) % (2 * math.pi) - math.pi)


def _four_momenta(row: NDArray[np.int64], rows: int, fields: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The columns of jets that are the sums of their particles."""
    pt, y, phi, mass = (fields[name].astype(np.float64) for name in ("pt", "y", "phi", "mass"))
    transverse = np.hypot(pt, mass)
    parts = (transverse * np.cosh(y), pt * np.cos(phi), pt * np.sin(phi), transverse * np.sinh(y))
    e, px, py, pz = (np.bincount(row, part, rows) for part in parts)
    jet_pt = np.hypot(px, py)
    jets = {
        "pt": jet_pt,
        "eta": np.arcsinh(pz / jet_pt),
        "y": np.arctanh(pz / e),
        "phi": np.arctan2(py, px),
        "mass": np.sqrt(np.maximum(e**2 - jet_pt**2 - pz**2, 0)),
    }
    return {name: values.astype(np.float32) for name, values in jets.items()}
