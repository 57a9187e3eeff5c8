"""`octoplex prices update`: a newer price list, in force without an upgrade.

A list is what `make prices` writes (`src/octoplex/catalog/prices.json` of any checkout). It is
taken from a file or from the pipe, never fetched; its checksum is shown, and demanded with
`--sha256`. It is read whole before it replaces anything, and lies in the data folder, where it
counts until the installation ships one that is newer. Deleting it there takes it back.
"""

import hashlib
import os
from pathlib import Path
from typing import Any, BinaryIO

import click

from octoplex.assembly.pricing import fresh_prices, put_prices
from octoplex.catalog.prices import Prices
from octoplex.cli.link import ask_server, operator
from octoplex.cli.place import config_option, place_of
from octoplex.ledger.audit import Audit
from octoplex.ledger.folder import Folder
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
    _lay_beside(place.data, content)
    told = _taken_over(place.data, {
        "before": {"date": str(now.date)},
        "after": {"date": str(fresh.date), "source": fresh.source, "sha256": found},
    })  # fmt: skip
    click.echo(f"{count} models, {fresh.source}")
    click.echo(f"sha256 {found}")
    click.echo("in force now" if told else "in force from the next start")


def _taken_over(data: Path, order: dict[str, Any]) -> bool:
    """Have the server put it in force, else here for the next one; and whether it did."""
    if ask_server(data, {"do": "prices.update", **order}):
        return True
    folder = Folder(data)
    folder.lock()
    try:
        put_prices(data, Audit(data), order, operator())
    finally:
        folder.unlock()
    return False


def _lay_beside(data: Path, content: bytes) -> None:
    """Write it whole beside the one in force."""
    beside = fresh_prices(data)
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise StoreFailed(f"{beside} cannot be written: {error.strerror}.") from error
