"""A finished task's model is used again in another analysis: the same predictions, or a clear refusal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hepimg.pipeline import _publish
from plugin_path import command, install_toys
from toy_analysis import write_toy_analysis


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run of trees."""
    folder = tmp_path_factory.mktemp("toys")
    path = install_toys(folder / "plugins")
    analysis = write_toy_analysis(folder)
    text = analysis.read_text()
    first, rest = text.split("  tag:\n")
    _, trees = rest.split("  trees:")
    trees, _ = trees.split("  stack:")
    analysis.write_text(f"{first}  trees:{trees}evaluate: [{{metric: roc, scores: [trees.score], signal: two}}]\n")
    done = command("run", analysis, "--out", folder / "results", path=path, cache=folder / "cache")
    assert done.returncode == 0, done.stderr
    return folder


def again(folder: Path, *assignments: str) -> tuple[int, str]:
    """Run with the saved trees and a cache of its own, which holds the same data only."""
    cache = folder / "-".join(["other", *assignments]).replace("/", "_")
    shutil.copytree(folder / "cache" / "data", cache / "data", dirs_exist_ok=True)
    saved = folder / "results" / "tasks" / "trees"
    sets = [word for text in (f"tasks.trees.saved={saved}", *assignments) for word in ("--set", text)]
    path = f"{folder / 'plugins'}:{Path(__file__).parent / 'toys'}"
    done = command("run", folder / "toys.yaml", *sets, "--out", cache / "results", path=path, cache=cache)
    if done.returncode == 0:
        assert not list((cache / "fit").glob("*/state.safetensors")), "nothing was trained"
        for name in ("state.safetensors", "model.json"):
            assert (cache / "results" / "tasks" / "trees" / name).read_bytes() == (saved / name).read_bytes()
        for name in ("value", "error"):
            assert auc(cache / "results")[name] == auc(folder / "results")[name]
    return done.returncode, done.stderr


def auc(results: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads((results / "metrics.json").read_text())["trees.auc"]
    return found


def test_a_saved_model_says_the_same_and_is_not_trained(finished: Path) -> None:
    code, errors = again(finished)
    assert code == 0, errors


def test_options_that_are_left_out_are_those_of_the_model(finished: Path) -> None:
    text, options = (finished / "toys.yaml").read_text(), "signal: two, observables: [mass, pt, tau1, tau2, n_active]"
    assert options in text
    short = finished / "short.yaml"
    short.write_text(text.replace(options, f"saved: {finished / 'results' / 'tasks' / 'trees'}"))
    path = f"{finished / 'plugins'}:{Path(__file__).parent / 'toys'}"
    done = command("run", short, "--out", finished / "short", path=path, cache=finished / "cache")
    assert done.returncode == 0, done.stderr
    assert auc(finished / "short") == auc(finished / "results")


def test_results_may_be_made_again_with_their_own_model(finished: Path) -> None:
    own = finished / "results" / "tasks" / "trees"
    before = {path.name: path.read_bytes() for path in own.iterdir()}
    _publish(own, {}, own)
    assert {path.name: path.read_bytes() for path in own.iterdir()} == before


def test_a_model_that_may_have_seen_the_test_rows_is_refused(finished: Path) -> None:
    code, errors = again(finished, "data.split=[0.5, 0.3, 0.2]")
    assert code == 2
    assert "has learned from rows of one, two that may be test rows here" in errors
    assert "Traceback" not in errors


def test_what_does_not_fit_is_told_before_anything_runs(finished: Path) -> None:
    path = f"{finished / 'plugins'}:{Path(__file__).parent / 'toys'}"

    def check(*assignments: str) -> str:
        sets = [word for text in assignments for word in ("--set", f"tasks.trees.{text}")]
        done = command("check", finished / "toys.yaml", *sets, path=path, cache=finished / "cache")
        assert done.returncode == 2
        return done.stderr

    errors = check("saved=nowhere", "seeds=2")
    assert "tasks.trees.saved: nowhere: no saved model" in errors
    assert "tasks.trees.seeds: a saved model is one model" in errors
    saved = finished / "results" / "tasks" / "trees"
    assert "task.options.observables" in check(f"saved={saved}", "observables=[mass]")
