"""What a results folder holds, read for the report."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepimg.components import Estimate
from hepimg.errors import DataError
from hepimg.store import read_json

FIGURES = "figures.json"


@dataclass(frozen=True)
class Content:
    """The content of a results folder; what is missing is empty.

    Args:
        folder: where it was read.
        analysis: the resolved analysis.
        metrics: name -> number.
        provenance: versions, seeds, samples, tasks.
        timing: seconds.
        figures: ``name``, ``title``, ``caption``, ``section`` of each, in order.
        logs: task -> column -> one number per row, the first column counting them (epoch, trees).
        models: task -> its ``model.json``.
    """

    folder: Path
    analysis: Mapping[str, Any]
    metrics: Mapping[str, Estimate]
    provenance: Mapping[str, Any]
    timing: Mapping[str, Any]
    figures: list[Mapping[str, str]]
    logs: Mapping[str, Mapping[str, list[float]]]
    models: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, folder: Path) -> Content:
        """Read a folder.

        Raises:
            DataError: it is no results folder, or a file in it is damaged.
        """
        if not (folder / "analysis.json").is_file():
            raise DataError("no analysis.json here", where=str(folder), needed="a folder that `hepimg run` has written")
        metrics = _optional(folder / "metrics.json", {})
        analysis = read_json(folder / "analysis.json")
        tasks = [folder / "tasks" / name for name in analysis.get("tasks", {})]
        logs = {task.name: read_log(task / "log.csv") for task in tasks}
        return cls(
            folder=folder,
            analysis=analysis,
            metrics={name: Estimate(**number) for name, number in metrics.items()},
            provenance=_optional(folder / "provenance.json", {}),
            timing=_optional(folder / "timing.json", {}),
            figures=_optional(folder / "figures" / FIGURES, []),
            logs={task: log for task, log in logs.items() if log},
            models={task.name: model for task in tasks if (model := _optional(task / "model.json", {}))},
        )


def split_name(name: str) -> tuple[str, str]:
    """The row and the metric of a number's name.

    >>> split_name("tag[strength=0.1].rejection@0.5")
    ('tag[strength=0.1]', 'rejection@0.5')
    """
    body = name.partition("@")[0]
    # Dots inside brackets separate nothing.
    dot = re.sub(r"\[.*?\]", lambda found: "_" * len(found[0]), body).rfind(".")
    return name[: max(dot, 0)], name[dot + 1 :]


def read_log(path: Path) -> dict[str, list[float]]:
    """The columns of a training log; an empty or missing entry is not-a-number, a missing file has no columns."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = list(rows[0]) if rows else []
    try:
        return {name: [float(row[name] or "nan") for row in rows] for name in columns}
    except ValueError as error:
        raise DataError(f"not a number: {error}", where=str(path), fix="Remove it and run again.") from error


def _optional(path: Path, missing: Any) -> Any:
    return read_json(path) if path.is_file() else missing
