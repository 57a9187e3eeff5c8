"""`octoplex keys`: who may ask, for which models, within which limits.

While a server runs it makes and revokes keys, so that they count at once; otherwise this
process takes the data folder for as long as it writes. A secret is shown once and kept
nowhere: only its hash is. Keys of the configuration file are listed, and changed there.
"""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from octoplex.assembly.region import check_demanded
from octoplex.cli.link import ask_server
from octoplex.cli.place import Place, config_option, json_option, place_of
from octoplex.cli.show import print_json, print_table
from octoplex.ledger import Reader, SqliteStore, open_store
from octoplex.reflex.keys import Hasher, KeySpec, new_key, pepper
from octoplex.wire.error import InvalidCall, NotFound


@click.group()
def keys() -> None:
    """Make, list and revoke callers' keys."""


@keys.command()
@click.argument("name")
@click.option("--limits", default="", help='Such as "60 req/min, 100k tok/min, $50/month".')
@click.option("--models", multiple=True, help="A model, route or glob it may ask for; repeat it.")
@click.option("--tenant", default="", help="Whom it belongs to.")
@click.option("--region", default="", help='Where its targets must answer, such as "eu".')
@config_option
@json_option
def new(config: str | None, as_json: bool, models: tuple[str, ...], **given: str) -> None:
    """Make a key; its secret is shown once."""
    place = place_of(config)
    listed = tuple(m.strip() for text in models for m in text.split(",") if m.strip())
    spec = msgspec.convert({**given, "models": listed}, KeySpec)
    _check_name(place, spec.name)
    made = ask_server(place.data, {"do": "keys.new", **_members(spec)})
    if made is None:
        made = asyncio.run(_new_offline(place, spec))
    if as_json:
        print_json(made)
        return
    click.echo(f"Key {made['name']} ({made['id']}). Its secret is shown only now:", err=True)
    click.echo(made["secret"])


@keys.command(name="list")
@config_option
@json_option
def list_(config: str | None, as_json: bool) -> None:
    """List keys, those of the file and those made here."""
    place = place_of(config)
    rows = [*_of_file(place), *_of_store(place)]
    if as_json:
        print_json(rows)
    elif not rows:
        click.echo("No keys: anyone on this machine may ask. Make one: octoplex keys new NAME")
    else:
        columns = ("name", "key", "models", "region", "limits", "origin", "made", "state")
        print_table(columns, [[str(row[c]) for c in columns] for row in _plain(rows)], frozenset())


@keys.command()
@click.argument("name")
@config_option
def revoke(name: str, config: str | None) -> None:
    """Revoke a key by its name or id, at once."""
    place = place_of(config)
    if name in place.settings.keys:
        raise InvalidCall(f"{name} is a key of {place.origin}: remove [keys.{name}] there.")
    gone = ask_server(place.data, {"do": "keys.revoke", "name": name})
    if gone is None:
        gone = asyncio.run(_revoke_offline(place, name))
    click.echo(f"Revoked {gone['name']} ({gone['id']}).")


def _members(spec: KeySpec) -> dict[str, Any]:
    return {n: getattr(spec, n) for n in spec.__struct_fields__}


def _check_name(place: Place, name: str) -> None:
    if not name or not name.isprintable() or name != name.strip() or len(name) > 128:
        raise InvalidCall(f"{name!r} is no name for a key; write a word, such as app.")
    if name in place.settings.keys:
        raise InvalidCall(f'There is a key "{name}" in {place.origin}; choose another name.')


def _open(place: Place) -> SqliteStore:
    return open_store(place.data)


async def _new_offline(place: Place, spec: KeySpec) -> dict[str, str]:
    check_demanded(place.settings, {"region": spec.region})
    store = _open(place)
    try:
        hasher = Hasher(pepper(place.data))
        try:
            secret, row = new_key(spec, hasher, int(time.time() * 1000))
        except ValueError as error:
            raise InvalidCall(f"The key {spec.name}: {error}.") from None
        await store.add_key(row)
        return {"id": row.id, "name": row.name, "secret": secret}
    finally:
        store.close()


async def _revoke_offline(place: Place, name: str) -> dict[str, str]:
    store = _open(place)
    try:
        row = await store.revoke_key(name, int(time.time() * 1000))
    finally:
        store.close()
    if row is None:
        raise NotFound(f'There is no key "{name}" in use; `octoplex keys list` shows them.')
    return {"id": row.id, "name": row.name}


def _of_file(place: Place) -> list[dict[str, Any]]:
    return [
        {
            "id": name,
            "name": name,
            "key": table.secret,
            "models": list(table.models),
            "limits": table.limits,
            "tenant": table.tenant,
            "region": table.region,
            "origin": place.origin,
            "created_at": None,
            "revoked_at": None,
        }
        for name, table in place.settings.keys.items()
    ]


def _of_store(place: Place) -> list[dict[str, Any]]:
    reader = Reader(place.data)
    try:
        rows = reader.keys()
    finally:
        reader.close()
    return [
        {
            "id": row.id,
            "name": row.name,
            "key": f"{row.prefix}...{row.last4}",
            "models": list(row.models),
            "limits": row.limits,
            "tenant": row.tenant,
            "region": row.region,
            "origin": "octoplex keys new",
            "created_at": _day(row.created_at_ms),
            "revoked_at": _day(row.revoked_at_ms),
        }
        for row in rows
    ]


def _day(at_ms: int | None) -> str | None:
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows as a table shows them."""
    return [
        {
            **row,
            "models": ", ".join(row["models"]) or "every model",
            "limits": row["limits"] or "none",
            "region": row["region"] or "any",
            "made": (row["created_at"] or "")[:10],
            "state": "revoked" if row["revoked_at"] else "in force",
        }
        for row in rows
    ]
