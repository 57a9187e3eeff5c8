"""Tenants: organisations, their teams, and what binds all keys of one together.

    [tenants.acme]                      an organisation
    limits = "$500/month, 600 req/min"
    roles = { "ana@acme.example" = "admin" }
    [tenants.acme.web]                  a team of it; keys name theirs: tenant = "acme.web"
    limits = "$50/day"

A table inside an organisation's is a team unless it is one of the organisation's own
settings, so that nothing else than those may be no table there. A key is bound by its own
limits, models and region, by its team's and by its organisation's: the tightest counts.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct

from octoplex.catalog.regions import narrower
from octoplex.ledger.period import called, levels
from octoplex.reflex.keys import Entry, Key
from octoplex.reflex.limit import NO_LIMITS, Limits, parse
from octoplex.reflex.models import EVERY, Models
from octoplex.wire.error import BadConfig

Role = Literal["owner", "admin", "member", "viewer"]
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,62}")


class Alerts(Struct, frozen=True, kw_only=True):
    """`alerts = { at = [0.5, 0.9], webhook = "https://...", secret = "env:HOOK" }`.

    `at` are parts of a budget. Without `webhook` the log alone is told; it may be a reference, too.
    """

    at: tuple[float, ...]
    webhook: str = ""
    secret: str = ""


class TenantTable(Struct, frozen=True, kw_only=True):
    """`[tenants.NAME]` or `[tenants.NAME.TEAM]`."""

    limits: str = ""
    models: tuple[str, ...] = ()
    region: str = ""
    roles: dict[str, Role] = {}
    alerts: Alerts | None = None


class Tenant(Struct, frozen=True, kw_only=True):
    """A team or organisation that is in force; `name` is as keys say it."""

    name: str
    limits: Limits = NO_LIMITS
    models: Models = EVERY
    region: str = ""
    alerts: Alerts | None = None


Tenants = Mapping[str, Tenant]


def flat(tree: Any, origin: str) -> Any:
    """The file's `tenants` with each team beside its organisation, as "acme.web".

    Raises:
        BadConfig: a name that cannot be one.
    """
    if not isinstance(tree, dict):
        return tree
    own = set(TenantTable.__struct_fields__)
    found: dict[str, Any] = {}
    for name, table in tree.items():
        if not isinstance(table, dict):
            found[name] = table
            continue
        teams = {n: t for n, t in table.items() if isinstance(t, dict) and n not in own}
        found[name] = {n: value for n, value in table.items() if n not in teams}
        found |= {f"{name}.{n}": team for n, team in teams.items()}
        for wrong in (n for n in (name, *teams) if not _NAME.fullmatch(n)):
            raise BadConfig(
                f'{origin}: [tenants]: "{wrong}" is no name for a tenant; write letters, digits, '
                "- and _, such as [tenants.acme.web]."
            )
        for team in teams:
            near = difflib.get_close_matches(team, own, 1, 0.8)
            if near and not set(teams[team]) & own:
                raise BadConfig(
                    f'{origin}: [tenants.{name}] has no key "{team}"; did you mean "{near[0]}"?'
                )
    return found


def compiled(tables: Mapping[str, TenantTable]) -> dict[str, Tenant]:
    """Every tenant of the file, by name.

    Raises:
        BadConfig: a limit, a pattern or a threshold cannot be read.
    """
    found = {}
    for name, table in tables.items():
        where = f"[tenants.{name}]"
        try:
            limits, models = parse(table.limits), Models(table.models)
        except ValueError as error:
            raise BadConfig(f"{where}: {error}.") from None
        if table.alerts is not None:
            _check_alerts(table.alerts, limits, where)
        found[name] = Tenant(
            name=name, limits=limits, models=models, region=table.region, alerts=table.alerts
        )
    return found


def _check_alerts(alerts: Alerts, limits: Limits, where: str) -> None:
    for part in alerts.at:
        if not 0 < part <= 1:
            raise BadConfig(f"{where} alerts: {part:g} is no part of a budget; write such as 0.9.")
    if not alerts.at:
        raise BadConfig(f"{where} alerts: at is empty; write such as [0.5, 0.9].")
    if not limits.caps:
        raise BadConfig(f'{where} alerts: there is no budget to watch; add limits = "$500/month".')
    if alerts.webhook and ":" not in alerts.webhook:
        raise BadConfig(f'{where} alerts: webhook "{alerts.webhook}" is no URL.')
    if bool(alerts.webhook) != bool(alerts.secret):
        raise BadConfig(f"{where} alerts: webhook and secret go together; its calls are signed.")


def above(tenant: str, tenants: Tenants, where: str) -> list[Tenant]:
    """A tenant and those above it, from the bottom; an organisation need not have a table.

    Raises:
        BadConfig: there is no such tenant; names the nearest.
    """
    if tenant and tenant not in tenants:
        known = sorted({name for one in tenants for name in levels(one)})
        if tenant in known:
            return []
        near = difflib.get_close_matches(tenant, known, 1)
        advice = f'did you mean "{near[0]}"?' if near else f"add a table [tenants.{tenant}]."
        raise BadConfig(f'{where}: there is no tenant "{tenant}"; {advice}')
    return [tenants[name] for name in levels(tenant) if name in tenants]


def placed(key: Key, tenants: Tenants) -> Key:
    """A key with all that binds it from above.

    Raises:
        BadConfig: its tenant is unknown, or nowhere is in all of their regions.
    """
    where = f"[keys.{key.name}]" if key.origin == "config" else f"The key {key.name}"
    over = above(key.caller.tenant, tenants, where)
    if not over:
        return key
    region = key.caller.region
    for one in over:
        both = narrower(region, one.region)
        if both is None:
            raise BadConfig(
                f'{where}: nothing is known to be both in "{region}" and in "{one.region}", which '
                f"the tenant {one.name} demands."
            )
        region = both
    budgeted = key.caller.budgeted or any(one.limits.caps for one in over)
    return msgspec.structs.replace(
        key,
        caller=msgspec.structs.replace(key.caller, region=region, budgeted=budgeted),
        models=key.models.within([one.models for one in over]),
        above=tuple([(one.name, one.limits.rates) for one in over]),
        crowds=tuple([(one.name, one.limits.parallel) for one in over]),
    )


def all_placed(entries: Iterable[Entry], tenants: Tenants) -> list[Entry]:
    """The same of several."""
    return [msgspec.structs.replace(one, key=placed(one.key, tenants)) for one in entries]


def role_of(tables: Mapping[str, TenantTable], tenant: str, person: str) -> Role | None:
    """What somebody is in a tenant: as it says itself, else as those above it do."""
    found = [tables[name].roles.get(person) for name in levels(tenant) if name in tables]
    return next((role for role in found if role), None)


def check_person(tables: Mapping[str, TenantTable], tenant: str, person: str, where: str) -> None:
    """Refuse a key for somebody who is nothing in its tenant, nor in the one above.

    Raises:
        BadConfig: names the nearest.
    """
    if role_of(tables, tenant, person) is not None:
        return
    if not tenant:
        raise BadConfig(f'{where}: a key for "{person}" needs a tenant that gives them a role.')
    known = [one for name in levels(tenant) if name in tables for one in tables[name].roles]
    near = difflib.get_close_matches(person, known, 1)
    advice = f'did you mean "{near[0]}"?' if near else f"add them to [tenants.{tenant}] roles."
    raise BadConfig(f'{where}: "{person}" has no role in the {called(tenant)}; {advice}')
