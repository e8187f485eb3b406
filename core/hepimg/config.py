"""Analysis files: from YAML to verified components; all problems are reported at once as ``file:line: path: what``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hepimg.analysis import Analysis, AnalysisOptions
from hepimg.builder import Builder
from hepimg.errors import ConfigError, Problem, did_you_mean
from hepimg.registry import Registry, load_registry
from hepimg.yaml_lines import Document, Place, parse_assignment, place_of, read_yaml


def load_analysis(
    path: Path, *, quick: bool = False, assignments: Sequence[str] = (), registry: Registry | None = None
) -> Analysis:
    """Read an analysis file and find everything it names.

    Args:
        path: the YAML file.
        quick: apply its ``quick:`` settings.
        assignments: ``key=value`` settings of the command line, applied last.
        registry: where components are looked up; None: the installed plugins.

    Raises:
        ConfigError: with every problem found.
    """
    document = read_yaml(path)
    if not isinstance(document.content, dict):
        raise ConfigError(
            [*document.problems, Problem(0, "", "an analysis is a mapping with title, data, samples, tasks", str(path))]
        )
    if quick:
        _assign_quick(document)
    for text in assignments:
        place, value = parse_assignment(text)
        _assign(document, place, value)
        document.sources[place] = ("--set", 0)
    name = path.stem + ("-quick" if quick else "")
    return Builder(document, registry or load_registry()).build(name, quick)


def _assign_quick(document: Document) -> None:
    """Apply the settings of ``quick:``."""
    quick = document.content.get("quick")
    if not isinstance(quick, dict) or not quick:
        message = "--quick needs settings, such as quick: {data.rows: 1000}"
        document.problems.append(document.problem(("quick",), message))
        return
    for key, value in quick.items():
        _assign(document, place_of(key), value)
        document.sources[place_of(key)] = (document.source, document.lines[("quick", key)])


def _assign(document: Document, place: Place, value: Any) -> None:
    """Set one value; a missing sample or task is a problem, a missing option's mapping is made."""
    here = document.content
    for depth, part in enumerate(place):
        last = depth == len(place) - 1
        if isinstance(here, list) and isinstance(part, int) and part < len(here):
            if last:
                here[part] = value
        elif isinstance(here, dict):
            if last:
                here[str(part)] = value
            elif str(part) not in here:
                if depth < 2 and not (depth == 0 and part in AnalysisOptions.model_fields):
                    document.problems.append(
                        document.problem(place, f"cannot be set: no {part!r}; {did_you_mean(str(part), here)}")
                    )
                    return
                here[str(part)] = {}
        else:
            document.problems.append(document.problem(place, f"cannot be set: {part!r} is not inside a mapping"))
            return
        here = here[str(part)] if isinstance(here, dict) else here[int(part)]
