"""The faults that pydantic finds in options, in our words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import UnionType
from typing import Any, Union, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from hepimg.errors import did_you_mean
from hepimg.yaml_lines import Place


def explain(
    error: ValidationError, model: type[BaseModel], content: Any, beside: Iterable[str]
) -> Iterator[tuple[Place, str]]:
    """Each fault's place inside ``content`` and a message; an option of several possible types has one fault, not many.

    Args:
        error: what pydantic found.
        model: what the content was meant for.
        content: what was given.
        beside: keys that may stand with the model's own.
    """
    faults = error.errors(include_url=False)
    for name in dict.fromkeys(_option(fault) for fault in faults):
        of_option = [fault for fault in faults if _option(fault) == name]
        field = model.model_fields.get(str(name))
        if field is not None and len(of_option) > 1 and get_origin(field.annotation) in (Union, UnionType):
            yield (name,), _explain_choice(of_option, field, content[name])
            continue
        for fault in of_option:
            where = tuple(part for part in fault["loc"] if not (isinstance(part, str) and "[" in part))
            yield where, _explain_fault(fault, model, beside)


def _option(fault: Any) -> str | int:
    """The option in which a fault is."""
    return fault["loc"][0] if fault["loc"] else ""


def _explain_fault(fault: Any, model: type[BaseModel], beside: Iterable[str]) -> str:
    """A pydantic fault in our words; ``beside`` are keys that may stand with the model's own."""
    if fault["type"] == "extra_forbidden":
        known = set(beside) if len(fault["loc"]) == 1 else set()
        for part in fault["loc"][:-1]:
            inner = _fields(model).get(str(part))
            model = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else model
        return f"unknown key; {did_you_mean(str(fault['loc'][-1]), known | set(_fields(model)))}"
    if fault["type"] == "missing":
        return "missing; it must be given"
    message: str = fault["msg"].removeprefix("Value error, ")
    given = fault["input"]
    return f"{message}; found {given!r}" if not isinstance(given, (dict, list)) else message


def _explain_choice(faults: Sequence[Any], field: FieldInfo, given: Any) -> str:
    """One message for an option of several possible types, all of which complain: the telling one, if there is one."""
    of_type = ("missing", "extra_forbidden", "model_type", "tuple_type", "too_short", "too_long")
    telling = [fault for fault in faults if fault["type"] not in of_type and not fault["type"].endswith("_type")]
    if len(telling) == 1:
        return f"{telling[0]['msg'].removeprefix('Value error, ')}; found {given!r}"
    return f"found {given!r}; needed: {field.description}"


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    """What YAML calls the fields of a model, and their types."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}
