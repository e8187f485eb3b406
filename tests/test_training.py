"""Training: the same bytes twice, after kills too; the best epoch is kept; a checkpoint cannot run code."""

from __future__ import annotations

import csv
import logging
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from bars import Steps
from hepimg.components import Run
from hepimg.dataset import Dataset, Part
from hepimg.errors import DataError
from hepimg.sample import Sample
from hepimg.shards import write_shard
from hepimg.training import FitOptions
from hepimg.training.checkpoint import SafeCheckpoints
from hepimg.training.loop import fit
from hepimg.training.optimizer import MovingAverage, adamw
from hepimg.training.resumable import CHECKPOINT, LOG
from hepimg.training.state import array_of_text, load_state, state_of, text_of_array

pytestmark = pytest.mark.usefixtures("one_thread")

OPTIONS = FitOptions(epochs=6, batch_size=32, learning_rate=1e-2)
KILLS = 8


def make_run(folder: Path, seed: int = 1, progress: Steps | None = None) -> Run:
    return Run(seed, 1, "cpu", folder, logging.getLogger("test"), progress or Steps())


def make_dataset(folder: Path, rows: int = 500, seed: int = 0, noise: float = 0.3) -> Dataset:
    """Points in the plane, of two shards; the target is a curved line with noise."""
    parts = []
    for number in range(2):
        rng = np.random.default_rng([seed, number])
        x = rng.normal(size=(rows, 2)).astype(np.float32)
        y = (x[:, 0] + x[:, 1] ** 2 + noise * rng.normal(size=rows)).astype(np.float32)
        columns = {"event": np.arange(rows), "weight": np.ones(rows), "x": x, "y": y}
        path = folder / f"data-{seed}-{number}.arrow"
        if not path.exists():
            write_shard(path, Sample(columns))
        parts.append(Part(number, path, 0, np.arange(rows)))
    return Dataset(tuple(parts), ("a", "b"))


def build(width: int = 16) -> nn.Module:
    layers = [nn.Linear(2, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, 1)]
    return nn.Sequential(*layers)


def prepare(sample: Sample) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(sample.column("x").copy()), torch.from_numpy(sample.column("y").copy())


def loss(module: nn.Module, inputs: tuple[Tensor, Tensor]) -> Tensor:
    x, y = inputs
    return functional.mse_loss(module(x).squeeze(1), y)


def train(data: Path, folder: Path, options: FitOptions = OPTIONS, **run: Any) -> nn.Module:
    datasets = make_dataset(data), make_dataset(data, rows=100, seed=1)
    return fit(build, loss, *datasets, options, make_run(folder, **run), prepare)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def log_of(folder: Path) -> list[dict[str, str]]:
    with (folder / LOG).open() as file:
        return list(csv.DictReader(file))


def same_state(a: nn.Module, b: nn.Module) -> bool:
    first, second = state_of(a), state_of(b)
    return list(first) == list(second) and all(np.array_equal(first[name], second[name]) for name in first)


def test_training_gives_the_same_bytes_twice_and_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURM_NTASKS", "4")  # a batch system is none of its business
    monkeypatch.setenv("SLURM_JOB_NAME", "job")
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = train(tmp_path, tmp_path / "a")
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(99)
    second = train(tmp_path, tmp_path / "b")
    assert same_state(first, second)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert not first.training
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.glob("lightning*"))
    assert sorted(contents(tmp_path / "a")) == [CHECKPOINT, LOG]
    assert not same_state(first, train(tmp_path, tmp_path / "c", seed=2))
    losses = [float(row["valid_loss"]) for row in log_of(tmp_path / "a")]
    assert len(losses) == OPTIONS.epochs
    assert losses[-1] < 0.6 * losses[0]
    with torch.no_grad():
        x, y = prepare(make_dataset(tmp_path, rows=100, seed=1).load())
        assert loss(first, (x, y)).item() == pytest.approx(losses[-1], rel=1e-5)


def test_an_interrupted_training_goes_on_from_its_last_epoch(tmp_path: Path) -> None:
    whole = train(tmp_path, tmp_path / "whole")
    steps = 1000 // OPTIONS.batch_size
    for stop_at in (1, steps + 3, 5 * steps):  # before, inside and at the end of an epoch
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, tmp_path / "torn", progress=Steps(stop_at))
    (tmp_path / "torn" / f".{CHECKPOINT}.1.tmp").write_bytes(b"half a checkpoint")  # killed while it wrote
    bar = Steps()
    resumed = train(tmp_path, tmp_path / "torn", progress=bar)
    assert bar.done == bar.total == OPTIONS.epochs * steps
    assert same_state(whole, resumed)
    assert contents(tmp_path / "whole") == contents(tmp_path / "torn")
    assert same_state(whole, train(tmp_path, tmp_path / "torn", progress=Steps(stop_at=0)))  # nothing is left to do


def train_and_be_killed(data: str, folder: str) -> None:
    """Start training again and again in child processes that die at random moments, then let one finish."""
    torch.set_num_threads(1)
    train(Path(data), Path(folder).with_name("warm"))
    started = time.monotonic()
    train(Path(data), Path(folder).with_name("timed"))
    whole, moments = time.monotonic() - started, random.Random(3)
    for kill in range(KILLS + 1):
        child = os.fork()
        if child == 0:
            train(Path(data), Path(folder), OPTIONS)
            os._exit(0)
        if kill < KILLS:
            time.sleep(moments.uniform(0.1, 0.7) * whole)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            epochs = len(log_of(Path(folder))) if (Path(folder) / LOG).exists() else 0
            print(epochs, flush=True)  # noqa: T201
        elif os.waitpid(child, 0)[1]:
            sys.exit("the last child failed")


def test_a_training_killed_at_random_moments_ends_with_the_same_bytes(tmp_path: Path) -> None:
    train(tmp_path, tmp_path / "whole")
    call = f"import test_training as t; t.train_and_be_killed({str(tmp_path)!r}, {str(tmp_path / 'torn')!r})"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", call], cwd=here, env=environment, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    epochs = list(map(int, done.stdout.split()))
    assert len(epochs) == KILLS
    assert any(0 < epoch < OPTIONS.epochs for epoch in epochs), f"no kill fell inside the training: {epochs}"
    assert contents(tmp_path / "whole") == contents(tmp_path / "torn")


def test_early_stopping_keeps_the_best_epoch(tmp_path: Path) -> None:
    # Few noisy rows and no averaging: the validation loss rises again.
    options = FitOptions(epochs=60, batch_size=20, learning_rate=3e-2, weight_decay=0, ema=0, patience=4)
    small, valid = make_dataset(tmp_path, rows=20, seed=2, noise=3.0), make_dataset(tmp_path, rows=100, seed=1)

    def run_in(folder: Path, progress: Steps | None = None) -> nn.Module:
        return fit(lambda: build(64), loss, small, valid, options, make_run(folder, progress=progress), prepare)

    best = run_in(tmp_path / "a")
    losses = [float(row["valid_loss"]) for row in log_of(tmp_path / "a")]
    assert len(losses) < options.epochs
    assert losses.index(min(losses)) == len(losses) - 1 - 4
    with torch.no_grad():
        assert loss(best, prepare(valid.load())).item() == pytest.approx(min(losses), rel=1e-5)
    with pytest.raises(KeyboardInterrupt):
        run_in(tmp_path / "b", Steps(2 * (len(losses) - 2)))
    assert same_state(best, run_in(tmp_path / "b"))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.path, "w")


@pytest.mark.parametrize("how", ["pickle", "torch", "truncated", "flipped", "empty", "no metadata"])
def test_a_foreign_or_damaged_checkpoint_is_refused_and_never_executed(tmp_path: Path, how: str) -> None:
    folder, bomb = tmp_path / "run", tmp_path / "exploded"
    train(tmp_path, folder, OPTIONS.model_copy(update={"epochs": 1}))
    path = folder / CHECKPOINT
    good = path.read_bytes()
    if how == "pickle":
        path.write_bytes(pickle.dumps(Bomb(str(bomb))))
    elif how == "torch":
        torch.save({"module": Bomb(str(bomb))}, path)
    elif how == "no metadata":
        from safetensors.torch import save

        path.write_bytes(save({"x": torch.zeros(2)}))
    else:
        flipped = bytearray(good)
        flipped[-3] ^= 0x10
        path.write_bytes({"truncated": good[:-100], "empty": b"", "flipped": bytes(flipped)}[how])
    with pytest.raises(DataError, match="Remove the folder") as caught:
        train(tmp_path, folder, OPTIONS.model_copy(update={"epochs": 1}))
    assert str(path) in str(caught.value)
    assert not bomb.exists()


def test_a_checkpoint_of_other_options_or_another_network_is_refused(tmp_path: Path) -> None:
    train(tmp_path, tmp_path / "run")
    with pytest.raises(DataError, match="other options"):
        train(tmp_path, tmp_path / "run", OPTIONS.model_copy(update={"learning_rate": 1e-3}))
    data = make_dataset(tmp_path)
    with pytest.raises(DataError, match="another network"):
        fit(lambda: build(8), loss, data, data, OPTIONS, make_run(tmp_path / "run"), prepare)


def test_a_checkpoint_holds_any_tree(tmp_path: Path) -> None:
    tensors = [torch.arange(6).view(2, 3).t(), torch.tensor(1.5), torch.zeros(0, 3), torch.tensor(True)]
    tree = {"a": [*tensors, (1, "x", None)], 3: {"empty": {}, "nan": float("nan"), "half": 0.1}, "shared": tensors[0]}
    SafeCheckpoints().save_checkpoint(tree, tmp_path / "c")
    back = SafeCheckpoints().load_checkpoint(tmp_path / "c")
    assert list(back) == ["a", 3, "shared"]
    assert all(torch.equal(a, b) and a.dtype == b.dtype for a, b in zip(tensors, back["a"], strict=False))
    assert back["a"][-1] == (1, "x", None)
    assert back[3]["half"] == 0.1
    assert np.isnan(back[3]["nan"])
    with pytest.raises(TypeError, match="checkpoint cannot hold a"):
        SafeCheckpoints().save_checkpoint({"x": tmp_path}, tmp_path / "d")
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_what_cannot_be_learned_is_said(tmp_path: Path) -> None:
    data, empty, run = make_dataset(tmp_path), Dataset((), ("a", "b")), make_run(tmp_path / "run")
    with pytest.raises(DataError, match="no rows"):
        fit(build, loss, empty, data, OPTIONS, run, prepare)
    with pytest.raises(DataError, match="patience"):
        fit(build, loss, data, empty, OPTIONS.model_copy(update={"patience": 1}), run, prepare)
    fit(build, loss, data, empty, OPTIONS, make_run(tmp_path / "no valid"), prepare)
    assert {row["valid_loss"] for row in log_of(tmp_path / "no valid")} == {"nan"}
    with pytest.raises(DataError, match="loss is nan at step 0"):
        fit(build, lambda m, i: loss(m, i) * float("nan"), data, data, OPTIONS, run, prepare)


@pytest.mark.parametrize(("warm_up", "steps"), [(0.25, 40), (0.3, 101), (0.0, 20), (1.0, 20), (0.5, 1)])
def test_the_cycle_is_that_of_torch(warm_up: float, steps: int) -> None:
    options = FitOptions(warm_up=warm_up, learning_rate=0.01)
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=1.0)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.01, total_steps=steps, pct_start=warm_up, final_div_factor=100
    )
    for step in range(steps):
        group = optimizer.param_groups[0]
        assert options.cycle(step, steps) == pytest.approx((group["lr"], group["betas"][0]), rel=1e-9)
        if step < steps - 1:
            optimizer.step()
            cycle.step()


def test_only_matrices_decay() -> None:
    module = build()
    groups = adamw(module, FitOptions(weight_decay=0.1)).param_groups
    assert [[p.ndim for p in group["params"]] for group in groups] == [[2, 2], [1, 1, 1, 1]]
    assert [group["weight_decay"] for group in groups] == [0.1, 0]


def test_the_average_follows_weights_and_running_means() -> None:
    module = build()
    average = MovingAverage(module)
    start = state_of(module)
    with torch.no_grad():
        for tensor in module.state_dict().values():
            tensor.add_(1)
    average.update(0.75)
    for name, value in state_of(average.module).items():
        expected = start[name] + (1 if name.endswith("num_batches_tracked") else 0.25)
        np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_a_state_goes_into_its_own_network_only() -> None:
    module, other = build(), build()
    state = state_of(module)
    load_state(other, state)
    assert same_state(module, other)
    next(iter(module.parameters())).data.zero_()
    assert not same_state(module, other), "a state is a copy"
    with pytest.raises(DataError, match=r"no 0\.weight"):
        load_state(other, {name: array for name, array in state.items() if name != "0.weight"})
    with pytest.raises(DataError, match="extra, which the network does not have"):
        load_state(other, {**state, "extra": np.zeros(3)})
    with pytest.raises(DataError, match=r"0\.weight of shape \(8, 2\) for \(16, 2\)"):
        load_state(build(), state_of(build(8)))
    assert text_of_array(array_of_text("τ: größer")) == "τ: größer"
