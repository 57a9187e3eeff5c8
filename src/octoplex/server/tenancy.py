"""Tenants as operators see them: what binds all keys of one, and what is left of it."""

import time
from typing import Any

from msgspec import to_builtins

from octoplex.gateway import Gateway
from octoplex.ledger.period import levels
from octoplex.settings import Settings


async def tenants_shown(gateway: Gateway) -> list[dict[str, Any]]:
    """Every team and organisation of the file, with its budgets as they stand here."""
    book, now_ms = gateway.works.book, time.time_ns() // 1_000_000
    await book.look("", list(gateway.tenants), now_ms)
    made = [row.tenant for row in await gateway.works.store.keys() if row.revoked_at_ms is None]
    rows = tenants_of(gateway.settings, made)
    for row in rows:
        budgets = book.left_of_tenant(row["name"], now_ms)
        row["budgets"] = [to_builtins(one) | {"left_nano": one.left_nano} for one in budgets]
    return rows


def tenants_of(settings: Settings, made: list[str]) -> list[dict[str, Any]]:
    """What the file says of each; `made` are the tenants of the keys made at run time."""
    owners = [key.tenant for key in settings.keys.values()] + made
    return [
        {
            "name": name,
            "limits": table.limits,
            "models": list(table.models),
            "region": table.region,
            "roles": dict(table.roles),
            "keys": sum(name in levels(owner) for owner in owners),
            "budgets": [],
        }
        for name, table in settings.tenants.items()
    ]
