"""`POST /v1/feedback`: what a caller says of an answer it got.

    {"request_id": "req_...", "score": 0.5, "comment": "too long"}
    ->   {"request_id", "score", "cache": {"min"}}

`score` is 1 or true for right, 0 or false for wrong, or between; `label`, `comment` and
`correction`, what the answer should have been, are kept as they are. `conversation_id` in the place
of `request_id` means the newest answer to a request whose `metadata.conversation_id` it is. Said
again, it takes the place of what was said; nobody can speak of another's requests.

Of an answer that the semantic cache gave for another wording a score decides about the next ones:
`min` is the cosine that a hit must have from now on, for this caller's tenant and that route. Of
all others it is a measurement of quality (`optimizer/opinions.py`).
"""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from octoplex.dialects.members import UNREADABLE
from octoplex.gateway import Gateway
from octoplex.ledger.learning import Said, open_learning
from octoplex.ledger.rows import Page, Record
from octoplex.reflex.cache.marks import score_of
from octoplex.server.inbound import JSON, Inbound, read_body
from octoplex.server.reads import own_record
from octoplex.wire.ask import Caller
from octoplex.wire.error import InvalidCall, NotFound, StoreFailed

RIGHT = 0.5
NEWEST = 1_000
"""Of a caller's requests, among which those of a conversation are looked for."""


class Feedback(Struct, omit_defaults=True):
    """The body."""

    request_id: Annotated[str, Meta(max_length=128)] = ""
    conversation_id: Annotated[str, Meta(max_length=512)] = ""
    score: Annotated[float, Meta(ge=0, le=1)] | bool | None = None
    label: Annotated[str, Meta(max_length=64)] = ""
    comment: Annotated[str, Meta(max_length=4_000)] = ""
    correction: Annotated[str, Meta(max_length=16_000)] = ""


class _Tags(Struct):
    conversation_id: str = ""


_read = msgspec.json.Decoder(Feedback).decode
_tags = msgspec.json.Decoder(_Tags).decode


async def feedback(inbound: Inbound, gateway: Gateway) -> None:
    """Say whether an answer was right."""
    body = await read_body(inbound, gateway.max_body)
    try:
        said = _read(body)
    except UNREADABLE as error:
        raise InvalidCall(f"The body is no feedback: {error}.") from None
    if said.score is None and not (said.label or said.comment or said.correction):
        raise InvalidCall("The body is no feedback: it has no score, label, comment or correction.")
    if bool(said.request_id) == bool(said.conversation_id):
        raise InvalidCall("Say of which answer: either request_id or conversation_id.")
    if said.request_id:
        record = await own_record(said.request_id, inbound.caller, gateway)
    else:
        record = await _newest(said.conversation_id, inbound.caller, gateway)
    await asyncio.to_thread(_keep, gateway.works.data, said, record)
    answer: dict[str, Any] = {"request_id": record.id}
    if said.score is not None:
        answer["score"] = float(said.score)
        answer |= await _marked(said.score >= RIGHT, record, inbound.caller, gateway)
    block = JSON + inbound.id_lines().encode() + inbound.cors
    await inbound.line.whole(200, block, msgspec.json.encode(answer))


async def _newest(conversation: str, caller: Caller, gateway: Gateway) -> Record:
    """The caller's newest request of a conversation.

    Raises:
        NotFound: there is none.
    """
    page = Page(limit=NEWEST, key_ids=(caller.id,) if caller.id else None)
    for record in await gateway.store.requests(page):
        try:
            if _tags(record.metadata).conversation_id == conversation:
                return record
        except UNREADABLE:
            continue
    raise NotFound(
        f'None of your {NEWEST:,} newest requests has the metadata.conversation_id "'
        f'{conversation[:128]}".'
    )


def _keep(data: Path, said: Feedback, record: Record) -> None:
    """Write it down.

    Raises:
        StoreFailed: it cannot be written.
    """
    kept = Said(
        request_id=record.id,
        key_id=record.key_id,
        tenant=record.tenant,
        route=record.route,
        model=record.target,
        at_ms=time.time_ns() // 1_000_000,
        score=None if said.score is None else float(said.score),
        body=msgspec.json.encode(said),
    )
    try:
        with closing(open_learning(data)) as file:
            file.say(kept)
    except (sqlite3.Error, OSError) as error:
        raise StoreFailed(f"The feedback could not be kept: {error}.") from None


async def _marked(good: bool, record: Record, caller: Caller, gateway: Gateway) -> dict[str, Any]:
    """What it changes for the semantic cache, where that gave the answer."""
    cosine = score_of(record.why)
    rule = gateway.plan.caches.rules.get(record.route)
    if record.cache != "semantic" or cosine is None or rule is None or rule.near is None:
        return {}
    least = await gateway.works.cache.marks.mark(caller, rule, record.id, cosine, good)
    return {"cache": {"min": round(least, 4)}}
