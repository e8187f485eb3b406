"""IDX files and scikit-learn's digits: every pixel where it was, labels beside, damaged files refused in one line."""

from __future__ import annotations

import gzip
import struct
import sys
from pathlib import Path
from typing import Any

import idx_layouts as layouts
import numpy as np
import pytest

from hepimg.components import Shard
from hepimg.errors import DataError
from hepimg.sample import Sample
from hepimg.show import describe_path
from hepimg.testing import check_component, check_source
from hepimg_files.pictures.digits import Digits
from hepimg_files.pictures.idx import Idx
from hepimg_files.pictures.picture import picture_grid

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def rows_of(source: Any) -> Sample:
    shards = [Shard(k, None, 1, part) for k, part in enumerate(source.parts())]
    return Sample.concatenate([batch for shard in shards for batch in source.batches(shard)])


def upright(sample: Sample, name: str = "hr") -> np.ndarray[Any, Any]:
    """(n, rows, columns) as in the file: the first row at the top."""
    return sample.image(name).dense()[:, 0].transpose(0, 2, 1)[:, ::-1]


def both(folder: Path, n: int = 23, end: str = "") -> dict[str, Any]:
    layouts.write_images(folder / (IMAGES + end), layouts.pictures(n))
    layouts.write_labels(folder / (LABELS + end), layouts.labels(n))
    return {"files": str(folder / (IMAGES + end)), "labels": str(folder / (LABELS + end))}


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("chunk", [5, 23, 100])
def test_every_pixel_is_where_it_was(end: str, chunk: int, tmp_path: Path) -> None:
    options = {**both(tmp_path, end=end), "chunk": chunk}
    sample = rows_of(Idx(**options))
    np.testing.assert_array_equal(upright(sample), layouts.pictures(23))
    assert sample.column("label").tolist() == layouts.labels(23).tolist()
    assert sample.image("hr").grid == picture_grid(6, 4)
    assert len(Idx(**options).parts()) == -(-23 // chunk)
    assert len(np.unique(sample.column("event"))) == 23
    check_source(Idx(**options))


def test_the_last_row_lies_lowest() -> None:
    grid = picture_grid(3, 5)
    assert (grid.rows.name, grid.columns.name, grid.shape) == ("x", "y", (5, 3))
    assert grid.rows.all_edges[[0, -1]].tolist() == [-1, 1]


def test_labels_select_and_belong_to_their_file(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder, n in ((first, 12), (second, 20)):
        folder.mkdir()
        both(folder, n)
    files = {name: tuple(str(folder / name) for folder in (first, second)) for name in (IMAGES, LABELS)}
    sample = rows_of(Idx(files=files[IMAGES], labels=files[LABELS], select={"label": 1.0}, into="digit"))
    wanted = [layouts.pictures(n)[layouts.labels(n) == 1] for n in (12, 20)]
    np.testing.assert_array_equal(upright(sample, "digit"), np.concatenate(wanted))
    with pytest.raises(DataError, match="1 files of labels for 2 of images"):
        Idx(files=files[IMAGES], labels=files[LABELS][0]).parts()


def test_without_labels_there_is_no_column(tmp_path: Path) -> None:
    files = both(tmp_path)["files"]
    assert set(rows_of(Idx(files=files)).columns) == {"event", "weight"}
    check_source(Idx(files=files))


def test_other_labels_make_other_rows(tmp_path: Path) -> None:
    source = Idx(**both(tmp_path))
    before = source.parts()
    layouts.write_labels(tmp_path / LABELS, layouts.labels(23)[::-1])
    assert source.parts() != before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, f"no file .*{LABELS}"),
        (b"", "no IDX of unsigned bytes: it begins with b''"),
        (struct.pack(">II", 2049, 22) + bytes(22), "22 labels for 23 images"),
        (struct.pack(">II", 2049, 23) + bytes(20), "cut: 20 of 23 bytes"),
        (struct.pack(">II", 2049, 23) + bytes(24), "bytes after the last of 23"),
        (struct.pack(">IIII", 2051, 23, 1, 1) + bytes(23), "a file of images; needed: labels"),
        (gzip.compress(struct.pack(">II", 2049, 23) + bytes(23))[:-4], "damaged"),
    ],
)
def test_bad_labels_are_one_clear_error(content: bytes | None, message: str, tmp_path: Path) -> None:
    source = Idx(**both(tmp_path))
    path = tmp_path / LABELS
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        rows_of(source)
    assert error.value.where == str(path)


def test_files_of_several_shapes_are_refused(tmp_path: Path) -> None:
    for name, columns in (("a", 4), ("b", 5)):
        layouts.write_images(tmp_path / name, layouts.pictures(3, 6, columns))
    with pytest.raises(DataError, match="images of 6 x 5 pixels; needed: 6 x 4, as in"):
        Idx(files=str(tmp_path / "*")).parts()


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / f"{IMAGES}.gz"
    path.write_bytes(gzip.compress(struct.pack(">IIII", 2051, 2, 3, 3) + bytes(1 << 26)))
    with pytest.raises(DataError, match="bytes after the last of 18"):
        Idx(files=str(path)).parts()


def test_show_recognises_images(tmp_path: Path) -> None:
    both(tmp_path, end=".gz")
    told = describe_path(tmp_path / f"{IMAGES}.gz", 2)
    assert "source: {source: idx, files:" in told
    assert Idx.recognise(tmp_path / f"{LABELS}.gz") is None
    with pytest.raises(DataError, match="no installed source recognises"):
        describe_path(tmp_path / f"{LABELS}.gz", 2)


def test_digits_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    check_component(Digits)
    check_source(Digits())
    sample = rows_of(Digits(into="digit"))
    np.testing.assert_array_equal(upright(sample, "digit"), load_digits().images)
    np.testing.assert_array_equal(sample.column("label"), load_digits().target)


def test_digits_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DataError, match=r"needs scikit-learn, which is not installed\. pip install scikit-learn"):
        rows_of(Digits())
