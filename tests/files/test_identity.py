"""An event of a file is the same event wherever the file lies, whatever it is called, however it is cut into chunks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from examples import export, toy_events
from hdf5_layouts import write_plain

from hepimg.config import load_analysis
from hepimg.errors import DataError
from hepimg.sample import Sample
from hepimg.shards import checksum
from hepimg_files.hdf5.plain import PlainHdf5
from hepimg_files.identity import event_numbers
from hepimg_files.tables.plain_parquet import Parquet
from rows import collected

SMEARED = """\
title: smeared
data:
  source: {{source: hdf5_events, files: {files}, chunk: {chunk}}}
  steps:
    - {{step: calorimeter, electromagnetic: {{stochastic: 0.5}}}}
    - {{step: cluster, particles: cells, pt: [20, null]}}
samples: {{jets: {{}}}}
"""


def made(folder: Path, files: object, chunk: int = 100) -> Sample:
    """The jets of an analysis that smears, by rows of events."""
    (folder / "a.yaml").write_text(SMEARED.format(files=files, chunk=chunk))
    return collected(load_analysis(folder / "a.yaml"), folder / "cache")["jets"]


def write_events(path: Path, seed: int = 1) -> Path:
    """Events as others write them."""
    export(path, "hdf5", toy_events(seed))
    with h5py.File(path, "a") as file:
        del file.attrs["layout"]
        file.move("particles", "constituents")
        file.move("n_particles", "n")
        file["constituents"].attrs["counts"] = np.bytes_("n")
        del file["event"]
    return path


@pytest.fixture
def events(tmp_path: Path) -> Path:
    return write_events(tmp_path / "events.h5")


def test_a_file_that_was_touched_moved_or_cut_gives_the_same_bytes(tmp_path: Path, events: Path) -> None:
    first = made(tmp_path, events)
    assert len(first) > 20
    os.utime(events, ns=(1, 1))
    assert checksum(made(tmp_path, events)) == checksum(first)
    moved = tmp_path / "elsewhere" / "other.h5"
    moved.parent.mkdir()
    shutil.copy(events, moved)
    assert checksum(made(tmp_path, moved)) == checksum(first)
    assert checksum(made(tmp_path, moved, chunk=7)) == checksum(first)


def test_another_file_beside_it_changes_nothing(tmp_path: Path, events: Path) -> None:
    first = made(tmp_path, events)
    other = write_events(tmp_path / "another.h5", seed=5)
    both = made(tmp_path, [str(other), str(events)])
    of_first = np.isin(both.column("event"), first.column("event"))
    assert checksum(both[of_first]) == checksum(first)
    assert len(both) > len(first)


def test_events_of_two_files_have_different_numbers(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_plain(tmp_path / f"{seed}.h5", 30, seed)
    one, two = (event_numbers(tmp_path / f"{seed}.h5", np.arange(30)) for seed in (1, 2))
    assert len(np.unique([one, two])) == 60
    assert min(one.min(), two.min()) >= 0


def test_a_file_named_twice_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_plain(tmp_path / "a.h5", 30)
    write_plain(tmp_path / "b.h5", 30, 2)
    source = PlainHdf5(files=("b.h5", "a.h5", str(tmp_path / "a.h5"), "*.h5"))
    assert [Path(part["file"]).name for part in source.parts()] == ["b.h5", "a.h5"]


def test_rows_of_one_event_share_its_number_across_chunks(tmp_path: Path) -> None:
    from hepimg.components import Shard

    path = tmp_path / "jets.h5"
    write_plain(path, 30)
    numbers = np.random.default_rng(1).permutation(np.repeat(np.arange(10), 3))
    with h5py.File(path, "a") as file:
        file["event"] = numbers
    source = PlainHdf5(files=str(path), chunk=7)
    parts = enumerate(source.parts())
    read = Sample.concatenate([b for k, part in parts for b in source.batches(Shard(k, None, 1, part))])
    found = {number: np.unique(read.column("event")[numbers == number]) for number in range(10)}
    assert all(len(each) == 1 for each in found.values())
    assert len(np.unique(list(found.values()))) == 10


def test_what_hepimg_wrote_keeps_its_events(tmp_path: Path) -> None:
    from hepimg.components import Shard
    from hepimg.testing import toy_jets

    jets = toy_jets(20)
    export(tmp_path / "a.parquet", "parquet", jets)
    source = Parquet(files=str(tmp_path / "a.parquet"))
    (read,) = source.batches(Shard(3, None, 1, source.parts()[0]))
    assert checksum(read) == checksum(jets)


def test_a_file_that_changes_while_it_is_read_is_told(tmp_path: Path) -> None:
    from hepimg.components import Shard

    path = tmp_path / "a.h5"
    write_plain(path, 30)
    source = PlainHdf5(files=str(path))
    (part,) = source.parts()
    write_plain(path, 31)
    with pytest.raises(DataError, match=r"a\.h5: changed while it was read"):
        next(source.batches(Shard(0, None, 1, part)))


def test_a_selection_by_a_column_of_vectors_is_told(tmp_path: Path) -> None:
    from hepimg.components import Shard
    from hepimg.testing import toy_jets

    export(tmp_path / "a.h5", "hdf5", toy_jets(20).with_columns(score=np.zeros((20, 3))))
    source = PlainHdf5(files=str(tmp_path / "a.h5"), select={"score": 1.0})
    with pytest.raises(DataError, match=r"select: score holds \(3\) numbers for each row"):
        next(source.batches(Shard(0, None, 1, source.parts()[0])))
