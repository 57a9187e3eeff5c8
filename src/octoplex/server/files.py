"""The doors of files, in OpenAI's shape: upload, list, look at, read, delete.

An upload goes to the disk as it comes, and the caller is read no faster than that; what does
not become a file leaves nothing behind. Files are their key's own: another's is as absent
as none. They are kept for `[server] files_days`, or as long as `expires_after` says if that
is shorter.

Reference: https://developers.openai.com/api/reference/resources/files

A file may be named by its id in requests of its key (`assembly/attached.py`).

Not promised: what a purpose means to a provider (fine-tuning, assistants, evaluations).
"""

from collections.abc import Awaitable, Callable
from typing import Any, BinaryIO

import msgspec

from octoplex.gateway import Gateway
from octoplex.ledger.archive import Upload
from octoplex.ledger.batch import File, Span, new_id
from octoplex.server.inbound import JSON, Inbound, no_coding
from octoplex.server.line import too_large
from octoplex.server.multipart import FILE, Multipart
from octoplex.wire.error import InvalidCall, NotFound

MOST_BYTES = 512_000_000
AROUND = 64_000
"""What the parts around a file may add to its size."""
PURPOSES = ("assistants", "batch", "evals", "fine-tune", "user_data", "vision")
DAY_S = 86_400
SHORTEST_S, LONGEST_S = 3_600, 2_592_000
USUAL_FILES = MOST_FILES = 10_000
READ_BYTES = 256 * 1024
Do = Callable[..., Awaitable[Any]]
"""Calls a function with arguments in some thread."""
BYTES = (
    b"content-type: application/octet-stream\r\n"
    b"x-content-type-options: nosniff\r\ncontent-disposition: attachment\r\n"
)
"""Whatever was uploaded, no browser shows it as a page."""


async def upload(inbound: Inbound, gateway: Gateway) -> None:
    """Keep a file, as large as 512 MB."""
    archive, headers = gateway.store.archive, inbound.line.headers
    no_coding(headers)
    size = int(headers.get(b"content-length", b"0"))
    if size > MOST_BYTES + AROUND:
        raise too_large(size, MOST_BYTES)
    parts = Multipart(headers.get(b"content-type", b""))
    come = 0
    async with archive.coming(size) as taken:
        while data := await inbound.line.piece():
            come += len(data)
            data = parts.feed(data)
            if taken.bytes + len(data) > MOST_BYTES or come > MOST_BYTES + AROUND:
                raise too_large(come, MOST_BYTES)
            if data:
                await archive.do(taken.write, data)
        parts.end()
        file = _file(parts, taken, inbound, gateway)
        await archive.do(archive.keep, taken, file)
    await send(inbound, shown(file))


async def files(inbound: Inbound, gateway: Gateway) -> None:
    """List the caller's own files, newest first, in pages."""
    query, archive = inbound.query, gateway.store.archive
    limit = count_in(query, USUAL_FILES, MOST_FILES)
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise InvalidCall(f"order {order[:20]!r} must be asc or desc.", param="order")
    span = Span(limit=limit, after=query.get("after", ""), newest_first=order == "desc")
    purpose = query.get("purpose", "")
    rows, more = await archive.do(archive.files, inbound.caller.id, span, purpose)
    await send(inbound, page([shown(file) for file in rows], more))


async def read(inbound: Inbound, gateway: Gateway) -> None:
    """A file of the caller's; with /content after its id, what is in it."""
    id_, _, part = inbound.rest.partition("/")
    if part not in ("", "content"):
        raise NotFound(f"There is no {part[:128]!r} of a file; there is content.")
    archive = gateway.store.archive
    file = await archive.do(archive.file, inbound.caller.id, id_)
    if file is None:
        raise _absent(id_)
    if part:
        await give(inbound, archive.do, lambda: archive.path(file).open("rb"), BYTES)
    else:
        await send(inbound, shown(file))


async def delete(inbound: Inbound, gateway: Gateway) -> None:
    """Delete a file of the caller's. A batch that was made of it goes on."""
    archive, id_ = gateway.store.archive, inbound.rest
    if not await archive.do(archive.forget_file, inbound.caller.id, id_):
        raise _absent(id_)
    await send(inbound, {"id": id_, "object": "file", "deleted": True})


def _file(parts: Multipart, taken: Upload, inbound: Inbound, gateway: Gateway) -> File:
    purpose = parts.fields.get("purpose", "")
    if purpose not in PURPOSES:
        raise InvalidCall(
            f"purpose {purpose[:40]!r} must be one of {', '.join(PURPOSES)}.", param="purpose"
        )
    now = int(gateway.store.archive.now())
    keep_s = min(_asked_s(parts.fields), gateway.settings.server.files_days * DAY_S)
    name = parts.filename or FILE
    return File(new_id("file-"), inbound.caller.id, now, now + keep_s, taken.bytes, name, purpose)


def _asked_s(fields: dict[str, str]) -> int:
    """How long the caller wants it kept, at most."""
    text = fields.get("expires_after[seconds]")
    if text is None:
        return LONGEST_S * 1_000
    return lifetime(int(text) if text.isdecimal() and len(text) < 12 else None)


def lifetime(seconds: int | None) -> int:
    """The seconds of an `expires_after`.

    Raises:
        InvalidCall: OpenAI's bounds.
    """
    if seconds is None or not SHORTEST_S <= seconds <= LONGEST_S:
        raise InvalidCall(
            f"expires_after.seconds must be {SHORTEST_S} to {LONGEST_S}.",
            param="expires_after.seconds",
        )
    return seconds


def shown(file: File) -> dict[str, Any]:
    """The file object."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": file.created_at,
        "expires_at": file.expires_at,
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


def _absent(id_: str) -> NotFound:
    return NotFound(f"There is no file {id_[:128]!r}.", param="file_id")


# -- what batches share -----------------------------------------------------------------------


def count_in(query: dict[str, str], usual: int, most: int) -> int:
    """How many rows a page may have.

    Raises:
        InvalidCall: no number, or too many.
    """
    text = query.get("limit", str(usual))
    count = int(text) if text.isdecimal() and len(text) < 7 else 0
    if not 1 <= count <= most:
        raise InvalidCall(f"limit {text[:20]!r} must be 1 to {most}.", param="limit")
    return count


def page(rows: list[dict[str, Any]], more: bool) -> dict[str, Any]:
    """A page of a list, as OpenAI's SDKs read it."""
    first, last = (rows[0]["id"], rows[-1]["id"]) if rows else (None, None)
    return {"object": "list", "data": rows, "first_id": first, "last_id": last, "has_more": more}


async def send(inbound: Inbound, value: object) -> None:
    """Answer with JSON."""
    block = JSON + inbound.id_lines().encode() + inbound.cors
    await inbound.line.whole(200, block, msgspec.json.encode(value))


async def give(inbound: Inbound, do: Do, opened: Callable[[], BinaryIO], kind: bytes) -> None:
    """Answer with what is in a file, as fast as the caller reads; `do` does what blocks."""
    line = inbound.line
    block: bytes | None = kind + inbound.id_lines().encode() + inbound.cors
    assert block is not None
    with await do(opened) as file:
        data = await do(file.read, READ_BYTES)
        if line.method == "HEAD" or not data:
            await line.whole(200, block, b"")
            return
        while data:
            following = await do(file.read, READ_BYTES)
            await line.write(data, block, not following)
            data, block = following, None
