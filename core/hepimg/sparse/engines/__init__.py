"""Engines: who does the arithmetic of a sparse convolution.

An engine is a module with one function, ``convolve(features, kernel, rules)``: features (n_inputs, in) on the input
sites of the rules and a kernel (taps, in, out) give features (n_outputs, out).  Rules are the same for all engines.
"""

from contextvars import ContextVar
from importlib import import_module
from importlib.util import find_spec
from types import TracebackType
from typing import Protocol, cast

from torch import Tensor

from hepimg.sparse.rules import Rules


class Engine(Protocol):
    """What a module of this package offers."""

    def convolve(self, features: Tensor, kernel: Tensor, rules: Rules) -> Tensor:
        """Sum ``features[i] @ kernel[k]`` over the pairs (i, o) of each kernel position k, for each output site o."""


ENGINES = ("native", "spconv", "dense", "auto")
_chosen: ContextVar[str] = ContextVar("hepimg_sparse_engine", default="native")


class use_engine:  # noqa: N801 - used like torch.set_grad_enabled, as a call or a context
    """Choose the engine of all sparse convolutions, from here on or within a ``with`` block.

    Args:
        name: ``native`` (default; any device, any number of threads, twice differentiable); ``spconv`` (CUDA; on the
            CPU forward only and with one thread); ``dense`` (torch's convolution on full images, for tests);
            ``auto`` (spconv on CUDA where it is installed, otherwise native).
    """

    def __init__(self, name: str) -> None:
        if name not in ENGINES:
            raise ValueError(f"no engine {name!r}; there are {', '.join(ENGINES)}")
        self._token = _chosen.set(name)

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _chosen.reset(self._token)


def convolve(features: Tensor, kernel: Tensor, rules: Rules) -> Tensor:
    """Convolve with the chosen engine; arguments as in :class:`Engine`."""
    name = _chosen.get()
    if name == "auto":
        name = "spconv" if features.is_cuda and find_spec("spconv") else "native"
    engine = cast(Engine, import_module(f"{__name__}.{name}"))
    return engine.convolve(features, kernel, rules)
