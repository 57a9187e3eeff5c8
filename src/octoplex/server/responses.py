"""The doors of OpenAI's Responses: ask, go on, read again, delete.

    request -> turn (history.py) -> chat's way (chat.py) -> reply, kept as it went out

What is kept is what the caller was given: the whole reply, or the response in the last
event of a stream. It is handed to the shelf before that goes out, so that a request which
names it finds it. A reply that is written here has an id of ours; one that passes verbatim
keeps its provider's. Nothing is kept of a call that says `store: false`, of one that
fails, or where `[server] responses_days` is 0.

Reference: https://developers.openai.com/api/reference/resources/responses

Not promised: background responses, and a stored response replayed as a stream.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from secrets import token_hex

import msgspec
from msgspec import Raw, Struct

from octoplex.assembly.arrival import written
from octoplex.dialects.members import UNREADABLE, value_of
from octoplex.dialects.openai_responses import OpenAIResponsesFace
from octoplex.dialects.openai_responses.stored import (
    by_id,
    final_response,
    ids_of,
    input_items,
    listed,
    output_items,
)
from octoplex.gateway import Gateway
from octoplex.ledger.rows import Stored
from octoplex.reflex.idempotency import name_of
from octoplex.server import chat, out
from octoplex.server.headers import answer_headers
from octoplex.server.history import MIXED, OURS, Turn, combined, items_of, turn_of
from octoplex.server.inbound import JSON, Inbound, read_body, ready_body
from octoplex.wire.answer import Answer
from octoplex.wire.ask import Ask
from octoplex.wire.beside import beside
from octoplex.wire.error import InvalidCall, NotFound, Unsupported
from octoplex.wire.event import NO_USAGE, Finished, Started, fold

log = logging.getLogger("octoplex.server")
MOST_ITEMS, USUAL_ITEMS = 100, 20
LONGEST_ID = 256


class _Head(Struct):
    id: str
    model: str | None = None
    status: str | None = None


_head = msgspec.json.Decoder(_Head).decode
_json = msgspec.json.Encoder().encode


def new_id(name: bytes | None = None) -> str:
    """An id that nobody guesses: 160 bits, of which its items' ids repeat 128.

    `name` stands for an idempotency key, under which it is always the same.
    """
    return f"resp_octo{token_hex(20) if name is None else name[:20].hex()}"


async def respond(inbound: Inbound, gateway: Gateway) -> None:
    """Answer a Responses request, streamed or whole, and keep what may be gone on from."""
    body = ready_body(inbound, gateway.max_body)
    if body is None:
        body = await read_body(inbound, gateway.max_body)
    call = await chat.arrived(inbound, gateway, body, "chat")
    turn = await turn_of(inbound, gateway, call)
    stores = bool(gateway.store.responses.days)
    named = turn.call.headers
    name = name_of(named, inbound.caller.id, gateway.works.hasher.hash) if named else None
    inbound.face = OpenAIResponsesFace(stores=stores, reply_id=new_id(name))
    if turn.memory is not None and value_of(turn.call.fields, "generate") is False:
        await _prepare(turn, inbound, gateway)
    elif turn.call.stream:
        passing = partial(_pass_on, turn, gateway)
        await chat.streamed(inbound, gateway, turn.call, passing=passing)
    else:
        await _whole(turn, inbound, gateway)


async def count_tokens(inbound: Inbound, gateway: Gateway) -> None:
    """Count the tokens of a Responses request without running it."""
    body = await read_body(inbound, gateway.max_body)
    call = await chat.arrived(inbound, gateway, body, "count_tokens")
    await chat.count(inbound, gateway, (await turn_of(inbound, gateway, call)).call)


async def read(inbound: Inbound, gateway: Gateway) -> None:
    """A stored response; with /input_items after its id, what it was asked, in pages."""
    id_, _, part = inbound.rest.partition("/")
    if part not in ("", "input_items"):
        raise NotFound(f"There is no {part[:128]!r} of a response; there is input_items.")
    row = await _own(inbound, gateway, id_)
    if part:
        await _send(inbound, _json(_page(inbound, items_of(row))))
        return
    if inbound.query.get("stream", "false") != "false":
        raise Unsupported(
            "A stored response is not replayed as a stream here; leave `stream` out.",
            param="stream",
        )
    await _send(inbound, row.body)


async def delete(inbound: Inbound, gateway: Gateway) -> None:
    """Delete a stored response."""
    id_ = inbound.rest
    if not await gateway.store.responses.forget(inbound.caller.id, id_):
        raise _absent(id_)
    await _send(inbound, _json({"id": id_, "object": "response", "deleted": True}))


async def cancel(inbound: Inbound, gateway: Gateway) -> None:
    """Refuse to cancel a response: only those in the background could be, and there are none."""
    id_, _, part = inbound.rest.partition("/")
    if part != "cancel":
        raise NotFound(f"There is no POST {inbound.line.path[:200]} here.")
    await _own(inbound, gateway, id_)
    raise Unsupported(
        "Only `background` responses can be cancelled, and they are not offered here. "
        "Close the connection to end a response that is still streaming.",
        param="background",
    )


async def _own(inbound: Inbound, gateway: Gateway, id_: str) -> Stored:
    """A response of the caller's; another's is as absent as none."""
    row = await gateway.store.responses.find(inbound.caller.id, id_)
    if row is None:
        raise _absent(id_)
    return row


def _absent(id_: str) -> NotFound:
    return NotFound(f"There is no response {id_[:128]!r}.", param="response_id")


async def _send(inbound: Inbound, body: bytes) -> None:
    block = JSON + inbound.id_lines().encode() + inbound.cors
    await inbound.line.whole(200, block, body)


# -- asking ---------------------------------------------------------------------------------


async def _whole(turn: Turn, inbound: Inbound, gateway: Gateway) -> None:
    answer = await gateway.answer(turn.call)
    face = inbound.face
    if answer.body is None:  # the provider streamed although it was not asked to
        body = written(face, turn.told, fold(await chat.events_of(answer)))
    elif answer.dialect == face.name:
        body = answer.body
    else:
        body = written(face, turn.told, answer.reply())
    await _keep(turn, gateway, answer.head.provider, body)
    block = JSON + answer_headers(inbound, turn.call, answer.head, gateway)
    await inbound.line.whole(200, block, body)


async def _prepare(turn: Turn, inbound: Inbound, gateway: Gateway) -> None:
    """Answer a request of a websocket that only announces the next: nobody is asked."""
    await gateway.prepare(msgspec.structs.replace(turn.call, op="prepare"))
    events = (Started("", turn.call.model), Finished(stop="end", usage=NO_USAGE))
    data = inbound.face.encoder(turn.told).feed(events)
    tape = _Tape(out.Stream(inbound.line, b"", turn.call), partial(_keep, turn, gateway, ""))
    await tape.write(data, last=True)


async def _pass_on(
    turn: Turn, gateway: Gateway, inbound: Inbound, _: Ask, answer: Answer, stream: out.Stream
) -> None:
    tape = _Tape(stream, partial(_keep, turn, gateway, answer.head.provider))
    await chat.pass_on(inbound, turn.told, answer, tape)


class _Tape:
    """A stream's way out, on which the response that it ends with is heard."""

    def __init__(self, stream: out.Writes, keep: Callable[[bytes], Awaitable[None]]) -> None:
        self._stream, self._keep = stream, keep

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Send bytes."""
        body = final_response(data)
        if body is not None:
            await self._keep(body)
        await self._stream.write(data, last=last)


# -- keeping --------------------------------------------------------------------------------


async def _keep(turn: Turn, gateway: Gateway, provider: str, body: bytes) -> None:
    """Hand a response to the shelf, unless its caller or the operator wants none kept.

    A websocket remembers it then, as OpenAI does: while it is open, and never on disk.
    """
    shelf, memory = gateway.store.responses, turn.memory
    private = value_of(turn.told.fields, "store") is False
    stored = shelf.days and not private
    if not stored and memory is None:
        return
    try:
        # What its provider does not store, or not all of, is nowhere at home.
        stray = private or bool(turn.call.trail.rescue)
        size = len(turn.call.raw) + len(body)
        row = await beside(size, _row, turn, MIXED if stray else provider, body)
    except (InvalidCall, *UNREADABLE) as error:  # it passed verbatim and means nothing to us
        log.warning("the response to %s is not stored: %s", turn.call.id, error)
        return
    if stored:
        shelf.keep(row)
    elif memory is not None:
        memory.keep(row)


def _row(turn: Turn, provider: str, body: bytes) -> Stored:
    head = _head(body)
    if not 0 < len(head.id) <= LONGEST_ID:
        raise InvalidCall("its id cannot be used")
    new = [] if turn.input is None else input_items(turn.input, head.id)
    caller = turn.call.caller
    return Stored(
        id=head.id,
        key_id=caller.id,
        tenant=caller.tenant,
        created_at_ms=time.time_ns() // 1_000_000,
        model=head.model or "",
        status=head.status or "",
        origin=combined(turn.origin, "" if OURS.fullmatch(head.id) else provider),
        whole=turn.whole,
        body=bytes(body),
        input=_json([*turn.before, *new]),
        items=tuple(by_id([*new, *output_items(body)])),
    )


# -- pages ----------------------------------------------------------------------------------


def _page(inbound: Inbound, items: list[Raw]) -> dict[str, object]:
    """One page of input items, the newest first unless `order` says otherwise."""
    query = inbound.query
    limit, order, after = query.get("limit", ""), query.get("order", "desc"), query.get("after")
    count = int(limit) if limit.isdecimal() and len(limit) < 5 else 0 if limit else USUAL_ITEMS
    if not 1 <= count <= MOST_ITEMS:
        raise InvalidCall(f"limit {limit[:20]!r} must be 1 to {MOST_ITEMS}.", param="limit")
    if order not in ("asc", "desc"):
        raise InvalidCall(f"order {order[:20]!r} must be asc or desc.", param="order")
    if order == "desc":
        items = items[::-1]
    ids = ids_of(items)
    start = 0
    if after is not None:
        if after not in ids:
            raise InvalidCall(f"after {after[:128]!r} is no item of this list.", param="after")
        start = ids.index(after) + 1
    end = start + count
    shown = ids[start:end]
    return {
        "object": "list",
        "data": [listed(item) for item in items[start:end]],
        "first_id": shown[0] if shown else None,
        "last_id": shown[-1] if shown else None,
        "has_more": end < len(ids),
    }
