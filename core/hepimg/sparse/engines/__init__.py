"""Engines: who does the arithmetic of a sparse convolution.

An engine is a module with one function, ``convolve(features, kernel, rules)``: features (n_inputs, in) on the input
sites of the rules and a kernel (taps, in, out) give features (n_outputs, out).  Rules are the same for all engines.
"""

from contextvars import ContextVar
from functools import cache
from importlib import import_module
from types import TracebackType
from typing import Protocol, cast, get_args

import torch
from torch import Tensor

from hepimg.engine import EngineName, resolve_engine
from hepimg.sparse.rules import Rules


class Engine(Protocol):
    """What a module of this package offers."""

    def convolve(self, features: Tensor, kernel: Tensor, rules: Rules, onto: Tensor | None = None) -> Tensor:
        """Sum ``features[i] @ kernel[k]`` over the pairs (i, o) of each kernel position k, for each output site o.

        ``onto``, (n_outputs, out), is added to the sum.
        """


ENGINES: tuple[EngineName, ...] = get_args(EngineName)
_chosen: ContextVar[EngineName] = ContextVar("hepimg_sparse_engine", default="auto")


class use_engine:  # noqa: N801 - used like torch.set_grad_enabled, as a call or a context
    """Choose the engine of all sparse convolutions, from here on or within a ``with`` block.

    Args:
        name: ``native`` (any device, any number of threads, twice differentiable); ``spconv`` (CUDA; on the CPU forward
            only and with one thread); ``dense`` (torch's convolution on full images, for tests and benchmarks);
            ``auto`` (default: spconv on CUDA where its CUDA build is installed and the type is not bfloat16, otherwise
            native).  A gradient penalty needs native or dense: spconv is not twice differentiable.
    """

    def __init__(self, name: EngineName) -> None:
        if name not in ENGINES:
            raise ValueError(f"no engine {name!r}; there are {', '.join(ENGINES)}")
        self._token = _chosen.set(name)

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _chosen.reset(self._token)


def convolve(features: Tensor, kernel: Tensor, rules: Rules, onto: Tensor | None = None) -> Tensor:
    """Convolve with the chosen engine; arguments as in :class:`Engine`.

    Under ``torch.autocast`` both factors are rounded to its type first, as for torch's own convolutions.
    """
    features, kernel = _autocast(features), _autocast(kernel)
    name = _chosen.get()
    if name == "auto" and features.dtype == torch.bfloat16:
        name = "native"  # spconv does not know this type
    engine = _engine(name, features.device.type)
    if onto is not None and onto.dtype != features.dtype:
        return engine.convolve(features, kernel, rules) + onto
    return engine.convolve(features, kernel, rules, onto)


@cache
def _engine(name: EngineName, device: str) -> Engine:
    return cast(Engine, import_module(f"{__name__}.{resolve_engine(name, device)}"))


def _autocast(factor: Tensor) -> Tensor:
    """The factor in the type of the autocast region; float64 stays, as torch keeps it."""
    device = factor.device.type
    if factor.dtype == torch.float64 or not torch.is_autocast_enabled(device):
        return factor
    return factor.to(torch.get_autocast_dtype(device))
