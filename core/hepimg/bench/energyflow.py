"""EnergyFlow as a peer, in a Python of its own: it needs another NumPy (benchmarks/energyflow/requirements.txt)."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hepimg.bench.timing import Work
from hepimg.errors import DataError
from hepimg.particles import Particles

SERVER = Path(__file__).parents[3] / "benchmarks" / "energyflow" / "serve.py"
"""In a checkout of hepimg; what is installed of it has no benchmarks."""


class EnergyFlow:
    """A running server; the time that a line takes to it and back, a tenth of a millisecond, counts as its own."""

    def __init__(self, process: subprocess.Popen[str], versions: dict[str, str]) -> None:
        self._process, self.versions = process, versions

    def work(self, name: str, argument: float) -> Work:
        """Something to call that takes as long as EnergyFlow does."""
        return lambda: self._ask(name, argument, values=False)

    def values(self, name: str, argument: float) -> Any:
        """The result, (n_jets,)."""
        return np.array(self._ask(name, argument, values=True))

    def _ask(self, name: str, argument: float, *, values: bool) -> Any:
        asked = json.dumps({"work": name, "argument": argument, "values": values})
        print(asked, file=self._process.stdin, flush=True)
        answer = next(iter(self._process.stdout or ()), "")
        if not answer:
            raise DataError("EnergyFlow's process has ended", where=f"{name} {argument}")
        return json.loads(answer)


@contextmanager
def start_energyflow(python: Path, jets: Particles) -> Iterator[EnergyFlow]:
    """Run the server on some jets with the interpreter ``python``.

    Raises:
        DataError: there is no server here, or it does not start.
    """
    if not SERVER.exists():
        raise DataError("EnergyFlow's script is not here", where=str(SERVER), needed="a checkout of hepimg")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "jets.npz"
        np.savez(file, offsets=jets.offsets, pt=jets.pt, y=jets.y, phi=jets.phi)
        try:
            process = subprocess.Popen(
                [python, SERVER, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        except OSError as error:
            raise DataError(f"it does not start: {error.strerror}", where=f"--energyflow-python {python}") from error
        with process:
            greeting = next(iter(process.stdout or ()), "")
            if not greeting:
                last = ["no message", *(process.stderr or ())][-1].strip()
                raise DataError(last, where=f"--energyflow-python {python}",
                                fix="Install benchmarks/energyflow/requirements.txt there.")  # fmt: skip
            yield EnergyFlow(process, json.loads(greeting))
