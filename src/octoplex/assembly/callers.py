"""The keys in force: those of the configuration file, with their secrets read, and those made
at run time, each with what its tenants bind it to."""

import logging
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from octoplex.ledger.rows import KeyRow
from octoplex.reflex.keys import Entry, Hasher, KeySpec, from_config, in_force, weak
from octoplex.reflex.tenants import Tenants, above, all_placed, check_person
from octoplex.settings import Settings, secret, url
from octoplex.transport.origin import NOT_CARRIED, place_of
from octoplex.wire.error import BadConfig

log = logging.getLogger("octoplex.keys")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def made_keys(rows: Iterable[KeyRow], tenants: Tenants) -> list[Entry]:
    """Those of the run-time keys that are in force.

    A key whose tenant has gone from the file is not: nobody knows any more what binds it.
    """
    entries = []
    for entry in in_force(rows):
        try:
            entries += all_placed([entry], tenants)
        except BadConfig as error:
            log.warning("%s The key is refused until this is put right.", error)
    return entries


def check_alerts(settings: Settings, env: Mapping[str, str]) -> None:
    """Refuse a webhook that nothing can be sent to, or not signed: its secret is not there.

    Raises:
        BadConfig: naming it.
    """
    for name, table in settings.tenants.items():
        if table.alerts and table.alerts.webhook:
            webhook = url(table.alerts.webhook, env, f"[tenants.{name}] alerts.webhook")
            try:
                place_of(webhook)
            except BadConfig as error:
                raise BadConfig(f"[tenants.{name}] alerts: {error}.") from None
            secret(table.alerts.secret, env, f"[tenants.{name}] alerts.secret")


def check_tenant(tenant: str, tenants: Tenants, name: str) -> None:
    """Refuse to make a key for a tenant that is not in the file.

    Raises:
        BadConfig: names the nearest.
    """
    above(tenant, tenants, f"The key {name}")


def milliseconds(moment: datetime | None) -> int | None:
    """A moment of the file, which is UTC where it does not say, on the Unix clock."""
    if moment is None:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def file_keys(settings: Settings, env: Mapping[str, str], hasher: Hasher) -> list[Entry]:
    """Every key of the file.

    Raises:
        BadConfig: a secret is not there, one that opens the administration can be guessed, or a
            limit or model pattern cannot be read.
    """
    entries = []
    for name, table in settings.keys.items():
        where = f"[keys.{name}]"
        reference = table.secret
        value = secret(reference, env, f"{where} secret")
        if _CONTROL.search(value):
            raise BadConfig(f"{where} secret ({reference}): it {NOT_CARRIED}.")
        if table.role or table.user:
            _not_weak(name, value)
        if table.role and table.user:
            raise BadConfig(f"{where}: role is for all tenants, user for one; give one of both.")
        if table.user:
            check_person(settings.tenants, table.tenant, table.user, where)
        spec = KeySpec(
            name=name,
            tenant=table.tenant,
            models=table.models,
            limits=table.limits,
            region=table.region,
            expires_at_ms=milliseconds(table.expires),
            begins_at_ms=milliseconds(table.begins),
            role=table.role,
            user=table.user,
        )
        try:
            entries.append(from_config(spec, value, hasher))
        except ValueError as error:
            raise BadConfig(f"{where}: {error}.") from None
    return entries


def check_exposed(settings: Settings, env: Mapping[str, str], host: str, *, made: bool) -> None:
    """A `host` that others can reach needs a key, and none that can be guessed.

    `made` says whether a key made at run time is in force; those are never weak.

    Raises:
        BadConfig: there is no key, or a secret of the file is weak.
    """
    if not settings.keys and not made:
        raise BadConfig(
            f"[server] listen: {host} can be reached by others, and no key is configured. "
            "Add a [keys.NAME] table, or listen on 127.0.0.1."
        )
    for name, table in settings.keys.items():
        _not_weak(name, secret(table.secret, env, f"[keys.{name}] secret"))


def _not_weak(name: str, value: str) -> None:
    why = weak(value)
    if why:
        raise BadConfig(f"[keys.{name}] secret: {why}; use a random one: octoplex keys new.")
