"""JSON schemas of analysis files and components, for editors and for people."""

from __future__ import annotations

from typing import Any

from hepimg.analysis import AnalysisOptions, MetricOptions, TaskOptions
from hepimg.errors import ConfigError, Problem, did_you_mean
from hepimg.options import Options
from hepimg.registry import BASES, Kind, Registry, load_registry

COMMON: dict[Kind, type[Options]] = {"task": TaskOptions, "metric": MetricOptions}
"""What may be said of every component of a kind."""


def component_schema(kind: str, name: str | None) -> dict[str, Any]:
    """The options of one component, or of all of a kind when no name is given.

    Raises:
        ConfigError: there is no such kind or name.
    """
    registry = load_registry()
    if kind not in BASES:
        raise ConfigError([Problem(0, kind, f"no such kind; {did_you_mean(kind, BASES)}")])
    if name is None:
        return {name: _options(registry, kind, name) for name in registry.names(kind)}
    try:
        return _options(registry, kind, name)
    except LookupError as error:
        raise ConfigError([Problem(0, name, str(error))]) from error


def analysis_schema() -> dict[str, Any]:
    """The schema of a whole analysis file, with every installed component."""
    registry = load_registry()
    schema = AnalysisOptions.model_json_schema()
    definitions = schema.setdefault("$defs", {})
    for kind in BASES:
        usable = [component.name for component in registry.usable(kind)]
        definitions[kind] = {
            "anyOf": [{"enum": usable}, *(_mapping(registry, kind, name, definitions) for name in usable)]
        }
    properties = schema["properties"]
    data = definitions["DataOptions"]["properties"]
    data["source"] = {"$ref": "#/$defs/source"}
    for place, kind in (
        (data["steps"], "step"),
        (properties["preprocess"], "step"),
        (properties["evaluate"], "metric"),
    ):
        place["items"] = {"$ref": f"#/$defs/{kind}"}
    properties["tasks"]["additionalProperties"] = {"$ref": "#/$defs/task"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "hepimg analysis"}


def _options(registry: Registry, kind: Kind, name: str) -> dict[str, Any]:
    return registry.find(kind, name).component.model_json_schema()


def _mapping(registry: Registry, kind: Kind, name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """The long form of a component: ``{step: rotate, angle: random}``."""
    # Two components may call an inner model alike.
    own = f"{kind}.{name}."
    options = registry.find(kind, name).component.model_json_schema(ref_template=f"#/$defs/{own}{{model}}")
    definitions |= {own + model: schema for model, schema in options.pop("$defs", {}).items()}
    common = COMMON[kind].model_json_schema()["properties"] if kind in COMMON else {}
    options["properties"] = {kind: {"const": name}, **common, **options.get("properties", {})}
    options["properties"][kind] = {"const": name}
    needed = options.get("required", [])
    if kind == "task" and needed:  # what a saved model says need not be said again
        options["anyOf"] = [{"required": ["saved"]}, {"required": needed}]
        needed = []
    options["required"] = [kind, *needed]
    return options
