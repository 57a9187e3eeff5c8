"""`octoplex spend`: what was spent, out of the ledger's own sums.

Days are UTC, both ends included. Reading needs no lock, so it works beside a server; what
was settled within the last 20 ms may still be missing.
"""

from datetime import UTC, date, datetime, timedelta

import click

from octoplex.cli.place import config_option, json_option, place_of
from octoplex.cli.show import print_json, print_table
from octoplex.ledger import Spend, SpendQuery, dollars
from octoplex.wire.error import InvalidCall

COLUMNS = ("day", "tenant", "key", "model", "requests", "input", "output", "cost", "")
FIGURES = frozenset({"requests", "input", "output", "cost"})


@click.command()
@click.option("--since", default="", help="From this day on: YYYY-MM-DD, today, or 7d for a week.")
@click.option("--until", default="", help="Up to and including this day.")
@click.option("--key", help="Only this key, by name or id.")
@click.option("--tenant", help="Only this team, or this organisation with its teams.")
@config_option
@json_option
def spend(
    since: str, until: str, key: str | None, tenant: str | None, config: str | None, as_json: bool
) -> None:
    """Show what was spent, per key, model and day."""
    days = _day("--since", since), _day("--until", until)
    query = SpendQuery(since=days[0], until=days[1], key=key, tenant=tenant)
    place = place_of(config)
    reader = place.reader()
    try:
        found = reader.spend(query)
    finally:
        reader.close()
    if as_json:
        print_json(found)
    elif not found.rows:
        click.echo(_nothing(query))
    else:
        _table(found)


def _day(option: str, text: str) -> str:
    """A day as the ledger takes it."""
    today = datetime.now(UTC).date()
    if not text:
        return ""
    if text == "today":
        return today.isoformat()
    if text[-1:] == "d" and text[:-1].isdigit() and int(text[:-1]) < 100_000:
        return (today - timedelta(days=int(text[:-1]) - 1)).isoformat()
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise InvalidCall(f'{option} "{text}" is no day; write 2026-01-31, today or 7d.') from None


def _nothing(query: SpendQuery) -> str:
    if query != SpendQuery():
        return "Nothing was spent there; leave out the options to see everything."
    return "Nothing yet: no request was answered. Ask something: octoplex chat Say hello"


def _table(found: Spend) -> None:
    several = any(row.tenant for row in found.rows)
    rows = [
        (
            row.day,
            *([row.tenant or "(none)"] if several else []),
            row.key or "(no key)",
            f"{row.provider}/{row.model}",
            f"{row.requests:,}",
            f"{row.input_tokens:,}",
            f"{row.output_tokens:,}",
            dollars(row.nano),
            f"{row.estimated} estimated" if row.estimated else "",
        )
        for row in found.rows
    ]
    print_table([c for c in COLUMNS if several or c != "tenant"], rows, FIGURES)
    click.echo(f"In all {dollars(found.total_nano)}.")
