"""Checkpoints as safetensors: tensors, and the tree that they hang on as JSON in the header.

Nothing is ever unpickled, so a checkpoint cannot run code.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from hepimg.errors import DataError
from hepimg.store import writing

FIX = "Remove the folder, and training begins anew."


class SafeCheckpoints(CheckpointIO):
    """Writes checkpoints in one piece, and reads them without executing anything."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a tree of dicts, lists, tuples, tensors, numbers, texts and None.

        Raises:
            DataError: the disk is full or read-only.
        """
        tensors: dict[str, Tensor] = {}
        tree = _plain(checkpoint, tensors)
        # One key only: safetensors writes several in random order, and equal checkpoints must be equal bytes.
        header = json.dumps({"tree": tree, "sha256": _digest(tensors)})
        with writing(Path(path)) as temporary:
            temporary.write_bytes(save(tensors, {"hepimg": header}))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """The tree, its tensors on the CPU.

        Raises:
            DataError: the file is damaged, or is no checkpoint of hepimg.
        """
        try:
            with safe_open(str(path), framework="pt") as file:
                header = json.loads((file.metadata() or {})["hepimg"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
            if _digest(tensors) != header["sha256"]:
                raise ValueError("its checksum is wrong")
            tree: dict[str, Any] = _tree(header["tree"], tensors)
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"a damaged or foreign checkpoint ({error})", where=str(path), needed="safetensors by hepimg", fix=FIX
            ) from error
        return tree

    def remove_checkpoint(self, path: Any) -> None:
        """Remove the file."""
        Path(path).unlink(missing_ok=True)


def _plain(value: Any, tensors: dict[str, Tensor]) -> Any:
    """What JSON can hold; tensors are put aside under numbers.  Dicts become pairs, as their keys may be numbers."""
    if isinstance(value, Tensor):
        name = f"{len(tensors):06d}"
        tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": [[key, _plain(item, tensors)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [_plain(item, tensors) for item in value]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a checkpoint cannot hold a {type(value).__name__}")


def _tree(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The inverse of :func:`_plain`."""
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: _tree(item, tensors) for key, item in content}
    items = [_tree(item, tensors) for item in content]
    return tuple(items) if kind == "tuple" else items


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
