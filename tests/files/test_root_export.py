"""What is written as ROOT or Parquet reads back the same: odd samples, any chunks, many shards."""

from __future__ import annotations

import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot
from hypothesis import given, settings
from hypothesis import strategies as st

from hepimg.components import Shard
from hepimg.errors import DataError
from hepimg.export.parquet import write_parquet
from hepimg.export.root import write_root
from hepimg.grid import Grid
from hepimg.images import Channel, SparseImages
from hepimg.sample import Ragged, Sample
from hepimg.shards import checksum
from hepimg.testing import check_source, ports_of
from hepimg_files.tables.plain import PlainSource
from hepimg_files.tables.plain_parquet import Parquet, ParquetEvents
from hepimg_files.tables.plain_root import Root, RootEvents
from rows import make_sample

FORMATS: dict[str, tuple[Any, type[PlainSource]]] = {"parquet": (write_parquet, Parquet), "root": (write_root, Root)}

DTYPES = ("?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")

NAMES = st.sampled_from(
    ["pt", "tag.score", "tau21[axes=kt,beta=1.0]", "n", "nconstituents", "constituents_pt", "Δη", "_"]
)


@st.composite
def samples(draw: st.DrawFn) -> list[Sample]:
    """Shards of one kind: columns of any type and shape, two collections, images; often there are none."""
    columns = draw(st.dictionaries(NAMES, st.tuples(st.sampled_from(DTYPES), st.sampled_from([(), (2,), (2, 3)]))))
    fields = draw(st.dictionaries(NAMES, st.sampled_from(DTYPES), min_size=1))
    with_images = draw(st.booleans())
    shards = []
    for seed, n in enumerate(draw(st.lists(st.integers(0, 5), min_size=1, max_size=3))):
        rng = np.random.default_rng(seed)
        counts = rng.integers(0, 4, (2, n)) * draw(st.integers(0, 1))
        made = {name: values(rng, dtype, (n, *shape)) for name, (dtype, shape) in columns.items()}
        made |= {"event": np.arange(n, dtype=np.int64) + 10 * seed, "weight": np.ones(n)}
        collections = {
            name: Ragged(offsets(count), {f: values(rng, t, (count.sum(),)) for f, t in fields.items()}, {"pt": "GeV"})
            for name, count in zip(("constituents", "c_2"), counts, strict=True)
        }
        channels = (Channel("pt", "GeV"), Channel("1 x", "", signed=True))
        dense = rng.poisson(0.2, (n, 2, 3, 4))
        images = {"image": SparseImages.from_dense(dense, Grid.square(1.0, 4).cropped((0, 3), (0, 4)), channels)}
        shards.append(Sample(made, collections, images if with_images else {}, {"event": "none"}, ("a", "b")))
    return shards


def values(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    return (rng.normal(0, 50, shape) if dtype[0] == "f" else rng.integers(0, 120, shape)).astype(dtype)


def offsets(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)])


def read_all(source: PlainSource, path: Path, rows: int, chunk: int) -> Sample:
    parts = [source.read(path, first, min(first + chunk, rows)) for first in range(0, rows, chunk)]
    return Sample.concatenate(parts or [source.read(path, 0, 0)])


@pytest.mark.parametrize("form", FORMATS)
@given(shards=samples(), chunk=st.integers(1, 20))
@settings(max_examples=25, deadline=None)
def test_round_trips_are_exact(form: str, shards: list[Sample], chunk: int) -> None:
    write, kind = FORMATS[form]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"rows.{form}"
        write(path, lambda: iter(shards))
        source, whole = kind(files=str(path)), Sample.concatenate(shards)
        assert source.count(path) == len(whole)
        back = read_all(source, path, len(whole), chunk)
        assert checksum(back.with_columns(event=whole.column("event"))) == checksum(whole)
        assert ports_of(back) == ports_of(whole)
        assert {port.name: port for port in source.writes()} == ports_of(whole)
        assert back.classes == whole.classes
        for name, images in whole.images.items():
            assert back.image(name) == images


@pytest.mark.parametrize("form", FORMATS)
def test_sources_of_exports_keep_the_contract(form: str, tmp_path: Path) -> None:
    write, kind = FORMATS[form]
    path = tmp_path / f"rows.{form}"
    write(path, lambda: iter([make_sample(7), make_sample(0), make_sample(5, 1, first_event=7)]))
    check_source(kind(files=str(path), chunk=5))
    assert kind.recognise(path) == {"files": str(path)}
    assert not [other for other in (RootEvents, ParquetEvents) if other.recognise(path)]


@pytest.mark.parametrize("form", FORMATS)
def test_events_are_recognised(form: str, tmp_path: Path) -> None:
    sample = make_sample(5)
    events = Sample(sample.columns, {"particles": sample.collection("constituents")})
    path = tmp_path / f"rows.{form}"
    FORMATS[form][0](path, lambda: iter([events]))
    found = [kind.name for kind in (Root, RootEvents, Parquet, ParquetEvents) if kind.recognise(path)]
    assert found == [f"{form}_events"]


@pytest.mark.parametrize("form", FORMATS)
def test_jets_keep_the_numbers_of_their_events(form: str, tmp_path: Path) -> None:
    sample = make_sample(6).with_columns(event=np.array([5, 5, 9, 2, 2, 2]))
    path = tmp_path / f"rows.{form}"
    FORMATS[form][0](path, lambda: iter([sample]))
    assert FORMATS[form][1](files=str(path)).read(path, 0, 6).column("event").tolist() == [5, 5, 9, 2, 2, 2]


def test_root_branches_have_names_that_differ(tmp_path: Path) -> None:
    sample = make_sample(3).with_columns(constituents_pt=np.zeros(3), nconstituents=np.zeros(3), **{"a.b": np.ones(3)})
    write_root(tmp_path / "a.root", lambda: iter([sample]))
    with uproot.open(tmp_path / "a.root") as file:
        names = [branch.name for branch in file["rows"].branches]
    assert len(set(names)) == len(names)
    assert {"constituents_pt", "constituents_pt_2", "nconstituents", "nconstituents_2", "a_b"} <= set(names)


@pytest.mark.parametrize("form", FORMATS)
def test_files_must_be_alike(form: str, tmp_path: Path) -> None:
    """The second lacks a column, has another one, and another unit."""
    write, kind = FORMATS[form]
    one, other = make_sample(5).with_columns(x=np.ones(5)), make_sample(5).with_columns({"mass": "MeV"}, z=np.ones(5))
    for name, sample in (("a", one), ("b", other)):
        write(tmp_path / f"{name}.{form}", lambda sample=sample: iter([sample]))
    source = kind(files=str(tmp_path / f"*.{form}"))
    source.writes()
    first, second = (Shard(number, None, 1, part) for number, part in enumerate(source.parts()))
    assert sum(len(batch) for batch in source.batches(first)) == 5
    with pytest.raises(DataError, match=r"lacks x; has besides z; has otherwise mass; needed: what .*a\.") as caught:
        list(source.batches(second))
    assert caught.value.where == str(tmp_path / f"b.{form}")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda sample: sample.with_columns(x=np.ones(3)), r"x \(double, none in the first\)"),
        (
            lambda sample: sample.with_columns(mass=sample.column("mass").astype("f8")),
            r"mass \(double, float in the first",
        ),
        (lambda sample: sample.with_columns({"mass": "MeV"}), "differs from the first in units"),
        (lambda sample: Sample(sample.columns, units=sample.units), r"constituents \(none, "),
    ],
)
def test_shards_must_be_alike(form: str, change: Any, message: str, tmp_path: Path) -> None:
    shards = [make_sample(3), change(make_sample(3))]
    with pytest.raises(DataError, match=message) as caught:
        FORMATS[form][0](tmp_path / "a", lambda: iter(shards))
    assert caught.value.where == str(tmp_path / "a")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_is_left_of_a_writer_that_fails(form: str, tmp_path: Path) -> None:
    def shards() -> Iterator[Sample]:
        yield make_sample(3)
        raise DataError("the disk is on fire")

    with pytest.raises(DataError, match="fire"):
        FORMATS[form][0](tmp_path / "a", shards)
    with pytest.raises(DataError, match="no rows to write"):
        FORMATS[form][0](tmp_path / "a", lambda: iter(()))
    assert not list(tmp_path.iterdir())


def test_root_refuses_a_type_that_it_does_not_know(tmp_path: Path) -> None:
    sample = make_sample(3).with_columns(half=np.zeros(3, np.float16))
    with pytest.raises(DataError, match="half holds float16"):
        write_root(tmp_path / "a.root", lambda: iter([sample]))


@pytest.mark.parametrize("form", FORMATS)
def test_a_range_is_read_without_the_rest(form: str, tmp_path: Path) -> None:
    """Twenty shards of 3 MB: writing and reading one of them takes the memory of a few."""
    rng = np.random.default_rng(1)

    def shard(k: int) -> Sample:
        wide = rng.normal(size=(2000, 200)).astype(np.float64)
        return Sample({"event": np.arange(2000) + 2000 * k, "weight": np.ones(2000), "wide": wide})

    path = tmp_path / f"rows.{form}"
    FORMATS[form][0](path, lambda: map(shard, range(20)))
    assert path.stat().st_size > 50e6
    source = FORMATS[form][1](files=str(path))
    source.read(path, 0, 1)
    tracemalloc.start()
    try:
        assert source.read(path, 31_000, 32_000).column("wide").shape == (1000, 200)
        assert tracemalloc.get_traced_memory()[1] < 25e6
    finally:
        tracemalloc.stop()
