"""Measurements of hepimg against its peers: ``hepimg bench conv | kernels | train | data``."""
