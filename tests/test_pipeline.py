"""The whole way of an analysis on toy jets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from plugin_path import command, install_toys
from toy_analysis import write_toy_analysis


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run: toys.yaml, cache, results."""
    folder = tmp_path_factory.mktemp("toys")
    path = install_toys(folder / "plugins")
    analysis = write_toy_analysis(folder)
    done = command("run", analysis, "--out", folder / "results", path=path, cache=folder / "cache")
    assert done.returncode == 0, done.stderr
    return folder


def again(folder: Path, *arguments: str | Path, cache: str = "cache") -> tuple[int, str, str]:
    path = f"{folder / 'plugins'}:{Path(__file__).parent / 'toys'}"
    done = command(*arguments, path=path, cache=folder / cache)
    return done.returncode, done.stdout, done.stderr


def test_everything_is_left_behind(finished: Path) -> None:
    results = finished / "results"
    for name in ("report.html", "metrics.json", "analysis.json", "provenance.json", "timing.json", "log.txt"):
        assert (results / name).exists(), name
    for task in ("tag", "trees", "stack"):
        assert (results / "tasks" / task / "state.safetensors").exists()
        assert json.loads((results / "tasks" / task / "model.json").read_text())["classes"] == ["one", "two"]
    metrics = json.loads((results / "metrics.json").read_text())
    assert metrics["stack.auc"]["n"] == metrics["tag.auc"]["n"]
    assert 0.5 < metrics["trees.auc"]["value"] <= 1.0
    assert not any("second" in name for name in metrics)


def test_a_finished_run_is_reused(finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (finished / "cache").rglob("*.arrow")}
    code, _, errors = again(finished, "run", finished / "toys.yaml", "--out", finished / "again")
    assert code == 0, errors
    assert {path: path.stat().st_mtime_ns for path in (finished / "cache").rglob("*.arrow")} == before
    assert "data one" not in errors
    assert (finished / "again" / "metrics.json").read_bytes() == (finished / "results" / "metrics.json").read_bytes()


def test_a_label_tells_two_metrics_of_one_prediction_apart(finished: Path) -> None:
    path, metric = finished / "labels.yaml", "  - {metric: roc, scores: [trees.score, stack.score], signal: two}\n"
    path.write_text((finished / "toys.yaml").read_text() + metric.replace("}", ", label: again}"))
    code, _, errors = again(finished, "run", path, "--out", finished / "labels")
    assert code == 0, errors
    metrics = json.loads((finished / "labels" / "metrics.json").read_text())
    assert metrics["trees.auc:again"] == metrics["trees.auc"]
    assert metrics["trees.rejection:again@0.5"] == metrics["trees.rejection@0.5"]
    assert {"trees.auc_minus_stack", "trees.auc_minus_stack:again"} <= metrics.keys()
    listed = json.loads((finished / "labels" / "figures" / "figures.json").read_text())
    assert {entry["section"] for entry in listed if entry["name"].endswith("-again")} == {"roc: again"}
    assert "<th scope='col'>again: AUC</th>" in (finished / "labels" / "report.html").read_text()
    path.write_text((finished / "toys.yaml").read_text() + metric)
    code, _, errors = again(finished, "run", path, "--out", finished / "labels")
    assert code == 2
    assert "a second metric gives the number" in errors
    assert "Give one of them a label" in errors


def test_any_number_of_workers_makes_the_same_data(finished: Path) -> None:
    sums = []
    for jobs in ("1", "2"):
        code, output, errors = again(finished, "data", finished / "toys.yaml", "--jobs", jobs, cache=f"jobs{jobs}")
        assert code == 0, errors
        sums.append([line for line in output.splitlines() if "checksum" in line])
    assert sums[0] == sums[1]
    assert len(sums[0]) == 2


def test_more_rows_go_on_where_fewer_ended(finished: Path) -> None:
    code, _, errors = again(finished, "data", finished / "toys.yaml", "--set", "data.rows=250", cache="growing")
    assert code == 0, errors
    first = {path: path.read_bytes() for path in (finished / "growing").rglob("*.arrow")}
    code, output, errors = again(finished, "data", finished / "toys.yaml", cache="growing")
    assert code == 0, errors
    assert all(path.read_bytes() == content for path, content in first.items())
    assert "one: 600 rows, 3 shards" in output
    _, whole, _ = again(finished, "data", finished / "toys.yaml")
    assert [line for line in output.splitlines() if "checksum" in line] == [
        line for line in whole.splitlines() if "checksum" in line
    ]


def test_results_are_opened_from_a_notebook(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hepimg

    monkeypatch.setenv("HEPIMG_CACHE", str(finished / "cache"))
    results = hepimg.load(finished / "results")
    assert "tag.auc" in results.metrics
    rows = results.sample("two").load()
    scores = rows.column("stack.score")
    assert set(results.sample("two", preprocess=True).load().images) == {*rows.images, "image"}
    other = results.sample("one").load()
    signal, background = scores, other.column("stack.score")
    auc = (signal[:, None] > background).mean() + 0.5 * (signal[:, None] == background).mean()
    np.testing.assert_allclose(auc, results.metrics["stack.auc"].value, atol=1e-12)
    state, description = results.model("tag")
    assert state
    assert description["task"]["name"] == "tagging"
    assert "roc-two" in results.figures
    assert results.histogram("roc-two")
    with pytest.raises(hepimg.DataError, match="did you mean 'two'"):
        results.sample("tow")


def test_show_and_observables_read_a_shard(finished: Path, tmp_path: Path) -> None:
    shard = next((finished / "cache" / "data").rglob("*.arrow"))
    code, output, _ = again(finished, "show", shard)
    assert code == 0
    assert "constituents" in output
    assert "[GeV]" in output
    table = tmp_path / "t.parquet"
    code, output, errors = again(
        finished, "observables", shard, "--names", "mass,tau21[axes=kt,beta=2],c2", "--out", table
    )
    assert code == 0, errors
    import pyarrow.parquet as pq

    read = pq.read_table(table)
    assert read.column_names == ["event", "weight", "mass", "tau21[axes=kt,beta=2]", "c2"]
    assert read.schema.field("mass").metadata == {b"unit": b"GeV"}
    assert np.isfinite(read["c2"].to_numpy()).all()
    code, _, errors = again(finished, "observables", shard, "--names", "mas", "--out", table)
    assert code == 2
    assert "mass" in errors


def test_a_dask_cluster_makes_the_same_data(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hepimg.config
    from hepimg.generate import make_data
    from hepimg.progress import Bars
    from hepimg.provenance import describe_sample
    from hepimg.registry import Registry
    from hepimg.store import Cache

    distributed = pytest.importorskip("distributed")
    from plugin_path import TOYS, points_in

    monkeypatch.syspath_prepend(str(TOYS))
    from importlib.metadata import entry_points

    registry = Registry([*entry_points(group="hepimg"), *points_in(finished / "plugins")])
    analysis = hepimg.config.load_analysis(finished / "toys.yaml", registry=registry)
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        stored = make_data(analysis, Cache(finished / "dask"), Bars(), 1, cluster.scheduler_address)
    whole = make_data(analysis, Cache(finished / "cache"), Bars(), 1)
    assert [describe_sample(s)["checksum"] for s in stored.values()] == [
        describe_sample(s)["checksum"] for s in whole.values()
    ]


SCRIPT = """
import sys
import hepimg
hepimg.run(sys.argv[1], out=sys.argv[2], jobs=2)
"""


def test_a_script_without_a_guard_is_told_so_and_does_not_hang(finished: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    path = f"{finished / 'plugins'}:{Path(__file__).parent / 'toys'}"
    environment = os.environ | {"PYTHONPATH": path, "HEPIMG_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, str(script), str(finished / "toys.yaml"), str(tmp_path / "results")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 1
    assert "without if __name__ == '__main__'" in done.stderr.splitlines()[-1]


def test_a_folder_of_shards_is_shown_whole(finished: Path) -> None:
    folder = next((finished / "cache" / "data").rglob("*.arrow")).parent
    code, output, _ = again(finished, "show", folder)
    assert code == 0
    assert output.startswith("600 rows")
    code, _, errors = again(finished, "show", finished / "plugins")
    assert code == 2
    assert "no results are here" in errors


def test_only_rows_that_are_learned_from_are_predicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hepimg

    tasks = """\
tasks:
  trees: {task: fisher, signal: two, observables: [mass, pt]}
  stack: {task: fisher, signal: two, columns: [trees.score], train_rows: 100}
  last: {task: fisher, signal: two, columns: [stack.score], train_rows: 400}
evaluate:
  - {metric: roc, scores: [last.score], signal: two}
"""
    install_toys(tmp_path / "plugins")
    path = write_toy_analysis(tmp_path)
    path.write_text(path.read_text().partition("tasks:")[0] + tasks)
    code, _, errors = again(tmp_path, "run", path, "--out", tmp_path / "out", "--set", "data.rows=750")
    assert code == 0, errors
    manifests = [json.loads(manifest.read_text()) for manifest in (tmp_path / "cache" / "fit").glob("*/manifest.json")]
    learned = {manifest["task"]: manifest["rows"]["train"] for manifest in manifests}
    assert learned["stack"] == 100
    assert learned["last"] == 400
    assert 800 < learned["trees"] < 1000
    for manifest in (tmp_path / "cache" / "predict").glob("*/manifest.json"):
        folder, task = manifest.parent, json.loads(manifest.read_text())["task"]
        # A shard of 250 rows has about 150 to learn from: two hold the 200 of each sample that the last task reads.
        assert len(list(folder.glob("train-*"))) == {"trees": 2, "stack": 2, "last": 0}[task]
        assert len(list(folder.glob("test-*"))) == 3
    monkeypatch.setenv("HEPIMG_CACHE", str(tmp_path / "cache"))
    results = hepimg.load(tmp_path / "out")
    train, test = results.sample("one", "train").load(), results.sample("one").load()
    assert 400 < len(train) < 500
    assert set(test.columns) - set(train.columns) == {"trees.score", "stack.score", "last.score"}
