"""Compiled passes over jagged arrays: NumPy in, NumPy out, Numba inside, nothing else.

A batch of jets is described by ``offsets`` (n_jets + 1, int64, from 0 to n_entries) and flat arrays, one entry per
particle or cell: row ``j`` owns the entries ``offsets[j]:offsets[j + 1]``.  Every kernel works on any number of threads
and gives the same bytes for each; none of them changes its input.
"""

SUBJETTINESS_AXES = ("kt", "wta_kt", "onepass_kt", "onepass_wta_kt")
"""Axes of N-subjettiness: exclusive kt (E-scheme) or winner-take-all kt, plain or after one minimisation."""
