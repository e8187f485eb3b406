"""Bars on the terminal; a line at the start and the end of each where there is none (a batch log)."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class Bars:
    """One bar at a time, below the lines already printed.  Use as a context."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]} {task.fields[speed]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._task: TaskID | None = None
        self._label, self._unit, self._note = "", "", ""
        self._done, self._started, self._total = 0, 0.0, 0

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self.console.print(line, highlight=False, markup=False)

    def start(self, label: str, total: int | None, unit: str = "") -> None:
        """Show a new bar of ``total`` units."""
        self._label, self._unit, self._note, self._done, self._started = label, unit, "", 0, time.monotonic()
        self._total = total or 0
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task(label, total=total, unit=unit, note="", speed="")
        if not self.console.is_terminal:
            self.say(f"{label}: {total if total is not None else ''} {unit}".rstrip())

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Move the bar; ``note`` replaces what stands beside it."""
        self._done += amount
        self._note = note or self._note
        seconds = time.monotonic() - self._started
        speed = f"{self._done / seconds:.0f}/s" if self._unit and seconds > 1 else ""
        if self._task is not None:
            self._bars.update(self._task, advance=amount, note=self._note, speed=speed)

    def stop(self) -> None:
        """Take the bar away and leave a line of what was done."""
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None
        seconds = time.monotonic() - self._started
        rate = f", {self._done / seconds:.0f} {self._unit}/s" if self._unit and seconds > 0.5 else ""
        ended = "done" if self._done >= self._total else f"ended after {self._done} of {self._total}"
        self.say(f"{self._label}: {ended} in {seconds:.1f} s{rate}{'; ' + self._note if self._note else ''}")
