"""Samples in memory and on disk."""

from pathlib import Path

import numpy as np
import pytest

from hepimg import DataError, Sample
from hepimg.shards import checksum, read_shard, write_shard
from rows import make_sample


@pytest.mark.parametrize("n", [0, 1, 7])
def test_a_shard_gives_back_what_was_written(tmp_path: Path, n: int) -> None:
    sample = make_sample(n)
    write_shard(tmp_path / "s.arrow", sample)
    back = read_shard(tmp_path / "s.arrow")
    assert checksum(back) == checksum(sample)
    assert back.units == {"mass": "GeV"}
    assert back.collection("constituents").units == {"pt": "GeV", "phi": "rad"}
    assert back.images["image"] == sample.images["image"]
    assert back.column("axis").shape == (n, 2)


def test_reading_some_names_reads_only_those(tmp_path: Path) -> None:
    write_shard(tmp_path / "s.arrow", make_sample(5))
    some = read_shard(tmp_path / "s.arrow", ["mass"])
    assert set(some.columns) == {"event", "weight", "mass"}
    assert not some.collections
    assert not some.images


def test_constituents_are_views_of_the_mapped_file(tmp_path: Path) -> None:
    write_shard(tmp_path / "s.arrow", make_sample(50))
    pt = read_shard(tmp_path / "s.arrow").collection("constituents")["pt"]
    assert not pt.flags.owndata
    assert not pt.flags.writeable


@pytest.mark.parametrize("keep", [0, 10, 900, -9])
def test_a_truncated_shard_is_one_clear_error(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "s.arrow"
    write_shard(path, make_sample(50))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"s\.arrow: a truncated or foreign file"):
        read_shard(path)


def test_a_foreign_arrow_file_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa

    table = pa.table({"x": [1, 2]})
    with pa.OSFile(str(tmp_path / "x.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as file:
        file.write_table(table)
    with pytest.raises(DataError, match="without hepimg's metadata"):
        read_shard(tmp_path / "x.arrow")


def test_rows_taken_and_put_together_again_are_the_same() -> None:
    sample = make_sample(9)
    again = Sample.concatenate([sample[:4], sample[np.arange(4, 9)]])
    assert checksum(again) == checksum(sample)
    reverse = sample[::-1]
    assert reverse.column("event").tolist() == list(range(8, -1, -1))
    first = sample.collection("constituents")
    np.testing.assert_array_equal(
        reverse.collection("constituents")["pt"][-first.counts[0] or len(first["pt"]) :], first["pt"][: first.counts[0]]
    )


def test_a_sample_needs_event_and_weight() -> None:
    with pytest.raises(DataError, match="no column 'weight'"):
        Sample({"event": np.zeros(2, np.int64)})


def test_lengths_must_agree() -> None:
    with pytest.raises(DataError, match="mass has 3 rows"):
        make_sample(2).with_columns(mass=np.zeros(3))


def test_an_unknown_name_suggests_a_near_one() -> None:
    with pytest.raises(DataError, match="did you mean 'mass'"):
        make_sample(2).column("mas")
