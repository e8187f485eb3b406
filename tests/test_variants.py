"""Seeds and scans: a task that reads a task of several variants is itself made once for each."""

from __future__ import annotations

from pathlib import Path

import pytest

from hepimg.components import Estimate
from hepimg.config import load_analysis
from hepimg.errors import ConfigError
from hepimg.flow import in_order
from hepimg.pipeline import over_seeds
from hepimg.report.tables import is_seed, seeds_of
from hepimg.variants import task_of

HEAD = """\
title: toy
data:
  source: pythia
  steps: [{step: cluster, algorithm: antikt, radius: 0.8, pt: [550, 650], abs_eta: 2.0}]
  rows: 100
samples:
  qcd: {process: dijet}
  top: {process: ttbar_hadronic}
  mixed: {of: [qcd, top]}
preprocess:
  - center
  - {step: pixelate, grid: {eta: [-1, 1], phi: [-1, 1], shape: [40, 40]}, into: image}
tasks:
"""


def trainings(folder: Path, tasks: str, evaluate: str = "[]") -> dict[str, list[str]]:
    """The tasks of an analysis, in its order, and the columns that each reads of others."""
    path = folder / "toy.yaml"
    path.write_text(f"{HEAD}{tasks}evaluate: {evaluate}\n")
    analysis = load_analysis(path)
    return {
        name: [port.name for port in entry.task.reads() if "." in port.name] for name, entry in analysis.tasks.items()
    }


def fisher(name: str, columns: str, options: str = "") -> str:
    return f"  {name}: {{task: fisher, signal: top, observables: [mass], columns: {columns}{options}}}\n"


TAG = "  tag: {task: tagging, signal: top, seeds: 3}\n"
TREES = "  trees: {task: trees, signal: top, scan: {learning_rate: [0.05, 0.1]}}\n"


def test_a_reader_is_made_for_each_seed_wherever_it_stands_in_the_file(tmp_path: Path) -> None:
    expected = {f"stack[seed={k}]": [f"tag[seed={k}].score"] for k in (1, 2, 3)}
    for tasks in (TAG + fisher("stack", "[tag.score]"), fisher("stack", "[tag.score]") + TAG):
        found = trainings(tmp_path, tasks)
        assert {name: read for name, read in found.items() if name.startswith("stack")} == expected
    assert [name.partition("[")[0] for name in found] == ["stack"] * 3 + ["tag"] * 3


def test_seeds_go_together_and_scans_combine(tmp_path: Path) -> None:
    tasks = TAG + TAG.replace("tag", "other", 1) + TREES + fisher("stack", "[tag.score, other.score, trees.score]")
    found = trainings(tmp_path, tasks)
    stacks = [name for name in found if name.startswith("stack")]
    assert stacks == [f"stack[learning_rate={rate},seed={k}]" for k in (1, 2, 3) for rate in (0.05, 0.1)]
    assert found["stack[learning_rate=0.1,seed=2]"] == [
        "tag[seed=2].score", "other[seed=2].score", "trees[learning_rate=0.1].score"
    ]  # fmt: skip


def test_chains_carry_the_labels_on(tmp_path: Path) -> None:
    found = trainings(
        tmp_path,
        fisher("last", "[first.score, tag.score]") + fisher("first", "[tag.score, trees.score]") + TREES + TAG,
    )
    assert found["last[learning_rate=0.05,seed=3]"] == ["first[learning_rate=0.05,seed=3].score", "tag[seed=3].score"]
    assert sum(name.startswith("last") for name in found) == 6


def test_own_seeds_multiply_and_keep_apart_from_those_that_are_read(tmp_path: Path) -> None:
    found = trainings(
        tmp_path, TAG + fisher("stack", "[tag.score]", ", seeds: 2") + fisher("last", "[tag.score, stack.score]")
    )
    assert [name for name in found if name.startswith("stack")] == [
        f"stack[seed={k},stack.seed={own}]" for k in (1, 2, 3) for own in (1, 2)
    ]
    assert found["last[seed=3,stack.seed=2]"] == ["tag[seed=3].score", "stack[seed=3,stack.seed=2].score"]


def test_what_is_read_can_be_scanned(tmp_path: Path) -> None:
    found = trainings(tmp_path, TAG + TREES + fisher("stack", "[]", ", scan: {columns: [[pt], [tag.score]]}"))
    assert [name for name in found if name.startswith("stack")] == [
        "stack[columns=['pt']]",
        *(f"stack[columns=['tag.score'],seed={k}]" for k in (1, 2, 3)),
    ]


def test_one_variant_can_be_named(tmp_path: Path) -> None:
    both = TREES.replace("scan:", "seeds: 2, scan:")
    tasks = both + fisher("one", '["trees[learning_rate=0.1,seed=2].score"]')
    tasks += fisher("group", '["trees[learning_rate=0.1].score", "trees[learning_rate=0.05].score"]')
    found = trainings(tmp_path, tasks)
    assert found["one"] == ["trees[learning_rate=0.1,seed=2].score"]
    assert found["group[seed=2]"] == [f"trees[learning_rate={rate},seed=2].score" for rate in (0.1, 0.05)]


def test_seeds_within_a_group_are_different_and_averaged(tmp_path: Path) -> None:
    path = tmp_path / "toy.yaml"
    stack = fisher("stack", "[tag.score, trees.score]", ", seeds: 2, train: [mixed], apply: [mixed]")
    path.write_text(HEAD + stack + TAG + TREES + "evaluate: [{metric: roc, scores: [stack.score], signal: top}]\n")
    analysis = load_analysis(path)
    stacks = [entry for entry in analysis.tasks.values() if entry.name.startswith("stack")]
    assert {entry.group for entry in stacks} == {"stack[learning_rate=0.05]", "stack[learning_rate=0.1]"}
    assert len({(entry.group, entry.seed) for entry in stacks}) == len(stacks) == 12
    assert all(entry.train == entry.apply == ("qcd", "top") for entry in stacks)
    assert analysis.evaluate[0].metric.model_dump()["scores"] == [f"{entry.name}.score" for entry in stacks]
    order = [entry.name for entry in in_order(analysis)]
    assert order.index("tag[seed=3]") < order.index("stack[learning_rate=0.1,seed=3,stack.seed=1]")
    numbers = {f"{entry.name}.auc": Estimate(0.1 * entry.seed) for entry in stacks}
    summary = over_seeds(analysis, numbers)
    assert set(summary) == {"stack[learning_rate=0.05].auc", "stack[learning_rate=0.1].auc"}
    assert summary["stack[learning_rate=0.1].auc"].value == pytest.approx(0.35)
    rows = {name.removesuffix(".auc"): {"auc": number} for name, number in (numbers | summary).items()}
    assert [row for row in rows if not is_seed(row)] == ["stack[learning_rate=0.05]", "stack[learning_rate=0.1]"]
    assert len(seeds_of(rows, "stack[learning_rate=0.1]")) == 6


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        (
            TAG + TAG.replace("tag", "other", 1).replace("3", "2") + fisher("stack", "[tag.score, other.score]"),
            ["tasks.stack: it reads tag and other, but nothing goes with tag[seed=3]; give them the same seeds and"],
        ),
        (
            TAG + fisher("stack", "[tag.scor]"),
            ["tasks.stack: fisher reads 'tag[seed=1].scor': nothing before writes this column; did you mean 'tag[seed"],
        ),
        (
            TAG.replace("seeds", "apply: [qcd], seeds") + fisher("stack", "[tag.score]"),
            ["tasks.stack: tag[seed=1].score is not predicted for top; add it to apply of tag"],
        ),
        (
            fisher("one", "[two.score]", ", seeds: 2") + fisher("two", "[one.score]"),
            ["tasks.one: the tasks wait for each other: one -> two -> one"],
        ),
        (
            fisher("one", "[tag.score]").replace("signal: top", "signal: tip") + TAG,
            ["tasks.one: no sample 'tip'"],
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_told_once(tmp_path: Path, tasks: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        trainings(tmp_path, tasks)
    told = [str(problem) for problem in caught.value.problems]
    assert len(told) == len(words), told
    assert all(word in line for word, line in zip(words, told, strict=True)), told


def test_a_metric_takes_lists_together_and_what_it_reads_alone_in_turn(tmp_path: Path) -> None:
    path = tmp_path / "toy.yaml"
    pool = "  - {step: pool, factor: 4, into: low}\n"
    tasks = "tasks:\n  sharpen: {task: superres_baseline, high: image, low: low, seeds: 2}\n"
    evaluate = "[{metric: images, image: sharpen.image}, {metric: closure, truth: image, generated: [sharpen.image]}]"
    path.write_text(f"{HEAD.partition('tasks:')[0]}{pool}{tasks}evaluate: {evaluate}\n")
    metrics = [entry.metric for entry in load_analysis(path).evaluate]
    assert [metric.name for metric in metrics] == ["images", "images", "closure"]
    assert [port.name for port in metrics[1].reads()] == ["sharpen[seed=2].image"]
    assert [port.name for port in metrics[2].reads()][1:] == ["sharpen[seed=1].image", "sharpen[seed=2].image"]


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("tag.score", "tag"),
        ("tag[strength=0.1].score", "tag[strength=0.1]"),
        ("correlator[beta=0.2]", ""),
        ("near.correlator[beta=0.2]", ""),
        ("mass", ""),
    ],
)
def test_a_dot_inside_brackets_parts_no_task(name: str, task: str) -> None:
    assert task_of(name) == task
