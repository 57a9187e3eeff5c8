"""`octoplex reload`: what SIGHUP does, and an answer."""

import click

from octoplex.cli.link import ask_server
from octoplex.cli.place import config_option, place_of
from octoplex.wire.error import StoreFailed


@click.command()
@config_option
def reload(config: str | None) -> None:
    """Have the running server read its file again.

    Secrets that lie elsewhere are fetched again. A file that is wrong changes nothing.
    """
    place = place_of(config)
    if ask_server(place.data, {"do": "reload"}) is None:
        raise StoreFailed(f"No server runs with {place.data}; `octoplex serve` starts one.")
    click.echo("reloaded")
