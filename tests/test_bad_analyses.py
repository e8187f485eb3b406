"""A wrong analysis file gives one clear message with place and fix, exit code 2, and nothing is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from hepimg.config import load_analysis
from hepimg.errors import ConfigError

GOOD = """\
title: toy
seed: 1
data:
  source: pythia
  steps:
    - {step: cluster, algorithm: antikt, radius: 0.8, pt: [550, 650], abs_eta: 2.0}
  rows: 100
  split: [0.7, 0.1, 0.2]
samples:
  qcd: {process: dijet}
  top: {process: ttbar_hadronic}
preprocess:
  - center
  - {step: pixelate, grid: {eta: [-1, 1], phi: [-1, 1], shape: [40, 40]}, into: image}
tasks:
  tag: {task: tagging, image: image, signal: top}
  trees: {task: trees, signal: top, observables: [mass, tau1]}
evaluate:
  - {metric: roc, scores: [tag.score, trees.score], signal: top}
quick: {data.rows: 10}
"""

CASES = {
    "unknown key": ("seed: 1", "sead: 1", ":2: sead: unknown key; did you mean 'seed'?"),
    "unknown key inside": ("rows: 100", "row: 100", ":7: data.row: unknown key; did you mean 'rows'?"),
    "unknown engine": ("seed: 1", "engine: cudnn", ":2: engine: Input should be 'auto', 'native', 'spconv' or 'dense'; found 'cudnn'"),
    "engine that cannot train": ("seed: 1", "engine: spconv", ":2: engine: spconv cannot train on the CPU"),
    "missing key": ("title: toy\n", "", "title: missing; it must be given"),
    "wrong type": ("rows: 100", "rows: many", ":7: data.rows: Input should be a valid integer"),
    "text for a number": ("rows: 100", 'rows: "100"', ":7: data.rows: Input should be a valid integer"),
    "truth for a number": ("rows: 100", "rows: yes", ":7: data.rows: Input should be a valid integer"),
    "no rows": ("rows: 100", "rows: 0", ":7: data.rows: Input should be greater than 0"),
    "split that does not sum": ("[0.7, 0.1, 0.2]", "[0.7, 0.1, 0.3]", "split must be three fractions that sum to 1"),
    "split of two": ("[0.7, 0.1, 0.2]", "[0.7, 0.3]", ":8: data.split"),
    "infinite number": ("abs_eta: 2.0", "abs_eta: .inf", ":6: data.steps[0].abs_eta"),
    "duplicate key": ("  qcd: {process: dijet}\n", "  qcd: {process: dijet}\n  qcd: {}\n", "'qcd' stands twice, first in line 10"),
    "number that YAML reads as text": ("radius: 0.8", "radius: 8e-1", ":6: data.steps[0].radius: YAML reads 8e-1 as a text; write 8.0e-1"),
    "Python tag": ("title: toy", "title: !!python/object/apply:os.system [touch /tmp/owned]", "is not allowed; write plain values"),
    "own tag": ("title: toy", "title: !secret toy", "is not allowed"),
    "alias of itself": ("title: toy", "title: &a [*a]", "an alias that contains itself"),
    "merge key": ("  top: {process", "  top: {<<: {rows: 5}, process", "merge keys (<<) are not supported"),
    "not YAML": ("seed: 1", "seed: [1", "not YAML"),
    "tabs": ("  rows: 100", "\trows: 100", "not YAML"),
    "not a mapping": (GOOD, "- 1\n", "an analysis is a mapping"),
    "empty": (GOOD, "", "an analysis is a mapping"),
    "unknown source": ("source: pythia", "source: pithia", "no source is called 'pithia'; did you mean 'pythia'?"),
    "unknown step": ("- center", "- centre", ":13: preprocess[0].step: no step is called 'centre'; did you mean 'center'"),
    "unknown task": ("task: tagging", "task: taging", ":16: tasks.tag.task: no task is called 'taging'; did you mean 'tagging'"),
    "unknown metric": ("metric: roc", "metric: rok", ":19: evaluate[0].metric: no metric is called 'rok'; did you mean 'roc'"),
    "label of two words": ("metric: roc", "metric: roc, label: at last", ":19: evaluate[0].label: String should match pattern"),
    "unknown option of a metric": ("metric: roc", "metric: roc, labl: x", ":19: evaluate[0].labl: unknown key; did you mean 'label'"),
    "metric without a name": ("metric: roc", "metrik: roc", "needed: a metric's name, or {metric: name, option: value}"),
    "nothing that both scores are for": ("signal: top}\n  trees: {task: trees, signal", "signal: top, apply: [qcd]}\n  trees: {task: trees, apply: [top], signal", ":19: evaluate[0]: no sample has all the predictions that are read"),
    "unknown process": ("process: dijet", "process: dijets", ":10: samples.qcd.process"),
    "unknown sample": ("observables: [mass, tau1]", "train: [qdc], observables: [mass]", "no sample 'qdc'; did you mean 'qcd'?"),
    "unknown signal": ("image: image, signal: top", "image: image, signal: tops", ":16: tasks.tag: no sample 'tops'; did you mean 'top'?"),
    "unknown option": ("radius: 0.8", "radios: 0.8", ":6: data.steps[0].radios: unknown key; did you mean 'radius'?"),
    "unknown option of all tasks": ("signal: top}", "signal: top, train_row: 9}", ":16: tasks.tag.train_row: unknown key; did you mean 'train_rows'"),
    "mean of images": ("tasks:\n", "  - {step: pool, image: image, factor: 2, into: low}\ntasks:\n  split: {task: superres_baseline, high: image, low: low, test_draws: 2}\n", "test_draws averages columns; there is no mean of images"),
    "sample not learned from": ("tasks:\n", "  - {step: pixelate, grid: {eta: [-1, 1], phi: [-1, 1], shape: [32, 32]}, into: cells}\ntasks:\n  grow: {task: generator, image: cells, train: [qcd]}\n", ":17: tasks.grow: generator cannot say anything of top, not in its train"),
    "no validation rows": (GOOD, GOOD.replace("0.1, 0.2]", "0, 0.3]").replace("tasks:\n", "tasks:\n  odd: {task: anomaly, parts: [{of: trees.score}]}\n"), ":8: data.split: anomaly needs validation rows: the second fraction is 0"),
    "unknown image": ("image: image,", "image: imago,", ":16: tasks.tag: tagging reads 'imago': nothing before writes this image; did you mean 'image'?"),
    "unknown score": ("tag.score", "tag.scor", ":19: evaluate[0]: roc reads 'tag.scor': nothing before writes this column; did you mean 'tag.score'"),
    "unknown observable": ("[mass, tau1]", "[mass, tau11]", "tau11"),
    "tasks in a circle": ("image: image, signal: top", "image: tag.image, signal: top", "wait for each other: tag"),
    "jet step among event steps": ("    - {step: cluster", "    - center\n    - {step: cluster", "works on jets, here rows are events"),
    "event step among jet steps": ("  - center", "  - {step: cluster, radius: 0.4, pt: [1, 2]}", "works on events, here rows are jets"),
    "negative number among choices": ("    - {step: cluster", "    - {step: overlay, pool: p, mu: -5}\n    - {step: cluster", ":6: data.steps[0].mu: Input should be greater than or equal to 0; found -5"),
    "wrong choice": ("    - {step: cluster", "    - {step: overlay, pool: p, mu: {poisson: 2}}\n    - {step: cluster", ":6: data.steps[0].mu: found {'poisson': 2}; needed: mean number of pileup collisions"),
    "pool of nothing": ("    - {step: cluster", "    - {step: overlay, pool: p, mu: 2}\n    - {step: cluster", "no pool 'p' under data.pools"),
    "impossible grid": ("[40, 40]", "[40, -1]", ":14: preprocess[1].grid: shape must be positive"),
    "grid of one axis": ("eta: [-1, 1], ", "", "a grid has two axes"),
    "quick of nothing": ("data.rows: 10", "tasks.tug.fit: 1", None),
    "scan of nothing": ("task: trees, signal: top", "scan: {learning_rate: []}, task: trees, signal: top", ":17: tasks.trees.scan.learning_rate"),
    "scan inside null": ("image: image, signal: top", "image: image, signal: top, fit: null, scan: {fit.epochs: [1]}", "tasks.tag.scan.fit.epochs: cannot be scanned"),
    "mixture with options": ("  qcd: {process: dijet}\n", "  qcd: {process: dijet}\n  m: {of: [qcd], rows: 7}\n", "samples.m.rows: unknown key; a mixture has only of"),
    "signal that is a mixture": ("image: image, signal: top", "image: image, signal: m", "no sample 'm'; known: qcd, top"),
    "no test rows": ("[0.7, 0.1, 0.2]", "[0.9, 0.1, 0.0]", ":8: data.split: evaluate needs test rows"),
    "score not predicted for the signal": ("image: image, signal: top", "image: image, signal: top, apply: [qcd]", ":19: evaluate[0]: tag.score is not predicted for top; add it to apply of tag"),
    "steps of a sample": ("process: ttbar_hadronic}", "process: ttbar_hadronic, steps: [center]}", ":11: samples.top.steps[0]: the step center works on jets"),
    "jets left out after they are counted": ("preprocess:\n", "preprocess:\n  - {step: select, column: mass, range: [60, 100]}\n", ":13: preprocess[0]: select leaves out jets: put it into data.steps"),
    "random step before the data are stored": ("abs_eta: 2.0}\n", "abs_eta: 2.0}\n    - {step: rotate, angle: random}\n", ":7: data.steps[1]: rotate is random for each jet; it belongs to preprocess"),
    "scan of equal values": ("task: trees, signal: top", "scan: {bagging: [0.5, 0.5]}, task: trees, signal: top", "a value stands twice: [0.5, 0.5]"),
    "step without a name": ("- center", "- {on: axis}", ":13: preprocess[0]: needed: a step's name"),
}  # fmt: skip


def write(folder: Path, text: str) -> Path:
    path = folder / "toy.yaml"
    path.write_text(text)
    return path


def test_the_good_file_is_good(tmp_path: Path) -> None:
    analysis = load_analysis(write(tmp_path, GOOD))
    assert list(analysis.tasks) == ["tag", "trees"]
    assert analysis.samples["top"].rows == 100


@pytest.mark.parametrize("case", CASES)
def test_each_mistake_is_told_with_its_place(tmp_path: Path, case: str) -> None:
    old, new, words = CASES[case]
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    if words is None:
        load_analysis(path)  # settings of --quick are not applied, and so not judged, without it
        with pytest.raises(ConfigError, match="no 'tug'; did you mean 'tag'"):
            load_analysis(path, quick=True)
        return
    with pytest.raises(ConfigError) as caught:
        load_analysis(path)
    message = str(caught.value)
    assert words in message
    assert str(path) in message
    assert not Path("/tmp/owned").exists()


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("- center", "- centre").replace("task: taging", "x").replace("metric: roc", "metric: rok")
    with pytest.raises(ConfigError) as caught:
        load_analysis(write(tmp_path, text.replace("process: dijet", "proces: dijet")))
    assert len(caught.value.problems) >= 3
    lines = [problem.line for problem in caught.value.problems]
    assert lines == sorted(lines)


def test_a_missing_file_tells_what_is_there(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    with pytest.raises(ConfigError, match=r"no such file; there are: toy\.yaml"):
        load_analysis(tmp_path / "toys.yaml")


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("data.rows", "needed: key=value"),
        ("data.rows=many", "--set: data.rows: .*valid integer"),
        ("tasks.tga.fit.epochs=2", "no 'tga'; did you mean 'tag'"),
        ("tasks.tag.fit.epoch=2", "did you mean 'epochs'"),
        ("title.x=1", "is not inside a mapping"),
        ("seed=!!python/name:os.system", "is not allowed"),
    ],
)
def test_settings_of_the_command_line_are_checked_alike(tmp_path: Path, assignment: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_analysis(write(tmp_path, GOOD), assignments=[assignment])


def test_settings_reach_their_place(tmp_path: Path) -> None:
    settings = ["data.rows=7", "tasks.tag.fit.epochs=3", "evaluate.0.scores=[trees.score]"]
    analysis = load_analysis(write(tmp_path, GOOD), quick=True, assignments=settings)
    assert analysis.name == "toy-quick"
    assert analysis.samples["qcd"].rows == 7
    assert analysis.tasks["tag"].task.model_dump()["fit"]["epochs"] == 3


def test_seeds_and_scans_are_expanded(tmp_path: Path) -> None:
    text = GOOD.replace(
        "task: trees, signal: top", "task: trees, signal: top, seeds: 2, scan: {learning_rate: [0.1, 0.2]}"
    )
    analysis = load_analysis(write(tmp_path, text))
    names = [f"trees[learning_rate={rate},seed={seed}]" for rate in (0.1, 0.2) for seed in (1, 2)]
    assert list(analysis.tasks) == ["tag", *names]
    assert analysis.evaluate[0].metric.model_dump()["scores"] == ["tag.score", *(f"{name}.score" for name in names)]


def test_a_mixed_sample_stands_for_its_parts(tmp_path: Path) -> None:
    text = GOOD.replace("preprocess:", "  mixed: {of: [qcd, top]}\npreprocess:").replace(
        "[mass, tau1]", "[mass], train: [mixed]"
    )
    assert load_analysis(write(tmp_path, text)).tasks["trees"].train == ("qcd", "top")
