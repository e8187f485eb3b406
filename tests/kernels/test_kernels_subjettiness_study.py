"""N-subjettiness of thousands of Pythia jets against FastJet's: run by hand, ``pytest -m study -o log_cli=true``.

The jets (anti-kt 0.8, pT 550-650 GeV, half QCD, half top) take minutes to make and are kept in the folder for temporary
files.
"""

import logging
import tempfile
from pathlib import Path

import numpy as np
import pytest
from synthetic import Jets
from test_kernels_subjettiness import fastjet_taus

from hepimg.kernels import SUBJETTINESS_AXES
from hepimg.kernels.subjettiness import subjettiness

N_JETS = 10_000
PROCESSES = {
    "qcd": ["HardQCD:all = on", "PhaseSpace:pTHatMin = 530", "PhaseSpace:pTHatMax = 700"],
    "top": [
        "Top:gg2ttbar = on",
        "Top:qqbar2ttbar = on",
        "PhaseSpace:pTHatMin = 530",
        "PhaseSpace:pTHatMax = 720",
        "24:onMode = off",
        "24:onIfAny = 1 2 3 4 5",
    ],
}


def generate(process: list[str], n_jets: int) -> Jets:
    ak, fastjet, pythia8 = (pytest.importorskip(name) for name in ("awkward", "fastjet", "pythia8mc"))
    pytest.importorskip("vector").register_awkward()
    pythia = pythia8.Pythia("", False)
    for line in ["Print:quiet = on", "Random:setSeed = on", "Random:seed = 1", "Beams:eCM = 13000", *process]:
        pythia.readString(line)
    pythia.init()
    parts, found = [], 0
    while found < n_jets:
        particles = pythia.nextBatch(250).prt
        number = abs(particles.id)
        visible = particles.p[(particles.status > 0) & (number != 12) & (number != 14) & (number != 16)]
        visible = visible[abs(visible.eta) < 5]
        clusters = fastjet.ClusterSequence(visible, fastjet.JetDefinition(fastjet.antikt_algorithm, 0.8))
        jets = ak.with_name(clusters.inclusive_jets(min_pt=550), "Momentum4D")
        chosen = (jets.pt < 650) & (abs(jets.eta) < 2)
        parts.append(ak.flatten(ak.with_name(clusters.constituents(min_pt=550), "Momentum4D")[chosen], axis=1))
        found += len(parts[-1])
    constituents = ak.concatenate(parts)[:n_jets]
    flat = ak.flatten(constituents)
    fields = flat.pt, flat.rapidity, flat.phi, np.maximum(flat.mass, 0)
    offsets = np.concatenate([[0], np.cumsum(np.asarray(ak.num(constituents)))])
    return Jets(offsets, *(np.asarray(field, dtype=np.float64) for field in fields))


@pytest.fixture(scope="module")
def pythia_jets() -> Jets:
    file = Path(tempfile.gettempdir()) / f"hepimg-study-jets-{N_JETS}.npz"
    if not file.exists():
        qcd, top = (generate(process, N_JETS // 2) for process in PROCESSES.values())
        offsets = np.concatenate([qcd.offsets, qcd.offsets[-1] + top.offsets[1:]])
        fields = (np.concatenate(pair) for pair in zip(qcd[1:], top[1:], strict=True))
        np.savez(file, **dict(zip(Jets._fields, (offsets, *fields), strict=True)))
    with np.load(file) as arrays:
        return Jets(*(arrays[name] for name in Jets._fields))


@pytest.mark.study
@pytest.mark.parametrize("axes", SUBJETTINESS_AXES)
def test_equals_fastjet_on_pythia_jets(pythia_jets, axes):
    taus = subjettiness(*pythia_jets, axes=axes, r0=0.8)
    differs = ~np.isclose(taus, fastjet_taus(pythia_jets, axes, 1.0), rtol=1e-6, atol=0).all(axis=1)
    logging.info("%s: %d of %d jets differ by more than 1e-6", axes, differs.sum(), len(taus))
    assert differs.mean() <= (1e-3 if axes.startswith("onepass") else 1e-4)
