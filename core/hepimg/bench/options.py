"""What the commands of ``hepimg bench`` have in common: their options, and how a list in one of them is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hepimg.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from hepimg.particles import Particles
    from hepimg.progress import Bars

Json = Annotated[Path | None, typer.Option("--json", help="Write the rows: a list of flat objects.")]
Figure = Annotated[Path | None, typer.Option("--figure", help="Draw a figure (PNG, PDF or SVG).")]
Threads = Annotated[
    str | None, typer.Option("--threads", help="Numbers of threads, such as 1,2; default: 1 and 2.", metavar="LIST")
]
Rounds = Annotated[int, typer.Option("--rounds", min=1, help="Turns of each work; the median counts.")]
Quick = Annotated[bool, typer.Option("--quick", help="A small selection and few rounds: seconds.")]
Jets = Annotated[
    Path | None, typer.Option("--jets", help="A shard of jets, or a folder of shards, instead of Pythia's.")
]
Synthetic = Annotated[bool, typer.Option("--synthetic", help="Made-up jets: no generator is needed.")]


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.replace(" ", ",").split(",") if part]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of whole numbers such as 1,2") from None


def read_sizes(text: str) -> list[int]:
    """``20,40`` as numbers of at least 1."""
    numbers = _numbers(text)
    if not numbers or min(numbers) < 1:
        raise typer.BadParameter(f"{text!r}: one or more numbers of at least 1 are needed")
    return numbers


def read_fractions(text: str) -> list[float]:
    """``0.01,0.1`` as fractions of all cells."""
    try:
        numbers = [float(part) for part in text.replace(" ", ",").split(",") if part]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of numbers such as 0.01,0.1") from None
    if not all(0 < number <= 1 for number in numbers):
        raise typer.BadParameter(f"{text!r}: occupancies are fractions of all cells, above 0 and at most 1")
    return numbers


def read_threads(text: str | None) -> list[int]:
    """``1,2`` as numbers of threads that there are; None: one and two."""
    from hepimg.bench.machine import threads_to_use

    return threads_to_use(None if text is None else _numbers(text))


def read_names(text: str, known: Sequence[str], option: str) -> list[str]:
    """``dense,gemm`` as names.

    Raises:
        DataError: one is not among ``known``.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise DataError(f"{option} {name}: unknown; {did_you_mean(name, known)}")
    return names


def read_jets(
    file: Path | None, synthetic: bool, samples: Sequence[str], number: int, bars: Bars
) -> tuple[str, Particles]:
    """Where the jets are from, and the jets."""
    from hepimg.bench.jets import jets_of_file, made_up_jets, pythia_jets

    if file is not None:
        return "file", jets_of_file(file, number)
    if synthetic:
        return "made up", made_up_jets(number)
    return "pythia", pythia_jets(samples, number, bars)
