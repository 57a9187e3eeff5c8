"""`octoplex backup`: the data folder in one file, beside a running server (`ledger/backup.py`)."""

from pathlib import Path

import click

from octoplex.assembly.state import database_of
from octoplex.cli.place import config_option, place_of
from octoplex.ledger.backup import write_backup

RESTORE = "Restore it with the server stopped, into an empty folder: tar -xf FILE -C FOLDER"


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@config_option
def backup(file: Path, config: str | None) -> None:
    """Copy the data folder into a file.

    A server may run meanwhile. With a database, FILE holds what is not in it; pg_dump copies
    the rest.
    """
    place = place_of(config)
    names = write_backup(place.data, file)
    click.echo(f"{file}: {len(names)} files, {file.stat().st_size:,} bytes. It opens every key.")
    click.echo(RESTORE)
    database = database_of(place.settings, place.env)
    if database is not None:
        click.echo(
            "The ledger, records and keys are in the database: "
            f"pg_dump --format=custom --schema=octoplex --file=octoplex.dump '{database.url}'"
        )
