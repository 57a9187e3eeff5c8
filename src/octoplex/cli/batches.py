"""`octoplex batches`: what is worked on line by line, and how far it is.

Reading needs no lock, so it works beside a server: lines are counted where their results are
written.
"""

import sys
from datetime import datetime
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress_bar import ProgressBar

from octoplex.cli.place import config_option, json_option, place_of
from octoplex.cli.show import clean, print_json, print_table
from octoplex.ledger.batch import Batch
from octoplex.wire.error import NotFound

COLUMNS = ("created", "id", "key", "endpoint", "status", "done", "failed", "of")
FIGURES = frozenset({"done", "failed", "of"})
BAR_CELLS = 40


@click.command()
@click.argument("batch_id", metavar="[ID]", required=False)
@click.option("-n", "number", default=20, type=click.IntRange(1, 10_000), help="How many.")
@config_option
@json_option
def batches(batch_id: str | None, number: int, config: str | None, as_json: bool) -> None:
    """Show batches, and how far they are.

    The last ones, or one of them whole by its ID.
    """
    place = place_of(config)
    reader = place.reader()
    try:
        found = reader.batches(number, batch_id or "")
    finally:
        reader.close()
    if batch_id and not found:
        raise NotFound(f'There is no batch "{batch_id}"; `octoplex batches` lists the last ones.')
    if as_json:
        shown = [_shown(batch) for batch in found]
        print_json(shown[0] if batch_id else shown)
    elif batch_id:
        _whole(found[0])
    elif found:
        print_table(COLUMNS, [_cells(batch) for batch in found[::-1]], FIGURES)
    else:
        click.echo("No batches yet; docs/guides/batches.md shows how one is made.")


def _shown(batch: Batch) -> dict[str, Any]:
    return {**msgspec.structs.asdict(batch), "done": _done(batch)}


def _done(batch: Batch) -> int:
    """Lines that have ended, however."""
    return sum(batch.counts.values())


def _cells(batch: Batch) -> tuple[str, ...]:
    return (
        _at(batch.created_at),
        batch.id,
        batch.key_name or "-",
        batch.endpoint,
        batch.status,
        f"{_done(batch):,}",
        f"{batch.counts.get('failed', 0):,}",
        f"{batch.total:,}",
    )


def _at(seconds: int) -> str:
    return datetime.fromtimestamp(seconds).strftime("%m-%d %H:%M:%S")


def _whole(batch: Batch) -> None:
    """One batch, field by field, with a bar on a terminal."""
    counts = ", ".join(f"{count:,} {what}" for what, count in batch.counts.items())
    shown = [
        ("batch", batch.id),
        ("caller", batch.key_name or "no key"),
        ("endpoint", batch.endpoint),
        ("status", batch.status),
        ("created", _at(batch.created_at)),
        *((status, _at(at)) for status, at in batch.at.items()),
        ("expires", _at(batch.expires_at)),
        ("lines", f"{_done(batch):,} of {batch.total:,}{f' ({counts})' if counts else ''}"),
        ("metadata", "" if bytes(batch.metadata) == b"null" else bytes(batch.metadata).decode()),
    ]
    for name, value in shown:
        if value:
            click.echo(clean(f"{name:<12}{value}"))
    for wrong in batch.errors:
        where = f"line {wrong.line}" if wrong.line else "file"
        click.echo(clean(f"{where:<12}{wrong.code}: {wrong.message}"))
    if sys.stdout.isatty() and batch.total:
        Console().print(ProgressBar(batch.total, _done(batch), width=BAR_CELLS))
