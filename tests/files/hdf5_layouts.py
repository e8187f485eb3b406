"""Small invented files in each published HDF5 layout, for tests, documentation and contract checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hepimg import Grid, SparseImages
from hepimg.export.hdf5 import write_hdf5
from hepimg.testing import toy_jets

Array = NDArray[Any]

JETNET_PARTICLES = 30

CALOCHALLENGE_BINNING = """<Bins>
   <Bin pid="22" etaMin="20" etaMax="25" name="photon">
      <Layer id="0" r_edges="0,5,10,30" n_bin_alpha="1" />
      <Layer id="1" r_edges="0,2,4,8,20" n_bin_alpha="10" />
      <Layer id="2" r_edges="0,50" n_bin_alpha="1" />
      <Layer id="3" r_edges="0" n_bin_alpha="1" />
      <Layer id="12" r_edges="0,100,200" n_bin_alpha="5" />
   </Bin>
   <Bin pid="211" etaMin="20" etaMax="25" name="pion">
      <Layer id="0" r_edges="0,5" n_bin_alpha="1" />
   </Bin>
</Bins>
"""
"""As the challenge's: layer 3 has no cells; 3 + 40 + 1 + 10 = 54 voxels for photons."""


def random_jets(n: int, seed: int, maximum: int = 40) -> tuple[Array, Array]:
    """(n,) counts and (n, maximum, 4) pt, eta, phi, mass of jets of some 600 GeV, padded with zeros."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(5, maximum + 1, n)
    is_there = np.arange(maximum) < counts[:, None]
    share = rng.exponential(size=(n, maximum)) * is_there
    pt = 600 * share / share.sum(axis=1, keepdims=True)
    eta = rng.uniform(-1.5, 1.5, (n, 1)) + rng.normal(0, 0.2, (n, maximum))
    phi = rng.uniform(-np.pi, np.pi, (n, 1)) + rng.normal(0, 0.2, (n, maximum))
    phi = np.arctan2(np.sin(phi), np.cos(phi))
    mass = np.full((n, maximum), 0.14)
    jets = np.stack([pt, eta, phi, mass], axis=-1) * is_there[..., None]
    return counts, jets.astype(np.float32)


def cartesian(jets: Array) -> Array:
    """(..., 4) E, px, py, pz of (..., 4) pt, eta, phi, mass."""
    pt, eta, phi, mass = np.moveaxis(jets.astype(np.float64), -1, 0)
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    return np.stack([np.sqrt(px**2 + py**2 + pz**2 + mass**2), px, py, pz], axis=-1)


def write_top_tagging(path: Path, n: int = 50, seed: int = 1, form: str = "table") -> None:
    """The top-tagging reference sample: pandas' format "table" (as on Zenodo) or "fixed"."""
    rng = np.random.default_rng(seed)
    _, jets = random_jets(n, seed, 200)
    signal = np.arange(n) % 2
    truth = cartesian(np.tile([600.0, 0.3, 1.0, 173.0], (n, 1))) * signal[:, None]
    floats = np.concatenate([cartesian(jets).reshape(n, 800), truth], axis=1).astype(np.float32)
    labels = np.stack([rng.integers(0, 3, n), signal], axis=1).astype(np.int64)
    names = [f"{part}_{k}" for k in range(200) for part in ("E", "PX", "PY", "PZ")]
    names += ["truthE", "truthPX", "truthPY", "truthPZ"]
    with h5py.File(path, "w") as file:
        group = file.create_group("table")
        if form == "fixed":
            group["block0_values"], group["block1_values"] = floats, labels
            group["block0_items"] = np.array(names, "S10")
            group["axis1"] = np.arange(n)
            return
        kinds = [("index", "i8"), ("values_block_0", "f4", (804,)), ("values_block_1", "i8", (2,))]
        rows = np.zeros(n, kinds)
        rows["index"], rows["values_block_0"], rows["values_block_1"] = np.arange(n), floats, labels
        table = group.create_dataset("table", data=rows, chunks=(min(n, 20),), maxshape=(None,))
        # PyTables keeps the names as a pickle; this one would raise if anybody loaded it.
        table.attrs["values_block_0_kind"] = np.bytes_(b"cos\n_exit\n(I99\ntR.")


def write_lagan(path: Path, n: int = 50, seed: int = 1) -> None:
    """LAGAN's jet images, with the tiny and negative pixels of a cubic interpolation."""
    rng = np.random.default_rng(seed)
    images = rng.exponential(30, (n, 25, 25)) * (rng.random((n, 25, 25)) < 0.02)
    images[:, 12, 12] += 200
    pt = images.sum(axis=(1, 2)) / 1.05
    images += (images == 0) * rng.normal(0, 1e-4, images.shape)
    taus = np.sort(rng.uniform(0.01, 0.5, (3, n)), axis=0)[::-1]
    columns = {
        "signal": np.arange(n) % 2,
        "jet_pt": pt,
        "jet_eta": rng.uniform(-1, 1, n),
        "jet_phi": rng.uniform(-np.pi, np.pi, n),
        "jet_mass": rng.uniform(60, 100, n),
        "jet_delta_R": rng.uniform(0.2, 1, n),
        **dict(zip(("tau_1", "tau_2", "tau_3"), taus, strict=True)),
        "tau_21": taus[1] / taus[0],
        "tau_32": taus[2] / taus[1],
    }
    with h5py.File(path, "w") as file:
        file.create_dataset("image", data=images.astype(np.float32), compression="gzip")
        for name, values in columns.items():
            file[name] = values.astype(np.float32)


def write_jetnet(path: Path, n: int = 50, seed: int = 1, with_type: bool = False) -> None:
    """JetNet: the hardest 30 particles relative to their jets."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(5, JETNET_PARTICLES + 1, n)
    mask = np.arange(JETNET_PARTICLES) < counts[:, None]
    share = np.sort(rng.exponential(size=(n, JETNET_PARTICLES)) * mask, axis=1)[:, ::-1]
    share = 0.98 * share / share.sum(axis=1, keepdims=True)
    around = rng.normal(0, 0.1, (2, n, JETNET_PARTICLES)) * mask
    particles = np.stack([around[0], around[1], share, mask], axis=-1)
    jets = np.stack([rng.normal(1000, 50, n), rng.uniform(-1, 1, n), rng.uniform(20, 200, n), counts], axis=1)
    if with_type:
        jets = np.concatenate([np.full((n, 1), 2), jets], axis=1)
    with h5py.File(path, "w") as file:
        file["particle_features"], file["jet_features"] = particles.astype(np.float32), jets.astype(np.float32)


def write_plain(path: Path, n: int = 50, seed: int = 1) -> None:
    """Padded constituents with their number, as PYTHIA 6's test files have them, and a label."""
    counts, jets = random_jets(n, seed)
    with h5py.File(path, "w") as file:
        constituents = file.create_dataset("constituents", data=jets, compression="gzip")
        constituents.attrs["columns"] = "pt,eta,phi,mass"
        file["n"] = counts.astype(np.int32)
        file["label"] = (np.arange(n) % 2).astype(np.int8)


def write_exported(path: Path, n: int = 50, seed: int = 1) -> None:
    """What ``hepimg data --export hdf5`` writes: columns, constituents with integers, an image."""
    rng = np.random.default_rng(seed)
    jets = toy_jets(n, seed=seed)
    particles = jets.collection("constituents")
    particles = particles.with_fields(pdg_id=rng.integers(-211, 212, len(particles["pt"])).astype(np.int32))
    dense = rng.exponential(size=(n, 8, 8)) * (rng.random((n, 8, 8)) < 0.2)
    images = SparseImages.from_dense(dense, Grid.square(1.0, 8))
    sample = jets.with_collection("constituents", particles).with_images(image=images)
    write_hdf5(path, lambda: iter([sample[: n // 2], sample[n // 2 :]]))


def write_calochallenge(path: Path, binning: Path, n: int = 50, seed: int = 1) -> None:
    """Showers of photons in MeV and their binning."""
    rng = np.random.default_rng(seed)
    binning.write_text(CALOCHALLENGE_BINNING)
    energies = 2.0 ** rng.integers(8, 23, (n, 1))
    shares = rng.exponential(size=(n, 54)) * (rng.random((n, 54)) < 0.4) + 1e-3
    with h5py.File(path, "w") as file:
        file.create_dataset("incident_energies", data=energies, compression="gzip")
        showers = 0.9 * energies * shares / shares.sum(axis=1, keepdims=True)
        file.create_dataset("showers", data=showers, compression="gzip")


def write_calogan(path: Path, n: int = 50, seed: int = 1) -> None:
    """CaloGAN's showers: layers in MeV, the incident energy in GeV."""
    rng = np.random.default_rng(seed)
    energy = rng.uniform(1, 100, (n, 1))
    shapes = {"layer_0": (3, 96), "layer_1": (12, 12), "layer_2": (12, 6)}
    with h5py.File(path, "w") as file:
        file["energy"] = energy
        for (name, shape), part in zip(shapes.items(), (0.2, 0.6, 0.05), strict=True):
            cells = rng.exponential(size=(n, *shape)) * (rng.random((n, *shape)) < 0.3)
            file[name] = 1000 * part * energy[..., None] * cells / cells.sum(axis=(1, 2), keepdims=True)
        file["overflow"] = np.zeros((n, 3))
