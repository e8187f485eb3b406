"""Between a module and a state: named arrays, and texts among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hepimg.errors import DataError

if TYPE_CHECKING:
    from torch import nn

    from hepimg.components import State

FIX = "The state belongs to another network: train again."


def state_of(module: nn.Module) -> dict[str, NDArray[Any]]:
    """Copies of all parameters and buffers, by their names in the module."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in module.state_dict().items()}


def load_state(module: nn.Module, state: State) -> None:
    """Set all parameters and buffers of a module.

    Raises:
        DataError: an array is missing, is not of this module, or has another shape.
    """
    import torch

    wanted = module.state_dict()
    wrong = [f"no {name}" for name in wanted if name not in state]
    wrong += [f"{name}, which the network does not have" for name in state if name not in wanted]
    wrong += [
        f"{name} of shape {state[name].shape} for {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in state and state[name].shape != tuple(tensor.shape)
    ]
    if wrong:
        shown = "; ".join(wrong[:5]) + (f"; and {len(wrong) - 5} more" if len(wrong) > 5 else "")
        raise DataError(f"the state does not fit the network: it has {shown}", fix=FIX)
    # A copy: arrays read from a file are read-only, which torch warns of.
    module.load_state_dict({name: torch.from_numpy(np.array(state[name])) for name in wanted})


def array_of_text(text: str) -> NDArray[np.uint8]:
    """(n_bytes,) a text as an array of a state."""
    return np.frombuffer(text.encode(), np.uint8).copy()


def text_of_array(array: NDArray[np.uint8]) -> str:
    """The inverse of :func:`array_of_text`."""
    return array.tobytes().decode()
