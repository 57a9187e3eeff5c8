"""`/v1/optimizer`: how routes that learn stand, and why a request was answered by whom.

    GET /v1/optimizer                        every route; for keys with a role
    GET /v1/optimizer/{route}                one of them
    GET /v1/optimizer/decisions/{request}    for keys with a role, or of a request of one's own
    GET /v1/optimizer/labels/{route}         pairs that people are asked of, blind; for admins
    POST /v1/optimizer/labels/{route}        {"request_id", "good": ["a", "b"]}; likewise

The same as `octoplex optimize status`, `explain` and `label` say.
"""

import asyncio
from typing import Any

import msgspec
from msgspec import Struct

from octoplex.assembly import labelling, optimizing
from octoplex.dialects.members import UNREADABLE
from octoplex.gateway import Gateway
from octoplex.ledger.orders import command
from octoplex.server.files import count_in
from octoplex.server.inbound import JSON, Inbound, read_body
from octoplex.server.reads import own_record
from octoplex.wire.error import Forbidden, InvalidCall

USUAL, MOST = 20, 200
"""Pairs that are shown at once."""


class Label(Struct, forbid_unknown_fields=True):
    """What somebody says of a pair: which answers are good."""

    request_id: str
    good: tuple[str, ...]


_read = msgspec.json.Decoder(Label).decode


async def routes(inbound: Inbound, gateway: Gateway) -> None:
    """How the routes that learn stand: what is certified, and what was saved."""
    _check(inbound)
    works, settings = gateway.works, gateway.settings
    rows = await asyncio.to_thread(optimizing.standing, works.data, settings)
    await _json(inbound, {"object": "list", "data": rows})


async def route(inbound: Inbound, gateway: Gateway) -> None:
    """How one route that learns stands."""
    _check(inbound)
    name, works, settings = _name(inbound), gateway.works, gateway.settings
    (row,) = await asyncio.to_thread(optimizing.standing, works.data, settings, name)
    await _json(inbound, row)


async def decision(inbound: Inbound, gateway: Gateway) -> None:
    """Why a request was answered by whom, to the last number."""
    if not inbound.caller.role:
        await own_record(inbound.rest, inbound.caller, gateway)
    told = await asyncio.to_thread(optimizing.explained, gateway.works.data, inbound.rest)
    await _json(inbound, told)


async def questions(inbound: Inbound, gateway: Gateway) -> None:
    """Pairs that people are asked of, the oldest first; which answer is whose is not said."""
    _check_admin(inbound)
    most = count_in(inbound.query, USUAL, MOST)
    name, works, settings = _name(inbound), gateway.works, gateway.settings
    rows = await asyncio.to_thread(labelling.questions, works.data, settings, name, most)
    await _json(inbound, {"object": "list", "data": rows})


async def label(inbound: Inbound, gateway: Gateway) -> None:
    """Say which of a pair's two answers are good."""
    _check_admin(inbound)
    try:
        told = _read(await read_body(inbound, gateway.max_body))
    except UNREADABLE as error:
        raise InvalidCall(f"The body is no label: {error}.") from None
    said = {"request_id": told.request_id, "good": told.good}
    order = {"do": "optimizer.label", "route": _name(inbound), **said}
    await command(gateway.works.data, {**order, "who": f"key:{inbound.caller.name}"})
    await _json(inbound, said)


def _name(inbound: Inbound) -> str:
    """The route that is meant."""
    return inbound.rest.replace("%2F", "/").replace("%2f", "/") or "?"


def _check(inbound: Inbound) -> None:
    """Refuse a person's key: what is shown is of all tenants."""
    if not inbound.caller.role:
        raise Forbidden(
            "How routes learn is shown to keys with a role of the file: [keys.NAME] role; "
            "a decision about a request of your own at /v1/optimizer/decisions/ID."
        )


def _check_admin(inbound: Inbound) -> None:
    """Only an admin's key: what is shown is what callers of all tenants have asked."""
    if inbound.caller.role != "admin":
        raise Forbidden('Pairs are shown to keys of admins: [keys.NAME] role = "admin".')


async def _json(inbound: Inbound, value: Any) -> None:
    block = JSON + inbound.id_lines().encode() + inbound.cors
    await inbound.line.whole(200, block, msgspec.json.encode(value))
