"""`octoplex config`: what is in force, and what the file on the disk would change."""

from pathlib import Path
from typing import Any

import click

from octoplex.cli.link import ask_server
from octoplex.cli.place import config_option, json_option, place_of
from octoplex.cli.show import clean, print_json, print_table
from octoplex.server.difference import difference, settings_shown
from octoplex.settings import load
from octoplex.wire.error import BadConfig


@click.group()
def config() -> None:
    """Show the configuration in force, and what would change."""


@config.command()
@config_option
def show(config: str | None) -> None:
    """Print what the running server has in force, else what the file says, as JSON."""
    place = place_of(config)
    found = ask_server(place.data, {"do": "config.show"})
    print_json(settings_shown(place.settings) if found is None else found)


@config.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False))
@config_option
@json_option
def diff(file: str | None, config: str | None, as_json: bool) -> None:
    """Say key by key what FILE, or the file on the disk, changes of what is in force."""
    place = place_of(config)
    path = Path(file) if file else place.path
    if path is None:
        raise BadConfig("There is no configuration file; name one.")
    order = {"do": "config.diff", "path": str(path.absolute())}
    changes = ask_server(place.data, order)
    if changes is None:
        changes = difference(place.settings, load(path))
    if as_json:
        print_json(changes)
    elif not changes:
        click.echo("Nothing: it says what is in force.")
    else:
        print_table(("key", "before", "after"), [_cells(row) for row in changes], frozenset())


def _cells(change: dict[str, Any]) -> tuple[str, ...]:
    return tuple(clean("-" if v is None else str(v)) for v in change.values())
