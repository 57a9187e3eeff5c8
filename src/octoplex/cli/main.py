"""Every command of `octoplex`. Commands fail with one sentence and a non-zero status."""

import sys
from pathlib import Path

import click

from octoplex.cli.banner import banner
from octoplex.settings import environment, find
from octoplex.wire.error import GatewayError


class OneSentence(click.Group):
    """A group whose commands never show a traceback for what a person can mend."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except GatewayError as error:
            click.echo(f"octoplex: {error}", err=True)
            sys.exit(1)


@click.group(cls=OneSentence)
@click.version_option(package_name="octoplex")
def main() -> None:
    """One front door to every language model."""


@main.command()
@click.option("--config", help="The file to use instead of ./octoplex.toml.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Listen here; taken is an error.")
@click.option("--host", help="Listen on this address instead of the file's.")
def serve(config: str | None, port: int | None, host: str | None) -> None:
    """Start the gateway."""
    from octoplex.server.serve import Options, serve

    env = environment()
    path: Path | None = find(env, config)
    serve(Options(config=path, env=env, host=host, port=port), banner)
