"""The contract checks let good components pass, and catch those that break their contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict, Field

from hepimg.components import (
    Collection,
    Column,
    Component,
    Estimate,
    Evaluation,
    Metric,
    Port,
    Ports,
    Predictions,
    Run,
    Shard,
    Source,
    State,
    Step,
    Task,
)  # fmt: skip
from hepimg.dataset import Dataset
from hepimg.errors import DataError
from hepimg.random import uniform
from hepimg.registry import load_registry
from hepimg.sample import Sample
from hepimg.testing import check_component, check_metric, check_source, check_step, check_task, toy_jets
from plugin_path import TOYS


class Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    bare: int = 1


class Sizes(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    width: int = Field(1, description="of something")


class GoodStep(Step):
    """Counts constituents."""

    name: ClassVar[str] = "good"
    draws: bool = Field(False, description="whether it draws a random number instead")

    def reads(self) -> Sequence[Port]:
        return [Collection("constituents", {"pt": "GeV"})]

    def writes(self, ports: Ports) -> Sequence[Port]:
        return [Column("n", "particles")]

    @property
    def is_random(self) -> bool:
        return self.draws

    def apply(self, sample: Sample, seed: int | None) -> Sample:
        n = sample.collection("constituents").counts.astype(np.float32)
        if seed is not None:
            n = uniform(sample.column("row"), seed).astype(np.float32)
        return sample.with_columns({"n": "particles"}, n=n)


class ToyGun(Source):
    """Events of nothing."""

    name: ClassVar[str] = "gun"

    def writes(self) -> Sequence[Port]:
        return [Column("x", "cm")]

    def batches(self, shard: Shard) -> Iterator[Sample]:
        rng, first = np.random.default_rng(shard.seed), shard.index << 32
        while True:
            yield self.rows(rng, first)
            first += 10

    def rows(self, rng: np.random.Generator, first: int) -> Sample:
        return Sample({"event": first + np.arange(10), "weight": np.ones(10), "x": rng.random(10)}, units={"x": "cm"})


class ToyTask(Task):
    """Cuts on the mass."""

    name: ClassVar[str] = "cut"

    def writes(self, ports: Ports) -> Sequence[Port]:
        return [Column("score")]

    def fit(self, train: Dataset, valid: Dataset, run: Run) -> State:
        return {"cut": np.median(train.load().column("mass"))}

    def predict(self, state: State, sample: Sample, run: Run) -> Predictions:
        return {"score": sample.column("mass") - state["cut"]}


class ToyMetric(Metric):
    """The mean of the mass."""

    name: ClassVar[str] = "mean_mass"

    def evaluate(self, test: Sample, seed: int) -> Evaluation:
        return Evaluation({"mean": Estimate(float(test.column("mass").mean()), 0.0, len(test))})


def changed(base: type[Component], **members: Any) -> type[Any]:
    """The component with other members."""
    return type("Changed", (base,), {"__module__": __name__, "__doc__": base.__doc__, **members})


def raising(message: str) -> Any:
    return pytest.raises(AssertionError, match=message)


def test_the_checks_let_good_components_pass() -> None:
    for component in (GoodStep, ToyGun, ToyTask, ToyMetric):
        check_component(component)
    check_step(GoodStep(), toy_jets(20))
    check_step(GoodStep(draws=True), toy_jets(20))
    check_source(ToyGun(), 25)
    check_task(ToyTask(), {"jets": toy_jets(20)})
    check_metric(ToyMetric(), toy_jets(20))


def test_toy_plugins_keep_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOYS))
    import hepimg_toys
    import hepimg_toys_broken

    check_component(hepimg_toys.ToyJets)
    for prongs in (1, 2):
        check_source(hepimg_toys.ToyJets(prongs=prongs), rows=300)
    with pytest.raises(DataError, match="pt = nan"):
        check_source(hepimg_toys_broken.ToyNaN())


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"name": "Not a Name"}, "a name is made of"),
        ({"version": 0}, "version is a positive"),
        ({"__doc__": None}, "no docstring"),
        ({"apply": Step.apply}, "it has no method apply"),
        ({"__annotations__": {"bare": int}, "bare": 1}, "description=...\\) of Changed.bare is missing"),
        ({"__annotations__": {"o": Options}, "o": Field(Options(), description="d")}, "of Options.bare is missing"),
        (
            {"__annotations__": {"o": Sizes}, "o": Field(Sizes(width=2), description="d")},
            "where a file gives one of them",
        ),
        ({"model_config": ConfigDict(extra="ignore")}, "takes unknown options"),
        ({"model_config": ConfigDict(frozen=False)}, "is not frozen"),
        ({}, "worker processes cannot find"),
    ],
)
def test_a_component_that_breaks_its_contract_is_caught(members: dict[str, Any], message: str) -> None:
    with raising(message):
        check_component(changed(GoodStep, **members))


def test_prediction_options_that_are_no_options_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    task: Any = load_registry().find("task", "superres_baseline").component
    monkeypatch.setattr(task, "prediction_options", ("drawn",))
    with raising("prediction_options names drawn, which is no option"):
        check_component(task)


def _writes_in_place(step: GoodStep, sample: Sample, seed: int | None) -> Sample:
    sample.column("weight")[:] = 2
    return GoodStep.apply(step, sample, seed)


def _centres(step: GoodStep, sample: Sample, seed: int | None) -> Sample:
    n = sample.collection("constituents").counts
    return sample.with_columns({"n": "particles"}, n=(n - n.mean() if len(n) else n * 1.0))


def _drops_a_column(step: GoodStep, sample: Sample, seed: int | None) -> Sample:
    return GoodStep.apply(step, sample, seed).select(["n", "constituents", "pt", "eta", "phi", "y"])


def _counts_draws(step: GoodStep, sample: Sample, seed: int | None) -> Sample:
    n = np.random.default_rng(seed).random(len(sample)).astype(np.float32)
    return sample.with_columns({"n": "particles"}, n=n)


@pytest.mark.parametrize(
    ("apply", "draws", "message"),
    [
        (_writes_in_place, False, "apply changes its input"),
        (_centres, False, "depends on the rest of the batch"),
        (_counts_draws, True, "depends on the rest of the batch"),
        (lambda step, sample, seed: GoodStep.apply(step, sample, seed and 1), True, "same for another seed"),
        (_drops_a_column, False, "it changed mass"),
        (lambda step, sample, seed: sample, False, "promised Column\\(name='n'.*found None"),
        (lambda step, sample, seed: sample.with_columns(n=np.zeros(len(sample))), False, "found Column.*unit=''"),
        (
            lambda step, sample, seed: GoodStep.apply(step, sample, seed).with_columns(m=sample.column("pt")),
            False,
            "m'",
        ),
        (lambda step, sample, seed: GoodStep.apply(step, sample[1:], seed), False, "rows became"),
    ],
)
def test_a_step_that_breaks_its_contract_is_caught(apply: Callable[..., Sample], draws: bool, message: str) -> None:
    with raising(message):
        check_step(changed(GoodStep, apply=apply)(draws=draws), toy_jets(20))


def _unseeded(source: ToyGun, rng: np.random.Generator, first: int) -> Sample:
    return ToyGun.rows(source, np.random.default_rng(), first)


def _one_seed(source: ToyGun, rng: np.random.Generator, first: int) -> Sample:
    return ToyGun.rows(source, np.random.default_rng(1), first)


def _same_events(source: ToyGun, rng: np.random.Generator, first: int) -> Sample:
    return ToyGun.rows(source, rng, first % 2**32)


def _no_unit(source: ToyGun, rng: np.random.Generator, first: int) -> Sample:
    sample = ToyGun.rows(source, rng, first)
    return Sample(sample.columns)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (_unseeded, "the same shard came out differently"),
        (_one_seed, "another seed gave the same rows"),
        (_same_events, "two shards number an event"),
        (_no_unit, "found Column\\(name='x', unit=''\\)"),
    ],
)
def test_a_source_that_breaks_its_contract_is_caught(
    rows: Callable[..., Sample], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = changed(ToyGun, rows=rows)
    monkeypatch.setitem(globals(), "Changed", source)
    with raising(message):
        check_source(source(), 25)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"fit": lambda task, train, valid, run: {"cut": np.random.default_rng().random(1)}}, "differs after the same"),
        ({"fit": lambda task, train, valid, run: {"cut": np.asarray("text")}}, "no array of numbers"),
        ({"predict": lambda task, state, sample, run: {"s": sample.column("mass")}}, "predict gave \\['s'\\]"),
        ({"predict": lambda task, state, sample, run: {"score": np.zeros(4)}}, "4 rows of score for"),
        ({"predict": lambda task, state, sample, run: {"score": np.full(len(sample), np.nan)}}, "not finite"),
        (
            {"predict": lambda task, state, sample, run: {"score": np.arange(float(len(sample)))}},
            "depends on the other rows",
        ),
    ],
)
def test_a_task_that_breaks_its_contract_is_caught(members: dict[str, Any], message: str) -> None:
    with raising(message):
        check_task(changed(ToyTask, **members)(), {"jets": toy_jets(20)})


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (lambda: {"mean": Estimate(float("nan"))}, "mean is Estimate"),
        (lambda: {"mean": Estimate(1.0, -1.0)}, "mean is Estimate"),
        (lambda: {"mean": Estimate(float(np.random.default_rng().random()))}, "other numbers for the same seed"),
    ],
)
def test_a_metric_that_breaks_its_contract_is_caught(numbers: Callable[[], Any], message: str) -> None:
    metric = changed(ToyMetric, evaluate=lambda metric, test, seed: Evaluation(numbers()))
    with raising(message):
        check_metric(metric(), toy_jets(20))


@pytest.mark.parametrize("prongs", [1, 2])
def test_toy_jets_are_the_sums_of_their_constituents(prongs: int) -> None:
    import vector

    sample = toy_jets(30, prongs)
    particles = sample.collection("constituents")
    for k in range(30):
        some = particles.take(slice(k, k + 1))
        pt, y, phi, mass = (some[name].astype(float) for name in ("pt", "y", "phi", "mass"))
        mt = np.hypot(pt, mass)
        total: Any = vector.array(
            {"px": pt * np.cos(phi), "py": pt * np.sin(phi), "pz": mt * np.sinh(y), "E": mt * np.cosh(y)}
        ).sum()
        for name, value in (("pt", total.pt), ("mass", total.mass), ("eta", total.eta), ("phi", total.phi)):
            assert sample.column(name)[k] == pytest.approx(value, rel=1e-3, abs=1e-5), name


@pytest.mark.parametrize("rows", [0, 1])
def test_toy_jets_of_few_rows(rows: int) -> None:
    assert len(toy_jets(rows)) == rows
