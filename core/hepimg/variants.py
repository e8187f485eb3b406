"""Variants: a task with several seeds or a scan is several trainings, and so is every task that reads one of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from hepimg.yaml_lines import Place


@dataclass(frozen=True)
class Variant:
    """One training of a task.

    Args:
        name: ``tell[epochs=4,seed=2]``.
        group: the name without the seeds, ``tell[epochs=4]``.
        seed: its number within the group, from 1.
        scan: label -> value of all that is scanned, by the task or by those that it reads.
        seeds: label -> number of all seeds, likewise.
    """

    name: str
    group: str
    seed: int
    scan: Mapping[str, str]
    seeds: Mapping[str, str]

    @property
    def labels(self) -> dict[str, str]:
        """All that tells it from the other variants that a name stands for."""
        return {**self.scan, **self.seeds}


def without_seeds(name: str) -> str:
    """The group of a variant.

    >>> without_seeds("tell[epochs=4,seed=2,tell.seed=1]")
    'tell[epochs=4]'
    """
    left = re.sub(r"(?<=[\[,])([\w-]+\.)?seed=\d+(,|(?=\]))", "", name)
    return left.replace(",]", "]").replace("[]", "")


Known = dict[str, list[Variant]]
"""Name of a task (``tell``) or of a group (``tell[epochs=4]``) -> the variants that it stands for."""


def remember(known: Known, task: str, variants: Sequence[Variant]) -> None:
    """Note what a task and each of its groups stand for."""
    known[task] = list(variants)
    for variant in variants:
        if variant.group != task:
            # Who names a group has chosen from the scan: it is no longer something that varies.
            known.setdefault(variant.group, []).append(replace(variant, scan={}))


def variants_of(
    task: str, options: Mapping[str, Any], chosen: Mapping[str, Any], seeds: int, known: Known
) -> Iterator[tuple[Variant, dict[str, Any]]]:
    """The variants of a task for one choice from its scan: each seed, for each variant of what it reads.

    The labels of what it reads become its own.  Where a label of its own is taken by one of them, the task's name
    stands before it: ``tell[seed=1,tell.seed=2]``.

    Args:
        task: its name.
        options: what is written for it, with the chosen values in place.
        chosen: option -> value.
        seeds: how many.
        known: what the names of other tasks stand for.

    Yields:
        A variant, and its options, in which ``sharpen.image`` has become ``sharpen[seed=1].image``.

    Raises:
        ValueError: what it reads does not go together.
    """
    numbers: Counter[str] = Counter()
    for read in _together({name: known[name] for name in _tasks_in(options) if name in known}):
        scan = {label: value for variant in read.values() for label, value in variant.scan.items()}
        of_read = {label: value for variant in read.values() for label, value in variant.seeds.items()}
        for key, value in chosen.items():
            scan[_label(task, key, {**scan, **of_read})] = str(value)
        own = _label(task, "seed", {**scan, **of_read})
        names = {name: variant.name for name, variant in read.items()}
        for seed in range(1, seeds + 1):
            all_seeds = {**of_read, own: str(seed)} if seeds > 1 else of_read
            group = _name(task, scan)
            numbers[group] += 1
            variant = Variant(_name(task, {**scan, **all_seeds}), group, numbers[group], scan, all_seeds)
            yield variant, {key: _renamed(value, names) for key, value in options.items()}


def readings_of(options: Mapping[str, Any], known: Known) -> Iterator[dict[str, Any]]:
    """The options of a metric, once for each variant of what it reads alone; in a list, all variants stand together.

    Raises:
        ValueError: what it reads does not go together.
    """
    alone = {key: value for key, value in options.items() if isinstance(value, str)}
    lists = {key: _expanded(value, known) for key, value in options.items() if key not in alone}
    for read in _together({name: known[name] for name in _tasks_in(alone) if name in known}):
        renamed = _renamed(alone, {name: variant.name for name, variant in read.items()})
        yield {key: renamed[key] if key in alone else lists[key] for key in options}


def _expanded(value: Any, known: Known) -> Any:
    """In a list of predictions, ``tag.score`` becomes ``tag[seed=1].score``, ``tag[seed=2].score`` ..."""
    if not isinstance(value, list):
        return value
    expanded: list[Any] = []
    for item in value:
        task, _, output = item.rpartition(".") if isinstance(item, str) else ("", "", "")
        expanded += [f"{variant.name}.{output}" for variant in known[task]] if task in known else [item]
    return expanded


def tasks_behind(names: Iterable[str]) -> list[str]:
    """The tasks of those names that are predictions, each once."""
    return list(dict.fromkeys(task for name in names if (task := task_of(name))))


def task_of(name: str) -> str:
    """The task of a prediction, empty for any other name: a dot inside brackets is part of a name.

    >>> task_of("tag[strength=0.1].score"), task_of("correlator[beta=0.2]"), task_of("mass")
    ('tag[strength=0.1]', '', '')
    """
    task = name.rpartition(".")[0]
    return task if task.count("[") == task.count("]") else ""


def in_reading_order(tasks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of the tasks, each after those whose predictions its options name.

    Raises:
        graphlib.CycleError: there is no such order.
    """
    graph = {
        name: [other for read in _tasks_in(content) if (other := read.partition("[")[0]) in tasks]
        for name, content in tasks.items()
    }
    return list(TopologicalSorter(graph).static_order())


def explain_cycle(error: CycleError) -> tuple[Place, str]:
    """Where and how to tell that tasks wait for each other."""
    cycle: list[str] = error.args[1]
    return ("tasks", cycle[0].partition("[")[0]), f"the tasks wait for each other: {' -> '.join(cycle)}"


def set_inside(options: dict[str, Any], keys: Sequence[str], value: Any) -> bool:
    """Set an inner option, making mappings on the way; False where something else stands in the way."""
    for key in keys[:-1]:
        options = options.setdefault(key, {})
        if not isinstance(options, dict):
            return False
    options[keys[-1]] = value
    return True


def _together(read: Mapping[str, Sequence[Variant]]) -> list[dict[str, Variant]]:
    """Each way to take one variant of every task that is read, with equal values under labels in common."""
    ways: list[dict[str, Variant]] = [{}]
    for name, variants in read.items():
        ways = [{**way, name: each} for way in ways for each in variants if all(_agree(each, o) for o in way.values())]
    for name, variants in read.items():
        for variant in variants:
            if not any(way[name] == variant for way in ways):
                raise ValueError(
                    f"it reads {' and '.join(read)}, but nothing goes with {variant.name}; give them the same "
                    "seeds and scans, or name one variant of each"
                )
    return ways


def _agree(one: Variant, other: Variant) -> bool:
    theirs = other.labels
    return all(theirs.get(label, value) == value for label, value in one.labels.items())


def _label(task: str, key: str, taken: Mapping[str, str]) -> str:
    """The shortest label of an option that is not taken."""
    return next(label for label in (key.rpartition(".")[2], key, f"{task}.{key}") if label not in taken)


def _name(task: str, labels: Mapping[str, str]) -> str:
    return f"{task}[{','.join(f'{label}={value}' for label, value in labels.items())}]" if labels else task


def _tasks_in(value: Any) -> Iterator[str]:
    """What stands before the last dot of each text, at any depth."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _tasks_in(item)
    elif isinstance(value, str) and "." in value:
        yield value.rpartition(".")[0]


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """The same with the name of the variant in each prediction of a task."""
    if isinstance(value, dict):
        return {key: _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    task, _, output = value.rpartition(".") if isinstance(value, str) else ("", "", "")
    return f"{names[task]}.{output}" if task in names else value
