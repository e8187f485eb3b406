"""The pieces of ``hepimg bench``: turns, crossover, peers that compute the same, products with the right sizes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hepimg.bench import energyflow, kernels, train
from hepimg.bench.conv import Sites, measure_layer
from hepimg.bench.crossover import crossover, describe_crossovers
from hepimg.bench.dense_network import MaskedClassifier
from hepimg.bench.figures import draw_conv, draw_parts, draw_ratios
from hepimg.bench.jets import images_of, jets_of_file, made_up_jets, random_images, repeated
from hepimg.bench.kernels import Kernel, Peer, measure
from hepimg.bench.machine import threads_to_use
from hepimg.bench.memory import _in_own_process, stored_bytes
from hepimg.bench.peers import Layer, Spconv, dense_images
from hepimg.bench.timing import Timings, take_turns
from hepimg.errors import DataError
from hepimg.kernels.threads import get_threads
from hepimg.process import use_threads
from hepimg.sparse import SparseTensor
from hepimg.workers import usable_cores


@pytest.fixture(autouse=True)
def _own_threads():
    torch_threads, kernel_threads = torch.get_num_threads(), get_threads()
    use_threads(1)
    yield
    torch.set_num_threads(torch_threads)
    from hepimg.kernels.threads import set_threads

    set_threads(kernel_threads)


def layer_on(images, channels=8) -> Layer:
    return Layer.on(SparseTensor.from_images(images), channels)


def test_works_take_turns_after_a_warm_up_that_does_not_count() -> None:
    order = []
    times = take_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3)
    assert "".join(order) == "aabb" + 3 * ("a" * 5 + "b" * 5)
    assert len(times.seconds["a"]) == 3


def test_threads_are_set_for_each_turn() -> None:
    if usable_cores() < 2:
        pytest.skip("one core")
    seen = {"one": set(), "two": set()}
    works = {name: lambda name=name: seen[name].add((torch.get_num_threads(), get_threads())) for name in seen}
    take_turns(works, 1, {"one": 1, "two": 2})
    assert seen == {"one": {(1, 1)}, "two": {(2, 2)}}


def test_a_ratio_is_the_median_of_the_ratios_of_rounds() -> None:
    times = Timings({"slow": np.array([2.0, 40.0, 9.0]), "quick": np.array([1.0, 10.0, 3.0])})
    assert times.ratio("slow", "quick") == 3.0
    assert times.median("slow") == 9.0
    assert times.best("slow", "quick") == "quick"


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("occupancy", [0.001, 0.1, 1.0])
def test_images_have_the_occupancy_that_is_asked_for(clustered: bool, occupancy: float) -> None:
    sites = Sites("random", random_images(3, 20, occupancy, clustered=clustered))
    assert sites.occupancy == max(1, round(400 * occupancy)) / 400
    assert sites.grid == 20


def test_clustered_cells_lie_closer_together() -> None:
    def neighbours(clustered: bool) -> int:
        return layer_on(random_images(8, 30, 0.05, clustered=clustered), 1).pairs()

    assert neighbours(True) > 1.5 * neighbours(False)


def test_jets_are_repeated_where_there_are_too_few() -> None:
    jets = repeated(made_up_jets(3), 7)
    assert len(jets) == 7
    np.testing.assert_array_equal(jets.counts, np.tile(made_up_jets(3).counts, 3)[:7])
    assert images_of(jets, 40).counts.min() > 5


def test_a_file_that_is_no_shard_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.arrow").write_bytes(b"no arrow")
    with pytest.raises(DataError, match="truncated or foreign"):
        jets_of_file(tmp_path / "x.arrow", 1)


def test_spconv_computes_the_same_step() -> None:
    pytest.importorskip("spconv.pytorch")
    layer = layer_on(random_images(4, 12, 0.2, clustered=False))
    spconv = Spconv(layer)
    assert spconv.error(layer.step()) < 1e-5
    output, features, weight = layer.step()
    assert spconv.error((output, features, weight * 1.1)) > 0.05


def test_a_row_without_peers_holds_none() -> None:
    row = measure_layer(Sites("random", random_images(2, 10, 0.1, clustered=False)), 4, 1, 1, [])
    assert row["native_ms"] > 0
    assert all(row[name] is None for name in ("dense_ms", "spconv_ms", "gemm_ms", "ratio_dense", "gemm_fraction"))


def test_dense_times_are_scaled_to_the_batch() -> None:
    assert [dense_images(128, size) for size in (20, 40, 80, 160, 1000)] == [128, 64, 16, 4, 1]


def test_the_crossover_is_interpolated_in_logarithms() -> None:
    rows = [{"occupancy": 0.01, "ratio_dense": 10.0}, {"occupancy": 1.0, "ratio_dense": 0.1}]
    assert crossover(rows) == pytest.approx(0.1)
    assert crossover(rows[:1]) is None
    common = {"grid": 40, "channels": 8, "batch": 4, "threads": 1}
    assert describe_crossovers([common | row for row in rows]) == [
        "40x40, 8 channels, 1 thread(s): sparse and dense cost the same at 10% active cells"
    ]
    (line,) = describe_crossovers([common | rows[0], common | {"occupancy": 0.5, "ratio_dense": 2.0}])
    assert line.endswith("sparse is faster at every occupancy up to 50%")


def test_stored_bytes_are_those_of_the_arrays() -> None:
    images = random_images(4, 20, 0.1, clustered=False)
    assert stored_bytes(images) == {"bytes_per_jet": 8 + 40 * 8, "dense_bytes_per_jet": 1600}


def test_the_peak_of_memory_is_above_what_a_dense_step_must_hold() -> None:
    peak = _in_own_process("dense", random_images(16, 160, 0.01, clustered=False), 8)
    if peak is None:
        pytest.skip("the system does not tell")
    assert peak > 2 * 16 * 160 * 160 * 8 * 4 / 1e6


def test_products_of_the_network_have_the_sizes_of_its_layers() -> None:
    training = train.Training(images_of(made_up_jets(8), 40))
    calls = training.calls()
    sizes = train.products(calls)
    n = len(training.support)
    assert sizes[0] == (n, 9, 32, 2)  # the first layer needs no gradient of the images
    assert sizes[1] == (n, 32, 32, 3)
    assert (8, 128, 128, 3) in sizes
    convolutions = [call for call in calls if train.part_of(call.layer) == "convolutions"]
    assert len(convolutions) == 8
    assert len(sizes) == 8 + 5
    pairs = layer_on(images_of(made_up_jets(8), 40), 1).pairs()
    assert sizes[2:4] == [(pairs, 32, 32, 3)] * 2
    for part in train.PARTS[1:5]:
        train.replay([call for call in calls if train.part_of(call.layer) == part])()
    train.make_rules(calls)()


def test_the_dense_network_has_the_weights_of_the_sparse_one() -> None:
    sparse = train.Training(random_images(2, 8, 0.2, clustered=False)).network
    dense = MaskedClassifier(train.FEATURES)
    count = [sum(p.numel() for p in network.parameters()) for network in (sparse, dense)]
    assert count[0] == count[1]
    mask = torch.zeros(2, 1, 12, 8)
    mask[:, :, 3:5, 4:9] = 1
    assert dense(torch.randn(2, train.FEATURES, 12, 8) * mask, mask).shape == (2, 1)


def test_every_kernel_has_a_row_for_each_peer_and_deviations_are_small() -> None:
    jets = made_up_jets(4)
    rows = measure(kernels.n_subjettiness(jets, "kt"), [1], 1) + measure(kernels.two_point(jets, 1.0, None), [1], 1)
    assert [row["peer_name"] for row in rows] == ["FastJet njettiness", "EnergyFlow"]
    assert rows[0]["deviation"] < 1e-9
    assert rows[0]["ratio"] > 0
    assert rows[1]["peer"] is None
    assert rows[1]["ratio"] is None
    assert rows[1]["ours"] > 0


def test_a_deviation_is_seen() -> None:
    wrong = Peer("wrong", lambda: None, lambda: np.array([1.0, 2.5]))
    (row,) = measure(Kernel("k", 2, lambda: np.array([1.0, 2.0]), [wrong]), [1], 1)
    assert row["deviation"] == 0.5


SERVER = """
import json, sys
import numpy as np
counts = np.diff(np.load(sys.argv[1])["offsets"]).tolist()
print(json.dumps({"energyflow": "0", "numpy": "1"}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps(counts if asked["values"] else None), flush=True)
"""


def test_energyflow_answers_from_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = tmp_path / "serve.py"
    server.write_text(SERVER)
    monkeypatch.setattr(energyflow, "SERVER", server)
    jets = made_up_jets(3)
    with energyflow.start_energyflow(Path(sys.executable), jets) as running:
        running.work("pixelate", 40)()
        np.testing.assert_array_equal(running.values("two_point", 1.0), jets.counts)
    server.write_text("raise ImportError('no module named energyflow')")
    with (
        pytest.raises(DataError, match="no module named energyflow"),
        energyflow.start_energyflow(Path(sys.executable), jets),
    ):
        pass
    with pytest.raises(DataError, match="does not start"), energyflow.start_energyflow(tmp_path / "python", jets):
        pass


def test_the_server_is_where_a_checkout_has_it() -> None:
    assert energyflow.SERVER.exists()
    compile(energyflow.SERVER.read_text(), "serve.py", "exec")


def test_threads_are_those_that_there_are() -> None:
    assert threads_to_use([1]) == [1]
    assert threads_to_use(None)[0] == 1
    for wrong in ([0], [usable_cores() + 1], []):
        with pytest.raises(DataError, match="the cores that this process may use"):
            threads_to_use(wrong)


def test_figures_are_drawn_and_hold_the_curves(tmp_path: Path) -> None:
    rows = []
    for grid, occupancy, ratio in ((20, 0.1, 5.0), (40, 0.03, 30.0), (40, 0.9, 0.5)):
        row = {"grid": grid, "occupancy": occupancy, "channels": 32, "batch": 8, "threads": 1, "ratio_dense": ratio}
        rows.append(
            row | {"native_ms": 1.0, "dense_ms": ratio, "spconv_ms": None, "gemm_ms": 0.5, "spconv_right": None}
        )
    draw_conv(rows[:2], tmp_path / "sizes.png")
    draw_conv(rows, tmp_path / "crossover.svg")
    draw_ratios({"a": 5.0, "b": 0.7}, tmp_path / "ratios.png")
    draw_parts({"step": {"rules": 1.0, "rest": 2.0}, "limit": {"products": 1.5}}, "ms", tmp_path / "parts.pdf")
    assert all(file.stat().st_size > 5000 for file in tmp_path.iterdir())
    assert len([*tmp_path.iterdir()]) == 4
    json.dumps(rows)
