"""`octoplex keys`: who may ask, for which models, within which limits.

While a server runs it makes and revokes keys, so that they count at once; otherwise this
process takes the data folder for as long as it writes. A secret is shown once and kept
nowhere: only its hash is. Keys of the configuration file are listed, and changed there.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from octoplex.assembly import issuing
from octoplex.assembly.callers import milliseconds
from octoplex.assembly.hosts import sharing_of
from octoplex.assembly.state import database_of, open_state
from octoplex.cli.link import ask_server, operator
from octoplex.cli.place import Place, config_option, json_option, place_of
from octoplex.cli.show import print_json, print_table
from octoplex.ledger.audit import Audit
from octoplex.ledger.period import levels
from octoplex.ledger.store import State
from octoplex.reflex.cache.config import duration_ms
from octoplex.reflex.keys import Hasher, KeySpec
from octoplex.wire.error import BadConfig, InvalidCall, NotFound

COLUMNS = (
    *("name", "key", "models", "region", "tenant", "user", "limits", "origin", "made", "state"),
)


@click.group()
def keys() -> None:
    """Make, list and revoke callers' keys."""


@keys.command()
@click.argument("name")
@click.option("--limits", default="", help='Such as "60 req/min, 100k tok/min, $50/month".')
@click.option("--models", multiple=True, help="A model, route or glob it may ask for; repeat it.")
@click.option("--tenant", default="", help="The team or organisation it belongs to: acme.web.")
@click.option("--user", default="", help="The person it is for, who has a role in its tenant.")
@click.option("--region", default="", help='Where its targets must answer, such as "eu".')
@click.option("--begins", default="", help="When it begins, as --expires; else at once.")
@click.option("--expires", default="", help='When it ends: "90 days", 2027-01-31 or a UTC time.')
@config_option
@json_option
def new(config: str | None, as_json: bool, models: tuple[str, ...], **given: str) -> None:
    """Make a key; its secret is shown once."""
    place = place_of(config)
    listed = tuple(m.strip() for text in models for m in text.split(",") if m.strip())
    times = {
        f"{name}_at_ms": _moment(name, text) if (text := given.pop(name)) else None
        for name in ("begins", "expires")
    }
    spec = msgspec.convert({**given, **times, "models": listed}, KeySpec)
    _check_name(place, spec.name)
    made = ask_server(place.data, {"do": "keys.new", **_members(spec)})
    if made is None:
        made = asyncio.run(_new_offline(place.opened(), spec))
    _show_secret(made, as_json)


@keys.command()
@click.argument("name")
@click.option("--overlap", default="24 h", help='How long the old secret still opens it: "24 h".')
@config_option
@json_option
def rotate(name: str, overlap: str, config: str | None, as_json: bool) -> None:
    """Give a key a new secret; its id, limits and spend stay."""
    place = place_of(config)
    _check_made(place, name, "change the secret it names")
    overlap_ms = 0 if overlap.strip() in {"0", "none"} else _milliseconds("--overlap", overlap)
    order = {"do": "keys.rotate", "name": name, "overlap_ms": overlap_ms}
    made = ask_server(place.data, order)
    if made is None:
        made = asyncio.run(_rotate_offline(place.opened(), name, overlap_ms))
    _show_secret(made, as_json)


def _show_secret(made: dict[str, str], as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    click.echo(f"Key {made['name']} ({made['id']}). Its secret is shown only now:", err=True)
    click.echo(made["secret"])


@keys.command()
@click.argument("name")
@config_option
@json_option
def show(name: str, config: str | None, as_json: bool) -> None:
    """Show one key, and every level that binds it."""
    place = place_of(config)
    found = [row for row in _rows(place) if name in (row["id"], row["name"])]
    if not found:
        raise NotFound(f'There is no key "{name}"; `octoplex keys list` shows them.')
    row = found[-1]  # a name is free again once its key is revoked
    row["levels"] = [
        {
            "tenant": one,
            "limits": place.settings.tenants[one].limits,
            "models": list(place.settings.tenants[one].models),
            "region": place.settings.tenants[one].region,
        }
        for one in levels(row["tenant"])
        if one in place.settings.tenants
    ]
    if as_json:
        print_json(row)
        return
    (plain,) = _plain([row])
    for column in ("name", "id", "key", "tenant", "user", "origin", "made", "expires", "state"):
        click.echo(f"{column:8} {plain[column] or '-'}")
    columns = ("level", "limits", "models", "region")
    shown = [("key", plain["limits"], plain["models"], plain["region"])]
    for level in row["levels"]:
        models = ", ".join(level["models"]) or "every model"
        shown.append((level["tenant"], level["limits"] or "none", models, level["region"] or "any"))
    print_table(columns, shown, frozenset())


@keys.command(name="list")
@config_option
@json_option
def list_(config: str | None, as_json: bool) -> None:
    """List keys, those of the file and those made here."""
    place = place_of(config)
    rows = _rows(place)
    if as_json:
        print_json(rows)
    elif not rows:
        click.echo("No keys: anyone on this machine may ask. Make one: octoplex keys new NAME")
    else:
        print_table(COLUMNS, [[str(row[c]) for c in COLUMNS] for row in _plain(rows)], frozenset())


@keys.command()
@click.argument("name")
@config_option
def revoke(name: str, config: str | None) -> None:
    """Revoke a key by its name or id, at once."""
    place = place_of(config)
    _check_made(place, name, "remove it")
    gone = ask_server(place.data, {"do": "keys.revoke", "name": name})
    if gone is None:
        gone = asyncio.run(_revoke_offline(place.opened(), name))
    click.echo(f"Revoked {gone['name']} ({gone['id']}).")


def _members(spec: KeySpec) -> dict[str, Any]:
    return {n: getattr(spec, n) for n in spec.__struct_fields__}


def _check_name(place: Place, name: str) -> None:
    if name in place.settings.keys:
        raise InvalidCall(f'There is a key "{name}" in {place.origin}; choose another name.')


@asynccontextmanager
async def _noted(place: Place, what: str, name: str, after: Any) -> AsyncIterator[State]:
    """The ledger, for a change that is noted in the audit log as a server would."""
    store = open_state(place.data, database_of(place.settings, place.env))
    try:
        before = await issuing.before(store, name)
        with Audit(place.data).change(operator(), what, name, before=before, after=after):
            yield store
    finally:
        store.close()


def _check_made(place: Place, name: str, instead: str) -> None:
    if name in place.settings.keys:
        raise InvalidCall(f"{name} is a key of {place.origin}: {instead} there, in [keys.{name}].")


def _milliseconds(option: str, text: str) -> int:
    try:
        return duration_ms(text)
    except BadConfig as error:
        raise InvalidCall(f"{option}: {error}") from None


def _moment(option: str, text: str) -> int:
    """A moment on the Unix clock, of a duration from now or of a date or time in UTC."""
    try:
        return milliseconds(datetime.fromisoformat(text)) or 0
    except ValueError:
        pass
    try:
        return int(time.time() * 1000) + duration_ms(text)
    except BadConfig:
        raise InvalidCall(
            f'--{option} "{text}" is no moment; '
            'write "90 days", 2027-01-31 or 2027-01-31T12:00:00Z.'
        ) from None


async def _new_offline(place: Place, spec: KeySpec) -> dict[str, str]:
    async with _noted(place, "keys.new", spec.name, msgspec.to_builtins(spec)) as store:
        secret, row = await issuing.new(store, _hasher(place, store), place.settings, spec)
        return {"id": row.id, "name": row.name, "secret": secret}


async def _rotate_offline(place: Place, name: str, overlap_ms: int) -> dict[str, str]:
    async with _noted(place, "keys.rotate", name, {"overlap_ms": overlap_ms}) as store:
        secret, row = await issuing.rotated(store, _hasher(place, store), name, overlap_ms)
        return {"id": row.id, "name": row.name, "secret": secret}


async def _revoke_offline(place: Place, name: str) -> dict[str, str]:
    async with _noted(place, "keys.revoke", name, issuing.REVOKED) as store:
        row = await issuing.revoked(store, name)
        return {"id": row.id, "name": row.name}


def _hasher(place: Place, store: State) -> Hasher:
    sharing = sharing_of(place.settings, place.env)
    return Hasher(sharing.pepper_in(place.data, store.keys_now()))


def _rows(place: Place) -> list[dict[str, Any]]:
    return [*_of_file(place), *_of_store(place)]


def _of_file(place: Place) -> list[dict[str, Any]]:
    return [
        {
            "id": name,
            "name": name,
            "key": table.secret,
            "models": list(table.models),
            "limits": table.limits,
            "tenant": table.tenant,
            "user": table.user,
            "region": table.region,
            "origin": place.origin,
            "created_at": None,
            "begins_at": _day(milliseconds(table.begins)),
            "expires_at": _day(milliseconds(table.expires)),
            "revoked_at": None,
            "former_until": None,
        }
        for name, table in place.settings.keys.items()
    ]


def _of_store(place: Place) -> list[dict[str, Any]]:
    reader = place.reader()
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
            "user": row.user,
            "region": row.region,
            "origin": "octoplex keys new",
            "created_at": _day(row.created_at_ms),
            "begins_at": _day(row.begins_at_ms),
            "expires_at": _day(row.expires_at_ms),
            "revoked_at": _day(row.revoked_at_ms),
            "former_until": _day(row.former_until_ms),
        }
        for row in rows
    ]


def _day(at_ms: int | None) -> str | None:
    if at_ms is None:
        return None
    at = datetime.fromtimestamp(min(at_ms, issuing.LATEST_MS) / 1000, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows as a table shows them."""
    now = _day(int(time.time() * 1000))
    return [
        {
            **row,
            "models": ", ".join(row["models"]) or "every model",
            "limits": row["limits"] or "none",
            "region": row["region"] or "any",
            "made": (row["created_at"] or "")[:10],
            "expires": row["expires_at"],
            "state": _state(row, now or ""),
        }
        for row in rows
    ]


def _state(row: dict[str, Any], now: str) -> str:
    """All of these times are of one form, so that they compare as texts."""
    if row["revoked_at"]:
        return "revoked"
    if row["expires_at"] and row["expires_at"] <= now:
        return "expired"
    if row["begins_at"] and row["begins_at"] > now:
        return f"begins at {row['begins_at']}"
    if row["former_until"] and row["former_until"] > now:
        return f"in force; its old secret until {row['former_until']}"
    return "in force"
