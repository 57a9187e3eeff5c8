"""Every provider as this installation can use it: catalogue, file, keys, operators' switches."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from octoplex.assembly.switching import origin_of, stored_keys
from octoplex.catalog.provider import Provider as Row
from octoplex.catalog.provider import catalogue
from octoplex.ledger.switches import Switches
from octoplex.settings import Settings, secret
from octoplex.upstreams.config import Provider
from octoplex.upstreams.configured import from_file, from_row
from octoplex.upstreams.detect import Found
from octoplex.upstreams.local.fleet import LOCAL
from octoplex.upstreams.source import Source
from octoplex.wire.error import BadConfig

STORED = "stored:"
"""How a table names a key that an operator stored; no file can say so."""


def sources(
    settings: Settings, env: Mapping[str, str], switches: Switches, found: Found
) -> dict[str, Source]:
    """By id. `found` are the local servers that answered, with their models.

    Raises:
        BadConfig: a table is wrong, or a secret is not there.
    """
    rows = catalogue()
    stored = stored_keys(switches, settings, env)
    tables = {**settings.providers}
    if LOCAL in tables:
        raise BadConfig(
            f"[providers.{LOCAL}]: this name is the gateway's own; use [local.NAME] for a GGUF."
        )
    for name in stored:
        if name in tables or name in rows:
            table = tables.get(name, Provider())
            tables[name] = msgspec.structs.replace(table, api_key=f"{STORED}{name}")

    def lookup(reference: str, where: str) -> str:
        name = reference.removeprefix(STORED)
        return stored[name] if name != reference else secret(reference, env, where)

    made = {n: _shipped(row, env, found) for n, row in rows.items() if n not in tables}
    for name, table in tables.items():
        source = from_file(name, table, rows.get(name), env, lookup)
        where = f"{Path(settings.origin).name} {source.found}"
        if name in stored:
            where = f"stored by {switches.keys[name].who}"
            source = _at_home(source, switches.keys[name].origin)
        made[name] = msgspec.structs.replace(source, found=where)
    for name, off in switches.off.items():
        if name in made:
            missing = f"{off.who} put it out of use at {off.at}; octoplex providers enable {name}"
            made[name] = msgspec.structs.replace(made[name], missing=missing, for_now=True)
    return made


def _at_home(source: Source, origin: str) -> Source:
    """The same; without its stored key where that was stored for another host."""
    now = origin_of(source.base_url)
    if now == origin:
        return source
    missing = (
        f"its key was stored for {origin or 'an older version, which did not say for which host'}, "
        f"and base_url is {now} now; octoplex providers set-key {source.id}"
    )
    return msgspec.structs.replace(source, keys=(), missing=missing, for_now=True)


def _shipped(row: Row, env: Mapping[str, str], found: Found) -> Source:
    """A row that the file says nothing of."""
    source = from_row(row, env)
    if row.obstacle:
        return source
    if source.local and row.id not in found and not env.get(row.base_url_env):
        missing = f"no server answers at {source.base_url}"
        return msgspec.structs.replace(source, missing=missing, for_now=True)
    models = found.get(row.id)
    return msgspec.structs.replace(source, models=models) if models else source
