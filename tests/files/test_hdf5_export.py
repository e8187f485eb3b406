"""What is exported as plain HDF5 comes back exactly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hepimg import Grid, Ragged, Sample, SparseImages
from hepimg.components import Shard
from hepimg.errors import DataError
from hepimg.export.hdf5 import write_hdf5
from hepimg.grid import Axis
from hepimg.images import Channel
from hepimg.shards import checksum
from hepimg.testing import check_source, toy_jets
from hepimg_files.hdf5.plain import Hdf5Events, PlainHdf5
from rows import make_sample

DTYPES = st.sampled_from([np.bool_, *(np.dtype(name) for name in "bhilBHILefd")])
NAMES = st.text("abcxyz_.é", min_size=1, max_size=4).filter(lambda name: name not in (".", "..", "event", "weight"))
GRIDS = (
    Grid.square(1.0, 3),
    Grid(rows=Axis(name="r", edges=(0.0, 0.1, 0.7), unit="mm"), columns=Axis(name="phi", edges=(-1.0, 1.0), bins=4)),
)
CHANNELS = ((Channel("pt", "GeV"),), (Channel("y", "", True, "pt"), Channel("pt", "GeV")))


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    """Odd samples: rows without entries, no rows, integers of all widths, columns of any shape, several collections."""
    n = draw(st.integers(0, 5))
    names = iter(draw(st.lists(NAMES, min_size=6, max_size=6, unique=True)))
    columns: dict[str, Any] = {"event": np.arange(n), "weight": np.ones(n, np.float32)}
    for _ in range(draw(st.integers(0, 2))):
        shape = draw(st.sampled_from([(), (2,), (2, 3), (0,)]))
        columns[next(names)] = draw(numbers((n, *shape)))
    collections = {}
    for name in draw(st.sampled_from([[], ["constituents"], ["constituents", next(names)]])):
        counts = draw(st.lists(st.integers(0, 4), min_size=n, max_size=n))
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        fields = {f"f{k}": draw(numbers((int(offsets[-1]),))) for k in range(draw(st.integers(1, 3)))}
        collections[name] = Ragged(offsets, fields, {"f0": "GeV"})
    images = {}
    for _ in range(draw(st.integers(0, 2))):
        grid, channels = draw(st.sampled_from(GRIDS)), draw(st.sampled_from(CHANNELS))
        dense = draw(arrays.arrays(np.float32, (n, len(channels), *grid.shape), elements=st.sampled_from([0, 0, 1.5])))
        images[next(names)] = SparseImages.from_dense(dense, grid, channels)
    return Sample(columns, collections, images, {name: "mm" for name in columns if name not in ("event", "weight")})


def numbers(shape: tuple[int, ...]) -> st.SearchStrategy[Any]:
    """Finite arrays of any type; whole numbers within 2^53, which all types of a collection share."""

    def of(dtype: Any) -> st.SearchStrategy[Any]:
        kind = np.dtype(dtype)
        if kind.kind in "iu":
            info = np.iinfo(kind)
            elements: Any = st.integers(max(info.min, -(2**53)), min(info.max, 2**53))
        elif kind.kind == "f":
            elements = st.floats(width=kind.itemsize * 8, allow_nan=False, allow_infinity=False)  # type: ignore[arg-type]
        else:
            elements = st.booleans()
        return arrays.arrays(kind, shape, elements=elements)

    return DTYPES.flatmap(of)


def read_back(path: Path, rows: int, kind: str = "event") -> Sample:
    return (PlainHdf5 if kind == "jet" else Hdf5Events)(files=str(path)).read(path, 0, rows)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(samples(), st.integers(1, 3))
def test_round_trip(tmp_path: Path, sample: Sample, step: int) -> None:
    def shards() -> Iterator[Sample]:
        for first in range(0, max(1, len(sample)), step):
            yield sample[first : first + step]

    path = tmp_path / "a.h5"
    write_hdf5(path, shards)
    again = read_back(path, len(sample))
    assert checksum(again) == checksum(sample)
    assert {name: unit for name, unit in again.units.items() if name in sample.units} == sample.units
    for name, ragged in sample.collections.items():
        assert again.collections[name].units == {key: unit for key, unit in ragged.units.items() if key in ragged}
    for name, images in sample.images.items():
        assert again.images[name] == images
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["a.h5"]


def test_jets_come_back_through_the_source(tmp_path: Path) -> None:
    jets = toy_jets(30)
    write_hdf5(tmp_path / "a.h5", lambda: iter([jets[:10], jets[10:]]))
    source = PlainHdf5(files=str(tmp_path / "a.h5"), chunk=20)
    check_source(source)
    assert checksum(source.read(tmp_path / "a.h5", 0, 30)) == checksum(jets)


def test_other_tools_see_padded_arrays(tmp_path: Path) -> None:
    sample = make_sample(20)
    write_hdf5(tmp_path / "a.h5", lambda: iter([sample]))
    constituents = sample.collection("constituents")
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["constituents"].attrs["columns"] == b"pt,y,phi,pdg_id"
        np.testing.assert_array_equal(file["n"][:], constituents.counts)
        padded = file["constituents"][:]
        assert file["mass"].attrs["unit"] == b"GeV"
    for row in range(20):
        np.testing.assert_array_equal(padded[row, : constituents.counts[row], 3], constituents.take(row)["pdg_id"])
        assert not padded[row, constituents.counts[row] :].any()


def test_a_column_may_have_the_name_of_the_counts(tmp_path: Path) -> None:
    sample = make_sample(5).with_columns(n=np.arange(5), n_=np.arange(5.0))
    write_hdf5(tmp_path / "a.h5", lambda: iter([sample]))
    assert checksum(read_back(tmp_path / "a.h5", 5)) == checksum(sample)


def test_a_damaged_number_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_hdf5(path, lambda: iter([make_sample(50)]))
    with h5py.File(path) as file:
        chunk = file["mass"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 1
    path.write_bytes(content)
    source = PlainHdf5(files=str(path))
    with pytest.raises(DataError, match="damaged"):
        list(source.batches(Shard(0, None, 1, source.parts()[0])))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda sample: sample.with_columns(**{"a/b": np.ones(3)}), "cannot be a name"),
        (lambda sample: sample.with_columns(images=np.ones(3)), "cannot be a name"),
        (lambda sample: sample.with_columns(text=np.array(["a"] * 3)), "text holds <U1"),
        (lambda sample: sample.with_columns(constituents=np.ones(3)), "both a column and a collection"),
        (lambda sample: sample.with_collection("a", Ragged(np.zeros(4), {"x,y": np.zeros(0)})), "comma"),
        (
            lambda sample: sample.with_collection(
                "a", Ragged(np.array([0, 1, 1, 1]), {"x": np.ones(1), "id": np.array([2**60 + 1])})
            ),
            "a.id has whole numbers beyond",
        ),
    ],
)
def test_what_hdf5_cannot_keep_is_refused(change: Any, message: str, tmp_path: Path) -> None:
    sample = change(make_sample(3))
    with pytest.raises(DataError, match=message):
        write_hdf5(tmp_path / "a.h5", lambda: iter([sample]))
    assert not list(tmp_path.glob("*.h5*"))


def test_shards_must_be_alike(tmp_path: Path) -> None:
    shards = [make_sample(3), make_sample(3).with_columns(more=np.ones(3))]
    with pytest.raises(DataError, match="than the first"):
        write_hdf5(tmp_path / "a.h5", lambda: iter(shards))
    with pytest.raises(DataError, match="no rows"):
        write_hdf5(tmp_path / "a.h5", lambda: iter(()))
