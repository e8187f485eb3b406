"""Every component of the installed plugins keeps its contract, and the contract checks catch those that do not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from examples import WRITERS, write_example
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
from hepimg.registry import BASES, Kind, load_registry
from hepimg.sample import Sample
from hepimg.testing import check_component, check_metric, check_source, check_step, check_task, merge, toy_jets
from plugin_path import TOYS

LIVE: list[tuple[Kind, str]] = [(kind, name) for kind in BASES for name in load_registry().names(kind)]

EXTERNAL_DATA = Path(os.environ["HEPIMG_TEST_DATA"]) if os.environ.get("HEPIMG_TEST_DATA") else None

GRID = {"eta": (-0.8, 0.8), "phi": (-0.8, 0.8), "shape": (16, 16)}
IMAGE = {"image": "image", "collection": None}
CLEANED = {"charged_hard": "image", "charged_pileup": "hr", "neutral": "lr", "truth": "lr"}
FAST_NETWORK = {"network": {"widths": (4,), "blocks": (1,)}, "fit": {"epochs": 1, "batch_size": 32}}

OPTIONS: dict[tuple[Kind, str], list[dict[str, Any]]] = {
    ("source", "pythia"): [{"process": "dijet", "pt_hat": (200.0, None), "mpi": False, "hadronisation": False}],
    **{("source", name): [{"files": f"{name}.file"}] for name in WRITERS},
    ("source", "delphes"): [{"files": "d.root", "particles": "towers"}, {"files": "d.root", "drop_invalid": True}],
    ("source", "delphes_jets"): [{"files": "d.root", "drop_invalid": True}],
    ("source", "calochallenge"): [{"files": "c.h5", "binning": "c.xml", "particle": "photon"}],
    ("source", "noise"): [{}, {"particles": 3, "sigma": 10.0, "window": (0.5, 3.0)}],
    ("step", "cluster"): [{"pt": (20.0, None)}],
    ("step", "calorimeter"): [{}, {"electromagnetic": {"stochastic": 0.1}}],
    ("step", "overlay"): [{"pool": "soft", "mu": 5.0}, {"pool": "soft", "mu": {"uniform": (0, 9)}, "rotate": False}],
    ("step", "soft_drop"): [{}, {"beta": 1.0, "into": "constituents"}],
    ("step", "trim"): [{}, {"algorithm": "cambridge"}],
    ("step", "softkiller"): [{}, {"tracks": {}}, {"field": "killed_pt"}],
    ("step", "constituent_subtraction"): [{}, {"tracks": {}, "masses": "scale"}],
    ("step", "puppi"): [{}, {"exponent": 2.0}],
    ("step", "pairs"): [{"particles": "particles", "pt": (300.0, None), "min_constituents": 3}],
    ("step", "pixelate"): [{"grid": GRID}, {"grid": GRID, "channels": ("pt", "count", "y", "charge")}],
    ("step", "pool"): [{"factor": 2}],
    ("step", "crop"): [{"rows": (4, 12), "columns": (0, 8)}],
    ("step", "translate"): [{"by": (0.1, 0.1)}, {"by": (0.1, 0.1), "random": False}, {"by": (2, 2), **IMAGE}],
    ("step", "rotate"): [{}, {"angle": "principal_axis"}, {"angle": 30.0}, IMAGE],
    ("step", "flip"): [{}, {"axis": "harder"}, {"axis": "far_phi"}, IMAGE],
    ("step", "center"): [{}, {"snap": (0.1, 0.1)}, {"snap": (0.1, 0.1), "on": "cell"}],
    ("step", "power"): [{"exponent": 0.5}],
    ("step", "threshold"): [{"minimum": 10.0}],
    ("step", "copy"): [
        {"collection": "constituents", "into": "moved"},
        {"image": "image", "into": "fine"},
        {"collection": "constituents", "into": "neutral", "where": {"charge": "neutral"}, "pt": "mass"},
    ],
    ("step", "measure"): [{"names": ("girth", "tau21")}, {"names": ("mass",), "image": "image", "prefix": "image_"}],
    ("step", "select"): [{"column": "mass", "range": (30.0, None)}],
    ("step", "subjets"): [{}, {"algorithm": "cambridge"}],
    ("task", "tagging"): [{"signal": "two", **FAST_NETWORK}],
    ("task", "trees"): [{"signal": "two", "observables": ("mass", "girth")}],
    ("task", "fisher"): [{"signal": "two", "observables": ("mass", "girth")}],
    ("task", "two_sample"): [{"truth": "hr", "generated": "image", **FAST_NETWORK}],
    ("task", "super_resolution"): [
        {"network": {"channels": 4, "blocks": (1,), "kernel": 3}, "fit": {"epochs": 1}, **options}
        for options in ({"draws": 2}, {"correct": True})
    ],
    ("task", "superres_gan"): [
        {
            "networks": {
                "rrdb": 1,
                "filters": 4,
                "upsampling": ("ps", "tc"),
                "reset": 1,
                "discriminator_filters": 4,
                "discriminator_blocks": 2,
            },
            "fit": {"steps": 2, "batch_size": 8, "evaluate_every": 1},
        }
    ],
    ("task", "superres_baseline"): [{"how": "uniform"}, {"how": "marginal", "draws": 2}, {"how": "nearest"}],
    ("task", "autoencoder"): [
        {"network": {"convolutions": (4,), "layers": (8, 2, 8)}, "fit": {"epochs": 1, "batch_size": 32}, "images": True}
    ],
    ("task", "sparse_autoencoder"): [
        {"network": {"latent": 2, "widths": (4,), "channels": 4}, "fit": {"epochs": 1, "batch_size": 32}}
    ],
    ("task", "pca"): [{"components": 3}],
    ("task", "neighbours"): [{"columns": ("mass", "pt"), "log": ("pt",), "neighbours": 3}],
    ("task", "anomaly"): [{"parts": ({"of": "mass", "side": "both", "given": ("pt",)}, {"of": "pt"})}],
    ("task", "generator"): [
        {"network": {"channels": 4, "blocks": (1,), "kernel": 3}, "fit": {"epochs": 1, "batch_size": 32}}
    ],
    ("task", "pumml"): [
        {**CLEANED, "network": {"filters": (2, 2)}, "fit": {"epochs": 1, "batch_size": 32}, "loss": {"total": 1.0}}
    ],
    ("task", "pileup_unet"): [
        {
            **CLEANED,
            "columns": ("rho",),
            "network": {"charged": (4, 4, 4), "widths": (4, 4), "blocks": (1, 1)},
            "fit": {"epochs": 1, "batch_size": 32},
        }
    ],
    ("task", "lagan"): [
        {
            "networks": {
                "latent": 4,
                "dense": 4,
                "convolution": 4,
                "discriminator_convolution": 4,
                "kernels": 2,
                "kernel_width": 2,
            },
            "fit": {"steps": 3, "batch_size": 20, "evaluate_every": 2},
        }
    ],
    ("task", "nearest"): [{"generated": "hr", "pool": 2}],
    ("metric", "confusion"): [{"scores": ["tag.score"], "signal": "two", "replicas": 5}],
    ("metric", "extremes"): [{"of": "mass", "images": ["image"]}],
    ("metric", "roc"): [{"scores": ["tag.score"], "signal": "two", "replicas": 5}],
    ("metric", "closure"): [{"truth": "image", "generated": ["again.image"], "replicas": 5}],
    ("metric", "distances"): [{"truth": "image", "generated": ["again.image"], "names": ["mass", "girth"]}],
    ("metric", "plane"): [{"truth": "image", "generated": ["again.image"], "bins": 4, "replicas": 5}],
    ("metric", "quantile"): [{"of": ["tag.score"], "against": "tag.score", "fraction": 0.1, "replicas": 5}],
    ("metric", "images"): [{"image": "image"}],
    ("metric", "profile"): [{"against": "mass", "collections": ["constituents"], "images": ["image"], "replicas": 5}],
    ("metric", "scatter"): [{"against": ["lr2"], "replicas": 5}],
    ("metric", "resolution"): [
        {"names": ["mass"], "collections": ["constituents", "lr2"], "replicas": 5},
        {
            "names": ["mass", "pt"],
            "jets": {
                "all": {"collections": ["constituents"]},
                "both": {"collections": ["lr2"], "images": ["image"]},
                "known": {"columns": {"mass": "mass"}},
            },
            "relative": True,
            "against": {"column": "pt", "edges": (0.0, 100.0, 1000.0)},
            "replicas": 5,
        },
    ],
    ("metric", "observables"): [{"names": ["mass", "girth"], "replicas": 5}],
}
"""Options to check a component with, where its defaults are not enough."""


def jets(rows: int, prongs: int = 1, seed: int = 1) -> Sample:
    """Centred toy jets with an image, at a high and a low resolution, and the density of pileup in their events."""
    registry = load_registry()
    sample = registry.find("step", "center").component().apply(toy_jets(rows, prongs, seed), None)  # type: ignore[attr-defined]
    pixelate = registry.find("step", "pixelate").component.model_validate({"grid": GRID})
    image = pixelate.apply(sample, None)  # type: ignore[attr-defined]
    pool = registry.find("step", "pool").component.model_validate({"factor": 4, "into": "lr"})
    image = pool.apply(image, None).with_images(hr=image.image("image"))  # type: ignore[attr-defined]
    density = {name: np.full(rows, 5.0, np.float32) for name in ("rho", "rho_m")}
    return image.with_columns(dict.fromkeys(density, "GeV"), **density)  # type: ignore[no-any-return]


def events(rows: int, vertex: bool = True) -> Sample:
    """Toy jets seen as events, their particles from two vertices."""
    sample = toy_jets(rows)
    particles = sample.collection("constituents")
    if vertex:
        particles = particles.with_fields(vertex=(np.arange(len(particles["pt"])) % 2).astype(np.int32))
    return Sample({name: sample.column(name) for name in ("event", "weight")}, {"particles": particles})


def made(kind: Kind) -> list[Any]:
    """The components of one kind with all their test options."""
    found = load_registry()
    return [
        pytest.param(found.find(kind, name).component, options, id=f"{name}-{k}")
        for each, name in LIVE
        if each == kind
        for k, options in enumerate(OPTIONS.get((kind, name), [{}]))
    ]


@pytest.mark.parametrize(("kind", "name"), LIVE)
def test_every_component_keeps_the_contract(kind: Kind, name: str) -> None:
    component = load_registry().find(kind, name).component
    assert issubclass(component, BASES[kind])
    check_component(component)


@pytest.mark.parametrize(("source", "options"), made("source"))
def test_every_source_keeps_the_contract(
    source: type[Source], options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if "files" in options and not write_example({"source": source.name, **options}, tmp_path, EXTERNAL_DATA):
        pytest.skip("HEPIMG_TEST_DATA is not set: external test data are not here")
    check_source(source.model_validate(options), rows=20)


@pytest.mark.parametrize(("step", "options"), made("step"))
def test_every_step_keeps_the_contract(step: type[Step], options: dict[str, Any]) -> None:
    component = step.model_validate(options)
    pools = {pool: [events(7), events(5)] for pool in component.pools()}
    check_step(component, jets(40) if step.rows_in == "jet" else events(20, vertex=not pools), pools)


@pytest.mark.parametrize(("task", "options"), made("task"))
def test_every_task_keeps_the_contract(task: type[Task], options: dict[str, Any]) -> None:
    check_task(task.model_validate(options), {"one": jets(100, 1, 1), "two": jets(100, 2, 2)})


@pytest.mark.parametrize(("metric", "options"), made("metric"))
def test_every_metric_keeps_the_contract(metric: type[Metric], options: dict[str, Any]) -> None:
    test = merge({"one": jets(60, 1, 1), "two": jets(60, 2, 2)})
    score = {"tag.score": test.column("mass") / 200}
    test = test.with_columns(**score).with_collection("lr2", test.collection("constituents"))
    test = test.with_images(**{"again.image": test.image("image")})
    check_metric(metric.model_validate(options), test)


class Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    bare: int = 1


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
