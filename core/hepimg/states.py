"""States: what tasks have learned, as safetensors with a description beside; no pickle is ever read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hepimg.components import Port, Ports, State, Step, Task
from hepimg.errors import DataError
from hepimg.store import describe, writing

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


def describe_model(task: Task, state: State, steps: Sequence[Step], ports: Ports) -> dict[str, Any]:
    """What a saved state needs to be used again.

    Args:
        task: its component.
        state: what it has learned.
        steps: the jet steps that its inputs come from.
        ports: what there is to read after them.
    """
    return {
        "task": describe(task),
        "parameters": sum(array.size for array in state.values() if array.dtype.kind == "f"),
        "steps": describe_steps(steps),
        "reads": {port.name: port_as_json(ports.get(port.name, port)) for port in task.reads()},
        "writes": {port.name: port_as_json(port) for port in task.writes(ports)},
    }


def describe_steps(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Names and options."""
    return [{"step": step.name, **step.model_dump(mode="json")} for step in steps]


def port_as_json(port: Port) -> dict[str, Any]:
    """Kind, unit, fields, grid, channels."""
    content: dict[str, Any] = {"kind": type(port).__name__.lower()}
    for name, value in vars(port).items():
        if name == "grid":
            content[name] = value.model_dump(mode="json") if value is not None else None
        elif name == "channels":
            content[name] = [vars(channel) for channel in value]
        elif name != "name":
            content[name] = dict(value) if isinstance(value, Mapping) else value
    return content
