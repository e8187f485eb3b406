"""What a component promises against what it does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from hepimg.components import Collection, Column, Component, Image, Metric, Port, Predictions, Step, Task
from hepimg.flow import ports_of
from hepimg.sample import Sample
from hepimg.shards import checksum


def require(holds: bool, who: str, message: str) -> None:
    """Raise AssertionError, naming the component, unless it holds."""
    if not holds:
        raise AssertionError(f"{who}: {message}")


def check_reads(component: Step | Task | Metric, ports: Mapping[str, Port]) -> None:
    """The rows of a check hold what the component reads."""
    for needed in component.reads():
        there = ports.get(needed.name)
        require(type(there) is type(needed), component.name, f"the check's sample lacks what it reads: {needed}")
        if isinstance(needed, Collection) and isinstance(there, Collection):
            missing = [name for name in needed.fields if name not in there.fields]
            require(not missing, component.name, f"the check's sample lacks the fields {missing} of {needed.name}")


def check_written(component: Component, promised: Iterable[Port], sample: Sample) -> None:
    """All that was promised is there, with its kind, unit, fields, grid and channels."""
    found = ports_of(sample)
    for port in promised:
        there = found.get(port.name)
        require(_keeps(port, there), component.name, f"writes() promised {port}; found {there}")


def check_rest(step: Step, promised: Iterable[Port], before: Sample, after: Sample) -> None:
    """Rows stay, and what was not promised is neither added, lost nor changed."""
    require(len(after) == len(before), step.name, f"{len(before)} rows became {len(after)}; {step.rows_in}s stay")
    written = {port.name for port in promised}
    rest = [name for name in ports_of(before) if name not in written]
    extra = set(ports_of(after)) - {*rest, *written}
    require(not extra, step.name, f"it wrote {sorted(extra)}, which writes() does not name")
    for name in rest:
        kept = name in ports_of(after) and checksum(before.select([name])) == checksum(after.select([name]))
        require(kept, step.name, f"it changed {name}, which writes() does not name")


def check_predictions(task: Task, sample: Sample, said: Predictions) -> None:
    """Predictions are what was promised: names, kinds, one for each row, finite."""
    promised = {port.name: port for port in task.writes(ports_of(sample))}
    require(set(said) == set(promised), task.name, f"predict gave {sorted(said)}, promised {sorted(promised)}")
    for name, values in said.items():
        require(len(values) == len(sample), task.name, f"{len(values)} rows of {name} for {len(sample)} rows")
        if isinstance(values, np.ndarray):
            require(isinstance(promised[name], Column), task.name, f"{name} is a column, promised: {promised[name]}")
            require(bool(np.isfinite(values).all()), task.name, f"{name} is not finite")
        else:
            there = Image(name, values.grid, values.channels)
            require(_keeps(promised[name], there), task.name, f"promised {promised[name]}, found {there}")


def _keeps(promised: Port, there: Port | None) -> bool:
    """Whether what is there is what was promised: kind, unit, fields, grid and channels."""
    if isinstance(promised, Image) and isinstance(there, Image):
        grids = promised.grid in (None, there.grid)
        return grids and (not promised.channels or promised.channels == there.channels)
    if isinstance(promised, Collection) and isinstance(there, Collection):
        return dict(promised.fields) == dict(there.fields)
    return promised == there
