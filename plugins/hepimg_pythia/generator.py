"""A running Pythia: set up from lines, silent, its refusals turned into errors."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hepimg.errors import DataError

MAX_SEED = 900_000_000
"""The largest seed that Pythia takes."""

SHOWER_SCALES = {
    "isr": {
        "default": ("SpaceShower:renormMultFac",),
        "vincia": ("Vincia:renormMultFacEmitI", "Vincia:renormMultFacSplitI", "Vincia:renormMultFacConvI"),
    },
    "fsr": {
        "default": ("TimeShower:renormMultFac",),
        "vincia": ("Vincia:renormMultFacEmitF", "Vincia:renormMultFacSplitF"),
    },
}
"""What multiplies the square of the renormalisation scale, in each shower of Pythia."""


def start(lines: Sequence[str], scales: Sequence[tuple[str, float]], seed: int) -> Any:
    """A ``pythia8mc.Pythia``, initialised.

    Args:
        lines: settings, read in order.
        scales: pairs of a setting and the factor that multiplies its default.
        seed: any whole number.

    Raises:
        DataError: Pythia refuses a line, or cannot start with all of them; with what Pythia said.
    """
    import pythia8mc

    defaults = pythia8mc.Pythia("", False).settings
    scaled = [f"{key} = {defaults.parmDefault(key) * factor}" for key, factor in scales]
    # nextBatch fails where no particle has a production vertex (events without hadrons); this spread has no width
    vertices = "Beams:allowVertexSpread = on"
    fixed = ["Random:setSeed = on", f"Random:seed = {1 + seed % MAX_SEED}"]
    told = [vertices, *scaled, *lines, *fixed]
    pythia = _told(["Print:quiet = on", *told])
    with _captured_output():
        started = pythia.init()
    if not started:
        aloud = _told(told)  # a quiet one keeps its reasons to itself
        with _captured_output() as said:
            aloud.init()
        raise DataError(
            f"Pythia cannot start ({_one_line(said)})",
            where="source pythia",
            needed="a process that is possible at this energy and pt_hat",
            fix=f"The lines were: {'; '.join(lines)}",
        )
    return pythia


def _told(lines: Sequence[str]) -> Any:
    """A Pythia that has read the lines.

    Raises:
        DataError: it refuses one.
    """
    import pythia8mc

    pythia = pythia8mc.Pythia("", False)
    for line in lines:
        with _captured_output() as said:
            accepted = pythia.readString(line)
        if not accepted:
            raise DataError(
                f"Pythia refuses the line {line!r} ({_one_line(said)})",
                where="source pythia",
                needed="a setting that Pythia 8 knows, with a value in its range",
            )
    return pythia


@contextmanager
def _captured_output() -> Iterator[list[str]]:
    """Collect what C++ code writes to standard output (Pythia's complaints, Vincia's banner have no other way out)."""
    said: list[str] = []
    sys.stdout.flush()
    terminal = os.dup(1)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 1)
        try:
            yield said
        finally:
            os.dup2(terminal, 1)
            os.close(terminal)
            file.seek(0)
            said.extend(file.read().decode(errors="replace").splitlines())


def _one_line(said: Sequence[str]) -> str:
    """Pythia's complaints, without the banners around them."""
    words = [line.strip() for line in said if line.strip() and not line.lstrip().startswith(("|", "*", "-"))]
    return " ".join(words) or "without a word"
