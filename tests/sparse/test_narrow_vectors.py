"""The compiled products as they are on a machine without AVX-512: vectors of 8, tiles of 4 rows."""

import os
import subprocess
import sys

PROGRAM = """
from llvmlite import binding
features = binding.get_host_cpu_features()
features["avx512f"] = False
binding.get_host_cpu_features = lambda: features
import torch
from hepimg.kernels.tile import LANES, ROWS
from hepimg.sparse import SparseTensor, SubmanifoldConv2d, use_engine
assert (LANES, ROWS) == (8, 4)
active = torch.rand(8, 9, 9, generator=torch.Generator().manual_seed(1)) < 0.4
sites = active.nonzero()
for inputs, outputs in ((3, 8), (12, 24), (40, 33)):
    layer = SubmanifoldConv2d(inputs, outputs)
    x = torch.randn(len(sites), inputs, requires_grad=True)
    given = torch.randn(len(sites), outputs)
    results = []
    for engine in ("native", "dense"):
        with use_engine(engine):
            y = layer(SparseTensor(x, sites, (9, 9), 8)).features
            results.append([y, *torch.autograd.grad(y, (x, layer.weight), given)])
    for ours, dense in zip(*results):
        torch.testing.assert_close(ours, dense, atol=1e-4, rtol=1e-4)
print("equal")
"""


def test_narrow_vectors_equal_dense(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}  # the cache does not know of the pretence
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout == "equal\n", done.stderr
