"""`octoplex tenants`: organisations and teams, and what is left of their budgets."""

from typing import Any

import click

from octoplex.cli.link import ask_server
from octoplex.cli.place import config_option, json_option, place_of
from octoplex.cli.show import clean, print_json, print_table
from octoplex.ledger import dollars
from octoplex.server.tenancy import tenants_of


@click.command()
@config_option
@json_option
def tenants(config: str | None, as_json: bool) -> None:
    """List organisations and teams, and what is left.

    Only a running server knows what is left of their budgets.
    """
    place = place_of(config)
    rows = ask_server(place.data, {"do": "tenants.list"})
    if rows is None:
        reader = place.reader()
        try:
            kept = reader.keys()
        finally:
            reader.close()
        made = [row.tenant for row in kept if row.revoked_at_ms is None]
        rows = tenants_of(place.settings, made)
    if as_json:
        print_json(rows)
    elif not rows:
        click.echo("No tenants: [tenants.NAME] in the file makes one.")
    else:
        columns = ("name", "limits", "models", "region", "keys", "left")
        print_table(columns, [_cells(row) for row in rows], frozenset({"keys"}))


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    left = ", ".join(f"{dollars(b['left_nano'])} per {b['window']}" for b in row["budgets"])
    models = ", ".join(row["models"]) or "every model"
    texts = (row["name"], row["limits"] or "none", models, row["region"] or "any")
    return (*map(clean, texts), str(row["keys"]), left or "-")
