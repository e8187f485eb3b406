"""Engines by name: which there are, what ``auto`` means, and which cannot work; without importing torch."""

from __future__ import annotations

from functools import cache
from importlib.metadata import distributions
from importlib.util import find_spec
from typing import Literal

EngineName = Literal["auto", "native", "spconv", "dense"]

CUDA_BUILD = "spconv-cu"
"""How the distributions of spconv for CUDA are called: spconv-cu120, spconv-cu126 ...; ``spconv`` alone is for CPUs."""


def resolve_engine(name: EngineName, device: str) -> EngineName:
    """The engine that computes on ``cpu`` or ``cuda``; ``auto``: spconv on CUDA, if its build for CUDA is installed."""
    if name != "auto":
        return name
    return "spconv" if device == "cuda" and _cuda_build() else "native"


def describe_engine(name: EngineName) -> str:
    """What decides an engine's rounding besides torch: its name, and for spconv the build and its version."""
    return (_cuda_build() or name) if name == "spconv" else name


def why_engine_fails(name: EngineName, device: str, threads: int) -> str | None:
    """Why networks cannot be trained by an engine on ``cpu`` or ``cuda``, and what to do; None: they can."""
    if name != "spconv":
        return None
    if device == "cpu":
        wrong = f", and its results are wrong with several threads, here {threads}" if threads > 1 else ""
        return f"spconv cannot train on the CPU{wrong}; set engine: native, or device: cuda"
    if find_spec("spconv") is None:
        return "the package spconv is not installed; pip install 'hepimg[cuda]', or set engine: native"
    if not _cuda_build():
        return (
            "the installed spconv is the build for CPUs; pip uninstall spconv cumm, then pip install 'hepimg[cuda]', "
            "or set engine: native"
        )
    return None


@cache
def _cuda_build() -> str | None:
    """Name and version of the installed spconv for CUDA."""
    found = (f"{build.name} {build.version}" for build in distributions() if str(build.name).startswith(CUDA_BUILD))
    return next(found, None)
