"""Files as physicists have them: HDF5, ROOT, Parquet and HepMC, each layout a source; and pictures of digits."""

from __future__ import annotations

from hepimg.components import Source
from hepimg.hooks import hookimpl


@hookimpl
def hepimg_sources() -> list[type[Source]]:
    """One source for each layout."""
    from hepimg_files.hdf5.calochallenge import CaloChallenge
    from hepimg_files.hdf5.calogan import CaloGan
    from hepimg_files.hdf5.jetnet import JetNet
    from hepimg_files.hdf5.lagan import Lagan
    from hepimg_files.hdf5.plain import Hdf5Events, PlainHdf5
    from hepimg_files.hdf5.top_tagging import TopTagging
    from hepimg_files.hepmc.source import HepMC
    from hepimg_files.pictures.digits import Digits
    from hepimg_files.pictures.idx import Idx
    from hepimg_files.tables.delphes import Delphes, DelphesJets
    from hepimg_files.tables.jetclass import JetClass
    from hepimg_files.tables.nanoaod import NanoAOD, NanoAODJets
    from hepimg_files.tables.plain_parquet import Parquet, ParquetEvents
    from hepimg_files.tables.plain_root import Root, RootEvents

    return [
        *(TopTagging, Lagan, JetNet, PlainHdf5, Hdf5Events, CaloChallenge, CaloGan),
        *(JetClass, NanoAOD, NanoAODJets, Delphes, DelphesJets, Root, RootEvents, Parquet, ParquetEvents),
        *(HepMC, Idx, Digits),
    ]
