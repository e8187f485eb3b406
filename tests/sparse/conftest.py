"""Random sparse tensors, and control of engine and number of threads."""

from collections.abc import Callable, Iterator

import pytest
import torch
from engine_paths import PATHS, computed_by

from hepimg.sparse import SparseTensor

MakeTensor = Callable[..., SparseTensor]


@pytest.fixture
def make_tensor() -> MakeTensor:
    """A function that makes images with random active cells; image 1, where there is one, is empty."""

    def make(
        batch_size: int = 3,
        shape: tuple[int, int] = (6, 7),
        channels: int = 4,
        periodic: tuple[bool, bool] = (False, False),
        occupancy: float = 0.3,
        dtype: torch.dtype = torch.float64,
        seed: int = 0,
    ) -> SparseTensor:
        random = torch.Generator().manual_seed(seed)
        active = torch.rand(batch_size, *shape, generator=random) < occupancy
        active[1:2] = False
        sites = active.nonzero()
        features = torch.randn(len(sites), channels, generator=random, dtype=dtype)
        return SparseTensor(features, sites, shape, batch_size, periodic)

    return make


@pytest.fixture(params=PATHS)
def precision(request: pytest.FixtureRequest) -> Iterator[torch.dtype]:
    """Run a test on each way on which convolutions can be computed; the precision of float64 tensors there."""
    with computed_by(request.param):
        yield torch.float32 if request.param == "compiled products" else torch.float64


@pytest.fixture(params=[1, 2], ids=["1 thread", "2 threads"])
def threads(request: pytest.FixtureRequest, one_thread: None) -> int:
    """Run a test with this many threads in torch."""
    torch.set_num_threads(request.param)  # ``one_thread`` sets it back
    return request.param


@pytest.fixture(autouse=True)
def _always_one_thread(one_thread: None) -> None:
    """Every test of sparse layers runs so, unless it asks for ``threads``."""
