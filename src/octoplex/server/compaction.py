"""The door of `POST /v1/responses/compact`: a conversation in, a short one that stands for it out.

    request -> turn (history.py) -> one call of the spine -> what its provider made, or ours

The call is routed, reserved, limited, recorded and failed over like any other. A target that
compacts itself (quirk `compacts`) is asked for that verbatim, and what it made goes back byte
for byte; every other one is asked for a summary, which is sealed here for the caller's key
(`dialects/openai_responses/compaction.py`). Which of both it becomes is known only once
somebody has answered, so both are views of one call.

Reference: https://developers.openai.com/api/docs/guides/compaction

Not promised: that a compacted conversation is kept here; its output is the caller's to send.
"""

import time

import msgspec

from octoplex.dialects.members import value_of
from octoplex.dialects.openai_responses.compaction import (
    PROMPT_BYTES,
    is_compacted,
    read_compaction,
    seal,
    write_compacted,
)
from octoplex.gateway import Gateway
from octoplex.reflex.idempotency import name_of
from octoplex.server import chat
from octoplex.server.headers import answer_headers
from octoplex.server.history import turn_of
from octoplex.server.inbound import JSON, Inbound, read_body
from octoplex.server.responses import new_id
from octoplex.wire.ask import BYTES_PER_TOKEN, MEDIA_TOKENS, Call
from octoplex.wire.error import OutputInvalid, Unsupported
from octoplex.wire.event import Reply, fold

_MEDIA = (b'"input_image"', b'"input_file"', b'"input_audio"')
_CUT = frozenset({"length", "context", "refusal"})


async def compact(inbound: Inbound, gateway: Gateway) -> None:
    """Compact a conversation: its user messages, and one item that stands for the rest."""
    body = await read_body(inbound, gateway.max_body)
    call = await chat.arrived(inbound, gateway, body, "compact")
    turn = await turn_of(inbound, gateway, call)
    call = _asked(turn.call)
    answer = await gateway.answer(call)
    body = answer.body or b""
    if answer.body is None:  # the provider streamed although it was not asked to
        body = _sealed(call, fold(await chat.events_of(answer)), gateway)
    elif not is_compacted(body):
        body = _sealed(call, answer.reply(), gateway)
    block = JSON + answer_headers(inbound, call, answer.head, gateway)
    await inbound.line.whole(200, block, body)


def _asked(call: Call) -> Call:
    """The call whose typed view asks for a summary.

    Raises:
        Unsupported: a stream is asked for.
    """
    if value_of(call.fields, "stream"):
        raise Unsupported("A compaction is not streamed; leave `stream` out.", param="stream")
    added = -(-PROMPT_BYTES // BYTES_PER_TOKEN)
    if call.may_hold_media:  # the typed view is counted: it has the prompt in it, but no media
        added = MEDIA_TOKENS * sum(call.raw.count(mark) for mark in _MEDIA)
    anew: dict[str, None] = {"_chat": None, "_worst": None}
    return msgspec.structs.replace(call, understand=read_compaction, added_tokens=added, **anew)


def _sealed(call: Call, reply: Reply, gateway: Gateway) -> bytes:
    """The reply with a summary that a model wrote.

    Raises:
        OutputInvalid: it is cut or refused, and would lose what it does not say.
    """
    summary = reply.text.strip()
    if not summary or reply.stop in _CUT:
        raise OutputInvalid(
            f"The model's summary ended with {reply.stop!r} and {len(summary)} characters; nothing "
            "was compacted. Compact a shorter conversation, or choose another model."
        )
    hash_ = gateway.works.hasher.hash
    id_ = new_id(name_of(call.headers, call.caller.id, hash_))
    item = seal(summary, call.caller.id, hash_)
    input_, usage = call.fields.get("input"), reply.usage
    return write_compacted(id_, call.replied_at(time.time), input_, item, usage)
