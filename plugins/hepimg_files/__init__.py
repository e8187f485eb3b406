"""Files as physicists have them: HDF5, ROOT, Parquet and HepMC, each layout a source."""

from __future__ import annotations

from hepimg.components import Source
from hepimg.hooks import hookimpl


@hookimpl
def hepimg_sources() -> list[type[Source]]:
    """One source for each layout."""
    from hepimg_files.calochallenge import CaloChallenge
    from hepimg_files.calogan import CaloGan
    from hepimg_files.hepmc import HepMC
    from hepimg_files.jetnet import JetNet
    from hepimg_files.lagan import Lagan
    from hepimg_files.plain_hdf5 import PlainHdf5
    from hepimg_files.top_tagging import TopTagging

    return [TopTagging, Lagan, JetNet, PlainHdf5, CaloChallenge, CaloGan, HepMC]
