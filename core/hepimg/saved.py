"""Saved models: what a finished task left in ``results/NAME/tasks/TASK``, used again without training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepimg.components import Step, Task
from hepimg.errors import DataError
from hepimg.states import describe_steps
from hepimg.store import describe

STATE, DESCRIPTION = "state.safetensors", "model.json"


@dataclass(frozen=True)
class SavedModel:
    """The folder of a finished task, and its ``model.json``.

    Attributes:
        folder: where it is.
        description: task with options, steps, what was learned from.
    """

    folder: Path
    description: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path) -> SavedModel:
        """Read the description.

        Raises:
            DataError: there is no model in the folder.
        """
        try:
            description = json.loads((folder / DESCRIPTION).read_text())
            known = (
                isinstance(description, dict)
                and {"task", "steps", "split", "trained_on"} <= set(description)
                and {"name", "options"} <= set(description["task"])
                and isinstance(description["task"]["options"], dict)
            )
        except (OSError, ValueError, TypeError) as error:
            raise DataError(
                f"no saved model: {DESCRIPTION} {error.strerror if isinstance(error, OSError) else error}",
                where=str(folder),
                needed="the folder of a finished task, results/NAME/tasks/TASK",
            ) from error
        if not known or not (folder / STATE).exists():
            raise DataError(f"no saved model: no {STATE}, or another {DESCRIPTION}", where=str(folder))
        return cls(folder, description)

    @property
    def checksum(self) -> str:
        """Of what was learned."""
        return hashlib.sha256((self.folder / STATE).read_bytes()).hexdigest()

    def completed(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """What an analysis says of a task, with options that it leaves out as they were when the model was saved."""
        task = self.description["task"]
        return _merged(task["options"] if task["name"] == content.get("task") else {}, content)

    def problems(self, task: Task, steps: Sequence[Step]) -> list[str]:
        """Where it is not a model of this task after these jet steps; options that only predictions read may differ."""
        saved = dict(self.description["task"])
        saved["options"] = {k: v for k, v in saved["options"].items() if k not in task.prediction_options}
        asked = describe(task, without=task.prediction_options)
        both = [
            *_differences("task", saved | {"libraries": {}}, asked | {"libraries": {}}),
            *_differences("preprocess", self.description["steps"], describe_steps(steps)),
        ]
        return [f"{place}: {found!r} in the saved model, {wanted!r} here" for place, found, wanted in both]

    def has_learned_from(self, data: Mapping[str, str], split: Mapping[str, Any]) -> list[str]:
        """The samples, of name -> key, whose test rows it may have seen: same data, split in another way."""
        keys = set(self.description["trained_on"].values())
        return [name for name, key in data.items() if key in keys and self.description["split"] != split]


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The content of both, that of ``other`` where there is any, inside of mappings too."""
    inner = {
        key: _merged(one[key], other[key])
        for key in one
        if isinstance(one[key], dict) and key in other and isinstance(other[key], dict)
    }
    return {**one, **other, **inner}


def _differences(place: str, one: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:
    """Places inside of two JSON-like contents that are not the same, and what stands there."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            yield from _differences(f"{place}.{key}", one.get(key), other.get(key))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, pair in enumerate(zip(one, other, strict=True)):
            yield from _differences(f"{place}[{number}]", *pair)
    elif one != other:
        yield place, one, other
