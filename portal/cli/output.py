"""How commands print data: a table for people, JSON or CSV for programs; and progress on a terminal only."""

import json
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from billing.rendering import csv_cells

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
Command = TypeVar("Command", bound=Callable[..., Any])

with_format: Callable[[Command], Command] = click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="How to print.",
)


def emit(rows: Sequence[dict[str, Any]], form: str, *, columns: Sequence[str] | None = None, data: Any = None) -> None:
    """Print `rows` as asked. `columns` gives their order and heads an empty table; `data` replaces the rows in JSON."""
    names = list(columns or (rows[0].keys() if rows else ()))
    if form == "json":
        click.echo(json.dumps(list(rows) if data is None else data, ensure_ascii=False, default=str))
    elif form == "csv":
        lines = [names, *([_flat(row.get(name)) for name in names] for row in rows)]
        click.echo("".join(",".join(map(_cell, line)) + "\n" for line in lines), nl=False)
    else:
        _table(rows, names)


def _table(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        is_figure = all(isinstance(row.get(name), int) or row.get(name) is None for row in rows) and bool(rows)
        table.add_column(name.replace("_", " "), justify="right" if is_figure else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_flat(row.get(name)) for name in names))
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False)
    console.print(table) if rows else console.print("nothing to show")


def _cell(text: str) -> str:
    """A cell that is safe to open in a spreadsheet: names come from outside here as they do in downloads. Figures stay figures."""
    return text if _NUMBER.fullmatch(text) else csv_cells.text(text)


def _flat(value: Any) -> str:
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list) else str(value)
