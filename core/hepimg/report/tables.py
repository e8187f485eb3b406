"""The table of numbers: a row for each task, a column for each metric, and what may be called the best."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from hepimg.components import Estimate
from hepimg.figures import rounded
from hepimg.report.content import split_name
from hepimg.variants import without_seeds

HIGHER_IS_BETTER = ("auc", "rejection")
"""Metrics whose best value is set in bold; of others the report does not know which way is better."""

MOST_COLUMNS = 12
"""Metrics that stand side by side."""

Rows = Mapping[str, Mapping[str, Estimate]]
"""Row -> metric -> number."""


def arrange(metrics: Mapping[str, Estimate]) -> dict[str, dict[str, Estimate]]:
    """Numbers by row and metric, in their order."""
    rows: dict[str, dict[str, Estimate]] = {}
    for name, number in metrics.items():
        row, metric = split_name(name)
        rows.setdefault(row, {})[metric] = number
    return rows


def is_seed(row: str) -> bool:
    """Whether a row is one seed among several: ``tag[seed=2]``."""
    return without_seeds(row) != row


def metric_table(rows: Rows, first: str = "", among: Rows | None = None) -> str:
    """An HTML table of the rows, the best of each metric in bold; of many metrics, each has a line of its own.

    Args:
        rows: numbers by row and metric.
        first: heading of the rows' names.
        among: these and further rows, those of single seeds, which tell how well a mean is known.
    """
    metrics = sorted(dict.fromkeys(metric for row in rows.values() for metric in row), key=_order)
    best = {metric: best_row(rows, metric, among) for metric in metrics}
    cells = {
        (name, metric): _cell(row.get(metric), best[metric] == name) for name, row in rows.items() for metric in metrics
    }
    if len(metrics) > MOST_COLUMNS:
        lines = [(heading(metric), [cells[name, metric] for name in rows]) for metric in metrics]
        return _table("", [escape(name) for name in rows], lines)
    lines = [(escape(name), [cells[name, metric] for metric in metrics]) for name in rows]
    return _table(first, [heading(metric) for metric in metrics], lines)


def split_families(rows: Rows) -> tuple[Rows, dict[tuple[str, str], Rows]]:
    """Numbers of the kind ``w1@mass:top`` apart from the others.

    Returns:
        The others by row and metric; and for each pair of kind and class, such as (w1, top), those by row and point
        (mass).
    """
    others: dict[str, dict[str, Estimate]] = {}
    families: dict[tuple[str, str], dict[str, dict[str, Estimate]]] = {}
    for name, row in rows.items():
        for metric, number in row.items():
            kind, _, point = metric.partition("@")
            point, colon, label = point.rpartition(":")
            if colon:
                families.setdefault((kind, label), {}).setdefault(name, {})[point] = number
            else:
                others.setdefault(name, {})[metric] = number
    return others, dict(families)


def family_table(rows: Rows) -> str:
    """An HTML table of one family: a line for each point, a column for each row."""
    points = dict.fromkeys(point for row in rows.values() for point in row)
    lines = [(escape(point), [_cell(row.get(point), False) for row in rows.values()]) for point in points]
    return _table("", [escape(name) for name in rows], lines)


def _table(corner: str, columns: Sequence[str], lines: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Headings and names of lines are HTML already."""
    head = "".join(f"<th scope='col'>{name}</th>" for name in (escape(corner), *columns))
    body = "".join(f"<tr><th scope='row'>{name}</th>{''.join(cells)}</tr>" for name, cells in lines)
    table = f"<table class='numbers'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div class='wide'>{table}</div>"


def heading(metric: str) -> str:
    """What stands above a column: ``rejection@0.5`` as 1/ε_B at ε_S = 0.5, ``auc:check`` as check: AUC."""
    kind, label, point = parts_of(metric)
    if kind == "auc":
        said = "AUC" + (f" {escape('@' + point)}" if point else "")
    elif kind == "rejection" and point:
        said = f"1/ε<sub>B</sub> at ε<sub>S</sub> = {escape(point)}"
    elif kind == "true_positives" and point:
        said = f"ε<sub>S</sub> at ε<sub>B</sub> = {escape(point)}"
    elif kind.startswith("auc_minus_"):
        said = f"AUC − AUC({escape(kind.removeprefix('auc_minus_'))})"
    else:
        said = escape(kind.replace("_", " ")) + (f" ({escape(point)})" if point else "")
    return f"{escape(label)}: {said}" if label else said


def parts_of(metric: str) -> tuple[str, str, str]:
    """Kind, label and point; what is missing is empty.

    >>> parts_of("rejection:again@0.5")
    ('rejection', 'again', '0.5')
    """
    found = re.fullmatch(r"(.*?)(?::(\w+))?(?:@(.*))?", metric, re.DOTALL)
    kind, label, point = found.groups("") if found else (metric, "", "")
    return kind, label, point


def _order(metric: str) -> tuple[str, int, str, float]:
    """By label; then areas, differences, rejections by descending efficiency, and the rest as they come by name."""
    kind, label, point = parts_of(metric)
    rank = 0 if kind == "auc" else 2 if kind == "rejection" else 1 if kind.startswith("auc_minus_") else 3
    try:
        return label, rank, kind, -float(point)
    except ValueError:
        return label, rank, kind, 0.0


def _cell(number: Estimate | None, best: bool) -> str:
    if number is None:
        return "<td></td>"
    return f"<td>{f'<strong>{written(number)}</strong>' if best else written(number)}</td>"


def written(number: Estimate) -> str:
    """A number with its error, or a limit, as HTML."""
    if number.limit:
        return f"&gt; {number.value:.3g}" if number.value < 1000 else f"&gt; {number.value:.0f}"
    unit = f" {escape(number.unit)}" if number.unit else ""
    return escape(rounded(number.value, number.error)).replace("-", "−") + unit


def best_row(rows: Rows, metric: str, among: Rows | None = None) -> str | None:
    """The row that is better than every other by more than the error of their difference; None: there is none.

    The error is the paired one where ``<kind>_minus_<other>`` was measured, else that of independent numbers.  A
    limit is never compared from above: how good it is, is not known.
    """
    if parts_of(metric)[0] not in HIGHER_IS_BETTER:
        return None
    known = {name: row[metric] for name, row in rows.items() if metric in row and not math.isnan(row[metric].value)}
    if len(known) < 2:
        return None
    best = max(known, key=lambda name: known[name].value)
    others = [name for name in known if name != best]
    clear = all(_is_better(among or rows, metric, best, other) for other in others)
    return best if clear else None


def _is_better(rows: Rows, metric: str, best: str, other: str) -> bool:
    first, second = rows[best][metric], rows[other][metric]
    if second.limit:
        return False
    kind = parts_of(metric)[0]
    ending = metric.removeprefix(kind)
    paired = rows[best].get(f"{kind}_minus_{other}{ending}") or rows[other].get(f"{kind}_minus_{best}{ending}")
    if paired is not None and paired.error is not None and not seeds_of(rows, best) + seeds_of(rows, other):
        return abs(paired.value) > paired.error
    if (first.error is None and not first.limit) or second.error is None:
        return False
    errors = [first.error or 0.0, second.error]
    # The error of a row of seeds is their spread; how well each is known comes on top.
    errors += [_mean_error(rows, metric, seeds_of(rows, name)) for name in (best, other)]
    return first.value - second.value > math.hypot(*errors)


def seeds_of(rows: Rows, name: str) -> list[str]:
    """The rows of single seeds behind a row that is their mean."""
    return [row for row in rows if is_seed(row) and without_seeds(row) == name]


def _mean_error(rows: Rows, metric: str, names: Sequence[str]) -> float:
    errors = [rows[name][metric].error or 0.0 for name in names if metric in rows[name]]
    return sum(errors) / len(errors) if errors else 0.0


def definitions(entries: Iterable[tuple[str, str]]) -> str:
    """An HTML list of names and texts; the texts are HTML already."""
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{text}</dd>' for name, text in entries)}</dl>"


def text_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """An HTML table; its cells are HTML already, its headings plain."""
    head = "".join(f"<th scope='col'>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<div class='wide'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
