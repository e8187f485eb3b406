"""The tasks ``neighbours`` and ``anomaly``, and the step ``measure``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from hepimg.errors import DataError
from hepimg.observables import compute
from hepimg.sample import Sample
from hepimg.testing import check_component, check_step, check_task, datasets, make_run, ports_of, toy_jets
from hepimg_autoencoder.anomaly import Anomaly
from hepimg_autoencoder.neighbours import Neighbours
from hepimg_preprocess.measure import Measure
from hepimg_preprocess.pixelate import Pixelate
from hepimg_preprocess.values import Normalise

PARTS = [{"of": "loss", "side": "both", "given": ["n"]}, {"of": "distance"}]


def table(rows: int, seed: int = 1, **columns: Any) -> Sample:
    """Jets with positive columns: a loss that grows with n, and a distance."""
    rng = np.random.default_rng(seed)
    n = rng.integers(20, 60, rows)
    found = {"n": n, "loss": n**2 * rng.lognormal(0, 0.1, rows), "distance": rng.exponential(size=rows)}
    return toy_jets(rows, seed=seed).with_columns(**{**found, **columns})


def scored(task: Anomaly, ordinary: Sample, folder: Path, *others: Sample) -> list[np.ndarray[Any, Any]]:
    train, valid, _ = datasets({"one": ordinary}, folder)
    run = make_run(folder / "run")
    state = task.fit(train, valid, run)
    return [np.asarray(task.predict(state, other, run)["score"]) for other in others]


def test_contracts() -> None:
    for kind in (Anomaly, Neighbours):
        check_component(kind)
    check_task(Anomaly.model_validate({"parts": PARTS}), {"one": table(100)})
    check_task(Neighbours(columns=("n", "loss"), neighbours=3), {"one": table(100)})


def test_shares_of_ordinary_rows_are_uniform(tmp_path: Path) -> None:
    for k, part in enumerate((PARTS[0], PARTS[1], {"of": "distance", "side": "low"})):
        (score,) = scored(Anomaly.model_validate({"parts": [part]}), table(5000), tmp_path / str(k), table(4000, 2))
        counts = np.histogram(np.exp(-score), 10, (0, 1))[0]
        assert counts.tolist() == pytest.approx([400] * 10, abs=100)


def test_a_simple_jet_is_not_ordinary_for_being_simple(tmp_path: Path) -> None:
    """A loss twice what is usual for so few particles is small, and unusual."""
    ordinary = table(2000)
    n = np.full(200, 22)
    simple, usual = table(200, 3, n=n, loss=2.0 * n**2), table(200, 4, n=n, loss=1.0 * n**2)
    for k, (part, seen) in enumerate((({"of": "loss"}, False), ({"of": "loss", "given": ["n"]}, True))):
        one, other = scored(Anomaly.model_validate({"parts": [part]}), ordinary, tmp_path / str(k), simple, usual)
        assert (one.min() > 5) == seen
        assert other.max() < 2


def test_parts_add_up_and_either_side_counts(tmp_path: Path) -> None:
    ordinary, some = table(1000), table(50, 2)
    tasks = [Anomaly.model_validate({"parts": parts}) for parts in (PARTS, PARTS[:1], PARTS[1:])]
    whole, *single = [scored(task, ordinary, tmp_path / str(k), some)[0] for k, task in enumerate(tasks)]
    np.testing.assert_allclose(whole, sum(single))
    both = Anomaly.model_validate({"parts": [{"of": "distance", "side": "both"}]})
    edges = table(2, 2, distance=np.array([1e-6, 1e3]))
    (score,) = scored(both, ordinary, tmp_path / "both", edges)
    assert score.min() > 4


def test_what_is_a_logarithm_already_may_be_negative(tmp_path: Path) -> None:
    ordinary = table(1000)
    logarithm = np.log(ordinary.column("distance")) - 5
    (one,) = scored(Anomaly.model_validate({"parts": [{"of": "distance"}]}), ordinary, tmp_path / "1", ordinary)
    plain = Anomaly.model_validate({"parts": [{"of": "nll", "log": False}]})
    with_nll = ordinary.with_columns(nll=logarithm)
    (other,) = scored(plain, with_nll, tmp_path / "2", with_nll)
    np.testing.assert_allclose(one, other)


def test_rows_count_as_their_weights_say(tmp_path: Path) -> None:
    ordinary = table(1000)
    chosen = np.arange(1000) < 500
    task, some = Anomaly.model_validate({"parts": PARTS}), table(50, 2)
    (one,) = scored(task, ordinary.with_columns(weight=chosen.astype(np.float32)), tmp_path / "1", some)
    (other,) = scored(task, ordinary[:500], tmp_path / "2", some)
    np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize("most_in_tree", [0, 10])
def test_distances_are_those_of_all_pairs(most_in_tree: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hepimg_autoencoder.neighbours.MOST_IN_TREE", most_in_tree)
    monkeypatch.setattr("hepimg_autoencoder.neighbours.AT_ONCE", 1000)
    task, ordinary, some = Neighbours(columns=("n", "distance"), neighbours=4), table(300), table(20, 2)
    train, valid, _ = datasets({"one": ordinary}, tmp_path)
    state = task.fit(train, valid, make_run(tmp_path / "run"))
    said = task.predict(state, some, make_run(tmp_path / "run"))["distance"]
    learned, asked = (np.stack([sample.column(name) for name in task.columns], 1) for sample in (ordinary, some))
    learned = learned[np.arange(300) % 5 < 3]
    scaled = [(x - learned.mean(0)) / learned.std(0) for x in (learned, asked)]
    pairs = np.linalg.norm(scaled[1][:, None] - scaled[0], axis=2)
    np.testing.assert_allclose(said, np.sort(pairs, axis=1)[:, :4].mean(axis=1))


def test_logarithms_and_several_numbers_of_a_column_are_columns_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    ordinary, some = (table(200, k, code=rng.normal(size=(200, 3))) for k in (1, 2))
    ordinary = ordinary.with_columns(distance=np.where(np.arange(200) == 3, 0, ordinary.column("distance")))
    task = Neighbours(columns=("code", "distance"), log=("distance",), neighbours=2)
    train, valid, _ = datasets({"one": ordinary}, tmp_path)
    said = task.predict(task.fit(train, valid, make_run(tmp_path / "run")), some, make_run(tmp_path / "run"))
    none = task.predict(task.fit(train, valid, make_run(tmp_path / "run")), some[:0], make_run(tmp_path / "run"))
    assert none["distance"].shape == (0,)
    learned = train.load(["distance"]).column("distance")
    least = learned[learned > 0].min()
    split = [
        sample.with_columns(**{f"c{k}": sample.column("code")[:, k] for k in range(3)}).with_columns(
            logarithm=np.log(np.maximum(sample.column("distance"), least))
        )
        for sample in (ordinary, some)
    ]
    plain = Neighbours(columns=("c0", "c1", "c2", "logarithm"), neighbours=2)
    train, valid, _ = datasets({"one": split[0]}, tmp_path / "plain")
    state = plain.fit(train, valid, make_run(tmp_path / "run"))
    np.testing.assert_allclose(
        said["distance"], plain.predict(state, split[1], make_run(tmp_path / "run"))["distance"], rtol=1e-9
    )
    with pytest.raises(ValidationError, match="log names n, not among the columns"):
        Neighbours(columns=("loss",), log=("n",))
    mixed = np.where(np.arange(100) % 2, -1.0, 1.0)
    for values, message in ((mixed, "loss has negative values"), (0 * mixed, "loss has no positive value")):
        bad, valid, _ = datasets({"one": table(100, loss=values)}, tmp_path / message)
        with pytest.raises(DataError, match=message):
            Neighbours(columns=("loss",), log=("loss",)).fit(bad, valid, make_run(tmp_path / "run"))


def test_what_cannot_be_learned_is_said(tmp_path: Path) -> None:
    train, valid, _ = datasets({"one": table(100, n=np.full(100, 5))}, tmp_path)
    run = make_run(tmp_path / "run")
    with pytest.raises(DataError, match="the columns n are the same for all jets"):
        Neighbours(columns=("n", "loss")).fit(train, valid, run)
    flat, _, _ = datasets({"one": table(100, n=np.full(100, 0.1))}, tmp_path / "flat")
    with pytest.raises(DataError, match="the columns n are the same for all jets"):
        Neighbours(columns=("n", "loss")).fit(flat, valid, run)
    clipped, _, _ = datasets({"one": table(100, n=np.where(np.arange(100) % 3, 5, 0))}, tmp_path / "clipped")
    with pytest.raises(DataError, match="the columns n are the same for all jets"):
        Neighbours(columns=("n", "loss"), log=("n",)).fit(clipped, valid, run)
    holes = table(20, loss=np.full(20, np.nan))
    for task in (Neighbours(columns=("n", "loss")), Anomaly.model_validate({"parts": PARTS})):
        known, validation, _ = datasets({"one": table(100)}, tmp_path / task.name)
        with pytest.raises(DataError, match="not finite"):
            task.predict(task.fit(known, validation, run), holes, run)
    with pytest.raises(DataError, match="60 training rows; needed: at least 70"):
        Neighbours(columns=("loss",), neighbours=70).fit(train, valid, run)
    with pytest.raises(DataError, match="no validation rows"):
        Anomaly.model_validate({"parts": PARTS}).fit(train, type(valid)((), valid.classes), run)
    weightless, without, _ = datasets({"one": table(100).with_columns(weight=np.zeros(100))}, tmp_path / "none")
    with pytest.raises(DataError, match="validation rows with negative weights, or with none"):
        Anomaly.model_validate({"parts": PARTS}).fit(weightless, without, run)
    with pytest.raises(DataError, match=r"y has negative values.*Set log: false"):
        Anomaly.model_validate({"parts": [{"of": "y"}]}).fit(train, valid, run)
    with pytest.raises(DataError, match="20 validation rows; needed: more"):
        Anomaly.model_validate({"parts": [{"of": "loss", "given": ["n", "distance"]}]}).fit(train, valid, run)
    with pytest.raises(ValidationError, match="a part stands twice"):
        Anomaly.model_validate({"parts": [PARTS[0]] * 2})


def test_measure() -> None:
    check_component(Measure)
    jets = toy_jets(30)
    grid = {"eta": [-4, 4], "phi": [-3, 3], "shape": [20, 20]}
    jets = Pixelate.model_validate({"grid": grid}).apply(jets, None)
    for step in (
        Measure(names=("n_active", "tau21[axes=wta_kt]")),
        Measure(names=("mass",), image="image", prefix="im_"),
    ):
        check_step(step, jets)
    measured = Measure(names=("mass",), image="image", prefix="im_").apply(jets, None)
    expected = compute(["mass"], jets.image("image").particles())["mass"]
    np.testing.assert_array_equal(measured.column("im_mass"), expected)
    assert measured.units["im_mass"] == "GeV"
    normalised = Normalise().apply(jets, None)
    with pytest.raises(ValueError, match="image is not in GeV: measure mass before its values change"):
        Measure(names=("mass",), image="image", prefix="im_").writes(ports_of(normalised))
    with pytest.raises(ValueError, match="mass: already there; give a prefix"):
        Measure(names=("mass",)).writes(ports_of(jets))
    with pytest.raises(ValidationError, match="not both"):
        Measure(names=("mass",), image="image", collection="constituents")
    with pytest.raises(ValidationError, match="stands twice"):
        Measure(names=("mass", "mass"))
