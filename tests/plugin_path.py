"""Plugins for tests, installed by a few files on the path, without pip; and the command line in its own process."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from importlib.metadata import EntryPoint, distributions
from pathlib import Path

TESTS = Path(__file__).parent
TOYS = TESTS / "toys"


def install(folder: Path, name: str, points: Mapping[str, str], version: str = "0") -> None:
    """Write the metadata of a distribution, enough for importlib.metadata once ``folder`` is on the path.

    Args:
        folder: where to; several distributions may share it.
        name: of the distribution.
        points: entry points of the group ``hepimg``: name of the plugin -> module.
        version: of the distribution.
    """
    metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [f"{plugin} = {module}" for plugin, module in points.items()]
    (metadata / "entry_points.txt").write_text("\n".join(["[hepimg]", *lines, ""]))


def install_toys(folder: Path) -> str:
    """Install the toy plugins; returns what must be on the path: ``command(..., path=install_toys(tmp_path))``."""
    project = tomllib.loads((TOYS / "pyproject.toml").read_text())["project"]
    install(folder, project["name"], project["entry-points"]["hepimg"], project["version"])
    return os.pathsep.join(map(str, (folder, TOYS)))


def install_module(folder: Path, plugin: str, source: str) -> None:
    """Write a plugin of one module, ``plugin_<name>``, and install it as ``dist-<name>``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"plugin_{plugin}.py").write_text(source)
    install(folder, f"dist-{plugin}", {plugin: f"plugin_{plugin}"})


def points_in(*folders: Path) -> list[EntryPoint]:
    """The plugins installed in some folders, for ``Registry(points)``."""
    found = distributions(path=[str(folder) for folder in folders])
    return [point for one in found for point in one.entry_points.select(group="hepimg")]


def command(*arguments: str | Path, path: str, cache: Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run ``hepimg`` in a process of its own.

    Args:
        arguments: of the command line.
        path: ``PYTHONPATH``, where further plugins are.
        cache: ``HEPIMG_CACHE``.
        timeout: seconds.
    """
    environment = os.environ | {"PYTHONPATH": path, "HEPIMG_CACHE": str(cache), "COLUMNS": "300", "NO_COLOR": "1"}
    program = "import sys; from hepimg.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=environment, capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip
