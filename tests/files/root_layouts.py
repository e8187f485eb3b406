"""Writes small ROOT and Parquet files in the published layouts, with invented jets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import uproot

Jagged = tuple[np.ndarray, dict[str, np.ndarray]]

JETCLASS_KINDS = ("isChargedHadron", "isNeutralHadron", "isPhoton", "isElectron", "isMuon")
JETCLASS_LABELS = ("QCD", "Hbb", "Hcc", "Hgg", "H4q", "Hqql", "Zqq", "Wqq", "Tbqq", "Tbl")


def momenta(n: int, seed: int = 0, per_row: int = 8) -> Jagged:
    """Offsets, and pt, eta, phi, mass in single precision of ``n`` narrow jets of some 500 GeV; some rows are short."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, per_row, n)
    row = np.repeat(np.arange(n), counts)
    axis, angle = rng.normal(0, 1, n), rng.uniform(-3, 3, n)
    fields = {
        "pt": rng.exponential(500 / per_row * 2, len(row)) + 5,
        "eta": axis[row] + rng.normal(0, 0.2, len(row)),
        "phi": angle[row] + rng.normal(0, 0.05, len(row)),
        "mass": np.full(len(row), 0.1396),
    }
    return np.concatenate([[0], np.cumsum(counts)]), {name: v.astype(np.float32) for name, v in fields.items()}


def cartesian(fields: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """px, py, pz, energy in single precision."""
    pt, eta, phi, mass = (fields[name].astype(float) for name in ("pt", "eta", "phi", "mass"))
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    energy = np.sqrt(px**2 + py**2 + pz**2 + mass**2)
    return {k: v.astype(np.float32) for k, v in {"px": px, "py": py, "pz": pz, "energy": energy}.items()}


def jagged(offsets: np.ndarray, values: np.ndarray) -> ak.Array:
    return ak.unflatten(values, np.diff(offsets))


def write_tree(path: Path, name: str, branches: Mapping[str, Any], **options: Any) -> Path:
    """A TTree."""
    arrays = {branch: ak.Array(values) for branch, values in branches.items()}
    with uproot.recreate(path, **options) as file:
        tree = file.mktree(name, {branch: array.type.content for branch, array in arrays.items()})
        tree.extend(arrays)
    return path


def jetclass_branches(n: int, seed: int = 0) -> dict[str, Any]:
    """The branches of the JetClass data set (Zenodo 6619768), as its files list them."""
    rng = np.random.default_rng(seed)
    offsets, particles = momenta(n, seed)
    four = cartesian(particles)
    total = int(offsets[-1])
    row = np.repeat(np.arange(n), np.diff(offsets))
    sums = {name: np.bincount(row, values.astype(float), minlength=n) for name, values in four.items()}
    jet_pt = np.hypot(sums["px"], sums["py"])
    jet_eta, jet_phi = np.arcsinh(sums["pz"] / jet_pt), np.arctan2(sums["py"], sums["px"])
    kind = rng.integers(0, 5, total)
    charge = np.where(np.isin(kind, (0, 3, 4)), rng.choice([-1, 1], total), 0)
    part = {
        **four,
        "deta": particles["eta"] - jet_eta[row],
        "dphi": particles["phi"] - jet_phi[row],
        **{name: rng.normal(0, 0.1, total) for name in ("d0val", "d0err", "dzval", "dzerr")},
        "charge": charge,
        **{name: kind == k for k, name in enumerate(JETCLASS_KINDS)},
    }
    label = rng.integers(0, 10, n)
    branches: dict[str, Any] = {}
    for name, values in part.items():
        branches[f"part_{name}"] = jagged(offsets, values if values.dtype == bool else values.astype(np.float32))
    for k, name in enumerate(JETCLASS_LABELS):
        branches[f"label_{name}"] = (label == k).astype(np.float32 if name == "QCD" else bool)
    jets = {"pt": jet_pt, "eta": jet_eta, "phi": jet_phi, "energy": sums["energy"], "nparticles": np.diff(offsets)}
    jets |= {name: rng.random(n) for name in ("sdmass", "tau1", "tau2", "tau3", "tau4")}
    branches |= {f"jet_{name}": values.astype(np.float32) for name, values in jets.items()}
    truth = {name: rng.random(n) for name in ("genpart_eta", "genpart_phi", "genpart_pid", "genpart_pt", "truth_match")}
    return branches | {f"aux_{name}": values.astype(np.float32) for name, values in truth.items()}


def write_jetclass(path: Path, n: int, seed: int = 0, **other: Any) -> Path:
    """A file of the JetClass data set; ``other`` branches replace its own, None: the branch is left out."""
    branches = {**jetclass_branches(n, seed), **other}
    return write_tree(path, "tree", {name: values for name, values in branches.items() if values is not None})


def nano_branches(n: int, seed: int = 0, jets: str = "FatJet") -> dict[str, Any]:
    """The branches of PFNano that are read: every candidate belongs to the first jet of its event, the only one.

    FatJet is made of the candidates with their PUPPI weights, Jet without; the energy correction is 1 / 0.9.
    """
    offsets, particles = momenta(n, seed)
    total = int(offsets[-1])
    index = np.arange(total) - np.repeat(offsets[:-1], np.diff(offsets))
    candidates = {
        **particles,
        "charge": np.zeros(total, np.int32),
        "pdgId": np.full(total, 22, np.int32),
        "puppiWeight": (np.arange(total) % 3 / 2).astype(np.float32),
    }
    branches = {f"PFCands_{name}": jagged(offsets, values) for name, values in candidates.items()}
    weight = candidates["puppiWeight"] if jets == "FatJet" else np.ones(total)
    row, four = np.repeat(np.arange(n), np.diff(offsets)), cartesian(particles)
    raw = np.hypot(*(np.bincount(row, four[name] * weight, minlength=n) for name in ("px", "py")))
    one = np.arange(n + 1)
    branches[f"{jets}_pt"] = jagged(one, (raw / 0.9).astype(np.float32))
    branches[f"{jets}_rawFactor"] = jagged(one, np.full(n, 0.1, np.float32))
    branches[f"{jets}PFCands_jetIdx"] = jagged(offsets, np.zeros(total, np.int32))
    branches[f"{jets}PFCands_pFCandsIdx"] = jagged(offsets, index.astype(np.int32))
    branches["genWeight"] = np.full(n, 2.5, np.float32)
    return branches


def write_nano(path: Path, n: int, seed: int = 0, jets: str = "FatJet", **other: Any) -> Path:
    """A TTree ``Events``; ``other`` branches replace its own, None: the branch is left out."""
    branches = {**nano_branches(n, seed, jets), **other}
    return write_tree(path, "Events", {name: values for name, values in branches.items() if values is not None})


def write_plain_parquet(path: Path, n: int, seed: int = 0, groups: int = 4, **other: Any) -> Path:
    """Lists ``part_pt`` ..., the same as records ``parts``, and a column ``is_signal``, in row groups of ``groups``."""
    offsets, particles = momenta(n, seed)
    columns: dict[str, Any] = {
        f"part_{name}": pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)
        for name, values in particles.items()
    }
    records = pa.StructArray.from_arrays([pa.array(values) for values in particles.values()], list(particles))
    columns["parts"] = pa.LargeListArray.from_arrays(pa.array(offsets), records)
    columns["is_signal"] = pa.array(np.arange(n) % 2)
    columns |= other
    pq.write_table(pa.table(columns), path, row_group_size=groups)
    return path
