"""``engine:`` in analysis files, and what ``auto`` stands for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from hepimg import engine, pipeline
from hepimg.analysis import Analysis
from hepimg.config import load_analysis
from hepimg.errors import ConfigError
from hepimg.kernels.threads import set_threads
from hepimg.learn import Learner
from hepimg.provenance import provenance
from hepimg.sparse import SubmanifoldConv2d, engines, use_engine
from hepimg.store import Cache

ANALYSIS = """\
title: toy
threads: THREADS
device: DEVICE
engine: ENGINE
data: {source: pythia, rows: 100, steps: [{step: cluster, radius: 0.8, pt: [550, 650]}]}
samples:
  qcd: {process: dijet}
  top: {process: ttbar_hadronic}
tasks:
  trees: {task: trees, signal: top}
"""

BUILD, NEWER = "spconv-cu126 2.3.8", "spconv-cu126 2.3.9"
SILENT: Any = SimpleNamespace(say=lambda text: None)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch):
    """A function that makes the build of spconv for CUDA appear installed, or none, or that for CPUs."""

    def install(build: str | None, any_build: bool = True) -> None:
        monkeypatch.setattr(engine, "_cuda_build", lambda: build)
        monkeypatch.setattr(engine, "find_spec", lambda name: object() if any_build else None)

    return install


def load(folder: Path, name: str, device: str = "cpu", threads: int = 1) -> Analysis:
    path = folder / "toy.yaml"
    values = {"ENGINE": name, "DEVICE": device, "THREADS": str(threads)}
    text = ANALYSIS
    for word, value in values.items():
        text = text.replace(word, value)
    path.write_text(text)
    return load_analysis(path)


@pytest.mark.parametrize(
    ("name", "device", "build", "expected"),
    [
        ("auto", "cpu", None, "native"),
        ("auto", "cpu", BUILD, "native"),
        ("auto", "cuda", None, "native"),
        ("auto", "cuda", BUILD, "spconv"),
        ("native", "cuda", BUILD, "native"),
        ("dense", "cpu", None, "dense"),
        ("spconv", "cuda", BUILD, "spconv"),
    ],
)
def test_the_engine_of_an_analysis(tmp_path, installed, name, device, build, expected):
    installed(build)
    analysis = load(tmp_path, name, device)
    assert analysis.engine == expected
    assert analysis.resolved()["engine"] == expected


def test_none_named_is_auto(tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_text(ANALYSIS.replace("engine: ENGINE\n", "").replace("DEVICE", "cpu").replace("THREADS", "2"))
    assert load_analysis(path).engine == "native"


@pytest.mark.parametrize(
    ("name", "device", "threads", "build", "any_build", "words"),
    [
        ("cudnn", "cpu", 1, None, True, ":4: engine: Input should be 'auto', 'native', 'spconv' or 'dense'"),
        ("spconv", "cpu", 1, None, True, ":4: engine: spconv cannot train on the CPU; set engine: native"),
        ("spconv", "cpu", 2, None, True, "results are wrong with several threads, here 2"),
        ("spconv", "cuda", 1, None, False, r"not installed; pip install 'hepimg[cuda]', or set engine: native"),
        ("spconv", "cuda", 1, None, True, "the installed spconv is the build for CPUs"),
    ],
)
def test_an_engine_that_cannot_work_is_refused_by_check(
    tmp_path, installed, name, device, threads, build, any_build, words
):
    installed(build, any_build)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, name, device, threads)
    assert words in str(caught.value)


def test_another_engine_is_another_training(tmp_path, installed):
    """The order of sums differs, and so do the last bits."""

    def key(name: str, device: str, build: str | None) -> str:
        installed(build)
        analysis = load(tmp_path, name, device)
        learner = Learner(analysis, {}, Cache(tmp_path), SILENT)
        return learner.fit_key(replace(analysis.tasks["trees"], train=()))

    native = key("native", "cpu", None)
    assert key("auto", "cpu", BUILD) == native
    spconv = key("spconv", "cuda", BUILD)
    others = [native, key("dense", "cpu", None), key("native", "cuda", None), key("spconv", "cuda", NEWER)]
    assert len({spconv, *others}) == 5
    assert key("auto", "cuda", BUILD) == spconv


def test_provenance_names_engine_and_build(tmp_path, installed):
    for build, name, device, expected in ((None, "auto", "cpu", "native"), (BUILD, "auto", "cuda", BUILD)):
        installed(build)
        analysis = load(tmp_path, name, device)
        analysis.tasks.clear()
        facts = provenance(Learner(analysis, {}, Cache(tmp_path), SILENT))
        assert (facts["device"], facts["engine"]) == (device, expected)


def test_a_run_computes_with_it(tmp_path, monkeypatch):
    seen = []

    def evaluate(*_: object) -> None:
        seen.append(engines._chosen.get())
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "make_data", lambda *_: {})
    monkeypatch.setattr(pipeline, "in_order", lambda _: ())
    monkeypatch.setattr(pipeline, "_warm_up", lambda _: None)
    monkeypatch.setattr(pipeline, "evaluate", evaluate)
    before = torch.get_num_threads()
    try:
        with pytest.raises(KeyboardInterrupt):
            pipeline._execute(load(tmp_path, "dense"), tmp_path, Cache(tmp_path), SILENT, 1, None, 0.0)
    finally:
        set_threads(before)
        torch.set_num_threads(before)
    assert seen == ["dense"]
    assert engines._chosen.get() == "auto"


def test_the_choice_ends_with_its_block(make_tensor, monkeypatch):
    layer, tensor = SubmanifoldConv2d(4, 4).double(), make_tensor()
    asked = []

    def engine_of(name, device):
        asked.append((name, device))
        return original(name, device)

    original = engines._engine
    monkeypatch.setattr(engines, "_engine", engine_of)
    with use_engine("dense"):
        with use_engine("auto"):
            auto = layer(tensor).features
        dense = layer(tensor).features
    native = layer(tensor).features
    assert asked == [("auto", "cpu"), ("dense", "cpu"), ("auto", "cpu")]
    assert torch.equal(auto, native)
    torch.testing.assert_close(dense, native)


def test_unknown_engine():
    with pytest.raises(ValueError, match="no engine 'cudnn'; there are auto, native"):
        use_engine("cudnn")
