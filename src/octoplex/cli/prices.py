"""`octoplex prices update`: a newer price list, in force without an upgrade.

A list is what `make prices` writes (`src/octoplex/catalog/prices.json` of any checkout). It is
taken from a file or from the pipe, never fetched; its checksum is shown, and demanded with
`--sha256`. It is read whole before it replaces anything, and lies in the data folder, where it
counts until the installation ships one that is newer. Deleting it there takes it back.
"""

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

import click

from octoplex.catalog.prices import FILE, Prices
from octoplex.cli.link import ask_server
from octoplex.cli.place import config_option, place_of
from octoplex.wire.error import InvalidCall, StoreFailed

MOST_BYTES = 16 << 20


@click.group()
def prices() -> None:
    """Put a newer price list in force."""


@prices.command()
@click.argument("file", type=click.File("rb"))
@click.option("--sha256", default="", metavar="HEX", help="Take it only with this checksum.")
@config_option
def update(file: BinaryIO, sha256: str, config: str | None) -> None:
    """Take over a list that `make prices` has written; FILE - is the pipe."""
    place = place_of(config)
    content = file.read(MOST_BYTES)
    found = hashlib.sha256(content).hexdigest()
    if sha256 and sha256.lower() != found:
        raise InvalidCall(f"{file.name} has the checksum {found}, not {sha256}; nothing changed.")
    fresh, now = Prices.read(content, file.name), Prices.newest(place.data)
    count = fresh.check()
    if fresh.date < now.date:
        raise InvalidCall(f"{file.name} is of {fresh.date}; the one in force is of {now.date}.")
    _put(place.data, content)
    told = ask_server(place.data, {"do": "reload"})
    click.echo(f"{count} models, {fresh.source}")
    click.echo(f"sha256 {found}")
    click.echo("in force now" if told else "in force from the next start")


def _put(data: Path, content: bytes) -> None:
    """Write it whole or not at all."""
    path = data / FILE.name
    beside = path.with_suffix(".new")
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(path)
    except OSError as error:
        raise StoreFailed(f"{path} cannot be written: {error.strerror}.") from error
