"""The page: its sections in order, each from the results, each left out where there is nothing to show."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from html import escape
from importlib.resources import files
from typing import Any

from hepimg.figures import rounded
from hepimg.report.content import Content
from hepimg.report.curves import is_broad, loss_curve, png
from hepimg.report.tables import (
    arrange,
    definitions,
    family_table,
    heading,
    is_seed,
    metric_table,
    split_families,
    text_table,
)


def page(content: Content) -> str:
    """The whole HTML document."""
    title = escape(str(content.analysis.get("title", "Results")))
    sections = [
        ("Numbers", _numbers(content)),
        ("Figures", _figures(content)),
        ("Training", _training(content)),
        ("Data", _data(content)),
        ("Tasks", _tasks(content)),
        ("Provenance", _provenance(content)),
        ("Analysis", _analysis(content)),
    ]
    shown = [(name, html) for name, html in sections if html]
    links = "".join(f"<a href='#{name.lower()}'>{name}</a>" for name, _ in shown)
    body = "".join(f"<section id='{name.lower()}'><h2>{name}</h2>{html}</section>" for name, html in shown)
    css = files("hepimg.report").joinpath("report.css").read_text(encoding="utf-8")
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{title}</title>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<meta name='color-scheme' content='light dark'><style>{css}</style></head>"
        f"<body><header><h1>{title}</h1><p class='facts'>{_headline(content)}</p><nav>{links}</nav></header>"
        f"<main>{body}</main></body></html>\n"
    )


def _headline(content: Content) -> str:
    facts = []
    if "hepimg" in content.provenance:
        facts.append(f"hepimg {content.provenance['hepimg']}")
    if content.analysis.get("quick"):
        facts.append("quick run")
    if "seed" in content.analysis:
        facts.append(f"seed {content.analysis['seed']}")
    if content.analysis.get("samples"):
        facts.append("samples " + ", ".join(content.analysis["samples"]))
    if "total" in content.timing:
        facts.append(f"{duration(content.timing['total'])} in all")
    return escape(" · ".join(facts))


def _numbers(content: Content) -> str:
    """The tasks' numbers, those of their seeds folded away, then all others."""
    rows, families = split_families(arrange(content.metrics))
    tasks = {*content.analysis.get("tasks", {})}
    groups = {name.partition("[")[0] for name in tasks}
    ours = {
        row: numbers for row, numbers in rows.items() if row in tasks or row.partition("[")[0].split(".")[0] in groups
    }
    others = {row: numbers for row, numbers in rows.items() if row not in ours}
    averaged = {row: numbers for row, numbers in ours.items() if not is_seed(row)}
    seeds = {row: numbers for row, numbers in ours.items() if is_seed(row)} if averaged else {}
    parts = []
    if ours:
        parts.append(metric_table(averaged or ours, "task", among=ours))
        note = (
            "Errors are one standard deviation, most of them of the bootstrap; for a task of several seeds, mean and "
            "spread over these. "
            "Bold: better than every other by more than the error of the difference."
        )
        if any(number.limit for numbers in ours.values() for number in numbers.values()):
            note += " A limit (&gt;) is given at 95 % confidence level where no background jet passes."
        parts.append(f"<p class='note'>{note}</p>")
    if seeds:
        parts.append(f"<details><summary>Each seed</summary>{metric_table(seeds, 'task')}</details>")
    if others:
        parts.append(metric_table(others))
    for (kind, label), family in families.items():
        shown = {row: numbers for row, numbers in family.items() if not is_seed(row)} or family
        summary = f"{heading(kind)}: {escape(label)}"
        parts.append(f"<details><summary>{summary}</summary>{family_table(shown)}</details>")
    return "".join(parts)


def _figures(content: Content) -> str:
    parts = []
    for section, group in itertools.groupby(content.figures, key=lambda figure: figure.get("section", "")):
        drawn = "".join(_figure(content, figure) for figure in group)
        head = f"<h3>{escape(section)}</h3>" if section and drawn else ""
        parts.append(f"{head}<div class='grid'>{drawn}</div>" if drawn else "")
    return "".join(parts)


def _figure(content: Content, figure: Mapping[str, str]) -> str:
    path = content.folder / "figures" / f"{figure['name']}.png"
    if not path.is_file():
        return ""
    drawn = path.read_bytes()
    title, caption = escape(figure.get("title", "")), escape(figure.get("caption", ""))
    pdf = escape(f"figures/{figure['name']}.pdf", quote=True)
    return (
        f"<figure{' class=broad' if is_broad(drawn) else ''}><img src='{png(drawn)}' alt='{title}' loading='lazy'>"
        f"<figcaption><b>{title}.</b> {caption} <a href='{pdf}'>PDF</a></figcaption></figure>"
    )


def _training(content: Content) -> str:
    parts = []
    for task, log in content.logs.items():
        image = loss_curve(log)
        if image is not None:
            name, (counted, column) = escape(task), next(iter(log.items()))
            caption = f"<figcaption><b>{name}.</b> {len(column)} {counted.removesuffix('s')}s.</figcaption>"
            parts.append(f"<figure><img src='{image}' alt='loss of {name}'>{caption}</figure>")
    return f"<div class='grid small'>{''.join(parts)}</div>" if parts else ""


def _data(content: Content) -> str:
    samples = content.provenance.get("samples", {})
    times = content.timing.get("data", {})
    rows = [
        [
            f"<b>{escape(name)}</b>",
            _count(sample.get("rows")),
            _facts(sample.get("facts", {})),
            duration(times[name]) if name in times else "",
            _digest(sample.get("checksum", "")),
            f"<code>{escape(str(sample.get('key', '')))}</code>",
        ]
        for name, sample in samples.items()
    ]
    return text_table(("sample", "jets", "source", "time", "checksum", "key"), rows) if rows else ""


def _digest(checksum: str) -> str:
    return f"<code title='{escape(checksum, quote=True)}'>{escape(checksum[:12])}</code>"


def _facts(facts: Mapping[str, Any]) -> str:
    """``cross_section_pb`` with its error as ``cross section 1234 ± 5 pb``; texts as they are."""
    lines = []
    for name, value in facts.items():
        if name.endswith("_error") and name.removesuffix("_error") in facts:
            continue
        start, _, end = name.rpartition("_")
        label, unit = (start, end) if end in ("pb", "fb", "GeV") else (name, "")
        if isinstance(value, float):
            value = rounded(value, facts.get(f"{name}_error"))
        lines.append(escape(f"{label.replace('_', ' ')} {value} {unit}".strip()))
    return "<br>".join(lines)


def _tasks(content: Content) -> str:
    times = content.timing.get("tasks", {})
    rows = []
    for name, options in content.analysis.get("tasks", {}).items():
        spent = times.get(name, {})
        parameters = content.models.get(name, {}).get("parameters")
        rows.append(
            [
                f"<b>{escape(name)}</b>",
                escape(str(options.get("task", ""))),
                _options({key: value for key, value in options.items() if key != "task"}),
                _count(parameters) if parameters else "",
                duration(spent["fit"]) if "fit" in spent else "",
                duration(spent["predict"]) if "predict" in spent else "",
            ]
        )
    return text_table(("task", "kind", "options", "learned numbers", "fit", "predict"), rows) if rows else ""


def _options(options: Mapping[str, Any]) -> str:
    written = "".join(f"<li>{escape(path)}: {escape(json.dumps(value))}</li>" for path, value in _flat(options))
    return f"<details><summary>{len(options)} options</summary><ul class='options'>{written}</ul></details>"


def _flat(options: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in options.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _provenance(content: Content) -> str:
    found = content.provenance
    entries = [(name, escape(str(value))) for name, value in found.items() if not isinstance(value, (dict, list))]
    for name in ("libraries", "plugins"):
        if found.get(name):
            entries.append((name, escape(", ".join(f"{key} {value}" for key, value in found[name].items()))))
    return definitions(entries) if entries else ""


def _analysis(content: Content) -> str:
    text = escape(json.dumps(content.analysis, indent=2, ensure_ascii=False))
    return f"<details><summary>The analysis with every default written out</summary><pre>{text}</pre></details>"


def _count(number: Any) -> str:
    return f"{number:,}".replace(",", "&#8239;") if isinstance(number, int) else ""


def duration(seconds: float) -> str:
    """Seconds as a physicist reads them: ``41 s``, ``12 min``, ``3.2 h``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
