"""The doors of Anthropic's message batches: make, list, look at, cancel, delete, results.

The same batches as OpenAI's in another form (`batches.py`): what is asked comes in one body,
and the results are read from the batch.

Reference: https://platform.claude.com/docs/en/api/messages/batches
"""

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.members import UNREADABLE
from octoplex.gateway import Gateway
from octoplex.jobs.lines import message_requests
from octoplex.ledger.batch import Batch, Span, new_id
from octoplex.reflex.idempotency import HEADER
from octoplex.server.batches import begin, name_of_batch, own, stop
from octoplex.server.chat import travelling
from octoplex.server.files import DAY_S, count_in, give, page, send
from octoplex.server.inbound import Inbound, read_body
from octoplex.wire.error import InvalidCall, NotFound

FACE, PATH = "anthropic", "/v1/messages"
USUAL_BATCHES, MOST_BATCHES = 20, 1_000
JSONL = b"content-type: application/x-jsonl\r\n"


class _Made(Struct):
    requests: list[Raw]


_made = msgspec.json.Decoder(_Made).decode


async def create(inbound: Inbound, gateway: Gateway) -> None:
    """Make a batch of the messages in the body."""
    archive = gateway.store.archive
    try:
        requests = _made(await read_body(inbound, gateway.max_body)).requests
    except UNREADABLE as error:
        raise InvalidCall(f"requests: {error}", param="requests") from None
    # Not here: a hundred thousand take half a second.
    lines, wrong = await asyncio.to_thread(message_requests, requests)
    if wrong:
        raise InvalidCall(wrong, param=wrong.partition(":")[0])
    now, name = int(archive.now()), name_of_batch(inbound, gateway)
    headers, hash_ = travelling(inbound.line.headers), gateway.works.hasher.hash
    headers.pop(HEADER, None)  # it is the batch's, not that of each line
    batch = Batch(
        id=new_id("msgbatch_", name),
        asked=b"" if name is None else await asyncio.to_thread(hash_, lines),
        key_id=inbound.caller.id,
        key_name=inbound.caller.name,
        face=FACE,
        endpoint=PATH,
        created_at=now,
        expires_at=now + DAY_S,
        headers=headers,
        total=len(requests),
    )
    async with archive.coming(len(lines)) as taken:
        await archive.do(taken.write, lines)
        batch = await begin(archive, batch, taken)
    await send(inbound, _shown(batch, inbound, gateway))


async def batches(inbound: Inbound, gateway: Gateway) -> None:
    """List the caller's own message batches, newest first, in pages."""
    query, archive = inbound.query, gateway.store.archive
    limit = count_in(query, USUAL_BATCHES, MOST_BATCHES)
    span = Span(limit=limit, after=query.get("after_id", ""), before=query.get("before_id", ""))
    rows, more = await archive.do(archive.batches, inbound.caller.id, FACE, span)
    found = page([_shown(batch, inbound, gateway) for batch in rows], more)
    del found["object"]
    await send(inbound, found)


async def read(inbound: Inbound, gateway: Gateway) -> None:
    """A message batch of the caller's; with /results after its id, a line for each request."""
    id_, _, part = inbound.rest.partition("/")
    if part not in ("", "results"):
        raise NotFound(f"There is no {part[:128]!r} of a batch; there is results.")
    batch = await own(inbound, gateway, id_, FACE)
    if not part:
        await send(inbound, _shown(batch, inbound, gateway))
        return
    if not batch.over:
        raise InvalidCall("The batch has not ended yet; its results come when it has.")
    archive = gateway.store.archive
    await give(inbound, archive.do, lambda: archive.part(batch, "out").open("rb"), JSONL)


async def cancel(inbound: Inbound, gateway: Gateway) -> None:
    """Cancel a message batch: what is being asked ends, what was answered is kept."""
    id_, _, verb = inbound.rest.partition("/")
    if verb != "cancel":
        raise NotFound(f"There is no {verb[:128]!r} of a batch; there is cancel.")
    batch = await own(inbound, gateway, id_, FACE)
    await stop(gateway.store.archive, batch)  # harmless when it has ended, as the vendor's is
    await send(inbound, _shown(batch, inbound, gateway))


async def delete(inbound: Inbound, gateway: Gateway) -> None:
    """Delete a message batch that has ended, with its results."""
    batch = await own(inbound, gateway, inbound.rest, FACE)
    if not batch.over:
        raise InvalidCall("The batch has not ended; cancel it before you delete it.")
    archive = gateway.store.archive
    await archive.do(archive.forget_batch, batch)
    await send(inbound, {"id": batch.id, "type": "message_batch_deleted"})


def _shown(batch: Batch, inbound: Inbound, gateway: Gateway) -> dict[str, Any]:
    """The batch object. Its counts move while it runs, which the vendor's do at its end."""
    counts = batch.counts
    ended = {
        "succeeded": counts.get("completed", 0),
        "errored": counts.get("failed", 0),
        "canceled": counts.get("canceled", 0),
        "expired": counts.get("expired", 0),
    }
    status = "canceling" if batch.status == "cancelling" else "in_progress"
    host = inbound.line.headers.get(b"host", b"").decode("latin-1")
    secure = (
        gateway.settings.server.tls or inbound.line.headers.get(b"x-forwarded-proto") == b"https"
    )
    scheme = "https" if secure else "http"
    url = f"{scheme}://{host}{PATH}/batches/{batch.id}/results"
    over_at = batch.at.get(batch.status) if batch.over else None
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": "ended" if batch.over else status,
        "request_counts": {"processing": batch.total - sum(ended.values()), **ended},
        "created_at": _at(batch.created_at),
        "expires_at": _at(batch.expires_at),
        "ended_at": _at(over_at),
        "cancel_initiated_at": _at(batch.at.get("cancelling")),
        "archived_at": None,
        "results_url": url if batch.over else None,
    }


def _at(seconds: int | None) -> str | None:
    return None if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
