"""The doors that only read: models, records, the caller's own key, health, metrics.

None of them ever asks an upstream. A caller with a key sees its own records and its own
limits, nobody else's; what it may not use is not listed either.
"""

import asyncio
from typing import Any

import msgspec

from octoplex.gateway import Gateway
from octoplex.ledger.period import levels
from octoplex.ledger.rows import Page, Record
from octoplex.reflex.tenants import role_of
from octoplex.server.files import count_in
from octoplex.server.inbound import JSON, Inbound
from octoplex.wire.ask import Caller
from octoplex.wire.error import NotFound, Stopping

USUAL_RECORDS, MOST_RECORDS = 50, 1_000
TEXT = b"content-type: text/plain; version=0.0.4; charset=utf-8\r\n"


async def _json(inbound: Inbound, value: Any, status: int = 200) -> None:
    block = JSON + inbound.id_lines().encode() + inbound.cors
    await inbound.line.whole(status, block, msgspec.json.encode(value))


METHODS = ["generateContent", "countTokens"]


def _model(name: str, face: str, gateway: Gateway) -> dict[str, Any]:
    owner = name.partition("/")[0] if "/" in name else "octoplex"
    row: dict[str, Any] = {"id": name, "object": "model", "created": 0, "owned_by": owner}
    if face == "anthropic":
        created_at = "1970-01-01T00:00:00Z"
        row = {"type": "model", "id": name, "display_name": name, "created_at": created_at}
    elif face == "gemini":
        methods = {"supportedGenerationMethods": METHODS}
        row = {"name": f"models/{name}", "displayName": name, **methods}
    unavailable = gateway.plan.unavailable(name)
    if unavailable:
        row["x_octoplex"] = {"available": False, "why": unavailable}
    return row


async def models(inbound: Inbound, gateway: Gateway) -> None:
    """List what can be asked for, in the shape the caller's SDK expects."""
    names, face = gateway.names(inbound.caller), inbound.face.name
    rows = [_model(name, face, gateway) for name in names]
    if face == "gemini":
        await _json(inbound, {"models": rows})
    elif face == "anthropic":
        first, last = (names[0], names[-1]) if names else (None, None)
        await _json(inbound, {"data": rows, "has_more": False, "first_id": first, "last_id": last})
    else:
        await _json(inbound, {"object": "list", "data": rows})


async def model(inbound: Inbound, gateway: Gateway) -> None:
    """One model or route by its id, which may hold slashes, raw or as %2F."""
    name = inbound.rest.replace("%2F", "/").replace("%2f", "/")
    key = gateway.key_of(inbound.caller)
    if key is not None and not key.allows(name):
        raise NotFound(f'There is no model "{name}" for this key.', param="model")
    gateway.plan.resolver.resolve(name)
    await _json(inbound, _model(name, inbound.face.name, gateway))


async def requests(inbound: Inbound, gateway: Gateway) -> None:
    """The newest records, of this caller's own requests. `?limit=` and `?before=ID` page on;
    `?task=ID` has those of one task alone."""
    query = inbound.query
    limit = count_in(query, USUAL_RECORDS, MOST_RECORDS)
    own = (inbound.caller.id,) if inbound.caller.id else None
    page = Page(limit=limit, before=query.get("before"), key_ids=own, task=query.get("task", ""))
    rows = await gateway.store.requests(page)
    await _json(inbound, {"object": "list", "data": [record.shown() for record in rows]})


async def request(inbound: Inbound, gateway: Gateway) -> None:
    """One record; another caller's is as absent as none."""
    record = await own_record(inbound.rest, inbound.caller, gateway)
    await _json(inbound, record.shown())


async def own_record(id_: str, caller: Caller, gateway: Gateway) -> Record:
    """A record of this caller.

    Raises:
        NotFound: there is none.
    """
    record: Record | None = await gateway.store.request(id_)
    if record is None or (caller.id and record.key_id != caller.id):
        raise NotFound(f'There is no request "{id_[:128]}".')
    return record


async def key(inbound: Inbound, gateway: Gateway) -> None:
    """The caller's own key: its limits and what is left of them."""
    own = gateway.key_of(inbound.caller)
    works = gateway.works
    if own is None:
        nothing: dict[str, Any] = {"models": [], "region": "", "limits": [], "budgets": []}
        await _json(inbound, {"name": None, **nothing})
        return
    standing = await works.standing(own.id)
    whose = own.caller.tenant, own.caller.user
    shown = {
        "id": own.id,
        "name": own.name,
        "tenant": own.caller.tenant,
        "user": own.caller.user,
        "role": own.caller.role or role_of(gateway.settings.tenants, *whose) or "",
        "expires_at_ms": None if own.expires_at is None else int(own.expires_at * 1000),
        "models": [str(m) for m in own.models.patterns],
        "models_of_tenants": {
            name: list(gateway.tenants[name].models.patterns)
            for name in levels(own.caller.tenant)
            if name in gateway.tenants
        },
        "region": own.caller.region,
        "limits": [
            {
                "unit": f.unit,
                "limit": f.limit,
                "remaining": f.remaining,
                "reset_s": round(f.reset_s, 3),
                "period_s": f.period_s,
                "tenant": f.tenant,
            }
            for f in standing.figures
        ],
        "budgets": [
            {
                "window": b.window,
                "cap_nano": b.cap_nano,
                "spent_nano": b.spent_nano,
                "held_nano": b.held_nano,
                "left_nano": b.left_nano,
                "window_ends_at": b.ends_at,
                "tenant": b.tenant,
            }
            for b in standing.budgets
        ],
        "spent_nano": standing.spent_nano,
    }
    await _json(inbound, shown)


async def live(inbound: Inbound, gateway: Gateway) -> None:
    """The process answers."""
    await _json(inbound, {"status": "live"})


async def ready(inbound: Inbound, gateway: Gateway) -> None:
    """Configuration, ledger and listener are ready, whatever the providers' state."""
    if gateway.works.stopping:
        raise Stopping("The server is shutting down.")
    store = gateway.store.condition()
    status = 503 if store.refusal else 200
    ledger = store.refusal or "ok"
    if store.away and not store.refusal:
        ledger = f"the database cannot be reached; {store.spooled:,} entries wait on the disk"
    body = {"status": "unready" if store.refusal else "ready", "ledger": ledger}
    more = {"config_error": gateway.works.config_error or None, **gateway.works.others()}
    await _json(inbound, {**body, **more}, status)


async def metrics(inbound: Inbound, gateway: Gateway) -> None:
    """Prometheus, text format. With many models it takes long enough to be in the way."""
    text = await asyncio.to_thread(gateway.metrics.expose())
    await inbound.line.whole(200, TEXT, text)
