"""`octoplex backup`: the data folder in one file, beside a running server (`ledger/backup.py`)."""

import signal
import sys
from pathlib import Path

import click

from octoplex.assembly.state import database_of
from octoplex.cli.place import config_option, place_of
from octoplex.ledger.backup import stream_backup, write_backup
from octoplex.wire.error import BadConfig

RESTORE = "Restore it with the server stopped, into an empty folder: tar -xf FILE -C FOLDER"


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@config_option
def backup(file: Path, config: str | None) -> None:
    """Copy the data folder into a file, or to a program.

    FILE `-` is standard output, for a program that encrypts it. A server may run meanwhile. With a
    database, FILE holds what is not in it; pg_dump copies the rest.
    """
    place, piped = place_of(config), str(file) == "-"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # nothing half done is left
    if piped:
        if sys.stdout.isatty():
            raise BadConfig("a backup is no text: octoplex backup - | age -p > copy.tar.age")
        names = stream_backup(place.data, sys.stdout.buffer)
        click.echo(f"{len(names)} files.", err=True)
    else:
        names = write_backup(place.data, file)
        size = file.stat().st_size
        click.echo(f"{file}: {len(names)} files, {size:,} bytes. It opens every key.")
    click.echo(RESTORE, err=piped)
    database = database_of(place.settings, place.env)
    if database is not None:
        click.echo(
            "The ledger, records and keys are in the database: "
            f"pg_dump --format=custom --schema=octoplex --file=octoplex.dump '{database.url}'",
            err=piped,
        )
