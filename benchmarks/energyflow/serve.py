"""EnergyFlow at work for ``hepimg bench kernels --energyflow-python PYTHON``, in a process of its own.

    PYTHON serve.py JETS.npz

JETS holds offsets (n_jets + 1), pt, y and phi. Each line on stdin is a JSON object: a work, its argument, and whether
its result is wanted; each line on stdout answers it, when it is done, with the result or null. So the caller can time
it in turn with others; the jets are converted before, and importing EnergyFlow is no part of it.
"""

import json
import sys

import energyflow
import numpy as np


def events_of(file):
    """A (n_particles, 3) array of pt, y, phi for each jet."""
    with np.load(file) as arrays:
        particles = np.stack([arrays[name] for name in ("pt", "y", "phi")], axis=1).astype(np.float64)
        return np.split(particles, arrays["offsets"][1:-1])


def pixelate(events, cells):
    """The pT in images of ``cells`` x ``cells``, 1.6 wide, each centred on the jet's centroid: their sum."""
    images = [energyflow.utils.pixelate(e, npix=cells, img_width=1.6, nb_chan=1, norm=False) for e in events]
    return [float(image.sum()) for image in images]


def two_point(events, beta):
    """The energy flow polynomial of one edge; it counts each pair twice."""
    graph = energyflow.EFP([(0, 1)], measure="hadr", beta=beta, normed=True, coords="ptyphim")
    return [float(graph.compute(event)) for event in events]


WORKS = {"pixelate": pixelate, "two_point": two_point}


def main():
    """Answer until stdin ends."""
    events = events_of(sys.argv[1])
    # The measure takes four components; the masses are zero.
    massive = [np.pad(event, ((0, 0), (0, 1))) for event in events]
    print(json.dumps({"energyflow": energyflow.__version__, "numpy": np.__version__}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        result = WORKS[asked["work"]](massive if asked["work"] == "two_point" else events, asked["argument"])
        print(json.dumps(result if asked["values"] else None), flush=True)


if __name__ == "__main__":
    main()
