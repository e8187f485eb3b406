"""Compiling ahead of time touches every kernel."""

import importlib
import pkgutil

import numba
import pytest

from hepimg import kernels
from hepimg.kernels.warm import compile_kernels


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled without the JIT")
def test_every_kernel_is_compiled_in_at_most_two_forms():
    compile_kernels()
    compiled = {}
    for module in pkgutil.iter_modules(kernels.__path__, "hepimg.kernels."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, numba.core.registry.CPUDispatcher):
                compiled[name] = len(value.signatures)
    assert len(compiled) > 8
    called_by_others = {
        *("cell_of", "kt_axes", "find_smallest", "find_nearest", "_update_nearest", "_difference", "_merge_to_harder"),
        *("add_momenta", "_distances", "_add_triples", "_power", "_assign", "_minimise", "recluster", "_measure"),
        *("_move", "_four_momenta", "_pt", "_mass", "_nearest_ghost", "_sink", "_before"),
        *("_sum_of_terms", "_tiles", "_within"),
    }
    assert {name for name, forms in compiled.items() if forms == 0} <= called_by_others
    # the compiler makes as many forms of what kernels call among themselves as it likes
    assert {name for name, forms in compiled.items() if forms > 2} <= called_by_others
