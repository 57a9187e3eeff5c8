"""`octoplex logs`: requests as they were answered, from the record files.

Reading needs no lock, so it works beside a server. Following asks the files for what is
newer than the last record seen, four times a second.
"""

import time
from datetime import datetime
from typing import Any

import click
import msgspec

from octoplex.cli.place import config_option, json_option, place_of
from octoplex.cli.show import clean, print_json, print_table
from octoplex.ledger import Page, Record, dollars
from octoplex.ledger.store import Reads
from octoplex.wire.ask import Attempt
from octoplex.wire.error import NotFound

COLUMNS = ("time", "id", "key", "model", "target", "status", "tokens", "cost", "took")
FIGURES = frozenset({"status", "tokens", "cost", "took"})
STEP_S = 0.25
AT_ONCE = 500
NOTHING = "No requests yet. Ask something: octoplex chat Say hello"


@click.command()
@click.argument("request_id", metavar="[ID]", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on with new requests until Ctrl-C.")
@click.option("-n", "number", default=20, type=click.IntRange(0, 100_000), help="How many.")
@click.option("--task", metavar="ID", default="", help="Of one task of an agent alone.")
@config_option
@json_option
def logs(
    request_id: str | None,
    follow: bool,
    number: int,
    task: str,
    config: str | None,
    as_json: bool,
) -> None:
    """Show requests as they were answered.

    The last ones, or one of them whole by its ID.
    """
    place = place_of(config)
    reader = place.reader()
    try:
        if request_id:
            _one(reader, request_id, as_json)
            return
        rows = reader.requests(Page(limit=number, task=task))[::-1] if number else []
        if as_json and not follow:
            print_json([row.shown() for row in rows])
            return
        if not rows and not follow:
            click.echo(f"No request of the task {clean(task)} is recorded." if task else NOTHING)
            return
        _print(rows, as_json, follow)
        if follow:
            _follow(reader, rows[-1] if rows else None, task, as_json)
    finally:
        reader.close()


def _one(reader: Reads, request_id: str, as_json: bool) -> None:
    record = reader.request(request_id)
    if record is None:
        raise NotFound(f'There is no request "{request_id}"; `octoplex logs` lists the last ones.')
    if as_json:
        print_json(record.shown())
    else:
        _whole(record)


def _follow(reader: Reads, last: Record | None, task: str, as_json: bool) -> None:
    if last is None:
        newest = reader.requests(Page(limit=1))
        last = newest[0] if newest else None
    while True:
        time.sleep(STEP_S)
        page = Page(limit=AT_ONCE, after=last.id if last else None, task=task)
        rows = reader.requests(page)[::-1]
        if rows:
            last = rows[-1]
            _print(rows, as_json, True)


def _print(rows: list[Record], as_json: bool, line_by_line: bool) -> None:
    if as_json:
        for row in rows:
            click.echo(msgspec.json.encode(row.shown()).decode())
    elif line_by_line:
        for row in rows:
            click.echo(clean("  ".join(cell for cell in _cells(row) if cell)))
    else:
        print_table(COLUMNS, [_cells(row) for row in rows], FIGURES)


def _cells(row: Record) -> tuple[str, ...]:
    return (
        datetime.fromtimestamp(row.at_ms / 1000).strftime("%m-%d %H:%M:%S"),
        row.id,
        row.key or "-",
        row.model,
        row.target or "-",
        f"{row.status}{'' if row.outcome in ('done', 'failed') else ' ' + row.outcome}",
        "parts" if row.parts_nano else f"{row.input_tokens}+{row.output_tokens}",
        _cost(row),
        f"{row.total_s:.2f} s",
    )


def _cost(row: Record) -> str:
    """What it cost. What its parts cost stands in brackets: their own records have it."""
    if row.parts_nano:
        return f"({_money(row.parts_nano, row.estimated)})"
    return _money(row.nano, row.estimated)


def _money(nano: int, estimated: bool) -> str:
    return f"{'~' if estimated else ''}{dollars(nano)}"


def _whole(row: Record) -> None:
    """One record, field by field, then its attempts."""
    at = datetime.fromtimestamp(row.at_ms / 1000).astimezone()
    shown: list[tuple[str, Any]] = [
        ("request", row.id),
        ("at", at.strftime("%Y-%m-%d %H:%M:%S %z")),
        ("caller", f"{row.key or 'no key'}{f', user {row.user}' if row.user else ''}"),
        ("asked", f"{row.model} ({row.face}, {'stream' if row.stream else 'whole'})"),
        ("route", row.route),
        ("target", row.target),
        ("why", row.why),
        ("status", f"{row.status}, {row.outcome}"),
        ("error", f"{row.error_code}: {row.error}" if row.error_code else ""),
        ("task", row.task),
        *_bill(row),
        ("cache", _cache(row)),
        ("guard", ", ".join([f"{type_} {action} {n}" for type_, action, n in row.guard])),
        ("took", f"{row.total_s:.3f} s, first content after {row.first_s:.3f} s"),
        ("metadata", "" if bytes(row.metadata) == b"null" else bytes(row.metadata).decode()),
    ]
    for name, value in shown:
        if value:
            click.echo(clean(f"{name:<10}{value}"))
    for number, attempt in enumerate(row.attempts, 1):
        click.echo(clean(f"attempt {number} {_attempt(attempt)}"))


def _bill(row: Record) -> tuple[tuple[str, str], ...]:
    if row.parts_nano:
        parts = f"that of its parts, {_money(row.parts_nano, row.estimated)}"
        return (
            ("cost", f"{parts}; they are records of their own: octoplex logs --task {row.task}"),
        )
    return ("tokens", _tokens(row)), ("cost", _money(row.nano, row.estimated))


def _cache(row: Record) -> str:
    if row.cache in ("hit", "semantic"):
        return f"{row.cache}, saved {dollars(row.saved_nano)}"
    return row.cache


def _tokens(row: Record) -> str:
    cached = f" ({row.cached_tokens} cached)" if row.cached_tokens else ""
    return f"{row.input_tokens} in{cached}, {row.output_tokens} out"


def _attempt(attempt: Attempt) -> str:
    parts = [attempt.target]
    if attempt.key:
        parts.append(f"key {attempt.key}")
    parts.append(attempt.outcome or "open")
    if attempt.status:
        parts.append(str(attempt.status))
    parts.append(f"{attempt.duration_s:.3f} s")
    if attempt.first_s:
        parts.append(f"first content {attempt.first_s:.3f} s")
    if attempt.nano:
        parts.append(_money(attempt.nano, attempt.estimated))
    return ", ".join(parts)
