"""Printing for people and for programs.

On a terminal a listing is a table as wide as the terminal (and plain under NO_COLOR);
in a pipe it is whole lines in columns, nothing cut and nothing coloured. JSON is one value,
indented, with a line end. Model names and errors are other people's text: what could
command a terminal is taken out of them.
"""

import re
import sys
from collections.abc import Sequence
from typing import Any

import click
import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

Row = Sequence[str]
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def clean(text: str) -> str:
    """The text without control characters, on one line."""
    return _CONTROL.sub(" ", text)


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_table(columns: Sequence[str], rows: Sequence[Row], right: frozenset[str]) -> None:
    """Print rows under column names; columns in `right` are figures."""
    rows = [[clean(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _on_terminal(columns, rows, right)
    else:
        _in_pipe(columns, rows, right)


def _on_terminal(columns: Sequence[str], rows: Sequence[Row], right: frozenset[str]) -> None:
    console = Console()
    style = "" if console.no_color else "bold"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style=style)
    for name in columns:
        justify: Any = "right" if name in right else "left"
        table.add_column(name, justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def _in_pipe(columns: Sequence[str], rows: Sequence[Row], right: frozenset[str]) -> None:
    lines = [list(columns), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    for line in lines:
        cells = [
            cell.rjust(width) if name in right else cell.ljust(width)
            for name, cell, width in zip(columns, line, widths, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())


def colour_allowed(env: Any, stream: Any) -> bool:
    """Whether a stream may be coloured: a terminal, and NO_COLOR is not set (no-color.org)."""
    return stream.isatty() and not env.get("NO_COLOR") and env.get("TERM") != "dumb"
