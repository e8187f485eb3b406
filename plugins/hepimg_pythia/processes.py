"""The processes that have a name: what each is, and the lines that tell Pythia."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ProcessName = Literal[
    "dijet",
    "quark_dijet",
    "gluon_dijet",
    "ttbar_hadronic",
    "ww_hadronic",
    "zz_hadronic",
    "zh_bb",
    "photon_jet",
    "dark_shower",
]

QUARKS = "1 2 3 4 5"
DARK_PIONS, DARK_RHOS = (4900111, 4900211), (4900113, 4900213)
NEUTRINOS = "12 14 16"


@dataclass(frozen=True)
class Process:
    """A process: one sentence about it, and its lines."""

    description: str
    lines: tuple[str, ...]


def _decays(particle: int, to: str) -> tuple[str, str]:
    return f"{particle}:onMode = off", f"{particle}:onIfAny = {to}"


PROCESSES: dict[ProcessName, Process] = {
    "dijet": Process(
        "All 2 -> 2 QCD scatterings with light and heavy quarks.",
        ("HardQCD:all = on",),
    ),
    "quark_dijet": Process(
        "QCD scatterings into two light quarks or antiquarks; flavours other than u, d, s come only from the proton.",
        ("HardQCD:gg2qqbar = on", "HardQCD:qq2qq = on", "HardQCD:qqbar2qqbarNew = on"),
    ),
    "gluon_dijet": Process(
        "QCD scatterings into two gluons.",
        ("HardQCD:gg2gg = on", "HardQCD:qqbar2gg = on"),
    ),
    "ttbar_hadronic": Process(
        "Top pairs by QCD, both W decaying to quarks.",
        ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on", *_decays(24, QUARKS)),
    ),
    "ww_hadronic": Process(
        "W pairs, both decaying to quarks.",
        ("WeakDoubleBoson:ffbar2WW = on", *_decays(24, QUARKS)),
    ),
    "zz_hadronic": Process(
        "Z pairs without the virtual photon, both decaying to quarks.",
        ("WeakDoubleBoson:ffbar2gmZgmZ = on", "WeakZ0:gmZmode = 2", *_decays(23, QUARKS)),
    ),
    "zh_bb": Process(
        "A Higgs boson decaying to b quarks beside a Z decaying to neutrinos, so that the Higgs jet stands alone.",
        ("HiggsSM:ffbar2HZ = on", "25:onMode = off", "25:onIfMatch = 5 -5", *_decays(23, NEUTRINOS)),
    ),
    "photon_jet": Process(
        "A prompt photon beside a quark or a gluon; the photon is among the particles.",
        ("PromptPhoton:qg2qgamma = on", "PromptPhoton:qqbar2ggamma = on"),
    ),
    "dark_shower": Process(
        "A resonance of 1.2 TeV decaying to dark quarks; their showers end in mesons of 20 GeV that decay to quarks.",
        (
            *("HiddenValley:ffbar2Zv = on", "4900023:m0 = 1200", "4900023:mWidth = 12", *_decays(4900023, "4900101")),
            *("HiddenValley:Ngauge = 2", "HiddenValley:nFlav = 2", "HiddenValley:alphaOrder = 1"),
            *("HiddenValley:Lambda = 35", "HiddenValley:pTminFSR = 38.5", "HiddenValley:probVector = 0.75"),
            *("HiddenValley:FSR = on", "HiddenValley:fragment = on", "4900101:m0 = 10"),
            *(f"{meson}:m0 = 20" for meson in (*DARK_PIONS, *DARK_RHOS)),
            *(f"{pion}:oneChannel = 1 1 91 5 -5" for pion in DARK_PIONS),
            *(f"{rho}:oneChannel = 1 0.2 91 1 -1" for rho in DARK_RHOS),
            *(f"{rho}:addChannel = 1 0.2 91 {quark} -{quark}" for rho in DARK_RHOS for quark in (2, 3, 4, 5)),
        ),
    ),
}
"""``dark_shower`` has the dark sector of CMS's search for semivisible jets (arXiv:2112.11125; mesons of 20 GeV, their
scale of 35 GeV), with a lighter resonance, nothing invisible, and pseudoscalars that decay to b quarks only."""
