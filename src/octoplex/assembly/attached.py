"""Files that callers keep here (`/v1/files`), in the place of their ids.

    answerer = attached(inner, archive, most_bytes)

A provider does not know our ids: what a request names by one goes out as the bytes, in the
dialect's own form for them. A file is its key's own; another's is as absent as none. Ids of
another form are a provider's, and go out as they are.

References: https://developers.openai.com/api/docs/guides/pdf-files (`file_data`),
https://platform.claude.com/docs/en/build-with-claude/files (`source`).

Not promised: `file_search` and other tools of a provider over files kept here.
"""

import asyncio
import re
from base64 import b64encode
from collections.abc import Awaitable, Iterator
from mimetypes import guess_type
from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from octoplex.ledger.archive import Archive
from octoplex.ledger.batch import File
from octoplex.wire.answer import Answer, Answerer, bound
from octoplex.wire.ask import Ask, Call
from octoplex.wire.beside import beside
from octoplex.wire.error import InvalidCall

TURNS = ("messages", "input")
_OURS = re.compile(r"file-[0-9a-f]{40}")
_MARK = b'"file-'
UNKNOWN = "application/octet-stream"


def attached(inner: Answerer, archive: Archive, most_bytes: int) -> Answerer:
    """Put files in the place of their ids. `most_bytes` is what those of one request may have.

    Raises (the answerer):
        InvalidCall: the caller has no such file, or they are too large together.
        StoreFailed: they cannot be read.
    """

    inner = bound(inner)

    def attach(ask: Ask) -> Awaitable[Answer]:
        # The head was looked at already; to search 36 kB takes 20 us.
        if isinstance(ask, Call) and ask.may_hold_media and archive.begun and _MARK in ask.raw:
            return fill(ask)
        return inner(ask)

    async def fill(ask: Call) -> Answer:
        fields = dict(ask.fields)
        for name in TURNS:
            raw = bytes(fields.get(name, b""))
            if _MARK not in raw:
                continue
            turns = await beside(len(raw), msgspec.json.decode, raw)
            places = list(_places(turns))
            if places:
                await _fill(places, ask, archive, most_bytes)
                fields[name] = Raw(await asyncio.to_thread(msgspec.json.encode, turns))
        if fields == ask.fields:
            return await inner(ask)
        changed: dict[str, Any] = {"_chat": None, "_worst": None, "may_hold_media": True}
        raw = await asyncio.to_thread(msgspec.json.encode, fields)
        call = replace(ask, fields=fields, raw=raw, **changed)
        await beside(len(raw), call.worst_case)
        return await inner(call)

    return attach


def _places(value: Any) -> Iterator[dict[str, Any]]:
    """The objects that name a file of ours."""
    if isinstance(value, dict):
        id_ = value.get("file_id")
        if isinstance(id_, str) and _OURS.fullmatch(id_):
            yield value
        for inner in value.values():
            yield from _places(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _places(inner)


async def _fill(places: list[dict[str, Any]], ask: Call, archive: Archive, most_bytes: int) -> None:
    files: dict[str, tuple[File, bytes]] = {}
    for id_ in dict.fromkeys(place["file_id"] for place in places):
        file = await archive.do(archive.file, ask.caller.id, id_)
        if file is None:
            raise InvalidCall(f"There is no file {id_!r}.", param="file_id")
        size = sum(known.bytes for known, _ in files.values()) + file.bytes
        if size > most_bytes:
            raise InvalidCall(
                f"The files of this request have {size:,} bytes; the most is {most_bytes:,} "
                "([server.media] total).",
                param="file_id",
            )
        files[id_] = file, await archive.do(archive.path(file).read_bytes)
    await asyncio.to_thread(_put, places, files, ask.face)


def _put(places: list[dict[str, Any]], files: dict[str, tuple[File, bytes]], face: str) -> None:
    for place in places:
        file, data = files[place.pop("file_id")]
        place |= _form(place, file, data, face)


def _form(place: dict[str, Any], file: File, data: bytes, face: str) -> dict[str, Any]:
    """The members that hold the bytes where `file_id` stood."""
    kind = guess_type(file.filename)[0] or UNKNOWN
    if face == "anthropic":
        if kind.startswith("text/"):
            text = data.decode("utf-8", "replace")
            return {"type": "text", "media_type": "text/plain", "data": text}
        return {"type": "base64", "media_type": kind, "data": b64encode(data).decode()}
    url = f"data:{kind};base64,{b64encode(data).decode()}"
    if place.get("type") == "input_image":
        return {"image_url": url}
    return {"filename": file.filename, "file_data": url}
