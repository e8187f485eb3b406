"""Registry: every component of every installed plugin, by kind and name."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, Literal

import pluggy

from hepimg import hooks
from hepimg.components import Component, Metric, Source, Step, Task
from hepimg.errors import PluginError, did_you_mean

Kind = Literal["source", "step", "task", "metric"]

RESERVED: dict[Kind, set[str]] = {
    "source": {"source", "steps", "rows", "of"},
    "step": {"step"},
    "task": {"task", "train", "apply", "saved", "train_rows", "seeds", "scan", "test_draws"},
    "metric": {"metric", "label"},
}
"""Keys that an analysis file uses beside a component's options."""

BASES: dict[Kind, type[Component]] = {"source": Source, "step": Step, "task": Task, "metric": Metric}


@dataclass
class Plugin:
    """One installed plugin: where it is from, what it offers, and what is wrong with it."""

    name: str
    distribution: str
    version: str
    module: str
    components: list[tuple[Kind, str]] = field(default_factory=list)
    failure: str = ""
    log: str = ""


@dataclass
class Entry:
    """A component's class and the plugin that offers it."""

    component: type[Component]
    plugin: Plugin


class Registry:
    """The components found in the entry points of the group ``hepimg``.

    A plugin that fails to load, or offers what it must not, is kept with its failure and hurts nobody else.  A name
    offered twice belongs to nobody: looking it up names both plugins.
    """

    def __init__(self, points: Iterator[EntryPoint] | None = None) -> None:
        self.plugins: list[Plugin] = []
        self._entries: dict[Kind, dict[str, list[Entry]]] = {kind: {} for kind in BASES}
        self._pluggy = pluggy.PluginManager(hooks.GROUP)
        self._pluggy.add_hookspecs(hooks)
        found = points if points is not None else entry_points(group=hooks.GROUP)
        for point in sorted(found, key=lambda point: (point.name, point.value)):
            self._load(point)

    def _load(self, point: EntryPoint) -> None:
        distribution = point.dist.name if point.dist else ""
        plugin = Plugin(point.name, distribution, point.dist.version if point.dist else "", point.value)
        self.plugins.append(plugin)
        try:
            module = point.load()
            self.add(plugin, module)
        except (Exception, SystemExit) as error:
            plugin.failure = f"{type(error).__name__}: {error}"
            plugin.log = traceback.format_exc()

    def add(self, plugin: Plugin, module: ModuleType | Any) -> None:
        """Register the hooks of one module and take in what they offer.

        Raises:
            PluginError: a hook is misspelt, or returns something that is no component of its kind.
        """
        self._refuse_unknown_hooks(module)
        name = self._pluggy.register(module, name=f"{plugin.name} ({plugin.module})")
        try:
            self._pluggy.check_pending()
            offers = [(kind, entry) for kind in BASES for entry in self._offers(plugin, module, kind)]
        except Exception:
            self._pluggy.unregister(name=name)
            raise
        for kind, entry in offers:
            self._entries[kind].setdefault(entry.component.name, []).append(entry)
            plugin.components.append((kind, entry.component.name))

    def _refuse_unknown_hooks(self, module: ModuleType | Any) -> None:
        known = [name for name in vars(hooks) if name.startswith("hepimg_")]
        for name in dir(module):
            if self._pluggy.parse_hookimpl_opts(module, name) is not None and name not in known:
                raise PluginError(f"unknown hook {name!r}; {did_you_mean(name, known)}")

    def _offers(self, plugin: Plugin, module: ModuleType | Any, kind: Kind) -> list[Entry]:
        hook = getattr(module, f"hepimg_{kind}s", None)
        if hook is None:
            return []
        entries = []
        for component in hook():
            if not (isinstance(component, type) and issubclass(component, BASES[kind])):
                raise PluginError(
                    f"hepimg_{kind}s returned {component!r}, which is no subclass of {BASES[kind].__name__}"
                )
            if not isinstance(getattr(component, "name", None), str):
                raise PluginError(f'{component.__qualname__} has no name; write name: ClassVar[str] = "..." in it')
            taken = RESERVED[kind] & {field.alias or name for name, field in component.model_fields.items()}
            if taken:
                raise PluginError(
                    f"{component.__qualname__} has the option {min(taken)!r}, which analyses use themselves"
                )
            entries.append(Entry(component, plugin))
        return entries

    def names(self, kind: Kind) -> list[str]:
        """The names that can be looked up."""
        return sorted(self._entries[kind])

    def usable(self, kind: Kind) -> list[type[Component]]:
        """The components that one plugin alone offers under their name."""
        named = self._entries[kind]
        return [named[name][0].component for name in sorted(named) if len(named[name]) == 1]

    def find(self, kind: Kind, name: str) -> Entry:
        """The component of this kind and name.

        Raises:
            LookupError: there is none, or two plugins offer it; the message suggests near names.
        """
        entries = self._entries[kind].get(name, [])
        if len(entries) == 1:
            return entries[0]
        if entries:
            both = " and ".join(f"{entry.plugin.name} ({entry.plugin.distribution})" for entry in entries)
            raise LookupError(f"{kind} {name!r} is offered by two plugins, {both}; uninstall one of them")
        message = f"no {kind} is called {name!r}; {did_you_mean(name, self.names(kind))}"
        broken = [f"{plugin.name} ({plugin.failure})" for plugin in self.plugins if plugin.failure]
        if broken:
            message += f"; these plugins failed to load: {', '.join(broken)}"
        raise LookupError(message)

    def collisions(self) -> list[str]:
        """A line for each name that two plugins offer."""
        return [
            f"{kind} {name!r} is offered by {' and '.join(entry.plugin.name for entry in entries)}"
            for kind, named in self._entries.items()
            for name, entries in named.items()
            if len(entries) > 1
        ]

    def plugin_of(self, component: Component) -> str:
        """The name of the plugin that offers a component."""
        kind = next(kind for kind, base in BASES.items() if isinstance(component, base))
        return self.find(kind, component.name).plugin.name

    @property
    def hook(self) -> pluggy.HookRelay:
        """The hooks of all plugins, to be called."""
        return self._pluggy.hook


@lru_cache(maxsize=1)
def load_registry() -> Registry:
    """The registry of this process, made at its first use."""
    return Registry()
