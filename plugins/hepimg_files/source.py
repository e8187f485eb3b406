"""FileSource: what all sources of files share: globs, chunks, selections, checks, and clear errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PrivateAttr, field_validator

from hepimg.components import Shard, Source
from hepimg.errors import DataError, HepimgError
from hepimg_files.conventions import check_units

if TYPE_CHECKING:
    from hepimg.sample import Sample

Range = tuple[float | None, float | None]


class FileSource(Source):
    """Rows of files, chunk by chunk; a layout writes ``count``, ``read``, ``writes``, ``looks_alike``."""

    names_events: ClassVar[bool] = True
    batch: ClassVar[int] = 2000
    """Rows that go through the event steps together."""

    suffixes: ClassVar[tuple[str, ...]] = ()
    """How the names of such files end."""

    files: str | tuple[str, ...] = Field(
        description="a path, or several; * and ? stand for any letters, ** for any folders. Relative paths start where "
        "the command runs"
    )
    chunk: int = Field(10_000, gt=0, description="entries of a file that are read at a time and make one shard")
    select: dict[str, float | Range] = Field(
        {},
        description="rows to keep: column -> its value, or [min, max) with null for no bound, such as "
        "{is_signal: 1, pt: [500, null]}",
    )

    _facts: dict[str, float | str] = PrivateAttr(default_factory=dict)
    _counts: dict[tuple[Path, int, int], int] = PrivateAttr(default_factory=dict)

    @field_validator("files")
    @classmethod
    def _are_given(cls, files: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not files or (isinstance(files, tuple) and "" in files):
            raise ValueError("name at least one file")
        return files

    @classmethod
    def looks_alike(cls, path: Path) -> bool:
        """Whether a file with one of the suffixes is of this layout."""
        raise NotImplementedError

    @classmethod
    def recognise(cls, path: Path) -> Mapping[str, Any] | None:
        """The file itself, if it is of this layout."""
        if not path.name.lower().endswith(cls.suffixes):
            return None
        with reading(path):
            return {"files": str(path)} if cls.looks_alike(path) else None

    def count(self, path: Path) -> int:
        """The entries of a file."""
        raise NotImplementedError

    def read(self, path: Path, first: int, last: int) -> Sample:
        """The rows of the entries ``first:last``; the column ``event`` numbers the events of the file.

        That is the number of the entry where the file does not say it otherwise.
        """
        raise NotImplementedError

    def keeps_events(self, path: Path) -> bool:
        """Whether the file says already which event of all a row is, since hepimg wrote it."""
        return False

    def paths(self) -> list[Path]:
        """The files, sorted within each pattern.

        Raises:
            DataError: there is no such file.
        """
        patterns = [self.files] if isinstance(self.files, str) else self.files
        found: list[Path] = []
        for pattern in patterns:
            expanded = str(Path(pattern).expanduser())
            matches = [Path(match) for match in sorted(glob(expanded, recursive=True))]
            if not matches and not has_magic(expanded):
                raise _missing(Path(expanded), f"source {self.name}")
            if not matches:
                raise DataError(f"no file matches {pattern!r}", where=f"source {self.name}", needed="at least one")
            folders = [match for match in matches if match.is_dir()]
            if folders:
                raise DataError(f"{folders[0]} is a folder", where=f"source {self.name}", needed="files, such as DIR/*")
            found += matches
        once: dict[Path, Path] = {}
        for path in found:
            once.setdefault(path.resolve(), path)
        return list(once.values())

    def first_file(self) -> Path:
        """The file that tells what the others look like."""
        return self.paths()[0]

    def parts(self) -> Sequence[Mapping[str, Any]]:
        """Chunks of all files, in order; a file that was changed is another one."""
        parts: list[Mapping[str, Any]] = []
        for path in self.paths():
            stamp = _stamp(path)
            if (path, *stamp) not in self._counts:
                with reading(path):
                    self._counts[path, *stamp] = self.count(path)
            entries = self._counts[path, *stamp]
            file = {"file": str(path.resolve()), "bytes": stamp[0], "modified": stamp[1]}
            parts += [
                {**file, "first": first, "last": min(first + self.chunk, entries)}
                for first in range(0, entries, self.chunk)
            ]
        if not parts:
            raise DataError(
                "the files are empty: they hold no entry", where=f"source {self.name} ({self.first_file()} ...)"
            )
        return parts

    def batches(self, shard: Shard) -> Iterator[Sample]:
        """The rows of one chunk, checked and selected.

        Raises:
            DataError: the file is damaged, or its numbers are wrong.
        """
        from hepimg.checks import check_sample
        from hepimg_files.identity import event_numbers

        path, first, last = Path(shard.part["file"]), int(shard.part["first"]), int(shard.part["last"])
        with reading(path):
            if _stamp(path) != (shard.part["bytes"], shard.part["modified"]):
                raise DataError("changed while it was read", where=str(path), fix="Run again when nobody writes it.")
            keeps_events = self.keeps_events(path)
        with reading(path), np.errstate(all="ignore"):  # absurd numbers overflow; the checks below name them
            sample = self.read(path, first, last)
        check_sample(sample, str(path))
        check_units(sample, self.rows_out == "jet", str(path))
        keep = self._selected(sample, path)
        files = self.files if isinstance(self.files, str) else ", ".join(self.files)
        self._facts.update(files=files, entries_read=last - first, rows_selected=int(keep.sum()))
        if not keeps_events:
            sample = sample.with_columns(event=event_numbers(path, sample.column("event")))
        sample = sample[keep]
        for start in range(0, max(len(sample), 1), self.batch):
            yield sample[start : start + self.batch]

    def facts(self) -> Mapping[str, float | str]:
        """Which files, how many entries were read, how many rows were kept by ``select``."""
        return dict(self._facts)

    def _selected(self, sample: Sample, path: Path) -> NDArray[np.bool_]:
        """(n_rows,) which rows pass ``select``."""
        keep = np.ones(len(sample), bool)
        for name, wanted in self.select.items():
            try:
                values = sample.column(name)
            except DataError as error:
                raise replace_where(error, f"{path}, select") from error
            if values.ndim > 1:
                shape = ", ".join(map(str, values.shape[1:]))
                raise DataError(
                    f"{name} holds ({shape}) numbers for each row", where=f"{path}, select", needed="one number"
                )
            if isinstance(wanted, tuple):
                low, high = wanted
                keep &= (values >= (-np.inf if low is None else low)) & (values < (np.inf if high is None else high))
            else:
                keep &= values == wanted
        return keep


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever a library raises at a damaged file into one clear error.

    Raises:
        DataError: the file is missing, not readable, or damaged.
    """
    try:
        yield
    except HepimgError as error:
        if isinstance(error, DataError) and not error.where:
            raise replace_where(error, str(path)) from error
        raise
    except FileNotFoundError as error:
        raise _missing(path, str(path)) from error
    except PermissionError as error:
        raise DataError("cannot be read: permission denied", where=str(path)) from error
    except ImportError as error:
        missing = error.name or str(error)
        raise DataError(
            f"needs {missing}, which is not installed", where=str(path), fix=f"pip install {missing}"
        ) from error
    except MemoryError as error:
        raise DataError(
            "claims more entries than memory holds", where=str(path), needed="an undamaged file, or a smaller chunk"
        ) from error
    except Exception as error:  # uproot, h5py, pyarrow, pyhepmc and zlib each have their own; the file is at fault
        said = " ".join(str(error).split())[:200] or "without a word"
        raise DataError(
            f"damaged, or not of this layout ({type(error).__name__}: {said})",
            where=str(path),
            needed="a complete file",
            fix="Copy it anew, or look at it with hepimg show.",
        ) from error


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of the last change."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def replace_where(error: DataError, where: str) -> DataError:
    """The same error at a place."""
    return DataError(error.found, where=where, needed=error.needed, fix=error.fix)


def _missing(path: Path, where: str) -> DataError:
    from hepimg.errors import did_you_mean

    folder = path.parent
    if not folder.is_dir():
        return DataError(f"no folder {folder}", where=where, needed=f"the file {path}")
    beside = [file.name for file in folder.iterdir() if file.is_file()]
    return DataError(f"no file {path}", where=where, needed=did_you_mean(path.name, beside[:10_000]))
