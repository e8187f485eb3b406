"""Which rows are for training, validation and test, and which of them are learned from."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from hepimg import Sample
from hepimg.orders import StoredSample
from hepimg.shards import write_shard
from hepimg.splits import Splits, split_of


def test_a_split_goes_by_event_alone() -> None:
    event = np.repeat(np.arange(20_000), 2)
    split = split_of(event, (0.7, 0.1, 0.2), seed=3)
    assert (split[::2] == split[1::2]).all()
    shares = np.bincount(split) / len(split)
    np.testing.assert_allclose(shares, [0.7, 0.1, 0.2], atol=0.015)
    shuffled = np.random.default_rng(0).permutation(len(event))
    assert (split_of(event[shuffled], (0.7, 0.1, 0.2), seed=3) == split[shuffled]).all()


def test_an_empty_split_is_never_chosen() -> None:
    assert set(split_of(np.arange(1000), (0.5, 0.0, 0.5), seed=1)) == {0, 2}
    assert set(split_of(np.arange(1000), (1.0, 0.0, 0.0), seed=1)) == {0}


def splits_of(folder: Path) -> Splits:
    """Ten shards of 100 events as ``many``, two as ``few``."""
    stored = {}
    for name, count in (("many", 10), ("few", 2)):
        shards = []
        for k in range(count):
            path = folder / f"{name}-{k}.arrow"
            write_shard(path, Sample({"event": 1000 * k + np.arange(100), "weight": np.ones(100)}))
            shards.append((path, 100))
        stored[name] = StoredSample(name, name, tuple(shards))
    return Splits(stored, ("many", "few"), (0.5, 0.1, 0.4), seed=1)


def test_every_row_is_in_one_split(tmp_path: Path) -> None:
    splits = splits_of(tmp_path)
    numbers = [part.numbers for split in ("train", "valid", "test") for part in splits.parts("many", split)]
    assert sorted(np.concatenate(numbers)) == list(range(1000))


def test_some_rows_are_drawn_of_all_samples_and_fewer_are_among_more(tmp_path: Path) -> None:
    splits = splits_of(tmp_path)
    assert splits.shares(["many", "few"], "train", None) == {"many": None, "few": None}
    shares = splits.shares(["many", "few"], "train", 120)
    assert shares["many"] is not None
    assert shares["few"] is not None
    assert 90 <= shares["many"] <= 110
    assert 120 <= sum(filter(None, shares.values())) <= 121
    paths = [[part.path for part in splits.parts("many", "train", rows)] for rows in (1, 120, 250, 10_000)]
    assert len(paths[0]) == 1
    assert 2 <= len(paths[1]) <= 3
    assert all(more[: len(fewer)] == fewer for fewer, more in pairwise(paths))
    assert sorted(paths[-1]) == sorted(part.path for part in splits.parts("many", "train"))
    assert paths[-1] != sorted(paths[-1])
