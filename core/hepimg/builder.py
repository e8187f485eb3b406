"""What an analysis file says, turned into verified components."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from hepimg.analysis import (
    Analysis,
    AnalysisOptions,
    DataOptions,
    MetricEntry,
    MetricOptions,
    SampleEntry,
    TaskEntry,
    TaskOptions,
)
from hepimg.components import Component
from hepimg.engine import why_engine_fails
from hepimg.errors import ConfigError, DataError, did_you_mean
from hepimg.explain import explain
from hepimg.registry import RESERVED, Kind, Registry
from hepimg.saved import SavedModel
from hepimg.variants import Known, explain_cycle, in_reading_order, readings_of, remember, set_inside, variants_of
from hepimg.yaml_lines import Document, Place


class Builder:
    """Turns a document into an analysis, collecting problems on the way."""

    def __init__(self, document: Document, registry: Registry) -> None:
        self.document, self.registry = document, registry
        self.problems = list(document.problems)

    def build(self, name: str, quick: bool) -> Analysis:
        """The analysis.

        Raises:
            ConfigError: there were problems.
        """
        options = self.validate(AnalysisOptions, self.document.content, ())
        if options is None:
            raise ConfigError(self.problems)
        if fault := why_engine_fails(options.engine, options.device, options.threads):
            self.complain(("engine",), fault)
        analysis = Analysis(name, quick, options, self.document, self.registry)
        mixtures: dict[str, list[str]] = {}
        for sample, content in options.samples.items():
            if "of" in content:
                mixtures[sample] = content["of"] if isinstance(content["of"], list) else [content["of"]]
                for key in set(content) - {"of"}:
                    self.complain(("samples", sample, key), "unknown key; a mixture has only of: [names]")
            elif entry := self.sample(("samples", sample), content, options.data):
                analysis.samples[sample] = entry
        for pool, content in options.data.pools.items():
            alone = options.data.model_copy(update={"source": {}, "steps": [], "rows": None})
            if entry := self.sample(("data", "pools", pool), content, alone):
                analysis.pools[pool] = entry
        names = self.sample_names(options, mixtures)
        analysis.preprocess = tuple(self.components("step", options.preprocess, ("preprocess",)))  # type: ignore[arg-type]
        known: Known = {}
        tasks = {task: _completed(content) for task, content in options.tasks.items()}
        trainings = {task: self.task(task, tasks[task], names, known) for task in self.order(tasks)}
        # In the order of the file, whatever reads what.
        analysis.tasks = {entry.name: entry for task in options.tasks for entry in trainings.get(task, [])}
        analysis.evaluate = tuple(self.metrics(options.evaluate, known, _real(names)))
        if not self.problems:
            from hepimg.flow import check_flow

            self.problems += check_flow(analysis)
        if self.problems:
            raise ConfigError(self.problems)
        return analysis

    def complain(self, place: Place, message: str) -> None:
        """Note a problem, once."""
        problem = self.document.problem(place, message)
        if problem not in self.problems:
            self.problems.append(problem)

    def validate(self, model: type[BaseModel], content: Any, place: Place, beside: Iterable[str] = ()) -> Any:
        """The validated model, or None with problems noted.  JSON rules: no text for a number, lists for tuples.

        ``beside`` are keys that may stand at its place too.
        """
        try:
            return model.model_validate_json(json.dumps(content), strict=True)
        except ValidationError as error:
            for where, message in explain(error, model, content, beside):
                self.complain((*place, *where), message)
            return None

    def mapping(self, kind: Kind, content: Any, place: Place) -> dict[str, Any] | None:
        """The long form ``{kind: name, option: value ...}`` of a component that may stand as its name alone."""
        if isinstance(content, str):
            content = {kind: content}
        if not isinstance(content, dict) or not isinstance(content.get(kind), str):
            self.complain(place, f"needed: a {kind}'s name, or {{{kind}: name, option: value}}; found {content!r}")
            return None
        return content

    def common(self, model: type[BaseModel], content: Mapping[str, Any], place: Place) -> tuple[Any, dict[str, Any]]:
        """What is said of every component of a kind, validated, or None; and the options of the component itself."""
        own = {key: value for key, value in content.items() if key not in model.model_fields}
        return self.validate(model, {key: content[key] for key in content if key not in own}, place), own

    def component(self, kind: Kind, content: Any, place: Place) -> Any:
        """The component of ``name`` or ``{kind: name, option: value ...}``."""
        content = self.mapping(kind, content, place)
        if content is None:
            return None
        try:
            entry = self.registry.find(kind, content[kind])
        except LookupError as error:
            self.complain((*place, kind), str(error))
            return None
        options = {key: value for key, value in content.items() if key != kind}
        return self.validate(entry.component, options, place, RESERVED[kind])

    def components(self, kind: Kind, contents: Iterable[Any], place: Place) -> list[Component]:
        """The components of a list."""
        found = [self.component(kind, content, (*place, k)) for k, content in enumerate(contents)]
        return [component for component in found if component is not None]

    def sample(self, place: Place, content: Mapping[str, Any], data: DataOptions) -> SampleEntry | None:
        """A sample: the common source with options of its own, common steps and rows unless it names others."""
        common = {"source": data.source} if isinstance(data.source, str) else data.source
        content = dict(content)
        steps, rows = content.pop("steps", data.steps), content.pop("rows", data.rows)
        if not isinstance(steps, list) or (rows is not None and (type(rows) is not int or rows < 1)):
            self.complain(place, "steps must be a list, and rows a positive whole number")
            return None
        if not isinstance(common, dict):
            self.complain(
                ("data", "source"), f"needed: a source's name, or {{source: name, option: value}}; found {common!r}"
            )
            return None
        source = self.component("source", {**common, **content}, place)
        step_place: Place = (*place, "steps") if (*place, "steps") in self.document.lines else ("data", "steps")
        found = self.components("step", steps, step_place)
        if source is None or len(found) < len(steps):
            return None
        return SampleEntry(str(place[-1]), source, tuple(found), rows, place, step_place)  # type: ignore[arg-type]

    def sample_names(self, options: AnalysisOptions, mixtures: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
        """Each name that a task may use, and the samples it stands for."""
        real = [name for name in options.samples if name not in mixtures]
        names: dict[str, tuple[str, ...]] = {name: (name,) for name in real}
        for mixture, parts in mixtures.items():
            for part in parts:
                if part not in real:
                    self.complain(("samples", mixture, "of"), f"no sample {part!r}; {did_you_mean(str(part), real)}")
            names[mixture] = tuple(parts)
        return names

    def order(self, tasks: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """The names of the tasks, each after those that it reads; none if there is no such order."""
        try:
            return in_reading_order(tasks)
        except CycleError as error:
            self.complain(*explain_cycle(error))
            return []

    def task(
        self, name: str, content: Mapping[str, Any], names: Mapping[str, tuple[str, ...]], known: Known
    ) -> list[TaskEntry]:
        """The trainings of one task: one for each combination of the scan, each seed, each variant of what it reads."""
        place: Place = ("tasks", name)
        if not name.replace("_", "").replace("-", "").isalnum():
            self.complain(place, "a task's name is made of letters, digits, - and _")
            return []
        common, own = self.common(TaskOptions, content, place)
        if common is None:
            return []
        saved = self.saved(common, place)
        train = () if common.saved else self.resolve(common.train, names, (*place, "train"))
        apply = self.resolve(common.apply, names, (*place, "apply"))
        found = []
        for options, chosen in self.combinations(own, common.scan, place):
            try:
                found += list(variants_of(name, options, chosen, common.seeds, known))
            except ValueError as error:
                self.complain(place, str(error))
        entries = []
        for variant, options in found:
            task = self.component("task", {"task": common.task, **options}, place)
            if task is None:
                return []
            for sample in task.samples():
                if names.get(sample) != (sample,):
                    self.complain(place, f"no sample {sample!r}; {did_you_mean(sample, _real(names))}")
            made = variant.name, variant.group, variant.seed
            entries.append(TaskEntry(*made, task, train, apply, saved, common.train_rows, common.test_draws, place))
        remember(known, name, [variant for variant, _ in found])
        return entries

    def saved(self, common: TaskOptions, place: Place) -> SavedModel | None:
        """The saved model of a task that is not trained."""
        if common.saved is None:
            return None
        for key in ("seeds", "scan"):
            if key in common.model_fields_set:
                self.complain((*place, key), "a saved model is one model; leave out this key, or saved")
        try:
            return SavedModel.open(Path(common.saved).expanduser())
        except DataError as error:
            self.complain((*place, "saved"), str(error))
            return None

    def combinations(
        self, own: Mapping[str, Any], scan: Mapping[str, Sequence[Any]], place: Place
    ) -> Iterable[tuple[dict[str, Any], dict[str, Any]]]:
        """The options of a task with each combination of its scan in place, and the combination."""
        for key, values in scan.items():
            if len({json.dumps(value) for value in values}) < len(values):
                self.complain((*place, "scan", key), f"a value stands twice: {values}")
        for values in itertools.product(*scan.values()):
            chosen = dict(zip(scan, values, strict=True))
            options = json.loads(json.dumps(own))
            for key, value in chosen.items():
                if not set_inside(options, key.split("."), value):
                    self.complain((*place, "scan", key), "cannot be scanned: what it is inside of is not a mapping")
                    return
            yield options, chosen

    def resolve(self, chosen: Sequence[str], names: Mapping[str, tuple[str, ...]], place: Place) -> tuple[str, ...]:
        """The samples behind the chosen names; none chosen: all."""
        for name in chosen:
            if name not in names:
                self.complain(place, f"no sample {name!r}; {did_you_mean(name, names)}")
        picked = [name for name in (chosen or names) if name in names]
        return tuple(dict.fromkeys(sample for name in picked for sample in names[name]))

    def metrics(self, contents: Sequence[Any], known: Known, samples: set[str]) -> Iterable[MetricEntry]:
        """The metrics: one for each variant of what a metric reads alone; in a list, all variants stand together."""
        for k, content in enumerate(contents):
            place: Place = ("evaluate", k)
            content = self.mapping("metric", content, place)
            common, own = (None, {}) if content is None else self.common(MetricOptions, content, place)
            if common is None:
                continue
            try:
                readings = list(readings_of(own, known))
            except ValueError as error:
                self.complain(place, str(error))
                continue
            for reading in readings:
                metric = self.component("metric", {"metric": common.metric, **reading}, place)
                if metric is not None:
                    for sample in metric.samples():
                        if sample not in samples:
                            self.complain(place, f"no sample {sample!r}; {did_you_mean(sample, samples)}")
                    yield MetricEntry(metric, common.label, place)


def _completed(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an analysis says of a task, and what its saved model says besides."""
    try:
        return SavedModel.open(Path(content["saved"]).expanduser()).completed(content)
    except (KeyError, TypeError, DataError):
        return content  # there is none, or why it cannot be used is told when the task is made


def _real(names: Mapping[str, tuple[str, ...]]) -> set[str]:
    """The names that stand for themselves, not for a mixture."""
    return {name for name, parts in names.items() if parts == (name,)}
