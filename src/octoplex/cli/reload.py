"""`octoplex reload`: what SIGHUP does, and an answer."""

from contextlib import suppress

import click

from octoplex.cli.link import ask_server
from octoplex.cli.place import config_option, folder_named_by, place_of
from octoplex.settings import environment, find
from octoplex.wire.error import BadConfig, GatewayError, StoreFailed


@click.command()
@config_option
def reload(config: str | None) -> None:
    """Have the running server read its file again.

    Secrets that lie elsewhere are fetched again. A file that is wrong changes nothing.
    """
    try:
        place = place_of(config)
    except BadConfig:
        env = environment()
        path = find(env, config)
        if path is not None:  # the server is to say on /health/ready that its file is wrong
            with suppress(GatewayError):
                ask_server(folder_named_by(path, env), {"do": "reload"})
        raise
    done = ask_server(place.data, {"do": "reload"})
    if done is None:
        raise StoreFailed(f"No server runs with {place.data}; `octoplex serve` starts one.")
    click.echo(done)
