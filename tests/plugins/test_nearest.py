"""The task ``nearest``: against a loop over all pairs; copies are seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepimg.components import Grid, Image
from hepimg.errors import DataError
from hepimg.images import SparseImages
from hepimg.testing import check_component, check_task, datasets, make_run, merge, toy_jets
from hepimg_generation.nearest import Nearest, nearest
from jet_samples import few

pytestmark = pytest.mark.usefixtures("one_thread")

GRID = Grid.square(1.0, 8)
TASK = Nearest(generated="grown", pool=2)


def images(rows: int, seed: int) -> SparseImages:
    """The last is blank."""
    random = np.random.default_rng(seed)
    dense = random.exponential(5, (rows, 8, 8)) * (random.uniform(size=(rows, 8, 8)) < 0.1)
    dense[-1:] = 0
    return SparseImages.from_dense(dense, GRID)


def jets(rows: int, seed: int) -> Any:
    return toy_jets(rows, seed=seed).with_images(image=images(rows, seed), grown=images(rows, seed + 100))


def slow(asked: SparseImages, known: SparseImages) -> list[float]:
    unit = [
        [one.ravel() / (np.linalg.norm(one) or 1) for one in some.dense().astype(np.float64)] for some in (asked, known)
    ]
    return [min(np.linalg.norm(a - b) for b in unit[1]) for a in unit[0]]


@few
@given(st.integers(0, 6), st.integers(1, 6), st.integers(0, 100))
def test_nearest_is_the_least_of_all_pairs(n: int, m: int, seed: int) -> None:
    asked, known = images(n, seed), images(m, seed + 1)
    np.testing.assert_allclose(nearest(asked, known), slow(asked, known), atol=1e-3)
    np.testing.assert_allclose(nearest(known, known), 0, atol=1e-7)


def test_many_are_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, known = images(50, 1), images(70, 2)
    whole = nearest(asked, known)
    monkeypatch.setattr("hepimg_generation.nearest.QUERIES", 7)
    monkeypatch.setattr("hepimg_generation.nearest.KNOWN", 9)
    np.testing.assert_allclose(nearest(asked, known), whole)
    np.testing.assert_allclose(whole, slow(asked, known), atol=1e-5)


def test_contract() -> None:
    check_component(Nearest)
    check_task(TASK, {"one": jets(40, 1), "two": jets(40, 2)})


def test_copies_are_seen_within_their_class(tmp_path: Path) -> None:
    samples = {"one": jets(40, 1), "two": jets(40, 2)}
    train, valid, _ = datasets(samples, tmp_path)
    state = TASK.fit(replace(train, names=("image",)), valid, make_run(tmp_path / "run"))
    rows = train.load()
    copied = rows.with_images(grown=rows.image("image"))
    said = TASK.predict(state, copied, make_run(tmp_path / "run"))
    for name in ("distance", "distance_true"):
        np.testing.assert_allclose(np.asarray(said[name]), 0, atol=1e-6)
    other = replace(copied, columns={**copied.columns, "sample": 1 - copied.column("sample")})
    assert np.mean(np.asarray(TASK.predict(state, other, make_run(tmp_path / "run"))["distance"]) > 0.1) > 0.9
    with pytest.raises(DataError, match="rows of a class that was not learned"):
        TASK.predict(state, merge({"three": samples["one"]}), make_run(tmp_path / "run"))


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    ports = {"image": Image("image", GRID), "grown": Image("grown", Grid.square(1.0, 16))}
    with pytest.raises(ValueError, match="image and grown are on different grids"):
        TASK.writes(ports)
    assert [port.name for port in TASK.learns_from()] == ["image"]
    train, valid, _ = datasets({"one": jets(20, 1)}, tmp_path)
    with pytest.raises(DataError, match="no rows to learn from"):
        TASK.fit(replace(train, parts=()), valid, make_run(tmp_path / "run"))


def test_what_is_only_judged_is_not_generated_for_training_rows(tmp_path: Path) -> None:
    """``nearest`` learns from true images: the generated ones of its training rows are never asked for."""
    from hepimg.config import load_analysis
    from hepimg.learn import Learner

    path = Path(__file__).parents[2] / "analyses" / "generate_jets.yaml"
    analysis = load_analysis(path, assignments=["tasks.tag_grown.train_rows=null"])
    learner = Learner(analysis, {}, None, None)  # type: ignore[arg-type]  (nothing is made or read)
    assert learner._read_of(analysis.tasks["lagan"], "qcd") == {"test": None}
    assert learner._read_of(analysis.tasks["grow"], "qcd") == {"train": None, "valid": None, "test": None}
