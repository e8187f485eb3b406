"""What a measurement leaves: a table on the terminal, a file of JSON."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from errno import EISDIR
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hepimg.errors import DataError
from hepimg.store import write_json

Row = Mapping[str, Any]


def check_writable(*files: Path | None) -> None:
    """Refuse files that could not be written, before the measurement rather than after it.

    Raises:
        DataError: one is a folder, or in a place where no file can be made.
    """
    for file in files:
        if file is None:
            continue
        try:
            file.absolute().parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=file.absolute().parent):
                pass
            if file.is_dir():
                raise IsADirectoryError(EISDIR, "it is a folder")
        except OSError as error:
            raise DataError(
                f"cannot write: {error.strerror or error}", where=str(file), needed="a file in a folder of yours"
            ) from error


def write_rows(file: Path | None, rows: Sequence[Row], machine: str) -> None:
    """Write a list of flat objects, one for each configuration; ``machine`` says of each where it was measured."""
    if file is not None:
        write_json(file, [{**row, "machine": machine} for row in rows])


def print_table(title: str, columns: Mapping[str, str], rows: Sequence[Row], caption: str) -> None:
    """Print rows.

    Args:
        title: above.
        columns: heading -> key and format of the column, such as ``native_ms:.2f``.
        rows: a number that is not known is printed as a dash.
        caption: below: what the columns mean.
    """
    console = Console(width=None if Console().is_terminal else 180)
    table = Table(title=title, title_justify="left")
    for heading in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*(_written(row, column) for column in columns.values()))
    console.print(table, highlight=False, markup=False)
    console.print(caption, highlight=False, markup=False)


def _written(row: Row, column: str) -> str:
    key, _, form = column.partition(":")
    value = row.get(key)
    return "-" if value is None else format(value, form)
