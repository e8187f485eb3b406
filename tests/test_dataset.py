"""Dataset: batches, splits, and random steps that belong to rows."""

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from hepimg import Dataset, Sample, Step
from hepimg.components import Column, Port, Ports
from hepimg.dataset import Part
from hepimg.random import derive_seed, uniform
from hepimg.shards import write_shard
from rows import make_sample


class Mark(Step):
    """Writes a random number for each row, and one half where it rests."""

    name: ClassVar[str] = "mark"

    def writes(self, ports: Ports) -> list[Port]:
        return [Column("mark")]

    @property
    def is_random(self) -> bool:
        return True

    def apply(self, sample: Sample, seed: int | None) -> Sample:
        numbers = np.full(len(sample), 0.5) if seed is None else uniform(sample.column("row"), seed)
        return sample.with_columns(mark=numbers)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    parts = []
    for sample in (0, 1):
        for shard in range(3):
            path = tmp_path / f"{sample}-{shard}.arrow"
            write_shard(path, make_sample(20, seed=shard, first_event=20 * shard))
            parts.append(Part(sample, path, 20 * shard, np.arange(0, 20, 2)))
    return Dataset(tuple(parts), ("qcd", "top"), (Mark(),), seed=5)


def test_rows_know_their_sample_and_number(dataset: Dataset) -> None:
    rows = dataset.load()
    assert len(rows) == len(dataset) == 60
    assert rows.is_from("top").sum() == 30
    assert len(np.unique(rows.column("row"))) == 60
    assert rows.column("row")[:3].tolist() == [0, 2, 4]


def test_an_epoch_has_every_row_at_most_once_in_a_new_order(dataset: Dataset) -> None:
    first = np.concatenate([batch.column("row") for batch in dataset.batches(10, seed=1, epoch=0)])
    second = np.concatenate([batch.column("row") for batch in dataset.batches(10, seed=1, epoch=1)])
    again = np.concatenate([batch.column("row") for batch in dataset.batches(10, seed=1, epoch=0)])
    assert sorted(first) == sorted(second) == sorted(dataset.load().column("row"))
    assert (first == again).all()
    assert (first != second).any()


def test_windows_smaller_than_the_data_lose_nothing(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hepimg.dataset.WINDOW", 20)
    rows = np.concatenate([batch.column("row") for batch in dataset.batches(6, seed=1, epoch=0)])
    assert sorted(rows) == sorted(dataset.load().column("row"))
    assert len(list(dataset.batches(7, seed=1, epoch=0))) == dataset.n_batches(7) == 8


def test_fewer_rows_than_a_batch_are_one_batch(dataset: Dataset) -> None:
    assert [len(batch) for batch in dataset.batches(256, seed=1, epoch=0)] == [60]


def test_random_steps_belong_to_the_row_and_epoch(dataset: Dataset) -> None:
    def marks(size: int, epoch: int) -> dict[int, float]:
        batches = list(dataset.batches(size, seed=1, epoch=epoch))
        return {int(r): float(m) for b in batches for r, m in zip(b.column("row"), b.column("mark"), strict=True)}

    assert marks(10, 0) == marks(60, 0)
    assert marks(10, 0) != marks(10, 1)
    assert (dataset.load().column("mark") == 0.5).all()


def test_loading_keeps_what_is_asked_for(dataset: Dataset) -> None:
    rows = dataset.load(["mass"], limit=7)
    assert len(rows) == 7
    assert set(rows.columns) == {"event", "weight", "sample", "row", "mass"}


def test_uniform_numbers_are_uniform_and_keyed() -> None:
    rows = np.arange(100_000)
    numbers = uniform(rows, 7, "angle")
    assert abs(numbers.mean() - 0.5) < 5 * (1 / 12 / len(rows)) ** 0.5
    assert np.abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 0.015
    assert np.abs(np.corrcoef(numbers, uniform(rows, 7, "flip"))[0, 1]) < 0.015
    counts = np.bincount((numbers * 20).astype(int))
    assert ((counts - 5000) ** 2 / 5000).sum() < 45
    np.testing.assert_array_equal(uniform(rows[500:], 7, "angle"), numbers[500:])


def test_seeds_do_not_run_together() -> None:
    assert derive_seed(1, 23) != derive_seed(12, 3)
    assert 0 <= derive_seed("a") < 2**63


def with_predictions(dataset: Dataset, folder: Path) -> Dataset:
    """The same rows, with a task's predictions for exactly these: each says the number of its row."""
    parts = []
    for k, part in enumerate(dataset.parts):
        path = folder / f"said-{k}.arrow"
        row = part.numbers
        write_shard(path, Sample({"event": row, "weight": np.ones(len(row)), "said": row}, units={"said": "GeV"}))
        parts.append(replace(part, joined=(("tell", path),)))
    return replace(dataset, parts=tuple(parts), _memory={})


def test_some_rows_of_a_part_come_with_what_was_said_of_them(dataset: Dataset, tmp_path: Path) -> None:
    dataset = with_predictions(dataset, tmp_path)
    whole = dataset.load()
    parts = tuple(part.take(np.arange(6)).take(np.array([1, 4])) for part in dataset.parts)
    some = replace(dataset, parts=parts, _memory={})
    rows = some.load()
    assert len(rows) == len(some) == 2 * len(parts)
    np.testing.assert_array_equal(rows.column("tell.said"), rows.column("row"))
    assert rows.units["tell.said"] == "GeV"
    kept = np.isin(whole.column("row"), rows.column("row"))
    np.testing.assert_array_equal(whole.column("mass")[kept], rows.column("mass"))
    (batch,) = some.batches(100, seed=1, epoch=0)
    assert sorted(batch.column("row")) == sorted(rows.column("row"))
    np.testing.assert_array_equal(batch.column("tell.said"), batch.column("row"))


def test_random_steps_can_rest_in_training(dataset: Dataset) -> None:
    marks = [batch.column("mark") for batch in dataset.resting().batches(10, seed=1, epoch=0)]
    assert (np.concatenate(marks) == 0.5).all()
