"""Taggers on observables: trees as LightGBM grows them, Fisher's direction as scikit-learn finds it."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import log_loss

from hepimg.components import Collection
from hepimg.dataset import Dataset, Part
from hepimg.errors import DataError
from hepimg.observables import compute
from hepimg.sample import Ragged, Sample
from hepimg.shards import write_shard
from hepimg.testing import check_component, check_task, make_run, toy_jets
from hepimg_tagging.fisher import Fisher
from hepimg_tagging.table import OnObservables
from hepimg_tagging.trees import Trees

COLUMNS = ("a", "b", "c")


def make_sample(signal: bool, rows: int, seed: int) -> Sample:
    """Three correlated columns, whose means differ between the classes, and a few constituents."""
    rng = np.random.default_rng([seed, signal])
    mix = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.3], [0.2, 0.0, 100.0]])
    table = rng.normal(size=(rows, 3)) @ mix + (np.array([0.8, -0.4, 60.0]) if signal else 0)
    fields = {name: rng.uniform(0.1, 1, 4 * rows).astype(np.float32) for name in ("pt", "y", "phi")}
    columns = {name: table[:, k] for k, name in enumerate(COLUMNS)}
    columns |= {"event": np.arange(rows), "weight": rng.uniform(0.5, 1.5, rows), "axis": np.zeros((rows, 2))}
    return Sample(columns, {"constituents": Ragged(np.arange(rows + 1) * 4, fields)})


def make_dataset(folder: Path, rows: int = 400, seed: int = 0, **changed: np.ndarray) -> Dataset:
    parts = []
    for number in (0, 1):
        path = folder / f"{number}-{seed}.arrow"
        write_shard(path, make_sample(bool(number), rows, seed).with_columns(**changed))
        parts.append(Part(number, path, 0, np.arange(rows)))
    return Dataset(tuple(parts), ("qcd", "top"))


def make(kind: type[OnObservables], **options: object) -> OnObservables:
    return kind.model_validate({"signal": "top", "observables": [], "columns": COLUMNS, **options})


def test_fisher_finds_the_direction_of_scikit_learn(tmp_path: Path) -> None:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    data = make_dataset(tmp_path, weight=np.ones(400))
    task = make(Fisher)
    state = task.fit(data, data, make_run(tmp_path))
    table = task.table(data)
    oracle = LinearDiscriminantAnalysis(solver="lsqr").fit(table.values, table.is_signal).coef_[0]
    direction = state["direction"] / state["width"]
    cosine = direction @ oracle / np.linalg.norm(direction) / np.linalg.norm(oracle)
    assert cosine == pytest.approx(1, abs=1e-8)
    scores = np.asarray(task.predict(state, data.load(), make_run(tmp_path))["score"])
    signal, background = scores[table.is_signal], scores[~table.is_signal]
    assert signal.mean() == pytest.approx(-background.mean(), rel=1e-6)
    assert (signal.var() + background.var()) / 2 == pytest.approx(1, rel=1e-4)


def test_fisher_counts_weights(tmp_path: Path) -> None:
    rows = 400
    once = make_dataset(tmp_path, rows, weight=np.where(np.arange(rows) < 200, 1.0, 0.0))
    half = Dataset(tuple(Part(p.sample, p.path, 0, p.rows[:200]) for p in once.parts), once.classes)
    task = make(Fisher, shrinkage=0)
    directions = []
    for data in (once, half):
        state = task.fit(data, data, make_run(tmp_path))
        directions.append(state["direction"] / state["width"])
    np.testing.assert_allclose(*directions, rtol=1e-9)


def test_fisher_refuses_gaps_and_dependent_observables(tmp_path: Path) -> None:
    gaps = np.where(np.arange(400) == 5, np.nan, 0.5)
    data = make_dataset(tmp_path, b=gaps)
    with pytest.raises(DataError, match="row 5: b is not finite for 2 of 800 jets"):
        make(Fisher).fit(data, data, make_run(tmp_path))
    constant = make_dataset(tmp_path, seed=2, b=np.full(400, 3.0))
    with pytest.raises(DataError, match="shrinkage"):
        make(Fisher, shrinkage=0).fit(constant, constant, make_run(tmp_path))
    state = make(Fisher).fit(constant, constant, make_run(tmp_path))
    assert state["direction"][1] == 0


def test_trees_are_those_of_lightgbm(tmp_path: Path) -> None:
    import lightgbm

    data, valid = make_dataset(tmp_path), make_dataset(tmp_path, 200, seed=1)
    task, run = make(Trees, rounds=200, patience=10, jets_per_leaf=20, bagging=1.0), make_run(tmp_path / "run")
    state = task.fit(data, valid, run)
    assert state["trees"].dtype == np.uint8
    np.testing.assert_array_equal(state["trees"], task.fit(data, valid, make_run(tmp_path / "again"))["trees"])
    assert (tmp_path / "run/log.csv").read_bytes() == (tmp_path / "again/log.csv").read_bytes()
    said = np.asarray(task.predict(state, valid.load(), run)["score"])

    table, held_out = task.table(data), task.table(valid)
    with (tmp_path / "run/log.csv").open() as file:
        losses = [float(row["valid_loss"]) for row in csv.DictReader(file)]
    kept = losses.index(min(losses)) + 1
    assert kept == len(losses) - 10
    assert min(losses) == pytest.approx(log_loss(held_out.is_signal, said, sample_weight=held_out.weight), rel=1e-9)
    plain = lightgbm.LGBMClassifier(n_estimators=kept, learning_rate=0.05, min_child_samples=20, n_jobs=1, verbosity=-1)
    plain.fit(table.values, table.is_signal, sample_weight=table.weight)
    oracle = plain.booster_.predict(held_out.values)
    np.testing.assert_allclose(said, oracle, rtol=1e-6)


def test_trees_of_other_seeds_are_other_trees(tmp_path: Path) -> None:
    data, task = make_dataset(tmp_path), make(Trees, rounds=5)
    runs = [replace(make_run(tmp_path / str(k)), seed=seed) for k, seed in enumerate((1, 1, 2))]
    one, same, other = (task.fit(data, data, run) for run in runs)
    np.testing.assert_array_equal(one["trees"], same["trees"])
    assert one["trees"].tobytes() != other["trees"].tobytes()


def test_trees_take_gaps_and_small_sets(tmp_path: Path) -> None:
    gaps = np.where(np.arange(400) % 7 == 0, np.nan, 0.5)
    data, empty = make_dataset(tmp_path, b=gaps), Dataset((), ("qcd", "top"))
    task, run = make(Trees, rounds=5, patience=None), make_run(tmp_path / "run")
    state = task.fit(data, empty, run)
    assert np.isfinite(task.predict(state, data.load(), run)["score"]).all()
    assert len(task.predict(state, data.load()[:0], run)["score"]) == 0
    with pytest.raises(DataError, match="patience"):
        make(Trees).fit(data, empty, run)
    with pytest.raises(DataError, match="inputs"):
        make(Trees, columns=["a"]).predict(state, data.load(), run)
    with pytest.raises(DataError, match="no trees"):
        task.predict({"trees": np.zeros(4, np.uint8)}, data.load(), run)


def test_a_table_holds_observables_then_columns(tmp_path: Path) -> None:
    task = Fisher.model_validate({"signal": "top", "observables": ["mass", "tau21[axes=wta_kt]"], "columns": ["b"]})
    assert [port.name for port in task.reads()] == ["constituents", "b"]
    assert [port.name for port in make(Fisher).reads()] == list(COLUMNS)
    charged = make(Fisher, observables=["jet_charge[kappa=1]"]).reads()[0]
    assert isinstance(charged, Collection)
    assert list(charged.fields) == ["pt", "y", "phi", "charge"]
    sample = make_sample(True, 6, 0)
    found = compute(["mass", "tau21[axes=wta_kt]"], sample.collection("constituents").particles())
    np.testing.assert_array_equal(task.values(sample), np.stack([*found.values(), sample.column("b")], axis=1))


@pytest.mark.parametrize("kind", [Trees, Fisher])
def test_what_cannot_be_learned_is_said(tmp_path: Path, kind: type[OnObservables]) -> None:
    data, run = make_dataset(tmp_path), make_run(tmp_path / "run")
    with pytest.raises(DataError, match="all training rows are from top"):
        make(kind).fit(Dataset(data.parts[1:], data.classes), data, run)
    with pytest.raises(DataError, match="no rows to train on"):
        make(kind).fit(Dataset((), data.classes), data, run)
    with pytest.raises(DataError, match="did you mean 'top'"):
        make(kind, signal="tpo").fit(data, data, run)
    with pytest.raises(DataError, match="no column 'd'"):
        make(kind, columns=["d"]).fit(data, data, run)
    with pytest.raises(DataError, match="needed: one"):
        make(kind, columns=["axis"]).fit(data, data, run)
    with pytest.raises(DataError, match="charge"):
        make(kind, observables=["jet_charge"]).fit(data, data, run)
    with pytest.raises(ValidationError, match="did you mean 'mass'"):
        make(kind, observables=["masss"])
    with pytest.raises(ValidationError, match="named twice"):
        make(kind, columns=["a", "a"])
    with pytest.raises(ValidationError, match="give observables, columns"):
        make(kind, columns=[])


@pytest.mark.parametrize("kind", [Trees, Fisher])
def test_taggers_on_observables_keep_the_contract(kind: type[OnObservables]) -> None:
    check_component(kind)
    jets = {"one": toy_jets(200), "two": toy_jets(200, prongs=2)}
    check_task(kind.model_validate({"signal": "two", "columns": ["eta"]}), jets)
