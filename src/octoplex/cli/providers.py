"""`octoplex providers`: who can be asked, and what is missing for the others.

Keys are shown by the name of the variable or file that holds them, never themselves. What a
provider serves is what can be asked of it here. Its region is where it answers, as far as that is
known; what it may be asked in besides is for the file to choose.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import click

from octoplex.assembly.plan import Plan
from octoplex.catalog.provider import Provider, catalogue
from octoplex.catalog.regions import region_names
from octoplex.cli.look import look
from octoplex.cli.place import config_option, json_option, place_of
from octoplex.cli.show import print_json, print_table
from octoplex.cli.switching import disable, enable, forget_key, reseal, set_key, status
from octoplex.upstreams.source import Source


@click.group(invoke_without_command=True)
@click.option("--usable", "only_usable", is_flag=True, help="Only those that can be asked now.")
@config_option
@json_option
@click.pass_context
def providers(context: click.Context, only_usable: bool, config: str | None, as_json: bool) -> None:
    """List providers, and which can be used."""
    if context.invoked_subcommand is not None:
        return
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
    columns = ("provider", "usable", "dialects", "serves", "region", "key", "what")
    print_table(columns, [_cells(row) for row in rows], frozenset())


for _command in (disable, enable, set_key, forget_key, reseal, status):
    providers.add_command(_command)


def rows_of(plan: Plan) -> list[dict[str, Any]]:
    """One row per provider: usable ones first, then by id."""
    known = catalogue()
    rows = [_row(source, known.get(source.id)) for source in plan.sources.values()]
    rows += [_shipped(row) for id_, row in known.items() if id_ not in plan.sources]
    return sorted(rows, key=lambda row: (not row["usable"], row["id"]))


def _row(source: Source, row: Provider | None) -> dict[str, Any]:
    """A provider as this installation has it."""
    shown = _shipped(row) if row else _UNKNOWN
    labels = [key.label for key in source.keys]
    return {
        **shown,
        "id": source.id,
        "title": source.title,
        "dialects": list(source.paths),
        "modalities": list(source.serves),
        "region": source.region,
        "residency": [] if source.moved else shown["residency"],
        "key": ", ".join(labels) or shown["key"],
        "usable": source.usable,
        "found": source.found,
        "missing": _missing(source, row),
        "local": source.local,
        "base_url": source.base_url,
    }


def _missing(source: Source, row: Provider | None) -> str:
    """What keeps it from being used; a local server that is not looked for must be named."""
    if source.missing and row and row.local and not row.detect and not row.obstacle:
        return f"set {row.base_url_env}"
    return source.missing


_UNKNOWN: Mapping[str, Any] = MappingProxyType(
    {"regions": [], "residency": [], "key": "", "evidence": "", "docs": ""}
)
"""What the catalogue says of a provider that it does not have."""


def _shipped(row: Provider) -> dict[str, Any]:
    """A row of the catalogue that this installation cannot ask."""
    return {
        "id": row.id,
        "title": row.title,
        "dialects": list(row.dialects),
        "modalities": list(row.modalities),
        "regions": list(region_names(row)),
        "region": "",
        "residency": list(row.residency),
        "key": " or ".join(row.key_env),
        "usable": False,
        "found": "",
        "missing": row.obstacle,
        "local": row.local,
        "base_url": row.base_url,
        "evidence": row.evidence,
        "docs": row.docs,
    }


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    what = f"from {row['found']}" if row["usable"] and row["found"] else row["missing"]
    return (
        row["id"],
        "yes" if row["usable"] else "no",
        ", ".join(row["dialects"]) or "none",
        ", ".join(row["modalities"]) or "none",
        _place(row),
        row["key"] or "none",
        what,
    )


def _place(row: dict[str, Any]) -> str:
    """Where it answers; unknown, what one may choose, or how many where they are a cloud's."""
    if row["region"] or row["residency"]:
        return row["region"] or ", ".join(row["residency"])
    if row["local"]:
        return "here"
    regions = row["regions"]
    choice = ", ".join(regions) if len(regions) <= 4 else f"{len(regions)} regions"
    return f"unknown; or choose {choice}" if regions else "unknown"
