"""The hooks of hepimg: what a plugin may offer, declared with pluggy.

A plugin is a module named in the entry-point group ``hepimg``; it implements any of these with :data:`hookimpl`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import typer

    from hepimg.components import Metric, Source, State, Step, Task

GROUP = "hepimg"

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def hepimg_sources() -> Iterable[type[Source]]:
    """Offer sources of events.

    Example::

        @hookimpl
        def hepimg_sources():
            from my_plugin.toys import Toys
            return [Toys]
    """
    raise NotImplementedError


@hookspec
def hepimg_steps() -> Iterable[type[Step]]:
    """Offer steps, on events or on jets.

    Example::

        @hookimpl
        def hepimg_steps():
            from my_plugin.smear import Smear
            return [Smear]
    """
    raise NotImplementedError


@hookspec
def hepimg_tasks() -> Iterable[type[Task]]:
    """Offer tasks: models that learn from jets and say something of jets.

    Example::

        @hookimpl
        def hepimg_tasks():
            from my_plugin.fisher import Fisher
            return [Fisher]
    """
    raise NotImplementedError


@hookspec
def hepimg_metrics() -> Iterable[type[Metric]]:
    """Offer metrics: numbers and figures from predictions on the test rows.

    Example::

        @hookimpl
        def hepimg_metrics():
            from my_plugin.brier import Brier
            return [Brier]
    """
    raise NotImplementedError


@hookspec
def hepimg_commands() -> Iterable[tuple[str, typer.Typer]]:
    """Offer further commands of the command line: pairs of a name and a typer application.

    Example::

        @hookimpl
        def hepimg_commands():
            from my_plugin.commands import app
            return [("compress", app)]
    """
    raise NotImplementedError


@hookspec
def hepimg_after_task(name: str, task: Task, outputs: State) -> None:
    """Observe a task that has just learned: log, plot, export.

    Example::

        @hookimpl
        def hepimg_after_task(name, task, outputs):
            print(name, {key: array.shape for key, array in outputs.items()})

    Args:
        name: what the analysis calls the task.
        task: its component, with the options.
        outputs: its state, named arrays.
    """
    raise NotImplementedError
