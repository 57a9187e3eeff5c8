"""`/v1/optimizer`: how routes that learn stand, and why a request was answered by whom.

    GET /v1/optimizer                        every route; for keys with a role
    GET /v1/optimizer/{route}                one of them
    GET /v1/optimizer/decisions/{request}    for keys with a role, or of a request of one's own

The same as `octoplex optimize status` and `explain` say with `--json`.
"""

import asyncio
from typing import Any

import msgspec

from octoplex.assembly import optimizing
from octoplex.gateway import Gateway
from octoplex.server.inbound import JSON, Inbound
from octoplex.server.reads import own_record
from octoplex.wire.error import Forbidden


async def routes(inbound: Inbound, gateway: Gateway) -> None:
    """How the routes that learn stand: what is certified, and what was saved."""
    _check(inbound)
    works, settings = gateway.works, gateway.settings
    rows = await asyncio.to_thread(optimizing.standing, works.data, settings)
    await _json(inbound, {"object": "list", "data": rows})


async def route(inbound: Inbound, gateway: Gateway) -> None:
    """How one route that learns stands."""
    _check(inbound)
    name = inbound.rest.replace("%2F", "/").replace("%2f", "/")
    works, settings = gateway.works, gateway.settings
    (row,) = await asyncio.to_thread(optimizing.standing, works.data, settings, name or "?")
    await _json(inbound, row)


async def decision(inbound: Inbound, gateway: Gateway) -> None:
    """Why a request was answered by whom, to the last number."""
    if not inbound.caller.role:
        await own_record(inbound.rest, inbound.caller, gateway)
    told = await asyncio.to_thread(optimizing.explained, gateway.works.data, inbound.rest)
    await _json(inbound, told)


def _check(inbound: Inbound) -> None:
    """Refuse a person's key: what is shown is of all tenants."""
    if not inbound.caller.role:
        raise Forbidden(
            "How routes learn is shown to keys with a role of the file: [keys.NAME] role; "
            "a decision about a request of your own at /v1/optimizer/decisions/ID."
        )


async def _json(inbound: Inbound, value: Any) -> None:
    block = JSON + inbound.id_lines().encode() + inbound.cors
    await inbound.line.whole(200, block, msgspec.json.encode(value))
