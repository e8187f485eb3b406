"""The hooks are documented as they are, and their examples work."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pluggy
import pytest

from hepimg import hooks

PAGE = Path(__file__).parent.parent / "docs" / "hooks.md"
HOOKS: dict[str, Callable[..., Any]] = {name: hook for name, hook in vars(hooks).items() if name.startswith("hepimg_")}


def section(name: str) -> str:
    """What the page says below the heading of a hook."""
    found = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert found, f"docs/hooks.md has no heading ## {name}"
    return found[1]


def blocks(text: str) -> list[str]:
    """The Python in a page."""
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def signature(name: str) -> str:
    """``def name(argument: Type) -> Type: ...``, as the page must have it."""
    return f"def {name}{inspect.signature(HOOKS[name])}: ...".replace("'", "")


def implement(example: str) -> None:
    """Register an example as a plugin does; pluggy refuses unknown hooks and arguments."""
    module: dict[str, Any] = {"hookimpl": hooks.hookimpl}
    exec(compile(textwrap.dedent(example), "example", "exec"), module)
    manager = pluggy.PluginManager(hooks.GROUP)
    manager.add_hookspecs(hooks)
    del module["hookimpl"]
    manager.register(SimpleNamespace(**module))
    manager.check_pending()
    assert any(hook.get_hookimpls() for hook in vars(manager.hook).values())


def test_the_page_has_the_hooks_and_no_others() -> None:
    assert re.findall(r"^## (.*)$", PAGE.read_text(), re.MULTILINE) == list(HOOKS)


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_is_documented_with_its_signature(name: str) -> None:
    assert blocks(section(name))[0].strip() == signature(name)


@pytest.mark.parametrize("name", HOOKS)
def test_the_examples_work(name: str) -> None:
    _, *examples = blocks(section(name))
    docstring = inspect.getdoc(HOOKS[name]) or ""
    in_docstring = re.search(r"^Example::\n\n(.*?)(?=^\S|\Z)", docstring, re.DOTALL | re.MULTILINE)
    assert examples
    assert in_docstring
    for example in (*examples, in_docstring[1]):
        assert f"def {name}(" in example
        implement(example)


def test_all_python_of_the_page_compiles() -> None:
    for block in blocks(PAGE.read_text()):
        compile(block, str(PAGE), "exec")


def test_a_hook_is_declared_in_the_kind_that_the_registry_asks_for() -> None:
    from hepimg.registry import BASES

    offering = {f"hepimg_{kind}s" for kind in BASES}
    assert offering <= set(HOOKS)
    assert set(HOOKS) - offering == {"hepimg_commands", "hepimg_after_task"}
