"""hepimg: jet and calorimeter images with a sparse core.

The public names are resolved when they are first used, so that ``import hepimg`` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hepimg.components import Metric, Source, Step, Task
    from hepimg.dataset import Dataset
    from hepimg.errors import ConfigError, DataError, PluginError
    from hepimg.grid import Axis, Grid
    from hepimg.images import Channel, SparseImages
    from hepimg.particles import Particles
    from hepimg.pipeline import run
    from hepimg.results import Results, load
    from hepimg.sample import Ragged, Sample

__all__ = [
    "Axis", "Channel", "ConfigError", "DataError", "Dataset", "Grid", "Metric", "Particles", "PluginError", "Ragged",
    "Results", "Sample", "Source", "SparseImages", "Step", "Task", "load", "run",
]  # fmt: skip

_HOMES = {
    "components": ("Metric", "Source", "Step", "Task"),
    "dataset": ("Dataset",),
    "errors": ("ConfigError", "DataError", "PluginError"),
    "grid": ("Axis", "Grid"),
    "images": ("Channel", "SparseImages"),
    "particles": ("Particles",),
    "pipeline": ("run",),
    "results": ("Results", "load"),
    "sample": ("Ragged", "Sample"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'hepimg' has no attribute {name!r}")
    return getattr(import_module(f"hepimg.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
