"""YAML as plain data, with the line of every value; nothing in it is ever constructed or evaluated."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hepimg.errors import ConfigError, Problem

Place = tuple[str | int, ...]

_PLAIN = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp", "value")}
_NUMBER_LIKE = re.compile(r"[-+]?(\d[\d_]*)?\.?\d+[eE][-+]?\d+")


@dataclass
class Document:
    """The content of a YAML file, the line of each place in it, and what was wrong with it.

    ``sources`` holds where a value is from that was set afterwards: another line, or the command line.
    """

    source: str
    content: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    sources: dict[Place, tuple[str, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, place: Place, message: str) -> Problem:
        """A problem at a place, or at the nearest place above it that the file has."""
        known = place
        while known and known not in self.lines and known not in self.sources:
            known = known[:-1]
        source, line = self.sources.get(known, (self.source, self.lines.get(known, 0)))
        return Problem(line, dotted(place), message, source)


def dotted(place: Place) -> str:
    """``("evaluate", 0, "scores")`` as ``evaluate[0].scores``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")


def read_yaml(path: Path) -> Document:
    """Read a file.

    Raises:
        ConfigError: there is no such file, or it is not YAML.  Other problems are collected in the document.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        beside = sorted(p.name for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        hint = f"; there are: {', '.join(beside)}" if beside else ""
        raise ConfigError([Problem(0, "", f"no such file{hint}", str(path))]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(0, "", f"cannot be read: {error}", str(path))]) from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, source: str) -> Document:
    """Parse a text; see :func:`read_yaml`."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ConfigError(
            [Problem(line, "", f"not YAML: {error.problem} {error.context or ''}".rstrip(), source)]
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError([Problem(0, "", f"not YAML: {error}".replace("\n", " "), source)]) from error
    document = Document(source)
    if node is not None:
        document.content = _plain(node, (), document, ())
    return document


def _plain(node: yaml.Node, place: Place, document: Document, above: tuple[yaml.Node, ...]) -> Any:
    """The node's plain value; lines and problems go to the document."""
    document.lines[place] = node.start_mark.line + 1
    if node in above:
        document.problems.append(document.problem(place, "an alias that contains itself"))
        return None
    if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
        return _mapping(node, place, document, (*above, node))
    if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
        return [_plain(item, (*place, k), document, (*above, node)) for k, item in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode) and node.tag in _PLAIN:
        return _scalar(node, place, document)
    document.problems.append(document.problem(place, f"the tag {node.tag!r} is not allowed; write plain values"))
    return None


def _mapping(node: yaml.MappingNode, place: Place, document: Document, above: tuple[yaml.Node, ...]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key, line = key_node.value, key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            document.problems.append(Problem(line, dotted(place), "a key must be a word", document.source))
        elif key_node.tag == "tag:yaml.org,2002:merge":
            document.problems.append(Problem(line, dotted(place), "merge keys (<<) are not supported", document.source))
        elif key in content:
            first = document.lines[(*place, key)]
            message = f"the key {key!r} stands twice, first in line {first}"
            document.problems.append(Problem(line, dotted((*place, key)), message, document.source))
        else:
            content[key] = _plain(value_node, (*place, key), document, above)
            document.lines[(*place, key)] = line
    return content


def _scalar(node: yaml.ScalarNode, place: Place, document: Document) -> Any:
    if node.tag == "tag:yaml.org,2002:str" and node.style is None and _NUMBER_LIKE.fullmatch(node.value):
        mantissa, exponent = re.split("[eE]", node.value)
        dot = "" if "." in mantissa else ".0"
        sign = "" if exponent[0] in "+-" else "+"
        message = f"YAML reads {node.value} as a text; write {mantissa}{dot}e{sign}{exponent}"
        document.problems.append(document.problem(place, message))
        return float(node.value.replace("_", ""))
    if node.tag.endswith((":timestamp", ":value", ":str")):
        return node.value
    constructor = yaml.constructor.SafeConstructor()
    try:
        return constructor.construct_object(node)
    except ValueError as error:
        document.problems.append(
            document.problem(place, f"{node.value!r} is not a {node.tag.rsplit(':', 1)[1]}: {error}")
        )
        return None


def parse_assignment(text: str) -> tuple[Place, Any]:
    """``a.b=value`` of the command line as a place and a plain value.

    Raises:
        ConfigError: there is no ``=``, or the value is not plain YAML.
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigError([Problem(0, text, "needed: key=value, such as data.rows=1000", "--set")])
    document = parse_yaml(value, "--set")
    if document.problems:
        raise ConfigError([Problem(0, key, problem.message, "--set") for problem in document.problems])
    return place_of(key), document.content


def place_of(text: str) -> Place:
    """``tasks.tag.fit.epochs`` or ``evaluate.0.scores`` as a place."""
    return tuple(int(part) if part.isdigit() else part for part in text.split("."))
