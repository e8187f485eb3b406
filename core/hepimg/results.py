"""Results: what a finished analysis left behind, for notebooks and scripts."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from hepimg.components import Estimate
from hepimg.errors import DataError, did_you_mean
from hepimg.registry import load_registry
from hepimg.splits import SPLITS
from hepimg.store import Cache, read_json


def load(folder: str | Path) -> Results:
    """Open a results folder.

    >>> results = hepimg.load("results/qcd_vs_top")      # doctest: +SKIP
    >>> results.metrics["tag.auc"]                       # doctest: +SKIP
    Estimate(value=0.962, error=0.0016, n=12012)

    Raises:
        DataError: it is no results folder.
    """
    return Results(Path(folder))


class Results:
    """One results folder: metrics, histograms, models, and the samples behind them."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "metrics.json").exists():
            beside = folder.parent.iterdir() if folder.parent.is_dir() else []
            known = [str(path) for path in beside if (path / "metrics.json").exists()]
            raise DataError(
                f"no results are here; {did_you_mean(str(folder), known)}",
                where=str(folder),
                needed="a folder that hepimg run has finished",
            )
        self.folder = folder

    @cached_property
    def metrics(self) -> dict[str, Estimate]:
        """Numbers by name, such as ``tag.auc`` and ``tag.rejection@0.5``."""
        return {name: Estimate(**content) for name, content in read_json(self.folder / "metrics.json").items()}

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Versions, seeds, keys, cross-sections."""
        return dict(read_json(self.folder / "provenance.json"))

    @cached_property
    def analysis(self) -> dict[str, Any]:
        """The analysis with every default written out."""
        return dict(read_json(self.folder / "analysis.json"))

    @property
    def report(self) -> Path:
        """The report's HTML file."""
        return self.folder / "report.html"

    @property
    def figures(self) -> list[str]:
        """Names of the figures."""
        return [figure["name"] for figure in read_json(self.folder / "figures" / "figures.json")]

    def histogram(self, figure: str) -> dict[str, Any]:
        """The numbers behind a figure."""
        return dict(self._read(self.folder / "figures", figure, ".json", self.figures))

    def model(self, task: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """A task's state (named arrays) and its description."""
        from hepimg.states import read_state

        known = [path.name for path in (self.folder / "tasks").iterdir()]
        description = self._read(self.folder / "tasks" / task, "model", ".json", known, task)
        return read_state(self.folder / "tasks" / task / "state.safetensors"), dict(description)

    def sample(self, name: str, split: str = "test", preprocess: bool = False) -> Any:
        """The rows of a split of a sample, with the predictions made for them as columns and images ``task.name``.

        Args:
            name: of the sample.
            split: ``train``, ``valid`` or ``test``; of the first two, tasks predict what other tasks learn from, and
                predictions for a part of the rows are left out.
            preprocess: after the steps of ``preprocess``, as tasks saw them with random steps at rest; otherwise as
                the source and its steps made them.

        Raises:
            DataError: the cache no longer holds them, or a step is not installed.
        """
        import numpy as np

        from hepimg.dataset import Dataset, Part
        from hepimg.random import derive_seed
        from hepimg.shards import read_shard
        from hepimg.splits import split_of

        described = self.provenance["samples"]
        if name not in described:
            raise DataError(f"no sample {name!r}; {did_you_mean(name, described)}", where=str(self.folder))
        cache, left, first, parts = Cache(), described[name]["rows"], 0, []
        classes = tuple(self.analysis["samples"])
        for path in sorted(cache.unit("data", described[name]["key"]).folder.glob("*.arrow")):
            event = read_shard(path, ["event"]).column("event")[:left]
            fractions = self.analysis["data"]["split"]
            rows = np.flatnonzero(split_of(event, fractions, self.analysis["seed"]) == SPLITS.index(split))
            if len(rows):
                parts.append(Part(classes.index(name), path, first, rows, self._predictions(name, split, path)))
            first, left = first + len(event), left - len(event)
            if not left:
                break
        if left:
            raise DataError(
                f"the cache lacks {left} rows of {name}", where=str(cache.folder), fix="Run the analysis again."
            )
        common = set.intersection(*({task for task, _ in part.joined} for part in parts)) if parts else set()
        parts = [replace(part, joined=tuple(one for one in part.joined if one[0] in common)) for part in parts]
        steps = self._steps() if preprocess else ()
        return Dataset(tuple(parts), classes, steps, derive_seed(self.analysis["seed"], "preprocess"))

    def _steps(self) -> tuple[Any, ...]:
        """The steps of ``preprocess``."""
        registry, found = load_registry(), []
        for content in self.analysis["preprocess"]:
            options = {name: value for name, value in content.items() if name != "step"}
            try:
                step = registry.find("step", content["step"]).component
            except LookupError as error:
                raise DataError(str(error), where=str(self.folder / "analysis.json")) from error
            found.append(step.model_validate_json(json.dumps(options), strict=True))
        return tuple(found)

    def _predictions(self, sample: str, split: str, shard: Path) -> tuple[tuple[str, Path], ...]:
        """Tasks and files of the predictions for one shard; those for test rows must be there."""
        found = []
        for task, keys in self.provenance["tasks"].items():
            if sample in keys["predict"]:
                file = Cache().unit("predict", keys["predict"][sample]).folder / f"{split}-{shard.name}"
                if file.exists():
                    found.append((task, file))
                elif split == "test":
                    raise DataError(f"the cache lacks predictions of {task}", where=str(file), fix="Run again.")
        return tuple(found)

    def _read(self, folder: Path, name: str, suffix: str, known: list[str], asked: str = "") -> Any:
        path = folder / f"{name}{suffix}"
        if not path.exists():
            raise DataError(f"no {asked or name!r}; {did_you_mean(asked or name, known)}", where=str(self.folder))
        return read_json(path)

    def __repr__(self) -> str:
        lines = [f"Results({self.folder}): {self.analysis['title']}"]
        for name, estimate in self.metrics.items():
            error = f" ± {estimate.error:.2g}" if estimate.error is not None else ""
            lines.append(f"  {name} {'> ' if estimate.limit else ''}{estimate.value:.4g}{error}")
        return "\n".join(lines)
