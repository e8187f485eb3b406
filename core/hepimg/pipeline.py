"""The way of an analysis: data, tasks, evaluation, report."""

from __future__ import annotations

import logging
import math
import multiprocessing
import shutil
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from hepimg.analysis import Analysis, MetricEntry
from hepimg.components import Estimate, Evaluation, Figure, Progress
from hepimg.config import load_analysis
from hepimg.errors import DataError, PluginError, blame
from hepimg.flow import in_order
from hepimg.generate import make_data
from hepimg.learn import Learner
from hepimg.logs import logging_to
from hepimg.process import keep_freed_memory, use_threads
from hepimg.progress import Bars
from hepimg.provenance import provenance
from hepimg.random import derive_seed
from hepimg.results import Results
from hepimg.store import Cache, write_json
from hepimg.workers import usable_cores

log = logging.getLogger("hepimg")


def run(
    path: str | Path,
    *,
    out: str | Path | None = None,
    quick: bool = False,
    assignments: Sequence[str] = (),
    jobs: int | None = None,
    scheduler: str | None = None,
) -> Results:
    """Run an analysis file: make or reuse its data, train, predict, evaluate, report.

    Args:
        path: the analysis file.
        out: folder for the results; None: ``results/<name of the file>``.
        quick: apply the file's ``quick:`` settings.
        assignments: ``key=value`` settings, applied last.
        jobs: worker processes for data; None: one for each core.  It never changes a result.
        scheduler: address of a Dask scheduler whose workers make the data instead.

    Returns:
        The results, as :func:`hepimg.load` gives them.

    Raises:
        ConfigError, DataError: the input is wrong.
        PluginError: a component failed.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        # A worker reads the script again that started it; were it to wait here for the parent's lock, both would hang.
        raise RuntimeError("put hepimg.run(...) under: if __name__ == '__main__':")
    analysis = load_analysis(Path(path), quick=quick, assignments=assignments)
    folder = Path(out) if out else Path("results") / analysis.name
    _prepare(folder)
    started = time.perf_counter()
    with Bars() as bars, logging_to(folder / "log.txt"):
        try:
            _execute(analysis, folder, Cache(), bars, jobs or usable_cores(), scheduler, started)
        except PluginError as error:
            log.error("%s\n%s", error, error.trace or traceback.format_exc())
            message = f"{error.message} (its traceback is in {folder / 'log.txt'})"
            raise PluginError(message, error.plugin, error.where) from error
        bars.say(f"report: {folder / 'report.html'} ({time.perf_counter() - started:.0f} s in all)")
    return Results(folder)


def _prepare(folder: Path) -> None:
    """Find out now, not after an hour, whether the results can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".write-test"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise DataError(
            f"cannot write results: {error.strerror}", where=str(folder), fix="Choose another folder with --out."
        ) from error


def _execute(
    analysis: Analysis, folder: Path, cache: Cache, bars: Bars, jobs: int, scheduler: str | None, started: float
) -> None:
    if analysis.options.device == "cuda":
        _check_cuda()
    warming = threading.Thread(target=_warm_up, args=(bool(analysis.tasks),), daemon=True)
    warming.start()
    stored = make_data(analysis, cache, bars, jobs, scheduler)
    for name, sample in stored.items():
        asked = analysis.samples[name].rows
        if asked is not None and sample.rows < asked:
            bars.say(f"sample {name}: {sample.rows} rows; {asked} were asked for, and there are no more")
    seconds: dict[str, Any] = {"data": {name: sum(m["seconds"] for m in s.manifests) for name, s in stored.items()}}
    if warming.is_alive():
        bars.say("loading libraries and kernels (kernels are compiled at the first run)")
        warming.join()
    use_threads(analysis.options.threads)
    keep_freed_memory()
    from hepimg.sparse import use_engine

    learner = Learner(analysis, stored, cache, bars)
    with use_engine(analysis.engine):
        for entry in in_order(analysis):
            state = learner.fit(entry)
            learner.predict(entry, state)
            _publish(learner.folder(entry), learner.describe(entry, state), folder / "tasks" / entry.name)
        before = time.perf_counter()
        numbers, figures = evaluate(learner, bars)
    seconds |= {"tasks": learner.seconds, "evaluate": round(time.perf_counter() - before, 3)}
    _write(folder, learner, numbers, figures)
    seconds["total"] = round(time.perf_counter() - started, 3)
    write_json(folder / "timing.json", seconds)
    from hepimg.report import write_report

    write_report(folder)


def _warm_up(learning: bool) -> None:
    """Compile kernels and import the slow libraries while workers make data."""
    from hepimg.kernels import warm

    warm.compile_kernels()
    if learning:
        warm.compile_network_kernels()
        import lightning  # noqa: F401


def _check_cuda() -> None:
    import torch

    if not torch.cuda.is_available():
        raise DataError(
            "device: cuda, but this torch sees no GPU", fix="Set device: cpu, or install a CUDA build of torch."
        )


def _publish(unit: Path, description: Mapping[str, Any], folder: Path) -> None:
    """Copy what a finished task has to show into the results, and describe it there."""
    if unit.resolve() == folder.resolve():  # a saved model of these very results
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "model.json", description)
    for name in ("state.safetensors", "log.csv", "log.txt"):
        if (unit / name).exists():
            shutil.copyfile(unit / name, folder / name)


def evaluate(learner: Learner, progress: Progress) -> tuple[dict[str, Estimate], list[tuple[str, Figure]]]:
    """Run every metric on the test rows.

    Returns:
        Numbers by name, with mean and spread over seeds added; figures with the name of their metric.

    Raises:
        PluginError: a metric failed.
        DataError: two metrics give one number.
    """
    numbers: dict[str, Estimate] = {}
    figures: list[tuple[str, Figure]] = []
    progress.start("evaluation", len(learner.analysis.evaluate))
    for entry in learner.analysis.evaluate:
        evaluation = _evaluate(learner, entry)
        for name, estimate in evaluation.numbers.items():
            if not (math.isfinite(estimate.value) and math.isfinite(estimate.error or 0.0)):
                raise PluginError(f"{name} is {estimate}", where=f"metric {entry.metric.name}")
            if name in numbers:
                raise DataError(
                    f"a second metric gives the number {name!r}",
                    where=f"metric {entry.metric.name}",
                    fix="Give one of them a label.",
                )
            numbers[name] = estimate
        section = f"{entry.metric.name}: {entry.label}" if entry.label else entry.metric.name
        figures += [(section, figure) for figure in evaluation.figures]
        progress.advance()
    progress.stop()
    return numbers | over_seeds(learner.analysis, numbers), figures


def _evaluate(learner: Learner, entry: MetricEntry) -> Evaluation:
    analysis, metric = learner.analysis, entry.metric
    wanted = metric.reads()
    test = learner.dataset(analysis.samples_of(metric), "test", wanted).load([port.name for port in wanted])
    with blame(metric, f"metric {metric.name}"):
        evaluation = metric.evaluate(test, derive_seed(analysis.options.seed, "metric", metric.name))
    return _labelled(evaluation, entry.label) if entry.label else evaluation


def _labelled(evaluation: Evaluation, label: str) -> Evaluation:
    """``tag.auc`` becomes ``tag.auc:again``, ``tag.rejection@0.5`` ``tag.rejection:again@0.5``."""
    split = {name: name.partition("@") for name in evaluation.numbers}
    numbers = {f"{kind}:{label}{at}{point}": evaluation.numbers[name] for name, (kind, at, point) in split.items()}
    return Evaluation(numbers, [replace(figure, name=f"{figure.name}-{label}") for figure in evaluation.figures])


def over_seeds(analysis: Analysis, numbers: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """Mean and spread (standard deviation) of each number over the seeds of its task; n counts the seeds.

    Where one of the numbers is only a limit, so is the summary: the lowest of them.
    """
    members: dict[str, list[str]] = {}
    for entry in analysis.tasks.values():
        members.setdefault(entry.group, []).append(entry.name)
    summary = {}
    for group, names in members.items():
        if len(names) < 2:
            continue
        first = f"{names[0]}."
        for number in [number.removeprefix(first) for number in numbers if number.startswith(first)]:
            found = [numbers[f"{name}.{number}"] for name in names if f"{name}.{number}" in numbers]
            if len(found) < 2:
                continue
            values = np.array([estimate.value for estimate in found])
            if any(estimate.limit for estimate in found):
                summary[f"{group}.{number}"] = Estimate(float(values.min()), None, len(values), True, found[0].unit)
            else:
                mean, spread = float(values.mean()), float(values.std(ddof=1))
                summary[f"{group}.{number}"] = Estimate(mean, spread, len(values), unit=found[0].unit)
    return summary


def _write(
    folder: Path, learner: Learner, numbers: Mapping[str, Estimate], figures: Sequence[tuple[str, Figure]]
) -> None:
    from hepimg.report import write_figures

    shutil.copyfile(learner.analysis.document.source, folder / "analysis.yaml")
    write_json(folder / "analysis.json", learner.analysis.resolved())
    write_json(folder / "metrics.json", {name: _as_json(numbers[name]) for name in sorted(numbers)})
    write_json(folder / "provenance.json", provenance(learner))
    write_figures([figure for _, figure in figures], folder / "figures", [metric for metric, _ in figures])


def _as_json(estimate: Estimate) -> dict[str, Any]:
    content = asdict(estimate)
    return {name: content[name] for name in content if content[name] or name not in ("limit", "unit")}
