"""`octoplex export`: spend, attempts or requests as CSV or JSON lines, for other tools.

Money is in whole nano-dollars, times are those of the rows themselves. Reading needs no lock.
Requests come newest first and are read in pages, so that any number of them fits.
"""

import csv
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Literal, get_args

import click
import msgspec

from octoplex.cli.place import config_option, place_of
from octoplex.ledger import Page, Record, SpendQuery, SpendRow
from octoplex.ledger.store import Reads

What = Literal["spend", "attempts", "requests"]
Rows = Iterable[dict[str, Any]]
AT_ONCE = 1_000


@click.command()
@click.argument("what", type=click.Choice(get_args(What)))
@click.option("--format", "kind", type=click.Choice(["csv", "jsonl"]), default="jsonl")
@config_option
def export(what: What, kind: str, config: str | None) -> None:
    """Print spend, attempts or requests for other tools.

    Spend is summed per key, model and day; attempts are the ledger's rows.
    """
    reader = place_of(config).reader()
    try:
        if what == "spend":
            found = reader.spend(SpendQuery()).rows
            _print((msgspec.structs.asdict(row) for row in found), SpendRow, kind)
        elif what == "attempts":
            _print(reader.each_attempt(), None, kind)
        else:
            _print((record.shown() for record in _requests(reader)), Record, kind)
    finally:
        reader.close()


def _requests(reader: Reads) -> Iterator[Record]:
    before = None
    while found := reader.requests(Page(limit=AT_ONCE, before=before)):
        yield from found
        before = found[-1].id


def _print(rows: Rows, shape: type[msgspec.Struct] | None, kind: str) -> None:
    if kind == "jsonl":
        for row in rows:
            sys.stdout.write(msgspec.json.encode(row).decode() + "\n")
        return
    names, rows = _columns(rows, shape)
    sheet = csv.DictWriter(sys.stdout, names, lineterminator="\n")
    sheet.writeheader()
    for row in rows:
        sheet.writerow({name: _cell(value) for name, value in row.items()})


def _columns(rows: Rows, shape: type[msgspec.Struct] | None) -> tuple[list[str], Rows]:
    """The names of a shape, or those of the first row."""
    if shape is not None:
        return list(shape.__struct_fields__), rows
    rows = iter(rows)
    first = next(rows, None)
    return ([], []) if first is None else (list(first), chain([first], rows))


def _cell(value: object) -> object:
    """A value as a spreadsheet takes it: parts as JSON, and no text that it would run."""
    if isinstance(value, str):
        return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
    if value is None or isinstance(value, bool | int | float):
        return value
    return msgspec.json.encode(value).decode()
