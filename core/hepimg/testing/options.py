"""The contract of a component's class and options."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from pydantic import BaseModel, ValidationError

from hepimg.components import Component, Metric, Source, Step, Task
from hepimg.testing.promises import require

REQUIRED: Mapping[type[Component], tuple[str, ...]] = {
    Source: ("writes", "batches"),
    Step: ("writes", "apply"),
    Task: ("writes", "fit", "predict"),
    Metric: ("evaluate",),
}
"""The methods that a component of each kind must write itself."""

ONE_GIVEN = (
    "its default is not what its class is without options: where a file gives one of them, the others would change "
    "too; give it a class with defaults of its own"
)


def check_component(component: type[Component]) -> None:
    """Check a component's class: it is frozen, strict, described, named, versioned, and found by worker processes.

    Example::

        check_component(Smear)
    """
    name: str = getattr(component, "name", "")
    require(bool(name), component.__qualname__, 'it has no name; write name: ClassVar[str] = "..." in it')
    require(bool(re.fullmatch(r"[a-z][a-z0-9_]*", name)), name, "a name is made of a-z, 0-9 and _")
    kinds = [kind for kind in REQUIRED if issubclass(component, kind)]
    require(len(kinds) == 1, name, "a component is a Source, a Step, a Task or a Metric")
    for method in REQUIRED[kinds[0]]:
        require(getattr(component, method) is not getattr(kinds[0], method), name, f"it has no method {method}")
    require(type(component.version) is int and component.version > 0, name, "version is a positive whole number")
    require(all(isinstance(library, str) for library in component.libraries), name, "libraries are names")
    for option in getattr(component, "prediction_options", ()):
        require(option in component.model_fields, name, f"prediction_options names {option}, which is no option")
    require(bool(component.__doc__), name, "it has no docstring")
    _check_model(component, name)
    found = getattr(import_module(component.__module__), component.__name__, None)
    require(found is component, name, "worker processes cannot find the class: it must stand at the top of a module")


def check_options(component: Component) -> None:
    """Options survive the way through a file: results are kept under them."""
    text = component.model_dump_json()
    again = type(component).model_validate_json(text, strict=True)
    require(again == component, component.name, f"options come back from JSON as {again!r}")


def _check_model(model: type[BaseModel], who: str) -> None:
    """Frozen, strict and described, down to the models in its fields."""
    require(model.model_config.get("frozen") is True, who, f"{model.__name__} is not frozen")
    require(model.model_config.get("extra") == "forbid", who, f"{model.__name__} takes unknown options")
    for name, field in model.model_fields.items():
        for inner in _models_in(field.annotation):
            if not inner.__module__.startswith("hepimg."):
                _check_model(inner, who)
        require(bool(field.description), who, f"Field(description=...) of {model.__name__}.{name} is missing")
        if isinstance(field.default, BaseModel):
            require(_is_plain(field.default), who, f"{model.__name__}.{name}: {ONE_GIVEN}")


def _is_plain(default: BaseModel) -> bool:
    """Whether it is what its class is without options, if that is anything."""
    try:
        return type(default)() == default
    except ValidationError:
        return True


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in typing.get_args(annotation) for model in _models_in(argument)]
