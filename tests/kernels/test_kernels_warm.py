"""Compiling ahead of time touches every kernel."""

import importlib
import os
import pkgutil
import subprocess
import sys

import numba
import pytest

from hepimg import kernels
from hepimg.kernels.warm import compile_kernels, compile_network_kernels


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled without the JIT")
def test_every_kernel_is_compiled_in_at_most_two_forms():
    compile_kernels()
    compile_network_kernels()
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
        *("_sum_of_terms", "_tiles", "_within", "raise_to", "is_clear"),
        # shared among the threads of a team
        *("_convolve", "_outer", "_draft_pairs", "_collect_pairs", "_draft_reached", "_find_largest"),
        *("_block_moments", "_normalise", "_block_gradients", "_spread"),
        *("_add_rows", "_add_products", "_tap", "_bits"),
        *("add_up", "mark", "collect", "_lowest_bit", "_take_largest"),
    }
    assert {name for name, forms in compiled.items() if forms == 0} <= called_by_others
    # the compiler makes as many forms of what kernels call among themselves as it likes
    assert {name for name, forms in compiled.items() if forms > 2} <= called_by_others


MISSES = """
import sys, numba
from hepimg.kernels.warm import compile_kernels, compile_network_kernels
compile_kernels()
compile_network_kernels()
modules = [module for name, module in sys.modules.items() if name.startswith("hepimg.")]
kernels = {value for module in modules for value in vars(module).values() if hasattr(value, "stats")}
assert any(kernel.stats.cache_hits for kernel in kernels)
print(*sorted(kernel.__name__ for kernel in kernels if kernel.stats.cache_misses))
"""


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled without the JIT")
def test_nothing_is_compiled_again_in_the_next_process():
    compile_kernels()
    compile_network_kernels()
    result = subprocess.run([sys.executable, "-c", MISSES], capture_output=True, text=True, env=os.environ, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []


TEAM = """
from hepimg.kernels.warm import compile_network_kernels
compile_network_kernels()
import torch
torch.set_num_threads(2)
from hepimg.sparse.compiled import current_team
print(current_team()[0], hasattr(__import__("ctypes").CDLL(None), "GOMP_parallel"))
"""


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled without the JIT")
def test_a_team_is_found_though_kernels_were_compiled_before_torch_came():
    result = subprocess.run([sys.executable, "-c", TEAM], capture_output=True, text=True, check=True)
    threads, has_openmp = result.stdout.split()
    assert threads == ("2" if has_openmp == "True" else "1")
