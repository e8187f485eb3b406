"""The flow of an analysis: what each step, task and metric reads was written before it, in an order without cycles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from hepimg.analysis import Analysis, SampleEntry, TaskEntry
from hepimg.components import Collection, Column, Component, Image, Port, Ports, Step
from hepimg.errors import DataError, Problem, did_you_mean
from hepimg.sample import Sample
from hepimg.variants import explain_cycle, task_of, tasks_behind
from hepimg.yaml_lines import Place

STORED: tuple[Port, ...] = (Column("event"), Column("weight"))
"""What every row has where it is made."""

READ: tuple[Port, ...] = (*STORED, Column("sample"), Column("row"))
"""What every row has where it is read: which sample it is from, and a number of its own."""


def by_name(ports: Iterable[Port]) -> dict[str, Port]:
    """Ports by name; the later of two with one name wins."""
    return {port.name: port for port in ports}


def check_flow(analysis: Analysis) -> list[Problem]:
    """Every problem in what is read and written, and in the order of the tasks."""
    return _Check(analysis).run()


def depends_on(entry: TaskEntry) -> list[str]:
    """The tasks whose predictions or networks a task uses."""
    return [*tasks_behind(port.name for port in entry.task.reads()), *entry.task.models()]


def in_order(analysis: Analysis) -> list[TaskEntry]:
    """The tasks, each after those that it depends on.

    Raises:
        graphlib.CycleError: there is no such order.
    """
    graph = {
        name: [task for task in depends_on(entry) if task in analysis.tasks] for name, entry in analysis.tasks.items()
    }
    return [analysis.tasks[name] for name in TopologicalSorter(graph).static_order()]


def needed_steps(steps: Sequence[Step], wanted: Iterable[Port], ports: Ports) -> tuple[Step, ...]:
    """The steps without which the wanted ports would be missing or other than they are.

    Args:
        steps: all steps in order.
        wanted: what is read after them.
        ports: what is there before them.
    """
    written = []
    for step in steps:
        written.append({port.name for port in step.writes(ports)})
        ports = after(step, ports)
    names = {port.name for port in wanted}
    kept: list[Step] = []
    for step, outputs in zip(reversed(steps), reversed(written), strict=True):
        if outputs & names:
            kept.append(step)
            names |= {port.name for port in step.reads()}
    return tuple(reversed(kept))


def sample_ports(entry: SampleEntry) -> dict[str, Port]:
    """What the stored rows of a sample come with."""
    ports = by_name([*STORED, *entry.source.writes()])
    for step in entry.steps:
        ports = after(step, ports)
    return by_name([*READ, *ports.values()])


def known_ports(analysis: Analysis) -> dict[str, Port]:
    """What there is to read after preprocessing, with the predictions of all tasks."""
    ports = sample_ports(next(iter(analysis.samples.values())))
    for step in analysis.preprocess:
        ports = after(step, ports)
    for entry in in_order(analysis):
        ports |= predicted(entry, ports)
    return ports


def predicted(entry: TaskEntry, ports: Ports) -> dict[str, Port]:
    """What a task predicts, under the names that others read."""
    return by_name(replace(port, name=f"{entry.name}.{port.name}") for port in entry.task.writes(ports))


def ports_of(sample: Sample) -> dict[str, Port]:
    """What a sample comes with, by name."""
    columns = {name: Column(name, sample.units.get(name, "")) for name in sample.columns}
    collections = {
        name: Collection(name, {key: ragged.units.get(key, "") for key in ragged.fields})
        for name, ragged in sample.collections.items()
    }
    images = {name: Image(name, batch.grid, batch.channels) for name, batch in sample.images.items()}
    return {**columns, **collections, **images}


def after(step: Step, ports: Ports) -> dict[str, Port]:
    """What is there after a step.

    Raises:
        ValueError: the step's options do not fit what is there before it.
    """
    written = by_name(step.writes(ports))
    return by_name([*STORED, *written.values()]) if step.rows_in != step.rows_out else {**ports, **written}


class _Check:
    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self.problems: list[Problem] = []

    def complain(self, place: Place, message: str) -> None:
        problem = self.analysis.document.problem(place, message)
        if problem not in self.problems:
            self.problems.append(problem)

    def run(self) -> list[Problem]:
        analysis = self.analysis
        for pool in analysis.pools.values():
            self.pool(pool)
        known = [self.sample(sample, analysis.preprocess) for sample in analysis.samples.values()]
        if self.problems or not known:
            return self.problems
        ports = {name: port for name, port in known[0].items() if all(name in other for other in known)}
        try:
            order = in_order(analysis)
        except CycleError as error:
            self.complain(*explain_cycle(error))
            return self.problems
        faulty: set[Place] = set()
        for entry in order:
            if entry.place in faulty:  # another variant: what is wrong with it was told
                continue
            told = len(self.problems)
            self.read(entry.task, ports, entry.place)
            self.judge_samples(entry.task.reads(), {*entry.apply}, entry.place)
            self.judge_samples(entry.task.learns_from(), {*entry.train}, entry.place)
            self.judge_rows(entry)
            if entry.saved and not self.problems:
                stored = sample_ports(next(iter(analysis.samples.values())))
                steps = needed_steps(analysis.preprocess, entry.task.reads(), stored)
                for problem in entry.saved.problems(entry.task, steps):
                    self.complain(entry.place, problem)
            for model in entry.task.models():
                if model not in analysis.tasks:
                    self.complain(entry.place, f"no task {model!r}; {did_you_mean(model, analysis.tasks)}")
            if not self.problems:
                try:
                    written = entry.task.writes(ports)
                    self.judge(written, entry.place)
                    if entry.test_draws and any(isinstance(port, Image) for port in written):
                        self.complain(entry.place, "test_draws averages columns; there is no mean of images")
                    ports |= predicted(entry, ports)
                except ValueError as error:
                    self.complain(entry.place, str(error))
            if len(self.problems) > told:
                faulty.add(entry.place)
        for metric in analysis.evaluate:
            self.read(metric.metric, ports, metric.place)
            self.judge_samples(metric.metric.reads(), set(metric.metric.samples()), metric.place)
            if not analysis.samples_of(metric.metric):
                self.complain(metric.place, "no sample has all the predictions that are read: see apply of their tasks")
            if not self.problems:
                try:
                    metric.metric.check(ports)
                except ValueError as error:
                    self.complain(metric.place, str(error))
        if analysis.evaluate and not analysis.options.data.split[2]:
            self.complain(("data", "split"), "evaluate needs test rows: the third fraction is 0")
        return self.problems

    def judge_samples(self, read: Sequence[Port], samples: set[str], place: Place) -> None:
        """The predictions that are read must have been made for the samples that are asked for."""
        for port in read:
            upstream = self.analysis.tasks.get(task_of(port.name))
            missing = samples - set(upstream.apply) if upstream else set()
            if upstream and missing:
                names = ", ".join(sorted(missing))
                self.complain(place, f"{port.name} is not predicted for {names}; add it to apply of {upstream.group}")

    def judge_rows(self, entry: TaskEntry) -> None:
        """What a task is to learn from, and be applied to, must be what it can."""
        if entry.saved:
            return
        unknown = ", ".join(sorted({*entry.apply} - {*entry.train}))
        if entry.task.only_learned and unknown:
            self.complain(
                entry.place,
                f"{entry.task.name} cannot say anything of {unknown}, not in its train: make train and apply agree",
            )
        if entry.task.needs_validation and not self.analysis.options.data.split[1]:
            self.complain(("data", "split"), f"{entry.task.name} needs validation rows: the second fraction is 0")

    def judge(self, ports: Sequence[Port], place: Place) -> None:
        for port in ports:
            if isinstance(port, Collection) or "." in port.name:
                self.complain(place, f"a task predicts columns and images with plain names, not {port.name!r}")

    def pool(self, entry: SampleEntry) -> None:
        """A pool holds events, made without another pool."""
        self.sample(entry, ())
        if (entry.steps or (entry.source,))[-1].rows_out != "event":
            self.complain(entry.place, "a pool holds events, not jets; leave out the step that makes jets")
        if any(step.pools() for step in entry.steps):
            self.complain(entry.place, "a pool cannot draw from a pool")

    def sample(self, entry: SampleEntry, preprocess: Sequence[Step]) -> dict[str, Port]:
        """What the rows of a sample come with after preprocessing."""
        kind = entry.source.rows_out
        try:
            ports: dict[str, Port] = by_name([*STORED, *entry.source.writes()])
            if entry.source.parts() is None and entry.rows is None:
                self.complain(entry.place, f"rows must be given: the source {entry.source.name} has no end")
        except DataError as error:
            self.complain(entry.place, str(error))
            return {}
        stages: list[tuple[Place, Step]] = [((*entry.step_place, k), step) for k, step in enumerate(entry.steps)]
        stages += [(("preprocess", k), step) for k, step in enumerate(preprocess)]
        for number, (place, step) in enumerate(stages):
            if number == len(entry.steps):
                ports = by_name([*READ, *ports.values()])
            if step.rows_in != kind:
                before = (
                    "after a step that makes jets, such as cluster" if kind == "event" else "before the jets are made"
                )
                self.complain(
                    place, f"the step {step.name} works on {step.rows_in}s, here rows are {kind}s; put it {before}"
                )
                return ports
            if step.is_random and step.rows_in == "jet" and number < len(entry.steps):
                self.complain(
                    place, f"{step.name} is random for each jet; it belongs to preprocess, where jets have numbers"
                )
            if step.drops_rows and number >= len(entry.steps):
                self.complain(place, f"{step.name} leaves out jets: put it into data.steps, before they are counted")
            self.pools(step, ports, place, stored=number < len(entry.steps))
            if not self.read(step, ports, place):
                return ports
            try:
                ports = after(step, ports)
            except ValueError as error:
                self.complain(place, str(error))
                return ports
            kind = step.rows_out
        return by_name([*READ, *ports.values()])

    def pools(self, step: Step, ports: Ports, place: Place, *, stored: bool) -> None:
        """The pools that a step draws from exist and hold what it needs; they are open while data are made."""
        for name in step.pools():
            if name not in self.analysis.pools:
                self.complain(place, f"no pool {name!r} under data.pools; {did_you_mean(name, self.analysis.pools)}")
            elif not stored:
                self.complain(place, f"{step.name} draws from a pool: put it into data.steps")
            elif not self.problems:
                there = sample_ports(self.analysis.pools[name])
                for needed in step.reads_of_pool(name, ports):
                    if message := _mismatch(needed, there):
                        self.complain(place, f"{step.name} reads {needed.name!r} of the pool {name}: {message}")

    def read(self, component: Component, ports: Ports, place: Place) -> bool:
        """Whether all that a component reads is there, as it needs it."""
        good = True
        for needed in component.reads():
            message = _mismatch(needed, ports)
            if message:
                self.complain(place, f"{component.name} reads {needed.name!r}: {message}")
                good = False
        return good


def _mismatch(needed: Port, ports: Ports) -> str:
    """Why what is needed is not what is there; empty when it is."""
    found = ports.get(needed.name)
    if found is None:
        kind = type(needed).__name__.lower()
        alike = [name for name, port in ports.items() if type(port) is type(needed)]
        return f"nothing before writes this {kind}; {did_you_mean(needed.name, alike)}"
    if type(found) is not type(needed):
        return f"it is a {type(found).__name__.lower()}, needed: a {type(needed).__name__.lower()}"
    if isinstance(needed, Collection) and isinstance(found, Collection):
        missing = [name for name in needed.fields if name not in found.fields]
        return f"it has no field {', '.join(missing)}; it has {', '.join(found.fields)}" if missing else ""
    if isinstance(needed, Image) and isinstance(found, Image):
        if needed.grid is not None and needed.grid != found.grid:
            return f"it is on {found.grid}, needed: {needed.grid}"
        missing = [channel.name for channel in needed.channels if channel not in found.channels]
        return f"it has no channel {', '.join(missing)}" if missing else ""
    return ""
