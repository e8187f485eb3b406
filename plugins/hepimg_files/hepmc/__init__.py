"""HepMC3 files: unpacked and cut into events, checked, read by pyhepmc."""
