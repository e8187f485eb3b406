"""HDF5 files, read without trust: a layout each."""
