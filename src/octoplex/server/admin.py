"""`/admin/...`: what the shell can do to a running server, for keys with a role.

A key of role `viewer` may look, one of role `admin` may change; a person's key may what its tenant
says (`realm.py`). Changes go through the operator's own socket (`control.py`), as the shell's do,
so that there is one place where each is done, in the process that owns the data folder, and noted
in the audit log as `key:NAME`.

    GET    /admin/status                      the server, its configuration, what is wrong with it
    GET    /admin/providers                   every provider: in use or not, how it did of late
    POST   /admin/providers/{id}/disable      and /enable
    POST   /admin/providers/reseal            stored keys with the newest secret
    PUT    /admin/providers/{id}/key          {"key": "..."}: stored sealed
    DELETE /admin/providers/{id}/key          the file's again
    GET    /admin/keys                        POST: make one; POST /admin/keys/{name}/rotate
    DELETE /admin/keys/{name}                 revoke it
    GET    /admin/spend, /admin/requests, /admin/cache, /admin/audit, /admin/tenants
    POST   /admin/cache/purge, /admin/reload, /admin/config/diff
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from msgspec import Struct, to_builtins

from octoplex.assembly.issuing import LONGEST_OVERLAP_MS, shown
from octoplex.assembly.report import Report
from octoplex.dialects.members import UNREADABLE
from octoplex.gateway import Gateway
from octoplex.ledger.audit import NAME, page
from octoplex.ledger.orders import command
from octoplex.ledger.rows import Page, Spend, SpendQuery
from octoplex.server.difference import difference, settings_shown
from octoplex.server.files import count_in
from octoplex.server.inbound import JSON, Inbound, read_body
from octoplex.server.realm import realm_of
from octoplex.server.standing import standing
from octoplex.settings import parse
from octoplex.wire.error import BadConfig, Forbidden, InvalidCall, NotFound, TooLarge

RECENT = 1_000
"""Records that are looked at for how providers did."""
USUAL, MOST = 50, 1_000
LONGEST_FILE = 1_000_000
DIGITS = 18
Answer = Callable[[Inbound, Gateway], Awaitable[Any]]


class NewKey(Struct, forbid_unknown_fields=True):
    """`POST /admin/keys`."""

    name: str
    limits: str = ""
    models: tuple[str, ...] = ()
    tenant: str = ""
    user: str = ""
    region: str = ""
    expires_at_ms: int | None = None
    begins_at_ms: int | None = None


class Overlap(Struct, forbid_unknown_fields=True):
    """`POST /admin/keys/{name}/rotate`: how long the secret before still opens the key."""

    overlap_s: float = 0.0


class GivenKey(Struct, forbid_unknown_fields=True):
    """`PUT /admin/providers/{id}/key`."""

    key: str


class Which(Struct, forbid_unknown_fields=True):
    """`POST /admin/cache/purge`: of which route; all where none is named."""

    model: str | None = None


class Text(Struct, forbid_unknown_fields=True):
    """`POST /admin/config/diff`: a whole `octoplex.toml`."""

    text: str


async def look(inbound: Inbound, gateway: Gateway) -> None:
    """How the server, its providers, keys and caches stand; `role` viewer, admin or a tenant's."""
    name, _, rest = inbound.rest.strip("/").partition("/")
    answer = LOOKS.get(name)
    if answer is None or rest:
        raise NotFound(f"There is no /admin/{inbound.rest[:200]} to look at.")
    realm = realm_of(inbound.caller, gateway.settings)
    if realm is not None:
        realm.check_look(name)
    await _json(inbound, await answer(inbound, gateway))


async def change(inbound: Inbound, gateway: Gateway) -> None:
    """Change what the shell can change; `role` admin, or a tenant's for its keys."""
    caller, who = inbound.caller, f"key:{inbound.caller.name}"
    realm = realm_of(caller, gateway.settings)
    if realm.role == "viewer" if realm else caller.role != "admin":
        raise Forbidden("This key may look, and not change: its role is viewer.")
    order = await _order(inbound, gateway)
    if realm is not None:
        order = await realm.bounded(order, caller, gateway)
        who = f"user:{caller.user} {who}"
    if "text" in order:
        await _json(inbound, await asyncio.to_thread(_difference, gateway, order["text"]))
        return
    done = await command(gateway.works.data, order | {"who": who})
    await _json(inbound, done)


async def _order(inbound: Inbound, gateway: Gateway) -> dict[str, Any]:
    """The order that a request means."""
    method = inbound.line.method
    rest = inbound.rest.strip("/").split("/")
    match (method, *rest):
        case ("POST", "providers", id_, "disable" | "enable" as what):
            return {"do": f"providers.{what}", "id": id_}
        case ("PUT", "providers", id_, "key"):
            given = await _body(inbound, gateway, GivenKey)
            return {"do": "providers.store_key", "id": id_, "key": given.key}
        case ("DELETE", "providers", id_, "key"):
            return {"do": "providers.forget_key", "id": id_}
        case ("POST", "keys"):
            return {"do": "keys.new", **to_builtins(await _body(inbound, gateway, NewKey))}
        case ("POST", "keys", name, "rotate"):
            asked = await _body(inbound, gateway, Overlap)
            overlap_ms = min(asked.overlap_s * 1000, LONGEST_OVERLAP_MS + 1)
            return {"do": "keys.rotate", "name": name, "overlap_ms": int(overlap_ms)}
        case ("DELETE", "keys", name):
            return {"do": "keys.revoke", "name": name}
        case ("POST", "cache", "purge"):
            return {"do": "cache.purge", "model": (await _body(inbound, gateway, Which)).model}
        case ("POST", "reload") | ("POST", "providers", "reseal"):
            return {"do": ".".join(rest)}
        case ("POST", "config", "diff"):
            return {"text": (await _body(inbound, gateway, Text)).text}
    raise NotFound(f"There is nothing to {method} at /admin/{inbound.rest[:200]}.")


async def _body(inbound: Inbound, gateway: Gateway, kind: type[Any]) -> Any:
    data = await read_body(inbound, gateway.max_body)
    try:
        return msgspec.json.decode(data or b"{}", type=kind)
    except UNREADABLE as error:
        raise InvalidCall(f"The body cannot be read: {error}.") from None


async def _json(inbound: Inbound, value: Any) -> None:
    block = JSON + inbound.id_lines().encode() + inbound.cors
    await inbound.line.whole(200, block, msgspec.json.encode(value))


# -- what can be looked at ------------------------------------------------------------------


async def _status(inbound: Inbound, gateway: Gateway) -> dict[str, Any]:
    works, store = gateway.works, gateway.store.condition()
    reports = await works.reports()
    return {
        "config": gateway.settings.origin or None,
        "config_error": works.config_error or None,
        "reloads_failed": works.reloads_failed,
        "draining": works.stopping,
        "ledger": {"refusal": store.refusal or None, "backlog": store.backlog},
        "spent_nano": await works.spent(),
        "held_nano": works.book.open_nano,
        "processes": [{"process": one.process, "answers": one.answers} for one in reports],
        "targets": _targets(reports),
    }


def _targets(reports: list[Report]) -> list[dict[str, Any]]:
    """What each process has seen of each target that it has asked."""
    return [
        {"process": report.process, **to_builtins(condition)}
        for report in reports
        for condition in report.targets
    ]


def _resting(reports: list[Report]) -> list[dict[str, Any]]:
    """The keys that each process leaves alone: limited by their provider, or refused."""
    return [
        {"process": report.process, **to_builtins(one)}
        for report in reports
        for one in report.resting
    ]


async def _providers(inbound: Inbound, gateway: Gateway) -> list[dict[str, Any]]:
    recent = standing(await gateway.store.requests(Page(limit=RECENT)))
    today = time.strftime("%Y-%m-%d", time.gmtime())
    spend = await gateway.store.spend(SpendQuery(since=today))
    spent: dict[str, int] = {}
    for row in spend.rows:
        spent[row.provider] = spent.get(row.provider, 0) + row.nano
    switches = gateway.plan.switches
    reports = await gateway.works.reports()
    targets, resting = _targets(reports), _resting(reports)
    return [
        {
            "id": source.id,
            "usable": source.usable,
            "missing": source.missing or None,
            "disabled": to_builtins(switches.off.get(source.id)),
            "key": _key_of(source, switches),
            "recent": to_builtins(recent.get(source.id)),
            "spent_today_nano": spent.get(source.id, 0),
            "targets": [t for t in targets if t["target"].partition("/")[0] == source.id],
            "limited": [r for r in resting if r["scope"].partition("/")[0] == source.id],
        }
        for source in gateway.plan.sources.values()
        if source.usable or source.id in switches.off or source.id in gateway.settings.providers
    ]


def _key_of(source: Any, switches: Any) -> dict[str, Any]:
    stored = switches.keys.get(source.id)
    if stored is None:
        return {"from": source.found or None}
    return {"from": "stored", "last4": stored.last4, "who": stored.who, "at": stored.at}


async def _keys(inbound: Inbound, gateway: Gateway) -> list[dict[str, Any]]:
    made = [shown(row) | {"origin": "run-time"} for row in await gateway.store.keys()]
    file = [
        {
            "name": name,
            "origin": "file",
            "tenant": key.tenant,
            "user": key.user,
            "limits": key.limits,
        }
        for name, key in gateway.settings.keys.items()
    ]
    realm = realm_of(inbound.caller, gateway.settings)
    rows = file + made
    return rows if realm is None else [r for r in rows if realm.sees(r["tenant"], r["user"])]


async def _spend(inbound: Inbound, gateway: Gateway) -> Any:
    query, realm = inbound.query, realm_of(inbound.caller, gateway.settings)
    asked = SpendQuery(
        since=query.get("since", ""),
        until=query.get("until", ""),
        key=query.get("name"),  # `key` in a query is a secret
        tenant=realm.tenant if realm else None,
        key_ids=await realm.ids(gateway) if realm and realm.role == "member" else None,
    )
    try:
        spend = await gateway.store.spend(asked)
    except ValueError as error:
        raise InvalidCall(f"since and until are days such as 2026-01-31: {error}.") from None
    if realm is not None and asked.key_ids is None:
        rows = [row for row in spend.rows if realm.reads(row.tenant)]
        spend = Spend(sum(row.nano for row in rows), rows)
    return to_builtins(spend)


async def _requests(inbound: Inbound, gateway: Gateway) -> Any:
    query, realm = inbound.query, realm_of(inbound.caller, gateway.settings)
    asked = Page(
        limit=count_in(query, USUAL, MOST),
        before=query.get("before"),
        tenant=realm.tenant if realm else None,
        key_ids=await realm.ids(gateway) if realm else None,
        task=query.get("task", ""),
    )
    return {"data": [record.shown() for record in await gateway.store.requests(asked)]}


async def _tenants(inbound: Inbound, gateway: Gateway) -> Any:
    realm = realm_of(inbound.caller, gateway.settings)
    rows = await command(gateway.works.data, {"do": "tenants.list"})
    return rows if realm is None else [row for row in rows if realm.reads(row["name"])]


async def _cache(inbound: Inbound, gateway: Gateway) -> Any:
    return await command(gateway.works.data, {"do": "cache.stats"})


async def _audit(inbound: Inbound, gateway: Gateway) -> Any:
    query = inbound.query
    before = query.get("before", "")
    if before and not (before.isdecimal() and len(before) <= DIGITS):
        raise InvalidCall(f'before "{before[:20]}" must be a line\'s seq.', param="before")
    path, limit = gateway.works.data / NAME, count_in(query, USUAL, MOST)
    realm = realm_of(inbound.caller, gateway.settings)
    only = realm.noted if realm is not None else None
    lines = await asyncio.to_thread(page, path, limit, int(before) if before else None, only)
    return {"data": to_builtins(lines)}


async def _config(inbound: Inbound, gateway: Gateway) -> Any:
    return settings_shown(gateway.settings)


def _difference(gateway: Gateway, text: str) -> dict[str, Any]:
    """What a reload of this text would change; nothing is put in force."""
    if len(text) > LONGEST_FILE:
        raise TooLarge(f"The text has {len(text):,} characters; the most is {LONGEST_FILE:,}.")
    try:
        wanted = parse(text)
    except BadConfig as error:
        raise InvalidCall(str(error)) from None
    return {"changes": difference(gateway.settings, wanted)}


LOOKS: dict[str, Answer] = {
    "status": _status,
    "providers": _providers,
    "keys": _keys,
    "spend": _spend,
    "requests": _requests,
    "tenants": _tenants,
    "cache": _cache,
    "audit": _audit,
    "config": _config,
}
