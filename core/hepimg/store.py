"""The store: samples in shards of Arrow IPC, folders under content keys, and the cache that holds them.

A unit of work owns one folder, named by the hash of everything that decides its content.  Every file is written under a
temporary name and renamed; ``manifest.json`` is written last.  What a folder may gain later (more shards of a sample,
predictions of another split) stands in files of its own, each complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hepimg.components import Component
from hepimg.errors import DataError

MANIFEST = "manifest.json"

KINDS = ("data", "fit", "predict")

KEY = re.compile(r"[0-9a-f]{20}")

CORE = 1
"""Raised when the core itself (kernels, training, random numbers) gives other results for the same options."""


def content_key(**parts: Any) -> str:
    """The first 20 hexadecimal digits of the hash of JSON-like ``parts``: the name of what they decide."""
    text = json.dumps({"core": CORE, **parts}, sort_keys=True, separators=(",", ":"), default=_as_json)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def describe(component: Component, without: Sequence[str] = ()) -> dict[str, Any]:
    """What decides a component's results: its name, version, options, and the versions of its libraries.

    Args:
        component: described.
        without: names of options that do not count.
    """
    return {
        "name": component.name,
        "from": type(component).__module__.partition(".")[0],
        "version": component.version,
        "options": component.model_dump(mode="json", exclude=set(without)),
        "libraries": {library: installed_version(library) for library in component.libraries},
    }


@cache
def installed_version(distribution: str) -> str:
    """The version of an installed distribution, or ``absent``."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "absent"


def _as_json(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} cannot be part of a content key")


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``, renamed to it when the block ends well, removed when it does not.

    Raises:
        DataError: the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise DataError(
            f"cannot write: {error.strerror or error}",
            where=str(path),
            needed="a folder that can be written, with room on its disk",
            fix="Free space or choose another folder (--out, --to, HEPIMG_CACHE); what was finished is kept.",
        ) from error
    finally:
        temporary.unlink(missing_ok=True) if temporary.parent.is_dir() and os.access(
            temporary.parent, os.W_OK
        ) else None


def write_json(path: Path, content: Any) -> None:
    """Write sorted, indented JSON in one piece."""
    with writing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        DataError: it is damaged.
    """
    try:
        return json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"not JSON: {error}", where=str(path), fix="The file is damaged: remove it and run again."
        ) from error


@dataclass(frozen=True)
class Unit:
    """The folder of one unit of work in the cache: ``<cache>/<kind>/<key>``."""

    folder: Path

    @property
    def is_finished(self) -> bool:
        """Whether its work is done."""
        return (self.folder / MANIFEST).exists()

    @property
    def manifest(self) -> dict[str, Any]:
        """What was written when it was finished."""
        content: dict[str, Any] = read_json(self.folder / MANIFEST)
        return content

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Declare the work done."""
        write_json(self.folder / MANIFEST, manifest)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from doing the same work at the same time; a killed process frees it.

        The lock's file stays: removing it would let a process that waits and one that comes anew both hold it.
        """
        from filelock import FileLock, Timeout

        path = self.folder.with_name(self.folder.name + ".lock")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            held = FileLock(path)
            try:
                held.acquire(timeout=0)
            except Timeout:
                sys.stderr.write(f"waiting for another process that makes {self.folder}\n")
                held.acquire()
            os.utime(self.folder)
        except OSError as error:
            raise DataError(
                f"cannot write: {error.strerror or error}",
                where=str(self.folder),
                fix="Set HEPIMG_CACHE to another folder.",
            ) from error
        try:
            yield
        finally:
            held.release()


class Cache:
    """Units of work under one folder: ``HEPIMG_CACHE``, by default the user's cache folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_cache()

    def unit(self, kind: str, key: str) -> Unit:
        """The unit of this kind (``data``, ``fit``, ``predict``) and content key."""
        return Unit(self.folder / kind / key)

    def units(self) -> Iterator[tuple[str, Unit]]:
        """Every unit there is, with its kind; other folders, should there be any, are not touched."""
        for kind in KINDS:
            for folder in sorted((self.folder / kind).glob("*")):
                if folder.is_dir() and KEY.fullmatch(folder.name):
                    yield kind, Unit(folder)

    def clean(self, older_than_days: float = 0.0, unfinished_only: bool = False) -> int:
        """Remove units that are not being made at this moment; the number of bytes that were freed."""
        from filelock import FileLock, Timeout

        freed = 0
        for _, unit in list(self.units()):
            if unfinished_only and unit.is_finished:
                continue
            if time.time() - unit.folder.stat().st_mtime < older_than_days * 86400:
                continue
            path = unit.folder.with_name(unit.folder.name + ".lock")
            try:
                with FileLock(path, timeout=0):
                    freed += size_of(unit.folder)
                    shutil.rmtree(unit.folder)
            except Timeout:
                continue
        return freed


def default_cache() -> Path:
    """``HEPIMG_CACHE``, or the user's cache folder."""
    import platformdirs

    chosen = os.environ.get("HEPIMG_CACHE")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("hepimg"))


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
