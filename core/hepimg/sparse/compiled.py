"""What compiled kernels are called with: torch's threads, and tensors as arrays."""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hepimg.kernels.team import team_of


def current_team() -> NDArray[np.int64]:
    """The threads that torch uses now, as :func:`hepimg.kernels.team.share` wants them."""
    return _team(torch.get_num_threads())


def as_array(tensor: Tensor) -> NDArray[Any]:
    """The memory of a tensor on the CPU, without its history."""
    array: NDArray[Any] = tensor.detach().numpy()
    return array


@lru_cache
def _team(threads: int) -> NDArray[np.int64]:
    return team_of(threads)
