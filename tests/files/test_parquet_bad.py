"""Bad Parquet files, each with one clear error that names the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from root_layouts import momenta, write_plain_parquet

from hepimg.components import Shard
from hepimg.errors import DataError
from hepimg.export.parquet import write_parquet
from hepimg_files.tables import table
from hepimg_files.tables.nanoaod import NanoAOD
from hepimg_files.tables.parquet_pages import chunks_of, unpacked_size
from hepimg_files.tables.plain_parquet import Parquet
from hepimg_files.tables.source import TableSource
from rows import make_sample

N = 12

OFFSETS, PARTICLES = momenta(N)

FIELDS = {"pt": "part_pt", "eta": "part_eta", "phi": "part_phi", "mass": "part_mass"}


def lists(values: Any, offsets: Any = OFFSETS) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values))


def spoilt(name: str, value: Any) -> pa.Array:
    values = PARTICLES[name].copy().tolist()
    values[5] = value
    return lists(pa.array(values, pa.float32()))


def plain(n: int = N, **other: Any) -> Callable[[Path], object]:
    return lambda path: write_plain_parquet(path, n, **other)


def edited(edit: Callable[[bytes], bytes], **other: Any) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(edit(write_plain_parquet(path, N, **other).read_bytes()))


def own(edit: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        write_parquet(path, lambda: iter([make_sample(50)]))
        path.write_bytes(edit(path.read_bytes()))

    return make


def described(text: str) -> Callable[[Path], object]:
    rows = pa.table({"event": np.arange(3), "weight": np.ones(3)})
    return lambda path: pq.write_table(rows.replace_schema_metadata({"hepimg": text}), path)


def flipped(content: bytes) -> bytes:
    """A bit of the first page of data."""
    return content[:60] + bytes([content[60] ^ 4]) + content[61:]


def fields(**names: str) -> Callable[[str], TableSource]:
    return lambda files: Parquet(files=files, fields={**FIELDS, **names})


def source(files: str) -> TableSource:
    return Parquet(files=files, fields=FIELDS)


def hepimg(files: str) -> TableSource:
    return Parquet(files=files)


def column(name: str) -> Callable[[str], TableSource]:
    return lambda files: Parquet(files=files, fields=FIELDS, columns={"x": name})


BAD: dict[str, tuple[Callable[[Path], object], Callable[[str], TableSource], str]] = {
    "empty": (edited(lambda content: b""), source, "not a Parquet file: it is empty"),
    "text": (edited(lambda content: b"pt,eta\n" * 99), source, "damaged.*not a parquet file"),
    "only the magic word": (edited(lambda content: b"PAR1"), source, "damaged"),
    "no footer": (edited(lambda content: content[:-400]), source, "damaged"),
    "no begin": (edited(lambda content: content[700:]), source, "damaged"),
    "a footer of absurd length": (edited(lambda content: content[:-8] + b"\xff\xff\xff\x7fPAR1"), source, "damaged"),
    "zeros for data": (edited(lambda content: content[:4] + bytes(900) + content[904:]), source, "damaged"),
    "no row": (plain(0), source, "hold no entry"),
    "a missing column": (plain(), fields(pt="part_ptt"), "no column 'part_ptt'; did you mean 'part_pt'"),
    "a missing record": (plain(), fields(pt="parts.p"), "no column 'parts.p'; did you mean 'parts.pt'"),
    "a flat column": (plain(part_pt=pa.array(np.ones(N))), source, "'part_pt' holds one number"),
    "strings": (plain(part_pt=lists(["x"] * int(OFFSETS[-1]))), source, "'part_pt' holds string"),
    "other lengths": (plain(part_eta=lists(np.ones(2 * N), np.arange(0, 2 * N + 1, 2))), source, "of other lengths"),
    "a missing value": (plain(part_pt=spoilt("pt", None)), source, "1 missing values .null."),
    "a missing list": (plain(part_pt=pa.array([None] * N, pa.list_(pa.float32()))), source, "missing values .null."),
    "lists of lists": (plain(part_pt=pa.array([[[1.0]]] * N)), source, "'part_pt' holds list"),
    "NaN": (plain(part_pt=spoilt("pt", np.nan)), source, "pt = nan"),
    "infinite": (plain(part_mass=spoilt("mass", np.inf)), source, r"constituents\[\d\]: mass = inf"),
    "degrees": (plain(part_phi=lists(PARTICLES["phi"] * 57)), source, "azimuth in radians"),
    "MeV": (plain(part_pt=lists(PARTICLES["pt"] * 1000)), source, "look like MeV"),
    "an absurd pseudorapidity": (plain(part_eta=spoilt("eta", 999.9)), source, "constituents.*eta = 999.9"),
    "a column of lists": (plain(), column("part_pt"), "'part_pt' holds a list"),
    "a column of text": (plain(kind=pa.array(["a"] * N)), column("kind"), "'kind' holds string"),
    "no description": (plain(), hepimg, "not written by hepimg"),
    "a damaged description": (described("{not JSON"), hepimg, "damaged, or not of this layout .JSONDecodeError"),
    "an empty description": (described("{}"), hepimg, "damaged, or not of this layout .KeyError"),
    "a bit of an export flipped": (own(flipped), hepimg, "damaged.*(CRC|crc|checksum|ZSTD)"),
    "a truncated export": (own(lambda content: content[:-50]), hepimg, "damaged"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_each_bad_file_gives_one_clear_error(case: str, tmp_path: Path) -> None:
    make, reader, message = BAD[case]
    path = tmp_path / "bad.parquet"
    make(path)
    with pytest.raises(DataError, match=message) as caught:
        read_everything(reader(str(path)))
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 2


def read_everything(reader: TableSource) -> None:
    reader.writes()
    for k, part in enumerate(reader.parts()):
        list(reader.batches(Shard(k, None, 1, part)))


def test_rows_beyond_the_file_are_refused(tmp_path: Path) -> None:
    """The number of rows in the footer, which Thrift writes as a zigzag integer of several bytes, made absurd."""
    path = write_plain_parquet(tmp_path / "a.parquet", N, groups=N)
    content = path.read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    head, tail = content[:footer], content[footer:-8]
    edited = tail.replace(b"\x16" + bytes([2 * N]), b"\x16\xfe\xff\xff\xff\xff\x3f")  # field of type i64
    assert edited != tail
    path.write_bytes(head + edited + len(edited).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(DataError, match=r"do not add up|shorter than|claims|damaged") as caught:
        read_everything(source(str(path)))
    assert str(path) in str(caught.value)


def test_a_file_of_constants_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One row of 2^24 + 1 zeros in each of four lists: a kilobyte."""
    elements = 2**24 + 1
    zeros = pa.ListArray.from_arrays(pa.array([0, elements], pa.int32()), np.zeros(elements, np.float32))
    path = tmp_path / "bomb.parquet"
    pq.write_table(pa.table(dict.fromkeys(FIELDS.values(), zeros)), path)
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", None)
    with pytest.raises(DataError, match=r"part_.* in entries 0 to 1 unpack to \d+ bytes, in a file of") as caught:
        read_everything(source(str(path)))
    assert str(path) in str(caught.value)


def test_too_much_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_plain_parquet(tmp_path / "a.parquet", 100, groups=100)
    monkeypatch.setattr(table, "MAX_READ", 2_000)
    with pytest.raises(DataError, match=r"entries 0 to 100 take \d+ bytes, .* such as chunk: 8\.") as caught:
        read_everything(source(str(path)))
    assert str(path) in str(caught.value)
    read_everything(Parquet(files=str(path), fields=FIELDS, chunk=8))


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "zstd", "gzip"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_pages_tell_what_they_unpack_to(version: str, compression: str, dictionary: bool, tmp_path: Path) -> None:
    """Against what pyarrow holds of each column once it is read."""
    rng = np.random.default_rng(1)
    offsets = np.concatenate([[0], np.cumsum(rng.integers(0, 50, 2000))])
    content = {
        "constant": lists(np.ones(offsets[-1], np.float32), offsets),
        "random": lists(rng.normal(size=offsets[-1]), offsets),
        "flat": pa.array(rng.integers(0, 100, 2000)),
        "pair": pa.FixedSizeListArray.from_arrays(pa.array(rng.normal(size=4000)), 2),
    }
    path, layout = tmp_path / "a.parquet", {"data_page_version": version, "data_page_size": 10_000}
    pq.write_table(pa.table(content), path, 700, compression=compression, use_dictionary=dictionary, **layout)
    file = pq.ParquetFile(path)
    groups = chunks_of(path, path.stat().st_size, path.stat().st_mtime_ns)
    assert len(groups) == 3
    for number, chunks in enumerate(groups):
        for leaf, chunk in enumerate(chunks):
            values = file.read_row_group(number, [chunk.column]).column(0).combine_chunks()
            values = values if chunk.column == "flat" else values.flatten()
            width = values.type.bit_width // 8
            assert chunk.values == file.metadata.row_group(number).column(leaf).num_values
            unpacked = unpacked_size(path, [(chunk, width)])
            assert len(values) * width <= unpacked <= 2.1 * (len(values) + 700) * width  # a dictionary counts too


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nano_dy.parquet", "no particle-flow candidates .PFCands_pt.; there are CaloMET.*Jet"),
        ("nano_dy_empty.parquet", "no particle-flow candidates"),
        ("nano_dy_malformed.parquet", "damaged.*not a parquet file"),
    ],
)
def test_bad_real_files(external: Path, name: str, message: str) -> None:
    path = external / "files" / name
    with pytest.raises(DataError, match=message) as caught:
        read_everything(NanoAOD(files=str(path)))
    assert str(path) in str(caught.value)


def test_the_jets_of_a_nanoaod_file_in_parquet_are_plain_columns(external: Path) -> None:
    path = external / "files/nano_dy.parquet"
    names = {name: f"Jet_{name}" for name in ("pt", "eta", "phi", "mass")}
    events = Parquet(files=str(path), fields=names, columns={"met": "MET_pt"}).read(path, 10, 40)
    assert len(events) == 30
    assert events.collection("constituents").counts.sum() > 30
