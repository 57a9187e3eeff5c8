"""The doors of OpenAI's batches: make one of a file, list, look at, cancel.

They keep and show; `jobs/runner.py` does what is asked. A batch is its key's own, and each
of its lines is a request of that key.

Reference: https://developers.openai.com/api/reference/resources/batches
"""

import asyncio
from typing import Any

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.members import UNREADABLE
from octoplex.gateway import Gateway
from octoplex.ledger.archive import Archive, Upload
from octoplex.ledger.batch import Batch, File, Span, Status, new_id
from octoplex.reflex.idempotency import name_of, reused
from octoplex.server.chat import travelling
from octoplex.server.files import DAY_S, count_in, lifetime, page, send
from octoplex.server.inbound import Inbound, read_body
from octoplex.wire.error import InvalidCall, NotFound

FACE = "openai-chat"
ENDPOINTS = (
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/completions",
    "/v1/moderations",
)
WINDOW = "24h"
USUAL_BATCHES, MOST_BATCHES = 20, 100
MOST_LABELS, LONGEST_LABEL, LONGEST_VALUE = 16, 64, 512
STAMPS: tuple[Status, ...] = (
    "in_progress",
    "finalizing",
    "completed",
    "failed",
    "expired",
    "cancelling",
    "cancelled",
)


class _Keeping(Struct):
    anchor: str
    seconds: int


class _Made(Struct):
    input_file_id: str
    endpoint: str
    completion_window: str
    metadata: dict[str, str] | None = None
    output_expires_after: _Keeping | None = None


_made = msgspec.json.Decoder(_Made).decode


async def create(inbound: Inbound, gateway: Gateway) -> None:
    """Make a batch of an uploaded file."""
    archive = gateway.store.archive
    asked = _read(await read_body(inbound, gateway.max_body))
    file = await archive.do(archive.file, inbound.caller.id, asked.input_file_id)
    if file is None:
        raise NotFound(f"There is no file {asked.input_file_id[:128]!r}.", param="input_file_id")
    if file.purpose != "batch":
        raise InvalidCall(
            f"The file has the purpose {file.purpose!r}; upload it with `batch`.",
            param="input_file_id",
        )
    keeping = asked.output_expires_after
    days_s = gateway.settings.server.files_days * DAY_S
    now = int(archive.now())
    name, hash_ = name_of_batch(inbound, gateway), gateway.works.hasher.hash
    batch = Batch(
        id=new_id("batch_", name),
        asked=b"" if name is None else hash_(msgspec.json.encode(asked)),
        key_id=inbound.caller.id,
        key_name=inbound.caller.name,
        face=FACE,
        endpoint=asked.endpoint,
        created_at=now,
        expires_at=now + DAY_S,
        input_file=file.id,
        output_file=new_id("file-"),
        error_file=new_id("file-"),
        metadata=Raw(msgspec.json.encode(asked.metadata)),
        keep_s=min(lifetime(keeping.seconds), days_s) if keeping else days_s,
    )
    await send(inbound, shown(await begin(archive, batch, file)))


async def batches(inbound: Inbound, gateway: Gateway) -> None:
    """List the caller's own batches, newest first, in pages."""
    query, archive = inbound.query, gateway.store.archive
    limit = count_in(query, USUAL_BATCHES, MOST_BATCHES)
    span = Span(limit=limit, after=query.get("after", ""))
    rows, more = await archive.do(archive.batches, inbound.caller.id, FACE, span)
    await send(inbound, page([shown(batch) for batch in rows], more))


async def read(inbound: Inbound, gateway: Gateway) -> None:
    """A batch of the caller's, with how far it is."""
    await send(inbound, shown(await own(inbound, gateway, inbound.rest, FACE)))


async def cancel(inbound: Inbound, gateway: Gateway) -> None:
    """Cancel a batch: what is being asked ends, what was answered is kept."""
    id_, _, verb = inbound.rest.partition("/")
    if verb != "cancel":
        raise NotFound(f"There is no {verb[:128]!r} of a batch; there is cancel.")
    batch = await own(inbound, gateway, id_, FACE)
    if not await stop(gateway.store.archive, batch):
        raise InvalidCall(f"The batch is {batch.status}; it cannot be cancelled any more.")
    await send(inbound, shown(batch))


def shown(batch: Batch) -> dict[str, Any]:
    """The batch object."""
    counts = batch.counts
    errors = [msgspec.structs.asdict(c) for c in batch.errors]
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "errors": {"object": "list", "data": errors} if errors else None,
        "input_file_id": batch.input_file,
        "completion_window": WINDOW,
        "status": batch.status,
        "output_file_id": (batch.over and batch.output_file) or None,
        "error_file_id": (batch.over and batch.error_file) or None,
        "created_at": batch.created_at,
        "expires_at": batch.expires_at,
        **{f"{status}_at": batch.at.get(status) for status in STAMPS},
        "request_counts": {
            "total": batch.total,
            "completed": counts.get("completed", 0),
            "failed": counts.get("failed", 0),
        },
        "metadata": batch.metadata,
    }


def _read(body: bytes) -> _Made:
    """What is asked for.

    Raises:
        InvalidCall: naming the field, its value and what to send.
    """
    try:
        asked = _made(body)
    except UNREADABLE as error:
        raise InvalidCall(f"This is no batch: {error}.") from None
    if asked.endpoint not in ENDPOINTS:
        listed = ", ".join(ENDPOINTS)
        raise InvalidCall(
            f"endpoint {asked.endpoint[:100]!r} must be one of {listed}.", param="endpoint"
        )
    if asked.completion_window != WINDOW:
        raise InvalidCall(
            f"completion_window {asked.completion_window[:20]!r} must be {WINDOW!r}.",
            param="completion_window",
        )
    labels = asked.metadata or {}
    fit = all(len(k) <= LONGEST_LABEL and len(v) <= LONGEST_VALUE for k, v in labels.items())
    if len(labels) > MOST_LABELS or not fit:
        raise InvalidCall(
            f"metadata holds at most {MOST_LABELS} labels of {LONGEST_LABEL} characters, with "
            f"values of {LONGEST_VALUE}.",
            param="metadata",
        )
    return asked


# -- what the batches of both vendors share ---------------------------------------------------


def name_of_batch(inbound: Inbound, gateway: Gateway) -> bytes | None:
    """What stands for the idempotency key that a batch is made under."""
    headers, hash_ = travelling(inbound.line.headers), gateway.works.hasher.hash
    return name_of(headers, inbound.caller.id, hash_)


async def begin(archive: Archive, batch: Batch, source: File | Upload) -> Batch:
    """Keep a batch and hand it to whoever runs it, though its caller may leave meanwhile.

    The batch that was made before under the same idempotency key, if there is one.

    Raises:
        StoreFailed: it is not kept.
        KeyReused: the one that was made before asks something else.
    """

    def kept(adding: asyncio.Future[Batch]) -> None:
        if not adding.cancelled() and adding.exception() is None and adding.result() is batch:
            archive.open[batch.id] = batch
            archive.changed.set()

    adding = asyncio.ensure_future(archive.do(archive.add, batch, source))
    adding.add_done_callback(kept)
    found = await asyncio.shield(adding)
    if found.asked != batch.asked:
        raise reused()
    return found


async def own(inbound: Inbound, gateway: Gateway, id_: str, face: str) -> Batch:
    """A batch of the caller's; another's is as absent as none."""
    archive = gateway.store.archive
    batch = await archive.do(archive.batch, inbound.caller.id, face, id_)
    if batch is None:
        raise NotFound(f"There is no batch {id_[:128]!r}.", param="batch_id")
    return batch


async def stop(archive: Archive, batch: Batch) -> bool:
    """Cancel a batch; False when it is over."""
    if batch.over:
        return False
    if batch.status != "cancelling":
        batch.turn("cancelling", archive.now())
        await archive.do(archive.save, batch)
        archive.changed.set()
    return True
