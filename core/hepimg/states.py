"""States: what tasks have learned, as safetensors with a description beside; no pickle is ever read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hepimg.components import State
from hepimg.errors import DataError
from hepimg.store import writing

_PICKLES = (b"\x80", b"PK\x03\x04", b"\x93NUMPY", b"\x1f\x8b")


def write_state(path: Path, state: State, description: Mapping[str, str] | None = None) -> None:
    """Write named arrays in one piece."""
    from safetensors.numpy import save

    arrays = {name: np.require(array, requirements="C") for name, array in state.items()}
    with writing(path) as temporary:
        temporary.write_bytes(save(arrays, metadata=dict(description or {})))


def read_state(path: Path) -> dict[str, Any]:
    """Read named arrays.

    Raises:
        DataError: there is no such file, or it is not safetensors (a pickle, say, which is never loaded).
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(path)) from error
    try:
        return dict(load(content))
    except (SafetensorError, ValueError, KeyError) as error:
        what = "a pickle or archive, which is never loaded" if content.startswith(_PICKLES) else f"no state ({error})"
        raise DataError(
            what, where=str(path), needed="safetensors", fix="Remove the folder and train again."
        ) from error
