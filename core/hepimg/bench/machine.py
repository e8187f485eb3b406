"""The machine that a measurement was made on."""

from __future__ import annotations

import platform
from pathlib import Path

from hepimg.errors import DataError
from hepimg.store import installed_version
from hepimg.workers import usable_cores


def describe_machine(*libraries: str) -> str:
    """One line: processor, cores, and the versions of hepimg, Python and the named distributions."""
    versions = [f"{name} {installed_version(name)}" for name in ("hepimg", *libraries)]
    return f"{usable_cores()} cores of {_processor()}; Python {platform.python_version()}, {', '.join(versions)}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def threads_to_use(asked: list[int] | None) -> list[int]:
    """The numbers of threads to measure with: those asked for, or one and two, where there are two cores.

    Raises:
        DataError: none, less than one, or more than this process may use.
    """
    cores = usable_cores()
    if asked is None:
        return [threads for threads in (1, 2) if threads <= cores]
    wrong = [threads for threads in asked if not 1 <= threads <= cores]
    if wrong or not asked:
        raise DataError(
            f"--threads {','.join(map(str, wrong))}", needed=f"1 to {cores}: the cores that this process may use"
        )
    return asked
