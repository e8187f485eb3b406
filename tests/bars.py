"""A progress bar for tests."""

from __future__ import annotations


class Steps:
    """A bar that remembers how far it was moved, and can raise on the way."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at, self.total, self.done = stop_at, 0, 0

    def start(self, label: str, total: int | None, unit: str = "") -> None:
        self.total = total or 0

    def advance(self, amount: int = 1, note: str = "") -> None:
        self.done += amount
        if self.stop_at is not None and self.done >= self.stop_at:
            raise KeyboardInterrupt

    def stop(self) -> None:
        pass
