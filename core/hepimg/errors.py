"""What can go wrong, said once and clearly: what was found, where, what was needed, and the fix.

``UserError`` is the user's input (exit code 2, no traceback); ``PluginError`` is a fault in a component (exit code 1,
named with its plugin, its traceback kept for the log).
"""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


class HepimgError(Exception):
    """The base of every error that hepimg raises on purpose."""

    exit_code = 1


class UserError(HepimgError):
    """The input is wrong: the message says what to change."""

    exit_code = 2


class DataError(UserError):
    """Data break a rule.

    Args:
        found: what is wrong, with the offending value.
        where: file, row, field.
        needed: what would have been right.
        fix: what the user can do.
    """

    def __init__(self, found: str, *, where: str = "", needed: str = "", fix: str = "") -> None:
        self.found, self.where, self.needed, self.fix = found, where, needed, fix
        message = f"{where}: {found}" if where else found
        if needed:
            message += f"; needed: {needed}"
        if fix:
            message += f". {fix}"
        super().__init__(message)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_data_error, (self.found, self.where, self.needed, self.fix)


def _rebuild_data_error(found: str, where: str, needed: str, fix: str) -> DataError:
    """Rebuild an error that crossed a process boundary (keyword-only arguments do not survive by themselves)."""
    return DataError(found, where=where, needed=needed, fix=fix)


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong in an analysis file: ``file:line: path: message``."""

    line: int
    path: str
    message: str
    source: str = ""

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}" if self.line else self.source
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ConfigError(UserError):
    """An analysis file, an option, or a name in it is wrong; carries every problem found, not the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)))


class PluginError(HepimgError):
    """A component broke its contract or raised.

    Args:
        message: what happened.
        plugin: the package that the component is from.
        where: the sample and shard, the task, the metric that was being worked on.
        trace: the traceback, for the log.
    """

    def __init__(self, message: str, plugin: str = "", where: str = "", trace: str = "") -> None:
        self.message, self.plugin, self.where, self.trace = message, plugin, where, trace
        super().__init__(": ".join(part for part in (f"plugin {plugin}" if plugin else "", where, message) if part))

    def __reduce__(self) -> tuple[object, ...]:
        return PluginError, (self.message, self.plugin, self.where, self.trace)


@contextmanager
def blame(component: object, where: str) -> Iterator[None]:
    """Turn what a component raises into a :class:`PluginError` that names it; hepimg's own errors learn the place.

    Raises:
        PluginError: the component raised.
        DataError: as it was raised, with the place if it had none.
    """
    try:
        yield
    except DataError as error:
        if error.where:
            raise
        raise DataError(error.found, where=where, needed=error.needed, fix=error.fix) from error
    except PluginError as error:
        if where in error.where:
            raise
        raise PluginError(error.message, error.plugin, f"{where}, {error.where}", error.trace) from error
    except HepimgError:
        raise
    except Exception as error:
        package = type(component).__module__.partition(".")[0]
        message = f"{getattr(component, 'name', package)}: {type(error).__name__}: {error}"
        raise PluginError(message, package, where, traceback.format_exc()) from error


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A clause that names the nearest known names, or lists them all when none is near.

    >>> did_you_mean("patle", ["plate", "fork"])
    "did you mean 'plate'?"
    """
    known = sorted(set(known))
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    return f"known: {', '.join(known)}" if known else "none is known"
