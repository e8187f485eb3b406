"""The registry: what plugins offer, and that a broken one hurts nobody."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from hepimg.registry import Registry
from plugin_path import TOYS, install_module, install_toys, points_in

GOOD = """
from typing import ClassVar
from hepimg.components import Column, Step
from hepimg.hooks import hookimpl

class {name}(Step):
    name: ClassVar[str] = "{name}"
    def writes(self, ports): return []
    def apply(self, sample, seed): return sample

@hookimpl
def hepimg_steps():
    return [{name}]
"""

HOOK = "from hepimg.hooks import hookimpl\n@hookimpl\ndef {signature}: return {result}\n"

BROKEN = {
    "absent": ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
    "syntax": ("def f(:\n", "SyntaxError"),
    "raises": ("raise ValueError('sorry')", "ValueError: sorry"),
    "quits": ("raise SystemExit(3)", "SystemExit: 3"),
    "misspelt": (HOOK.format(signature="hepimg_task()", result="[]"), "unknown hook 'hepimg_task'; did you mean"),
    "arguments": (HOOK.format(signature="hepimg_after_task(nam)", result="None"), "PluginValidationError"),
    "rubbish": (HOOK.format(signature="hepimg_steps()", result="['smear']"), "'smear', which is no subclass of Step"),
    "nothing": (HOOK.format(signature="hepimg_tasks()", result="None"), "TypeError"),
    "kind": (GOOD.format(name="wrong").replace("hepimg_steps", "hepimg_tasks"), "which is no subclass of Task"),
    "reserved": (
        GOOD.format(name="reserved").replace("    def writes", "    step: int = 1\n    def writes"),
        "has the option 'step', which analyses use themselves",
    ),
    "nameless": (GOOD.format(name="nameless").replace("name: ClassVar", "nam: ClassVar"), "nameless has no name"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path, for plugins."""
    monkeypatch.syspath_prepend(str(TOYS))
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_plugins_are_found_by_their_entry_points(folder: Path) -> None:
    install_toys(folder)
    registry = Registry()
    toys = next(plugin for plugin in registry.plugins if plugin.name == "toys")
    assert (toys.distribution, toys.version, toys.module) == ("hepimg-toys", "0", "hepimg_toys")
    sources = [("source", name) for name in ("toy_jets", "toy_file", "toy_events")]
    assert toys.components == [*sources, ("step", "toy_mix")]
    assert not toys.failure
    entry = registry.find("source", "toy_jets")
    assert entry.plugin is toys
    assert registry.plugin_of(entry.component()) == "toys"
    assert {"pythia", "toy_jets"} <= set(registry.names("source"))


def test_an_entry_point_without_a_distribution_is_a_plugin_too(folder: Path) -> None:
    registry = Registry([EntryPoint("toys", "hepimg_toys", "hepimg")])  # type: ignore[arg-type]
    assert registry.names("source") == ["toy_events", "toy_file", "toy_jets"]


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_kept_with_its_failure_and_hurts_nobody(case: str, folder: Path) -> None:
    source, failure = BROKEN[case]
    install_module(folder, f"a_{case}", source)
    install_toys(folder)
    registry = Registry(points_in(folder))  # type: ignore[arg-type]
    broken, *others = registry.plugins
    assert failure in broken.failure
    assert "Traceback" in broken.log
    assert broken.components == []
    assert [plugin.failure for plugin in others] == ["", ""]
    assert registry.find("source", "toy_jets").plugin.name == "toys"
    with pytest.raises(LookupError, match=rf"failed to load: a_{case} \("):
        registry.find("step", "smear")


def test_a_name_offered_twice_belongs_to_nobody(folder: Path) -> None:
    install_module(folder, "first", GOOD.format(name="smear"))
    install_module(folder, "second", GOOD.format(name="smear"))
    install_module(folder, "third", GOOD.format(name="shift"))
    registry = Registry(points_in(folder))  # type: ignore[arg-type]
    with pytest.raises(LookupError, match=r"offered by two plugins, first \(dist-first\) and second \(dist-second\)"):
        registry.find("step", "smear")
    assert registry.collisions() == ["step 'smear' is offered by first and second"]
    assert registry.find("step", "shift").plugin.name == "third"


def test_one_name_may_belong_to_components_of_two_kinds(folder: Path) -> None:
    install_module(folder, "smear", GOOD.format(name="toy_jets"))
    install_toys(folder)
    registry = Registry(points_in(folder))  # type: ignore[arg-type]
    assert registry.collisions() == []
    assert registry.find("step", "toy_jets").plugin.name == "smear"


def test_near_names_are_suggested(folder: Path) -> None:
    install_toys(folder)
    with pytest.raises(LookupError, match="no source is called 'toyjets'; did you mean 'toy_jets'"):
        Registry(points_in(folder)).find("source", "toyjets")  # type: ignore[arg-type]


def test_observers_of_all_plugins_are_called(folder: Path) -> None:
    for name in ("one", "two"):
        source = HOOK.format(signature="hepimg_after_task(name, outputs)", result="seen.append((name, list(outputs)))")
        install_module(folder, f"sees_{name}", f"seen = []\n{source}")
    registry = Registry(points_in(folder))  # type: ignore[arg-type]
    registry.hook.hepimg_after_task(name="tag", task=None, outputs={"w": 1})
    seen = [import_module(f"plugin_sees_{name}").seen for name in ("one", "two")]
    assert seen == [[("tag", ["w"])]] * 2
