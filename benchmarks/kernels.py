"""Compiled kernels against the tools that physicists use, on one thread: jets per second, and ratios of one run.

``python benchmarks/kernels.py [--jets FILE.npz] [--number 2000]``

FILE holds offsets, pt, y, phi and mass (the study of N-subjettiness among the tests makes one of Pythia jets); without
it the jets are made up.
"""

import argparse
import time
from collections.abc import Callable

import awkward as ak
import energyflow
import fastjet
import numpy as np

from hepimg.kernels import correlators
from hepimg.kernels.axis import Axis
from hepimg.kernels.pixelate import pixelate
from hepimg.kernels.subjettiness import subjettiness
from hepimg.kernels.threads import set_threads
from hepimg.particles import Particles

FASTJET_AXES = {
    "kt": "KT_Axes",
    "wta_kt": "WTA_KT_Axes",
    "onepass_kt": "OnePass_KT_Axes",
    "onepass_wta_kt": "OnePass_WTA_KT_Axes",
}


def best_time(work: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest of several runs; the first, which may compile, does not count."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def made_up(number: int) -> Particles:
    """Three-pronged jets of 40 to 100 particles about (0, 0)."""
    rng = np.random.default_rng(1)
    counts = rng.integers(40, 100, number)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    jet = np.repeat(np.arange(number), counts)
    y, phi = (
        rng.normal(0, 0.3, (number, 3, 2))[jet, rng.integers(0, 3, len(jet))] + rng.normal(0, 0.1, (len(jet), 2))
    ).T
    return Particles(offsets, rng.exponential(1, len(jet)) ** 3 * 3, y, phi, rng.choice([0.0, 0.14], len(jet)))


def load(file: str, number: int) -> Particles:
    """The first and the last jets of a file, half of them each."""
    with np.load(file) as arrays:
        jets = Particles(*(arrays[name] for name in ("offsets", "pt", "y", "phi", "mass")))
    jets = jets[np.r_[: number // 2, len(jets) - number // 2 : len(jets)]]
    centre = np.repeat(jets.offsets[:-1], jets.counts)
    return Particles(jets.offsets, jets.pt, jets.y - jets.y[centre], jets.phi, jets.mass)


def compare_pixelation(jets: Particles, shape: int) -> None:
    """``shape`` x ``shape`` pT images."""
    edges = np.linspace(-1, 1, shape + 1)
    axis = Axis(edges, regular=True, period=2 * np.pi)
    phi = (jets.phi - np.repeat(jets.phi[jets.offsets[:-1]], jets.counts) + np.pi) % (2 * np.pi) - np.pi
    pt, y, near = (field.astype(np.float32) for field in (jets.pt, jets.y, phi))
    events = np.split(np.stack([jets.pt, jets.y, phi], axis=1), jets.offsets[1:-1])
    ours = best_time(lambda: pixelate(jets.offsets, y, near, pt[:, np.newaxis], axis, axis), 20)
    numpy_time = best_time(
        lambda: [np.histogram2d(e[:, 1], e[:, 2], [edges, edges], weights=e[:, 0]) for e in events], 2
    )
    theirs = best_time(
        lambda: [energyflow.utils.pixelate(e, npix=shape, img_width=2.0, nb_chan=1, norm=False) for e in events], 2
    )
    report(f"pixelate {shape}x{shape}, numpy.histogram2d", len(jets), ours, numpy_time)
    report(f"pixelate {shape}x{shape}, EnergyFlow", len(jets), ours, theirs)
    print(f"    {len(pt) / ours / 1e6:.0f} M particles/s")


def compare_correlators(jets: Particles, beta: float) -> None:
    """The two-point correlator."""
    efp = energyflow.EFP([(0, 1)], measure="hadr", beta=beta, normed=True, coords="ptyphim")
    fields = [jets.pt, jets.y, jets.phi, np.zeros(len(jets.pt))]
    events = np.split(np.stack(fields, axis=1), jets.offsets[1:-1])
    ours = best_time(lambda: correlators.two_point(jets.offsets, jets.pt, jets.y, jets.phi, beta), 5)
    theirs = best_time(lambda: [efp.compute(event) for event in events], 2)
    report(f"two-point correlator, beta {beta}, EnergyFlow EFP", len(jets), ours, theirs)


def compare_subjettiness(jets: Particles, axes: str) -> None:
    """tau_1 to tau_4 with beta = 1."""
    mt = np.hypot(jets.pt, jets.mass)
    momenta = {
        "px": jets.pt * np.cos(jets.phi),
        "py": jets.pt * np.sin(jets.phi),
        "pz": mt * np.sinh(jets.y),
        "E": mt * np.cosh(jets.y),
    }
    events = ak.unflatten(ak.zip(momenta, with_name="Momentum4D"), jets.counts)
    clusters = fastjet.ClusterSequence(events, fastjet.JetDefinition(fastjet.kt_algorithm, 100.0))
    ours = best_time(lambda: subjettiness(jets.offsets, jets.pt, jets.y, jets.phi, jets.mass, axes=axes, r0=0.8), 5)
    theirs = best_time(lambda: clusters.njettiness(axes_definition=FASTJET_AXES[axes], R0=0.8), 2)
    report(f"tau_1..tau_4, {axes}, FastJet njettiness", len(jets), ours, theirs)


def report(what: str, number: int, ours: float, theirs: float) -> None:
    """One line of the table."""
    print(f"{what:48} {number / ours:12,.0f} {number / theirs:12,.0f} {theirs / ours:8.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jets", help="NumPy file of jets")
    parser.add_argument("--number", type=int, default=2000, help="jets to use")
    arguments = parser.parse_args()
    set_threads(1)
    sample = load(arguments.jets, arguments.number) if arguments.jets else made_up(arguments.number)
    print(f"{len(sample)} jets of {sample.counts.mean():.0f} particles")
    print(f"{'':48} {'ours, 1/s':>12} {'theirs':>12} {'ratio':>8}")
    for cells in (40, 160):
        compare_pixelation(sample, cells)
    for power in (1.0, 0.2):
        compare_correlators(sample, power)
    for kind in FASTJET_AXES:
        compare_subjettiness(sample, kind)
