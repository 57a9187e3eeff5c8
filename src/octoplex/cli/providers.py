"""`octoplex providers`: who can be asked, and what is missing for the others.

Keys are shown by the name of the variable or file that holds them, never themselves.
"""

from typing import Any

import click

from octoplex.assembly.plan import Plan
from octoplex.catalog.provider import Provider
from octoplex.catalog.provider import providers as catalogue
from octoplex.cli.look import look
from octoplex.cli.place import config_option, json_option, place_of
from octoplex.cli.show import print_json, print_table
from octoplex.upstreams.source import Source


@click.command()
@click.option("--usable", "only_usable", is_flag=True, help="Only those that can be asked now.")
@config_option
@json_option
def providers(only_usable: bool, config: str | None, as_json: bool) -> None:
    """List providers, and which can be used."""
    rows = look(place_of(config), rows_of)
    if only_usable:
        rows = [row for row in rows if row["usable"]]
    if as_json:
        print_json(rows)
        return
    if not rows:
        click.echo("No provider can be used yet. Set a key, such as OPENAI_API_KEY; see them all:")
        click.echo("octoplex providers")
        return
    columns = ("provider", "usable", "dialects", "key", "what")
    print_table(columns, [_cells(row) for row in rows], frozenset())


def rows_of(plan: Plan) -> list[dict[str, Any]]:
    """One row per provider: usable ones first, then by id."""
    rows = [_row(source, catalogue().get(source.id)) for source in plan.sources.values()]
    return sorted(rows, key=lambda row: (not row["usable"], row["id"]))


def _row(source: Source, row: Provider | None) -> dict[str, Any]:
    labels = [key.label for key in source.keys]
    needed = list(row.key_env) if row else []
    return {
        "id": source.id,
        "title": source.title,
        "dialects": list(source.paths),
        "modalities": list(source.modalities),
        "regions": list(source.regions),
        "region": source.region,
        "key": ", ".join(labels) or " or ".join(needed),
        "usable": source.usable,
        "evidence": source.evidence,
        "missing": source.missing,
        "local": source.local,
        "base_url": source.base_url,
        "docs": row.docs if row else "",
    }


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    what = f"from {row['evidence']}" if row["usable"] and row["evidence"] else row["missing"]
    usable = "yes" if row["usable"] else "no"
    return (row["id"], usable, ", ".join(row["dialects"]), row["key"] or "none", what)
