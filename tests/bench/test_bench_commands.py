"""``hepimg bench`` on the command line: files, keys, and one message where something is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from hepimg.bench.jets import made_up_jets
from hepimg.cli import app
from hepimg.config import load_analysis
from hepimg.errors import HepimgError
from hepimg.kernels.threads import get_threads, set_threads
from hepimg.orders import StoredSample
from hepimg.sample import Ragged, Sample
from hepimg.shards import write_shard
from hepimg.workers import usable_cores

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*getdefaultlocale:DeprecationWarning"
)  # spconv's, where it is imported

CONV = {
    "grid", "channels", "batch", "occupancy", "threads", "native_ms", "dense_ms", "spconv_ms", "gemm_ms", "ratio_dense",
    "ratio_spconv", "gemm_fraction",
}  # fmt: skip
KERNELS = {"kernel", "ours", "peer", "peer_name", "ratio"}


@pytest.fixture(autouse=True)
def _own_threads():
    before = torch.get_num_threads(), get_threads()
    yield
    torch.set_num_threads(before[0])
    set_threads(before[1])


def bench(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["bench", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def rows_of(file: Path) -> list[dict[str, object]]:
    rows = json.loads(file.read_text())
    assert all("cores of" in row["machine"] for row in rows)
    return rows


def test_conv_writes_a_row_for_each_configuration(tmp_path: Path) -> None:
    file, figure = tmp_path / "new" / "conv.json", tmp_path / "conv.png"
    said = bench(
        "conv", "--json", str(file), "--figure", str(figure), "--synthetic", "--grids", "8,12", "--channels", "4,8",
        "--batch", "4", "--threads", "1", "--rounds", "1",
    )  # fmt: skip
    rows = rows_of(file)
    assert [(row["channels"], row["grid"]) for row in rows] == [(4, 8), (4, 12), (8, 8), (8, 12)]
    for row in rows:
        assert set(row) >= CONV
        assert row["gemm_ms"] < row["native_ms"] * 5
        assert row["ratio_dense"] > 0
    assert figure.stat().st_size > 5000
    assert "of GEMM" in said


def test_conv_finds_the_crossover(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    said = bench(
        "conv", "--crossover", "--json", str(file), "--grids", "10", "--channels", "4", "--batch", "2",
        "--threads", "1", "--rounds", "1", "--peers", "dense",
    )  # fmt: skip
    rows = rows_of(file)
    assert rows[0]["occupancy"] == 0.01
    assert rows[-1]["occupancy"] == 1.0
    assert rows[0]["spconv_ms"] is None
    assert "10x10, 4 channels, 1 thread(s):" in said


def test_kernels_names_every_peer(tmp_path: Path) -> None:
    file, figure = tmp_path / "kernels.json", tmp_path / "kernels.png"
    bench(
        "kernels", "--json", str(file), "--figure", str(figure), "--synthetic", "--number", "4", "--threads", "1",
        "--rounds", "1",
    )  # fmt: skip
    rows = rows_of(file)
    assert all(set(row) >= KERNELS for row in rows)
    assert {row["peer_name"] for row in rows} >= {"numpy.histogram2d", "EnergyFlow", "FastJet njettiness"}
    assert all(row["ours"] > 0 for row in rows)
    assert all(row["deviation"] < 1e-6 for row in rows if row["deviation"] is not None)
    assert figure.stat().st_size > 5000


def test_train_tells_the_limit_and_the_parts(tmp_path: Path) -> None:
    file, figure = tmp_path / "train.json", tmp_path / "train.png"
    bench(
        "train", "--json", str(file), "--figure", str(figure), "--synthetic", "--batch", "4", "--threads", "1",
        "--rounds", "1",
    )  # fmt: skip
    (row,) = rows_of(file)
    assert row["gemm_ms"] < row["native_ms"]
    assert row["ratio_gemm"] > 1
    assert row["convolutions_ms"] > 0
    assert figure.stat().st_size > 5000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["conv", "--peers", "dence"], "did you mean 'dense'"),
        (["conv", "--threads", str(usable_cores() + 1)], "the cores that this process may use"),
        (["train", "--threads", "0"], "the cores that this process may use"),
        (["kernels", "--threads", "two"], "'two' is not a list of whole numbers"),
        (["conv", "--grids", "0"], "at least 1"),
        (["conv", "--occupancies", "1.5"], "above 0 and at most 1"),
        (["conv", "--occupancies", "few"], "not a list of numbers"),
        (["conv", "--figure", "conv.txt"], "no figure is written as .txt"),
        (["data", "--json", "{folder}"], "cannot write"),
        (["kernels", "--json", "{folder}/file/x.json"], "cannot write"),
        (["conv", "--jets", "{folder}/none.arrow"], "no such file"),
        (["kernels", "--synthetic", "--energyflow-python", "{folder}/python"], "does not start"),
        (["conv", "--rounds", "0"], "greater than or equal to 1"),
    ],
)
def test_a_mistake_is_one_message_before_anything_runs(arguments: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(app, ["bench", *(argument.format(folder=tmp_path) for argument in arguments)])
    if isinstance(done.exception, HepimgError):
        assert done.exception.exit_code == 2
        assert message in str(done.exception)
    else:
        assert done.exit_code == 2
        assert message in " ".join(done.output.replace("│", " ").split())


ANALYSIS = """
title: a few jets
seed: 1
data:
  source: pythia
  steps: [{step: cluster, algorithm: antikt, radius: 0.8, pt: [550, 650], abs_eta: 2.0}]
  rows: 1
samples:
  qcd: {process: dijet, pt_hat: [530, 700]}
preprocess:
  - center
  - {step: rotate, angle: random}
  - {step: pixelate, grid: {eta: [-0.8, 0.8], phi: [-0.8, 0.8], shape: [40, 40]}}
"""


def test_data_follows_jets_from_pythia_to_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    analysis, file, figure = tmp_path / "jets.yaml", tmp_path / "data.json", tmp_path / "data.png"
    analysis.write_text(ANALYSIS)
    shard = tmp_path / "00000.arrow"
    jets = made_up_jets(20)
    fields = {"pt": jets.pt, "y": jets.y, "phi": jets.phi, "mass": jets.mass}
    columns = {"event": np.arange(20), "weight": np.ones(20)}
    write_shard(shard, Sample(columns, {"constituents": Ragged(jets.offsets, fields)}))
    stored = {"qcd": StoredSample("qcd", "", ((shard, 20),), ())}
    monkeypatch.setattr("hepimg.bench.jets.stored_jets", lambda progress: (load_analysis(analysis), stored))
    bench("data", "--json", str(file), "--figure", str(figure), "--events", "1", "--threads", "1", "--rounds", "1")
    generation, *rest = rows_of(file)
    assert generation["work"] == "generation, qcd"
    assert 0.5 < generation["pythia_share"] < 1
    assert generation["pythia_share"] + generation["steps_share"] < 1
    works = [row["work"] for row in rest]
    assert works == [
        "read shards", "preprocess: center", "preprocess: rotate", "preprocess: pixelate", "collate", "epoch"
    ]  # fmt: skip
    assert all(row["jets_per_s"] > 0 for row in rest)
    assert figure.stat().st_size > 5000
